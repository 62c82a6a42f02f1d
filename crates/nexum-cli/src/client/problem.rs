//! A problem of the daemon in one line, for several commands.

use nexum_config::harmless::harmless;

use crate::protocol::health::Problem;
use crate::report::{list, span};

/// The most modules in the line of the chain for which they wait: more than most operators run. The JSON names all.
const WAITING_NAMED_MAX: usize = 16;

/// The problem with its subject, in one line.
pub(super) fn about(problem: &Problem) -> String {
    let reason = problem.reason.lines().next().unwrap_or_default();
    if let (Some(account), Some(chain)) = (&problem.account, problem.chain) {
        return format!("account {account} on chain {chain}: {reason}");
    }
    match (&problem.module, problem.chain) {
        (Some(module), _) => format!("module {module}: {reason}"),
        (None, Some(chain)) => format!("chain {chain}: {reason}{}", waiting(&problem.waiting)),
        (None, None) => reason.to_owned(),
    }
}

/// The problem in one line that is safe for a terminal, with its age and the time until nexum's next try.
pub(super) fn about_now(problem: &Problem, now_ms: u64) -> String {
    let since = problem
        .since_ms
        .map(|since| format!(", for {}", span(now_ms.saturating_sub(since))));
    let next = problem.next_try_ms.map(|next| next_try(next, now_ms));
    let (since, next) = (since.unwrap_or_default(), next.unwrap_or_default());
    format!("{}{since}{next}", harmless(&about(problem)))
}

/// The end of a reason: the time until the next try.
pub(super) fn next_try(next_ms: u64, now_ms: u64) -> String {
    format!("; next try in {}", span(next_ms.saturating_sub(now_ms)))
}

/// The modules that wait for a chain: `; module noop waits`.
fn waiting(modules: &[String]) -> String {
    let named = modules.iter().take(WAITING_NAMED_MAX);
    let named = list(named);
    match modules.len() {
        0 => String::new(),
        1 => format!("; module {named} waits"),
        all if all > WAITING_NAMED_MAX => format!("; modules {named} and {} more wait", all - WAITING_NAMED_MAX),
        _ => format!("; modules {named} wait"),
    }
}
