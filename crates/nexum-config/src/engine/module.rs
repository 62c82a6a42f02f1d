//! The entries for modules.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::document::Location;
use crate::masked_path::MaskedPath;
use crate::names::{Digest, ModuleName};

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
    /// The digest of `[modules.config]` as an operator may see it: a reference to a variable, a file or a credential is as
    /// written, and other secrets are not in it. Zero without the table.
    pub shown_config: Digest,
    /// Whether nexum runs the module. `nexum check` checks a module that is not enabled too.
    pub enabled: bool,
    /// The source of the entry.
    pub source: EntrySource,
    /// Whether the table has errors. Then the fields with an error have their defaults, and the
    /// module is only checked. No module of a valid [`Config`](super::Config) is faulty.
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
            shown_config: Digest::default(),
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
            shown_config: _,
            enabled,
            source: _,
            is_faulty,
        } = self;
        (path, manifest, name, digest) == (&other.path, &other.manifest, &other.name, &other.digest)
            && (metering, reads, config) == (&other.metering, &other.reads, &other.config)
            && (enabled, is_faulty) == (&other.enabled, &other.is_faulty)
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
            shown_config: _,
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
