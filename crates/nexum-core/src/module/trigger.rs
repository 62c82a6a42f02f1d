//! The adapter for trigger modules: it delivers an event as triggers of `nexum:host@0.1.0`.
//!
//! All calls of one event share its transaction, its budgets and its deadline. The first call that
//! fails fails the event, and nexum rolls back the writes of the earlier calls too.

use wasmtime::Store;

use crate::bindings::nexum::host::types::{Block, Config, HostError, HostErrorKind};
use crate::bindings::trigger::TriggerModule;
use crate::bindings::trigger::nexum::host::types::{self, Fault, ScheduleTick, Trigger};
use crate::capability::HostState;
use crate::event::{Event, EventId, Log};

/// The message of an error that the module returned as a fault without a text.
const NO_TEXT: &str = "the fault has no text";

/// Calls `init`.
pub(super) async fn init(
    exports: &TriggerModule,
    store: &mut Store<HostState>,
    config: &Config,
) -> wasmtime::Result<Result<(), HostError>> {
    let result = exports.call_init(store, config).await?;
    Ok(result.map_err(|fault| fault.returned_by("init")))
}

/// Calls `on-trigger`: once for each log, in order, and once for another event.
pub(super) async fn on_event(
    exports: &TriggerModule,
    store: &mut Store<HostState>,
    id: EventId,
    event: &Event,
) -> wasmtime::Result<Result<(), HostError>> {
    let mut call = async |trigger| {
        let result = exports.call_on_trigger(&mut *store, &trigger).await?;
        Ok(result.map_err(|fault| fault.returned_by("on-trigger")))
    };
    match event {
        Event::Block(block) => call(Trigger::Block(block.into())).await,
        Event::Tick(tick) => {
            let fired_at = tick.fired_at;
            call(Trigger::Schedule(ScheduleTick { fired_at })).await
        }
        Event::Logs(logs) => {
            for log in logs {
                let result = call(Trigger::Event(delivered(log, id))).await?;
                if result.is_err() {
                    return Ok(result);
                }
            }
            Ok(Ok(()))
        }
        // nexum delivers no messages.
        Event::Message(_) => Ok(Ok(())),
    }
}

impl From<&Block> for types::Block {
    fn from(block: &Block) -> Self {
        Self {
            chain_id: block.chain_id,
            number: block.number,
            hash: block.hash.clone(),
            timestamp: block.timestamp,
        }
    }
}

/// A log of the event. The log is never a removed one: nexum reverts the module's state instead.
fn delivered(log: &Log, id: EventId) -> types::Log {
    types::Log {
        chain_id: log.chain_id,
        address: log.address.clone(),
        topics: log.topics.clone(),
        data: log.data.clone(),
        block_hash: Some(id.position.hash.to_vec()),
        block_number: Some(log.block_number),
        block_timestamp: None,
        transaction_hash: Some(log.transaction_hash.clone()),
        transaction_index: None,
        log_index: Some(log.log_index.into()),
        removed: false,
    }
}

impl Fault {
    /// The error of a module whose function `export` returned this fault.
    fn returned_by(self, export: &str) -> HostError {
        let (kind, message) = match self {
            Self::Unsupported(message) => (HostErrorKind::Unsupported, message),
            Self::Unavailable(message) => (HostErrorKind::Unavailable, message),
            Self::Denied(message) => (HostErrorKind::Denied, message),
            Self::RateLimited => (HostErrorKind::RateLimited, NO_TEXT.to_owned()),
            Self::Timeout => (HostErrorKind::Timeout, NO_TEXT.to_owned()),
            Self::InvalidInput(message) => (HostErrorKind::InvalidInput, message),
            Self::Internal(message) => (HostErrorKind::Internal, message),
        };
        HostError::new(export, kind, message)
    }
}

/// The fault that a trigger module sees. Two of the kinds have no text.
impl From<HostError> for Fault {
    fn from(error: HostError) -> Self {
        match error.kind {
            HostErrorKind::Unsupported => Self::Unsupported(error.message),
            HostErrorKind::Unavailable => Self::Unavailable(error.message),
            HostErrorKind::Denied => Self::Denied(error.message),
            HostErrorKind::RateLimited => Self::RateLimited,
            HostErrorKind::Timeout => Self::Timeout,
            HostErrorKind::InvalidInput => Self::InvalidInput(error.message),
            HostErrorKind::Internal => Self::Internal(error.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_fault_and_comes_back() {
        let text = || "why".to_owned();
        let table = [
            (HostErrorKind::Unsupported, Fault::Unsupported(text())),
            (HostErrorKind::Unavailable, Fault::Unavailable(text())),
            (HostErrorKind::Denied, Fault::Denied(text())),
            (HostErrorKind::RateLimited, Fault::RateLimited),
            (HostErrorKind::Timeout, Fault::Timeout),
            (HostErrorKind::InvalidInput, Fault::InvalidInput(text())),
            (HostErrorKind::Internal, Fault::Internal(text())),
        ];
        for (kind, fault) in table {
            assert_eq!(Fault::from(HostError::new("chain", kind, "why")), fault);
            let has_text = !matches!(fault, Fault::RateLimited | Fault::Timeout);
            let expected = HostError::new("init", kind, if has_text { "why" } else { NO_TEXT });
            assert_eq!(fault.returned_by("init"), expected);
        }
    }
}
