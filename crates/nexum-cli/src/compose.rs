//! Puts this build's capabilities together. Only this file and those below it name capabilities.

#[cfg(not(all(
    feature = "cow",
    feature = "http",
    feature = "identity",
    feature = "store",
    feature = "tx"
)))]
mod absent;
#[cfg(feature = "chain")]
mod chain;
#[cfg(feature = "cow")]
mod cow;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "identity")]
mod identity;
#[cfg(feature = "store")]
mod store;
#[cfg(feature = "tx")]
mod tx;
#[cfg(not(feature = "chain"))]
mod without_chain;
#[cfg(not(feature = "identity"))]
mod without_identity;
#[cfg(not(feature = "tx"))]
mod without_tx;

use std::sync::Arc;

use nexum_config::document::{ConfigError, ConfigErrors, Defaults, Section};
use nexum_config::engine::Config;
use nexum_core::capability::{Capabilities, ChainMethods};
use nexum_core::clock::Seams;
use nexum_core::{Extension, HostBuilder};
use nexum_store::cluster::ClusterConfig;
use nexum_store::{Backend, StoreConfig};
use serde::Serialize;

use crate::configure::{self, EffectsConfig, LedgerConfig};
use crate::contract::{
    ACCOUNTS_SECTION, ADMIN_SECTION, CLUSTER_SECTION, EFFECTS_SECTION, IDENTITY, LEDGER_SECTION, METRICS_SECTION,
    NOTIFY_SECTION, QUERY_SECTION, STORE_SECTION, Served, TX_SECTION, contract,
};
use crate::report::findings::Finding;

#[cfg(not(feature = "cow"))]
use absent as cow;
#[cfg(not(feature = "http"))]
use absent as http;
#[cfg(not(feature = "store"))]
use absent as store;
#[cfg(not(feature = "chain"))]
use without_chain as chain;
#[cfg(not(feature = "identity"))]
use without_identity as identity;
#[cfg(not(feature = "tx"))]
use without_tx as tx;

#[cfg(feature = "identity")]
pub(crate) use identity::accounts;

pub(crate) use chain::{InUse as ChainsInUse, Prepared as PreparedChains};
pub(crate) use identity::Known as KnownAccounts;
pub(crate) use tx::InUse as TransactionsInUse;

/// The parts of this build, with a configuration.
pub(crate) struct Composition {
    /// A host with the capabilities and the sources.
    pub(crate) host: HostBuilder,
    /// The `[store]` section. Every build has durable cursors, even without the capability `store`.
    pub(crate) store: StoreConfig,
    /// The `[cluster]` section. `None` if this process runs all modules.
    pub(crate) cluster: Option<ClusterConfig>,
    /// The `[ledger]` section.
    pub(crate) ledger: LedgerConfig,
    /// Warnings about the sections.
    pub(crate) warnings: Vec<String>,
    /// The facts that an operator can compare with other sources.
    pub(crate) facts: Vec<Fact>,
    /// The chains, for a reload of the configuration.
    pub(crate) chains: ChainsInUse,
    /// The accounts, for the operator.
    pub(crate) accounts: KnownAccounts,
    /// The transactions, for the operator.
    pub(crate) transactions: TransactionsInUse,
    /// The methods of `chain.request` that other capabilities answer.
    methods: Vec<Arc<dyn ChainMethods>>,
}

/// A sentence of a capability about its configuration, for the operator.
#[derive(Serialize)]
pub(crate) struct Fact {
    /// The capability whose modules it concerns.
    pub(crate) capability: &'static str,
    /// The only module that it concerns, whatever its capabilities.
    #[serde(skip)]
    pub(crate) module: Option<String>,
    pub(crate) text: String,
}

impl Composition {
    #[cfg_attr(
        not(any(
            feature = "chain",
            feature = "cow",
            feature = "http",
            feature = "identity",
            feature = "store"
        )),
        allow(dead_code, reason = "a build without capabilities adds none")
    )]
    fn add(&mut self, extension: impl Extension) {
        self.host = std::mem::take(&mut self.host).with(extension);
    }
}

/// Builds the capabilities from their sections of the configuration, with this time and entropy for modules. Does not
/// use the network. Adds
/// to `errors` all errors in the sections, and one for every section that this build does not read.
/// A capability with a faulty section has its defaults.
pub(crate) fn compose(config: &Config, seams: Seams, errors: &mut Vec<ConfigError>) -> Composition {
    let mut composition = Composition {
        host: HostBuilder::new(seams),
        store: StoreConfig::default(),
        cluster: None,
        ledger: read(config, LEDGER_SECTION, LedgerConfig::from_section, errors),
        warnings: Vec::new(),
        facts: Vec::new(),
        chains: ChainsInUse::default(),
        accounts: KnownAccounts::default(),
        transactions: TransactionsInUse::default(),
        methods: Vec::new(),
    };
    composition.store.policy.effects_keep = read(config, EFFECTS_SECTION, EffectsConfig::from_section, errors).keep;
    for add in [chain::read, cow::add, http::add, identity::add, store::add, tx::add] {
        add(config, &mut composition, errors);
    }
    chain::add(&mut composition);
    let known = errors.len();
    let effects_keep = composition.store.policy.effects_keep;
    composition.store = read(config, STORE_SECTION, StoreConfig::from_section, errors);
    composition.store.policy.effects_keep = effects_keep;
    let store = (errors.len() == known).then_some(&composition.store);
    composition.cluster = configure::cluster(config, store, errors);
    composition.host = contract().fold(composition.host, |host, (name, interfaces, served)| match served {
        Served::By(feature) => host.absent(name, interfaces, feature),
        Served::Unserved(empty) => host.unserved(name, interfaces, empty),
    });
    errors.extend(unclaimed(config, composition.host.capabilities()));
    composition
}

/// Reads the `[store]` section alone, for a command that opens the state.
///
/// # Errors
///
/// All errors in the section.
pub(crate) fn store_config(config: &Config) -> Result<StoreConfig, ConfigErrors> {
    let section = config.sections.get(STORE_SECTION);
    Ok(section.map(StoreConfig::from_section).transpose()?.unwrap_or_default())
}

/// Probes every endpoint of the configured chains, and compares the clock with their heads.
pub(crate) async fn probe(config: &Config) -> Vec<Finding> {
    chain::probe(config).await
}

/// Reads an optional section. Adds its errors to `errors`.
fn read<T: Default>(
    config: &Config,
    name: &str,
    from_section: fn(&Section) -> Result<T, ConfigErrors>,
    errors: &mut Vec<ConfigError>,
) -> T {
    configure::read(config.sections.get(name), from_section, errors)
}

/// A warning for each table `[identity.<module>]` whose module is none of these.
pub(crate) fn tables_of_other_modules(config: &Config, modules: &[String]) -> Vec<String> {
    let Some(section) = config.sections.get(IDENTITY) else {
        return Vec::new();
    };
    let others = section
        .keys()
        .filter(|name| !modules.iter().any(|module| module == name));
    let warning = |name| {
        let error = section.error(name, "no module has this name");
        error.with_nearest(name, modules.iter().map(String::as_str)).to_string()
    };
    others.map(warning).collect()
}

/// An error for each section that no capability of this build has claimed.
fn unclaimed(config: &Config, capabilities: &Capabilities) -> Vec<ConfigError> {
    let error = |(name, section): (&String, &Section)| {
        let location = section.location("");
        let name = match name.as_str() {
            ACCOUNTS_SECTION => IDENTITY,
            name => name,
        };
        if name == TX_SECTION {
            let error = location.error("this build sends no transactions");
            return error.with_hint("build nexum with `--features tx`");
        }
        match capabilities.missing_feature(name) {
            Some(Some(feature)) => location
                .error(format!("this build lacks the capability `{name}`"))
                .with_hint(format!("build nexum with `--features {feature}`")),
            Some(None) => location.error(format!("no build of this version has the capability `{name}`")),
            None => location.error("unknown section").with_nearest(
                name,
                [
                    "engine",
                    "chains",
                    ADMIN_SECTION,
                    CLUSTER_SECTION,
                    EFFECTS_SECTION,
                    LEDGER_SECTION,
                    METRICS_SECTION,
                    "modules",
                    NOTIFY_SECTION,
                    QUERY_SECTION,
                    TX_SECTION,
                ],
            ),
        }
    };
    let claimed = [
        cow::SECTIONS,
        http::SECTIONS,
        identity::SECTIONS,
        tx::SECTIONS,
        &[
            ADMIN_SECTION,
            CLUSTER_SECTION,
            EFFECTS_SECTION,
            LEDGER_SECTION,
            METRICS_SECTION,
            NOTIFY_SECTION,
            QUERY_SECTION,
            STORE_SECTION,
        ],
    ]
    .concat();
    let is_claimed = |name: &str| claimed.contains(&name);
    let unclaimed = config.sections.iter().filter(|(name, _)| !is_claimed(name));
    unclaimed.map(error).collect()
}

/// The features that add signers to those of the capability `identity`.
#[cfg(feature = "identity-aws")]
const IDENTITY_AWS: &[&str] = &["identity-aws"];
#[cfg(not(feature = "identity-aws"))]
const IDENTITY_AWS: &[&str] = &[];
#[cfg(feature = "identity-gcp")]
const IDENTITY_GCP: &[&str] = &["identity-gcp"];
#[cfg(not(feature = "identity-gcp"))]
const IDENTITY_GCP: &[&str] = &[];

/// The features that add back-ends of the state to the one in every build.
#[cfg(feature = "store-postgres")]
const POSTGRES: &[&str] = &["store-postgres"];
#[cfg(not(feature = "store-postgres"))]
const POSTGRES: &[&str] = &[];
#[cfg(feature = "store-postgres")]
const DESCRIBE_CLUSTER_METRICS: fn() = nexum_store::cluster::describe_metrics;
#[cfg(not(feature = "store-postgres"))]
const DESCRIBE_CLUSTER_METRICS: fn() = || {};
#[cfg(feature = "store-fjall")]
const FJALL: &[&str] = &["store-fjall"];
#[cfg(not(feature = "store-fjall"))]
const FJALL: &[&str] = &[];
#[cfg(feature = "store-sled")]
const SLED: &[&str] = &["store-sled"];
#[cfg(not(feature = "store-sled"))]
const SLED: &[&str] = &[];

/// The feature of the view in a terminal.
#[cfg(feature = "top")]
const TOP: &[&str] = &["top"];
#[cfg(not(feature = "top"))]
const TOP: &[&str] = &[];

/// The feature of traces over OTLP.
#[cfg(feature = "otel")]
const OTEL: &[&str] = &["otel"];
#[cfg(not(feature = "otel"))]
const OTEL: &[&str] = &[];

/// Log targets of libraries that log paths, which can contain the content of a variable: of the cache
/// of compiled components, of `--watch`, and of the state.
const PATH_LOG_TARGETS: &[&str] = &["wasmtime_internal_cache", "notify", "fjall", "lsm_tree", "sled"];

/// Log targets of the database's client, which logs the values of rows.
const DATABASE_LOG_TARGETS: &[&str] = &["tokio_postgres"];

/// Log targets of the HTTP client that sends notifications to a URL, which may contain a key.
const CLIENT_LOG_TARGETS: &[&str] = &["h2", "hyper", "reqwest", "rustls", "tower"];

/// Log targets of libraries that log addresses of endpoints with their keys, or paths. They must be
/// off at every log level.
pub(crate) fn silenced_log_targets() -> impl Iterator<Item = &'static str> {
    let targets = [
        PATH_LOG_TARGETS,
        DATABASE_LOG_TARGETS,
        CLIENT_LOG_TARGETS,
        chain::SILENCED_LOG_TARGETS,
        cow::SILENCED_LOG_TARGETS,
        http::SILENCED_LOG_TARGETS,
        identity::SILENCED_LOG_TARGETS,
    ];
    targets.into_iter().flatten().copied()
}

/// The default values of the keys in the tables of a capability.
type DefaultTables = fn() -> Vec<(&'static str, Defaults)>;

/// The default values of the keys in the tables of this build's capabilities, and of a back-end.
pub(crate) fn defaults(backend: Backend) -> impl Iterator<Item = (&'static str, Defaults)> {
    let tables = [
        chain::DEFAULTS,
        cow::DEFAULTS,
        http::DEFAULTS,
        identity::DEFAULTS,
        tx::DEFAULTS,
    ];
    let tables = tables.into_iter().flat_map(|defaults| defaults());
    let store = StoreConfig::defaults(backend).into_iter();
    store
        .chain(tables)
        .chain([(CLUSTER_SECTION, ClusterConfig::defaults())])
}

/// Describes the metrics of the capabilities to the recorder.
pub(crate) fn describe_metrics() {
    for describe in [
        chain::DESCRIBE_METRICS,
        cow::DESCRIBE_METRICS,
        http::DESCRIBE_METRICS,
        identity::DESCRIBE_METRICS,
        tx::DESCRIBE_METRICS,
        DESCRIBE_CLUSTER_METRICS,
    ] {
        describe();
    }
}

/// The features of this build: the commands for authors, its capabilities, and the back-ends of its state.
pub(crate) fn features() -> Vec<&'static str> {
    [
        AUTHOR,
        &["runtime"],
        chain::FEATURES,
        cow::FEATURES,
        http::FEATURES,
        identity::FEATURES,
        IDENTITY_AWS,
        IDENTITY_GCP,
        store::FEATURES,
        tx::FEATURES,
        FJALL,
        POSTGRES,
        SLED,
        TOP,
        OTEL,
    ]
    .concat()
}

#[cfg(feature = "author")]
const AUTHOR: &[&str] = &["author"];
#[cfg(not(feature = "author"))]
const AUTHOR: &[&str] = &[];

/// The version, with the features of this build.
pub(crate) fn version() -> String {
    format!("{} (features: {})", env!("CARGO_PKG_VERSION"), features().join(", "))
}
