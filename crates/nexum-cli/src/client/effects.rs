//! `nexum effect`: lists, shows and resolves the effects of modules.

use std::path::Path;

use hyper::Method;
use nexum_config::harmless::{harmless, harmless_lines};
use nexum_config::regular_file;

use super::logs::query;
use super::show::sized;
use super::status::WIDE_COLUMNS_MIN;
use super::{Client, MODULES};
use crate::args::{Effect, Format, Only, Outcome};
use crate::exit_code::STOPPED;
use crate::protocol::effects::{
    Content, EFFECTS, EffectFilter, EffectRecord, EffectState, GIVEN_ANSWER_BYTES_MAX, Resolve, Resolved,
};
use crate::report::print::{json_on_stdout, outln};
use crate::report::{Refusal, Refusals, count, time};

/// Asks the running daemon.
pub(crate) fn effect(client: &Client<'_>, command: &Effect) -> Result<u8, Refusals> {
    match command {
        Effect::List { module, only, format } => {
            let path = query(
                EFFECTS,
                &[
                    ("module", module.as_ref().map(ToString::to_string)),
                    ("state", filter(only).map(|filter| filter.word().to_owned())),
                ],
            );
            list(&client.get::<Vec<EffectRecord>>(&path)?, *format)?;
        }
        Effect::Show {
            module,
            event,
            number,
            format,
        } => {
            let record: EffectRecord = client.get(&format!("{MODULES}/{module}/effects/{event}/{number}"))?;
            show(&record, *format)?;
        }
        Effect::Resolve {
            module,
            event,
            number,
            outcome,
            answer,
            why,
        } => {
            let resolve = resolve(*outcome, answer.as_deref())?;
            let path = format!("{MODULES}/{module}/effects/{event}/{number}/resolve");
            let resolved: Resolved = client.because(why).ask(Method::POST, &path, &resolve)?;
            say_resolved(command, &resolved, true);
        }
    }
    Ok(STOPPED)
}

/// The selection of a list. `None` for all effects.
pub(crate) fn filter(only: &Only) -> Option<EffectFilter> {
    match (only.unknown, only.stranded) {
        (true, _) => Some(EffectFilter::Unknown),
        (_, true) => Some(EffectFilter::Stranded),
        _ => None,
    }
}

/// The message that says what happened to an effect.
///
/// # Errors
///
/// If the file of the answer cannot be read, or is too large.
pub(crate) fn resolve(outcome: Outcome, answer: Option<&Path>) -> Result<Resolve, Refusal> {
    let read = |path: &Path| {
        let bytes = regular_file::read(path, GIVEN_ANSWER_BYTES_MAX as u64);
        let bytes = bytes.map_err(|error| Refusal::of_input(path, &error))?;
        Ok::<_, Refusal>(Content::of(&bytes))
    };
    let answer = answer.map(read).transpose()?;
    Ok(Resolve { outcome, answer })
}

/// Prints effects.
pub(crate) fn list(records: &[EffectRecord], format: Format) -> Result<(), Refusal> {
    match format {
        Format::Json => return json_on_stdout(records),
        Format::Text => outln!("{}", text_of_list(records, None)),
    }
    Ok(())
}

/// A table of effects, and below it the meaning of each that needs the operator. The table has `columns`, or else
/// the width of the terminal. A narrow table has no receivers and no times.
fn text_of_list(records: &[EffectRecord], columns: Option<u16>) -> String {
    let width = sized(&[], columns).width();
    let is_wide = width.is_none_or(|width| width >= WIDE_COLUMNS_MIN);
    let header = ["MODULE", "EVENT", "NUMBER", "KIND", "STATE", "TARGET", "AT"];
    let header = if is_wide { &header[..] } else { &header[..5] };
    let mut rows = sized(header, columns);
    let mut lines = Vec::new();
    for record in records {
        let cells = [
            harmless(&record.module).into_owned(),
            harmless(&record.event).into_owned(),
            record.number.to_string(),
            harmless(&record.kind).into_owned(),
            state(record),
            harmless(&record.target).into_owned(),
            time(record.at_ms),
        ];
        rows.add_row(cells.into_iter().take(header.len()));
        if record.in_doubt || record.stranded {
            let (module, event) = (harmless(&record.module), harmless(&record.event));
            let meaning = harmless(&record.meaning);
            lines.push(format!("{module}, effect {} of {event}: {meaning}", record.number));
        }
    }
    match lines.is_empty() {
        true => rows.to_string(),
        false => format!("{rows}\n\n{}", lines.join("\n")),
    }
}

/// The state in a few words.
fn state(record: &EffectRecord) -> String {
    let outcome = match record.state {
        EffectState::Done => "done",
        EffectState::Intent | EffectState::Unknown if record.in_doubt => "in doubt",
        EffectState::Intent => "intent",
        EffectState::Unknown => "unknown",
        EffectState::Refused => "refused",
    };
    match record.stranded {
        true => format!("{outcome}, stranded"),
        false => outcome.to_owned(),
    }
}

/// Prints one effect, with its request and the answer.
pub(crate) fn show(record: &EffectRecord, format: Format) -> Result<(), Refusal> {
    match format {
        Format::Json => return json_on_stdout(record),
        Format::Text => outln!("{}", text_of_record(record)),
    }
    Ok(())
}

fn text_of_record(record: &EffectRecord) -> String {
    let may_repeat = match &*record.class {
        "once" => "the receiver may not recognise a repeated request",
        _ => "nexum may repeat the request",
    };
    let class = format!("{}: {may_repeat}", record.class);
    let mut facts = vec![
        ("module", record.module.clone()),
        ("event", record.event.clone()),
        ("number", record.number.to_string()),
        ("kind", record.kind.clone()),
        ("target", record.target.clone()),
        ("class", class),
        ("state", state(record)),
        ("reason", record.reason.clone().unwrap_or_default()),
        ("attempt", record.attempt.to_string()),
        ("at", time(record.at_ms)),
        ("digest", record.digest.clone()),
        ("key", record.key.clone()),
    ];
    facts.retain(|(_, value)| !value.is_empty());
    let facts = facts
        .iter()
        .map(|(name, value)| format!("{name:<9}{}", harmless(value)));
    let mut blocks = vec![
        facts.collect::<Vec<_>>().join("\n"),
        harmless(&record.meaning).into_owned(),
    ];
    if let Some(request) = &record.request {
        let size = count(record.request_bytes, "byte");
        blocks.push(format!("request, {size}\n  {}", text_of(request)));
    }
    if let Some(answer) = &record.answer {
        blocks.push(format!("answer\n  {}", text_of(answer)));
    }
    blocks.join("\n\n")
}

fn text_of(content: &Content) -> String {
    match content {
        Content::Text(text) => harmless_lines(text, "  ").into_owned(),
        Content::Hex(digits) => harmless(digits).into_owned(),
    }
}

/// Says what nexum knows now, and the next step. Without a daemon, nexum has to start first.
pub(crate) fn say_resolved(command: &Effect, resolved: &Resolved, is_running: bool) {
    let Effect::Resolve {
        module,
        event,
        number,
        outcome,
        ..
    } = command
    else {
        return;
    };
    let known = match outcome {
        Outcome::Done => "has happened; nexum does not send it again",
        Outcome::NotSent => "has not happened; nexum sends it at the next attempt at the event",
    };
    outln!("effect {number} of {event} {known}");
    let start = if is_running { "" } else { "start nexum, and " };
    if resolved.dead_letter {
        outln!("the event is a dead letter: {start}retry it with `nexum dead-letter retry {module} {event}`");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn record(more: Value) -> EffectRecord {
        let mut record = json!({
            "module": "keeper-of-the-treasury", "event": "11155111@finalized:21000000:logs", "number": 1, "kind": "http",
            "target": "https://api.example.org:8443", "class": "once", "state": "done", "in_doubt": false,
            "stranded": false, "meaning": "the receiver has accepted the request; nexum does not send it again",
            "attempt": 1, "at_ms": 1_767_225_600_123_u64, "digest": "0x00", "key": "a-b-4-8-c", "request_bytes": 70_000,
        });
        let fields = record.as_object_mut().expect("an object");
        fields.extend(more.as_object().expect("an object").clone());
        serde_json::from_value(record).expect("a message")
    }

    fn records() -> [EffectRecord; 3] {
        [
            record(json!({})),
            record(json!({
                "module": "m", "number": 2, "state": "unknown", "reason": "the deadline of 8000 ms passed", "in_doubt": true,
                "meaning": "nexum does not know whether it happened: ask the receiver",
                "request": {"text": "POST https://api.example.org/\u{1b}[2J\n\n{\n}"},
            })),
            record(json!({
                "module": "m", "event": "1:17:block", "kind": "transaction", "target": "chain 1", "class": "repeatable",
                "stranded": true, "meaning": "it has happened, and the module's state does not know it",
                "request": {"hex": "0x02f8"}, "answer": {"text": "\"0x17\""},
            })),
        ]
    }

    #[test]
    fn the_list_of_effects_fits_80_and_200_columns() {
        for columns in [80, 200] {
            let text = text_of_list(&records(), Some(columns));
            let table = text.split("\n\n").next().unwrap_or_default();
            for line in table.lines() {
                assert!(line.chars().count() <= usize::from(columns), "{columns}: {line}");
            }
            let lines: Vec<_> = text.lines().map(str::trim_end).collect();
            insta::assert_snapshot!(format!("effects_{columns}"), lines.join("\n"));
        }
    }

    #[test]
    fn an_effect_is_shown_with_its_meaning_and_its_bytes() {
        let shown: Vec<_> = records()[1..].iter().map(text_of_record).collect();
        insta::assert_snapshot!("effect", shown.join("\n\n---\n"));
    }
}
