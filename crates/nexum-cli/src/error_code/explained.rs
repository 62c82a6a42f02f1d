//! The codes of errors with their descriptions, as `nexum errors` and `/v1/errors` show them.

use serde::Serialize;

use super::{About, ErrorCode};

/// A code of an error, with its description.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "runtime", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "runtime", schema(as = ErrorExplanation))]
pub(crate) struct Explained {
    pub(crate) code: &'static str,
    /// The HTTP status of a response with the code.
    pub(crate) status: u16,
    pub(crate) meaning: &'static str,
    /// The usual cause.
    pub(crate) cause: &'static str,
    /// The next step. It ends with a command of the command line.
    pub(crate) remedy: &'static str,
}

/// All codes.
pub(crate) fn explained() -> Vec<Explained> {
    ErrorCode::ALL.iter().copied().map(Explained::of).collect()
}

impl Explained {
    /// The description of a code.
    pub(crate) fn of(code: ErrorCode) -> Self {
        let About {
            word,
            status,
            meaning,
            cause,
            remedy,
        } = code.about();
        Self {
            code: word,
            status,
            meaning,
            cause,
            remedy,
        }
    }
}
