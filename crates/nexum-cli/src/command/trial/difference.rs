//! The difference between what two versions of a module did at one event.

use serde::Serialize;

use super::report::{Content, Effect, EventReport, Write};
use crate::report::count;

/// A line of a difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "only", content = "line", rename_all = "snake_case")]
pub(super) enum Line {
    /// Only the old version did this.
    Old(String),
    /// Only the new version did this.
    New(String),
}

/// The difference between two versions of a module at one event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Difference {
    /// The id of the event, or `init` and the number of the block.
    pub(super) event: String,
    pub(super) lines: Vec<Line>,
}

impl Difference {
    /// The difference at an event. `None` if both did the same. An absent report is that of a version which does not
    /// subscribe to the event.
    pub(super) fn of(old: Option<&EventReport>, new: Option<&EventReport>) -> Option<Self> {
        let event = old.or(new)?.event.clone();
        let mut lines = Vec::new();
        let outcomes = [old.map(outcome), new.map(outcome)].map(|outcome| outcome.into_iter().collect());
        compare(outcomes, &mut lines);
        compare(
            [old, new].map(|event| texts(event, |event| &event.writes, write)),
            &mut lines,
        );
        compare(
            [old, new].map(|event| texts(event, |event| &event.effects, effect)),
            &mut lines,
        );
        (!lines.is_empty()).then_some(Self { event, lines })
    }
}

fn texts<T>(
    event: Option<&EventReport>,
    of: impl Fn(&EventReport) -> &Vec<T>,
    text: impl Fn(&T) -> String,
) -> Vec<String> {
    event
        .into_iter()
        .flat_map(|event| of(event).iter().map(&text))
        .collect()
}

/// Adds the lines that only one of two lists has, in their order. A list can have equal lines.
fn compare([old, new]: [Vec<String>; 2], lines: &mut Vec<Line>) {
    let begin = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let (old, new) = (&old[begin..], &new[begin..]);
    let end = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take_while(|(old, new)| old == new)
        .count();
    let (old, new) = (&old[..old.len() - end], &new[..new.len() - end]);
    let mut rest: Vec<Option<&String>> = new.iter().map(Some).collect();
    let mut from = 0;
    for line in old {
        // A line that both have counts once, and only in the order of the old list.
        match rest.iter().skip(from).position(|other| *other == Some(line)) {
            Some(at) => {
                rest[from + at] = None;
                from += at + 1;
            }
            None => lines.push(Line::Old(line.clone())),
        }
    }
    lines.extend(rest.into_iter().flatten().cloned().map(Line::New));
}

fn outcome(event: &EventReport) -> String {
    match &event.failure {
        Some(failure) => format!("failed: {failure}"),
        None => "ok".to_owned(),
    }
}

/// A changed key, in one line.
pub(super) fn write(write: &Write) -> String {
    match &write.value {
        Some(value) => format!("write {} = {}", write.key, content(value)),
        None => format!("delete {}", write.key),
    }
}

/// A request that nexum did not send, in one line.
pub(super) fn effect(effect: &Effect) -> String {
    let Effect {
        kind,
        to,
        answer,
        request,
    } = effect;
    format!("{kind} to {to}, {answer}: {}", content(request))
}

/// Bytes with their number, and with the begin of their digest if the preview does not have all of them.
fn content(content: &Content) -> String {
    let Content { bytes, digest, preview } = content;
    let bytes = count(bytes, "byte");
    match preview.ends_with("..") {
        true => format!("{preview:?} ({bytes}, sha256 {})", digest.get(2..14).unwrap_or(digest)),
        false => format!("{preview:?} ({bytes})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(old: &str, new: &str) -> String {
        let list = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        let mut lines = Vec::new();
        compare([list(old), list(new)], &mut lines);
        let text = |line: &Line| match line {
            Line::Old(line) => format!("-{line}"),
            Line::New(line) => format!("+{line}"),
        };
        lines.iter().map(text).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn only_the_lines_of_one_side_are_a_difference() {
        for (old, new, expected) in [
            ("a b c", "a b c", ""),
            ("a b c", "a x c", "-b +x"),
            ("a b c", "a c", "-b"),
            ("a c", "a b c", "+b"),
            ("", "a", "+a"),
            ("a a", "a", "-a"),
            ("a b", "b a", "-b +b"),
            ("k a b c", "k b", "-a -c"),
        ] {
            assert_eq!(compared(old, new), expected, "{old} | {new}");
        }
    }
}
