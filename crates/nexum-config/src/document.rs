//! TOML documents that keep the position of everything in them.
//!
//! [`Document::parse`] turns bytes into a tree. A [`Section`] is one table of that tree. Its owner
//! can store it and later parse it into a type with serde. Every error names the file, line,
//! column, key and value.
//!
//! A string may refer to a variable with `${VAR}`, to a file with `${file:PATH}`, and to a credential
//! of systemd with `${cred:NAME}`. A default follows `:-`. The crate replaces a reference when it
//! reads the string into its type, after it has parsed the TOML, so the content can add no keys.
//! Errors never show the content.
//!
//! # Invariants
//!
//! - No function of this module recurses deeper than [`DEPTH_MAX`] levels, for any input.
//! - No error and no `Debug` of this module contains the content of a variable, a file or a
//!   credential, or more of a URL than its scheme and host.

mod alias;
mod de;
mod environment;
mod error;
mod key;
mod literal;
mod location;
mod masked;
mod section;
mod settings;
mod show;
mod text;
mod tree;
mod value_text;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::DeTable;

pub use environment::{Environment, INTERPOLATED_BYTES_MAX};
use environment::{Interpolated, InterpolationError};
pub(crate) use error::notice_texts;
pub use error::{ConfigError, ConfigErrors, ERRORS_MAX};
pub use key::nearest;
pub use location::{Located, Location};
pub use masked::Masked;
pub use section::{NumberRange, Section};
pub use settings::Setting;
pub use text::deserialize_text;

use crate::masked_path::MaskedPath;
use crate::regular_file;
use tree::{Excess, Span, Table, Unknown};

/// The largest document, in bytes. It has room for ten thousand modules with 400 bytes each. A
/// hostile document takes 160 times its size in memory during parsing, so a caller has to set a
/// lower bound for files from untrusted authors.
pub const DOCUMENT_BYTES_MAX: u64 = 4 << 20;

/// How deep tables and arrays may nest; each part of a dotted key counts. The deepest known key is
/// at level five. A tree of 16 levels is small enough to walk and drop on the stack of any thread.
pub const DEPTH_MAX: u32 = 16;

/// The most keys and single values of a document: room for ten thousand modules with twenty each. A
/// table of this size takes about 50 MB and half a second to parse.
pub const DOCUMENT_ITEMS_MAX: usize = 200_000;

/// The keys of a table with the values that nexum uses for absent keys, in TOML's notation. `None` for
/// a key without such a value.
pub type Defaults = Vec<(&'static str, Option<String>)>;

/// `content` as a basic string of TOML.
pub fn toml_string(content: &str) -> String {
    let mut text = String::new();
    value_text::push_string(&mut text, content);
    text
}

/// A parsed TOML file.
#[derive(Clone)]
pub struct Document {
    root: Section,
}

/// The file, text and environment that all sections of a document share.
pub(crate) struct Origin {
    path: PathBuf,
    text: Box<str>,
    environment: Environment,
}

impl Document {
    /// Reads and parses the file at `path`.
    ///
    /// # Errors
    ///
    /// Fails as [`read`] and [`Document::parse`] do.
    pub fn load(path: &Path, environment: &Environment) -> Result<Self, ConfigErrors> {
        Self::parse(path, &read(&path.into(), DOCUMENT_BYTES_MAX)?, environment)
    }

    /// Parses `bytes`, the content of the file at `path`. Only errors use `path`. Strings may refer
    /// to variables of `environment`.
    ///
    /// # Errors
    ///
    /// Fails if the content is larger than [`DOCUMENT_BYTES_MAX`], is not UTF-8, nests deeper than
    /// [`DEPTH_MAX`], or has more items than [`DOCUMENT_ITEMS_MAX`]. If the content is not TOML,
    /// returns every fault that the TOML parser finds.
    pub fn parse(path: &Path, bytes: &[u8], environment: &Environment) -> Result<Self, ConfigErrors> {
        Self::parse_within(path, bytes, environment, DOCUMENT_ITEMS_MAX)
    }

    /// Parses as [`Document::parse`] does, with another bound on the keys and single values.
    pub(crate) fn parse_within(
        path: &Path,
        bytes: &[u8],
        environment: &Environment,
        items_max: usize,
    ) -> Result<Self, ConfigErrors> {
        check_size(path, bytes.len() as u64, DOCUMENT_BYTES_MAX)?;
        let text =
            std::str::from_utf8(bytes).map_err(|error| ConfigError::not_utf8(path, bytes, error.valid_up_to()))?;
        let origin = Origin {
            path: path.to_owned(),
            text: text.into(),
            environment: environment.clone(),
        };
        if let Some((excess, span)) = tree::excess(text, DEPTH_MAX, items_max) {
            let message = match excess {
                Excess::Depth => format!("nested deeper than {DEPTH_MAX} levels"),
                Excess::Items => format!("more than {items_max} keys and values"),
            };
            return Err(origin.error(span, String::new(), message).into());
        }
        let (table, faults) = DeTable::parse_recoverable(text);
        let end = text.len()..text.len();
        let error = |fault: toml::de::Error| {
            let span = fault.span().unwrap_or_else(|| end.clone());
            origin.error(span, String::new(), fault.message().to_owned())
        };
        ConfigErrors::check(faults.into_iter().take(ERRORS_MAX + 1).map(error).collect())?;
        let table = Table::new(table.into_inner());
        Ok(Self {
            root: Section::new(Arc::new(origin), Arc::from(""), 0..0, Arc::new(table)),
        })
    }

    /// The document's outermost table.
    pub fn root(&self) -> &Section {
        &self.root
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document({})", self.root.file().display())
    }
}

/// Reads the file at `path`, up to `bytes_max` bytes.
///
/// # Errors
///
/// Fails if the file is unreadable (see [`ConfigError::is_not_found`]), is not a regular file, or is
/// larger.
pub fn read(path: &MaskedPath, bytes_max: u64) -> Result<Vec<u8>, ConfigError> {
    regular_file::read(path, bytes_max).map_err(|error| ConfigError::unreadable(path.shown(), error))
}

/// Fails if `bytes`, the size of a file, exceeds `bytes_max`.
pub(crate) fn check_size(path: &Path, bytes: u64, bytes_max: u64) -> Result<(), ConfigError> {
    if bytes > bytes_max {
        return Err(ConfigError::of_file(path, format!("is larger than {bytes_max} bytes")));
    }
    Ok(())
}

/// Whether `errors` exceeds [`ERRORS_MAX`], so that a reader can stop early. A hostile file can have
/// millions of errors.
pub(crate) fn enough(errors: &[ConfigError]) -> bool {
    errors.len() > ERRORS_MAX
}

impl Origin {
    /// Replaces the references in `text`, a string of the file.
    fn interpolate<'a>(&self, text: &'a str) -> Result<Interpolated<'a>, InterpolationError> {
        let directory = self.path.parent().unwrap_or(Path::new(""));
        self.environment.interpolate(text, directory)
    }

    /// The text of the file at `span`.
    fn written(&self, span: &Span) -> &str {
        self.text.get(span.clone()).unwrap_or_default()
    }

    /// The error with the number of unknown keys that have no error of their own, if there are any.
    /// `key` is the full path of their table.
    fn more_unknown(&self, unknown: &Unknown<'_>, key: impl FnOnce() -> String) -> Option<ConfigError> {
        let next = unknown.next?;
        let message = format!("and {} more unknown keys", unknown.more);
        Some(self.error(next.key_span.clone(), key(), message))
    }

    /// An error at `span` about the key with the full path `key`.
    fn error(&self, span: Span, key: String, message: String) -> ConfigError {
        ConfigError::at(&self.path, &self.text, span.start, key, message)
    }
}
