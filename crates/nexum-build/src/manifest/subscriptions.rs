//! Completes `[[subscription]]`.
//!
//! The author's tables for a kind of events replace those of the code. If the code has one table for the
//! kind, it gives the author's the keys that they leave out.

use serde_json::{Map, Value as Json};
use toml_edit::{Array, ArrayOfTables, Item, Table, Value};

use super::Draft;
use super::code::Code;
use super::handler::{self, Events, Keys as _};
use super::place::Origin;
use crate::Error;
use crate::error::CodeError;

/// Keys of which a subscription has one at most.
const EITHER: [[&str; 2]; 2] = [["address", "addresses"], ["confirmations", "finality"]];

/// The key that the first position of `topics` can replace.
const SIGNATURE: &str = "event_signature";

/// The key whose first position can name events.
const TOPICS: &str = "topics";

/// The order of the keys in a table that the code gives.
const ORDER: [&str; 13] = [
    "kind",
    "chain_id",
    "event_signature",
    "address",
    "addresses",
    "topics",
    "confirmations",
    "finality",
    "from_block",
    "catch_up",
    "schedule",
    "missed",
    "content_topic",
];

/// A subscription of the code.
struct Coded<'a> {
    events: Events,
    keys: &'a Map<String, Json>,
    /// Whether a table of the author's replaces it.
    is_replaced: bool,
}

impl Draft {
    /// Takes the author's subscriptions out of the document, completes them with those of the code, and
    /// adds the others of the code.
    pub(super) fn subscriptions(&mut self, code: Option<&Code>) -> Result<ArrayOfTables, Error> {
        let written = self.document.remove("subscription").unwrap_or_default();
        // A list of inline tables is converted, too.
        let written = written.into_array_of_tables().unwrap_or_default();
        let Some(code) = code else {
            self.origins = vec![Origin::Written(None); written.len()];
            return Ok(written);
        };
        let mut coded = read(code)?;
        let mut completed = ArrayOfTables::new();
        for (index, mut table) in written.into_iter().enumerate() {
            let found = self.find(index, &table, &coded).unwrap_or_default();
            complete(&mut table, &found, &coded)?;
            let completing = found.first().map(|at| coded[*at].events.clone());
            self.origins.push(Origin::Written(completing));
            found.into_iter().for_each(|at| coded[at].is_replaced = true);
            completed.push(table);
        }
        for subscription in coded.iter().filter(|subscription| !subscription.is_replaced) {
            self.check_chain(subscription);
            self.origins.push(Origin::Code(subscription.events.clone()));
            let mut table = Table::new();
            add(&mut table, subscription.keys)?;
            completed.push(table);
        }
        Ok(completed)
    }

    /// The indexes of the code's subscriptions for the events that an author's table selects. Adds an error
    /// and returns `None` if the code does not handle the events.
    fn find(&mut self, index: usize, table: &Table, coded: &[Coded<'_>]) -> Option<Vec<usize>> {
        let mut found = Vec::new();
        for events in handler::of(table) {
            let places = places(&events, coded);
            if places.is_empty() {
                let handled = handler::list(coded.iter().map(|subscription| &subscription.events));
                let message = format!("subscribes to {events}, but the code handles {handled}");
                let sections = self.root.array_of_tables("subscription", &mut self.errors);
                let error = sections.get(index).unwrap_or(&self.root).error("", message);
                self.errors
                    .push(error.with_hint("remove the subscription, or add a handler for its events to the code"));
                return None;
            }
            // One subscription of the code can have several events.
            let new: Vec<_> = places.into_iter().filter(|at| !found.contains(at)).collect();
            found.extend(new);
        }
        Some(found)
    }

    /// Adds an error if neither the code nor the author names the chain of a handler.
    fn check_chain(&mut self, Coded { events, keys, .. }: &Coded<'_>) {
        let is_of_chain = matches!(
            events,
            Events::Blocks | Events::Logs(_) | Events::LogsOfAny(_) | Events::AnyLogs
        );
        if is_of_chain && !keys.contains_key("chain_id") {
            let handler = events.handler();
            let message = format!("{handler} in the code names no chain, and neither does this file");
            let kind = if *events == Events::Blocks { "block" } else { "log" };
            let signature = match events {
                Events::Logs(_) => ", event_signature",
                Events::LogsOfAny(_) => ", topics",
                _ => "",
            };
            let hint = format!(
                "add `chain_id = ...` to the attribute of the handler, or a [[subscription]] with kind = \"{kind}\"{signature} \
                 and chain_id to this file"
            );
            self.errors
                .push(self.root.error("subscription", message).with_hint(hint));
        }
    }
}

fn read(code: &Code) -> Result<Vec<Coded<'_>>, CodeError> {
    let read = |keys| match handler::of_code(keys) {
        Some(events) => Ok(Coded {
            events,
            keys,
            is_replaced: false,
        }),
        None => Err(CodeError::Subscription {
            json: Json::Object(keys.clone()).to_string(),
        }),
    };
    code.subscription.iter().map(read).collect()
}

/// The indexes of the code's subscriptions for these events.
fn places(events: &Events, coded: &[Coded<'_>]) -> Vec<usize> {
    let of = |wanted: &dyn Fn(&Events) -> bool| -> Vec<usize> {
        let found = coded
            .iter()
            .enumerate()
            .filter(|(_, subscription)| wanted(&subscription.events));
        found.map(|(at, _)| at).collect()
    };
    let found = of(&|handled| handled.include(events));
    match events {
        _ if !found.is_empty() => found,
        // The handler for all other logs takes them.
        Events::Logs(_) => of(&|handled| *handled == Events::AnyLogs),
        // The author leaves out the signature of the only event.
        Events::AnyLogs => {
            let of_events = of(&|handled| matches!(handled, Events::Logs(_) | Events::LogsOfAny(_)));
            let is_only = of_events
                .iter()
                .all(|at| coded[*at].events == coded[of_events[0]].events);
            if is_only { of_events } else { Vec::new() }
        }
        _ => found,
    }
}

/// Adds the keys that an author's table leaves out: those of the only subscription of the code that has
/// them, or the signature and the topics that several have.
fn complete(table: &mut Table, found: &[usize], coded: &[Coded<'_>]) -> Result<(), CodeError> {
    let Some((first, others)) = found.split_first() else {
        return Ok(());
    };
    let Coded { events, keys, .. } = &coded[*first];
    if others.is_empty() {
        return add(table, keys);
    }
    let has_events = others.iter().all(|at| coded[*at].events == *events);
    let is_common = |key: &String, value: &Json| others.iter().all(|at| coded[*at].keys.get(key) == Some(value));
    let keys = keys.iter().filter(|(key, value)| {
        let names_event = [SIGNATURE, TOPICS].contains(&key.as_str());
        has_events && names_event && is_common(key, value)
    });
    add(table, &keys.map(|(key, value)| (key.clone(), value.clone())).collect())
}

/// Adds keys to a table, unless it has them or others in their place.
fn add(table: &mut Table, keys: &Map<String, Json>) -> Result<(), CodeError> {
    let mut keys_in_order: Vec<_> = keys.iter().collect();
    keys_in_order.sort_by_key(|(key, _)| ORDER.iter().position(|known| known == key));
    let names_event = table.first_topics().iter().any(|topic| !topic.is_empty());
    for (key, value) in keys_in_order {
        let has = |pair: &[&str; 2]| pair.contains(&key.as_str()) && pair.iter().any(|one| table.contains_key(one));
        if table.contains_key(key) || EITHER.iter().any(has) || (key == SIGNATURE && names_event) {
            continue;
        }
        let value = toml(value).ok_or_else(|| CodeError::Subscription {
            json: Json::Object(keys.clone()).to_string(),
        })?;
        table.insert(key, Item::Value(value));
    }
    Ok(())
}

fn toml(value: &Json) -> Option<Value> {
    match value {
        Json::Bool(value) => Some((*value).into()),
        Json::Number(number) => number.as_i64().map(Value::from),
        Json::String(text) => Some(text.as_str().into()),
        Json::Array(values) => values.iter().map(toml).collect::<Option<Array>>().map(Value::Array),
        Json::Null | Json::Object(_) => None,
    }
}
