//! The logs that the tests' modules subscribe to, in the model chain.

use alloy_primitives::{Address, B256};
use nexum_config::log_filter::LogFilter;
use nexum_core::source::Log;
use nexum_testing::{Block, LogSpec, Node};

use crate::support::{CHAIN, Following, position};

/// A log of the contract whose address repeats this byte, with these topics.
pub(crate) fn spec(contract: u8, topics: &[u8], data: &[u8]) -> LogSpec {
    LogSpec {
        address: Address::repeat_byte(contract),
        topics: topics.iter().map(|topic| B256::repeat_byte(*topic)).collect(),
        data: data.to_vec().into(),
    }
}

/// The logs of the model chain: one of four blocks has none, and another one has none that
/// [`filters`] match. The logs of two forks always differ.
pub(crate) fn emitted(number: u64, fork: u64) -> Vec<LogSpec> {
    let data = [number.to_be_bytes(), fork.to_be_bytes()].concat();
    let log = |contract, topics: &[u8]| spec(contract, topics, &data);
    match number % 4 {
        0 => Vec::new(),
        1 => vec![log(0xa, &[1, 2]), log(0xb, &[1, 3]), log(0xc, &[9])],
        2 => vec![log(0xc, &[9])],
        _ => vec![log(0xa, &[1]), log(0xb, &[]), log(0xc, &[1]), log(0xa, &[2, 2, 3, 4])],
    }
}

/// Whether a block with this number has a log that [`filters`] match.
pub(crate) fn has_wanted(number: u64) -> bool {
    number % 2 == 1
}

/// Matches logs of one of these contracts, or of any if there are none, whose first topic is one of
/// these.
pub(crate) fn filter(contracts: &[u8], topics: &[u8]) -> LogFilter {
    let mut filter = LogFilter {
        addresses: contracts.iter().map(|contract| [*contract; 20]).collect(),
        ..LogFilter::default()
    };
    filter.topics[0] = topics.iter().map(|topic| [*topic; 32]).collect();
    filter
}

/// All logs of one contract, and one kind of event of another.
pub(crate) fn filters() -> Vec<LogFilter> {
    vec![filter(&[0xa], &[]), filter(&[0xb], &[1])]
}

/// The logs of these blocks that modules must receive.
pub(crate) fn wanted<'a>(blocks: impl IntoIterator<Item = &'a Block>, filters: &[LogFilter]) -> Vec<Log> {
    let of_block = |block: &'a Block| block.logs().iter().map(|log| as_event(block, log));
    let logs = blocks.into_iter().flat_map(of_block);
    logs.filter(|log| filters.iter().any(|filter| filter.matches(&log.address, &log.topics)))
        .collect()
}

fn as_event(block: &Block, log: &nexum_testing::Log) -> Log {
    Log {
        chain_id: CHAIN,
        address: log.address.to_vec(),
        topics: log.topics.iter().map(|topic| topic.to_vec()).collect(),
        data: log.data.to_vec(),
        block_number: block.number,
        transaction_hash: log.transaction_hash.to_vec(),
        log_index: u32::try_from(log.index).unwrap(),
    }
}

/// Checks that a reader of the log has the node's chain from its first block to the log's head,
/// with exactly the logs that [`filters`] match.
pub(crate) fn check_logs(node: &Node, following: &Following) {
    let chain = following.chain();
    let (first, last) = (chain[0].number, chain.last().unwrap().number);
    let model = node.chain();
    let blocks = || {
        model
            .canonical()
            .iter()
            .filter(|block| (first..=last).contains(&block.number))
    };
    assert_eq!(chain, blocks().map(position).collect::<Vec<_>>());
    assert_eq!(following.logs(), wanted(blocks(), &filters()));
}

/// A node of a chain with logs, and its first blocks.
pub(crate) async fn node_with_logs(blocks: u64) -> Node {
    let node = Node::start().await;
    node.set_logs(emitted);
    node.mine(blocks);
    node
}
