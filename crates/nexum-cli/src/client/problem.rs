//! A problem of the daemon in one line, for several commands.

use crate::protocol::health::Problem;
use crate::report::list;

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
