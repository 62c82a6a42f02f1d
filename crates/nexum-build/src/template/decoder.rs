//! The source file with the events of an ABI, for projects in other languages than Rust.

mod c;
mod javascript;
mod python;

use std::path::PathBuf;

use super::abi::{AbiEvent, Input, InputKind};
use crate::Language;

/// An event with its name in a source file.
#[derive(Debug)]
struct Named<'a> {
    /// An identifier, which no other event has.
    name: String,
    event: &'a AbiEvent,
}

/// The source files of the events, and the name of the first event in them.
#[derive(Debug)]
pub(super) struct Decoder {
    pub(super) files: Vec<(PathBuf, String)>,
    pub(super) first: String,
}

impl Decoder {
    /// `None` for Rust, which needs no such file, and for an ABI without events.
    pub(super) fn new(language: Language, contract: &str, events: &[AbiEvent]) -> Option<Self> {
        let reserved = match language {
            Language::Rust => return None,
            Language::JavaScript => &javascript::RESERVED[..],
            Language::Python => &python::RESERVED[..],
            // A prefix makes each name one that the language does not have.
            Language::C => &[],
        };
        let events = named(events, reserved);
        let first = events.first()?.name.clone();
        let files = match language {
            Language::Rust => return None,
            Language::JavaScript => vec![("src/events.js", javascript::source(contract, &events))],
            Language::Python => vec![("events.py", python::source(contract, &events))],
            Language::C => vec![
                ("src/events.h", c::header(contract, &events)),
                ("src/events.c", c::source(&events)),
            ],
        };
        let files = files.into_iter().map(|(path, text)| (path.into(), text)).collect();
        Some(Self { files, first })
    }
}

/// The events with names that are identifiers. An overloaded event gets a number.
fn named<'a>(events: &'a [AbiEvent], reserved: &[&str]) -> Vec<Named<'a>> {
    let mut named: Vec<Named<'a>> = Vec::new();
    for event in events {
        let name = distinct(identifier(&event.name, reserved), |name| {
            named.iter().any(|other| other.name == name)
        });
        named.push(Named { name, event });
    }
    named
}

/// A name with the letters, digits and underscores of another. It begins with a letter, and is no reserved
/// word.
fn identifier(text: &str, reserved: &[&str]) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut name: String = text.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        name.insert(0, 'x');
    }
    if reserved.contains(&name.as_str()) {
        name.push('_');
    }
    name
}

/// The name itself, or the name with the first number from 2 on that makes it distinct.
fn distinct(name: String, is_taken: impl Fn(&str) -> bool) -> String {
    let mut found = name.clone();
    let mut number = 2_u32;
    while is_taken(&found) {
        found = format!("{name}_{number}");
        number += 1;
    }
    found
}

/// A text between quotes, in JavaScript and Python.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The inputs of an event as a list of JavaScript or Python, each between two brackets. The lines of the list begin
/// with `indent`, and the end of the list with `end`.
fn inputs(event: &AbiEvent, brackets: &str, indent: &str, end: &str) -> String {
    let (open, close) = brackets.split_at(1);
    let input = |input: &Input| {
        let indexed = if input.indexed { ", \"indexed\"" } else { "" };
        let (name, ty) = (quoted(&input.name), type_name(input));
        format!("{indent}{open}{name}, \"{ty}\"{indexed}{close},\n")
    };
    match event.inputs.as_slice() {
        [] => "[]".to_owned(),
        inputs => format!("[\n{}{end}]", inputs.iter().map(input).collect::<String>()),
    }
}

/// The type of an input for the decoders of JavaScript and Python.
fn type_name(input: &Input) -> String {
    match input.kind {
        InputKind::Uint(bits) => format!("uint{bits}"),
        InputKind::Int(bits) => format!("int{bits}"),
        InputKind::Address => "address".into(),
        InputKind::Bool => "bool".into(),
        InputKind::FixedBytes(size) => format!("bytes{size}"),
        InputKind::Bytes => "bytes".into(),
        InputKind::String => "string".into(),
        InputKind::Hash => "bytes32".into(),
        InputKind::Words(count) => format!("raw{count}"),
        InputKind::Rest => "raw".into(),
    }
}

/// Sentences on the inputs whose value is not decoded.
fn remarks(event: &AbiEvent) -> Vec<String> {
    let remark = |input: &Input| {
        let name: String = identifier(&input.name, &[]);
        match input.kind {
            InputKind::Hash => Some(format!(
                "{name} is the hash of a {}: the log has no more.",
                input.solidity
            )),
            InputKind::Words(_) => Some(format!(
                "{name} is not decoded: it is the encoding of a {}.",
                input.solidity
            )),
            InputKind::Rest => Some(format!(
                "{name} is not decoded: it is the data from the encoding of the {} on.",
                input.solidity
            )),
            _ => None,
        }
    };
    event.inputs.iter().filter_map(remark).collect()
}

/// The comment of an event: its declaration, and what is not decoded.
fn comment(event: &AbiEvent, start: &str) -> String {
    let lines = std::iter::once(event.declaration()).chain(remarks(event));
    lines.map(|line| format!("{start} {line}\n")).collect()
}

#[cfg(test)]
mod tests;
