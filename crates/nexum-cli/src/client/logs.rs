//! `nexum logs`, `nexum events`, `nexum log-level` and `nexum notify`.

use chrono::DateTime;
use hyper::Method;
use nexum_config::harmless::{harmless, harmless_json, harmless_lines};
use nexum_core::clock::{Clock as _, SystemClock};
use serde::Serialize;

use super::Client;
use super::stream::Followed;
use crate::args::{self, Format, Notify, Since};
use crate::exit_code::{FAILED, STOPPED};
use crate::protocol::conditions::NotifyResult;
use crate::protocol::events::{EventKind, EventRecord};
use crate::protocol::logs::{Gap, LogLevel, LogRecord, SetLogLevel};
use crate::protocol::{EVENTS, LOG_LEVEL, LOGS, NOTIFY_TEST};
use crate::report::print::{errln, json_on_stdout, outln};
use crate::report::{Refusal, Refusals, time};

/// The begin of a record's second and further lines.
const INDENT: &str = "    ";

/// `nexum logs`: prints the last log records.
pub(crate) fn logs(client: &Client<'_>, args: &args::Logs) -> Result<u8, Refusals> {
    let since_ms = args.since.as_ref().map(since_ms).transpose()?;
    let path = query(
        LOGS,
        &[
            ("module", args.module.as_ref().map(ToString::to_string)),
            ("level", args.level.map(|level| level.word().to_owned())),
            ("event", args.event.clone()),
            ("since_ms", since_ms.map(|ms| ms.to_string())),
            ("limit", Some(args.limit.to_string())),
        ],
    );
    print_all(client, &path, args.follow, args.format, record)
}

/// `nexum events`: prints what happened to modules and chains.
pub(crate) fn events(client: &Client<'_>, args: &args::Events) -> Result<u8, Refusals> {
    let path = query(
        EVENTS,
        &[
            ("module", args.module.as_ref().map(ToString::to_string)),
            ("limit", Some(args.limit.to_string())),
        ],
    );
    print_all(client, &path, args.follow, args.format, event)
}

/// Prints the messages of a path: those so far, or also the next ones.
fn print_all<T: Serialize + serde::de::DeserializeOwned>(
    client: &Client<'_>,
    path: &str,
    follow: bool,
    format: Format,
    line: fn(&T) -> String,
) -> Result<u8, Refusals> {
    let print = |message: &T| match format {
        Format::Text => outln!("{}", line(message)),
        Format::Json => match serde_json::to_string(message) {
            Ok(json) => outln!("{}", harmless_json(&json)),
            Err(error) => errln!("error: a message cannot be written: {error}"),
        },
    };
    if follow {
        return Err(client.read_stream(path, |followed| match followed {
            Followed::Record(message) => print(&message),
            Followed::Gap(gap) => print_gap(gap, format),
        }));
    }
    let messages: Vec<T> = client.get(path)?;
    messages.iter().for_each(print);
    Ok(STOPPED)
}

/// Reports a gap, where a reader of the format finds it.
fn print_gap(gap: Gap, format: Format) {
    match (format, serde_json::to_string(&gap)) {
        (Format::Json, Ok(json)) => outln!("{{\"gap\":{json}}}"),
        _ => outln!("-- {}", gap.words()),
    }
}

/// A path with those of the parameters that have a value.
pub(super) fn query(path: &str, parameters: &[(&str, Option<String>)]) -> String {
    let given = parameters
        .iter()
        .filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let given: Vec<_> = given
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .collect();
    format!("{path}?{}", given.join("&"))
}

/// A value of a query, in which only letters and digits stand for themselves.
fn encoded(value: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    value.bytes().map(byte).collect()
}

fn since_ms(since: &Since) -> Result<u64, Refusal> {
    match since {
        Since::Age(age) => {
            let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            Ok(SystemClock::new().now_ms().saturating_sub(age_ms))
        }
        Since::Time(text) => {
            let parsed = DateTime::parse_from_rfc3339(text);
            let parsed = parsed.map_err(|error| Refusal::new(format!("--since {text}: {error}")))?;
            // A time before 1970 selects all records.
            Ok(u64::try_from(parsed.timestamp_millis()).unwrap_or(0))
        }
    }
}

/// A log record as a line, in the form of the log on stderr.
fn record(record: &LogRecord) -> String {
    let mut line = format!(
        "{} {:>5} {}: {}",
        time(record.at_ms),
        record.level,
        record.target,
        record.message
    );
    let named = [("module", &record.module), ("event", &record.event)];
    for (name, value) in named {
        if let Some(value) = value {
            line.push_str(&format!(" {name}={value}"));
        }
    }
    for (name, value) in &record.fields {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        line.push_str(&format!(" {name}={value}"));
    }
    harmless_lines(&line, INDENT).into_owned()
}

/// An event as a line.
fn event(event: &EventRecord) -> String {
    let what = match event.kind {
        EventKind::Handled => "handled".to_owned(),
        EventKind::Failed => match (event.attempt, event.attempts_max) {
            (Some(attempt), Some(max)) => format!("failed, attempt {attempt} of {max}"),
            _ => "failed".to_owned(),
        },
        EventKind::DeadLetter => "dead letter".to_owned(),
        EventKind::Reverted => "reverted".to_owned(),
        EventKind::Stage => event.stage.as_deref().unwrap_or("another stage").replace('_', " "),
        EventKind::ConditionBegan => "began".to_owned(),
        EventKind::ConditionLasts => "lasts".to_owned(),
        EventKind::ConditionEnded => "ended".to_owned(),
        EventKind::Command => "command".to_owned(),
    };
    let chain = event.chain.filter(|_| event.event.is_none());
    let subject = [
        event.module.clone(),
        chain.map(|chain| format!("chain {chain}")),
        event.event.clone(),
        matches!(event.kind, EventKind::Failed if event.event.is_none()).then(|| "init".to_owned()),
    ];
    let subject: Vec<_> = subject.into_iter().flatten().collect();
    let costs = event.took_us.map(|took_us| match event.fuel {
        Some(fuel) if fuel > 0 => format!(" in {} ms, {fuel} fuel", millis(took_us)),
        _ => format!(" in {} ms", millis(took_us)),
    });
    let text = event.text.as_ref().map(|text| format!(": {}", text.trim_end()));
    let separator = if subject.is_empty() { "" } else { " " };
    let line = format!(
        "{} {}{separator}{what}{}{}",
        time(event.at_ms),
        subject.join(" "),
        costs.unwrap_or_default(),
        text.unwrap_or_default()
    );
    harmless_lines(&line, INDENT).into_owned()
}

/// Microseconds as milliseconds with two digits after the point.
fn millis(us: u64) -> String {
    format!("{}.{:02}", us / 1_000, us % 1_000 / 10)
}

/// `nexum log-level`: shows or sets the level of the log.
pub(crate) fn log_level(client: &Client<'_>, args: &args::LogLevel) -> Result<u8, Refusals> {
    let level: LogLevel = match (&args.directives, args.reset) {
        (None, false) => client.get(LOG_LEVEL)?,
        (directives, _) => {
            let directives = directives.clone();
            client.ask(Method::PUT, LOG_LEVEL, &SetLogLevel { directives })?
        }
    };
    if let Format::Json = args.format {
        json_on_stdout(&level)?;
        return Ok(STOPPED);
    }
    outln!("{}\n{}", harmless(&level.directives), harmless(&level.origin));
    if level.is_temporary {
        outln!(
            "it lasts until nexum restarts, reloads its configuration, or `nexum log-level --reset` returns to {}",
            harmless(&level.configured)
        );
    }
    Ok(STOPPED)
}

/// `nexum notify`: tests the receivers of notifications.
pub(crate) fn notify(client: &Client<'_>, command: &Notify) -> Result<u8, Refusals> {
    let Notify::Test { why, format } = command;
    let results: Vec<NotifyResult> = client.because(why).post(NOTIFY_TEST)?;
    let has_failed = results.iter().any(|result| result.error.is_some());
    match format {
        Format::Json => json_on_stdout(&results)?,
        Format::Text => {
            for NotifyResult { receiver, error } in &results {
                match error {
                    None => outln!("{}: the message arrived", harmless(receiver)),
                    Some(error) => errln!("error: {}", harmless(error)),
                }
            }
        }
    }
    Ok(if has_failed { FAILED } else { STOPPED })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_record_looks_as_on_stderr_and_moves_no_cursor() {
        let found: LogRecord = serde_json::from_value(json!({
            "seq": 1, "at_ms": 1_767_225_600_123_u64, "level": "warn", "target": "nexum::event",
            "module": "m", "event": "1:7:block", "message": "no\nroute\u{1b}[2J",
            "fields": {"attempt": 2, "limit": "fuel"}
        }))
        .unwrap();
        let expected = "2026-01-01T00:00:00.123Z  WARN nexum::event: no\n    route\\u{1b}[2J \
                        module=m event=1:7:block attempt=2 limit=fuel";
        assert_eq!(record(&found), expected);
    }

    fn line(event: Value) -> String {
        let mut whole = json!({"seq": 1, "at_ms": 1_767_225_600_123_u64});
        whole
            .as_object_mut()
            .unwrap()
            .extend(event.as_object().unwrap().clone());
        super::event(&serde_json::from_value(whole).unwrap())
    }

    #[test]
    fn an_event_is_a_line() {
        let lines = [
            json!({"kind": "handled", "module": "m", "event": "1:7:block", "chain": 1, "took_us": 1_421, "fuel": 12}),
            json!({"kind": "failed", "module": "m", "event": "1:7:block", "attempt": 2, "attempts_max": 5, "text": "no"}),
            json!({"kind": "failed", "module": "m", "attempt": 1, "attempts_max": 10, "text": "no"}),
            json!({"kind": "dead_letter", "module": "m", "event": "1:7:block", "attempt": 5, "text": "the event is now a dead letter"}),
            json!({"kind": "reverted", "module": "m", "chain": 1, "text": "back to block 6"}),
            json!({"kind": "stage", "module": "m", "stage": "waiting_for_chain", "text": "1: no endpoint answers"}),
            json!({"kind": "condition_began", "condition": "chain_outage", "chain": 1, "text": "nexum cannot follow chain 1"}),
            json!({"kind": "command", "module": "m", "text": "module_stop by uid 1000 outcome=ok"}),
        ];
        let lines: Vec<_> = lines
            .into_iter()
            .map(|event| line(event)["2026-01-01T".len()..].to_owned())
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        00:00:00.123Z m 1:7:block handled in 1.42 ms, 12 fuel
        00:00:00.123Z m 1:7:block failed, attempt 2 of 5: no
        00:00:00.123Z m init failed, attempt 1 of 10: no
        00:00:00.123Z m 1:7:block dead letter: the event is now a dead letter
        00:00:00.123Z m chain 1 reverted: back to block 6
        00:00:00.123Z m waiting for chain: 1: no endpoint answers
        00:00:00.123Z chain 1 began: nexum cannot follow chain 1
        00:00:00.123Z m command: module_stop by uid 1000 outcome=ok
        ");
    }

    #[test]
    fn a_query_has_the_parameters_with_a_value() {
        let path = query(
            "/v1/logs",
            &[
                ("module", None),
                ("event", Some("1@12:7:block".to_owned())),
                ("limit", Some("5".to_owned())),
            ],
        );
        assert_eq!(path, "/v1/logs?event=1%4012%3A7%3Ablock&limit=5");
    }

    #[test]
    fn a_time_is_in_rfc_3339() {
        let at = |text: &str| since_ms(&Since::Time(text.to_owned()));
        assert_eq!(at("2026-01-01T01:00:00+01:00").unwrap(), 1_767_225_600_000);
        assert!(at("2026-01-01T25:00").is_err());
    }
}
