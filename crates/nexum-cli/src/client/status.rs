//! `nexum status`: what the modules of the running daemon do, and why.

pub(super) mod details;
pub(super) mod overview;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use nexum_config::harmless::harmless;
use nexum_core::clock::{Clock as _, SystemClock};

use self::details::details;
use self::overview::{is_cut, overview, reasons};
use super::Client;
use super::problem::about;
use crate::args;
use crate::args::Format;
use crate::exit_code::{FAILED, STOPPED};
use crate::protocol::HEALTH;
use crate::protocol::health::Health;
use crate::protocol::modules::Module;
use crate::protocol::stage::Stage;
use crate::report::print::{json_on_stdout, outln};
use crate::report::{Refusal, Refusals, table, time};

/// The interval of `--watch`: an eye reads a table in this time.
const WATCH_EVERY: Duration = Duration::from_secs(2);

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
    let health: Health = client.get(HEALTH)?;
    let accounts = health.problems.iter().chain(&health.notes);
    let accounts = accounts.filter(|problem| problem.account.is_some());
    let now_ms = now_ms();
    match format {
        Format::Json => json_on_stdout(&modules)?,
        Format::Text => {
            let is_narrow = table(&[]).width().is_some_and(|width| width < WIDE_COLUMNS_MIN);
            outln!("{}", overview(&modules, is_narrow, now_ms));
            let below = modules.iter().filter(|module| is_narrow || is_cut(module));
            let lines = below.flat_map(|module| reasons(module, now_ms));
            lines.for_each(|line| outln!("\n{line}"));
            accounts.for_each(|problem| outln!("\n{}", harmless(&about(problem))));
        }
    }
    let is_halted = health.problems.iter().any(|problem| problem.account.is_some());
    Ok(exit_code(
        is_halted || modules.iter().any(|module| needs_operator(module, now_ms)),
    ))
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
pub(super) fn needs_operator(module: &Module, now_ms: u64) -> bool {
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

pub(super) fn now_ms() -> u64 {
    SystemClock::new().now_ms()
}
