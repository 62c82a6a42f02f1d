//! The functions of a component file, which only the runtime can read.

use nexum_config::command::CommandFile;

use crate::report::Refusals;
use crate::report::functions::Function;

/// Returns none, because this build cannot run the component.
pub(in crate::command) fn functions_of(_: &CommandFile) -> Result<Option<Vec<Function>>, Refusals> {
    Ok(None)
}
