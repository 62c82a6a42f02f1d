//! Addresses, topics and event signatures in the notation of a manifest.

use std::fmt;
use std::str::FromStr;

use crate::document::deserialize_text;
use alloy_json_abi::Event;
use alloy_primitives::{Address, B256};
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};

/// The longest event signature, in bytes: room for some dozens of parameters.
const SIGNATURE_CHARS_MAX: usize = 1_024;

/// A contract's address. A mixed-case address must have a correct checksum.
pub(in crate::manifest) struct ContractAddress(pub(in crate::manifest) [u8; 20]);

/// The first topic of an event, written as its hash or as the signature with that hash.
pub(in crate::manifest) struct EventSignature(pub(in crate::manifest) [u8; 32]);

/// The accepted values of a topic: one or several. None, written `""` or `[]`, accepts any.
#[derive(Default)]
pub(in crate::manifest) struct AnyOf(pub(in crate::manifest) Vec<[u8; 32]>);

fn address(text: &str) -> Result<Address, &'static str> {
    const EXPECTED: &str = "expected an address: 0x and 40 hexadecimal digits";
    let digits = text.strip_prefix("0x").ok_or(EXPECTED)?;
    let address = Address::from_str(text).map_err(|_| EXPECTED)?;
    let mixed = digits.contains(|c: char| c.is_ascii_uppercase()) && digits.contains(|c: char| c.is_ascii_lowercase());
    if mixed && Address::parse_checksummed(text, None).is_err() {
        return Err("the address has a wrong checksum: check its digits and the case of its letters");
    }
    Ok(address)
}

/// Parses a topic, or an address, which a topic holds in padded form.
fn topic(text: &str) -> Result<[u8; 32], &'static str> {
    const EXPECTED: &str = "expected a topic: 0x and 64 hexadecimal digits, or an address";
    if text.len() == 2 + 2 * Address::len_bytes() {
        return Ok(address(text)?.into_word().0);
    }
    text.strip_prefix("0x").ok_or(EXPECTED)?;
    B256::from_str(text).map(|topic| topic.0).map_err(|_| EXPECTED)
}

/// The first topic of an event: its hash in hex, or the hash of a signature such as
/// `Transfer(address,address,uint256)`.
///
/// # Errors
///
/// Says which text is expected.
pub fn event_signature(text: &str) -> Result<[u8; 32], &'static str> {
    const EXPECTED: &str =
        "expected a topic (0x and 64 hexadecimal digits) or a signature such as Transfer(address,address,uint256)";
    const CANONICAL: &str = "expected the canonical signature: without spaces, names and `indexed`, and with sized numbers, so uint256 instead of uint";
    if text.starts_with("0x") {
        return B256::from_str(text).map(|topic| topic.0).map_err(|_| EXPECTED);
    }
    if text.len() > SIGNATURE_CHARS_MAX {
        return Err(EXPECTED);
    }
    let event = Event::parse(text).map_err(|_| EXPECTED)?;
    let unsized_number = |word: &str| matches!(word, "uint" | "int" | "fixed" | "ufixed" | "byte");
    if event.signature() != text
        || text
            .split(|c: char| !c.is_ascii_alphanumeric())
            .skip(1)
            .any(unsized_number)
    {
        return Err(CANONICAL);
    }
    Ok(event.selector().0)
}

impl<'de> Deserialize<'de> for ContractAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "an address", |text| {
            address(text).map(|address| Self(address.into()))
        })
    }
}

impl<'de> Deserialize<'de> for EventSignature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "a topic or the signature of an event", |text| {
            event_signature(text).map(Self)
        })
    }
}

struct Topic([u8; 32]);

impl<'de> Deserialize<'de> for Topic {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "a topic", |text| topic(text).map(Self))
    }
}

struct AnyOfVisitor;

impl<'de> Visitor<'de> for AnyOfVisitor {
    type Value = AnyOf;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a topic, a list of topics, or \"\" for any")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<AnyOf, E> {
        match text {
            "" => Ok(AnyOf::default()),
            text => topic(text).map(|topic| AnyOf(vec![topic])).map_err(E::custom),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<AnyOf, A::Error> {
        let mut topics = Vec::new();
        while let Some(Topic(topic)) = seq.next_element()? {
            topics.push(topic);
        }
        Ok(AnyOf(topics))
    }
}

impl<'de> Deserialize<'de> for AnyOf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyOfVisitor)
    }
}
