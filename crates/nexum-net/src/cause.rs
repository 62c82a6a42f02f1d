//! What of an error may be told.

use std::error::Error;
use std::io;

/// How deep the cause of an error is looked for: deeper than the libraries below nest theirs.
pub const CAUSES_MAX: usize = 16;

/// An error and its causes, outermost first, [`CAUSES_MAX`] at most.
pub fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error: &&'a (dyn Error + 'static)| error.source()).take(CAUSES_MAX)
}

/// What the operating system said, if it is why. The texts of the errors around it may hold URLs.
pub fn io_cause(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    causes(error).find_map(|cause| Some(cause.downcast_ref::<io::Error>()?.kind()))
}
