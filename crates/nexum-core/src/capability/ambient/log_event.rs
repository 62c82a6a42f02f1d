//! The interface `nexum:host/logging@0.1.0`, for trigger modules.

use std::fmt::Write as _;

use super::bindings::trigger::nexum::host::logging::{self, Field, FieldValue, Level, Source};
use crate::capability::View;
use crate::capability::recorder::Excerpt;

/// The fuel of a field, beside one unit per byte: about as many instructions as it takes the host.
const FIELD_FUEL: usize = 100;

impl logging::Host for View<'_, ()> {
    fn log(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        self.record(level.into(), message.len(), || Excerpt::of(&message))
    }

    fn log_event(&mut self, level: Level, source: Source, message: String, fields: Vec<Field>) -> wasmtime::Result<()> {
        let of_fields: usize = fields.iter().map(|field| FIELD_FUEL + bytes(field)).sum();
        let of_source = source.target.len() + source.file.as_ref().map_or(0, String::len);
        let bytes = message.len() + of_fields + of_source;
        self.record(level.into(), bytes, || text(&message, &fields, &source))
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

/// The size of a field's texts, in bytes.
fn bytes(field: &Field) -> usize {
    let value = match &field.value {
        FieldValue::Text(text) => text.len(),
        FieldValue::Unsigned(_) | FieldValue::Signed(_) | FieldValue::Float(_) | FieldValue::Boolean(_) => 0,
    };
    field.name.len() + value
}

/// The record in one text: `MESSAGE NAME=VALUE .. (TARGET FILE:LINE)`.
///
/// The names of the fields come from the guest, and those of a record of the host are constants, so
/// the fields are part of the text. A guest may pass one large buffer as many values, and an escape
/// may be six times as long as its byte. So the host formats no more of a value than a record can have,
/// and no field after the end of a full record. The rest counts without escapes.
fn text<'a>(message: &'a str, fields: &[Field], source: &Source) -> Excerpt<'a> {
    let mut record = Excerpt::of(message);
    for field in fields {
        if record.cut > 0 {
            record.cut = record.cut.saturating_add(bytes(field));
            continue;
        }
        let name = &field.name;
        match &field.value {
            FieldValue::Text(value) => {
                let Excerpt { kept, cut } = Excerpt::of(value);
                add(&mut record, format_args!("{name}={kept:?}"));
                record.cut = record.cut.saturating_add(cut);
            }
            FieldValue::Unsigned(value) => add(&mut record, format_args!("{name}={value}")),
            FieldValue::Signed(value) => add(&mut record, format_args!("{name}={value}")),
            FieldValue::Float(value) => add(&mut record, format_args!("{name}={value:?}")),
            FieldValue::Boolean(value) => add(&mut record, format_args!("{name}={value}")),
        }
    }
    let mut add = |part| add(&mut record, part);
    let Source { target, file, line } = source;
    match (target.as_str(), file, line) {
        ("", None, _) => {}
        (target, None, _) => add(format_args!("({target})")),
        ("", Some(file), None) => add(format_args!("({file})")),
        ("", Some(file), Some(line)) => add(format_args!("({file}:{line})")),
        (target, Some(file), None) => add(format_args!("({target} {file})")),
        (target, Some(file), Some(line)) => add(format_args!("({target} {file}:{line})")),
    }
    record
}

/// Adds a part to a record, after a space unless it is the first one.
fn add(record: &mut Excerpt<'_>, part: std::fmt::Arguments<'_>) {
    let space = if record.kept.is_empty() { "" } else { " " };
    // An excerpt takes every text.
    let _ = write!(record, "{space}{part}");
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::capability::recorder::RECORD_BYTES_MAX;

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
        let said = text("seen", &fields, &source("watch", Some("src/lib.rs"), Some(12)));
        let expected = "seen who=\"a \\\"b\\\"\\n\" value=18446744073709551615 change=-5 part=0.5 is_new=true (watch src/lib.rs:12)";
        assert_eq!((&*said.kept, said.cut), (expected, 0));
        for (source, expected) in [
            (source("", None, Some(12)), ""),
            (source("watch", None, None), "(watch)"),
            (source("", Some("a.rs"), None), "(a.rs)"),
            (source("", Some("a.rs"), Some(1)), "(a.rs:1)"),
            (source("watch", Some("a.rs"), None), "(watch a.rs)"),
        ] {
            assert_eq!(text("", &[], &source).kept, expected);
        }
    }

    #[test]
    fn a_large_record_is_cut_while_it_is_written() {
        let large = 1 << 20;
        let fields = [
            field("a", FieldValue::Text("\u{1b}".repeat(large))),
            field("b", FieldValue::Text("\u{1b}".repeat(large))),
            field("c", FieldValue::Unsigned(1)),
        ];
        let said = text("seen", &fields, &source("", None, None));
        assert!(said.kept.starts_with("seen a=\"\\u{1b}\\u{1b}"), "{}", said.kept);
        assert_eq!(said.kept.len(), RECORD_BYTES_MAX);
        assert!(matches!(&said.kept, Cow::Owned(kept) if kept.capacity() <= 2 * RECORD_BYTES_MAX));
        // The escapes of the part of the first text that a record can have, with its quotes, and the
        // rest without escapes.
        let written = "seen a=\"\"".len() + RECORD_BYTES_MAX * "\\u{1b}".len();
        let unwritten = large - RECORD_BYTES_MAX + "b".len() + large + "c".len();
        assert_eq!(said.cut, written - RECORD_BYTES_MAX + unwritten);

        let message = "é".repeat(large);
        let said = text(&message, &fields[2..], &source("watch", None, None));
        assert!(matches!(&said.kept, Cow::Borrowed(kept) if kept.len() == RECORD_BYTES_MAX));
        assert_eq!(said.cut, 2 * large - RECORD_BYTES_MAX + "c".len() + " (watch)".len());
    }
}
