//! Placeholders: `{{name}}` in a template stands for a value.

use std::collections::BTreeMap;

/// The values of the placeholders, by name.
pub(super) type Values = BTreeMap<&'static str, String>;

/// The text with all placeholders replaced, or the name of a placeholder without a value.
///
/// A placeholder is two braces, a word of lower-case letters and `_`, and two braces. Other braces
/// stay as they are. A value of several lines gets the indentation of its placeholder. A value
/// without text, alone on its line, leaves no line.
pub(super) fn render(template: &str, values: &Values) -> Result<String, String> {
    let mut text = String::with_capacity(template.len());
    for line in template.split_inclusive('\n') {
        let rendered = render_line(line, values)?;
        let is_removed = rendered.trim().is_empty() && !line.trim().is_empty();
        if !is_removed {
            text.push_str(&rendered);
        }
    }
    Ok(text)
}

fn render_line(line: &str, values: &Values) -> Result<String, String> {
    let indentation = line.len() - line.trim_start_matches(' ').len();
    let line_break = format!("\n{}", " ".repeat(indentation));
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, name, after)) = next(rest) {
        let value = values.get(name).ok_or_else(|| name.to_owned())?;
        text.push_str(before);
        text.push_str(&value.replace('\n', &line_break));
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

/// The first placeholder: the text before it, its name, and the text after it.
fn next(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let start = from + text.get(from..)?.find("{{")?;
        let inner = text.get(start + 2..)?;
        let end = inner.find(|c: char| !(c.is_ascii_lowercase() || c == '_'))?;
        let (name, after) = inner.split_at(end);
        match after.strip_prefix("}}") {
            Some(after) if !name.is_empty() => return Some((text.get(..start)?, name, after)),
            _ => from = start + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(template: &str, expected: Result<&str, &str>) {
        let values = [("name", "gas"), ("lines", "a\nb"), ("nothing", "")];
        let values = values.map(|(name, value)| (name, value.to_owned())).into();
        let rendered = render(template, &values);
        assert_eq!(rendered.as_deref().map_err(String::as_str), expected);
    }

    #[test]
    fn replaces_placeholders() {
        check("a {{name}} and {{name}}.wasm\n", Ok("a gas and gas.wasm\n"));
        check("{{{name}}}", Ok("{gas}"));
        check("  {{lines}}\nend", Ok("  a\n  b\nend"));
        check("a\n  {{nothing}}\n\nb\n", Ok("a\n\nb\n"));
    }

    #[test]
    fn leaves_other_braces() {
        for text in [
            "{name}",
            "{{ name }}",
            "{{Name}}",
            "{{}}",
            "{{name}",
            "format!(\"{{{}}}\")",
            "{{",
        ] {
            check(text, Ok(text));
        }
    }

    #[test]
    fn refuses_an_unknown_name() {
        check("{{name}} {{nmae}}", Err("nmae"));
    }

    #[test]
    fn a_value_is_not_a_template() {
        let values = [("name", "{{name}}".to_owned())].into();
        assert_eq!(render("{{name}}", &values).as_deref(), Ok("{{name}}"));
    }
}
