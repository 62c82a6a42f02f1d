//! What goes over the socket.

use nexum_core::event::Event;
use nexum_core::limits::Limit;
use nexum_core::loader::ModuleMeta;
use nexum_core::runner::{ModuleStatus, Replaying};
use nexum_core::state::{Attempt, DeadLetter};
use serde::{Deserialize, Serialize};

/// A module, as it is now.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Module {
    pub(crate) name: String,
    pub(crate) version: Option<String>,
    pub(crate) digest: String,
    /// Where it is in its life, in one word.
    pub(crate) stage: String,
    /// Why it is dead, if it is.
    pub(crate) reason: Option<String>,
    pub(crate) handled: u64,
    pub(crate) failed: u64,
    /// Events that became dead letters since the process began.
    pub(crate) dead_letters: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) catching_up: Vec<CatchingUp>,
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

/// A limit of a module, and what its handlers used of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Usage {
    pub(crate) limit: String,
    pub(crate) bound: u64,
    /// In the last handler; none where nothing is counted.
    pub(crate) last: u64,
    /// The most since the process began.
    pub(crate) most: u64,
}

/// An event that a module could not handle.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Letter {
    /// `chain:block:kind`.
    pub(crate) event: String,
    /// The block's hash, in hexadecimal digits.
    pub(crate) block_hash: String,
    pub(crate) attempts: Vec<Attempt>,
    /// The event itself.
    pub(crate) content: Event,
}

/// Why something was not done.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Refused {
    pub(crate) error: String,
}

impl Module {
    pub(crate) fn of(meta: &ModuleMeta, status: &ModuleStatus) -> Self {
        let catching_up: Vec<_> = status.replaying().into_iter().map(CatchingUp::from).collect();
        Self {
            name: meta.name.to_string(),
            version: meta.version.clone(),
            digest: meta.digest.to_string(),
            stage: if catching_up.is_empty() {
                status.stage().name()
            } else {
                "replaying"
            }
            .to_owned(),
            reason: status.reason().map(|reason| reason.to_string()),
            handled: status.handled(),
            failed: status.failed(),
            dead_letters: status.dead_letters(),
            memory_bytes: status.memory_bytes(),
            catching_up,
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

/// Every limit of a module.
pub(crate) fn usages(meta: &ModuleMeta, status: &ModuleStatus) -> Vec<Usage> {
    let consumption = status.consumption();
    let usage = |limit: Limit| Usage {
        limit: limit.name().to_owned(),
        bound: meta.limits[limit],
        last: consumption.last[limit],
        most: consumption.most[limit],
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
