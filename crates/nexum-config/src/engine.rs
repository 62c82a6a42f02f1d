//! The operator's file, `engine.toml`, validated.
//!
//! No user of [`Config`] sees raw text. [`Config::chains`] and [`Config::sections`] keep the
//! sections that the core does not know, for the capabilities that own them.

mod defaults;
mod raw;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::aliases::File;
use crate::content;
use crate::document::{self, ConfigError, ConfigErrors, DOCUMENT_BYTES_MAX, Document, Environment, Location, Section};
use crate::limits::Limits;
use crate::masked_path::MaskedPath;
use crate::names::{Digest, ModuleName};
use crate::query::QueryBounds;
use crate::restart::{Restart, RestartKeys};

/// The default of `shutdown_deadline_ms`: three times the default deadline of an event, and well below
/// the 90 s after which systemd kills a service that does not stop.
pub const SHUTDOWN_DEADLINE_MS: u64 = 30_000;
/// The range of `shutdown_deadline_ms`, up to an hour: a larger number is a mistake in the unit.
const SHUTDOWN_DEADLINE_MS_RANGE: RangeInclusive<u64> = 0..=3_600_000;
/// The default state directory.
const STATE_DIR: &str = "./data";
/// The top-level keys that every program of nexum reads. A program reads `metrics` itself, and the
/// others through [`Config`].
const KEYS: [&str; 4] = ["engine", "chains", "metrics", "modules"];

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

/// The limit that ends an endless computation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metering {
    /// Fuel, which the guest uses up as it computes, and then the deadline.
    #[default]
    Fuel,
    /// The deadline only. The guest computes faster, but how much it computes depends on the
    /// machine. This is for modules that the operator trusts.
    Epoch,
}

/// The source of an entry for a module.
#[derive(Clone, Debug, Default)]
pub enum EntrySource {
    /// A program that embeds nexum.
    #[default]
    Program,
    /// A `[[modules]]` table.
    File {
        /// The configuration file, as the command line names it.
        path: PathBuf,
        /// The position of the table. The text of the source counts its lines, which takes as long as the
        /// file is.
        table: Location,
    },
    /// The command line of `nexum run`.
    CommandLine,
    /// The command `nexum module load`.
    Operator,
}

impl fmt::Display for EntrySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program => f.write_str("program"),
            Self::File { path, table } => write!(f, "{}:{}", path.display(), table.line()),
            Self::CommandLine => f.write_str("command line"),
            Self::Operator => f.write_str("module load"),
        }
    }
}

impl PartialEq for EntrySource {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Program, Self::Program)
            | (Self::CommandLine, Self::CommandLine)
            | (Self::Operator, Self::Operator) => true,
            (Self::File { .. }, Self::File { .. }) => self.to_string() == other.to_string(),
            _ => false,
        }
    }
}

impl Eq for EntrySource {}

/// One `[[modules]]` table.
#[derive(Clone)]
pub struct ModuleConfig {
    /// The component's file.
    pub path: MaskedPath,
    /// The manifest's file. `None` for the `nexum.toml` or `module.toml` beside the component.
    pub manifest: Option<MaskedPath>,
    /// The module's name, which overrides the manifest's.
    pub name: Option<ModuleName>,
    /// The required digest of the component.
    pub digest: Option<Digest>,
    /// The limit that ends an endless computation of the module.
    pub metering: Metering,
    /// The modules whose rows the module's queries may read.
    pub reads: Vec<ModuleName>,
    /// The table `[modules.config]`, in the order of the file. It overrides the manifest's
    /// `[config]`, key by key.
    pub config: Vec<(String, String)>,
    /// Whether nexum runs the module. `nexum check` checks a module that is not enabled too.
    pub enabled: bool,
    /// The source of the entry.
    pub source: EntrySource,
    /// Whether the table has errors. Then the fields with an error have their defaults, and the
    /// module is only checked. No module of a valid [`Config`] is faulty.
    pub is_faulty: bool,
}

impl ModuleConfig {
    /// A module with this component and defaults for everything else.
    pub fn new(path: impl Into<MaskedPath>) -> Self {
        Self {
            path: path.into(),
            manifest: None,
            name: None,
            digest: None,
            metering: Metering::default(),
            reads: Vec::new(),
            config: Vec::new(),
            enabled: true,
            source: EntrySource::default(),
            is_faulty: false,
        }
    }

    /// Whether nexum runs both entries alike. Ignores their sources.
    pub fn is_like(&self, other: &Self) -> bool {
        let Self {
            path,
            manifest,
            name,
            digest,
            metering,
            reads,
            config,
            enabled,
            source: _,
            is_faulty,
        } = self;
        (path, manifest, name, digest) == (&other.path, &other.manifest, &other.name, &other.digest)
            && (metering, reads, config) == (&other.metering, &other.reads, &other.config)
            && (enabled, is_faulty) == (&other.enabled, &other.is_faulty)
    }
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

/// `Debug` omits the values of `config`, because they can contain environment variables.
impl fmt::Debug for ModuleConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            manifest,
            name,
            digest,
            metering,
            reads,
            config,
            enabled,
            source,
            is_faulty,
        } = self;
        let keys: Vec<_> = config.iter().map(|(key, _)| key).collect();
        f.debug_struct("ModuleConfig")
            .field("path", path)
            .field("manifest", manifest)
            .field("name", name)
            .field("digest", digest)
            .field("metering", metering)
            .field("reads", reads)
            .field("config_keys", &keys)
            .field("enabled", enabled)
            .field("source", source)
            .field("is_faulty", is_faulty)
            .finish()
    }
}

/// The most chains. Public lists name about two thousand networks, and one daemon follows a handful.
const CHAINS_MAX: usize = 1_000;

/// The most tables at the top level for capabilities to read. All capabilities of the contract have
/// about ten.
const SECTIONS_MAX: usize = 100;

/// The most modules, far more than the memory of one machine holds.
const MODULES_MAX: usize = 10_000;

/// Validates a document and continues after an error, so that the operator sees all of them.
struct Reader<'a> {
    /// The file.
    path: &'a Path,
    /// The base of relative paths.
    directory: &'a Path,
    errors: Vec<ConfigError>,
    notices: Vec<ConfigError>,
}

impl Reader<'_> {
    fn config(&mut self, root: &Section) -> Config {
        let mut config = Config::default();
        let mut left_out = 0;
        self.errors.extend(root.without_tables().unknown_keys(&KEYS));
        for (key, section) in root.tables() {
            if document::enough(&self.errors) {
                break;
            }
            match (key, section) {
                ("modules", _) => config.modules = self.modules(root),
                ("engine", Ok(section)) => {
                    self.engine(&section, &mut config);
                    config.engine = Some(section);
                }
                ("chains", Ok(section)) => config.chains = self.chains(&section),
                (content::TABLE, Ok(section)) => content::check(&section, &mut self.errors, &mut self.notices),
                (_, Ok(section)) if config.sections.len() == SECTIONS_MAX => {
                    left_out += 1;
                    if left_out == 1 {
                        let message = format!("more than {SECTIONS_MAX} tables of capabilities");
                        self.errors.push(section.error("", message));
                    }
                }
                (_, Ok(section)) => {
                    config.sections.insert(key.to_owned(), section);
                }
                ("engine" | "chains" | "metrics", Err(error)) => self.errors.push(error),
                // It is among the unknown keys.
                (_, Err(_)) => {}
            }
        }
        if !root.keys().any(|key| key == "engine") {
            config.state_dir = MaskedPath::resolve(self.directory, Path::new(STATE_DIR), None);
        }
        config
    }

    fn engine(&mut self, section: &Section, config: &mut Config) {
        (config.limits, config.total_memory_bytes) = Limits::read(section, &mut self.errors);
        config.restart = Restart::default().with(RestartKeys::read(section, &mut self.errors));
        config.query = QueryBounds::read(section, &mut self.errors);
        let Some(raw) = section.parse_all::<raw::Engine>(&mut self.errors) else {
            return;
        };
        config.state_dir = self.resolve(
            section,
            "state_dir",
            raw.state_dir.as_deref().unwrap_or(Path::new(STATE_DIR)),
        );
        config.pooling = raw.pooling;
        match section.number("shutdown_deadline_ms", &SHUTDOWN_DEADLINE_MS_RANGE) {
            Ok(deadline_ms) => config.shutdown_deadline_ms = deadline_ms.unwrap_or(SHUTDOWN_DEADLINE_MS),
            Err(error) => self.errors.push(error),
        }
    }

    /// Resolves `path`, the value of `key`, against the file's directory.
    fn resolve(&self, section: &Section, key: &str, path: &Path) -> MaskedPath {
        MaskedPath::resolve(self.directory, path, section.written_with_variable(key))
    }

    fn chains(&mut self, section: &Section) -> BTreeMap<u64, Section> {
        let mut chains = BTreeMap::new();
        for (key, chain) in section.tables() {
            if document::enough(&self.errors) {
                break;
            }
            if chains.len() == CHAINS_MAX {
                self.errors
                    .push(section.error("", format!("more than {CHAINS_MAX} chains")));
                break;
            }
            match (key.parse::<u64>(), chain) {
                // A chain id has one spelling, so no two tables describe one chain.
                (Ok(id), Ok(chain)) if id.to_string() == key => {
                    chains.insert(id, chain);
                }
                (_, Ok(chain)) => self.errors.push(
                    chain
                        .error("", "expected a chain id in decimal")
                        .with_hint("use the chain id as the key, for example [chains.1] for mainnet"),
                ),
                (_, Err(error)) => {
                    self.errors
                        .push(error.with_hint("put an endpoint into the table of its chain, for example [chains.1]"));
                }
            }
        }
        chains
    }

    fn modules(&mut self, root: &Section) -> Vec<ModuleConfig> {
        let mut modules = Vec::new();
        let sections = root.array_of_tables("modules", &mut self.errors);
        if let Some(section) = sections.get(MODULES_MAX) {
            self.errors
                .push(section.error("", format!("more than {MODULES_MAX} modules")));
        }
        for section in sections.iter().take(MODULES_MAX) {
            if document::enough(&self.errors) {
                break;
            }
            modules.extend(self.module(section));
        }
        modules
    }

    /// None if the files of the module are unknown.
    fn module(&mut self, section: &Section) -> Option<ModuleConfig> {
        let before = self.errors.len();
        let raw = section.parse_all::<raw::Module>(&mut self.errors)?;
        let config = match section.section("config") {
            Ok(section) => section
                .map(|section| section.texts(&mut self.errors))
                .unwrap_or_default(),
            Err(error) => {
                self.errors.push(error);
                Vec::new()
            }
        };
        let path = section.required("path", raw.path, &mut self.errors);
        let errors = self.errors.get(before..).unwrap_or_default();
        let files_are_known = !section.is_faulty("path", errors) && !section.is_faulty("manifest", errors);
        Some(ModuleConfig {
            path: self.resolve(section, "path", &path?.0),
            manifest: raw.manifest.map(|path| self.resolve(section, "manifest", &path.0)),
            name: raw.name,
            digest: raw.digest,
            metering: raw.metering,
            reads: raw.reads,
            config,
            enabled: raw.enabled.unwrap_or(true),
            source: EntrySource::File {
                path: self.path.to_owned(),
                table: section.location(""),
            },
            is_faulty: !errors.is_empty(),
        })
        .filter(|_| files_are_known)
    }
}
