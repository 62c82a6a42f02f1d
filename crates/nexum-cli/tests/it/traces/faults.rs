//! Collectors that fail, secrets, and faulty variables.

use tokio::time::{Instant, sleep};

use super::collector::{Collector, NO_ANSWER, named, text};
use super::{FIRST, METRICS_READABLE, Site, module};
use crate::Dir;
use crate::metrics::{PAUSE, WAIT_MAX, get};
use crate::running::{address, terminate};

/// Waits until this many attempts have the outcome, or more.
async fn until_counted(site: &Site, outcome: &str, attempts: u64) {
    let series = format!("nexum_traced_attempts_total{{outcome=\"{outcome}\"}} ");
    let address = address(&site.lines, METRICS_READABLE);
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        let page = get(&address, "/metrics").1;
        let counted = page.lines().find_map(|line| line.strip_prefix(&series));
        let counted: u64 = counted
            .expect("the series exists from the start")
            .parse()
            .expect("a number");
        if counted >= attempts {
            return;
        }
        assert!(Instant::now() < deadline, "{page}");
        sleep(PAUSE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_traces_are_counted_and_later_ones_arrive() {
    let mut collector = Collector::start().await;
    collector.answer(403);
    let site = Site::tracing(&module("noop", ""), &collector);
    site.mine().await;
    until_counted(&site, "failed", 1).await;
    let lines = site.log.until(|line| line.contains("nexum cannot export traces"));
    let line = lines.last().expect("a line");
    assert!(line.contains("answered with the status 403"), "{line}");

    collector.answer(200);
    let event = site.mine().await;
    collector.trace(&event).await;
    until_counted(&site, "exported", 1).await;
    site.log.until(|line| line.contains("nexum exports traces again"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_starts_later_gets_the_traces_that_waited() {
    let address = Collector::free_address().await;
    let url = format!("http://{address}");
    let site = Site::start(&module("noop", ""), &[("OTEL_EXPORTER_OTLP_ENDPOINT", &url)]);
    let first = site.mine().await;
    let lines = site.log.until(|line| line.contains("nexum cannot export traces"));
    let line = lines.last().expect("a line");
    assert!(line.contains(&url) && line.contains("connection refused"), "{line}");

    let mut collector = Collector::at(&address).await;
    collector.trace(&first).await;
    let second = site.mine().await;
    collector.trace(&second).await;
    site.log.until(|line| line.contains("nexum exports traces again"));
    until_counted(&site, "exported", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_waits_for_a_retry_gets_its_span_at_the_end_of_the_daemon() {
    let mut collector = Collector::start().await;
    collector.answer(503);
    let restart = "[engine.restart]\nattempts_max = 300\nbackoff_ms = 60000\n";
    let failing = module("keeper", "every = \"fail\"\n");
    let mut site = Site::tracing(&format!("{restart}{failing}"), &collector);
    site.log.until(|line| line.contains("nexum cannot export traces"));
    collector.answer(200);
    terminate(&site.child);
    assert_eq!(site.child.wait().expect("an end").code(), Some(0));
    let spans = collector.trace(FIRST).await;
    let root = named(&spans, "event")[0];
    assert_eq!(text(root, "nexum.outcome"), "retried", "{spans:#?}");
    assert_eq!(named(&spans, "handler").len(), 1, "{spans:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_hangs_does_not_keep_the_daemon_from_its_end() {
    let mut collector = Collector::start().await;
    collector.answer(NO_ANSWER);
    let mut site = Site::tracing(&module("noop", ""), &collector);
    site.mine().await;
    collector.request().await;
    terminate(&site.child);
    let lines = site
        .log
        .until(|line| line.contains("nexum ends before the collector has all traces"));
    assert_eq!(site.child.wait().expect("an end").code(), Some(0), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_are_sent_and_never_logged() {
    let mut collector = Collector::start().await;
    let url = format!("http://user:hunter2@{}", collector.address());
    let config = format!(
        "[engine]\nlog_level = \"trace\"\nlog_format = \"json\"\n{}",
        module("noop", "")
    );
    let mut site = Site::start(
        &config,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &url),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=opensesame,x-tenant=a%20b"),
        ],
    );
    site.mine().await;
    let headers = collector.request().await.headers;
    assert_eq!(headers["x-api-key"], "opensesame");
    assert_eq!(headers["x-tenant"], "a b");
    let authorization = headers["authorization"].to_str().expect("a text");
    let credentials = authorization.strip_prefix("Basic ").expect("credentials");
    collector.answer(500);
    site.mine().await;
    let mut lines = site.log.until(|line| line.contains("nexum cannot export traces"));
    terminate(&site.child);
    lines.extend(site.log.until(|_| false));
    lines.append(&mut site.lines);
    assert_eq!(site.child.wait().expect("an end").code(), Some(0));
    assert!(lines.iter().any(|line| line.contains("nexum exports traces")));
    for secret in ["hunter2", "opensesame", credentials] {
        let shown: Vec<_> = lines.iter().filter(|line| line.contains(secret)).collect();
        assert!(shown.is_empty(), "{shown:#?}");
    }
}

#[test]
fn a_malformed_variable_is_an_error_without_its_value() {
    let dir = Dir::new();
    dir.write("engine.toml", module("noop", ""));
    for command in ["check", "run"] {
        let mut command = dir.command(&[command]);
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "user:hunter2@collector");
        let output = command.output().expect("the binary");
        let stderr = String::from_utf8(output.stderr).expect("UTF-8");
        let expected = "OTEL_EXPORTER_OTLP_ENDPOINT has a scheme other than http and https";
        assert!(stderr.contains(expected), "{stderr}");
        assert!(!stderr.contains("hunter2"), "{stderr}");
        assert_eq!(output.status.code(), Some(2), "{stderr}");
    }
}
