//! Entries for tests.

use std::sync::Arc;

use nexum_core::capability::HostCallKind;
use nexum_core::ledger::{
    AttemptEntry, Commit, Entry, Exceeded, HostCallEntry, Lost, ModuleVersion, Outcome, Reverted, Seen, StageEntry,
    TimeByKind, Use, Waits, Write,
};
use nexum_core::nexum_config::topic::{ChainTopic, Finality, Topic};
use nexum_core::source::{EventId, EventKind, Position};
use nexum_ledger::Row;
use proptest::prelude::*;

/// A time that no test reaches: rows of it are not old.
pub(crate) const NOW_MS: u64 = 1_800_000_000_000;

pub(crate) fn topic() -> Topic {
    Topic::Chain(ChainTopic {
        chain_id: 1,
        finality: Finality::Latest,
    })
}

pub(crate) fn version(name: &str) -> Arc<ModuleVersion> {
    Arc::new(ModuleVersion {
        name: name.to_owned(),
        version: Some("1.2.3".to_owned()),
        digest: [7; 32],
        subscriptions: vec!["blocks of 1".to_owned()],
        limits: vec![("fuel_per_event".to_owned(), 1_000)],
        ..ModuleVersion::default()
    })
}

pub(crate) fn attempt(module: &Arc<ModuleVersion>, block: u64) -> Entry {
    Entry::Attempt(Box::new(AttemptEntry {
        module: module.clone(),
        event: event(block),
        attempt: 1,
        seen: Some(Seen {
            at_ms: NOW_MS,
            endpoint: Some("http://node:8545".to_owned()),
            pushed: true,
        }),
        waits: Waits::default(),
        matched: 1,
        begun_ms: NOW_MS,
        took_us: 1_500,
        outcome: Outcome::Handled,
        used: vec![Use {
            limit: "fuel_per_event".into(),
            used: 17,
        }],
        time: TimeByKind::default(),
        is_detailed: false,
        calls: Vec::new(),
        calls_left_out: 0,
        records: Vec::new(),
        writes: vec![Write {
            key: "total".to_owned(),
            bytes: Some(8),
        }],
        writes_left_out: 0,
        effects: Vec::new(),
        commit: Some(Commit {
            at_ms: NOW_MS,
            took_us: 200,
            group: 1,
        }),
    }))
}

fn event(block: u64) -> EventId {
    EventId {
        topic: topic(),
        position: Position {
            number: block,
            hash: [u8::try_from(block % 251).unwrap(); 32],
        },
        kind: EventKind::Block,
    }
}

fn call() -> HostCallEntry {
    HostCallEntry {
        kind: HostCallKind::Chain,
        method: "eth_call".into(),
        endpoint: None,
        start_us: 10,
        took_us: 2_000,
        bytes: 66,
        error: Some("timeout".into()),
        count: 3,
    }
}

/// Any entry of each kind.
pub(crate) fn any_entry() -> impl Strategy<Value = Entry> {
    let names = prop::sample::select(vec!["a", "b", "a-much-longer-name-of-a-module"]);
    let attempts = (names, any::<u64>(), ".{0,40}", 0..40_usize, any::<bool>());
    let attempts = attempts.prop_map(|(name, block, text, calls, fails)| {
        let mut entry = attempt(&version(name), block);
        if let Entry::Attempt(attempt) = &mut entry {
            attempt.calls = vec![call(); calls];
            attempt.records = vec![text.clone(); calls % 3];
            if fails {
                attempt.outcome = Outcome::Retried {
                    error: text,
                    exceeded: Some(Exceeded {
                        limit: "fuel_per_event".into(),
                        bound: 1,
                        used: 2,
                    }),
                    pause_ms: 100,
                };
            }
        }
        entry
    });
    prop_oneof![
        4 => attempts,
        1 => any::<u64>().prop_map(|number| Entry::Reverted(Reverted {
            module: "a".to_owned(),
            topic: topic(),
            to: Some(Position::at_ms(number)),
        })),
        1 => ".{0,20}".prop_map(|reason| Entry::Stage(StageEntry {
            module: "b".to_owned(),
            stage: "stopped".to_owned(),
            reason,
        })),
        1 => any::<u64>().prop_map(|entries| Entry::Lost(Lost::at(NOW_MS, entries))),
    ]
}

/// Rows whose numbers follow each other.
pub(crate) fn any_rows() -> impl Strategy<Value = Vec<Row>> {
    let entries = prop::collection::vec((any_entry(), any::<u32>()), 0..60);
    (entries, 0..u64::MAX / 2).prop_map(|(entries, first)| {
        let row = |(number, (entry, at_ms))| Row {
            number,
            at_ms: u64::from(at_ms),
            entry,
        };
        (first..).zip(entries).map(row).collect()
    })
}
