//! The subject of a question: `MODULE@BLOCK`, `EVENT` or `MODULE`.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use nexum_config::names::ModuleName;
use nexum_ledger::Filter;

use crate::protocol::explain::Explained;

/// The subject of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// The last event of a module.
    Module(ModuleName),
    /// A block, for a module.
    Block(ModuleName, u64),
    /// An event, for all modules.
    Event {
        /// The event id.
        id: String,
        /// The block's number, or the time of a tick.
        number: u64,
    },
}

/// The error of a text that is no question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoQuestion;

impl fmt::Display for NoQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "expected MODULE@BLOCK, such as demo@19000000; an event id, such as 1:19000000:block; or the name of a \
             module",
        )
    }
}

impl Error for NoQuestion {}

impl FromStr for Question {
    type Err = NoQuestion;

    fn from_str(text: &str) -> Result<Self, NoQuestion> {
        if let [_, number, "block" | "logs" | "tick"] = *text.split(':').collect::<Vec<_>>() {
            let number = number.parse().map_err(|_| NoQuestion)?;
            let id = text.to_owned();
            return Ok(Self::Event { id, number });
        }
        let module = |name: &str| name.parse().map_err(|_| NoQuestion);
        match text.split_once('@') {
            Some((name, block)) => Ok(Self::Block(module(name)?, block.parse().map_err(|_| NoQuestion)?)),
            None => Ok(Self::Module(module(text)?)),
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Module(name) => name.fmt(f),
            Self::Block(name, block) => write!(f, "{name}@{block}"),
            Self::Event { id, .. } => f.write_str(id),
        }
    }
}

impl Question {
    /// Whether the question is about the last event of a module.
    pub(crate) fn is_about_last(&self) -> bool {
        matches!(self, Self::Module(_))
    }

    pub(super) fn filter(&self) -> Filter {
        let (module, number) = match self {
            Self::Module(name) => (Some(name.to_string()), None),
            Self::Block(name, block) => (Some(name.to_string()), Some(*block)),
            Self::Event { number, .. } => (None, Some(*number)),
        };
        Filter {
            module,
            numbers: number.map(|number| number..=number),
            ..Filter::default()
        }
    }

    /// Whether the question is about this handling. A number is also that of a tick's time.
    pub(super) fn is_about(&self, one: &Explained) -> bool {
        match self {
            Self::Module(_) => true,
            Self::Block(_, block) => one.handling.block == Some(*block),
            Self::Event { id, .. } => one.handling.event == *id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_names_a_module_a_block_or_an_event() {
        let name: ModuleName = "demo".parse().unwrap();
        let event = |id: &str, number| Question::Event {
            id: id.to_owned(),
            number,
        };
        for (text, expected) in [
            ("demo", Ok(Question::Module(name.clone()))),
            ("demo@17", Ok(Question::Block(name, 17))),
            ("1:17:block", Ok(event("1:17:block", 17))),
            ("1@safe:17:logs", Ok(event("1@safe:17:logs", 17))),
            (
                "00ff00ff00ff00ff:1700000000000:tick",
                Ok(event("00ff00ff00ff00ff:1700000000000:tick", 1_700_000_000_000)),
            ),
            ("demo@", Err(NoQuestion)),
            ("demo@latest", Err(NoQuestion)),
            ("1:x:block", Err(NoQuestion)),
            ("De mo", Err(NoQuestion)),
        ] {
            assert_eq!(text.parse(), expected, "{text}");
            if let Ok(question) = expected {
                assert_eq!(question.to_string(), text);
            }
        }
    }
}
