//! `nexum status`: what the modules of the running daemon do, and why.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use comfy_table::Table;
use nexum_config::harmless::{harmless, harmless_lines};
use nexum_core::clock::{Clock as _, SystemClock};

use super::Client;
use super::show::stage;
use crate::args;
use crate::args::Format;
use crate::exit_code::{FAILED, STOPPED};
use crate::protocol::event_part::{ChainPosition, EventPart, FailedCall, HandlerCall};
use crate::protocol::modules::Module;
use crate::protocol::stage::Stage;
use crate::report::print::{json_on_stdout, outln};
use crate::report::{Refusal, Refusals, count, list, span, table, time};

/// The interval of `--watch`: an eye reads a table in this time.
const WATCH_EVERY: Duration = Duration::from_secs(2);

/// The most characters of a reason in the table. `nexum status MODULE` prints the whole reason.
const WHY_CHARS_MAX: usize = 160;

/// The least columns of a table with reasons. A narrower one has them below the table, because the
/// other columns take 80.
pub(super) const WIDE_COLUMNS_MIN: u16 = 120;

/// The time that a module may take to load and start: a compilation of the largest component takes
/// less, and so do several attempts of `init`. A module that takes longer needs the operator.
const START_TIME_MAX: Duration = Duration::from_secs(5 * 60);

/// Clears a terminal, and moves its cursor to the top.
const CLEAR: &str = "\u{1b}[2J\u{1b}[H";

/// Shows the modules, or one of them.
///
/// # Errors
///
/// If no daemon answers, or it has no such module.
pub(crate) fn status(client: &Client<'_>, args: &args::Status) -> Result<u8, Refusals> {
    let once = || match &args.module {
        Some(name) => show_one(client, name, args.format),
        None => show_all(client, args.format),
    };
    if !args.watch {
        return once();
    }
    loop {
        if io::stdout().is_terminal() {
            outln!("{CLEAR}{}", time(now_ms()));
        }
        // The daemon may come back.
        once().unwrap_or_else(|refusals| {
            refusals.print();
            FAILED
        });
        #[expect(clippy::disallowed_methods, reason = "this process has no async thread")]
        std::thread::sleep(WATCH_EVERY);
    }
}

fn show_all(client: &Client<'_>, format: Format) -> Result<u8, Refusals> {
    let modules = client.modules()?;
    let now_ms = now_ms();
    match format {
        Format::Json => json_on_stdout(&modules)?,
        Format::Text => {
            let is_narrow = table(&[]).width().is_some_and(|width| width < WIDE_COLUMNS_MIN);
            outln!("{}", overview(&modules, is_narrow, now_ms));
            let below = modules.iter().filter(|module| is_narrow || is_cut(module));
            let lines = below.flat_map(|module| reasons(module, now_ms));
            lines.for_each(|line| outln!("\n{line}"));
        }
    }
    Ok(exit_code(modules.iter().any(|module| needs_operator(module, now_ms))))
}

fn show_one(client: &Client<'_>, name: &str, format: Format) -> Result<u8, Refusals> {
    let modules = client.modules()?;
    let module = modules.into_iter().find(|module| module.name == name).ok_or_else(|| {
        let refusal = Refusal::new(format!("the daemon has no module {name}"));
        refusal.with_hint("list the modules with `nexum status`")
    })?;
    match format {
        Format::Json => json_on_stdout(&module)?,
        Format::Text => details(&module, now_ms()).iter().for_each(|line| outln!("{line}")),
    }
    Ok(exit_code(needs_operator(&module, now_ms())))
}

fn exit_code(needs_operator: bool) -> u8 {
    if needs_operator { FAILED } else { STOPPED }
}

/// Whether the module does not do what it should, does not start in time, or has dead letters or effects in doubt.
fn needs_operator(module: &Module, now_ms: u64) -> bool {
    let is_late = || {
        let age_ms = module.reason_since_ms.map(|since_ms| now_ms.saturating_sub(since_ms));
        age_ms.is_some_and(|age_ms| Duration::from_millis(age_ms) > START_TIME_MAX)
    };
    let needs = |stage: Stage| match stage {
        Stage::WaitingForChain
        | Stage::Behind
        | Stage::Backoff
        | Stage::Stalled
        | Stage::Dead
        | Stage::Refused
        | Stage::Suspended => true,
        Stage::Loading | Stage::Starting => is_late(),
        Stage::Running
        | Stage::Replaying
        | Stage::Stopped
        | Stage::Standby
        | Stage::Removed
        | Stage::Disabled
        | Stage::Serving => false,
    };
    let queries = module.queries.as_ref().map(|queries| queries.stage());
    needs(module.stage) || queries.is_some_and(needs) || module.dead_letters > 0 || module.effects_in_doubt > 0
}

/// The table of all modules: a line for each chain of a module. A narrow table has no reasons. In an
/// installation of several processes, it has the nodes.
fn overview(modules: &[Module], is_narrow: bool, now_ms: u64) -> Table {
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
fn cells(position: &ChainPosition, named: bool) -> [String; 4] {
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

fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// The reason of the stage in one line, if the stage needs one, and what to do about dead letters and effects in doubt.
fn why(module: &Module, now_ms: u64) -> String {
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
fn dead_letters(module: &Module) -> Option<String> {
    let (letters, name) = (module.dead_letters, harmless(&module.name));
    (letters > 0).then(|| format!("{}: `nexum dead-letter list {name}`", count(letters, "dead letter")))
}

/// The effects in doubt of the module, with the command that lists them.
fn effects_in_doubt(module: &Module) -> Option<String> {
    let (effects, name) = (module.effects_in_doubt, harmless(&module.name));
    let command = format!("`nexum effect list {name} --unknown`");
    (effects > 0).then(|| format!("{} in doubt: {command}", count(effects, "effect")))
}

/// Whether the table cuts a reason of the module.
fn is_cut(module: &Module) -> bool {
    let suspension = module.queries.as_ref().and_then(|queries| queries.suspension.as_ref());
    let reason = module.reason.as_deref().filter(|_| !is_usual(module.stage));
    let mut texts = reason
        .into_iter()
        .chain(suspension.map(|suspension| &*suspension.reason));
    texts.any(|text| text.lines().count() > 1 || text.chars().count() > WHY_CHARS_MAX)
}

/// The whole reasons of a module that does not work as usual, its dead letters and its effects in doubt.
fn reasons(module: &Module, now_ms: u64) -> Vec<String> {
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

/// The end of a reason: the time until the next try.
pub(super) fn next_try(next_ms: u64, now_ms: u64) -> String {
    format!("; next try in {}", span(next_ms.saturating_sub(now_ms)))
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

/// Everything about one module, in lines.
fn details(module: &Module, now_ms: u64) -> Vec<String> {
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

pub(super) fn now_ms() -> u64 {
    SystemClock::new().now_ms()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A time of the test, in milliseconds since the Unix epoch.
    const NOW_MS: u64 = 1_767_225_600_000;

    fn module(name: &str, stage: &str, more: serde_json::Value) -> Module {
        let mut module = json!({
            "name": name, "version": "1.0.0", "description": null, "path": "/modules/a.wasm", "digest": "",
            "capabilities": ["chain"], "subscriptions": ["blocks of 1"], "wanted": "running",
            "from": "engine.toml:7", "stage": stage, "reason": "the module handles events as they arrive",
            "reason_since_ms": NOW_MS - 64_000, "handled": 7, "failed": 2, "dead_letters": 0, "memory_bytes": 0,
            "catching_up": [],
        });
        let (module_of, more) = (module.as_object_mut().unwrap(), more.as_object().unwrap());
        module_of.extend(more.clone());
        serde_json::from_value(module).unwrap()
    }

    fn events(chains: serde_json::Value) -> serde_json::Value {
        json!({
            "chains": chains, "schedules": [], "next_try_ms": null, "handling": null, "last_success": null,
            "last_failures": [], "failures_in_last_hour": 0, "matches": [], "limits_over_half": [], "time_use": [],
            "time_mostly": null,
        })
    }

    fn modules() -> Vec<Module> {
        let position = |at: Option<u64>| {
            json!({
                "chain": "1", "at": at, "head": 21_000_253, "behind": at.map(|at| 21_000_253 - at),
                "lag_ms": at.map(|at| (21_000_253 - at) * 12_000),
            })
        };
        let running = events(json!([position(Some(21_000_253)), {
            "chain": "100@12", "at": 9, "head": 9, "behind": 0, "lag_ms": 0
        }]));
        let mut backoff = events(json!([position(Some(21_000_252))]));
        backoff["next_try_ms"] = (NOW_MS + 4_000).into();
        backoff["failures_in_last_hour"] = 3.into();
        let waits = json!({
            "reason": "chain 31337: 2 of 2 endpoints down: http://127.0.0.1:28547: no connection",
            "events": events(json!([position(None)])),
        });
        let behind = json!({
            "reason": "chain 99 %: http://127.0.0.1:28547 310 ms", "events": events(json!([position(Some(21_000_000))])),
        });
        let failed = json!({
            "reason": "attempt 3 of 5 at 1:21000253:block failed: the guest trapped: unreachable\nat frame 1",
            "events": backoff, "dead_letters": 2,
        });
        vec![
            module("keeps-up", "running", json!({ "events": running })),
            module("slow", "behind", behind),
            module("waits", "waiting_for_chain", waits),
            module("fails", "backoff", failed),
            module(
                "refused.wasm",
                "refused",
                json!({ "reason": "the file is not a component", "reason_since_ms": null }),
            ),
        ]
    }

    #[test]
    fn the_table_has_a_reason_for_each_stage_in_80_and_200_columns() {
        let table = |width| {
            let mut table = overview(&modules(), width < WIDE_COLUMNS_MIN, NOW_MS);
            table.set_width(width);
            let lines: Vec<_> = table.lines().map(|line| line.trim_end().to_owned()).collect();
            assert!(lines.iter().all(|line| line.chars().count() <= usize::from(width)));
            let below: Vec<_> = modules().iter().flat_map(|module| reasons(module, NOW_MS)).collect();
            format!("{}\n\n{}", lines.join("\n"), below.join("\n"))
        };
        insta::assert_snapshot!("status_80", table(80));
        insta::assert_snapshot!("status_200", table(200));
    }

    #[test]
    fn the_table_of_an_installation_has_the_nodes() {
        let elsewhere = json!({
            "node": "node-b", "reason": "runs on the node node-b (10.0.0.2:9466)",
        });
        let modules = [
            module("here", "running", json!({ "node": "node-a" })),
            module("there", "standby", elsewhere),
            module("echo", "serving", json!({})),
        ];
        let mut table = overview(&modules, true, NOW_MS);
        table.set_width(80);
        let lines: Vec<_> = table.lines().map(|line| line.trim_end().to_owned()).collect();
        assert!(lines.iter().all(|line| line.chars().count() <= 80));
        let below: Vec<_> = modules.iter().flat_map(|module| reasons(module, NOW_MS)).collect();
        insta::assert_snapshot!("status_nodes", format!("{}\n\n{}", lines.join("\n"), below.join("\n")));
    }

    #[test]
    fn a_module_needs_the_operator_if_it_does_not_work_or_has_dead_letters_or_effects_in_doubt() {
        let needs: Vec<_> = modules().iter().map(|module| needs_operator(module, NOW_MS)).collect();
        assert_eq!(needs, [false, true, true, true, true]);
        let needs = |stage, more| needs_operator(&module("one", stage, more), NOW_MS);
        assert!(needs("running", json!({ "dead_letters": 1 })));
        assert!(needs("running", json!({ "effects_in_doubt": 1 })));
        assert!(!needs("stopped", json!({})));
    }

    #[test]
    fn a_module_that_does_not_start_within_the_bound_needs_the_operator() {
        for stage in ["loading", "starting"] {
            let since = |ms: u64| module("one", stage, json!({ "reason_since_ms": NOW_MS - ms }));
            assert!(!needs_operator(&since(299_000), NOW_MS), "{stage}");
            assert!(needs_operator(&since(301_000), NOW_MS), "{stage}");
        }
    }

    #[test]
    fn the_details_of_a_module_say_what_is_unknown() {
        insta::assert_snapshot!("details", details(&modules()[3], NOW_MS).join("\n"));
    }
}
