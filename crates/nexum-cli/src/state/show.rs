//! Shows the content of a store, to people and programs.

use std::ops::ControlFlow;

use nexum_config::harmless::{harmless, harmless_json};
use nexum_config::names::ModuleName;
use nexum_config::topic::Topic;
use nexum_core::state::Cursors;
use nexum_core::state::admin::{self, Summary};
use nexum_core::store::{StateStore, View};
use serde_json::json;

use super::sinks::{Sinks, no_module, write};
use crate::args::{Form, Format};
use crate::error_code::ErrorCode;
use crate::exit_code::STOPPED;
use crate::report::{Refusal, hex, list as comma_list, table};

/// The most bytes of a value in a list: two words of the EVM, so that a number of 256 bits and its
/// length, or an address and a number, show whole.
const PREVIEW_BYTES: usize = 64;

pub(super) fn list(store: &dyn StateStore, format: Format, sinks: &mut Sinks<'_>) -> Result<u8, Refusal> {
    let view = store.view().map_err(|error| Refusal::of(&error))?;
    let summaries = admin::list(&*view).map_err(|error| Refusal::of(&error))?;
    match format {
        Format::Json => {
            let list = json!(summaries.iter().map(json_of).collect::<Vec<_>>());
            write(sinks, &format!("{list:#}\n"))?;
        }
        Format::Text => {
            let mut rows = table(&["MODULE", "KEYS", "BYTES", "UNDO", "DEAD LETTERS", "CURSORS", "WANTED"]);
            for Summary {
                name,
                usage,
                cursors,
                undo_records,
                dead_letters,
                operator,
            } in &summaries
            {
                let counts = [usage.keys, usage.bytes, *undo_records, *dead_letters].map(|count| count.to_string());
                let [keys, bytes, undo, letters] = counts;
                let wanted = operator
                    .as_ref()
                    .map_or_else(|| "-".to_owned(), |row| row.wanted().to_string());
                rows.add_row([name.to_string(), keys, bytes, undo, letters, places(cursors), wanted]);
            }
            write(sinks, &format!("{rows}\n"))?;
        }
    }
    Ok(STOPPED)
}

/// `CHAIN: BLOCK (HASH)` for each topic.
fn places(cursors: &Cursors) -> String {
    comma_list(cursors.iter().map(|cursor| {
        let last = cursor.last.map_or("-".to_owned(), |last| {
            let hash: String = last
                .position
                .hash
                .iter()
                .take(4)
                .map(|byte| format!("{byte:02x}"))
                .collect();
            format!("{} (0x{hash}..)", last.position.number)
        });
        format!("{}: {last}", cursor.topic)
    }))
}

fn json_of(summary: &Summary) -> serde_json::Value {
    let cursors = summary.cursors.iter().map(|cursor| {
        let number = cursor.last.map(|last| last.position.number);
        match cursor.topic {
            Topic::Chain(topic) => json!({
                "chain_id": topic.chain_id,
                "finality": topic.finality.to_string(),
                "block": number,
                "hash": cursor.last.map(|last| hex(&last.position.hash)),
                "done": cursor.last.map(|last| last.done.to_string()),
            }),
            topic => json!({ "schedule": topic.to_string(), "fired_at_ms": number }),
        }
    });
    json!({
        "module": summary.name.as_str(),
        "keys": summary.usage.keys,
        "bytes": summary.usage.bytes,
        "undo_records": summary.undo_records,
        "dead_letters": summary.dead_letters,
        "cursors": cursors.collect::<Vec<_>>(),
        "wanted": summary.operator.as_ref().map(|row| row.wanted()),
    })
}

pub(super) fn get(
    store: &dyn StateStore,
    module: &ModuleName,
    key: &str,
    form: &Form,
    sinks: &mut Sinks<'_>,
) -> Result<u8, Refusal> {
    let view = view_of(store, module)?;
    let value = admin::get(&*view, module, key.as_bytes()).map_err(|error| Refusal::of(&error))?;
    let value = value.ok_or_else(|| {
        let refusal = Refusal::new(format!("{module} has no key {key:?}")).with_code(ErrorCode::KeyNotFound);
        refusal.with_hint(format!("list its keys with `nexum state scan {module}`"))
    })?;
    if form.utf8 {
        let text = String::from_utf8(value).map_err(|_| other_form("the value is not text"))?;
        write(sinks, &format!("{text}\n"))?;
    } else if form.json {
        let json: Result<serde_json::Value, _> = serde_json::from_slice(&value);
        let json = json.map_err(|_| other_form("the value is not JSON"))?;
        let json = format!("{json:#}\n");
        write(sinks, &harmless_json(&json))?;
    } else {
        write(sinks, &format!("{}\n", hex(&value)))?;
    }
    Ok(STOPPED)
}

/// The error for a value that does not have the requested form.
fn other_form(error: &str) -> Refusal {
    Refusal::new(error).with_hint("print the bytes with `nexum state get --hex`")
}

pub(super) fn scan(
    store: &dyn StateStore,
    module: &ModuleName,
    prefix: &str,
    limit: usize,
    sinks: &mut Sinks<'_>,
) -> Result<u8, Refusal> {
    let view = view_of(store, module)?;
    let mut rows = table(&["KEY", "BYTES", "VALUE"]);
    let (mut shown, mut more) = (0, false);
    let scanned = admin::scan(&*view, module, prefix.as_bytes(), &mut |key, value| {
        if shown == limit {
            more = true;
            return ControlFlow::Break(());
        }
        shown += 1;
        rows.add_row([printable(key), value.len().to_string(), preview(value)]);
        ControlFlow::Continue(())
    });
    scanned.map_err(|error| Refusal::of(&error))?;
    write(sinks, &format!("{rows}\n"))?;
    if more {
        sinks.line("there are more: `--limit` shows more of them, `--prefix` fewer".to_owned());
    }
    Ok(STOPPED)
}

/// The current view of a store that contains the module.
fn view_of(store: &dyn StateStore, module: &ModuleName) -> Result<Box<dyn View>, Refusal> {
    // A cache can have old rows of a module that another process runs. A frozen view has no cache.
    let view = match store.is_shared() {
        true => store.frozen(),
        false => store.view(),
    };
    let view = view.map_err(|error| Refusal::of(&error))?;
    let summary = admin::summary(&*view, module).map_err(|error| Refusal::of(&error))?;
    summary.map(|_| view).ok_or_else(|| no_module(module))
}

fn preview(value: &[u8]) -> String {
    let start = &value[..value.len().min(PREVIEW_BYTES)];
    let dots = if start.len() < value.len() { ".." } else { "" };
    printable(start) + dots
}

/// The bytes as text if they are text that cannot control a terminal, else as hexadecimal digits.
fn printable(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if harmless(text) == text => text.to_owned(),
        _ => hex(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_256_bits_with_its_length_shows_whole() {
        let number = [&[32][..], &[0xff; 31], &[7]].concat();
        assert_eq!(preview(&number), format!("0x20{}07", "ff".repeat(31)));
        assert_eq!(preview(&[0xff; 65]), format!("0x{}..", "ff".repeat(64)));
    }
}
