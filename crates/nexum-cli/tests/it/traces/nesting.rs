//! The spans of events.

use std::collections::BTreeSet;

use opentelemetry_proto::tonic::trace::v1::Span;

use super::collector::{Collector, failure, named, text, texts};
use super::{FIRST, Site, module};

const ALL_CALLS: &str = "[ledger]\ncalls = \"all\"\n";

fn is_within(inner: &Span, outer: &Span) -> bool {
    inner.trace_id == outer.trace_id
        && inner.start_time_unix_nano >= outer.start_time_unix_nano
        && inner.start_time_unix_nano <= inner.end_time_unix_nano
        && inner.end_time_unix_nano <= outer.end_time_unix_nano
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_nest_as_event_handler_host_call_and_commit() {
    let mut collector = Collector::start().await;
    let counter = module("counter", "");
    let site = Site::tracing(&format!("{ALL_CALLS}{counter}"), &collector);
    let event = site.mine().await;
    let spans = collector.trace(&event).await;

    let [root] = &*named(&spans, "event") else {
        panic!("{spans:#?}")
    };
    let [handler] = &*named(&spans, "handler") else {
        panic!("{spans:#?}")
    };
    let [commit] = &*named(&spans, "commit") else {
        panic!("{spans:#?}")
    };
    let calls = [named(&spans, "store get"), named(&spans, "store set")].concat();
    assert_eq!(calls.len(), 2, "{spans:#?}");
    assert_eq!(spans.len(), 5, "{spans:#?}");
    let ids: BTreeSet<_> = spans.iter().map(|span| &span.span_id).collect();
    assert_eq!(ids.len(), 5, "each span has an id of its own");

    assert!(root.parent_span_id.is_empty(), "{root:#?}");
    for (inner, outer) in [
        (handler, root),
        (commit, root),
        (&calls[0], handler),
        (&calls[1], handler),
    ] {
        assert_eq!(inner.parent_span_id, outer.span_id, "{spans:#?}");
        assert!(is_within(inner, outer), "{spans:#?}");
    }
    assert!(
        commit.start_time_unix_nano >= handler.end_time_unix_nano,
        "the commit follows the handler: {spans:#?}"
    );
    assert!(commit.end_time_unix_nano > commit.start_time_unix_nano, "{commit:#?}");
    assert!(spans.iter().all(|span| failure(span).is_none()), "{spans:#?}");

    let block = event.split(':').nth(1).expect("a block");
    for (key, value) in [
        ("nexum.module", "counter"),
        ("nexum.event", &event),
        ("nexum.chain", "11155111"),
        ("nexum.block", block),
        ("nexum.outcome", "handled"),
        ("nexum.attempts", "1"),
        ("nexum.matched", "blocks of 11155111"),
        ("server.address", "127.0.0.1"),
    ] {
        assert_eq!(text(root, key), value, "{key}: {root:#?}");
    }
    assert_eq!(text(calls[1], "nexum.call.count"), "2", "equal calls are one span");
    assert!(text(handler, "nexum.used.fuel_per_event").parse::<u64>().expect("fuel") > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_list_of_calls_the_handler_says_where_its_time_went() {
    let mut collector = Collector::start().await;
    let site = Site::tracing(&module("counter", ""), &collector);
    let event = site.mine().await;
    let spans = collector.trace(&event).await;
    assert_eq!(spans.len(), 3, "{spans:#?}");
    let handler = named(&spans, "handler")[0];
    assert_eq!(text(handler, "nexum.calls.listed"), "false");
    let guest_us: u64 = text(handler, "nexum.time.guest_us").parse().expect("a time");
    assert!(guest_us > 0, "{handler:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retried_event_is_one_trace_with_a_handler_for_each_attempt() {
    let mut collector = Collector::start().await;
    let patient = "[engine.restart]\nattempts_max = 300\nbackoff_ms = 20\n";
    let site = Site::tracing(
        &format!("{patient}{}", module("keeper", "every = \"set a 1; fail\"\n")),
        &collector,
    );
    // The event is retried before the new configuration lets it succeed.
    site.log
        .until(|line| line.contains(FIRST) && line.contains("attempt=2"));
    site.reload(&format!("{patient}{}", module("keeper", "every = \"set a 1\"\n")));

    let spans = collector.trace(FIRST).await;
    let [root] = &*named(&spans, "event") else {
        panic!("{spans:#?}")
    };
    let handlers = named(&spans, "handler");
    let (last, failed) = handlers.split_last().expect("handlers");
    assert!(!failed.is_empty(), "{spans:#?}");
    for (index, handler) in failed.iter().enumerate() {
        assert_eq!(text(handler, "nexum.attempt"), (index + 1).to_string());
        assert_eq!(text(handler, "nexum.outcome"), "retried");
        assert!(failure(handler).is_some_and(|error| !error.is_empty()), "{handler:#?}");
        assert!(!text(handler, "error.type").is_empty(), "{handler:#?}");
        let calls = spans.iter().filter(|span| span.parent_span_id == handler.span_id);
        assert!(
            calls.count() > 0,
            "the calls of a failed attempt are listed: {spans:#?}"
        );
    }
    assert_eq!((failure(last), &*text(last, "nexum.outcome")), (None, "handled"));
    assert_eq!((failure(root), &*text(root, "nexum.outcome")), (None, "handled"));
    assert_eq!(text(root, "nexum.attempts"), handlers.len().to_string());
    assert!(
        handlers
            .iter()
            .all(|handler| handler.parent_span_id == root.span_id && is_within(handler, root)),
        "{spans:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_without_success_is_an_error() {
    let mut collector = Collector::start().await;
    let restart = "[engine.restart]\nattempts_max = 2\nbackoff_ms = 1\n";
    let site = Site::tracing(
        &format!("{restart}{}", module("keeper", "every = \"fail\"\n")),
        &collector,
    );
    let event = site.mine().await;
    let spans = collector.trace(&event).await;
    let root = named(&spans, "event")[0];
    assert_eq!(
        (&*text(root, "nexum.outcome"), &*text(root, "nexum.attempts")),
        ("dead_letter", "2")
    );
    assert!(failure(root).is_some(), "{root:#?}");
    assert!(named(&spans, "commit").is_empty(), "{spans:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn traces_need_no_ledger_on_the_disk_and_name_the_service() {
    let mut collector = Collector::start().await;
    let config = format!("[ledger]\nenabled = false\n{}", module("counter", ""));
    let url = format!("{}/v1/traces", collector.url());
    let site = Site::start(
        &config,
        &[
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &url),
            ("OTEL_SERVICE_NAME", "my-nexum"),
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "service.name=other,deployment.environment.name=test",
            ),
        ],
    );
    site.mine().await;
    let body = collector.request().await.body;
    let resource = body.resource_spans[0].resource.as_ref().expect("a resource");
    let resource = texts(&resource.attributes);
    assert_eq!(resource["service.name"], "my-nexum", "{resource:?}");
    assert_eq!(resource["service.version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(resource["deployment.environment.name"], "test");
    assert!(!site.dir.path().join("data/ledger").exists());
}
