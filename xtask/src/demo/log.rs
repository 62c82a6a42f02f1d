//! Formats nexum's log lines for a terminal.

use anstyle::{AnsiColor, Style};
use serde_json::{Map, Value};

/// One line of nexum's output.
#[derive(Debug, PartialEq)]
pub(super) enum Line {
    /// A module has handled a block.
    Handled { module: String, block: u64 },
    /// A log record of a module.
    Module {
        module: String,
        level: String,
        message: String,
    },
    /// A log record of nexum.
    Nexum { level: String, message: String },
    /// A line that is not a log record, for example a line of a table or an error.
    Plain(String),
}

/// Fields that the printed line contains in another form or leaves out.
const FIELDS_LEFT_OUT: [&str; 8] = [
    "timestamp",
    "level",
    "target",
    "message",
    "module",
    "event",
    "chain",
    "block",
];

impl Line {
    /// Parses a record in `log_format = "json"`: one object with the event's fields and the common
    /// ones.
    pub(super) fn parse(line: &str) -> Self {
        let Ok(Value::Object(record)) = serde_json::from_str::<Value>(line) else {
            return Self::Plain(line.to_owned());
        };
        let text = |key: &str| record.get(key).map(as_text).unwrap_or_default();
        let (module, message, level) = (text("module"), text("message"), text("level"));
        if message == "event handled"
            && let Ok(block) = text("block").parse()
        {
            return Self::Handled { module, block };
        }
        let message = message + &other_fields(&record);
        if module.is_empty() {
            Self::Nexum { level, message }
        } else {
            Self::Module { module, level, message }
        }
    }

    pub(super) fn print(&self) {
        let (who, level, text) = match self {
            Self::Handled { module, block } => (module.as_str(), "DEBUG", &format!("handled block {block}")),
            Self::Module { module, level, message } => (module.as_str(), level.as_str(), message),
            Self::Nexum { level, message } => ("nexum", level.as_str(), message),
            Self::Plain(text) => ("nexum", "", text),
        };
        let (name, text_style) = (name_style(who), level_style(level));
        // `anstream` removes the styles if the output is not a terminal.
        anstream::println!("{name}{who:>14}{name:#} | {text_style}{text}{text_style:#}");
    }
}

fn name_style(who: &str) -> Style {
    let color = match who {
        "nexum" => AnsiColor::Magenta,
        "block-logger" => AnsiColor::Cyan,
        _ => AnsiColor::Green,
    };
    Style::new().bold().fg_color(Some(color.into()))
}

fn level_style(level: &str) -> Style {
    match level {
        "ERROR" => Style::new().fg_color(Some(AnsiColor::Red.into())),
        "WARN" => Style::new().fg_color(Some(AnsiColor::Yellow.into())),
        "DEBUG" | "TRACE" => Style::new().dimmed(),
        _ => Style::new(),
    }
}

/// The other fields of a record, as `key=value`.
fn other_fields(record: &Map<String, Value>) -> String {
    let others = record
        .iter()
        .filter(|(key, _)| !FIELDS_LEFT_OUT.contains(&key.as_str()));
    others
        .map(|(key, value)| format!(" {key}={}", as_text(value)))
        .collect()
}

fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Line) {
        assert_eq!(Line::parse(line), expected, "{line}");
    }

    #[test]
    fn reads_what_nexum_says() {
        check("a table", Line::Plain("a table".into()));
        check("7", Line::Plain("7".into()));
        check(
            r#"{"level":"DEBUG","message":"event handled","module":"a","chain":1,"block":7,"target":"nexum::event"}"#,
            Line::Handled {
                module: "a".into(),
                block: 7,
            },
        );
        check(
            r#"{"level":"INFO","message":"hello","module":"a","chain":1,"block":7,"target":"nexum::module"}"#,
            Line::Module {
                module: "a".into(),
                level: "INFO".into(),
                message: "hello".into(),
            },
        );
        check(
            r#"{"timestamp":"now","level":"WARN","message":"slow","host":"h","lag":2}"#,
            Line::Nexum {
                level: "WARN".into(),
                message: "slow host=h lag=2".into(),
            },
        );
    }
}
