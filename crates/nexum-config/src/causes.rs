//! Errors with their causes.

use std::error::Error;
use std::fmt;
use std::iter::successors;

/// The most errors of one chain that nexum looks at: more than any library nests.
pub const CAUSES_MAX: usize = 16;

/// An error and its causes, outermost first, [`CAUSES_MAX`] at most.
pub fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |&error: &&'a (dyn Error + 'static)| error.source()).take(CAUSES_MAX)
}

/// Shows an error and its causes in one line, outermost first, with `: ` between them.
#[derive(Clone, Copy, Debug)]
pub struct Causes<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        causes(self.0).skip(1).try_for_each(|cause| write!(f, ": {cause}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Level(usize, #[source] Option<Box<Level>>);

    #[test]
    fn shows_an_error_with_its_causes() {
        let nested = |levels: usize| {
            (0..levels)
                .rev()
                .fold(None, |cause, level| Some(Box::new(Level(level, cause))))
        };
        assert_eq!(Causes(&*nested(1).unwrap()).to_string(), "0");
        assert_eq!(Causes(&*nested(3).unwrap()).to_string(), "0: 1: 2");
        assert!(Causes(&*nested(100).unwrap()).to_string().ends_with(": 14: 15"));
    }
}
