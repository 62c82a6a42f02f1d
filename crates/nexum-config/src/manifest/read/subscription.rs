//! Reads the tables `[[subscription]]`.

use std::num::NonZeroU64;

use crate::document::{ConfigError, NumberRange, Section, nearest};
use crate::log_filter::{LogFilter, TOPICS_MAX};
use crate::manifest::raw::{self, AnyOf};
use crate::manifest::{
    ADDRESSES_MAX, BlockSubscription, CONFIRMATIONS_MAX, CronSubscription, LogSubscription, Subscription,
    TOPIC_VALUES_MAX,
};
use crate::schedule::{Schedule, ScheduleError};
use crate::topic::{ChainTopic, Finality};

/// The supported kinds of subscriptions.
const KINDS: [&str; 3] = ["block", "log", "cron"];
/// The kind of subscriptions to messages. No version of nexum delivers messages yet.
const MESSAGE: &str = "message";
/// The contract's name for the events of a schedule. The kind of their subscription is `cron`.
const TICK: &str = "tick";

/// The bounded numbers of a subscription to blocks or logs.
const NUMBERS: [NumberRange; 1] = [("confirmations", 0..=CONFIRMATIONS_MAX)];

/// Reads one table. Adds all faults to `errors`. The result has the defaults of the faulty parts.
/// None if the kind or the chain is not known.
pub(super) fn subscription(section: &Section, errors: &mut Vec<ConfigError>) -> Option<Subscription> {
    let kind = section.string("kind").map_err(|error| errors.push(error)).ok()?;
    let name = kind.value.as_str();
    if KINDS.contains(&name) {
        return of_kind(name, section, errors);
    }
    let error = kind.location.error("unknown kind of subscription");
    if name == TICK {
        errors.push(error.with_hint("write \"cron\" with a `schedule` to get ticks"));
        return None;
    }
    let error = error.with_nearest(name, known_kinds());
    // The kind is probably a misspelling of the nearest one, so the other keys can be checked.
    let subscription = error.nearest().and_then(|nearest| of_kind(nearest, section, errors));
    errors.push(error.with_hint(format!("supported kinds: {}", KINDS.join(", "))));
    subscription
}

fn known_kinds() -> impl Iterator<Item = &'static str> + Clone {
    KINDS.into_iter().chain([MESSAGE])
}

fn of_kind(kind: &str, section: &Section, errors: &mut Vec<ConfigError>) -> Option<Subscription> {
    match kind {
        "block" => block(section, errors),
        "log" => logs(section, errors),
        "cron" => cron(section, errors),
        _ => None,
    }
}

/// Whether the table is a subscription to messages. nexum reads no other key of such a table.
pub(super) fn is_of_messages(section: &Section) -> bool {
    section.string("kind").is_ok_and(|kind| kind.value == MESSAGE)
}

/// Whether the table is a schedule, also with a misspelled kind. A schedule takes long to validate.
pub(super) fn is_cron(section: &Section) -> bool {
    let kind = section.string("kind");
    kind.is_ok_and(|kind| nearest(&kind.value, known_kinds()) == Some("cron"))
}

fn block(section: &Section, errors: &mut Vec<ConfigError>) -> Option<Subscription> {
    let raw = section.parse_bounded::<raw::BlockSubscription>(&NUMBERS, errors)?;
    Some(Subscription::Block(BlockSubscription {
        topic: topic(section, raw.chain_id, raw.confirmations, raw.finality, errors)?,
        from_block: raw.from_block,
        catch_up: raw.catch_up,
    }))
}

fn cron(section: &Section, errors: &mut Vec<ConfigError>) -> Option<Subscription> {
    let raw = section.parse_all::<raw::CronSubscription>(errors)?;
    let schedule = schedule(section, "schedule", raw.schedule, errors)?;
    let missed = raw.missed;
    Some(Subscription::Cron(CronSubscription { schedule, missed }))
}

/// The schedule in `text`, the value of `key`.
pub(super) fn schedule(
    section: &Section,
    key: &str,
    text: Option<String>,
    errors: &mut Vec<ConfigError>,
) -> Option<Schedule> {
    let schedule = section.required(key, text, errors)?.parse();
    schedule
        .map_err(|error| errors.push(schedule_error(section, key, &error)))
        .ok()
}

fn schedule_error(section: &Section, key: &str, error: &ScheduleError) -> ConfigError {
    let why = std::error::Error::source(error).map_or_else(String::new, |cause| {
        format!(": {}", cause.to_string().trim_end_matches('.'))
    });
    let hint = "write the minute, hour, day, month and weekday in UTC, for example \"0 12 * * 1-5\"; a second before the minute is optional";
    section.error(key, format!("{error}{why}")).with_hint(hint)
}

fn logs(section: &Section, errors: &mut Vec<ConfigError>) -> Option<Subscription> {
    let raw = section.parse_bounded::<raw::LogSubscription>(&NUMBERS, errors)?;
    let topic = topic(section, raw.chain_id, raw.confirmations, raw.finality, errors);
    if raw.address.is_some() && raw.addresses.is_some() {
        errors.push(
            section
                .error("addresses", "cannot be combined with address")
                .with_hint("list every address in addresses"),
        );
    }
    let addresses = raw.address.map(|address| vec![address]).or(raw.addresses);
    if addresses.as_ref().is_some_and(Vec::is_empty) {
        errors.push(
            section
                .error("addresses", "is empty")
                .with_hint("remove the key to get the logs of every contract"),
        );
    }
    let mut addresses: Vec<_> = addresses
        .unwrap_or_default()
        .into_iter()
        .map(|address| address.0)
        .collect();
    if addresses.len() > ADDRESSES_MAX {
        errors.push(section.error("addresses", format!("expected at most {ADDRESSES_MAX} addresses")));
    }
    addresses.sort_unstable();
    addresses.dedup();
    let topics = topics(section, raw.event_signature, raw.topics, errors);
    Some(Subscription::Logs(LogSubscription {
        topic: topic?,
        from_block: raw.from_block,
        filter: LogFilter { addresses, topics },
    }))
}

fn topics(
    section: &Section,
    signature: Option<raw::EventSignature>,
    given: Vec<AnyOf>,
    errors: &mut Vec<ConfigError>,
) -> [Vec<[u8; 32]>; TOPICS_MAX] {
    let mut topics: [Vec<[u8; 32]>; TOPICS_MAX] = Default::default();
    if given.len() > TOPICS_MAX {
        errors.push(section.error("topics", format!("a log has at most {TOPICS_MAX} topics")));
    }
    for (position, AnyOf(values)) in topics.iter_mut().zip(given) {
        if values.len() > TOPIC_VALUES_MAX {
            errors.push(section.error(
                "topics",
                format!("expected at most {TOPIC_VALUES_MAX} values in one position"),
            ));
        }
        *position = values;
        position.sort_unstable();
        position.dedup();
    }
    if let Some(raw::EventSignature(hash)) = signature {
        if !topics[0].is_empty() && topics[0] != [hash] {
            let error = section.error("topics", "has another first topic than event_signature");
            errors.push(error.with_hint("the first topic of a log is the event's signature: start topics with \"\""));
        }
        topics[0] = vec![hash];
    }
    topics
}

fn topic(
    section: &Section,
    chain_id: Option<u64>,
    confirmations: Option<u64>,
    finality: Option<raw::Finality>,
    errors: &mut Vec<ConfigError>,
) -> Option<ChainTopic> {
    let chain_id = section.required("chain_id", chain_id, errors);
    if confirmations.is_some() && finality.is_some() {
        errors.push(
            section
                .error("finality", "cannot be combined with confirmations")
                .with_hint("set only one of the two"),
        );
    }
    let finality = match finality {
        Some(raw::Finality::Latest) => Finality::Latest,
        Some(raw::Finality::Safe) => Finality::Safe,
        Some(raw::Finality::Finalized) => Finality::Finalized,
        None => NonZeroU64::new(confirmations.unwrap_or_default()).map_or(Finality::Latest, Finality::Confirmations),
    };
    Some(ChainTopic {
        chain_id: chain_id?,
        finality,
    })
}
