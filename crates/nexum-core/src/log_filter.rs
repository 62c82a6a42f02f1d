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
