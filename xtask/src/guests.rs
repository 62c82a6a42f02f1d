//! Builds the guests.

use anyhow::Result;

/// Builds.
pub(crate) fn build(_names: &[String]) -> Result<()> {
    Ok(())
}
