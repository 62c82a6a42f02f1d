//! Checks the texts of `[module]` that are for people.

use super::Reader;
use crate::document::Section;
use crate::manifest::raw;
use crate::manifest::{AUTHOR_CHARS_MAX, AUTHORS_MAX, DESCRIPTION_CHARS_MAX, VERSION_CHARS_MAX};

impl Reader {
    pub(super) fn about(&mut self, section: &Section, raw: &raw::Module) {
        let mut refuse = |key: &str, message: String| self.errors.push(section.error(key, message));
        if raw
            .version
            .as_ref()
            .is_some_and(|version| !is_line(version, VERSION_CHARS_MAX))
        {
            refuse(
                "version",
                format!("expected 1 to {VERSION_CHARS_MAX} printable characters"),
            );
        }
        let is_text = |text: &String| {
            text.chars().count() <= DESCRIPTION_CHARS_MAX
                && text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'))
        };
        if raw.description.as_ref().is_some_and(|text| !is_text(text)) {
            let message = format!("expected at most {DESCRIPTION_CHARS_MAX} printable characters");
            refuse("description", message);
        }
        if raw.authors.len() > AUTHORS_MAX || !raw.authors.iter().all(|author| is_line(author, AUTHOR_CHARS_MAX)) {
            let message =
                format!("expected at most {AUTHORS_MAX} names, each of 1 to {AUTHOR_CHARS_MAX} printable characters");
            refuse("authors", message);
        }
    }
}

fn is_line(text: &str, chars_max: usize) -> bool {
    (1..=chars_max).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// The description without the line breaks around it. `None` for an empty one.
pub(super) fn description(text: &str) -> Option<String> {
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}
