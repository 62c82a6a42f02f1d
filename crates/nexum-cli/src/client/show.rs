//! Prints answers of the daemon.

use comfy_table::Table;
use nexum_config::harmless::{harmless, harmless_lines};

use crate::args::{Answer, Format};
use crate::protocol::dead_letters::Letter;
use crate::protocol::limits::Usage;
use crate::protocol::modules::Module;
use crate::report::functions::Function;
use crate::report::print::{json_on_stdout, outln};
use crate::report::{Refusal, list, table, time};

/// The stage of a module. A module that handles events and answers queries has the stages of both.
pub(super) fn stage(module: &Module) -> String {
    match &module.queries {
        Some(queries) if module.stage != queries.stage() => format!("{}, {}", module.stage, queries.stage()),
        _ => module.stage.to_string(),
    }
}

pub(super) fn modules(modules: &[Module], format: Format) -> Result<(), Refusal> {
    if let Format::Json = format {
        return json_on_stdout(modules);
    }
    outln!("{}", text_of_modules(modules, None));
    Ok(())
}

/// A table of the modules, and below it the properties of each, which can be long. The table has
/// `columns`, or else the width of the terminal.
fn text_of_modules(modules: &[Module], columns: Option<u16>) -> String {
    let mut rows = sized(&["MODULE", "VERSION", "WANTED", "STAGE"], columns);
    let mut blocks = Vec::new();
    for module in modules {
        let version = harmless(module.version.as_deref().unwrap_or("-")).into_owned();
        let wanted = module.wanted.words().to_owned();
        rows.add_row([module.name.clone(), version, wanted, stage(module)]);
        let queries = module.queries.as_ref();
        let queries = queries.map(|queries| format!("queries, {} at a time", queries.pool_size_max));
        let mut facts = vec![
            ("from", module.from.clone()),
            ("file", module.path.display().to_string()),
            ("capabilities", list(&module.capabilities)),
            (
                "subscriptions",
                list(module.subscriptions.iter().cloned().chain(queries)),
            ),
        ];
        if !module.authors.is_empty() {
            facts.push(("authors", list(&module.authors)));
        }
        let fact = |(name, value): (&str, String)| format!("\n  {name:<15}{}", harmless(&value));
        let mut block = module.name.clone();
        block.extend(facts.into_iter().map(fact));
        if let Some(description) = &module.description {
            block.push_str(&format!("\n  {}", harmless_lines(description, "  ")));
        }
        blocks.push(block);
    }
    std::iter::once(rows.to_string())
        .chain(blocks)
        .collect::<Vec<_>>()
        .join("\n\n")
}

/// A table of `columns`, or else of the width of the terminal.
pub(super) fn sized(header: &[&str], columns: Option<u16>) -> Table {
    let mut rows = table(header);
    if let Some(columns) = columns {
        rows.set_width(columns);
    }
    rows
}

pub(super) fn limits(usages: &[Usage], format: Format) -> Result<(), Refusal> {
    if let Format::Json = format {
        return json_on_stdout(usages);
    }
    let mut rows = table(&["LIMIT", "BOUND", "LAST", "MOST", "OF BOUND"]);
    for usage in usages {
        let share = usage.most.map(|most| most.saturating_mul(100) / usage.bound.max(1));
        let measured = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        rows.add_row([
            usage.limit.clone(),
            usage.bound.to_string(),
            measured(usage.last),
            measured(usage.most),
            share.map_or_else(|| "-".to_owned(), |share| format!("{share} %")),
        ]);
    }
    outln!("{rows}");
    Ok(())
}

pub(super) fn letters(letters: &[Letter], format: Format) -> Result<(), Refusal> {
    if let Format::Json = format {
        return json_on_stdout(letters);
    }
    outln!("{}", text_of_letters(letters, None));
    Ok(())
}

/// A table of dead letters, and below it the reason of each. The table has `columns`, or else the width
/// of the terminal.
fn text_of_letters(letters: &[Letter], columns: Option<u16>) -> String {
    let mut rows = sized(&["EVENT", "LAST ATTEMPT", "ATTEMPTS"], columns);
    let mut lines = Vec::new();
    for letter in letters {
        let last = letter.attempts.last();
        let at = last.map_or_else(|| "-".to_owned(), |attempt| time(attempt.at_ms));
        rows.add_row([letter.event.clone(), at, letter.attempts.len().to_string()]);
        if let Some(attempt) = last {
            let reason = attempt.reason.lines().next().unwrap_or_default();
            lines.push(format!("{}: {}", letter.event, harmless(reason)));
        }
    }
    match lines.is_empty() {
        true => rows.to_string(),
        false => format!("{rows}\n\n{}", lines.join("\n")),
    }
}

/// The functions of a module, as text if the format is not JSON.
pub(super) fn functions(functions: &[Function], form: Option<Answer>) -> Result<(), Refusal> {
    if let Some(Answer::Json) = form {
        return json_on_stdout(functions);
    }
    functions.iter().for_each(|function| function.print("  "));
    Ok(())
}

/// One dead letter, with its attempts.
pub(super) fn letter(letter: &Letter, format: Format) -> Result<(), Refusal> {
    if let Format::Json = format {
        return json_on_stdout(letter);
    }
    outln!("event   {}\nblock   {}", letter.event, letter.block_hash);
    for (number, attempt) in (1..).zip(&letter.attempts) {
        outln!(
            "\nattempt {number}, at {}\n  {}",
            time(attempt.at_ms),
            harmless_lines(&attempt.reason, "  ")
        );
        if let Some(trip) = &attempt.trip {
            outln!("  limit {}: {} of {}", trip.limit, trip.used, trip.bound);
        }
        let records = attempt.records.iter();
        records.for_each(|record| outln!("  | {}", harmless_lines(record, "  | ")));
    }
    outln!("\n{}", harmless_lines(&format!("{:#}", letter.content), ""));
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;

    fn read<T: DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).expect("messages")
    }

    /// Checks that no line of the table is too long, and keeps the text.
    fn check(name: &str, make: impl Fn(u16) -> String) {
        for columns in [80, 200] {
            let text = make(columns);
            let table = text.split("\n\n").next().unwrap_or_default();
            for line in table.lines() {
                assert!(line.chars().count() <= usize::from(columns), "{columns}: {line}");
            }
            let lines: Vec<_> = text.lines().map(str::trim_end).collect();
            insta::assert_snapshot!(format!("{name}_{columns}"), lines.join("\n"));
        }
    }

    #[test]
    fn the_list_of_modules_fits_80_and_200_columns() {
        let module = |name: &str, more: Value| {
            let mut module = json!({
                "name": name, "version": "0.1.0", "description": null, "capabilities": ["logging", "local-store"],
                "path": "/usr/share/nexum/modules/block-logger/block-logger.wasm", "digest": "", "wanted": "running",
                "subscriptions": ["blocks of 11155111", "logs of 0x6b175474e89094c44da98b954eedeac495271d0f on 11155111"],
                "from": "/etc/nexum/engine.toml:17", "stage": "running", "reason": null, "reason_since_ms": null,
                "handled": 0, "failed": 0, "dead_letters": 0, "memory_bytes": 0, "catching_up": [],
            });
            let fields = module.as_object_mut().expect("an object");
            fields.extend(more.as_object().expect("an object").clone());
            module
        };
        let modules: Vec<Module> = read(json!([
            module(
                "block-logger",
                json!({"authors": ["A. Author"], "description": "Logs blocks.\u{1b}[2J\nAll of them."})
            ),
            module(
                "conditional-orders-of-the-treasury",
                json!({
                    "version": null, "wanted": "stopped", "stage": "stopped", "capabilities": [], "subscriptions": [],
                    "from": "module load at 2026-11-30T07:02:53.566Z by uid 1000",
                })
            ),
        ]));
        check("modules", |columns| text_of_modules(&modules, Some(columns)));
    }

    #[test]
    fn the_list_of_dead_letters_fits_80_and_200_columns() {
        let letter = |event: &str, attempt: Value| json!({"event": event, "block_hash": "0x", "attempts": [attempt], "content": {}});
        let reason =
            "the handler returned an error: chain unavailable: the endpoint cannot be reached: connection refused";
        let letters: Vec<Letter> = read(json!([
            letter(
                "11155111@finalized:21000000:logs",
                json!({
                    "at_ms": 1_767_225_600_123_u64, "reason": reason, "trip": null, "records": [],
                })
            ),
            letter(
                "9f86d081884c7d65:1767225600000:tick",
                json!({
                    "at_ms": 1_767_225_600_123_u64, "reason": "out of fuel\nbacktrace", "records": [],
                    "trip": {"limit": "fuel_per_event", "used": 1_000_001, "bound": 1_000_000},
                })
            ),
        ]));
        check("letters", |columns| text_of_letters(&letters, Some(columns)));
    }
}
