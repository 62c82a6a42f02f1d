//! The reasons why `nexum new` makes no project.

use std::io;
use std::path::PathBuf;

use nexum_config::hint::Hint;

use super::{AbiError, Kind, NameError, SdkError, list};
use crate::Language;

/// The reason why there is no new project. The disk is as before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NewError {
    /// The name of the directory is not the name of a module.
    #[error(transparent)]
    Name(#[from] NameError),
    /// No row of the table has this language and kind.
    #[error("there is no template {kind} for {language}{}", if *has_abi { " with an ABI" } else { "" })]
    NoTemplate {
        /// The language.
        language: Language,
        /// The kind.
        kind: Kind,
        /// Whether the author gave an ABI.
        has_abi: bool,
    },
    /// The ABI cannot be used.
    #[error(transparent)]
    Abi(#[from] AbiError),
    /// The SDK cannot be used.
    #[error(transparent)]
    Sdk(#[from] SdkError),
    /// The directory has files.
    #[error("{} is not empty: it contains {}", directory.display(), first.display())]
    NotEmpty {
        /// The directory.
        directory: PathBuf,
        /// The first file, in the order of names.
        first: PathBuf,
    },
    /// The path names a file.
    #[error("{} is a file", path.display())]
    IsFile {
        /// The path.
        path: PathBuf,
    },
    /// A file or directory cannot be written or read.
    #[error("cannot create the project {}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A template and its values do not fit, which the tests exclude.
    #[error("the template of {path} has the unknown placeholder {placeholder:?}")]
    Placeholder {
        /// The path in the project.
        path: &'static str,
        /// The name between the braces.
        placeholder: String,
    },
}

impl Hint for NewError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Name(error) => error.hint(),
            Self::NoTemplate { has_abi, .. } => Some(format!("the templates are {}", list(*has_abi))),
            Self::Abi(error) => error.hint(),
            Self::Sdk(error) => error.hint(),
            Self::NotEmpty { .. } | Self::IsFile { .. } => {
                Some("nexum new never overwrites a file: choose another name".into())
            }
            Self::Io { .. } | Self::Placeholder { .. } => None,
        }
    }
}
