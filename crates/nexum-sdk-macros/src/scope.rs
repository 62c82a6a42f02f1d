//! The logs that attributes select by chain, address and topics.

use proc_macro2::TokenStream;
use quote::quote;

/// The bytes of an address.
const ADDRESS_BYTES: usize = 20;

/// The bytes of a topic.
const TOPIC_BYTES: usize = 32;

/// The chain, the contracts and the topics of one attribute. The operator decides what the attribute
/// leaves out.
#[derive(Default)]
pub(crate) struct Scope {
    chain_id: Option<u64>,
    addresses: Vec<[u8; ADDRESS_BYTES]>,
    /// The permitted topics of each position. An empty list permits any.
    topics: Vec<Vec<[u8; TOPIC_BYTES]>>,
}

impl Scope {
    /// The scope of an attribute with these keys, whose values are JSON.
    pub(crate) fn of(read: &[(String, String)]) -> Self {
        let values = |key: &'static str| read.iter().filter(move |(name, _)| name == key).map(|(_, json)| json);
        let lists = values("address").chain(values("addresses"));
        Self {
            chain_id: values("chain_id").find_map(|number| number.parse().ok()),
            addresses: lists.flat_map(|json| json.split('"')).filter_map(bytes).collect(),
            topics: values("topics").flat_map(|json| topics(json)).collect(),
        }
    }

    fn is_open(&self) -> bool {
        self.chain_id.is_none() && self.addresses.is_empty() && self.topics.iter().all(Vec::is_empty)
    }

    /// Whether this scope has each log of another.
    fn covers(&self, other: &Self) -> bool {
        let has_chain = self.chain_id.is_none() || self.chain_id == other.chain_id;
        let is_within = || {
            let is_known = |address| self.addresses.contains(address);
            !other.addresses.is_empty() && other.addresses.iter().all(is_known)
        };
        let has_topics = self.topics.iter().enumerate().all(|(at, permitted)| {
            let others = other.topics.get(at).map_or(&[][..], Vec::as_slice);
            permitted.is_empty() || (!others.is_empty() && others.iter().all(|topic| permitted.contains(topic)))
        });
        has_chain && has_topics && (self.addresses.is_empty() || is_within())
    }

    /// The test of the variable `log`.
    fn test(&self) -> TokenStream {
        let chain = self.chain_id.map(|id| quote!(log.chain_id == #id));
        let addresses = self
            .addresses
            .iter()
            .map(|bytes| quote!(log.address == ::nexum_sdk::Address::new([#(#bytes),*])));
        let address = (!self.addresses.is_empty()).then(|| quote!((#(#addresses)||*)));
        let positions = self
            .topics
            .iter()
            .enumerate()
            .filter(|(_, permitted)| !permitted.is_empty());
        let topics = positions.map(|(at, permitted)| {
            let is_one = permitted
                .iter()
                .map(|bytes| quote!(topic == ::nexum_sdk::B256::new([#(#bytes),*])));
            quote!(log.topics.get(#at).is_some_and(|&topic| #(#is_one)||*))
        });
        let all = chain.into_iter().chain(address).chain(topics);
        quote!((#(#all)&&*))
    }
}

/// Reads `0x` and two digits for each byte.
fn bytes<const LEN: usize>(text: &str) -> Option<[u8; LEN]> {
    let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 2 * LEN)?;
    let mut bytes = [0; LEN];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// Reads the positions of a JSON list. Each is a text, or a list of texts. An address stands for its
/// padded topic, and any other text for any topic.
fn topics(json: &str) -> Vec<Vec<[u8; TOPIC_BYTES]>> {
    let mut positions = Vec::new();
    let mut depth = 0_usize;
    for (at, piece) in json.split('"').enumerate() {
        if at % 2 == 1 {
            if depth == 1 {
                positions.push(Vec::new());
            }
            let position: Option<&mut Vec<_>> = positions.last_mut();
            position
                .into_iter()
                .for_each(|permitted| permitted.extend(topic(piece)));
            continue;
        }
        for bracket in piece.chars() {
            match bracket {
                '[' => depth += 1,
                ']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if bracket == '[' && depth > 1 {
                positions.push(Vec::new());
            }
        }
    }
    positions
}

fn topic(text: &str) -> Option<[u8; TOPIC_BYTES]> {
    let padded = |address: [u8; ADDRESS_BYTES]| {
        let mut topic = [0; TOPIC_BYTES];
        topic[TOPIC_BYTES - ADDRESS_BYTES..].copy_from_slice(&address);
        topic
    };
    bytes(text).or_else(|| bytes(text).map(padded))
}

/// Whether one of these scopes has each log of each other one.
pub(crate) fn cover<'a>(scopes: &[&Scope], others: impl IntoIterator<Item = &'a Scope>) -> bool {
    let is_covered = |other| scopes.iter().any(|scope| scope.covers(other));
    others.into_iter().all(is_covered)
}

/// The test whether the variable `log` is in one of these scopes. `None` if each log is.
pub(crate) fn test(scopes: &[&Scope]) -> Option<TokenStream> {
    let tests = scopes.iter().map(|scope| scope.test());
    let is_open = scopes.iter().any(|scope| scope.is_open());
    (!is_open).then(|| quote!(#(#tests)||*))
}
