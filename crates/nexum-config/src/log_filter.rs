//! Which logs can be asked for.

/// The most positions of a log that can be filtered: as many topics as the EVM gives a log.
pub const TOPICS_MAX: usize = 4;

/// A contract's address.
pub type Address = [u8; 20];

/// One topic of a log.
pub type TopicHash = [u8; 32];

/// Which logs are asked for, in the terms of `eth_getLogs`. The default asks for every log.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogFilter {
    /// Logs of one of these contracts; of any, if there is none here.
    pub addresses: Vec<Address>,
    /// For each position, the topics of which the log has to have one; anything will do where there is none, the lack of a
    /// topic too.
    pub topics: [Vec<TopicHash>; TOPICS_MAX],
}

impl LogFilter {
    /// Whether the filter asks for a log of this contract with these topics.
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
