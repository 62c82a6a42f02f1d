//! The name of a project.

use std::path::{Path, PathBuf};

use nexum_config::hint::Hint;
use nexum_config::names::{ModuleName, ModuleNameError};

use crate::Language;

/// Names that cargo refuses for a package, and those of the crates that a module uses. Keywords of Rust that
/// are module names are in [`KEYWORDS`].
const TAKEN: [&str; 14] = [
    "alloc",
    "build",
    "core",
    "deps",
    "examples",
    "incremental",
    "nexum-sdk",
    "nexum_sdk",
    "proc-macro",
    "proc_macro",
    "serde",
    "std",
    "target",
    "test",
];

/// The keywords of Rust, reserved ones included, in lower case.
pub(super) const KEYWORDS: [&str; 51] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod",
    "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super", "trait", "true",
    "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// The reason why a path does not give a project its name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The path ends in no name, such as `.` or `..`.
    #[error("the path {} does not end in the name of a directory", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// The name is not the name of a module.
    #[error("{name:?} cannot be the name of the module")]
    Module {
        /// The name.
        name: String,
        /// The rule.
        #[source]
        source: ModuleNameError,
    },
    /// The name is not the name of a crate.
    #[error("{name:?} cannot be the name of a Rust crate: {reason}")]
    Crate {
        /// The name.
        name: ModuleName,
        /// The rule.
        reason: &'static str,
    },
}

impl Hint for NameError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { .. } => Some("write a name, such as my-module".into()),
            Self::Module { name, .. } => suggestion(name).map(|name| format!("{name} can")),
            Self::Crate { name, .. } => Some(format!("my-{name} can")),
        }
    }
}

/// The name of the project in a directory: the last part of its path.
pub(super) fn of(directory: &Path, language: Language) -> Result<ModuleName, NameError> {
    let Some(name) = directory.file_name() else {
        return Err(NameError::Missing { path: directory.into() });
    };
    let name = name.to_string_lossy();
    let name: ModuleName = name.parse().map_err(|source| NameError::Module {
        name: name.into_owned(),
        source,
    })?;
    match language {
        Language::Rust => crate_name(name),
        _ => Ok(name),
    }
}

fn crate_name(name: ModuleName) -> Result<ModuleName, NameError> {
    let reason = match name.as_str() {
        text if text.starts_with(|c: char| c.is_ascii_digit()) => "it begins with a digit",
        text if KEYWORDS.contains(&text) => "it is a keyword of Rust",
        text if TAKEN.contains(&text) => "a crate or a module of Rust that the project uses has this name",
        _ => return Ok(name),
    };
    Err(NameError::Crate { name, reason })
}

/// A module name with the letters and digits of another text.
fn suggestion(text: &str) -> Option<String> {
    let lower = text.to_lowercase();
    let words = lower
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    let name = words.collect::<Vec<_>>().join("-");
    name.parse::<ModuleName>().ok().map(|name| name.to_string())
}
