//! The projects that `nexum new` makes.
//!
//! A template is a list of plain files, compiled into the program, with a few placeholders (`render.rs`).
//! `TEMPLATES` has one row for each template. To add a template, write its files below
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
mod error;
mod name;
mod render;
mod sdk;

use std::fmt;
use std::str::FromStr;

use crate::Language;

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

/// The files of a project in one language.
#[derive(Debug)]
struct Template {
    language: Language,
    kind: Kind,
    /// Whether the project is for a contract whose ABI the author has.
    has_abi: bool,
    /// The task of the module: a verb with its object, for the sentence "It ...".
    summary: &'static str,
    files: &'static [File],
}

/// A file of a template.
#[derive(Debug)]
struct File {
    /// The path in the project.
    path: &'static str,
    text: &'static str,
}

/// A list of files: `path in the project <- path below src/template/`.
macro_rules! files {
    ($($path:literal <- $source:literal,)*) => {
        &[$(File { path: $path, text: include_str!(concat!("template/", $source)) },)*]
    };
}

/// All templates, by language and kind.
const TEMPLATES: &[Template] = &[
    Template {
        language: Language::Rust,
        kind: Kind::Block,
        has_abi: false,
        summary: "logs the price of gas at each block, and counts the blocks",
        files: files! {
            "Cargo.toml" <- "rust/Cargo.toml.template",
            "src/lib.rs" <- "rust/block.rs",
            "nexum.toml" <- "rust/nexum.toml",
            "engine.toml" <- "engine.toml",
            "README.md" <- "rust/README.md",
            ".gitignore" <- "gitignore",
        },
    },
    Template {
        language: Language::Rust,
        kind: Kind::Event,
        has_abi: false,
        summary: "counts the transfers of tokens, and logs the large ones",
        files: files! {
            "Cargo.toml" <- "rust/Cargo.toml.template",
            "src/lib.rs" <- "rust/event.rs",
            "nexum.toml" <- "rust/event.toml",
            "engine.toml" <- "engine.toml",
            "README.md" <- "rust/README.md",
            ".gitignore" <- "gitignore",
        },
    },
    Template {
        language: Language::Rust,
        kind: Kind::Cron,
        has_abi: false,
        summary: "reads the balance of an account every ten seconds, and logs each change",
        files: files! {
            "Cargo.toml" <- "rust/Cargo.toml.template",
            "src/lib.rs" <- "rust/cron.rs",
            "nexum.toml" <- "rust/cron.toml",
            "engine.toml" <- "engine.toml",
            "README.md" <- "rust/README.md",
            ".gitignore" <- "gitignore",
        },
    },
    Template {
        language: Language::Rust,
        kind: Kind::Query,
        has_abi: false,
        summary: "counts blocks, and answers queries with the count",
        files: files! {
            "Cargo.toml" <- "rust/Cargo.toml.template",
            "src/lib.rs" <- "rust/query.rs",
            "nexum.toml" <- "rust/nexum.toml",
            "engine.toml" <- "engine.toml",
            "README.md" <- "rust/README.md",
            ".gitignore" <- "gitignore",
        },
    },
    Template {
        language: Language::Rust,
        kind: Kind::Cow,
        has_abi: false,
        summary: "asks the CoW Protocol order book for a price every few blocks, and logs it",
        files: files! {
            "Cargo.toml" <- "rust/Cargo.toml.template",
            "src/lib.rs" <- "rust/cow.rs",
            "nexum.toml" <- "rust/cow.toml",
            "engine.toml" <- "cow_engine.toml",
            "README.md" <- "rust/README.md",
            ".gitignore" <- "gitignore",
        },
    },
    Template {
        language: Language::Rust,
        kind: Kind::Event,
        has_abi: true,
        summary: "logs an event of a contract, and counts it",
        files: files! {
            "Cargo.toml" <- "rust/Cargo.toml.template",
            "src/lib.rs" <- "rust/abi_event.rs",
            "nexum.toml" <- "rust/nexum.toml",
            "engine.toml" <- "engine.toml",
            "README.md" <- "rust/README.md",
            ".gitignore" <- "gitignore",
        },
    },
    Template {
        language: Language::Rust,
        kind: Kind::Block,
        has_abi: true,
        summary: "reads a contract at each block",
        files: files! {
            "Cargo.toml" <- "rust/Cargo.toml.template",
            "src/lib.rs" <- "rust/abi_block.rs",
            "nexum.toml" <- "rust/abi_block.toml",
            "engine.toml" <- "engine.toml",
            "README.md" <- "rust/README.md",
            ".gitignore" <- "gitignore",
        },
    },
    Template {
        language: Language::JavaScript,
        kind: Kind::Block,
        has_abi: false,
        summary: "logs the price of gas at each block, and counts the blocks",
        files: files! {
            "package.json" <- "js/package.json.template",
            "src/module.js" <- "js/block.js",
            "test/module.test.js" <- "js/block.test.js",
            "nexum.toml" <- "languages/block.toml",
            "engine.toml" <- "engine.toml",
            "README.md" <- "js/README.md",
            ".gitignore" <- "gitignore",
        },
    },
    Template {
        language: Language::JavaScript,
        kind: Kind::Event,
        has_abi: false,
        summary: "counts the transfers of tokens, and logs the large ones",
        files: files! {
            "package.json" <- "js/package.json.template",
            "src/module.js" <- "js/event.js",
            "test/module.test.js" <- "js/event.test.js",
            "nexum.toml" <- "languages/event.toml",
            "engine.toml" <- "engine.toml",
            "README.md" <- "js/README.md",
            ".gitignore" <- "gitignore",
        },
    },
    Template {
        language: Language::JavaScript,
        kind: Kind::Cron,
        has_abi: false,
        summary: "reads the balance of an account every ten seconds, and logs each change",
        files: files! {
            "package.json" <- "js/package.json.template",
            "src/module.js" <- "js/cron.js",
            "test/module.test.js" <- "js/cron.test.js",
            "nexum.toml" <- "languages/cron.toml",
            "engine.toml" <- "engine.toml",
            "README.md" <- "js/README.md",
            ".gitignore" <- "gitignore",
        },
    },
    Template {
        language: Language::JavaScript,
        kind: Kind::Query,
        has_abi: false,
        summary: "counts blocks, and answers queries with the count",
        files: files! {
            "package.json" <- "js/package.json.template",
            "src/module.js" <- "js/query.js",
            "test/module.test.js" <- "js/query.test.js",
            "nexum.toml" <- "languages/query.toml",
            "engine.toml" <- "engine.toml",
            "README.md" <- "js/README.md",
            ".gitignore" <- "gitignore",
        },
    },
    Template {
        language: Language::Python,
        kind: Kind::Block,
        has_abi: false,
        summary: "logs the price of gas at each block, and counts the blocks",
        files: files! {
            "requirements.txt" <- "python/requirements.txt",
            "app.py" <- "python/block.py",
            "tests/test_app.py" <- "python/test_block.py",
            "nexum.toml" <- "languages/block.toml",
            "engine.toml" <- "engine.toml",
            "README.md" <- "python/README.md",
            ".gitignore" <- "gitignore",
        },
    },
    Template {
        language: Language::Python,
        kind: Kind::Event,
        has_abi: false,
        summary: "counts the transfers of tokens, and logs the large ones",
        files: files! {
            "requirements.txt" <- "python/requirements.txt",
            "app.py" <- "python/event.py",
            "tests/test_app.py" <- "python/test_event.py",
            "nexum.toml" <- "languages/event.toml",
            "engine.toml" <- "engine.toml",
            "README.md" <- "python/README.md",
            ".gitignore" <- "gitignore",
        },
    },
    Template {
        language: Language::Python,
        kind: Kind::Cron,
        has_abi: false,
        summary: "reads the balance of an account every ten seconds, and logs each change",
        files: files! {
            "requirements.txt" <- "python/requirements.txt",
            "app.py" <- "python/cron.py",
            "tests/test_app.py" <- "python/test_cron.py",
            "nexum.toml" <- "languages/cron.toml",
            "engine.toml" <- "engine.toml",
            "README.md" <- "python/README.md",
            ".gitignore" <- "gitignore",
        },
    },
    Template {
        language: Language::Python,
        kind: Kind::Query,
        has_abi: false,
        summary: "counts blocks, and answers queries with the count",
        files: files! {
            "requirements.txt" <- "python/requirements.txt",
            "app.py" <- "python/query.py",
            "tests/test_app.py" <- "python/test_query.py",
            "nexum.toml" <- "languages/query.toml",
            "engine.toml" <- "engine.toml",
            "README.md" <- "python/README.md",
            ".gitignore" <- "gitignore",
        },
    },
    Template {
        language: Language::C,
        kind: Kind::Block,
        has_abi: false,
        summary: "logs the price of gas at each block, and counts the blocks",
        files: files! {
            "src/module.c" <- "c/block.c",
            "compile_flags.txt" <- "c/compile_flags.txt",
            "nexum.toml" <- "languages/block.toml",
            "engine.toml" <- "engine.toml",
            "README.md" <- "c/README.md",
            ".gitignore" <- "gitignore",
        },
    },
    Template {
        language: Language::C,
        kind: Kind::Event,
        has_abi: false,
        summary: "counts the transfers of tokens, and logs each",
        files: files! {
            "src/module.c" <- "c/event.c",
            "compile_flags.txt" <- "c/compile_flags.txt",
            "nexum.toml" <- "languages/event.toml",
            "engine.toml" <- "engine.toml",
            "README.md" <- "c/README.md",
            ".gitignore" <- "gitignore",
        },
    },
    Template {
        language: Language::C,
        kind: Kind::Cron,
        has_abi: false,
        summary: "reads the balance of an account every ten seconds, and logs each change",
        files: files! {
            "src/module.c" <- "c/cron.c",
            "compile_flags.txt" <- "c/compile_flags.txt",
            "nexum.toml" <- "languages/cron.toml",
            "engine.toml" <- "engine.toml",
            "README.md" <- "c/README.md",
            ".gitignore" <- "gitignore",
        },
    },
    Template {
        language: Language::C,
        kind: Kind::Query,
        has_abi: false,
        summary: "counts blocks, and answers queries with the count",
        files: files! {
            "src/module.c" <- "c/query.c",
            "compile_flags.txt" <- "c/compile_flags.txt",
            "nexum.toml" <- "languages/query.toml",
            "engine.toml" <- "engine.toml",
            "README.md" <- "c/README.md",
            ".gitignore" <- "gitignore",
        },
    },
];

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
