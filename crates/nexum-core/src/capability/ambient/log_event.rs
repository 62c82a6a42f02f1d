//! The interface `nexum:host/logging@0.1.0`, for trigger modules.

use std::fmt::Write as _;

use super::bindings::trigger::nexum::host::logging::{self, Field, FieldValue, Level, Source};
use crate::capability::View;

/// The fuel of a field, beside one unit per byte: about as many instructions as it takes the host.
const FIELD_FUEL: usize = 100;

impl logging::Host for View<'_, ()> {
    fn log(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        self.record(level.into(), message.len(), || message)
    }

    fn log_event(&mut self, level: Level, source: Source, message: String, fields: Vec<Field>) -> wasmtime::Result<()> {
        let of_fields: usize = fields.iter().map(bytes).sum();
        let of_source = source.target.len() + source.file.as_ref().map_or(0, String::len);
        let bytes = message.len() + of_fields + of_source;
        self.record(level.into(), bytes, || text(message, &fields, &source))
    }
}

impl From<Level> for tracing::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Trace => Self::TRACE,
            Level::Debug => Self::DEBUG,
            Level::Info => Self::INFO,
            Level::Warn => Self::WARN,
            Level::Error => Self::ERROR,
        }
    }
}

/// The host's work for a field, in units of fuel.
fn bytes(field: &Field) -> usize {
    let value = match &field.value {
        FieldValue::Text(text) => text.len(),
        FieldValue::Unsigned(_) | FieldValue::Signed(_) | FieldValue::Float(_) | FieldValue::Boolean(_) => 0,
    };
    FIELD_FUEL + field.name.len() + value
}

/// The record in one text: `MESSAGE NAME=VALUE .. (TARGET FILE:LINE)`.
///
/// The names of the fields come from the guest, and those of a record of the host are constants, so
/// the fields are part of the text.
fn text(mut text: String, fields: &[Field], source: &Source) -> String {
    let mut add = |part: std::fmt::Arguments<'_>| {
        let space = if text.is_empty() { "" } else { " " };
        // Writing to a string does not fail.
        let _ = write!(text, "{space}{part}");
    };
    for Field { name, value } in fields {
        match value {
            FieldValue::Text(value) => add(format_args!("{name}={value:?}")),
            FieldValue::Unsigned(value) => add(format_args!("{name}={value}")),
            FieldValue::Signed(value) => add(format_args!("{name}={value}")),
            FieldValue::Float(value) => add(format_args!("{name}={value:?}")),
            FieldValue::Boolean(value) => add(format_args!("{name}={value}")),
        }
    }
    let Source { target, file, line } = source;
    match (target.as_str(), file, line) {
        ("", None, _) => {}
        (target, None, _) => add(format_args!("({target})")),
        ("", Some(file), None) => add(format_args!("({file})")),
        ("", Some(file), Some(line)) => add(format_args!("({file}:{line})")),
        (target, Some(file), None) => add(format_args!("({target} {file})")),
        (target, Some(file), Some(line)) => add(format_args!("({target} {file}:{line})")),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, value: FieldValue) -> Field {
        let name = name.to_owned();
        Field { name, value }
    }

    fn source(target: &str, file: Option<&str>, line: Option<u32>) -> Source {
        Source {
            target: target.to_owned(),
            file: file.map(str::to_owned),
            line,
        }
    }

    #[test]
    fn a_record_has_its_fields_and_its_source() {
        let fields = [
            field("who", FieldValue::Text("a \"b\"\n".to_owned())),
            field("value", FieldValue::Unsigned(u64::MAX)),
            field("change", FieldValue::Signed(-5)),
            field("part", FieldValue::Float(0.5)),
            field("is_new", FieldValue::Boolean(true)),
        ];
        let said = text(
            "seen".to_owned(),
            &fields,
            &source("watch", Some("src/lib.rs"), Some(12)),
        );
        let expected = "seen who=\"a \\\"b\\\"\\n\" value=18446744073709551615 change=-5 part=0.5 is_new=true (watch src/lib.rs:12)";
        assert_eq!(said, expected);
        for (source, expected) in [
            (source("", None, Some(12)), ""),
            (source("watch", None, None), "(watch)"),
            (source("", Some("a.rs"), None), "(a.rs)"),
            (source("", Some("a.rs"), Some(1)), "(a.rs:1)"),
            (source("watch", Some("a.rs"), None), "(watch a.rs)"),
        ] {
            assert_eq!(text(String::new(), &[], &source), expected);
        }
    }
}
