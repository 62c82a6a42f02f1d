//! The operator's file, `engine.toml`, validated.
//!
//! No user of [`Config`] sees raw text. [`Config::chains`] and [`Config::sections`] keep the
//! sections that the core does not know, for the capabilities that own them.

mod defaults;
mod module;
mod raw;
mod reader;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::aliases::File;
use crate::document::{self, ConfigError, ConfigErrors, DOCUMENT_BYTES_MAX, Document, Environment, Section};
use crate::limits::Limits;
use crate::masked_path::MaskedPath;
use crate::query::QueryBounds;
use crate::restart::Restart;

use self::reader::Reader;

pub use self::module::{EntrySource, Metering, ModuleConfig};

/// The default of `shutdown_deadline_ms`: three times the default deadline of an event, and well below
/// the 90 s after which systemd kills a service that does not stop.
pub const SHUTDOWN_DEADLINE_MS: u64 = 30_000;
/// The default state directory.
const STATE_DIR: &str = "./data";
/// A validated `engine.toml`.
#[derive(Clone, Debug)]
pub struct Config {
    /// Directory of all persistent data. A relative path is relative to the directory of the file.
    /// In the default [`Config`], it is relative to the working directory.
    pub state_dir: MaskedPath,
    /// The upper limits for every module.
    pub limits: Limits,
    /// The upper limit for the memory of all modules together, in bytes. `None` for no limit.
    pub total_memory_bytes: Option<u64>,
    /// The retry policy. A manifest can override it.
    pub restart: Restart,
    /// How many calls each query module accepts, and how long a call waits.
    pub query: QueryBounds,
    /// Whether instance memory comes from a pool.
    pub pooling: Pooling,
    /// The time for a shutdown, in milliseconds. nexum then abandons the events in progress.
    pub shutdown_deadline_ms: u64,
    /// The table `[engine]`, for keys that the program reads itself, such as `log_level`.
    pub engine: Option<Section>,
    /// The tables `[chains.<id>]` by chain id, for the capability that connects to chains.
    pub chains: BTreeMap<u64, Section>,
    /// The tables `[[modules]]`, in the order of the file.
    pub modules: Vec<ModuleConfig>,
    /// Every other top-level table by its key. The caller has to refuse a table that no capability
    /// owns.
    pub sections: BTreeMap<String, Section>,
    /// The whole file, with its old names replaced. `None` for the default [`Config`].
    pub root: Option<Section>,
    /// Remarks for the operator that are no errors, such as old names: one line each, in the order
    /// of the file.
    pub notices: Vec<String>,
}

/// Whether instance memory comes from a pool that nexum reserves at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// A pool if the machine is large enough.
    #[default]
    Auto,
    /// No pool.
    Off,
}

impl Config {
    /// Reads and validates the file at `path`.
    ///
    /// # Errors
    ///
    /// Returns all faults of the file. [`ConfigErrors::is_not_found`] recognises a missing file.
    pub fn load(path: &Path, environment: &Environment) -> Result<Self, ConfigErrors> {
        Self::parse(path, &document::read(&path.into(), DOCUMENT_BYTES_MAX)?, environment)
    }

    /// Reads the file at `path`, and adds its faults to `errors`. The result has the defaults of the
    /// faulty parts. Use it only to find further errors.
    ///
    /// # Errors
    ///
    /// Fails if the file is unreadable or is not TOML. [`ConfigErrors::is_not_found`] recognises a
    /// missing file.
    pub fn load_all(
        path: &Path,
        environment: &Environment,
        errors: &mut Vec<ConfigError>,
    ) -> Result<Self, ConfigErrors> {
        let bytes = document::read(&path.into(), DOCUMENT_BYTES_MAX)?;
        Self::parse_all(path, &bytes, environment, errors)
    }

    /// Validates `bytes`, the content of the file at `path`. Strings may refer to variables of
    /// `environment`.
    ///
    /// # Errors
    ///
    /// Returns all faults of the file.
    pub fn parse(path: &Path, bytes: &[u8], environment: &Environment) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let config = Self::parse_all(path, bytes, environment, &mut errors)?;
        ConfigErrors::check(errors)?;
        Ok(config)
    }

    fn parse_all(
        path: &Path,
        bytes: &[u8],
        environment: &Environment,
        errors: &mut Vec<ConfigError>,
    ) -> Result<Self, ConfigErrors> {
        let mut document = Document::parse(path, bytes, environment)?;
        let notices = document.replace_old_names(File::Engine, errors);
        let mut reader = Reader {
            path,
            directory: path.parent().unwrap_or(Path::new("")),
            errors: Vec::new(),
            notices,
        };
        let config = reader.config(document.root());
        errors.append(&mut reader.errors);
        Ok(Self {
            root: Some(document.root().clone()),
            notices: document::notice_texts(reader.notices),
            ..config
        })
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            state_dir: STATE_DIR.into(),
            limits: Limits::default(),
            total_memory_bytes: None,
            restart: Restart::default(),
            query: QueryBounds::default(),
            pooling: Pooling::default(),
            shutdown_deadline_ms: SHUTDOWN_DEADLINE_MS,
            engine: None,
            chains: BTreeMap::new(),
            modules: Vec::new(),
            sections: BTreeMap::new(),
            root: None,
            notices: Vec::new(),
        }
    }
}
