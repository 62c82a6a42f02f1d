//! The JSON of requests and answers. The JSON of frequent requests is written and read directly:
//! that takes a tenth of the fuel and of the code of a general library.

use alloy_primitives::{Bytes, U256, hex};
use serde::de::DeserializeOwned;

use crate::chain::BlockId;
use crate::{Error, ErrorKind, Result};

/// JSON that is being written: a list or an object.
pub(super) struct Json {
    /// ASCII.
    text: Vec<u8>,
    close: u8,
}

/// Room for a method's usual parameters, so that the text rarely moves: two addresses, a block hash
/// and their names.
const ROOM_BYTES: usize = 192;

impl Json {
    pub(super) fn list() -> Self {
        Self {
            text: vec![b'['],
            close: b']',
        }
    }

    /// An object with room for values of this length.
    pub(super) fn object(bytes: usize) -> Self {
        let mut text = Vec::with_capacity(ROOM_BYTES + bytes);
        text.push(b'{');
        Self { text, close: b'}' }
    }

    /// Begins a member of an object. The name has no special characters.
    pub(super) fn key(&mut self, name: &str) -> Member<'_> {
        self.separate();
        self.push_quoted(name);
        self.text.push(b':');
        Member(self)
    }

    /// Adds bytes as `"0x..."`.
    pub(super) fn hex(mut self, bytes: &[u8]) -> Self {
        self.separate();
        self.push_hex(bytes);
        self
    }

    /// Adds JSON.
    pub(super) fn text(mut self, json: &str) -> Self {
        self.separate();
        self.text.extend_from_slice(json.as_bytes());
        self
    }

    /// Adds a block.
    pub(super) fn block(mut self, block: BlockId) -> Self {
        self.separate();
        match block {
            BlockId::Hash(hash) => {
                self.text.extend_from_slice(br#"{"blockHash":"#);
                self.push_hex(&hash.0);
                self.text.push(b'}');
            }
            BlockId::Number(number) => self.push_quantity(U256::from(number)),
            BlockId::Latest => self.push_quoted("latest"),
            BlockId::Safe => self.push_quoted("safe"),
            BlockId::Finalized => self.push_quoted("finalized"),
            BlockId::Earliest => self.push_quoted("earliest"),
        }
        self
    }

    pub(super) fn end(mut self) -> String {
        self.text.push(self.close);
        // ASCII is UTF-8.
        String::from_utf8(self.text).unwrap_or_default()
    }

    fn separate(&mut self) {
        if self.text.len() > 1 {
            self.text.push(b',');
        }
    }

    fn push_quoted(&mut self, text: &str) {
        self.text.push(b'"');
        self.text.extend_from_slice(text.as_bytes());
        self.text.push(b'"');
    }

    fn push_hex(&mut self, bytes: &[u8]) {
        self.text.extend_from_slice(b"\"0x");
        let start = self.text.len();
        self.text.resize(start + 2 * bytes.len(), 0);
        if let Some(digits) = self.text.get_mut(start..) {
            // The length fits.
            let _ = hex::encode_to_slice(bytes, digits);
        }
        self.text.push(b'"');
    }

    fn push_quantity(&mut self, number: U256) {
        self.push_quoted(&format!("{number:#x}"));
    }
}

/// The value of a member to add.
pub(super) struct Member<'a>(&'a mut Json);

impl Member<'_> {
    pub(super) fn hex(self, bytes: &[u8]) {
        self.0.push_hex(bytes);
    }

    pub(super) fn quantity(self, number: U256) {
        self.0.push_quantity(number);
    }

    pub(super) fn json(self, json: &str) {
        self.0.text.extend_from_slice(json.as_bytes());
    }

    pub(super) fn quoted(self, text: &str) {
        self.0.push_quoted(text);
    }
}

/// The digits of `"0x..."`.
fn digits(json: &str) -> Option<&str> {
    json.trim().strip_prefix("\"0x")?.strip_suffix('"')
}

/// Reads `"0x..."` as bytes.
pub(super) fn bytes(json: &str) -> Result<Bytes> {
    let bytes = digits(json).and_then(|digits| hex::decode(digits).ok());
    bytes
        .map(Bytes::from)
        .ok_or_else(|| expected("hexadecimal bytes", json))
}

/// Reads `"0x..."` as a number.
pub(super) fn quantity(json: &str) -> Result<U256> {
    let digits = digits(json).filter(|digits| !digits.is_empty());
    let number = digits.and_then(|digits| U256::from_str_radix(digits, 16).ok());
    number.ok_or_else(|| expected("a number", json))
}

/// Reads `"0x..."` as a number of 64 bits.
pub(super) fn number(json: &str) -> Result<u64> {
    let number = digits(json).and_then(|digits| u64::from_str_radix(digits, 16).ok());
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
    use alloy_primitives::{B256, U256};
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
            .text("false")
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
        assert!(quantity("\"0x\"").is_err());
        assert!(number("\"0x10000000000000000\"").is_err());
        let long = expected("x", &"y".repeat(1_000));
        assert_eq!(long.message().matches('y').count(), SHOWN_CHARS_MAX);
    }

    proptest! {
        #[test]
        fn objects_are_json(data: Vec<u8>, value: u64) {
            let mut object = Json::object(data.len());
            object.key("data").hex(&data);
            object.key("value").quantity(U256::from(value));
            prop_assert_eq!(parse(&object.end()), json!({ "data": Bytes::from(data), "value": format!("{value:#x}") }));
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
