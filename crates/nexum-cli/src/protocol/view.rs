//! What goes over the socket.

use std::collections::BTreeMap;
use std::path::PathBuf;

use nexum_config::engine::{Metering, ModuleConfig};
use nexum_config::limits::Limit;
use nexum_config::names::ModuleName;
use nexum_config::topic::ChainId;
use nexum_core::QueryPool;
use nexum_core::capability::ModuleMeta;
use nexum_core::module::Consumption;
use nexum_core::source::Event;
use nexum_core::state::{Attempt, DeadLetter};
use nexum_core::{LoadingModule, ModuleStatus, Replaying};
use serde::{Deserialize, Serialize};

use crate::report::time;

/// The stage of a module that nexum compiles or starts.
pub(crate) const LOADING: &str = "loading";
/// The stage of a module that nexum refused at the start.
const REFUSED: &str = "refused";
/// Where one is that answers queries.
const SERVING: &str = "serving";

/// A module, as it is now.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Module {
    pub(crate) name: String,
    pub(crate) version: Option<String>,
    /// The component's file.
    pub(crate) path: PathBuf,
    pub(crate) digest: String,
    pub(crate) capabilities: Vec<String>,
    pub(crate) subscriptions: Vec<String>,
    /// Where it is in its life, in one word.
    pub(crate) stage: String,
    /// Why it is dead or not loaded yet, or what is wrong with a chain that it requires.
    pub(crate) reason: Option<String>,
    pub(crate) handled: u64,
    pub(crate) failed: u64,
    pub(crate) dead_letters: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) catching_up: Vec<CatchingUp>,
    /// What there is of a module that answers queries, in place of subscriptions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) queries: Option<Queries>,
}

/// The calls of a module that answers queries.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Queries {
    pub(crate) in_flight: usize,
    pub(crate) waiting: usize,
    /// Instances that wait for a call.
    pub(crate) idle: usize,
    pub(crate) pool_size_max: u32,
    /// Calls that were not taken.
    pub(crate) refused: u64,
}

/// How far a module has come with what it missed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CatchingUp {
    /// The chain, and how settled its blocks have to be.
    pub(crate) chain: String,
    pub(crate) from: u64,
    pub(crate) at: u64,
    pub(crate) to: u64,
}

/// A module to be loaded.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Load {
    /// The component's file, absolute.
    pub(crate) path: PathBuf,
    /// Its manifest, absolute, if that is not beside it.
    #[serde(default)]
    pub(crate) manifest: Option<PathBuf>,
    /// A name in place of the manifest's.
    #[serde(default)]
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) metering: Metering,
}

/// A limit of a module, and what its handlers used of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Usage {
    pub(crate) limit: String,
    pub(crate) bound: u64,
    /// The use by the last handler. None for a limit whose use is not measured.
    pub(crate) last: Option<u64>,
    /// The highest use in the ten to twenty minutes up to the last handler. None for a limit whose use is not measured.
    pub(crate) most: Option<u64>,
}

/// An event that a module could not handle.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Letter {
    /// Its name.
    pub(crate) event: String,
    /// The block's hash, in hexadecimal digits.
    pub(crate) block_hash: String,
    pub(crate) attempts: Vec<Attempt>,
    /// The event itself.
    pub(crate) content: Event,
}

impl Module {
    /// `troubled`: the chains that do not go on, and why.
    pub(crate) fn of(status: &ModuleStatus, troubled: &BTreeMap<ChainId, String>) -> Self {
        let catching_up: Vec<_> = status.replaying().into_iter().map(CatchingUp::from).collect();
        let module = status.module();
        let meta = &module.meta;
        let of_chain = || {
            let (chain_id, reason) = module
                .required_chains
                .iter()
                .find_map(|id| troubled.get_key_value(id))?;
            Some(format!("chain {chain_id}: {reason}"))
        };
        Self {
            name: status.name().to_string(),
            version: meta.version.clone(),
            path: module.origin.path.clone(),
            digest: meta.digest.to_string(),
            capabilities: module.grant().names().map(str::to_owned).collect(),
            subscriptions: module.subscriptions.iter().map(ToString::to_string).collect(),
            stage: status.stage().to_string(),
            reason: status.reason().map(|reason| reason.to_string()).or_else(of_chain),
            handled: status.handled(),
            failed: status.failed(),
            dead_letters: status.dead_letters(),
            memory_bytes: status.memory_bytes(),
            catching_up,
            queries: None,
        }
    }

    /// A module that nexum is loading.
    pub(crate) fn of_loading(loading: &LoadingModule) -> Self {
        let LoadingModule { origin, meta, .. } = loading;
        Self {
            version: meta.version.clone(),
            digest: meta.digest.to_string(),
            reason: Some(why_loading(loading)),
            ..Self::idle(meta.name.to_string(), origin.path.clone(), LOADING)
        }
    }

    /// A module that nexum refused at the start. Its name is unknown: the file stands for it.
    pub(crate) fn of_refused(path: PathBuf, reason: String) -> Self {
        Self {
            reason: Some(reason),
            ..Self::idle(path.display().to_string(), path, REFUSED)
        }
    }

    /// A module that has done nothing.
    fn idle(name: String, path: PathBuf, stage: &str) -> Self {
        Self {
            name,
            version: None,
            path,
            digest: String::new(),
            capabilities: Vec::new(),
            subscriptions: Vec::new(),
            stage: stage.to_owned(),
            reason: None,
            handled: 0,
            failed: 0,
            dead_letters: 0,
            memory_bytes: 0,
            catching_up: Vec::new(),
            queries: None,
        }
    }

    pub(crate) fn of_queries(pool: &QueryPool) -> Self {
        let module = pool.module();
        let meta = &module.meta;
        Self {
            name: pool.name().to_string(),
            version: meta.version.clone(),
            path: module.origin.path.clone(),
            digest: meta.digest.to_string(),
            capabilities: module.grant().names().map(str::to_owned).collect(),
            subscriptions: Vec::new(),
            stage: SERVING.to_owned(),
            reason: None,
            handled: pool.handled(),
            failed: pool.failed(),
            dead_letters: 0,
            memory_bytes: pool.memory_bytes(),
            catching_up: Vec::new(),
            queries: Some(Queries {
                in_flight: pool.in_flight(),
                waiting: pool.waiting(),
                idle: pool.idle(),
                pool_size_max: module.bounds.pool_size_max,
                refused: pool.refused(),
            }),
        }
    }
}

impl From<Replaying> for CatchingUp {
    fn from(replaying: Replaying) -> Self {
        Self {
            chain: replaying.topic.to_string(),
            from: replaying.from,
            at: replaying.at,
            to: replaying.to,
        }
    }
}

impl Load {
    /// # Errors
    ///
    /// When the name is none.
    pub(crate) fn config(self) -> Result<ModuleConfig, nexum_config::names::ModuleNameError> {
        let name: Option<ModuleName> = self.name.map(|name| name.parse()).transpose()?;
        Ok(ModuleConfig {
            manifest: self.manifest,
            name,
            metering: self.metering,
            ..ModuleConfig::new(self.path)
        })
    }
}

/// Why a module is not loaded yet, and since when nexum loads it.
pub(crate) fn why_loading(loading: &LoadingModule) -> String {
    let since = time(loading.since_ms);
    match loading.is_compiled {
        true => format!("since {since}, compiled, not started yet"),
        false => format!(
            "since {since}, component of {} bytes not compiled yet",
            loading.component_bytes
        ),
    }
}

/// Every limit of a module, and what was used of it.
pub(crate) fn usages(meta: &ModuleMeta, consumption: &Consumption) -> Vec<Usage> {
    let most = consumption.most();
    let usage = |limit: Limit| {
        let is_measured = match limit {
            Limit::Fuel => meta.metering == Metering::Fuel,
            limit => limit.is_measured(),
        };
        Usage {
            limit: limit.name().to_owned(),
            bound: meta.limits[limit],
            last: is_measured.then(|| consumption.last()[limit]),
            most: is_measured.then(|| most[limit]),
        }
    };
    Limit::all().map(usage).collect()
}

impl From<DeadLetter> for Letter {
    fn from(letter: DeadLetter) -> Self {
        let hash = letter.id.position.hash.iter().map(|byte| format!("{byte:02x}"));
        Self {
            event: letter.id.to_string(),
            block_hash: format!("0x{}", hash.collect::<String>()),
            attempts: letter.attempts,
            content: letter.event,
        }
    }
}
