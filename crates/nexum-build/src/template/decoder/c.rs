use std::iter;

use super::{InputKind, Named, comment, distinct, identifier};
use crate::template::abi::Input;

/// Keywords of C and C++, and lower-case macros of the C library. Other macros have no lower-case letter.
const RESERVED: [&str; 72] = [
    "alignas",
    "alignof",
    "and",
    "asm",
    "assert",
    "auto",
    "bool",
    "break",
    "case",
    "catch",
    "char",
    "class",
    "compl",
    "complex",
    "const",
    "constexpr",
    "continue",
    "default",
    "delete",
    "do",
    "double",
    "else",
    "enum",
    "errno",
    "extern",
    "false",
    "float",
    "for",
    "goto",
    "if",
    "imaginary",
    "inline",
    "int",
    "linux",
    "long",
    "namespace",
    "new",
    "noreturn",
    "not",
    "nullptr",
    "offsetof",
    "operator",
    "or",
    "private",
    "protected",
    "public",
    "register",
    "restrict",
    "return",
    "short",
    "signed",
    "sizeof",
    "static",
    "stderr",
    "stdin",
    "stdout",
    "struct",
    "switch",
    "template",
    "this",
    "throw",
    "true",
    "try",
    "typedef",
    "typeof",
    "union",
    "unix",
    "unsigned",
    "using",
    "void",
    "volatile",
    "while",
];

/// The most bits of a number that becomes a number of C.
const NUMBER_BITS_MAX: usize = 64;

/// The file `src/events.h`.
pub(super) fn header(contract: &str, events: &[Named<'_>]) -> String {
    let mut text = format!(
        "// The events of the contract `{contract}`. A function returns whether the log is the event. Bytes and \
         texts\n// are parts of the log. Numbers of more than 64 bits are big-endian bytes.\n#ifndef EVENTS_H\n\
         #define EVENTS_H\n\n#include \"nexum.h\"\n"
    );
    for Named { name, event } in events {
        text += &format!("\n{}", comment(event, "//"));
        text += &format!("extern const uint8_t topic_{name}[32];\n\ntypedef struct {{\n");
        let fields = fields(&event.inputs);
        for (input, field) in event.inputs.iter().zip(&fields) {
            let note = match field.trim_end_matches('_') == input.name {
                true => String::new(),
                false => format!("  // The input {}.\n", identifier(&input.name, &[])),
            };
            text += &format!("{note}  {};\n", declaration(input, field));
        }
        if fields.is_empty() {
            text += "  // C has no structure without a member.\n  char nothing;\n";
        }
        text += &format!("}} event_{name};\n\nbool decode_{name}(const nexum_log_entry *log, event_{name} *event);\n");
    }
    text + "\n#endif\n"
}

/// The file `src/events.c`.
pub(super) fn source(events: &[Named<'_>]) -> String {
    let mut text = String::from("#include \"events.h\"\n\n#include \"abi.h\"\n");
    for Named { name, event } in events {
        let bytes: Vec<_> = (2..event.topic.len())
            .step_by(2)
            .filter_map(|at| event.topic.get(at..at + 2))
            .map(|byte| format!("0x{byte}"))
            .collect();
        let lines: Vec<_> = bytes.chunks(16).map(|line| line.join(", ")).collect();
        text += &format!(
            "\nconst uint8_t topic_{name}[32] = {{\n    {},\n}};\n",
            lines.join(",\n    ")
        );
        let begin = format!("nexum_abi_begin(&abi, log, topic_{name}, {})", 1 + event.indexed());
        let fields = fields(&event.inputs);
        let reads = event
            .inputs
            .iter()
            .zip(&fields)
            .map(|(input, field)| read(input, field));
        let all: Vec<_> = iter::once(begin).chain(reads).collect();
        let unused = if fields.is_empty() { "  (void)event;\n" } else { "" };
        text += &format!(
            "\nbool decode_{name}(const nexum_log_entry *log, event_{name} *event) {{\n  nexum_abi abi;\n{unused}  \
             return {};\n}}\n",
            all.join(" &&\n         ")
        );
    }
    text
}

/// The names of the members of a structure.
fn fields(inputs: &[Input]) -> Vec<String> {
    let mut fields: Vec<String> = Vec::new();
    for input in inputs {
        // Names with one leading underscore are usual in Solidity.
        let stem = input.name.trim_start_matches('_');
        let mut field = identifier(if stem.is_empty() { &input.name } else { stem }, &RESERVED);
        if !field.contains(|c: char| c.is_ascii_lowercase()) {
            field.push('_');
        }
        fields.push(distinct(field, |field| fields.iter().any(|other| other == field)));
    }
    fields
}

fn declaration(input: &Input, field: &str) -> String {
    match input.kind {
        InputKind::Uint(bits) if bits <= NUMBER_BITS_MAX => format!("uint64_t {field}"),
        InputKind::Int(bits) if bits <= NUMBER_BITS_MAX => format!("int64_t {field}"),
        InputKind::Bool => format!("bool {field}"),
        InputKind::Uint(bits) | InputKind::Int(bits) => format!("uint8_t {field}[{}]", bits / 8),
        InputKind::Address => format!("uint8_t {field}[20]"),
        InputKind::FixedBytes(size) => format!("uint8_t {field}[{size}]"),
        InputKind::Hash => format!("uint8_t {field}[32]"),
        InputKind::Bytes | InputKind::String | InputKind::Words(_) | InputKind::Rest => {
            format!("nexum_bytes {field}")
        }
    }
}

/// The call that reads a value.
fn read(input: &Input, field: &str) -> String {
    let place = if input.indexed { "NEXUM_INDEXED" } else { "NEXUM_DATA" };
    match input.kind {
        InputKind::Uint(bits) if bits <= NUMBER_BITS_MAX => {
            format!("nexum_abi_u64(&abi, {place}, {bits}, &event->{field})")
        }
        InputKind::Int(bits) if bits <= NUMBER_BITS_MAX => {
            format!("nexum_abi_i64(&abi, {place}, {bits}, &event->{field})")
        }
        InputKind::Bool => format!("nexum_abi_bool(&abi, {place}, &event->{field})"),
        InputKind::Uint(_) | InputKind::Int(_) | InputKind::Address => {
            format!("nexum_abi_last(&abi, {place}, event->{field}, sizeof event->{field})")
        }
        InputKind::FixedBytes(_) | InputKind::Hash => {
            format!("nexum_abi_first(&abi, {place}, event->{field}, sizeof event->{field})")
        }
        InputKind::Bytes | InputKind::String => format!("nexum_abi_bytes(&abi, &event->{field})"),
        InputKind::Words(count) => format!("nexum_abi_words(&abi, {count}, &event->{field})"),
        InputKind::Rest => format!("nexum_abi_rest(&abi, &event->{field})"),
    }
}
