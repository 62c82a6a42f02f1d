//! All filters of a chain, as one query.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::{RangeBounds, RangeInclusive};

use alloy_primitives::{Address, B256, Bloom, BloomInput, hex};
use nexum_config::log_filter::{LogFilter, TOPICS_MAX};
use nexum_core::source::SubscribedLogs;
use nexum_core::source::{BlockHash, Log};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::FollowError;
use crate::error::RequestError;
use crate::rpc::endpoint::RpcRequest;

/// The most addresses, or first topics, in one query: the limit of large providers. A query with
/// more omits them, and nexum drops unwanted logs.
pub(super) const VALUES_MAX: usize = 1_000;

/// The filters of all modules that follow a chain.
#[derive(Debug)]
pub(super) struct Filters {
    filters: Vec<LogFilter>,
    /// The blooms that a header's bloom must contain for each filter: one of each list.
    blooms: Vec<Vec<Vec<Bloom>>>,
    /// `address` and `topics` of `eth_getLogs`.
    query: Map<String, Value>,
    /// The revision of the chain's filters.
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

    pub(super) fn of(wanted: &SubscribedLogs) -> Self {
        Self {
            revision: wanted.revision,
            ..Self::new(&wanted.filters)
        }
    }

    /// A filter that matches every log.
    pub(super) fn everything() -> Self {
        Self::new(&[LogFilter::default()])
    }

    pub(super) fn is_empty(&self) -> bool {
        self.filters.is_empty()
    }

    /// Whether a block with this bloom may contain a wanted log.
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

    /// The query for all wanted logs, in parts with at most `values_max` addresses, and as many
    /// first topics.
    pub(super) fn questions(&self, values_max: usize) -> Vec<Question<'_>> {
        let whole = Question(Cow::Borrowed(&self.query));
        let (mut questions, mut waiting) = (Vec::new(), vec![whole]);
        while let Some(question) = waiting.pop() {
            match question.halves().filter(|_| question.values() > values_max) {
                Some(halves) => waiting.extend(halves),
                None => questions.push(question),
            }
        }
        questions
    }
}

/// A query for logs: all wanted logs of a chain, or a part of them.
#[derive(Clone, Debug)]
pub(super) struct Question<'a>(Cow<'a, Map<String, Value>>);

impl Question<'_> {
    /// A request for the logs of one block.
    pub(super) fn of_block(&self, hash: &BlockHash) -> Result<RpcRequest, FollowError> {
        self.ask([("blockHash", B256::from(*hash).to_string())])
    }

    /// A request for the logs of a range of blocks.
    pub(super) fn of_range(&self, numbers: &RangeInclusive<u64>) -> Result<RpcRequest, FollowError> {
        let (from, to) = (numbers.start(), numbers.end());
        self.ask([("fromBlock", format!("{from:#x}")), ("toBlock", format!("{to:#x}"))])
    }

    fn ask<const N: usize>(&self, blocks: [(&str, String); N]) -> Result<RpcRequest, FollowError> {
        let mut query = self.0.clone().into_owned();
        query.extend(blocks.map(|(key, value)| (key.to_owned(), value.into())));
        let params = RawValue::from_string(json!([query]).to_string()).map_err(|_| RequestError::Internal)?;
        Ok(("eth_getLogs".into(), params))
    }

    /// The number of addresses or first topics, whichever is greater.
    pub(super) fn values(&self) -> usize {
        self.count(ADDRESSES).max(self.count(FIRST_TOPICS))
    }

    fn count(&self, list: &str) -> usize {
        let list = value(&self.0, list).and_then(Value::as_array);
        list.map_or(0, Vec::len)
    }

    /// Two queries that together equal this one: each has half of the longer list. None if each
    /// list has at most one value.
    pub(super) fn halves(&self) -> Option<[Self; 2]> {
        let middle = self.values() / 2;
        (middle > 0).then(|| [self.part(..middle), self.part(middle..)])
    }

    /// A query with one value of each list.
    pub(super) fn narrowest(&self) -> Self {
        let mut question = self.clone();
        while question.values() > 1 {
            question = question.part(..1);
        }
        question
    }

    /// A query with the values of the longer list at these indexes.
    fn part(&self, places: impl RangeBounds<usize>) -> Self {
        let list = match self.count(ADDRESSES) >= self.count(FIRST_TOPICS) {
            true => ADDRESSES,
            false => FIRST_TOPICS,
        };
        let mut query = self.0.clone().into_owned();
        if let Some(values) = value_mut(&mut query, list).and_then(Value::as_array_mut) {
            let mut place = 0..;
            values.retain(|_| place.next().is_some_and(|place| places.contains(&place)));
        }
        Self(Cow::Owned(query))
    }
}

/// The lists of a query that can be divided.
const ADDRESSES: &str = "address";
const FIRST_TOPICS: &str = "topics";

fn value<'a>(query: &'a Map<String, Value>, list: &str) -> Option<&'a Value> {
    let value = query.get(list)?;
    if list == FIRST_TOPICS {
        value.get(0)
    } else {
        Some(value)
    }
}

fn value_mut<'a>(query: &'a mut Map<String, Value>, list: &str) -> Option<&'a mut Value> {
    let value = query.get_mut(list)?;
    if list == FIRST_TOPICS {
        value.get_mut(0)
    } else {
        Some(value)
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

/// The narrowest query that matches every log that one of the filters matches.
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
    // One query can express the filters' other topics only if there is one filter.
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

/// All values in the filters. None if a filter has none, because it matches all, or if there are
/// too many.
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
