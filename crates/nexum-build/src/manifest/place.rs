//! The places of errors of the completed manifest. No file has its text yet, so each error points into
//! the author's file, or names the handler in the code.

use nexum_config::document::{ConfigError, Section};
use nexum_config::hint::Hint as _;

use super::Draft;
use super::handler::Events;

/// The key of the subscriptions.
const SUBSCRIPTION: &str = "subscription";

/// The origin of a completed subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A table of the author's, and the handler that completes it, if there is one.
    Written(Option<Events>),
    /// A handler in the code.
    Code(Events),
}

impl Draft {
    /// The error about the author's file or about a handler, for an error of the completed text.
    pub(super) fn of_author(&self, error: &ConfigError) -> ConfigError {
        let is_same = |known: &&ConfigError| known.key() == error.key() && known.message() == error.message();
        if let Some(missing) = self.incomplete.iter().find(is_same) {
            return missing.clone();
        }
        let message = match error.nearest() {
            Some(nearest) => format!("{}, the nearest known one is {nearest}", error.message()),
            None => error.message().to_owned(),
        };
        let placed = match subscription(error.key()) {
            Some((index, key)) => self.in_subscription(index, key, &message, error.value()),
            None => place(&self.root, error.key(), &message, error.value(), ""),
        };
        match error.hint() {
            Some(hint) => placed.with_hint(hint),
            None => placed,
        }
    }

    /// An error about a key of a completed subscription.
    fn in_subscription(&self, index: usize, key: &str, message: &str, value: Option<&str>) -> ConfigError {
        match self.origins.get(index) {
            Some(Origin::Code(events)) => {
                let subject = match key {
                    "" => format!("{} in the code", events.handler()),
                    key => format!("{key} of {} in the code", events.handler()),
                };
                // The only key that must be in a list of another table.
                let lacks_chain = key == "chain_id" && self.root.keys().any(|key| key == "chains");
                let table = if lacks_chain { "chains" } else { SUBSCRIPTION };
                place(&self.root, table, &format!("{subject}: {message}"), value, "")
            }
            Some(Origin::Written(handler)) => {
                let sections = self.root.array_of_tables(SUBSCRIPTION, &mut Vec::new());
                let section = sections.get(index).unwrap_or(&self.root);
                let handler = handler
                    .as_ref()
                    .map(|events| format!(" from {} in the code", events.handler()));
                place(section, key, message, value, &handler.unwrap_or_default())
            }
            None => place(&self.root, SUBSCRIPTION, message, value, ""),
        }
    }
}

/// An error at a key of the author's. If the author leaves the key out, the text has the completed value
/// and its origin.
fn place(section: &Section, key: &str, message: &str, value: Option<&str>, origin: &str) -> ConfigError {
    // A position is that of a key, without an index in its list.
    let key = key.split('[').next().unwrap_or_default();
    let error = section.error(key, message);
    match (error.value(), value) {
        (None, Some(value)) => section.error(key, format!("{message}, found {value}{origin}")),
        _ => error,
    }
}

/// The index of the subscription in a full path, and the path in it: 1 and `chain_id` for
/// `subscription[1].chain_id`.
fn subscription(path: &str) -> Option<(usize, &str)> {
    let (index, rest) = path.strip_prefix(SUBSCRIPTION)?.strip_prefix('[')?.split_once(']')?;
    Some((index.parse().ok()?, rest.trim_start_matches('.')))
}
