//! The events that a module handles.

use alloy_primitives::{Address, B256, Bytes, LogData};
use alloy_sol_types::SolEvent;

/// A new block of a chain that the module subscribes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// The EIP-155 id of the chain.
    pub chain_id: u64,
    /// The block's number.
    pub number: u64,
    /// The block's hash.
    pub hash: B256,
    /// The time in the block's header, in milliseconds since the Unix epoch.
    pub timestamp: u64,
}

/// A log of a contract. A module gets the logs of a block before the block itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// The EIP-155 id of the chain.
    pub chain_id: u64,
    /// The contract's address.
    pub address: Address,
    /// Up to four topics. The first is the hash of the event's signature.
    pub topics: Vec<B256>,
    /// The arguments without `indexed`, ABI-encoded.
    pub data: Bytes,
    /// The number of the log's block.
    pub block_number: u64,
    /// The hash of the transaction.
    pub transaction_hash: B256,
    /// The log's index in its block.
    pub log_index: u32,
}

impl Log {
    /// The log as an event of `sol!`. `None` if the log is not this event: another signature, or
    /// other `indexed` arguments, as the `Transfer` of ERC-20 and of ERC-721.
    pub fn decode<E: SolEvent>(&self) -> Option<E> {
        let is_other = !E::ANONYMOUS && self.topics.first() != Some(&E::SIGNATURE_HASH);
        if is_other {
            return None;
        }
        let data = LogData::new(self.topics.clone(), self.data.clone())?;
        E::decode_log_data(&data).ok()
    }
}

/// A log with its arguments, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded<E> {
    /// The arguments.
    pub event: E,
    /// The log: contract, block and transaction.
    pub log: Log,
}

impl<E> Decoded<E> {
    /// Decodes a log. Returns the log unchanged if it is not this event.
    #[expect(clippy::result_large_err, reason = "the caller gets its own log, not an error")]
    pub fn try_from_log(log: Log) -> Result<Self, Log>
    where
        E: SolEvent,
    {
        match log.decode() {
            Some(event) => Ok(Self { event, log }),
            None => Err(log),
        }
    }
}

/// A time of one of the module's schedules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// The scheduled time, in milliseconds since the Unix epoch.
    pub fired_at: u64,
}

/// A message from a messaging network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The topic that the message was published to.
    pub content_topic: String,
    /// The content.
    pub payload: Vec<u8>,
    /// The time of the message, in milliseconds since the Unix epoch.
    pub timestamp: u64,
    /// The sender's public identity, if the network proves it.
    pub sender: Option<Vec<u8>>,
}

/// An event of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A new block.
    Block(Block),
    /// The logs of one block that match the module's filters, in log order.
    Logs(Vec<Log>),
    /// A tick of a schedule.
    Tick(Tick),
    /// A message.
    Message(Message),
}
