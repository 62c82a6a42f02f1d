//! A log record, as the rings keep it.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use serde_json::Value;
use tracing::Level;

/// The most bytes of a text in a record: twice the longest record of a module, with room for
/// escaped characters. The rest is cut.
const TEXT_BYTES_MAX: usize = 16 * 1_024;

/// The most fields of a record besides the module, the event and the message. nexum's records have
/// about ten.
const FIELDS_MAX: usize = 32;

/// A log record.
#[derive(Debug)]
pub(in crate::daemon) struct Record {
    /// The number in the sequence of all records.
    pub(in crate::daemon) seq: u64,
    /// The time, in milliseconds since the Unix epoch.
    pub(in crate::daemon) at_ms: u64,
    pub(in crate::daemon) level: Level,
    pub(in crate::daemon) target: Cow<'static, str>,
    /// The name of the record: one of [`nexum_core::logged`], or the place in the source code.
    pub(in crate::daemon) name: &'static str,
    pub(in crate::daemon) module: Option<Box<str>>,
    pub(in crate::daemon) event: Option<Box<str>>,
    /// The text, which can have any characters.
    pub(in crate::daemon) message: String,
    /// The other fields, in the order of the record.
    pub(in crate::daemon) fields: Vec<(&'static str, Value)>,
}

/// A record without a number and a time.
#[derive(Debug)]
pub(in crate::daemon) struct Draft {
    level: Level,
    target: Cow<'static, str>,
    name: &'static str,
    pub(super) module: Option<Box<str>>,
    event: Option<Box<str>>,
    message: String,
    fields: Vec<(&'static str, Value)>,
}

impl Draft {
    /// A record of this level, target and name without fields.
    pub(super) fn new(level: Level, target: Cow<'static, str>, name: &'static str) -> Self {
        Self {
            level,
            target,
            name,
            module: None,
            event: None,
            message: String::new(),
            fields: Vec::new(),
        }
    }

    pub(super) fn level(&self) -> Level {
        self.level
    }

    pub(super) fn target(&self) -> &str {
        &self.target
    }

    /// Adds a field. Its text is cut after [`TEXT_BYTES_MAX`], and fields after [`FIELDS_MAX`] are
    /// dropped.
    pub(super) fn add(&mut self, name: &'static str, value: impl fmt::Display) {
        let mut text = Clipped::default();
        // A clipped text takes everything, but the value's own code can fail.
        let _ = write!(text, "{value}");
        let text = text.finish();
        match name {
            "message" => self.message = text,
            "module" => self.module = Some(text.into()),
            "event" => self.event = Some(text.into()),
            _ => self.add_value(name, text.into()),
        }
    }

    /// Adds a field that is a number or a truth value.
    pub(super) fn add_value(&mut self, name: &'static str, value: Value) {
        if self.fields.len() < FIELDS_MAX {
            self.fields.push((name, value));
        }
    }
}

impl Record {
    pub(super) fn new(seq: u64, at_ms: u64, draft: Draft) -> Self {
        let Draft {
            level,
            target,
            name,
            module,
            event,
            message,
            fields,
        } = draft;
        Self {
            seq,
            at_ms,
            level,
            target,
            name,
            module,
            event,
            message,
            fields,
        }
    }

    /// The size in memory, without what the allocator adds.
    pub(super) fn bytes(&self) -> usize {
        let text = |text: &Option<Box<str>>| text.as_deref().map_or(0, str::len);
        let field = |(_, value): &(&str, Value)| size_of::<(&str, Value)>() + value.as_str().map_or(0, str::len);
        size_of::<Self>()
            + self.message.len()
            + text(&self.module)
            + text(&self.event)
            + self.fields.iter().map(field).sum::<usize>()
    }

    /// The value of a field.
    pub(in crate::daemon) fn field(&self, name: &str) -> Option<&Value> {
        let found = self.fields.iter().find(|(field, _)| *field == name);
        found.map(|(_, value)| value)
    }
}

/// The first [`TEXT_BYTES_MAX`] bytes of a text, and the size of the rest.
#[derive(Default)]
struct Clipped {
    kept: String,
    cut: usize,
}

impl Clipped {
    fn finish(mut self) -> String {
        if self.cut > 0 {
            // Writing to a string does not fail.
            let _ = write!(self.kept, " [{} bytes cut]", self.cut);
        }
        self.kept
    }
}

impl fmt::Write for Clipped {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = match self.cut {
            0 => TEXT_BYTES_MAX - self.kept.len(),
            _ => 0,
        };
        let end = text.floor_char_boundary(room);
        self.kept.push_str(&text[..end]);
        self.cut = self.cut.saturating_add(text.len() - end);
        Ok(())
    }
}
