//! Nexum's log lines, made easy on the eye.

use anstyle::{AnsiColor, Style};
use serde_json::{Map, Value};

/// One line of nexum's output.
#[derive(Debug, PartialEq)]
pub(super) enum Line {
    /// A module has handled a block.
    Handled { module: String, block: u64 },
    /// A module said something.
    Module {
        module: String,
        level: String,
        message: String,
    },
    /// Nexum itself said something.
    Nexum { level: String, message: String },
    /// Not a log record: part of a table, or of an error.
    Plain(String),
}

impl Line {
    /// Reads a record in `log_format = "json"`. Its fields may be under `fields` or beside it, and in spans.
    pub(super) fn parse(line: &str) -> Self {
        let Ok(Value::Object(record)) = serde_json::from_str::<Value>(line) else {
            return Self::Plain(line.to_owned());
        };
        let text = |key: &str| field(&record, key).map(as_text).unwrap_or_default();
        let (module, message, level) = (text("module"), text("message"), text("level"));
        if message == "event handled"
            && let Ok(block) = text("block").parse()
        {
            return Self::Handled { module, block };
        }
        if module.is_empty() {
            return Self::Nexum {
                level,
                message: message + &other_fields(&record),
            };
        }
        Self::Module { module, level, message }
    }

    pub(super) fn print(&self) {
        let (who, level, text) = match self {
            Self::Handled { module, block } => (module.as_str(), "DEBUG", &format!("handled block {block}")),
            Self::Module { module, level, message } => (module.as_str(), level.as_str(), message),
            Self::Nexum { level, message } => ("nexum", level.as_str(), message),
            Self::Plain(text) => ("nexum", "", text),
        };
        let (name, text_style) = (name_style(who), level_style(level));
        // Takes the styles out again where the output is not a terminal.
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

fn field<'a>(record: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    let places = [record.get("fields"), record.get("span")];
    places
        .into_iter()
        .flatten()
        .find_map(|place| place.get(key))
        .or_else(|| record.get(key))
}

/// What a record says beside its message, as `key=value`.
fn other_fields(record: &Map<String, Value>) -> String {
    let Some(fields) = record.get("fields").and_then(Value::as_object) else {
        return String::new();
    };
    let others = fields.iter().filter(|(key, _)| *key != "message");
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
            r#"{"level":"DEBUG","fields":{"message":"event handled","module":"a","chain":1,"block":7}}"#,
            Line::Handled {
                module: "a".into(),
                block: 7,
            },
        );
        check(
            r#"{"level":"INFO","message":"hello","module":"a","target":"nexum::module"}"#,
            Line::Module {
                module: "a".into(),
                level: "INFO".into(),
                message: "hello".into(),
            },
        );
        check(
            r#"{"level":"WARN","fields":{"message":"slow","chain":1,"host":"h"},"span":{"name":"run"}}"#,
            Line::Nexum {
                level: "WARN".into(),
                message: "slow chain=1 host=h".into(),
            },
        );
    }
}
