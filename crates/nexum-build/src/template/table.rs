//! The table of templates.

use super::Kind;
use crate::Language;

/// The files of a project in one language.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) language: Language,
    pub(super) kind: Kind,
    /// Whether the project is for a contract whose ABI the author has.
    pub(super) has_abi: bool,
    /// The task of the module: a verb with its object, for the sentence "It ...".
    pub(super) summary: &'static str,
    pub(super) files: &'static [File],
}

/// A file of a template.
#[derive(Debug)]
pub(super) struct File {
    /// The path in the project.
    pub(super) path: &'static str,
    pub(super) text: &'static str,
}

/// A template in a language, with its files: `path in the project <- path below src/template/`, in one or more
/// parts.
macro_rules! template {
    (
        $kind:ident, $summary:ident, $has_abi:literal, $engine:literal, $language:ident,
        $($path:literal <- $($source:literal)+,)*
    ) => {
        Template {
            language: Language::$language,
            kind: Kind::$kind,
            has_abi: $has_abi,
            summary: $summary,
            files: &[
                $(File { path: $path, text: include_str!(concat!($($source),+)) },)*
                File { path: "engine.toml", text: include_str!($engine) },
                File { path: ".gitignore", text: include_str!("gitignore") },
            ],
        }
    };
}

/// A template in Rust: its kind, its summary, whether it has an ABI, the name of its file, its `engine.toml`, and
/// its `nexum.toml`.
macro_rules! rust {
    ($kind:ident, $summary:ident, $has_abi:literal, $name:literal, $engine:literal, $manifest:literal) => {
        template!($kind, $summary, $has_abi, $engine, Rust,
            "Cargo.toml" <- "rust/Cargo.toml.template",
            "src/lib.rs" <- "rust/" $name ".rs",
            "nexum.toml" <- "rust/" $manifest,
            "README.md" <- "rust/README.md",
        )
    };
}

/// A template in JavaScript: its kind, its summary, whether it has an ABI, the name of its files, and its
/// `engine.toml`.
macro_rules! javascript {
    ($kind:ident, $summary:ident, $has_abi:literal, $name:literal, $engine:literal) => {
        template!($kind, $summary, $has_abi, $engine, JavaScript,
            "package.json" <- "js/package.json.template",
            "src/module.js" <- "js/" $name ".js",
            "test/module.test.js" <- "js/" $name ".test.js",
            "nexum.toml" <- "languages/" $name ".toml",
            "README.md" <- "js/README.md",
        )
    };
}

/// A template in Python, with the parameters of [`javascript`].
macro_rules! python {
    ($kind:ident, $summary:ident, $has_abi:literal, $name:literal, $engine:literal) => {
        template!($kind, $summary, $has_abi, $engine, Python,
            "requirements.txt" <- "python/requirements.txt",
            "app.py" <- "python/" $name ".py",
            "tests/test_app.py" <- "python/test_" $name ".py",
            "nexum.toml" <- "languages/" $name ".toml",
            "README.md" <- "python/README.md",
        )
    };
}

/// A template in C, with the parameters of [`javascript`].
macro_rules! c {
    ($kind:ident, $summary:ident, $has_abi:literal, $name:literal, $engine:literal) => {
        template!($kind, $summary, $has_abi, $engine, C,
            "src/module.c" <- "c/" $name ".c",
            "test/module.c" <- "c/test_" $name ".c",
            "compile_flags.txt" <- "c/compile_flags.txt",
            "nexum.toml" <- "languages/" $name ".toml",
            "README.md" <- "c/README.md",
        )
    };
}

const BLOCK: &str = "logs the price of gas at each block, and counts the blocks";
const EVENT: &str = "counts the transfers of tokens, and logs the large ones";
const EVERY_EVENT: &str = "counts the transfers of tokens, and logs each";
const CRON: &str = "reads the balance of an account every ten seconds, and logs each change";
const QUERY: &str = "counts blocks, and answers queries with the count";
const COW: &str = "asks the CoW Protocol order book for a price every few blocks, and logs it";
const ABI_EVENT: &str = "logs an event of a contract, and counts it";
const ABI_BLOCK: &str = "reads a contract at each block";
const ABI_EVENTS: &str = "logs the events of a contract, and counts them";

/// All templates, by language and kind.
pub(super) const TEMPLATES: &[Template] = &[
    rust!(Block, BLOCK, false, "block", "engine.toml", "nexum.toml"),
    rust!(Event, EVENT, false, "event", "engine.toml", "event.toml"),
    rust!(Cron, CRON, false, "cron", "engine.toml", "cron.toml"),
    rust!(Query, QUERY, false, "query", "engine.toml", "nexum.toml"),
    rust!(Cow, COW, false, "cow", "cow_engine.toml", "cow.toml"),
    rust!(Event, ABI_EVENT, true, "abi_event", "engine.toml", "nexum.toml"),
    rust!(Block, ABI_BLOCK, true, "abi_block", "engine.toml", "abi_block.toml"),
    javascript!(Block, BLOCK, false, "block", "engine.toml"),
    javascript!(Event, EVENT, false, "event", "engine.toml"),
    javascript!(Cron, CRON, false, "cron", "engine.toml"),
    javascript!(Query, QUERY, false, "query", "engine.toml"),
    javascript!(Cow, COW, false, "cow", "cow_engine.toml"),
    javascript!(Event, ABI_EVENTS, true, "abi_event", "engine.toml"),
    python!(Block, BLOCK, false, "block", "engine.toml"),
    python!(Event, EVENT, false, "event", "engine.toml"),
    python!(Cron, CRON, false, "cron", "engine.toml"),
    python!(Query, QUERY, false, "query", "engine.toml"),
    python!(Cow, COW, false, "cow", "cow_engine.toml"),
    python!(Event, ABI_EVENTS, true, "abi_event", "engine.toml"),
    c!(Block, BLOCK, false, "block", "engine.toml"),
    c!(Event, EVERY_EVENT, false, "event", "engine.toml"),
    c!(Cron, CRON, false, "cron", "engine.toml"),
    c!(Query, QUERY, false, "query", "engine.toml"),
    c!(Cow, COW, false, "cow", "cow_engine.toml"),
    c!(Event, ABI_EVENT, true, "abi_event", "engine.toml"),
];
