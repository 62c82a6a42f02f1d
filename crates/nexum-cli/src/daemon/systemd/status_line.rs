//! The line about the modules that `systemctl status` shows.

use std::collections::BTreeMap;

use nexum_config::harmless::harmless;
use nexum_core::HostHandle;
use nexum_core::supervisor::RunningModule;

use crate::daemon::refused::Refused;
use crate::report::count;

/// The most characters of the line: three lines of a terminal.
const CHARS_MAX: usize = 240;

/// The stages in which a module needs the operator's attention, the most urgent first. The line has the
/// reason of one such module.
const TROUBLES: [&str; 8] = [
    "dead",
    "refused",
    "stalled",
    "waiting for chain",
    "suspended",
    "backoff",
    "behind",
    "replaying",
];

/// A module as the line shows it.
struct Shown {
    name: String,
    stage: String,
    reason: Option<String>,
}

/// The line about all modules of a host.
pub(super) fn status_line(host: &HostHandle, refused: &Refused) -> String {
    // First, so that a module that starts meanwhile is in one of the lists.
    let loading = host.loading();
    let mut modules: Vec<_> = host.all().iter().map(Shown::of).collect();
    let loading = loading.into_iter().map(|module| module.meta.name.to_string());
    for name in loading {
        // During a reload, the running module counts.
        if modules.iter().all(|module| module.name != name) {
            modules.push(Shown {
                name,
                stage: "loading".to_owned(),
                reason: None,
            });
        }
    }
    modules.extend(refused.missing(host).into_iter().map(|module| Shown {
        name: module.name,
        stage: "refused".to_owned(),
        reason: Some(module.reason),
    }));
    line(&modules)
}

impl Shown {
    fn of(module: &RunningModule) -> Self {
        let suspension = module.queries.as_ref().and_then(|pool| pool.suspension());
        let (stage, reason) = match (&module.events, suspension) {
            (Some(status), _) => (status.stage().to_string(), Some(status.reason().text.to_string())),
            (None, Some(suspension)) => ("suspended".to_owned(), Some(suspension.reason.to_string())),
            (None, None) => ("serving".to_owned(), None),
        };
        let name = module.origin().map(|(_, meta)| meta.name.to_string());
        Self {
            name: name.unwrap_or_default(),
            stage,
            reason,
        }
    }
}

/// For example `12 modules: 11 running, 1 waiting for chain; twap: 31337: 2 of 2 endpoints down`.
fn line(modules: &[Shown]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for module in modules {
        *counts.entry(&module.stage).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let counts: Vec<_> = counts.iter().map(|(stage, count)| format!("{count} {stage}")).collect();
    let mut line = match modules.len() {
        0 => "no modules".to_owned(),
        all => format!("{}: {}", count(all, "module"), counts.join(", ")),
    };
    let in_trouble = |stage: &&str| modules.iter().find(|module| module.stage == *stage);
    let trouble = TROUBLES.iter().find_map(in_trouble);
    if let Some(Shown {
        name,
        reason: Some(reason),
        ..
    }) = trouble
    {
        line.push_str(&format!("; {name}: {reason}"));
    }
    // A line break would begin another message, and the reason may be a guest's text.
    let line = harmless(&line);
    match line.char_indices().nth(CHARS_MAX) {
        None => line.into_owned(),
        Some(_) => line.chars().take(CHARS_MAX - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(modules: &[(&str, &str, Option<&str>)]) -> String {
        let modules = modules.iter().map(|(name, stage, reason)| Shown {
            name: (*name).to_owned(),
            stage: (*stage).to_owned(),
            reason: reason.map(str::to_owned),
        });
        line(&modules.collect::<Vec<_>>())
    }

    #[test]
    fn counts_the_stages_and_names_the_most_urgent_reason() {
        assert_eq!(shown(&[]), "no modules");
        assert_eq!(shown(&[("a", "running", None)]), "1 module: 1 running");
        let waiting = Some("chain 31337: 2 of 2 endpoints down");
        let modules = [
            ("a", "running", None),
            ("b", "behind", Some("chain 99 %")),
            ("c", "waiting for chain", waiting),
            ("d", "running", None),
        ];
        assert_eq!(
            shown(&modules),
            "4 modules: 2 running, 1 behind, 1 waiting for chain; c: chain 31337: 2 of 2 endpoints down"
        );
    }

    #[test]
    fn no_reason_begins_another_message() {
        let line = shown(&[("a", "dead", Some("x\nSTOPPING=1\r\u{1b}[2J"))]);
        assert_eq!(line, "1 module: 1 dead; a: x\\nSTOPPING=1\\r\\u{1b}[2J");
        let long = "x".repeat(1_000);
        let line = shown(&[("a", "dead", Some(&long))]);
        assert_eq!((line.chars().count(), line.ends_with('…')), (CHARS_MAX, true));
    }
}
