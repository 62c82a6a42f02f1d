//! Prints answers of the daemon.

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
    let mut rows = table(&[
        "MODULE",
        "VERSION",
        "WANTED",
        "STAGE",
        "CAPABILITIES",
        "SUBSCRIPTIONS",
        "FROM",
        "FILE",
    ]);
    for module in modules {
        let queries = module.queries.as_ref();
        let queries = queries.map(|queries| format!("queries, {} at a time", queries.pool_size_max));
        rows.add_row([
            module.name.clone(),
            harmless(module.version.as_deref().unwrap_or("-")).into_owned(),
            module.wanted.words().to_owned(),
            stage(module),
            list(&module.capabilities),
            list(module.subscriptions.iter().cloned().chain(queries)),
            harmless(&module.from).into_owned(),
            harmless(&module.path.display().to_string()).into_owned(),
        ]);
    }
    outln!("{rows}");
    for module in modules {
        if let Some(description) = &module.description {
            outln!("\n{}: {}", module.name, harmless_lines(description, "  "));
        }
        if !module.authors.is_empty() {
            outln!("\n{} is by {}", module.name, harmless(&list(&module.authors)));
        }
    }
    Ok(())
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
    let mut rows = table(&["EVENT", "LAST ATTEMPT", "ATTEMPTS", "LIMIT", "REASON OF THE LAST"]);
    for letter in letters {
        let last = letter.attempts.last();
        let reason = last.map_or("", |attempt| &attempt.reason);
        let reason = reason.lines().next().unwrap_or_default();
        let limit = last.and_then(|attempt| attempt.trip.as_ref());
        rows.add_row([
            letter.event.clone(),
            last.map_or_else(|| "-".to_owned(), |attempt| time(attempt.at_ms)),
            letter.attempts.len().to_string(),
            limit.map_or_else(|| "-".to_owned(), |trip| trip.limit.clone()),
            harmless(reason).into_owned(),
        ]);
    }
    outln!("{rows}");
    Ok(())
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
