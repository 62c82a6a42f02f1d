//! The causes of an error, and the part of an error that is safe to show.

use std::error::Error;
use std::io;

/// The most causes of an error that are read: more than the libraries below nest.
pub const CAUSES_MAX: usize = 16;

/// An error and its causes, outermost first, at most [`CAUSES_MAX`].
pub fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error: &&'a (dyn Error + 'static)| error.source()).take(CAUSES_MAX)
}

/// The operating system's cause of an error, if there is one. The texts of the errors around it may
/// contain URLs.
pub fn io_cause(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    causes(error).find_map(|cause| Some(cause.downcast_ref::<io::Error>()?.kind()))
}
