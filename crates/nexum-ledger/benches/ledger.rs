//! The size of the ledger on a disk, and the time to store an event.
//!
//! A daemon with a hundred modules on a chain with a block each second makes a hundred entries a second: the
//! writer gets them in four parts.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    reason = "a measurement runs on the machine's own clock, and cannot go on after a fault"
)]

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use nexum_core::bindings::nexum::host::types::{Block, Event};
use nexum_core::capability::{HostCallKind, Revision};
use nexum_core::ledger::{
    AttemptEntry, CallInputs, Commit, Entry, HostCallEntry, InputContent, Inputs, KnownKey, ModuleVersion, Outcome,
    RecordedCall, Seen, TimeByKind, Use, Waits, Write,
};
use nexum_core::nexum_config::topic::{ChainTopic, Finality, Topic};
use nexum_core::source::{EventId, EventKind, Position};
use nexum_ledger::{Filter, Keep, Reader, Row, Writer};
use nexum_testing::bench::{self, Figure};
use serde_bytes::ByteBuf;

const EVENTS: u64 = 1_000_000;
const MODULES: u64 = 100;
/// The entries of one write: a quarter of a second.
const PER_WRITE: u64 = 25;

/// The block in the middle.
const MIDDLE: u64 = 20_000_000 + EVENTS / MODULES / 2;

const NOW_MS: u64 = 1_800_000_000_000;

const KEEP: Keep = Keep {
    days: 30,
    bytes: 1 << 40,
};

fn main() {
    let mut figures = Vec::new();
    for (name, calls, inputs) in [
        ("without calls", 0, false),
        ("with ten calls each", 10, false),
        ("with ten calls and the inputs of each", 10, true),
    ] {
        let folder = tempfile::tempdir().expect("a directory");
        let began = Instant::now();
        store(folder.path(), calls, inputs);
        let store_us = began.elapsed().as_secs_f64() * 1e6 / EVENTS as f64;
        let bytes = size(folder.path()) as f64 / EVENTS as f64;
        let began = Instant::now();
        let found = find(folder.path());
        let find_ms = began.elapsed().as_secs_f64() * 1e3;
        assert_eq!(found, 1, "the event in the middle");
        figures.push(Figure::new(
            format!("an event on the disk, {name}"),
            "bytes",
            bytes,
            bytes,
        ));
        figures.push(Figure::new(
            format!("storing an event, {name}"),
            "us",
            store_us,
            store_us,
        ));
        figures.push(Figure::new(
            format!("finding one of a million events, {name}"),
            "ms",
            find_ms,
            find_ms,
        ));
    }
    bench::publish("ledger", &figures);
}

/// Stores the events, and seals the last segment.
fn store(folder: &Path, calls: usize, inputs: bool) {
    let modules: Vec<_> = (0..MODULES).map(version).collect();
    let mut writer = Writer::open(folder, KEEP, NOW_MS).expect("a folder");
    for first in (0..EVENTS).step_by(PER_WRITE as usize) {
        let entries = (first..first + PER_WRITE).flat_map(|number| {
            let at_ms = NOW_MS + number * 10;
            let attempt = attempt(&modules[(number % MODULES) as usize], number, at_ms, calls);
            let inputs = inputs.then(|| self::inputs(&attempt, number, calls));
            inputs
                .into_iter()
                .chain([Entry::Attempt(Box::new(attempt))])
                .map(move |entry| (at_ms, entry))
        });
        let now_ms = NOW_MS + first * 10;
        writer.write(entries.collect(), now_ms).expect("a write");
    }
    drop(writer);
    Writer::open(folder, KEEP, NOW_MS).expect("a folder");
}

fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).expect("a folder");
    entries
        .map(|entry| entry.expect("an entry").metadata().expect("a file").len())
        .sum()
}

/// The number of attempts of a module at a block.
fn find(folder: &Path) -> usize {
    let filter = Filter {
        module: Some("module-42".to_owned()),
        numbers: Some(MIDDLE..=MIDDLE),
        ..Filter::default()
    };
    let mut found = 0;
    let visit = |row: Row| {
        found += usize::from(matches!(row.entry, Entry::Attempt(_)));
        ControlFlow::Continue(())
    };
    Reader::new(folder).rows(&filter, visit).expect("a ledger");
    found
}

fn version(number: u64) -> Arc<ModuleVersion> {
    let byte = u8::try_from(number).expect("few modules");
    Arc::new(ModuleVersion {
        name: format!("module-{number}"),
        version: Some("1.2.3".to_owned()),
        digest: [byte; 32],
        manifest: Some([byte; 32]),
        revision: Some(Revision([byte; 8])),
        since_ms: NOW_MS,
        subscriptions: vec!["blocks of 1".to_owned()],
        limits: vec![("fuel_per_event".to_owned(), 1_000_000_000); 19],
    })
}

/// Numbers without order, as times and hashes are.
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^= mixed >> 29;
    mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

fn attempt(module: &Arc<ModuleVersion>, number: u64, at_ms: u64, calls: usize) -> AttemptEntry {
    let block = 20_000_000 + number / MODULES;
    let mut hash = [0; 32];
    for (index, part) in hash.chunks_mut(8).enumerate() {
        part.copy_from_slice(&mixed(block * 4 + index as u64).to_le_bytes());
    }
    let noise = |most: u64| mixed(number) % most;
    let call = |index: usize| HostCallEntry {
        kind: HostCallKind::Chain,
        method: if index.is_multiple_of(2) {
            "eth_call".into()
        } else {
            "eth_getBalance".into()
        },
        endpoint: Some("https://mainnet.example.org".to_owned()),
        start_us: index as u64 * 3_000 + noise(1_000),
        took_us: 2_000 + noise(1_000),
        bytes: 66,
        error: None,
        count: 1,
    };
    let used = |limit: &'static str, used| Use {
        limit: limit.into(),
        used,
    };
    AttemptEntry {
        module: module.clone(),
        event: EventId {
            topic: Topic::Chain(ChainTopic {
                chain_id: 1,
                finality: Finality::Latest,
            }),
            position: Position { number: block, hash },
            kind: EventKind::Block,
        },
        attempt: 1,
        seen: Some(Seen {
            at_ms,
            endpoint: Some("wss://mainnet.example.org".to_owned()),
            pushed: true,
        }),
        waits: Waits::default(),
        matched: 1,
        begun_ms: at_ms + noise(3),
        took_us: 1_000 + noise(20_000),
        outcome: Outcome::Handled,
        used: vec![
            used("fuel_per_event", 100_000 + noise(10_000)),
            used("event_deadline_ms", noise(20)),
            used("chain_requests_per_event", 10),
            used("memory_bytes", 1 << 20),
        ],
        time: TimeByKind {
            guest_us: 100 + noise(100),
            chain_us: 1_000 + noise(20_000),
            ..TimeByKind::default()
        },
        is_detailed: calls > 0,
        calls: (0..calls).map(call).collect(),
        calls_left_out: 0,
        records: Vec::new(),
        writes: vec![Write {
            key: "total".to_owned(),
            bytes: Some(8),
        }],
        writes_left_out: 0,
        effects: Vec::new(),
        commit: Some(Commit {
            at_ms: at_ms + noise(30),
            took_us: 1_000 + noise(3_000),
            group: 100,
        }),
    }
}

/// The inputs of an attempt: each call asks for one of a few addresses and gets a word, and one key of eight bytes changes.
fn inputs(attempt: &AttemptEntry, number: u64, calls: usize) -> Entry {
    let word = |seed: u64| format!("\"0x{:064x}\"", mixed(number ^ seed));
    let call = |index: usize| {
        let account = mixed(index as u64);
        RecordedCall {
            kind: "request".into(),
            content: [u8::try_from(index).expect("few calls"); 32],
            arguments: vec![ByteBuf::from(format!(
                "[{{\"to\":\"0x{account:040x}\",\"data\":\"0x70a08231\"}},\"latest\"]"
            ))],
            answer: Some(ByteBuf::from(word(account))),
        }
    };
    let key = || ByteBuf::from(*b"total");
    let value = |number: u64| ByteBuf::from(number.to_le_bytes());
    let AttemptEntry { event, begun_ms, .. } = attempt;
    Entry::Inputs(Box::new(Inputs {
        module: attempt.module.name.clone(),
        event: *event,
        attempt: 1,
        content: Some(Box::new(InputContent {
            payload: Event::Block(Block {
                chain_id: 1,
                number: event.position.number,
                hash: event.position.hash.to_vec(),
                timestamp: *begun_ms,
            }),
            instance_ms: NOW_MS,
            start: None,
            call: CallInputs {
                begun_ms: *begun_ms,
                state_keys: 1,
                state_bytes: 13,
                keys: vec![(key(), KnownKey::Value(value(number)))],
                calls: (0..calls).map(call).collect(),
                writes: vec![(key(), Some(value(number + 1)))],
                ..CallInputs::default()
            },
        })),
    }))
}
