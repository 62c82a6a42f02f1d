//! The operator's file, `engine.toml`, validated.
//!
//! Nothing behind [`Config`] sees raw text. Sections that the core does not know are kept for the capabilities that
//! own them, in [`Config::chains`] and [`Config::sections`].

mod raw;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::document::{self, ConfigError, ConfigErrors, DOCUMENT_BYTES_MAX, Document, Environment, Section};
use crate::limits::{self, Limits};
use crate::names::{Digest, ModuleName};
use crate::query::QueryBounds;
use crate::restart::{Restart, RestartKeys};

/// Where state is kept unless the operator says otherwise.
const STATE_DIR: &str = "./data";
/// The top-level keys that every program of nexum reads: `metrics` by itself, the others through [`Config`].
const KEYS: [&str; 4] = ["engine", "chains", "metrics", "modules"];

/// A validated `engine.toml`.
#[derive(Clone, Debug)]
pub struct Config {
    /// Directory of everything that outlives the process. A relative one is meant from the file's directory; the
    /// default's is the working directory.
    pub state_dir: PathBuf,
    /// The ceiling for every module.
    pub limits: Limits,
    /// How many bytes of memory all modules may have together, if the operator bounds that.
    pub total_memory_bytes: Option<u64>,
    /// How modules' failures are dealt with, unless their manifests say otherwise.
    pub restart: Restart,
    /// How many calls query modules take, and how long these wait.
    pub query: QueryBounds,
    /// Whether instances are taken from a pool.
    pub pooling: Pooling,
    /// `[engine]` as it is written, for keys in it that the program reads itself, such as `log_level`.
    pub engine: Option<Section>,
    /// `[chains.<id>]` by chain id, for the capability that connects to chains.
    pub chains: BTreeMap<u64, Section>,
    /// `[[modules]]`, in the order of the file.
    pub modules: Vec<ModuleConfig>,
    /// Every other top-level table by its key. One that no capability claims is the operator's mistake.
    pub sections: BTreeMap<String, Section>,
}

/// Whether the memory of instances is taken from a pool that is set up at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// Where the machine is large enough for it.
    #[default]
    Auto,
    /// Never.
    Off,
}

/// What ends a module that computes without end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metering {
    /// Its fuel, which is counted as it computes, and then its deadline.
    #[default]
    Fuel,
    /// Its deadline alone: it computes faster, and how far it comes depends on the machine. For modules that the operator trusts.
    Epoch,
}

/// One `[[modules]]` table.
#[derive(Clone)]
pub struct ModuleConfig {
    /// The component's file.
    pub path: PathBuf,
    /// The manifest's file, if it is not the component's sibling.
    pub manifest: Option<PathBuf>,
    /// A name that goes before the manifest's.
    pub name: Option<ModuleName>,
    /// What the component's bytes have to hash to.
    pub digest: Option<Digest>,
    /// What ends it when it computes without end.
    pub metering: Metering,
    /// `[modules.config]`, in the order of the file: it goes before the manifest's `[config]`, key by key.
    pub config: Vec<(String, String)>,
}

impl ModuleConfig {
    /// A module of which nothing is said but where its component is.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            manifest: None,
            name: None,
            digest: None,
            metering: Metering::default(),
            config: Vec::new(),
        }
    }
}

impl Config {
    /// Reads and validates the file at `path`.
    ///
    /// # Errors
    /// Everything that is wrong with it. See [`ConfigErrors::is_not_found`] for a file that is not there.
    pub fn load(path: &Path, environment: &Environment) -> Result<Self, ConfigErrors> {
        Self::parse(path, &document::read(path, DOCUMENT_BYTES_MAX)?, environment)
    }

    /// Validates `bytes`, the content of the file at `path`, whose strings may refer to `environment`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(path: &Path, bytes: &[u8], environment: &Environment) -> Result<Self, ConfigErrors> {
        let document = Document::parse(path, bytes, environment)?;
        let mut reader = Reader {
            directory: path.parent().unwrap_or(Path::new("")),
            errors: Vec::new(),
        };
        let config = reader.config(document.root());
        ConfigErrors::check(reader.errors)?;
        Ok(config)
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
            engine: None,
            chains: BTreeMap::new(),
            modules: Vec::new(),
            sections: BTreeMap::new(),
        }
    }
}

/// Values are left out, because some come from the environment.
impl fmt::Debug for ModuleConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            manifest,
            name,
            digest,
            metering,
            config,
        } = self;
        let keys: Vec<_> = config.iter().map(|(key, _)| key).collect();
        f.debug_struct("ModuleConfig")
            .field("path", path)
            .field("manifest", manifest)
            .field("name", name)
            .field("digest", digest)
            .field("metering", metering)
            .field("config_keys", &keys)
            .finish()
    }
}

/// The most chains. Public lists name about two thousand networks, and one daemon follows a handful.
const CHAINS_MAX: usize = 1_000;

/// Validates a document and goes on after an error, so that the operator sees all of them.
struct Reader<'a> {
    /// What relative paths are relative to.
    directory: &'a Path,
    errors: Vec<ConfigError>,
}

impl Reader<'_> {
    fn config(&mut self, root: &Section) -> Config {
        let mut config = Config::default();
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
                (_, Ok(section)) => {
                    config.sections.insert(key.to_owned(), section);
                }
                ("engine" | "chains" | "metrics", Err(error)) => self.errors.push(error),
                (_, Err(_)) => self.errors.push(root.unknown_key(key, &KEYS)),
            }
        }
        if !root.keys().any(|key| key == "engine") {
            config.state_dir = self.resolve(Path::new(STATE_DIR));
        }
        config
    }

    fn engine(&mut self, section: &Section, config: &mut Config) {
        config.limits = Limits::read(section, &mut self.errors);
        config.total_memory_bytes = limits::read_total_memory(section, &mut self.errors);
        config.restart = Restart::default().with(RestartKeys::read(section, &mut self.errors));
        config.query = QueryBounds::read(section, &mut self.errors);
        let Some(raw) = section.parse_all::<raw::Engine>(&mut self.errors) else {
            return;
        };
        config.state_dir = self.resolve(raw.state_dir.as_deref().unwrap_or(Path::new(STATE_DIR)));
        config.pooling = raw.pooling;
    }

    /// `path` as it is meant in the file, without the `.` in the middle that joining leaves.
    fn resolve(&self, path: &Path) -> PathBuf {
        self.directory.join(path).components().collect()
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
                // One chain has one spelling, so that no two tables are about the same one.
                (Ok(id), Ok(chain)) if id.to_string() == key => {
                    chains.insert(id, chain);
                }
                (_, Ok(chain)) => self.errors.push(
                    chain
                        .error("", "expected a chain id in decimal")
                        .with_hint("for example [chains.1] for mainnet"),
                ),
                (_, Err(error)) => {
                    self.errors
                        .push(error.with_hint("an endpoint belongs to a chain, as in [chains.1]"));
                }
            }
        }
        chains
    }

    fn modules(&mut self, root: &Section) -> Vec<ModuleConfig> {
        let mut modules = Vec::new();
        match root.array_of_tables("modules") {
            Err(error) => self.errors.push(error),
            Ok(sections) => {
                for section in &sections {
                    if document::enough(&self.errors) {
                        break;
                    }
                    modules.extend(self.module(section));
                }
            }
        }
        modules
    }

    fn module(&mut self, section: &Section) -> Option<ModuleConfig> {
        let raw = section.parse_all::<raw::Module>(&mut self.errors);
        let config = match section.section("config") {
            Ok(section) => section
                .map(|section| section.scalars(&mut self.errors))
                .unwrap_or_default(),
            Err(error) => {
                self.errors.push(error);
                Vec::new()
            }
        };
        let raw = raw?;
        for (key, path) in [("path", Some(&raw.path)), ("manifest", raw.manifest.as_ref())] {
            if path.is_some_and(|path| path.as_os_str().is_empty()) {
                self.errors.push(section.error(key, "expected a path"));
            }
        }
        Some(ModuleConfig {
            path: self.resolve(&raw.path),
            manifest: raw.manifest.map(|path| self.resolve(&path)),
            name: raw.name,
            digest: raw.digest,
            metering: raw.metering,
            config,
        })
    }
}
