//! Everything about one module.

use nexum_config::harmless::{harmless, harmless_lines};

use super::overview::{cells, effects_in_doubt, or_dash};
use crate::client::show::stage;
use crate::protocol::event_part::{EventPart, FailedCall, HandlerCall};
use crate::protocol::modules::Module;
use crate::report::{count, list, span, time};

/// Everything about one module, in lines.
pub(in crate::client) fn details(module: &Module, now_ms: u64) -> Vec<String> {
    let mut lines = Vec::new();
    let mut fact = |name: &str, value: String| lines.push(format!("{name:<16}{value}"));
    let ago = |at_ms: u64| format!("{} ({} ago)", time(at_ms), span(now_ms.saturating_sub(at_ms)));
    let safe = |text: &str| harmless_lines(text, "                ").into_owned();
    fact("module", safe(&module.name));
    fact("version", safe(module.version.as_deref().unwrap_or("-")));
    fact("file", safe(&module.path.display().to_string()));
    fact("from", safe(&module.from));
    fact("wanted", module.wanted.words().to_owned());
    let since = module.reason_since_ms.map(|since| format!(", since {}", ago(since)));
    fact("stage", format!("{}{}", stage(module), since.unwrap_or_default()));
    if let Some(node) = &module.node {
        fact("node", safe(node));
    }
    fact("why", safe(module.reason.as_deref().unwrap_or("-")));
    if let Some(suspension) = module.queries.as_ref().and_then(|queries| queries.suspension.as_ref()) {
        let until = time(suspension.until_ms);
        fact(
            "suspended",
            format!(
                "since {}, until {until}: {}",
                ago(suspension.since_ms),
                safe(&suspension.reason)
            ),
        );
    }
    if let Some(queries) = &module.queries {
        let counts = (queries.answered, queries.failed, queries.refused);
        let (answered, failed, refused) = counts;
        fact(
            "queries",
            format!("{answered} answered, {failed} failed, {refused} refused"),
        );
    }
    fact("capabilities", list(&module.capabilities));
    if let Some(events) = &module.events {
        event_lines(module, events, now_ms, &mut lines);
    }
    lines
}

fn event_lines(module: &Module, events: &EventPart, now_ms: u64, lines: &mut Vec<String>) {
    let mut fact = |name: &str, value: String| lines.push(format!("{name:<16}{value}"));
    let ago = |at_ms: u64| format!("{} ({} ago)", time(at_ms), span(now_ms.saturating_sub(at_ms)));
    let safe = |text: &str| harmless_lines(text, "                ").into_owned();
    fact(
        "events",
        format!(
            "{} handled, {} failed, {} failed in the last hour, {}",
            module.handled,
            module.failed,
            events.failures_in_last_hour,
            count(module.dead_letters, "dead letter")
        ),
    );
    if let Some(effects) = effects_in_doubt(module) {
        fact("effects", effects);
    }
    let success = events.last_success.as_ref();
    fact(
        "last success",
        success.map_or_else(
            || "-".to_owned(),
            |last| format!("{} at {}", last.event, ago(last.at_ms)),
        ),
    );
    fact("next try", events.next_try_ms.map_or_else(|| "-".to_owned(), time));
    fact(
        "now",
        events
            .handling
            .as_ref()
            .map_or_else(|| "no event in hand".to_owned(), in_hand),
    );
    for position in &events.chains {
        let [at, head, behind, lag] = cells(position, false);
        fact(
            "chain",
            format!("{}: at {at}, head {head}, behind {behind}, lag {lag}", position.chain),
        );
    }
    for position in &events.schedules {
        let (last, next) = (position.last_ms.map(time), position.next_ms.map(time));
        fact(
            "schedule",
            format!("{}: last {}, next {}", position.schedule, or_dash(last), or_dash(next)),
        );
    }
    for matched in &events.matches {
        let last = match (matched.block, matched.at_ms) {
            (Some(block), Some(at_ms)) => format!("last match {block} at {}", ago(at_ms)),
            _ => "no match since the start of nexum".to_owned(),
        };
        fact("subscription", format!("{}: {last}", matched.subscription));
    }
    let parts = events
        .time_use
        .iter()
        .map(|part| format!("{} {}", part.kind, span(part.ms)));
    fact("time", list(parts));
    fact("mostly", events.time_mostly.clone().unwrap_or_else(|| "-".to_owned()));
    for used in &events.limits_over_half {
        let percent = used.most.saturating_mul(100) / used.bound.max(1);
        fact(
            "limit",
            format!("{}: {} of {} ({percent} %)", used.limit, used.most, used.bound),
        );
    }
    for failure in &events.last_failures {
        fact("failure", format!("{}: {}", ago(failure.at_ms), safe(&failed(failure))));
    }
}

/// The event in hand, with the host call that it waits for.
fn in_hand(call: &HandlerCall) -> String {
    let HandlerCall { event, attempt, .. } = call;
    let mut text = format!("{event}, attempt {attempt}, for {}", span(call.elapsed_ms));
    if let Some(host) = &call.host_call {
        text += &format!(", in {} {}", host.kind, harmless(&host.method));
        if let Some(endpoint) = &host.endpoint {
            text += &format!(" at {}", harmless(endpoint));
        }
        text += &format!(" for {}", span(host.elapsed_ms));
    }
    text
}

fn failed(failure: &FailedCall) -> String {
    let of = failure
        .attempts_max
        .map(|most| format!(" of {most}"))
        .unwrap_or_default();
    format!("{}, attempt {}{of}: {}", failure.event, failure.attempt, failure.error)
}
