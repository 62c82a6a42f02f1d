//! `nexum explain`: an explanation as text.

use std::fmt::Write as _;

use nexum_config::harmless::{harmless, harmless_lines};

use super::Client;
use crate::args::Format;
use crate::exit_code::{FAILED, STOPPED};
use crate::explain::question::Question;
use crate::explain::us;
use crate::protocol::EXPLAIN;
use crate::protocol::explain::{Answer, Call, Explained, Explanation, Outcome, Run, ValuePart};
use crate::report::print::{json_on_stdout, outln};
use crate::report::{Refusals, count, span, time};

/// The part of the time above which a line is marked.
const MARKED_SHARE: f64 = 0.5;

/// Asks the daemon, and shows the answer.
///
/// # Errors
///
/// If no daemon answers, or if it has no ledger.
pub(crate) fn explain(client: &Client<'_>, question: &Question, values: bool, format: Format) -> Result<u8, Refusals> {
    // A question has only characters that a query may have.
    let explanation = client.get(&format!("{EXPLAIN}?of={question}&values={values}"))?;
    show(&explanation, values, format)
}

/// Shows an explanation, which was asked for with or without values. The exit code is 0 if the event was handled.
///
/// # Errors
///
/// If stdout cannot be written.
pub(crate) fn show(explanation: &Explanation, values: bool, format: Format) -> Result<u8, Refusals> {
    match format {
        Format::Json => json_on_stdout(explanation)?,
        Format::Text => outln!("{}", text(explanation, values).trim_end()),
    }
    let outcome = explanation.handlings.last().map(|one| one.handling.outcome);
    Ok(match (explanation.answer, outcome) {
        (Answer::Attempted, Some(Outcome::Handled)) => STOPPED,
        _ => FAILED,
    })
}

fn text(explanation: &Explanation, values: bool) -> String {
    let mut text = format!("{}\n", harmless(&explanation.summary));
    for one in &explanation.handlings {
        text += &handling(one);
    }
    if let Some(miss) = &explanation.nearest_miss {
        line(
            &mut text,
            "nearest",
            &format!("{} {}", miss.address, miss.topics.join(" ")),
        );
        line(&mut text, "wanted", &miss.subscription);
    }
    let mut runs = explanation.handlings.iter().flat_map(|one| &one.runs);
    if values && runs.any(|run| run.values.is_none() && !run.writes.is_empty()) {
        let reason = "not all recorded: `arguments = true` in [ledger] records those of later events";
        line(&mut text, "values", reason);
    }
    for hint in &explanation.hints {
        line(&mut text, "hint", hint);
    }
    for missing in &explanation.missing {
        let entries = match missing.entries {
            1 => "1 entry".to_owned(),
            entries => format!("{entries} entries"),
        };
        let (from, to) = (time(missing.from_ms), time(missing.to_ms));
        line(
            &mut text,
            "missing",
            &format!("{entries} of the ledger, from {from} to {to}"),
        );
    }
    match explanation.begins_ms {
        Some(begins) => line(&mut text, "ledger", &format!("begins at {}", time(begins))),
        None => line(&mut text, "ledger", "is empty"),
    }
    text
}

fn line(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "  {:<10}{}", format!("{name}:"), harmless(value));
}

/// A value that can have several lines.
fn lines(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(
        text,
        "  {:<10}{}",
        format!("{name}:"),
        harmless_lines(value, "            ")
    );
}

fn handling(one: &Explained) -> String {
    let handling = &one.handling;
    let mut text = format!("\n{} {}\n", handling.module, handling.event);
    if let Some(hash) = &handling.hash {
        line(&mut text, "block", hash);
    }
    let seen = match (handling.seen_ms, &one.endpoint) {
        (None, _) if handling.kind == "tick" => "a tick of a schedule".to_owned(),
        (None, _) => "nexum read it again, from the past of the chain".to_owned(),
        (Some(at), None) => time(at),
        (Some(at), Some(endpoint)) => {
            let how = if one.pushed { "pushed" } else { "polled" };
            format!("{}, from {endpoint} ({how})", time(at))
        }
    };
    line(&mut text, "seen", &seen);
    if let Some(waited) = handling.waited_us {
        line(&mut text, "waited", &us(waited));
    }
    for wait in &one.waits {
        let mark = match handling.waited_us {
            Some(waited) if wait.took_us as f64 > waited as f64 * MARKED_SHARE => "  <--",
            _ => "",
        };
        let _ = writeln!(
            text,
            "            {:>8}  for {}{mark}",
            us(wait.took_us),
            harmless(&wait.cause)
        );
    }
    for matched in &one.matched {
        line(&mut text, "matched", matched);
    }
    let version = one
        .version
        .as_deref()
        .map(|version| format!("{version}, "))
        .unwrap_or_default();
    let digest = one.digest.get(..16).unwrap_or(&one.digest);
    let revision = one
        .revision
        .as_deref()
        .map(|revision| format!(" {revision}"))
        .unwrap_or_default();
    let since = time(one.configured_ms);
    let with = format!("{version}sha256 {digest}.., configuration{revision} since {since}");
    line(&mut text, "with", &with);
    for run in &one.runs {
        text += &attempt(run, handling.outcome);
    }
    match &one.commit {
        Some(commit) => {
            let group = count(commit.group, "commit");
            let value = format!(
                "{}, after {}, in a transaction of {group}",
                time(commit.at_ms),
                us(commit.took_us)
            );
            line(&mut text, "commit", &value);
        }
        None if handling.outcome == Outcome::Handled && handling.writes == 0 => {
            line(&mut text, "commit", "nothing to commit: only the position moved");
        }
        None => {}
    }
    match (one.reverted_ms, one.settled) {
        (Some(at), _) => line(
            &mut text,
            "later",
            &format!("reverted by a reorganisation at {}", time(at)),
        ),
        (None, Some(true)) => line(&mut text, "later", "final: no reorganisation can revert it"),
        (None, Some(false)) => line(&mut text, "later", "a reorganisation can still revert it"),
        (None, None) => {}
    }
    text
}

fn attempt(run: &Run, outcome: Outcome) -> String {
    let mut text = String::new();
    let result = if run.error.is_some() { "failed" } else { "ok" };
    let began = time(run.begun_ms);
    line(
        &mut text,
        "attempt",
        &format!("{} at {began}: {result} after {}", run.attempt, us(run.took_us)),
    );
    for (index, call) in run.calls.iter().enumerate() {
        let _ = writeln!(text, "    {:>3}. {}", index + 1, harmless(&call_line(call)));
    }
    if run.calls_left_out > 0 {
        let _ = writeln!(text, "         and {} more", count(run.calls_left_out, "call"));
    }
    if !run.is_detailed {
        let _ = writeln!(text, "         host calls are not listed: see `calls` of [ledger]");
    }
    if !run.time.is_empty() {
        let part = |part: &crate::protocol::explain::TimePart| {
            format!("{} {:.0} % ({})", part.kind, part.share * 100.0, us(part.took_us))
        };
        let parts: Vec<_> = run.time.iter().map(part).collect();
        line(&mut text, "time", &parts.join(", "));
    }
    let share = |limit: &&crate::protocol::explain::LimitPart| limit.limit == "fuel_per_event";
    if let Some(fuel) = run.limits.iter().find(share) {
        let of = fuel.bound.map(|bound| format!(" of {bound}")).unwrap_or_default();
        line(&mut text, "fuel", &format!("{}{of}", fuel.used));
    }
    for record in &run.records {
        lines(&mut text, "log", record);
    }
    for asked in run.values.iter().flat_map(|values| &values.asked) {
        line(&mut text, "asked", &asked.join(" "));
    }
    for ValuePart { key, value } in run.values.iter().flat_map(|values| &values.writes) {
        let value = match value {
            Some(value) => format!("{key} = {value:?}"),
            None => format!("{key} removed"),
        };
        line(&mut text, "wrote", &value);
    }
    let is_shown = run.values.is_some();
    for write in run.writes.iter().filter(|_| !is_shown) {
        let value = match write.bytes {
            Some(bytes) => format!("{} = {}", write.key, count(bytes, "byte")),
            None => format!("{} removed", write.key),
        };
        line(&mut text, "wrote", &value);
    }
    if run.writes_left_out > 0 && !is_shown {
        line(
            &mut text,
            "wrote",
            &format!("{} more", count(run.writes_left_out, "key")),
        );
    }
    for effect in &run.effects {
        line(
            &mut text,
            "effect",
            &format!("{} to {}: {}", effect.kind, effect.target, effect.state),
        );
    }
    match (&run.error, outcome) {
        (Some(error), _) => {
            lines(&mut text, "error", error);
            if let Some(exceeded) = &run.exceeded {
                line(&mut text, "limit", exceeded);
            }
            line(&mut text, "kept", "nothing: the attempt failed");
            if let Some(pause) = run.pause_ms {
                line(&mut text, "retry", &format!("after a pause of {}", span(pause)));
            }
        }
        (None, Outcome::Reverted) => line(&mut text, "kept", "nothing: a reorganisation reverted it"),
        (None, _) => {}
    }
    text
}

fn call_line(call: &Call) -> String {
    let times = if call.count > 1 {
        format!(" x{}", call.count)
    } else {
        String::new()
    };
    let at = call
        .endpoint
        .as_ref()
        .map(|endpoint| format!(" at {endpoint}"))
        .unwrap_or_default();
    let end = match &call.error {
        Some(error) => error.clone(),
        None => count(call.bytes, "byte"),
    };
    let (start, took) = (us(call.start_us), us(call.took_us));
    format!("+{start:>8}  {} {}{times}{at}: {end} in {took}", call.kind, call.method)
}
