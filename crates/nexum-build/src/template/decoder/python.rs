use super::{Named, comment, inputs, quoted};

/// Words that cannot be the name of a variable, and the names of the file itself.
pub(super) const RESERVED: [&str; 37] = [
    "EVENTS", "False", "None", "True", "abi", "and", "as", "assert", "async", "await", "break", "class", "continue",
    "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda",
    "nonlocal", "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

/// The file `events.py`.
pub(super) fn source(contract: &str, events: &[Named<'_>]) -> String {
    let mut text = format!(
        "\"\"\"The events of the contract `{contract}`.\n\n`decode` of an event gives its arguments, or None for \
         another log.\n\"\"\"\n\nfrom nexum import abi\n"
    );
    for Named { name, event } in events {
        let inputs = inputs(event, "()", "        ", "    ");
        let topic = &event.topic;
        text += &format!(
            "\n{}{name} = abi.Event(\n    \"{name}\",\n    {},\n    \"{topic}\",\n    {inputs},\n)\n",
            comment(event, "#"),
            quoted(&event.signature),
        );
    }
    let names: Vec<_> = events.iter().map(|event| event.name.as_str()).collect();
    text + &format!("\nEVENTS = [{}]\n", names.join(", "))
}
