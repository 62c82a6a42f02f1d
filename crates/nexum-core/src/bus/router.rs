//! Routes contract logs to their subscribers.

use std::collections::HashMap;

use nexum_config::log_filter::{Address, LogFilter, TopicHash};

use crate::event::Log;

/// The number of a subscriber, unique in its log.
pub(crate) type SubscriberId = u32;

/// Finds the subscribers of a contract log without a match against every filter.
///
/// The index has each filter under every pair of an address and a first topic that it names, or
/// under "any" if it names none. So a search reads four entries, for any number of filters.
#[derive(Debug, Default)]
pub(crate) struct Router {
    filters: Vec<(SubscriberId, LogFilter)>,
    by_key: HashMap<Key, Vec<usize>>,
}

/// A key of the index.
type Key = (Option<Address>, Option<TopicHash>);

/// For each subscriber, sorted, the positions of its logs in the block's list.
pub(crate) type Routes = Box<[(SubscriberId, Box<[u32]>)]>;

impl Router {
    pub(crate) fn add(&mut self, subscriber: SubscriberId, filter: LogFilter) {
        let index = self.filters.len();
        for address in or_any(&filter.addresses) {
            for topic in or_any(&filter.topics[0]) {
                self.by_key.entry((address, topic)).or_default().push(index);
            }
        }
        self.filters.push((subscriber, filter));
    }

    pub(crate) fn remove(&mut self, subscriber: SubscriberId) {
        let kept: Vec<_> = std::mem::take(self).filters;
        let others = kept.into_iter().filter(|(of, _)| *of != subscriber);
        others.for_each(|(of, filter)| self.add(of, filter));
    }

    pub(crate) fn filters(&self) -> impl Iterator<Item = &LogFilter> {
        self.filters.iter().map(|(_, filter)| filter)
    }

    pub(crate) fn route(&self, logs: &[Log]) -> Routes {
        let mut routes: Vec<(SubscriberId, u32)> = Vec::new();
        for (place, log) in (0..).zip(logs) {
            let address = Address::try_from(log.address.as_slice()).ok();
            let topic = log
                .topics
                .first()
                .and_then(|topic| TopicHash::try_from(topic.as_slice()).ok());
            let mut keys = vec![(None, None), (address, None), (None, topic), (address, topic)];
            keys.sort_unstable();
            keys.dedup();
            let kept = keys.iter().filter_map(|key| self.by_key.get(key)).flatten();
            let matching = kept.filter_map(|index| self.filters.get(*index));
            routes.extend(
                matching
                    .filter(|(_, filter)| filter.matches(&log.address, &log.topics))
                    .map(|(subscriber, _)| (*subscriber, place)),
            );
        }
        routes.sort_unstable();
        routes.dedup();
        let of_one = |routes: &[(SubscriberId, u32)]| (routes[0].0, routes.iter().map(|(_, place)| *place).collect());
        routes.chunk_by(|a, b| a.0 == b.0).map(of_one).collect()
    }
}

/// Returns each of these values, or "any" if there are none.
fn or_any<T: Copy>(values: &[T]) -> Vec<Option<T>> {
    match values {
        [] => vec![None],
        values => values.iter().copied().map(Some).collect(),
    }
}
