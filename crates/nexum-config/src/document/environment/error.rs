//! Errors in references.

use std::path::PathBuf;

use super::INTERPOLATED_BYTES_MAX;
use crate::hint::Hint;

/// A reference that cannot be replaced. The text shows no content of a variable, a file or a
/// credential.
#[derive(Debug, thiserror::Error)]
pub(in crate::document) enum InterpolationError {
    #[error("a `${{` has no closing `}}`")]
    Unterminated,
    #[error("a `${{..}}` does not name a variable, a file or a credential")]
    Name,
    #[error("the environment variable {name} is not set")]
    Unset { name: String },
    #[error("the environment variable {name} is not UTF-8")]
    NotUnicode { name: String },
    #[error("the file {} does not exist", path.display())]
    NoFile { path: PathBuf },
    /// `reason` is the end of a sentence about the file.
    #[error("the file {} {reason}", path.display())]
    File { path: PathBuf, reason: String },
    #[error("there are no credentials: the environment variable CREDENTIALS_DIRECTORY is not set")]
    NoCredentials { name: String },
    #[error("there is no credential {name} in the directory that CREDENTIALS_DIRECTORY names")]
    NoCredential { name: String },
    #[error("is longer than {INTERPOLATED_BYTES_MAX} bytes after its references are replaced")]
    TooLong,
    #[error("this file cannot use environment variables, files and credentials")]
    Closed,
}

impl InterpolationError {
    /// Whether the source does not exist, so that a default applies.
    pub(super) fn is_absence(&self) -> bool {
        matches!(
            self,
            Self::Unset { .. } | Self::NoFile { .. } | Self::NoCredentials { .. } | Self::NoCredential { .. }
        )
    }
}

impl Hint for InterpolationError {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Unterminated => "add the `}`, or write `$${` for a literal `${`".to_owned(),
            Self::Name => "write `${NAME}`, `${file:PATH}` or `${cred:NAME}`, each with `:-default` if you like, or \
                           `$${` for a literal `${`"
                .to_owned(),
            Self::Unset { name } => format!("set the variable, or add a default: `${{{name}:-default}}`"),
            Self::NotUnicode { name } => format!("set {name} to UTF-8 text"),
            Self::NoFile { .. } => {
                "create the file, or correct its path, which is relative to the directory of this configuration"
                    .to_owned()
            }
            Self::File { .. } => format!(
                "give a regular file of at most {INTERPOLATED_BYTES_MAX} bytes of UTF-8 that the user of nexum can read"
            ),
            Self::NoCredentials { name } | Self::NoCredential { name } => format!(
                "add `LoadCredential={name}:/path/to/file` to the systemd unit; without systemd, set \
                 CREDENTIALS_DIRECTORY to a directory with a file {name}"
            ),
            Self::TooLong => "give the path of a file instead".to_owned(),
            Self::Closed => "set this key in engine.toml, or write `$${` for a literal `${`".to_owned(),
        };
        Some(hint)
    }
}
