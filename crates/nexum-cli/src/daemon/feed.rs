//! The log records that `nexum events` shows, as events with a documented form.

use nexum_core::logged;
use serde_json::Value;

use super::levels::CONDITION;
use super::records::Record;
use crate::protocol::events::{EventKind, EventRecord};

/// The target of records about the operator's commands.
pub(super) const AUDIT: &str = "nexum::audit";

/// The names of records about conditions.
pub(super) const CONDITION_BEGAN: &str = "condition_began";
pub(super) const CONDITION_LASTS: &str = "condition_lasts";
pub(super) const CONDITION_ENDED: &str = "condition_ended";

/// The kind of event that a record reports.
pub(super) fn kind_of(record: &Record) -> Option<EventKind> {
    match (&*record.target, record.name) {
        (logged::EVENT, logged::HANDLED) => Some(EventKind::Handled),
        (logged::EVENT, logged::FAILED) => Some(EventKind::Failed),
        (logged::EVENT, logged::DEAD_LETTER) => Some(EventKind::DeadLetter),
        (logged::EVENT, logged::REVERTED) => Some(EventKind::Reverted),
        (logged::STAGE, logged::STAGE_CHANGED) => Some(EventKind::Stage),
        (CONDITION, CONDITION_BEGAN) => Some(EventKind::ConditionBegan),
        (CONDITION, CONDITION_LASTS) => Some(EventKind::ConditionLasts),
        (CONDITION, CONDITION_ENDED) => Some(EventKind::ConditionEnded),
        (AUDIT, _) => Some(EventKind::Command),
        _ => None,
    }
}

/// The event that a record reports.
pub(super) fn event_of(record: &Record) -> Option<EventRecord> {
    let kind = kind_of(record)?;
    let number = |name: &str| record.field(name).and_then(Value::as_u64);
    let word = |name: &str| record.field(name).and_then(Value::as_str).map(str::to_owned);
    let message = || Some(record.message.clone()).filter(|text| !text.is_empty());
    let condition = word("kind").and_then(|word| serde_json::from_value(word.into()).ok());
    Some(EventRecord {
        seq: record.seq,
        at_ms: record.at_ms,
        kind,
        module: record.module.as_deref().map(str::to_owned),
        chain: number("chain"),
        event: record.event.as_deref().map(str::to_owned),
        attempt: number("attempt").or_else(|| number("attempts")),
        attempts_max: number("attempts_max"),
        took_us: number("took_us"),
        fuel: number("fuel"),
        stage: word("stage"),
        since_ms: number("since_ms"),
        condition,
        text: match kind {
            // The kind and the fields say all.
            EventKind::Handled => None,
            EventKind::Stage => word("reason"),
            EventKind::Reverted => number("block").map(|block| format!("back to block {block}")),
            EventKind::Command => Some(command_of(record)),
            _ => message(),
        },
    })
}

/// An operator's command with its other fields, such as `module_stop by uid 1000 pid=7 outcome=ok`.
fn command_of(record: &Record) -> String {
    let word = |name: &str| record.field(name).and_then(Value::as_str).unwrap_or("-");
    let others = record
        .fields
        .iter()
        .filter(|(name, _)| !["by", "command"].contains(&&**name));
    let others = others.map(|(name, value)| match value {
        Value::String(text) => format!(" {name}={text}"),
        value => format!(" {name}={value}"),
    });
    let command = format!("{} by {}", word("command"), word("by"));
    std::iter::once(command).chain(others).collect()
}

#[cfg(test)]
mod tests {
    use nexum_core::logged;
    use tracing::subscriber::with_default;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::super::records::{Capture, Records, Selection};
    use super::*;
    use crate::protocol::conditions::ConditionKind;

    /// The event of the record that `log` makes.
    fn event(log: impl FnOnce()) -> Option<EventRecord> {
        let records = Records::new();
        let subscriber = tracing_subscriber::registry().with(Capture(records.clone()));
        with_default(subscriber, log);
        let all = Selection {
            module: None,
            wants: std::sync::Arc::new(|_| true),
        };
        let (found, _) = records.last(&all, 1);
        let mut event = event_of(&found[0])?;
        (event.seq, event.at_ms) = (0, 0);
        Some(event)
    }

    fn expected(kind: EventKind) -> EventRecord {
        EventRecord {
            seq: 0,
            at_ms: 0,
            kind,
            module: Some("m".to_owned()),
            chain: None,
            event: None,
            attempt: None,
            attempts_max: None,
            took_us: None,
            fuel: None,
            stage: None,
            since_ms: None,
            condition: None,
            text: None,
        }
    }

    #[test]
    fn a_record_with_a_name_is_an_event() {
        let handled = event(|| {
            tracing::debug!(
                name: logged::HANDLED, target: logged::EVENT,
                module = "m", event = %"1:7:block", chain = 1_u64, block = 7, took_us = 421_u64, fuel = 12_u64,
                "event handled"
            );
        });
        let about = EventRecord {
            chain: Some(1),
            event: Some("1:7:block".to_owned()),
            ..expected(EventKind::Handled)
        };
        let found = EventRecord {
            took_us: Some(421),
            fuel: Some(12),
            ..about.clone()
        };
        assert_eq!(handled, Some(found));
        let failed = event(|| {
            tracing::error!(
                name: logged::FAILED, target: logged::EVENT,
                module = "m", handler = "on-event", event = %"1:7:block", chain = 1_u64, attempt = 2, attempts_max = 5, "no"
            );
        });
        let found = EventRecord {
            kind: EventKind::Failed,
            attempt: Some(2),
            attempts_max: Some(5),
            text: Some("no".to_owned()),
            ..about
        };
        assert_eq!(failed, Some(found));
        let stage = event(|| {
            tracing::debug!(
                name: logged::STAGE_CHANGED, target: logged::STAGE,
                module = "m", stage = "dead", reason = "3 failures in a row", since_ms = 7_u64, "the module is dead"
            );
        });
        let found = EventRecord {
            stage: Some("dead".to_owned()),
            since_ms: Some(7),
            text: Some("3 failures in a row".to_owned()),
            ..expected(EventKind::Stage)
        };
        assert_eq!(stage, Some(found));
        let outage = event(|| {
            tracing::debug!(
                name: CONDITION_BEGAN, target: CONDITION, kind = "chain_outage", chain = 1_u64, "nexum cannot follow chain 1"
            );
        });
        let found = EventRecord {
            module: None,
            chain: Some(1),
            condition: Some(ConditionKind::ChainOutage),
            text: Some("nexum cannot follow chain 1".to_owned()),
            ..expected(EventKind::ConditionBegan)
        };
        assert_eq!(outage, Some(found));
        let command = event(|| {
            tracing::info!(target: AUDIT, module = "m", by = "uid 7", pid = 9, command = "module_stop", outcome = "ok", "command");
        });
        let found = EventRecord {
            text: Some("module_stop by uid 7 pid=9 outcome=ok".to_owned()),
            ..expected(EventKind::Command)
        };
        assert_eq!(command, Some(found));
    }

    #[test]
    fn other_records_are_no_events() {
        assert_eq!(
            event(|| tracing::info!(target: logged::EVENT, module = "m", "caught up")),
            None
        );
        assert_eq!(
            event(|| tracing::info!(target: logged::MODULE, module = "m", "handled")),
            None
        );
    }
}
