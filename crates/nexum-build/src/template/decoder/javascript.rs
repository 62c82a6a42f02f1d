use super::{Named, comment, inputs, quoted};

/// Words that cannot be the name of a constant, and the names of the file itself.
pub(super) const RESERVED: [&str; 52] = [
    "EVENTS",
    "abi",
    "arguments",
    "async",
    "await",
    "break",
    "case",
    "catch",
    "class",
    "const",
    "continue",
    "debugger",
    "default",
    "delete",
    "do",
    "else",
    "enum",
    "eval",
    "export",
    "extends",
    "false",
    "finally",
    "for",
    "function",
    "if",
    "implements",
    "import",
    "in",
    "instanceof",
    "interface",
    "let",
    "new",
    "null",
    "of",
    "package",
    "private",
    "protected",
    "public",
    "return",
    "static",
    "super",
    "switch",
    "this",
    "throw",
    "true",
    "try",
    "typeof",
    "undefined",
    "var",
    "void",
    "while",
    "yield",
];

/// The file `src/events.js`.
pub(super) fn source(contract: &str, events: &[Named<'_>]) -> String {
    let mut text = format!(
        "// The events of the contract `{contract}`. `decode` of an event gives its arguments, or null for \
         another log.\n\nimport * as abi from \"#nexum/abi\";\n"
    );
    for Named { name, event } in events {
        let inputs = inputs(event, "[]", "  ", "");
        let topic = &event.topic;
        text += &format!(
            "\n{}export const {name} = new abi.Event(\"{name}\", {}, \"{topic}\", {inputs});\n",
            comment(event, "//"),
            quoted(&event.signature),
        );
    }
    let names: Vec<_> = events.iter().map(|event| event.name.as_str()).collect();
    text + &format!("\nexport const EVENTS = [{}];\n", names.join(", "))
}
