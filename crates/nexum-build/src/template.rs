//! The projects that `nexum new` makes.
//!
//! A template is a list of plain files, compiled into the program, with a few placeholders (`render.rs`).
//! `TEMPLATES` (`table.rs`) has one row for each template. To add a template, write its files below
//! `src/template/` and add its row; [`create`] does the rest, and so do the error texts and the help.
//!
//! | file here | in the project |
//! |---|---|
//! | `Cargo.toml.template` | `Cargo.toml`. `cargo package` leaves out a directory that has a `Cargo.toml` |
//! | `package.json.template` | `package.json`. node would read it for every test here |
//! | `gitignore` | `.gitignore`. git would obey it here |
//! | any other | any name |

mod abi;
mod create;
mod decoder;
mod error;
mod name;
mod render;
mod sdk;
mod table;

use std::fmt;
use std::str::FromStr;

use crate::Language;
use table::{File, TEMPLATES, Template};

pub use abi::{ABI_BYTES_MAX, AbiError, FILE_BYTES_MAX};
pub use create::{Created, New, create};
pub use error::NewError;
pub use name::NameError;
pub use sdk::{Sdk, SdkError};

impl Language {
    /// The word for the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::JavaScript => "js",
            Self::Python => "python",
            Self::C => "c",
        }
    }
}

impl FromStr for Language {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|language| language.as_str() == text);
        known.ok_or_else(|| format!("there is no language {text:?}"))
    }
}

/// The task of the module of a new project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Handles each block.
    Block,
    /// Handles an event of contracts.
    Event,
    /// Handles the ticks of a schedule.
    Cron,
    /// Answers queries.
    Query,
    /// Uses the CoW Protocol order book.
    Cow,
}

impl Kind {
    /// All kinds, in the order of the help text.
    pub const ALL: [Self; 5] = [Self::Block, Self::Event, Self::Cron, Self::Query, Self::Cow];

    /// The word for the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Event => "event",
            Self::Cron => "cron",
            Self::Query => "query",
            Self::Cow => "cow",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        known.ok_or_else(|| format!("there is no template {text:?}"))
    }
}

/// The template of a language and a kind.
fn find(language: Language, kind: Kind, has_abi: bool) -> Option<&'static Template> {
    TEMPLATES.iter().find(|template| {
        let Template {
            language: its_language,
            kind: its_kind,
            has_abi: its_abi,
            ..
        } = template;
        (*its_language, *its_kind, *its_abi) == (language, kind, has_abi)
    })
}

/// The kinds of templates of each language, for an error: `rust: block, event; js: block`.
fn list(has_abi: bool) -> String {
    let languages = Language::ALL.into_iter().filter_map(|language| {
        let kinds = Kind::ALL
            .into_iter()
            .filter(|kind| find(language, *kind, has_abi).is_some());
        let kinds: Vec<_> = kinds.map(Kind::as_str).collect();
        (!kinds.is_empty()).then(|| format!("{}: {}", language.as_str(), kinds.join(", ")))
    });
    languages.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests;
