//! A log record of the daemon, as a short line.

use std::collections::BTreeSet;
use std::fmt;

use nexum_config::harmless::harmless_lines;
use nexum_config::manifest::{Manifest, Subscription};
use nexum_config::names::ModuleName;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::report::time;

/// The target of the records about events.
const EVENT: &str = "nexum::event";

/// The target of the records of modules.
const MODULE: &str = "nexum::module";

/// The message after the first `init` of an instance.
const STARTED: &str = "init returned ok";

/// The start of a record's second and further lines.
const INDENT: &str = "    ";

/// A record in `log_format = "json"`.
#[derive(Debug, Deserialize)]
pub(in crate::author) struct Record {
    pub(in crate::author) level: String,
    target: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    pub(in crate::author) event: Option<String>,
    #[serde(default)]
    handler: Option<String>,
    #[serde(default)]
    attempt: Option<u64>,
    #[serde(default)]
    took_us: Option<u64>,
    #[serde(default)]
    fuel: Option<u64>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// The part of a record that decides how its line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::author) enum Kind {
    /// A module has handled an event.
    Handled,
    /// A handler failed, or an event became a dead letter.
    Failed,
    /// A log record of a module.
    Module,
    /// The daemon's own record.
    Daemon,
}

impl Record {
    /// Reads a line of the daemon's stderr. `None` if it is no record, as an error that prevents the start.
    pub(in crate::author) fn parse(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }

    pub(in crate::author) fn kind(&self) -> Kind {
        match &*self.target {
            MODULE => Kind::Module,
            EVENT if self.took_us.is_some() => Kind::Handled,
            EVENT if self.level == "ERROR" && (self.event.is_some() || self.is_of_init()) => Kind::Failed,
            _ => Kind::Daemon,
        }
    }

    /// Whether the record is about a call of `init`.
    fn is_of_init(&self) -> bool {
        self.handler.as_deref() == Some("init")
    }

    /// Whether the event of a failure gets no further attempt.
    pub(in crate::author) fn is_dead_letter(&self) -> bool {
        self.kind() == Kind::Failed && self.attempt.is_none()
    }

    /// The module that the record is about.
    pub(in crate::author) fn module(&self) -> Option<&str> {
        self.others.get("module")?.as_str()
    }

    /// The text of the record, which cannot move the cursor of a terminal.
    pub(in crate::author) fn message(&self) -> String {
        harmless_lines(&self.message, INDENT).into_owned()
    }

    /// Whether the line is of interest to an author.
    pub(in crate::author) fn is_shown(&self) -> bool {
        match self.kind() {
            Kind::Handled | Kind::Failed | Kind::Module => true,
            Kind::Daemon => self.message != STARTED && (self.level != "INFO" || self.target == EVENT),
        }
    }
}

/// How far a daemon is, by its records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::author) struct Ready {
    /// Whether every module has started or is refused.
    is_loaded: bool,
    /// The module, until its `init` has returned ok.
    starting: Option<ModuleName>,
    /// The chains of the module's subscriptions that the daemon does not follow yet.
    awaited: BTreeSet<u64>,
}

impl Ready {
    /// A daemon that has just started, with a module of this name and manifest. Of a module without
    /// subscriptions, nexum calls `init` at the first query.
    pub(in crate::author) fn of(name: &ModuleName, manifest: &Manifest) -> Self {
        Self {
            is_loaded: false,
            starting: (!manifest.subscriptions.is_empty()).then(|| name.clone()),
            awaited: manifest
                .subscriptions
                .iter()
                .filter_map(Subscription::chain_id)
                .collect(),
        }
    }

    /// Whether every module has started or is refused.
    pub(in crate::author) fn is_loaded(&self) -> bool {
        self.is_loaded
    }

    /// Whether the module gets the next events.
    pub(in crate::author) fn is_complete(&self) -> bool {
        self.is_loaded && self.starting.is_none() && self.awaited.is_empty()
    }

    /// The next step of the daemon, for a message. `None` if it is ready.
    pub(in crate::author) fn awaited(&self) -> Option<String> {
        match (self.is_loaded, self.awaited.first()) {
            (false, _) => Some("the daemon loads the module".to_owned()),
            (true, Some(chain)) => Some(format!("the daemon follows chain {chain}")),
            (true, None) => self.starting.as_ref().map(|name| format!("`init` of {name} returns")),
        }
    }

    /// Notes a record. Returns whether the daemon is ready since then.
    pub(in crate::author) fn note(&mut self, record: &Record) -> bool {
        let before = self.is_complete();
        self.is_loaded |= record.message == "modules are loaded";
        if record.message == STARTED && record.module() == self.starting.as_ref().map(ModuleName::as_str) {
            self.starting = None;
        }
        if record.message == "following the chain"
            && let Some(chain) = record.others.get("chain").and_then(Value::as_u64)
        {
            self.awaited.remove(&chain);
        }
        !before && self.is_complete()
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.message();
        let event = match &self.event {
            Some(event) => subject(event),
            None => "init".to_owned(),
        };
        match self.kind() {
            Kind::Handled => {
                write!(f, "{event} handled in {}", millis(self.took_us.unwrap_or_default()))?;
                match self.fuel {
                    Some(fuel) if fuel > 0 => write!(f, ", {} fuel", grouped(fuel)),
                    _ => Ok(()),
                }
            }
            Kind::Failed => match self.attempt {
                Some(attempt) => write!(f, "{event} failed, attempt {attempt}: {message}"),
                None => write!(f, "{event}: {message}"),
            },
            Kind::Module => write!(f, "  {} {message}", self.level.to_lowercase()),
            Kind::Daemon => {
                write!(f, "nexum: {message}")?;
                let is_extra = |key: &str| !matches!(key, "timestamp" | "chain" | "block");
                for (key, value) in self.others.iter().filter(|(key, _)| is_extra(key)) {
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    write!(f, " {key}={}", harmless_lines(&text, INDENT))?;
                }
                Ok(())
            }
        }
    }
}

/// An event id for people: `block 12` for `31337:12:block`.
pub(in crate::author) fn subject(id: &str) -> String {
    let parts: Vec<_> = id.split(':').collect();
    match parts.as_slice() {
        [_, ms, "tick"] => ms
            .parse()
            .map_or_else(|_| id.to_owned(), |ms| format!("tick {}", time(ms))),
        [_, number, kind] => format!("{kind} {number}"),
        _ => id.to_owned(),
    }
}

fn millis(us: u64) -> String {
    match us < 10_000 {
        true => format!("{}.{:02} ms", us / 1_000, us % 1_000 / 10),
        false => format!("{} ms", us / 1_000),
    }
}

/// A number with commas between groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn shown(line: &str) -> Option<String> {
        let record = Record::parse(line).unwrap();
        record.is_shown().then(|| record.to_string())
    }

    #[test]
    fn a_record_is_a_short_line() {
        let lines = [
            r#"{"timestamp":"t","level":"DEBUG","message":"event handled","module":"m","event":"31337:12:block","chain":31337,"block":12,"took_us":421,"fuel":14312,"target":"nexum::event"}"#,
            r#"{"level":"DEBUG","message":"event handled","module":"m","event":"00ff:1767225600000:tick","took_us":12345,"fuel":0,"target":"nexum::event"}"#,
            r#"{"level":"ERROR","message":"returned an error: no","module":"m","handler":"on-event","event":"1@12:7:logs","attempt":2,"target":"nexum::event"}"#,
            r#"{"level":"ERROR","message":"returned an error: no price","module":"m","handler":"init","attempt":1,"target":"nexum::event"}"#,
            r#"{"level":"ERROR","message":"the event is now a dead letter, and the module continues","module":"m","event":"1:7:logs","attempts":5,"target":"nexum::event"}"#,
            r#"{"level":"INFO","message":"two\nlines","module":"m","event":"1:7:logs","target":"nexum::module"}"#,
            r#"{"timestamp":"t","level":"WARN","message":"slow","chain":1,"error":"x\u001b[2J","target":"nexum_core::a"}"#,
        ];
        let text: Vec<_> = lines.iter().map(|line| shown(line).unwrap()).collect();
        insta::assert_snapshot!(text.join("\n"), @r"
        block 12 handled in 0.42 ms, 14,312 fuel
        tick 2026-01-01T00:00:00.000Z handled in 12 ms
        logs 7 failed, attempt 2: returned an error: no
        init failed, attempt 1: returned an error: no price
        logs 7: the event is now a dead letter, and the module continues
          info two
            lines
        nexum: slow error=x\u{1b}[2J
        ");
        assert_eq!(
            shown(r#"{"level":"INFO","message":"modules are loaded","target":"nexum::daemon::run"}"#),
            None
        );
        assert!(Record::parse("error: no").is_none());
    }

    #[test]
    fn a_module_runs_after_its_init() {
        let subscriptions = "[[subscription]]\nkind = \"block\"\nchain_id = 1\n";
        let manifest = Manifest::parse(Path::new("nexum.toml"), subscriptions.as_bytes()).unwrap();
        let mut ready = Ready::of(&"m".parse().unwrap(), &manifest);
        let mut note = |line: &str| ready.note(&Record::parse(line).unwrap());
        let started = r#"{"level":"DEBUG","message":"init returned ok","module":"m","target":"nexum::event"}"#;
        for line in [
            r#"{"level":"INFO","message":"modules are loaded","target":"nexum::daemon::run"}"#,
            r#"{"level":"INFO","message":"following the chain","chain":1,"target":"nexum_host_chain"}"#,
            r#"{"level":"ERROR","message":"no","module":"m","handler":"init","attempt":1,"target":"nexum::event"}"#,
            r#"{"level":"DEBUG","message":"init returned ok","module":"other","target":"nexum::event"}"#,
        ] {
            assert!(!note(line), "{line}");
        }
        assert!(note(started));
        assert_eq!(shown(started), None);
        // Another instance of the module is no news.
        assert!(!ready.note(&Record::parse(started).unwrap()));
    }

    #[test]
    fn digits_are_in_groups_of_three() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
