//! The causes of an error that may be shown.

use std::error::Error;
use std::io;

use nexum_config::causes::causes;

/// The operating system's error among the causes of `error`, if there is one. The texts of the
/// other causes may contain URLs.
pub fn io_cause(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    causes(error).find_map(|cause| Some(cause.downcast_ref::<io::Error>()?.kind()))
}
