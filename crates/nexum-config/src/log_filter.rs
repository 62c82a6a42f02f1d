//! Filters for contract logs.

/// The number of topic positions that a filter has: the EVM gives a log up to four topics.
pub const TOPICS_MAX: usize = 4;

/// A contract's address.
pub type Address = [u8; 20];

/// One topic of a log.
pub type TopicHash = [u8; 32];

/// A filter for logs, in the terms of `eth_getLogs`. The default matches every log.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogFilter {
    /// The contracts to match. An empty list matches all contracts.
    pub addresses: Vec<Address>,
    /// The topics to match at each position. An empty list matches every topic, and also a log
    /// without a topic at that position.
    pub topics: [Vec<TopicHash>; TOPICS_MAX],
}

impl LogFilter {
    /// Whether the filter matches a log of this contract with these topics.
    pub fn matches(&self, address: &[u8], topics: &[Vec<u8>]) -> bool {
        let address = self.addresses.is_empty() || self.addresses.iter().any(|wanted| address == wanted);
        address && self.topics_match(topics)
    }

    fn topics_match(&self, topics: &[Vec<u8>]) -> bool {
        self.topics.iter().enumerate().all(|(position, wanted)| {
            let topic = topics.get(position);
            wanted.is_empty() || topic.is_some_and(|topic| wanted.iter().any(|wanted| topic == wanted))
        })
    }
}
