use std::sync::Arc;
use std::time::SystemTime;

use nexum_config::topic::{ChainTopic, Finality, Topic};
use nexum_core::capability::HostCallKind;
use nexum_core::ledger::{HostCallEntry, ModuleVersion, Seen, SentEffect, TimeByKind, Waits};
use nexum_core::source::{EventKind, Position};
use opentelemetry::Value;
use opentelemetry::trace::SpanId;

use super::*;

/// The arrival of each block.
const SEEN_MS: u64 = 1_800_000_000_000;

fn event(block: u64) -> EventId {
    EventId {
        topic: Topic::Chain(ChainTopic {
            chain_id: 1,
            finality: Finality::Latest,
        }),
        position: Position {
            number: block,
            hash: [7; 32],
        },
        kind: EventKind::Block,
    }
}

/// An attempt that begins this many milliseconds after the arrival of its block, and takes 1.5 ms.
pub(in super::super) fn attempt(block: u64, number: u32, after_ms: u64, outcome: Outcome) -> AttemptEntry {
    AttemptEntry {
        module: Arc::new(ModuleVersion {
            name: "counter".to_owned(),
            subscriptions: vec!["blocks of 1".to_owned(), "logs of 1".to_owned()],
            ..ModuleVersion::default()
        }),
        event: event(block),
        attempt: number,
        seen: Some(Seen {
            at_ms: SEEN_MS,
            endpoint: Some("https://node.example.org".to_owned()),
            pushed: true,
        }),
        waits: Waits::default(),
        matched: 1,
        begun_ms: SEEN_MS + after_ms,
        took_us: 1_500,
        outcome,
        used: Vec::new(),
        time: TimeByKind {
            guest_us: 1_100,
            order_book_us: 400,
            ..TimeByKind::default()
        },
        is_detailed: true,
        calls: Vec::new(),
        calls_left_out: 0,
        records: Vec::new(),
        writes: Vec::new(),
        writes_left_out: 0,
        effects: Vec::new(),
        commit: None,
    }
}

fn retried() -> Outcome {
    Outcome::Retried {
        error: "no luck".to_owned(),
        exceeded: None,
        pause_ms: 20,
    }
}

fn spans(handlings: &mut Handlings, attempt: &AttemptEntry) -> Vec<SpanData> {
    let mut spans = Vec::new();
    handlings.add(attempt, &mut spans);
    spans
}

fn handlings() -> Handlings {
    Handlings::new(String::new())
}

/// The start and the end of a span, in microseconds after the arrival.
fn times(span: &SpanData) -> (u64, u64) {
    let after = |time: SystemTime| {
        let after = time.duration_since(time_of_arrival()).unwrap();
        u64::try_from(after.as_micros()).unwrap()
    };
    (after(span.start_time), after(span.end_time))
}

fn time_of_arrival() -> SystemTime {
    time(us(SEEN_MS))
}

fn value<'a>(span: &'a SpanData, key: &str) -> Option<&'a Value> {
    let found = span.attributes.iter().find(|one| one.key.as_str() == key);
    found.map(|one| &one.value)
}

fn call(start_us: u64, took_us: u64) -> HostCallEntry {
    HostCallEntry {
        kind: HostCallKind::Chain,
        method: "eth_call".into(),
        endpoint: Some("http://[::1]:8545".to_owned()),
        start_us,
        took_us,
        bytes: 32,
        error: Some("timeout".into()),
        count: 1,
    }
}

#[test]
fn an_entry_becomes_nested_spans_with_its_times() {
    let mut entry = attempt(19, 1, 3, Outcome::Handled);
    entry.calls = vec![call(200, 400), call(700, 9_000)];
    entry.commit = Some(Commit {
        at_ms: SEEN_MS + 6,
        took_us: 1_000,
        group: 2,
    });
    let spans = spans(&mut handlings(), &entry);
    let [handler, first, second, commit, root] = &*spans else {
        panic!("{spans:#?}");
    };
    assert_eq!(times(root), (0, 6_000));
    assert_eq!(times(handler), (3_000, 4_500));
    assert_eq!(times(first), (3_200, 3_600));
    assert_eq!(times(second), (3_700, 4_500), "no call outlasts its handler");
    assert_eq!(times(commit), (5_000, 6_000));
    let id = |span: &SpanData| span.span_context.span_id();
    let parents: Vec<_> = spans.iter().map(|span| span.parent_span_id).collect();
    assert_eq!(parents, [id(root), id(handler), id(handler), id(root), SpanId::INVALID]);
    assert_eq!(first.name, "chain eth_call");
    assert_eq!(first.status, Status::error("timeout"));
    assert_eq!(value(first, "server.address"), Some(&"[::1]".into()));
    assert_eq!(value(root, "server.port"), Some(&443.into()));
    assert_eq!(value(handler, "nexum.time.order_book_us"), Some(&400.into()));
    assert_eq!(root.status, Status::Unset);
}

#[test]
fn a_commit_is_after_its_handler_although_the_clock_has_milliseconds() {
    let commit_of = |effects, at_ms, took_us| {
        let mut entry = attempt(19, 1, 3, Outcome::Handled);
        entry.effects = effects;
        entry.commit = Some(Commit {
            at_ms: SEEN_MS + at_ms,
            took_us,
            group: 1,
        });
        let spans = spans(&mut handlings(), &entry);
        let [_, commit, root] = &*spans else {
            panic!("{spans:#?}")
        };
        assert_eq!(times(root).1, times(commit).1);
        times(commit)
    };
    assert_eq!(commit_of(Vec::new(), 4, 300), (4_500, 4_800));
    let effect = SentEffect {
        kind: "http".to_owned(),
        target: "https://example.org".to_owned(),
        state: "done".to_owned(),
    };
    // The wait includes the commit before the request, which the handler waited for.
    assert_eq!(commit_of(vec![effect], 5, 30_000), (4_500, 5_000));
}

#[test]
fn the_attempts_at_an_event_are_one_trace_that_ends_with_the_last() {
    let mut handlings = handlings();
    let first = spans(&mut handlings, &attempt(19, 1, 3, retried()));
    let [failed] = &*first else { panic!("{first:#?}") };
    assert_eq!(failed.status, Status::error("no luck"));
    assert_eq!(value(failed, "error.type"), Some(&"_OTHER".into()));
    let second = spans(&mut handlings, &attempt(19, 2, 30, Outcome::Handled));
    let [handled, root] = &*second else {
        panic!("{second:#?}")
    };
    assert_eq!(failed.span_context.trace_id(), root.span_context.trace_id());
    assert_eq!(failed.parent_span_id, root.span_context.span_id());
    assert_eq!(handled.parent_span_id, root.span_context.span_id());
    assert_ne!(failed.span_context.span_id(), handled.span_context.span_id());
    assert_eq!(times(root), (0, 31_500));
    assert_eq!(value(root, "nexum.attempts"), Some(&2.into()));

    let other = spans(&mut handlings, &attempt(20, 1, 40, Outcome::Handled));
    assert_ne!(other[0].span_context.trace_id(), root.span_context.trace_id());
}

#[test]
fn an_event_that_nexum_gives_up_still_gets_its_span() {
    let mut handlings = handlings();
    spans(&mut handlings, &attempt(19, 1, 3, retried()));
    // A reorganisation removed the block.
    let next = spans(&mut handlings, &attempt(20, 1, 9, retried()));
    let [given_up, handler] = &*next else {
        panic!("{next:#?}")
    };
    assert_eq!((&*given_up.name, &*handler.name), ("event", "handler"));
    assert_eq!(given_up.status, Status::error("no luck"));
    let unfinished = handlings.finish();
    assert_eq!(unfinished.len(), 1);
    assert_eq!(value(&unfinished[0], "nexum.outcome"), Some(&"retried".into()));
}

#[test]
fn ids_depend_on_the_nexum_and_not_on_the_process() {
    let trace = |identity: &str| {
        let entry = attempt(19, 1, 3, Outcome::Handled);
        let mut handlings = Handlings::new(identity.to_owned());
        spans(&mut handlings, &entry)[0].span_context.clone()
    };
    assert_eq!(trace("a"), trace("a"));
    assert_ne!(trace("a").trace_id(), trace("b").trace_id());
}
