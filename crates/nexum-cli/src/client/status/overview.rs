//! The table of all modules, and the reasons below it.

use comfy_table::Table;
use nexum_config::harmless::{harmless, harmless_lines};

use crate::client::problem::next_try;
use crate::client::show::stage;
use crate::protocol::event_part::ChainPosition;
use crate::protocol::modules::Module;
use crate::protocol::stage::Stage;
use crate::report::{count, span, table, time};

/// The most characters of a reason in the table. `nexum status MODULE` prints the whole reason.
const WHY_CHARS_MAX: usize = 160;

/// The table of all modules: a line for each chain of a module. A narrow table has no reasons. In an
/// installation of several processes, it has the nodes.
pub(super) fn overview(modules: &[Module], is_narrow: bool, now_ms: u64) -> Table {
    let has_nodes = modules.iter().any(|module| module.node.is_some());
    let mut header = vec!["MODULE", "STAGE"];
    header.extend(has_nodes.then_some("NODE"));
    header.extend(["AT", "HEAD", "BEHIND", "LAG", "FAIL/H", "DEAD", "WHY"]);
    let columns = if is_narrow { header.len() - 1 } else { header.len() };
    let mut rows = table(&header[..columns]);
    for module in modules {
        let events = module.events.as_ref();
        let chains = events.map_or(&[][..], |events| &events.chains);
        let several = chains.len() > 1;
        let mut positions = chains.iter().map(|position| cells(position, several));
        let first = positions
            .next()
            .unwrap_or_else(|| cells(&ChainPosition::unknown(), false));
        let failures = events.map(|events| events.failures_in_last_hour);
        let mut row = vec![harmless(&module.name).into_owned(), stage(module)];
        let node = module.node.as_deref().map(harmless);
        row.extend(has_nodes.then(|| or_dash(node)));
        row.extend(first);
        row.extend([
            or_dash(failures),
            or_dash(events.map(|_| module.dead_letters)),
            why(module, now_ms),
        ]);
        row.truncate(columns);
        rows.add_row(row);
        for position in positions {
            let mut row = vec![String::new(); 2 + usize::from(has_nodes)];
            row.extend(position);
            rows.add_row(row);
        }
    }
    rows
}

impl ChainPosition {
    /// The position of a module that handles no events of a chain.
    fn unknown() -> Self {
        Self {
            chain: String::new(),
            at: None,
            head: None,
            behind: None,
            lag_ms: None,
        }
    }
}

/// AT, HEAD, BEHIND and LAG. With `named`, AT begins with the chain.
pub(super) fn cells(position: &ChainPosition, named: bool) -> [String; 4] {
    let at = or_dash(position.at);
    [
        match named {
            true => format!("{}: {at}", position.chain),
            false => at,
        },
        or_dash(position.head),
        or_dash(position.behind),
        position.lag_ms.map_or_else(|| "-".to_owned(), span),
    ]
}

pub(super) fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// The reason of the stage in one line, if the stage needs one, and what to do about dead letters and effects in doubt.
pub(in crate::client) fn why(module: &Module, now_ms: u64) -> String {
    let mut parts = Vec::new();
    if let Some(suspension) = module.queries.as_ref().and_then(|queries| queries.suspension.as_ref()) {
        parts.push(format!(
            "{}, {}, until {}",
            first_line(&suspension.reason),
            span(now_ms.saturating_sub(suspension.since_ms)),
            time(suspension.until_ms)
        ));
    }
    if let (Some(reason), false) = (
        &module.reason,
        is_usual(module.stage) || module.stage == Stage::Suspended,
    ) {
        let mut text = first_line(reason);
        let next = module.events.as_ref().and_then(|events| events.next_try_ms);
        // The time of a backoff says nothing beside the time of its end.
        let since = module.reason_since_ms;
        if let Some(since) = since.filter(|_| next.is_none() || module.stage != Stage::Backoff) {
            text += &format!(", for {}", span(now_ms.saturating_sub(since)));
        }
        if let Some(next) = next {
            text += &next_try(next, now_ms);
        }
        parts.push(text);
    }
    parts.extend(dead_letters(module));
    parts.extend(effects_in_doubt(module));
    match parts.is_empty() {
        true => "-".to_owned(),
        false => parts.join("; "),
    }
}

/// The dead letters of the module, with the command that lists them.
pub(in crate::client) fn dead_letters(module: &Module) -> Option<String> {
    let (letters, name) = (module.dead_letters, harmless(&module.name));
    (letters > 0).then(|| format!("{}: `nexum dead-letter list {name}`", count(letters, "dead letter")))
}

/// The effects in doubt of the module, with the command that lists them.
pub(in crate::client) fn effects_in_doubt(module: &Module) -> Option<String> {
    let (effects, name) = (module.effects_in_doubt, harmless(&module.name));
    let command = format!("`nexum effect list {name} --unknown`");
    (effects > 0).then(|| format!("{} in doubt: {command}", count(effects, "effect")))
}

/// Whether the table cuts a reason of the module.
pub(super) fn is_cut(module: &Module) -> bool {
    let suspension = module.queries.as_ref().and_then(|queries| queries.suspension.as_ref());
    let reason = module.reason.as_deref().filter(|_| !is_usual(module.stage));
    let mut texts = reason
        .into_iter()
        .chain(suspension.map(|suspension| &*suspension.reason));
    texts.any(|text| text.lines().count() > 1 || text.chars().count() > WHY_CHARS_MAX)
}

/// The whole reasons of a module that does not work as usual, its dead letters and its effects in doubt.
pub(in crate::client) fn reasons(module: &Module, now_ms: u64) -> Vec<String> {
    let safe = |text: &str| harmless_lines(text, "  ").into_owned();
    let mut lines = Vec::new();
    if let (Some(reason), false) = (
        &module.reason,
        is_usual(module.stage) || module.stage == Stage::Suspended,
    ) {
        // The reason of a module that is being loaded has the time.
        let since = module.reason_since_ms.filter(|_| module.stage != Stage::Loading);
        let since = since.map(|since| format!(" since {}", time(since))).unwrap_or_default();
        let next = module.events.as_ref().and_then(|events| events.next_try_ms);
        let next = next.map(|next| next_try(next, now_ms));
        lines.push(format!(
            "{} is {}{since}: {}{}",
            safe(&module.name),
            module.stage,
            safe(reason),
            next.unwrap_or_default()
        ));
    }
    if let Some(suspension) = module.queries.as_ref().and_then(|queries| queries.suspension.as_ref()) {
        lines.push(format!(
            "{} is {} since {} until {}: {}",
            safe(&module.name),
            Stage::Suspended,
            time(suspension.since_ms),
            time(suspension.until_ms),
            safe(&suspension.reason)
        ));
    }
    let needs = [dead_letters(module), effects_in_doubt(module)];
    lines.extend(
        needs
            .into_iter()
            .flatten()
            .map(|needs| format!("{} has {needs}", safe(&module.name))),
    );
    lines
}

/// Whether the stage says everything.
fn is_usual(stage: Stage) -> bool {
    matches!(stage, Stage::Running | Stage::Serving)
}

/// The first line of a reason, cut to [`WHY_CHARS_MAX`].
fn first_line(reason: &str) -> String {
    let line = reason.lines().next().unwrap_or_default();
    let mut shown: String = line.chars().take(WHY_CHARS_MAX).collect();
    if shown.len() < line.len() {
        shown.push_str("...");
    }
    harmless(&shown).into_owned()
}
