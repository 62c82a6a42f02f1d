//! How answers look.

use nexum_config::harmless::{harmless, harmless_lines};
use serde_json::json;

use crate::args::Format;
use crate::protocol::view::{Letter, Module, Usage};
use crate::report::print::outln;
use crate::report::{list, table};

pub(super) fn status(modules: &[Module], format: Format) {
    if let Format::Json = format {
        return outln!("{:#}", json!(modules));
    }
    let mut rows = table(&[
        "MODULE",
        "STAGE",
        "HANDLED",
        "FAILED",
        "DEAD LETTERS",
        "MEMORY",
        "CATCHING UP",
    ]);
    for module in modules {
        let catching_up = module.catching_up.iter();
        let counts = [module.handled, module.failed, module.dead_letters].map(|count| count.to_string());
        let [handled, failed, letters] = counts;
        rows.add_row([
            module.name.clone(),
            module.stage.clone(),
            handled,
            failed,
            letters,
            format!("{} KiB", module.memory_bytes >> 10),
            list(catching_up.map(|up| format!("{}: {} of {}", up.chain, up.at, up.to))),
        ]);
    }
    outln!("{rows}");
    for module in modules {
        if let Some(reason) = &module.reason {
            outln!(
                "\n{} is {}: {}",
                module.name,
                module.stage,
                harmless_lines(reason, "  ")
            );
        }
    }
}

pub(super) fn modules(modules: &[Module], format: Format) {
    if let Format::Json = format {
        return outln!("{:#}", json!(modules));
    }
    let mut rows = table(&["MODULE", "VERSION", "STAGE", "CAPABILITIES", "SUBSCRIPTIONS", "FILE"]);
    for module in modules {
        rows.add_row([
            module.name.clone(),
            harmless(module.version.as_deref().unwrap_or("-")).into_owned(),
            module.stage.clone(),
            list(&module.capabilities),
            match &module.queries {
                Some(queries) => format!("queries, {} at a time", queries.pool_size_max),
                None => list(&module.subscriptions),
            },
            harmless(&module.path.display().to_string()).into_owned(),
        ]);
    }
    outln!("{rows}");
}

pub(super) fn limits(usages: &[Usage], format: Format) {
    if let Format::Json = format {
        return outln!("{:#}", json!(usages));
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
}

pub(super) fn letters(letters: &[Letter], format: Format) {
    if let Format::Json = format {
        return outln!("{:#}", json!(letters));
    }
    let mut rows = table(&["EVENT", "ATTEMPTS", "REASON OF THE LAST"]);
    for letter in letters {
        let reason = letter.attempts.last().map_or("", |attempt| &attempt.reason);
        let reason = reason.lines().next().unwrap_or_default();
        rows.add_row([
            letter.event.clone(),
            letter.attempts.len().to_string(),
            reason.to_owned(),
        ]);
    }
    outln!("{rows}");
}

/// One dead letter, with its attempts.
pub(super) fn letter(letter: &Letter) {
    outln!("event   {}\nblock   {}", letter.event, letter.block_hash);
    for (number, attempt) in (1..).zip(&letter.attempts) {
        outln!(
            "\nattempt {number}, at {} ms\n  {}",
            attempt.at_ms,
            harmless_lines(&attempt.reason, "  ")
        );
        if let Some(trip) = &attempt.trip {
            outln!("  limit {}: {} of {}", trip.limit, trip.used, trip.bound);
        }
        let records = attempt.records.iter();
        records.for_each(|record| outln!("  | {}", harmless_lines(record, "  | ")));
    }
    outln!("\n{}", harmless_lines(&format!("{:#}", json!(letter.content)), ""));
}
