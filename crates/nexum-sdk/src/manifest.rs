//! The part of the manifest that follows from the code.
//!
//! `#[module]` puts a JSON object into the custom section [`SECTION`] of the component. Its keys
//! are those of `nexum.toml`: `subscription`, and `capabilities` for those that the attribute
//! names. The imports of the component give the other capabilities.

use alloy_primitives::B256;
use alloy_sol_types::{SolEvent, TopicList};

/// The name of the custom section.
pub const SECTION: &str = "nexum:manifest";

/// A part of the text of a manifest.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    /// The text itself, in ASCII.
    Text(&'static str),
    /// The hash of an event's signature, written in hex.
    Hash(B256),
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// The length of the text, in bytes.
pub const fn len(parts: &[Part]) -> usize {
    let mut total = 0;
    let mut at = 0;
    while at < parts.len() {
        total += match parts[at] {
            Part::Text(text) => text.len(),
            Part::Hash(_) => 2 + 2 * B256::len_bytes(),
        };
        at += 1;
    }
    total
}

/// The text. `N` is its [`len`].
pub const fn concat<const N: usize>(parts: &[Part]) -> [u8; N] {
    let mut text = [0; N];
    let mut end = 0;
    let mut at = 0;
    while at < parts.len() {
        match parts[at] {
            Part::Text(part) => end = copy(&mut text, end, part.as_bytes()),
            Part::Hash(hash) => end = copy_hex(&mut text, end, &hash.0),
        }
        at += 1;
    }
    text
}

const fn copy(text: &mut [u8], mut end: usize, part: &[u8]) -> usize {
    let mut at = 0;
    while at < part.len() {
        text[end] = part[at];
        end += 1;
        at += 1;
    }
    end
}

const fn copy_hex(text: &mut [u8], end: usize, bytes: &[u8]) -> usize {
    let mut end = copy(text, end, b"0x");
    let mut at = 0;
    while at < bytes.len() {
        text[end] = HEX[(bytes[at] >> 4) as usize];
        text[end + 1] = HEX[(bytes[at] & 15) as usize];
        end += 2;
        at += 1;
    }
    end
}

/// Whether each log of one event is a log of the other: the signatures are equal, and the numbers of
/// `indexed` arguments.
pub const fn is_one_event<A: SolEvent, B: SolEvent>() -> bool {
    let mut at = 0;
    while at < B256::len_bytes() {
        if A::SIGNATURE_HASH.0[at] != B::SIGNATURE_HASH.0[at] {
            return false;
        }
        at += 1;
    }
    <A::TopicList as TopicList>::COUNT == <B::TopicList as TopicList>::COUNT
}

/// The text as a `str`. Empty for bytes that are not UTF-8, which [`concat()`] does not make.
pub const fn text(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => "",
    }
}
