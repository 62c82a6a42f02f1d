//! `nexum status`: what the modules of the running daemon do, and why.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

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
use crate::report::{Refusal, Refusals, list, span, table, time};

/// The interval of `--watch`: an eye reads a table in this time.
const WATCH_EVERY: Duration = Duration::from_secs(2);

/// The most characters of a reason in the table. `nexum status MODULE` prints the whole reason.
const WHY_CHARS_MAX: usize = 160;

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
    match format {
        Format::Json => json_on_stdout(&modules)?,
        Format::Text => outln!("{}", overview(&modules, now_ms())),
    }
    Ok(exit_code(modules.iter().any(needs_operator)))
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
    Ok(exit_code(needs_operator(&module)))
}

fn exit_code(needs_operator: bool) -> u8 {
    if needs_operator { FAILED } else { STOPPED }
}

/// Whether the module does not do what it should, or has dead letters.
fn needs_operator(module: &Module) -> bool {
    let needs = |stage: Stage| match stage {
        Stage::WaitingForChain
        | Stage::Behind
        | Stage::Backoff
        | Stage::Stalled
        | Stage::Dead
        | Stage::Refused
        | Stage::Suspended => true,
        Stage::Loading
        | Stage::Starting
        | Stage::Running
        | Stage::Replaying
        | Stage::Stopped
        | Stage::Removed
        | Stage::Disabled
        | Stage::Serving => false,
    };
    let queries = module.queries.as_ref().map(|queries| queries.stage());
    needs(module.stage) || queries.is_some_and(needs) || module.dead_letters > 0
}

/// The table of all modules: a line for each chain of a module.
fn overview(modules: &[Module], now_ms: u64) -> String {
    let mut rows = table(&[
        "MODULE", "STAGE", "AT", "HEAD", "BEHIND", "LAG", "FAIL/H", "DEAD", "WHY",
    ]);
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
        row.extend(first);
        row.extend([
            or_dash(failures),
            or_dash(events.map(|_| module.dead_letters)),
            why(module, now_ms),
        ]);
        rows.add_row(row);
        for position in positions {
            let mut row = vec![String::new(), String::new()];
            row.extend(position);
            rows.add_row(row);
        }
    }
    rows.to_string()
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

/// The reason of the stage in one line, if the stage needs one, and what to do about dead letters.
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
    if let (Some(reason), false) = (&module.reason, is_usual(module.stage)) {
        let mut text = first_line(reason);
        let next = module.events.as_ref().and_then(|events| events.next_try_ms);
        match (next, module.reason_since_ms) {
            (Some(next), _) => text += &format!("; next try in {}", span(next.saturating_sub(now_ms))),
            (None, Some(since)) => text += &format!(", {}", span(now_ms.saturating_sub(since))),
            (None, None) => {}
        }
        parts.push(text);
    }
    if module.dead_letters > 0 {
        parts.push(format!("`nexum dead-letter list {}`", module.name));
    }
    match parts.is_empty() {
        true => "-".to_owned(),
        false => parts.join("; "),
    }
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
            "{} handled, {} failed, {} failed in the last hour, {} dead letters",
            module.handled, module.failed, events.failures_in_last_hour, module.dead_letters
        ),
    );
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
