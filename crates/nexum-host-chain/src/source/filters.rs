//! All filters of a chain as one question.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use alloy_primitives::{Address, B256, Bloom, BloomInput, hex};
use nexum_config::log_filter::{LogFilter, TOPICS_MAX};
use nexum_core::source::Wanted;
use nexum_core::source::{BlockHash, Log};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::FollowError;
use crate::error::RequestError;
use crate::rpc::endpoint::Request;

/// How many addresses, or first topics, one question may name: as many as large providers take. With more, the question is
/// asked without them, and what nobody wants is thrown away here.
const VALUES_MAX: usize = 1_000;

/// The filters of everyone who follows a chain.
#[derive(Debug)]
pub(super) struct Filters {
    filters: Vec<LogFilter>,
    /// What a header's bloom has to contain for each filter: one of each list.
    blooms: Vec<Vec<Vec<Bloom>>>,
    /// `address` and `topics` of `eth_getLogs`.
    query: Map<String, Value>,
    /// Which of the chain's filters they are.
    pub(super) revision: u64,
}

impl Filters {
    pub(super) fn new(filters: &[LogFilter]) -> Self {
        Self {
            blooms: filters.iter().map(blooms).collect(),
            query: query(filters),
            filters: filters.to_vec(),
            revision: u64::MAX,
        }
    }

    pub(super) fn of(wanted: &Wanted) -> Self {
        Self {
            revision: wanted.revision,
            ..Self::new(&wanted.filters)
        }
    }

    /// Every log there is.
    pub(super) fn everything() -> Self {
        Self::new(&[LogFilter::default()])
    }

    pub(super) fn is_empty(&self) -> bool {
        self.filters.is_empty()
    }

    /// Whether a block with this bloom may have a log that is wanted.
    pub(super) fn may_be_in(&self, bloom: &Bloom) -> bool {
        self.blooms.iter().any(|filter| {
            filter
                .iter()
                .all(|any_of| any_of.iter().any(|value| bloom.contains(value)))
        })
    }

    pub(super) fn wants(&self, log: &Log) -> bool {
        self.filters
            .iter()
            .any(|filter| filter.matches(&log.address, &log.topics))
    }

    /// Asks for the logs of one block.
    pub(super) fn of_block(&self, hash: &BlockHash) -> Result<Request, FollowError> {
        self.ask([("blockHash", B256::from(*hash).to_string())])
    }

    /// Asks for the logs of a range of blocks.
    pub(super) fn of_range(&self, numbers: &RangeInclusive<u64>) -> Result<Request, FollowError> {
        let (from, to) = (numbers.start(), numbers.end());
        self.ask([("fromBlock", format!("{from:#x}")), ("toBlock", format!("{to:#x}"))])
    }

    fn ask<const N: usize>(&self, blocks: [(&str, String); N]) -> Result<Request, FollowError> {
        let mut query = self.query.clone();
        query.extend(blocks.map(|(key, value)| (key.to_owned(), value.into())));
        let params = RawValue::from_string(json!([query]).to_string()).map_err(|_| RequestError::Internal)?;
        Ok(("eth_getLogs".into(), params))
    }
}

/// Whether all of these logs can be in a block with this bloom.
pub(super) fn are_in(bloom: &Bloom, logs: &[Log]) -> bool {
    let contains = |value: &[u8]| bloom.contains_input(BloomInput::Raw(value));
    let is_in = |log: &Log| contains(&log.address) && log.topics.iter().all(|topic| contains(topic));
    logs.iter().all(is_in)
}

fn blooms(filter: &LogFilter) -> Vec<Vec<Bloom>> {
    let bloom = |value: &[u8]| Bloom::from(BloomInput::Raw(value));
    let addresses: Vec<Bloom> = filter.addresses.iter().map(|address| bloom(address)).collect();
    let topics = filter
        .topics
        .iter()
        .map(|topics| topics.iter().map(|topic| bloom(topic)).collect());
    let lists = std::iter::once(addresses).chain(topics);
    lists.filter(|any_of: &Vec<Bloom>| !any_of.is_empty()).collect()
}

/// The narrowest question whose answer has everything that one of the filters wants.
fn query(filters: &[LogFilter]) -> Map<String, Value> {
    let mut query = Map::new();
    let addresses = union(filters, |filter| &filter.addresses);
    if !addresses.is_empty() {
        query.insert(
            "address".to_owned(),
            addresses
                .into_iter()
                .map(|address| Value::from(Address::from(address).to_string()))
                .collect(),
        );
    }
    // What the filters say of the other topics can be asked in one question only if there is one filter.
    let positions = if filters.len() == 1 { TOPICS_MAX } else { 1 };
    let topics = (0..positions).map(|position| union(filters, |filter| &filter.topics[position]));
    let mut topics: Vec<Value> = topics
        .map(|topics| match topics.is_empty() {
            true => Value::Null,
            false => topics
                .into_iter()
                .map(|topic| Value::from(hex::encode_prefixed(topic)))
                .collect(),
        })
        .collect();
    while topics.last().is_some_and(Value::is_null) {
        topics.pop();
    }
    if !topics.is_empty() {
        query.insert("topics".to_owned(), topics.into());
    }
    query
}

/// All values that the filters name; none if one of them names none, because it wants any, or if there are too many.
fn union<T: Copy + Ord>(filters: &[LogFilter], values: impl Fn(&LogFilter) -> &Vec<T>) -> BTreeSet<T> {
    if filters.iter().any(|filter| values(filter).is_empty()) {
        return BTreeSet::new();
    }
    let union: BTreeSet<T> = filters.iter().flat_map(values).copied().collect();
    if union.len() > VALUES_MAX {
        BTreeSet::new()
    } else {
        union
    }
}
