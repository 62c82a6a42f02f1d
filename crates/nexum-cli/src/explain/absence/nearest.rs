//! The log that a subscription almost matches.

use nexum_config::log_filter::{LogFilter, TOPICS_MAX};
use nexum_config::manifest::Subscription;
use nexum_core::source::Log;

use crate::protocol::explain::NearestMiss;
use crate::report::hex;

/// The log of a block that satisfies most parts of a subscription, and what differs. Of equal ones, the first.
pub(super) fn miss(subscriptions: &[&Subscription], logs: &[Log]) -> Option<NearestMiss> {
    let filters = subscriptions.iter().filter_map(|one| match one {
        Subscription::Logs(wanted) => Some((*one, &wanted.filter)),
        _ => None,
    });
    let pairs = filters.flat_map(|(subscription, filter)| logs.iter().map(move |log| (subscription, filter, log)));
    let mut best: Option<(usize, &Subscription, &LogFilter, &Log)> = None;
    for (subscription, filter, log) in pairs {
        let score = score(filter, log);
        if best.is_none_or(|(known, ..)| score > known) {
            best = Some((score, subscription, filter, log));
        }
    }
    let (_, subscription, filter, log) = best?;
    Some(NearestMiss {
        subscription: subscription.to_string(),
        address: hex(&log.address),
        topics: log.topics.iter().map(|topic| hex(topic)).collect(),
        difference: difference(filter, log),
    })
}

/// The number of parts of a filter that a log satisfies, among those that the filter restricts. The address
/// counts most: another event of the right contract is nearer than the right event of another one.
fn score(filter: &LogFilter, log: &Log) -> usize {
    let address = usize::from(!filter.addresses.is_empty() && has_address(filter, log));
    let topics = (0..TOPICS_MAX).filter(|at| !filter.topics[*at].is_empty() && has_topic(filter, log, *at));
    address * (TOPICS_MAX + 1) + topics.count()
}

fn has_address(filter: &LogFilter, log: &Log) -> bool {
    filter.addresses.is_empty() || filter.addresses.iter().any(|wanted| *wanted == *log.address)
}

fn has_topic(filter: &LogFilter, log: &Log, at: usize) -> bool {
    let wanted = &filter.topics[at];
    let topic = log.topics.get(at);
    wanted.is_empty() || topic.is_some_and(|topic| wanted.iter().any(|wanted| *wanted == **topic))
}

/// The first part of the filter that the log does not satisfy, in words.
fn difference(filter: &LogFilter, log: &Log) -> String {
    let address = hex(&log.address);
    if !has_address(filter, log) {
        let wanted = any_of(filter.addresses.iter().map(|wanted| hex(wanted)));
        return format!("the nearest log is of the contract {address}, and the subscription wants {wanted}");
    }
    let at = (0..TOPICS_MAX)
        .find(|at| !has_topic(filter, log, *at))
        .unwrap_or_default();
    let wanted = any_of(filter.topics[at].iter().map(|wanted| hex(wanted)));
    match log.topics.get(at) {
        Some(topic) => format!(
            "the nearest log of {address} has {} as its topic {at}, and the subscription wants {wanted}",
            hex(topic)
        ),
        None => format!("the nearest log of {address} has no topic {at}, and the subscription wants {wanted}"),
    }
}

/// A few of the values that a filter accepts.
fn any_of(values: impl ExactSizeIterator<Item = String>) -> String {
    const SHOWN_MAX: usize = 3;
    let more = values.len().saturating_sub(SHOWN_MAX);
    let mut shown: Vec<_> = values.take(SHOWN_MAX).collect();
    if more > 0 {
        shown.push(format!("{more} others"));
    }
    shown.join(" or ")
}

#[cfg(test)]
mod tests {
    use nexum_config::manifest::LogSubscription;
    use nexum_config::topic::{ChainTopic, Finality};

    use super::*;

    fn subscription(filter: LogFilter) -> Subscription {
        let topic = ChainTopic {
            chain_id: 1,
            finality: Finality::Latest,
        };
        Subscription::Logs(LogSubscription {
            topic,
            from_block: None,
            filter,
        })
    }

    fn log(address: u8, topics: &[u8]) -> Log {
        Log {
            address: vec![address; 20],
            topics: topics.iter().map(|topic| vec![*topic; 32]).collect(),
            chain_id: 1,
            data: Vec::new(),
            block_number: 1,
            transaction_hash: vec![0; 32],
            log_index: 0,
        }
    }

    fn filter(address: u8, topic: u8) -> LogFilter {
        LogFilter {
            addresses: vec![[address; 20]],
            topics: [vec![[topic; 32]], Vec::new(), Vec::new(), Vec::new()],
        }
    }

    #[test]
    fn the_log_of_the_right_contract_is_nearer_than_the_right_event() {
        let one = subscription(filter(1, 2));
        let found = miss(&[&one], &[log(9, &[2]), log(1, &[3]), log(1, &[4])]).unwrap();
        assert_eq!(found.address, format!("0x{}", "01".repeat(20)));
        let (has, wants) = ("03".repeat(32), "02".repeat(32));
        let difference = format!(
            "the nearest log of {} has 0x{has} as its topic 0, and the subscription wants 0x{wants}",
            found.address
        );
        assert_eq!(found.difference, difference);
    }

    #[test]
    fn another_contract_and_a_missing_topic_are_named() {
        let one = subscription(filter(1, 2));
        let other = miss(&[&one], &[log(9, &[2])]).unwrap().difference;
        assert!(other.contains("is of the contract 0x0909"), "{other}");
        let without = miss(&[&one], &[log(1, &[])]).unwrap().difference;
        assert!(without.contains("has no topic 0"), "{without}");
        assert_eq!(miss(&[&one], &[]), None);
    }
}
