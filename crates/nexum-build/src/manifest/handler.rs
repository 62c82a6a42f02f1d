//! The kinds of events that code handles, and that a subscription selects.

use std::fmt;

use nexum_config::manifest::event_signature;

/// A kind of events. The code fixes it: a manifest cannot change what a handler accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Events {
    Blocks,
    /// Logs with this first topic, the hash of an event's signature.
    Logs([u8; 32]),
    /// Logs with one of several first topics, in one subscription of the code.
    LogsOfAny(Vec<[u8; 32]>),
    /// Logs with any first topic.
    AnyLogs,
    Ticks,
    Messages,
}

impl Events {
    /// The attribute of the handler, for messages.
    pub(super) fn handler(&self) -> String {
        match self {
            Self::Blocks => "`#[on_block]`".to_owned(),
            Self::Logs(hash) => format!("`#[on_event]` with the event signature 0x{}", hex(hash)),
            Self::LogsOfAny(hashes) => format!("`#[on_logs]` with the event signatures {}", hex_list(hashes)),
            Self::AnyLogs => "`#[on_logs]`".to_owned(),
            Self::Ticks => "`#[on_tick]`".to_owned(),
            Self::Messages => "`#[on_message]`".to_owned(),
        }
    }

    /// Whether a handler of these events takes all of the others.
    pub(super) fn include(&self, others: &Self) -> bool {
        match (self, others) {
            (Self::LogsOfAny(hashes), Self::Logs(hash)) => hashes.contains(hash),
            _ => self == others,
        }
    }
}

fn hex_list(hashes: &[[u8; 32]]) -> String {
    let hashes: Vec<_> = hashes.iter().map(|hash| format!("0x{}", hex(hash))).collect();
    hashes.join(", ")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The value of a key in a subscription, as JSON or TOML has it.
pub(super) trait Keys {
    /// The text at a key.
    fn text(&self, key: &str) -> Option<&str>;

    /// The texts in the first position of `topics`. Empty for any.
    fn first_topics(&self) -> Vec<&str>;
}

impl Keys for serde_json::Map<String, serde_json::Value> {
    fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }

    fn first_topics(&self) -> Vec<&str> {
        let first = self.get("topics").and_then(|topics| topics.get(0));
        match first {
            Some(serde_json::Value::Array(values)) => values.iter().filter_map(|value| value.as_str()).collect(),
            Some(value) => value.as_str().into_iter().collect(),
            None => Vec::new(),
        }
    }
}

impl Keys for toml_edit::Table {
    fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }

    fn first_topics(&self) -> Vec<&str> {
        let topics = self.get("topics").and_then(|topics| topics.as_array());
        match topics.and_then(|topics| topics.get(0)) {
            Some(toml_edit::Value::Array(values)) => values.iter().filter_map(|value| value.as_str()).collect(),
            Some(value) => value.as_str().into_iter().collect(),
            None => Vec::new(),
        }
    }
}

/// The kinds that a subscription selects, each once: several only for logs. Empty if its kind is unknown.
pub(super) fn of(subscription: &impl Keys) -> Vec<Events> {
    match subscription.text("kind") {
        Some("block") => vec![Events::Blocks],
        // The second and the third are old names of the first.
        Some("log" | "chain-log" | "chain_log") => logs(subscription),
        Some("cron") => vec![Events::Ticks],
        Some("message") => vec![Events::Messages],
        _ => Vec::new(),
    }
}

/// The kind that a subscription of the code selects. `None` if its kind is unknown.
pub(super) fn of_code(subscription: &impl Keys) -> Option<Events> {
    let events = of(subscription);
    match &events[..] {
        [events] => Some(events.clone()),
        // No topic is readable: the check of the completed manifest says why.
        [] if subscription.text("kind") == Some("log") => Some(Events::AnyLogs),
        [] => None,
        several => {
            let hash = |events: &Events| match events {
                Events::Logs(hash) => Some(*hash),
                _ => None,
            };
            Some(Events::LogsOfAny(several.iter().filter_map(hash).collect()))
        }
    }
}

fn logs(subscription: &impl Keys) -> Vec<Events> {
    let mut topics = subscription.first_topics();
    topics.retain(|topic| !topic.is_empty());
    let texts = subscription
        .text("event_signature")
        .map_or(topics, |signature| vec![signature]);
    if texts.is_empty() {
        return vec![Events::AnyLogs];
    }
    let signatures = texts.into_iter().filter_map(|text| event_signature(text).ok());
    signatures.map(Events::Logs).collect()
}

/// The kind as a clause in a sentence: `logs of 0xddf2...`.
impl fmt::Display for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocks => f.write_str("blocks"),
            Self::Logs(hash) => write!(f, "logs with the event signature 0x{}", hex(hash)),
            Self::LogsOfAny(hashes) => write!(f, "logs with the event signatures {}", hex_list(hashes)),
            Self::AnyLogs => f.write_str("logs of any event"),
            Self::Ticks => f.write_str("ticks"),
            Self::Messages => f.write_str("messages"),
        }
    }
}

/// The kinds in a sentence, each once.
pub(super) fn list<'a>(kinds: impl IntoIterator<Item = &'a Events>) -> String {
    let mut texts: Vec<String> = Vec::new();
    for text in kinds.into_iter().map(ToString::to_string) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    match texts.split_last() {
        None => "no events".to_owned(),
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}
