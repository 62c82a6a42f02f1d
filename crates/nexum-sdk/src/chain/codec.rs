//! The JSON of requests and answers. This code writes all requests, and reads bytes and numbers
//! itself: that takes less fuel, and a smaller component, than `serde_json`.

use alloy_primitives::U256;
use serde::de::DeserializeOwned;

use crate::chain::BlockId;
use crate::{Error, ErrorKind, Result, digits};

/// The parameters of a request, a JSON list that is being written.
///
/// Each value gets a comma in front if one is due.
pub(super) struct Json {
    /// ASCII.
    text: Vec<u8>,
}

/// Room for a method's usual parameters, so that the text rarely moves: two addresses, a block hash
/// and their names.
const ROOM_BYTES: usize = 192;

impl Json {
    /// The empty list.
    pub(super) fn list() -> Self {
        Self::with_room(0)
    }

    /// The empty list, with room for bytes in hex beside the usual parameters.
    pub(super) fn with_room(bytes: usize) -> Self {
        let mut text = Vec::with_capacity(ROOM_BYTES + 2 * bytes);
        text.push(b'[');
        Self { text }
    }

    /// Begins an inner list.
    pub(super) fn open_list(self) -> Self {
        self.value(b"[")
    }

    pub(super) fn close_list(mut self) -> Self {
        self.text.push(b']');
        self
    }

    /// Begins an object, whose members are keys with values.
    pub(super) fn open_object(self) -> Self {
        self.value(b"{")
    }

    pub(super) fn close_object(mut self) -> Self {
        self.text.push(b'}');
        self
    }

    /// The name of a member, without special characters. Its value follows.
    pub(super) fn key(self, name: &str) -> Self {
        let mut json = self.quoted(name);
        json.text.push(b':');
        json
    }

    /// A text without special characters.
    pub(super) fn quoted(self, text: &str) -> Self {
        let mut json = self.value(b"\"");
        json.text.extend_from_slice(text.as_bytes());
        json.text.push(b'"');
        json
    }

    /// Bytes as `"0x..."`.
    pub(super) fn hex(self, bytes: &[u8]) -> Self {
        self.value(b"\"0x").digits(bytes).piece("\"")
    }

    /// The digits of bytes, without quotes.
    pub(super) fn digits(mut self, bytes: &[u8]) -> Self {
        digits::push(&mut self.text, bytes);
        self
    }

    /// A part of a value, without a comma in front. One long piece takes less fuel than the values
    /// that it consists of.
    pub(super) fn piece(mut self, json: &str) -> Self {
        self.text.extend_from_slice(json.as_bytes());
        self
    }

    /// A number as `"0x..."`.
    pub(super) fn quantity(self, number: U256) -> Self {
        self.quoted(&format!("{number:#x}"))
    }

    /// A word such as `null`.
    pub(super) fn word(self, word: &str) -> Self {
        self.value(word.as_bytes())
    }

    /// A block.
    pub(super) fn block(self, block: BlockId) -> Self {
        match block {
            BlockId::Hash(hash) => self.value(b"{\"blockHash\":\"0x").digits(&hash.0).piece("\"}"),
            BlockId::Number(number) => self.quantity(U256::from(number)),
            BlockId::Latest => self.quoted("latest"),
            BlockId::Safe => self.quoted("safe"),
            BlockId::Finalized => self.quoted("finalized"),
            BlockId::Earliest => self.quoted("earliest"),
        }
    }

    /// The text of the list.
    pub(super) fn end(self) -> String {
        // ASCII is UTF-8.
        String::from_utf8(self.close_list().text).unwrap_or_default()
    }

    fn value(mut self, json: &[u8]) -> Self {
        if !matches!(self.text.last(), Some(b'[' | b'{' | b':')) {
            self.text.push(b',');
        }
        self.text.extend_from_slice(json);
        self
    }
}

/// The digits of `"0x..."`. The search for space around the text comes last, because answers have none.
fn quoted_digits(json: &str) -> Option<&str> {
    fn digits(json: &str) -> Option<&str> {
        json.strip_prefix("\"0x")?.strip_suffix('"')
    }
    digits(json).or_else(|| digits(json.trim()))
}

/// Reads `"0x..."` as bytes.
pub(super) fn bytes(json: &str) -> Result<Vec<u8>> {
    let bytes = quoted_digits(json).and_then(digits::read);
    bytes.ok_or_else(|| expected("hexadecimal bytes", json))
}

/// Reads `"0x..."` as a number.
pub(super) fn quantity(json: &str) -> Result<U256> {
    let digits = quoted_digits(json).filter(|digits| !digits.is_empty());
    let number = digits.and_then(|digits| U256::from_str_radix(digits, 16).ok());
    number.ok_or_else(|| expected("a number", json))
}

/// Reads `"0x..."` as a number of 64 bits.
pub(super) fn number(json: &str) -> Result<u64> {
    let number = quoted_digits(json).and_then(|digits| u64::from_str_radix(digits, 16).ok());
    number.ok_or_else(|| expected("a number of 64 bits", json))
}

/// Reads any JSON.
pub(super) fn read<T: DeserializeOwned>(json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|error| unreadable(&error.to_string()))
}

/// The most characters of an answer that an error shows.
const SHOWN_CHARS_MAX: usize = 80;

fn expected(what: &str, json: &str) -> Error {
    let shown: String = json.chars().take(SHOWN_CHARS_MAX).collect();
    unreadable(&format!("expected {what}, found {shown}"))
}

/// The error for an answer of another shape.
pub(super) fn unreadable(reason: &str) -> Error {
    Error::of("chain", ErrorKind::Internal, format!("unreadable answer: {reason}"))
}

/// Numbers inside of objects.
pub(super) mod serde_number {
    use serde::{Deserialize, Deserializer, de::Error};

    pub(in crate::chain) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let digits = text.strip_prefix("0x").unwrap_or("");
        u64::from_str_radix(digits, 16).map_err(|_| D::Error::custom(format!("{text:?} is no number of 64 bits")))
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{B256, Bytes, U256};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn parse(json: &str) -> Value {
        serde_json::from_str(json).expect("JSON")
    }

    #[test]
    fn writes_lists() {
        assert_eq!(Json::list().end(), "[]");
        let list = Json::list()
            .hex(&[0xab, 1])
            .word("false")
            .block(BlockId::Number(16))
            .end();
        assert_eq!(list, r#"["0xab01",false,"0x10"]"#);
    }

    #[test]
    fn names_blocks() {
        for (block, json) in [
            (BlockId::Latest, json!("latest")),
            (BlockId::Safe, json!("safe")),
            (BlockId::Finalized, json!("finalized")),
            (BlockId::Earliest, json!("earliest")),
            (BlockId::Number(0), json!("0x0")),
            (BlockId::Number(u64::MAX), json!("0xffffffffffffffff")),
            (
                BlockId::Hash(B256::repeat_byte(7)),
                json!({ "blockHash": B256::repeat_byte(7) }),
            ),
        ] {
            assert_eq!(parse(&Json::list().block(block).end()), json!([json]));
        }
    }

    #[test]
    fn refuses_other_answers() {
        for answer in ["null", "\"0xzz\"", "\"0x123\"", "{}", "", "\"ff\""] {
            let error = bytes(answer).expect_err(answer);
            assert_eq!(error.kind(), ErrorKind::Internal, "{answer}");
            assert_eq!(error.domain(), "chain");
        }
        assert_eq!(bytes(" \"0xff\"\n").expect("JSON with space"), [255]);
        assert!(quantity("\"0x\"").is_err());
        assert!(number("\"0x10000000000000000\"").is_err());
        let long = expected("x", &"y".repeat(1_000));
        assert_eq!(long.message().matches('y').count(), SHOWN_CHARS_MAX);
    }

    proptest! {
        #[test]
        fn objects_are_json(data: Vec<u8>, value: u64, words: Vec<bool>) {
            let json = Json::with_room(data.len()).open_object().key("data").hex(&data);
            let json = json.key("value").quantity(U256::from(value)).key("words").open_list();
            let json = words.iter().fold(json, |json, word| json.word(&word.to_string()));
            let json = json.close_list().close_object().block(BlockId::Latest);
            let object = json!({ "data": Bytes::from(data), "value": format!("{value:#x}"), "words": words });
            prop_assert_eq!(parse(&json.end()), json!([object, "latest"]));
        }

        #[test]
        fn reads_bytes_and_numbers_that_were_written(data: Vec<u8>, value: u64, wide: [u8; 32]) {
            prop_assert_eq!(&bytes(&json!(Bytes::from(data.clone())).to_string()).unwrap()[..], &data[..]);
            prop_assert_eq!(number(&format!("\"{value:#x}\"")).unwrap(), value);
            let wide = U256::from_be_bytes(wide);
            prop_assert_eq!(quantity(&format!("\"{wide:#x}\"")).unwrap(), wide);
        }

        #[test]
        fn no_answer_makes_a_reader_panic(answer: String) {
            let _ = (bytes(&answer), quantity(&answer), number(&answer));
        }
    }
}
