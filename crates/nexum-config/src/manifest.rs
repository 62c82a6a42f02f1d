//! The module author's file, `nexum.toml`, validated.
//!
//! A manifest may come from someone whom the operator does not trust, so it takes nothing from the environment, and
//! its limits are requests.

mod raw;
mod read;
mod subscription;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use crate::document::{self, ConfigError, ConfigErrors, Document, Environment, Placed, Section};
use crate::engine::ModuleConfig;
use crate::limits::RequestedLimits;
use crate::names::{Digest, ModuleName};
use crate::restart::RestartKeys;
use crate::topic::ChainId;

pub use subscription::{BlockSubscription, CatchUp, CronSubscription, LogSubscription, Missed, Subscription};

/// The manifest's file name, beside the component.
pub const MANIFEST_FILE: &str = "nexum.toml";

/// The largest manifest: room for [`SUBSCRIPTIONS_MAX`] subscriptions and as many settings.
pub const MANIFEST_BYTES_MAX: u64 = 256 << 10;
/// The most subscriptions of one module. Each is matched against every event of its chain.
pub const SUBSCRIPTIONS_MAX: usize = 1_000;
/// The most schedules of one module: to find out that the time of one never comes takes a tenth of a second.
pub const SCHEDULES_MAX: usize = 32;
/// The most addresses of one subscription: as many as large providers take in one `eth_getLogs`.
pub const ADDRESSES_MAX: usize = 1_000;
/// The most values in one position of `topics`.
pub const TOPIC_VALUES_MAX: usize = 1_000;
/// The most confirmations: more than the recent blocks that are held for those who wait.
pub const CONFIRMATIONS_MAX: u64 = 1_000;
/// The longest version, in characters: the longest that people write is a tag with a commit's hash.
pub const VERSION_CHARS_MAX: usize = 64;

/// A validated `nexum.toml`. The default is that of a module that has none.
#[derive(Clone, Default)]
pub struct Manifest {
    /// The module's name, unless the operator gives it another.
    pub name: Option<ModuleName>,
    /// The module's version, for people.
    pub version: Option<String>,
    /// The SHA-256 of the file; none where there is no file.
    pub digest: Option<Digest>,
    /// What the component's bytes have to hash to.
    pub component: Option<Digest>,
    /// What the module asks for of its limits.
    pub requested_limits: RequestedLimits,
    /// How the module's failures are dealt with, where the author has a say.
    pub restart: RestartKeys,
    /// How many instances a query module wants at the most. None: as many as the operator allows.
    pub pool_size_max: Option<u32>,
    /// The chains that the module works with.
    pub chains: ChainRequests,
    /// `[module.<name>]` of capabilities, for the capability to read, whether or not [`Self::capabilities`] lists it.
    pub settings: BTreeMap<String, Section>,
    /// The capabilities that the module asks for. None: every import of the component is required.
    pub capabilities: Option<CapabilityRequests>,
    /// The events that the module gets.
    pub subscriptions: Vec<Subscription>,
    /// What the module's `init` is given, in the order of the file.
    pub config: Vec<(String, String)>,
}

/// The chains that a module works with. No chain is in both sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChainRequests {
    /// Chains without which the module refuses to load. Without a `[chains]` table, those it subscribes to.
    pub required: BTreeSet<u64>,
    /// Chains that the module uses where the operator configured them.
    pub optional: BTreeSet<u64>,
}

/// The capabilities that a module asks for. No name is listed twice. That the names mean something is for those to
/// check who know the build; each has its place for that.
#[derive(Clone, Debug, Default)]
pub struct CapabilityRequests {
    /// Capabilities without which the module refuses to load.
    pub required: Vec<Placed<String>>,
    /// Capabilities that the module can do without.
    pub optional: Vec<Placed<String>>,
    /// Capabilities that the module must not have, whatever it imports.
    pub denied: Vec<Placed<String>>,
    /// `[capabilities.<name>]` of those that are required or optional, for the capability to read.
    pub settings: BTreeMap<String, Section>,
}

impl Manifest {
    /// Reads and validates the file at `path`.
    ///
    /// # Errors
    /// Everything that is wrong with it. See [`ConfigErrors::is_not_found`] for a file that is not there.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        Self::parse(path, &document::read(path, MANIFEST_BYTES_MAX)?)
    }

    /// Reads and validates the file that the operator names, or the one beside the component if there is one.
    ///
    /// # Errors
    /// Everything that is wrong with it, and that a file which was named is not there.
    pub fn of_module(config: &ModuleConfig) -> Result<Option<Self>, ConfigErrors> {
        let beside = || config.path.with_file_name(MANIFEST_FILE);
        let path = config.manifest.clone().unwrap_or_else(beside);
        match Self::load(&path) {
            Ok(manifest) => Ok(Some(manifest)),
            Err(errors) if config.manifest.is_none() && errors.is_not_found() => Ok(None),
            Err(errors) => Err(errors),
        }
    }

    /// The chains that the module cannot be without and that are not among the `configured` ones.
    pub fn missing_chains(&self, configured: &BTreeSet<ChainId>) -> BTreeSet<ChainId> {
        let subscribed = self.subscriptions.iter().filter_map(Subscription::chain_id);
        let needed = subscribed.filter(|chain_id| !self.chains.optional.contains(chain_id));
        let needed = self.chains.required.iter().copied().chain(needed);
        needed.filter(|chain_id| !configured.contains(chain_id)).collect()
    }

    /// Validates `bytes`, the content of the file at `path`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, ConfigErrors> {
        document::check_size(path, bytes.len() as u64, MANIFEST_BYTES_MAX)?;
        let document = Document::parse(path, bytes, &Environment::closed())?;
        let manifest = read::manifest(document.root())?;
        Ok(Self {
            digest: Some(Digest::of(bytes)),
            ..manifest
        })
    }
}

impl CapabilityRequests {
    /// An error for each name that `is_known` does not know, with the nearest of the `known` ones.
    pub fn unknown<'a>(
        &self,
        is_known: impl Fn(&str) -> bool,
        known: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Vec<ConfigError> {
        let names = self.required.iter().chain(&self.optional).chain(&self.denied);
        let error = |name: &Placed<String>| {
            let error = name.place.error("there is no such capability");
            error.with_nearest(&name.value, known.clone())
        };
        names.filter(|name| !is_known(&name.value)).map(error).collect()
    }
}

/// The values of `config` are left out: they may be long, and are the module's own.
impl fmt::Debug for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            version,
            digest,
            component,
            requested_limits,
            restart,
            pool_size_max,
            chains,
            settings,
            capabilities,
            subscriptions,
            config,
        } = self;
        let keys: Vec<_> = config.iter().map(|(key, _)| key).collect();
        f.debug_struct("Manifest")
            .field("name", name)
            .field("version", version)
            .field("digest", digest)
            .field("component", component)
            .field("requested_limits", requested_limits)
            .field("restart", restart)
            .field("pool_size_max", pool_size_max)
            .field("chains", chains)
            .field("settings", settings)
            .field("capabilities", capabilities)
            .field("subscriptions", subscriptions)
            .field("config_keys", &keys)
            .finish()
    }
}
