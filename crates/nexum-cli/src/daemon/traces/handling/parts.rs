//! The attributes of the spans of an attempt.

use nexum_core::capability::HostCallKind;
use nexum_core::ledger::{AttemptEntry, HostCallEntry, Outcome};
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry::{Array, StringValue, Value};
use opentelemetry_sdk::trace::SpanData;
use reqwest::Url;

use super::super::span::{Attributes as _, Place, Times, span};
use crate::report::hex;

/// The kind of an error that OpenTelemetry has no name for.
const OTHER_ERROR: &str = "_OTHER";

/// Says which event it is, and what it waited for.
pub(super) fn describe_event(span: &mut SpanData, attempt: &AttemptEntry) {
    let (module, event) = (&attempt.module, &attempt.event);
    span.set("nexum.module", module.name.clone());
    if let Some(version) = &module.version {
        span.set("nexum.module.version", version.clone());
    }
    span.set("nexum.event", event.to_string());
    span.set("nexum.event.kind", event.kind.name());
    if let Some(chain) = event.topic.chain_id() {
        span.set_number("nexum.chain", chain);
    }
    if let Some(block) = event.block() {
        span.set_number("nexum.block", block.number);
        span.set("nexum.block.hash", hex(&block.hash));
    }
    let matched = module.subscriptions.iter().enumerate();
    let matched = matched.filter(|(index, _)| *index < 64 && attempt.matched >> *index & 1 == 1);
    let matched: Vec<StringValue> = matched.map(|(_, subscription)| subscription.clone().into()).collect();
    span.set("nexum.matched", Value::Array(Array::String(matched)));
    if let Some(seen) = &attempt.seen {
        if let Some(endpoint) = &seen.endpoint {
            set_server(span, endpoint);
        }
        span.set("nexum.seen.pushed", seen.pushed);
    }
    let waits = &attempt.waits;
    span.set_positive("nexum.wait.busy_us", waits.busy_us);
    span.set_positive("nexum.wait.rate_us", waits.rate_us);
    span.set_positive("nexum.wait.start_us", waits.start_us);
    if let Some(behind) = &waits.behind {
        span.set("nexum.wait.behind", behind.to_string());
    }
}

/// Says what became of an attempt, and where its time went.
pub(super) fn describe_handler(span: &mut SpanData, attempt: &AttemptEntry) {
    span.set("nexum.module", attempt.module.name.clone());
    span.set("nexum.event", attempt.event.to_string());
    span.set_number("nexum.attempt", attempt.attempt.into());
    span.set("nexum.outcome", outcome_word(&attempt.outcome));
    if let Outcome::Retried { pause_ms, .. } = &attempt.outcome {
        span.set_number("nexum.retry.pause_ms", *pause_ms);
    }
    if attempt.outcome.error().is_some() {
        let exceeded = attempt.outcome.exceeded();
        span.set(
            "error.type",
            exceeded.map_or(OTHER_ERROR.into(), |exceeded| exceeded.limit.clone()),
        );
    }
    for (kind, took_us) in attempt.time.each() {
        span.set_positive(format!("nexum.time.{}_us", kind.replace(' ', "_")), took_us);
    }
    for used in &attempt.used {
        span.set_number(format!("nexum.used.{}", used.limit), used.used);
    }
    span.set("nexum.calls.listed", attempt.is_detailed);
    span.set_positive("nexum.calls.left_out", attempt.calls_left_out.into());
    let writes = attempt.writes.len() as u64 + u64::from(attempt.writes_left_out);
    span.set_positive("nexum.writes", writes);
    span.set_positive("nexum.effects", attempt.effects.len() as u64);
}

/// The span of a host call, within the times of its handler.
pub(super) fn call(entry: &HostCallEntry, (place, parent): (Place, Place), handler: Times) -> SpanData {
    let from_us = handler.from_us.saturating_add(entry.start_us);
    let times = Times {
        from_us,
        to_us: from_us.saturating_add(entry.took_us),
    };
    let kind = match entry.kind {
        HostCallKind::Chain | HostCallKind::OrderBook | HostCallKind::Http => SpanKind::Client,
        HostCallKind::Store | HostCallKind::Other => SpanKind::Internal,
    };
    let name = format!("{} {}", entry.kind.name(), entry.method);
    let mut span = span(name, kind, (place, Some(parent)), times.within(handler));
    span.set("nexum.call.kind", entry.kind.name());
    span.set("nexum.call.method", entry.method.clone());
    span.set_number("nexum.call.count", entry.count.into());
    span.set_positive("nexum.call.answer_bytes", entry.bytes);
    match entry.kind {
        HostCallKind::Chain => {
            span.set("rpc.system.name", "jsonrpc");
            span.set("rpc.method", entry.method.clone());
        }
        HostCallKind::Http => span.set("http.request.method", entry.method.clone()),
        HostCallKind::OrderBook | HostCallKind::Store | HostCallKind::Other => {}
    }
    if let Some(endpoint) = &entry.endpoint {
        set_server(&mut span, endpoint);
    }
    if let Some(error) = &entry.error {
        span.set("error.type", error.clone());
        span.status = Status::error(error.clone());
    }
    span
}

/// Sets the server of an endpoint's label, which is scheme, host and port.
fn set_server(span: &mut SpanData, endpoint: &str) {
    let url = Url::parse(endpoint).ok();
    let host = url.as_ref().and_then(Url::host_str);
    span.set("server.address", host.unwrap_or(endpoint).to_owned());
    if let Some(port) = url.as_ref().and_then(Url::port_or_known_default) {
        span.set_number("server.port", port.into());
    }
}

/// The outcome in a word.
pub(super) fn outcome_word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Handled => "handled",
        Outcome::Retried { .. } => "retried",
        Outcome::DeadLetter { .. } => "dead_letter",
        Outcome::Died { .. } => "died",
        Outcome::StoreFailed { .. } => "store_failed",
    }
}
