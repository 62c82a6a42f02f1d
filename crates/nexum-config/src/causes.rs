//! Errors with their causes, as people read them.

use std::error::Error;
use std::fmt;

/// How many causes are shown: more than any library nests.
const CAUSES_MAX: usize = 16;

/// An error and its causes in one line, outermost first, with `: ` between them.
#[derive(Clone, Copy, Debug)]
pub struct Causes<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let causes = std::iter::successors(self.0.source(), |error| (*error).source());
        causes.take(CAUSES_MAX).try_for_each(|cause| write!(f, ": {cause}"))
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
        assert!(Causes(&*nested(100).unwrap()).to_string().ends_with("15: 16"));
    }
}
