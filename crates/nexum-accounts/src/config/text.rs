//! Values that the file writes as strings.

use alloy_json_abi::Function;
use alloy_primitives::{Address, Selector, hex};
use nexum_config::document::deserialize_text;
use serde::{Deserialize, Deserializer};

/// The text for any value, in the keys that accept it.
pub(crate) const ANY: &str = "*";

/// The longest signature of a function, in bytes.
const SIGNATURE_BYTES_MAX: usize = 512;

/// An address, with a valid checksum if it has capital letters.
#[derive(Clone, Copy)]
pub(crate) struct AddressText(pub(crate) Address);

/// An address, or `*` for any.
#[derive(Clone, Copy)]
pub(crate) struct TargetText(pub(crate) Option<Address>);

/// The first four bytes of a call, or `*` for any calls: `None`.
#[derive(Clone, Copy)]
pub(crate) struct SelectorText(pub(crate) Option<Selector>);

impl<'de> Deserialize<'de> for AddressText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "an address", |text| address(text).map(Self))
    }
}

impl<'de> Deserialize<'de> for TargetText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "an address or \"*\"", |text| match text {
            ANY => Ok(Self(None)),
            text => address(text).map(|address| Self(Some(address))),
        })
    }
}

impl<'de> Deserialize<'de> for SelectorText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "a selector", |text| selector(text).map(Self))
    }
}

fn address(text: &str) -> Result<Address, &'static str> {
    let parsed = text.parse::<Address>().ok().filter(|_| text.starts_with("0x"));
    let address = parsed.ok_or("expected an address: 0x and 40 hexadecimal digits")?;
    let digits = text.get(2..).unwrap_or_default();
    let is_mixed =
        digits.contains(|c: char| c.is_ascii_uppercase()) && digits.contains(|c: char| c.is_ascii_lowercase());
    match is_mixed && Address::parse_checksummed(text, None).is_err() {
        true => Err("the checksum of the address is wrong: its capital letters say that a digit is"),
        false => Ok(address),
    }
}

fn selector(text: &str) -> Result<Option<Selector>, &'static str> {
    const EXPECTED: &str =
        "expected a selector such as 0xa9059cbb, a signature such as transfer(address,uint256), or \"*\"";

    if text == ANY {
        return Ok(None);
    }
    if text.starts_with("0x") {
        let bytes = hex::decode(text).ok().and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
        return bytes.map(|bytes| Some(bytes.into())).ok_or(EXPECTED);
    }
    if text.len() > SIGNATURE_BYTES_MAX {
        return Err("the signature is longer than 512 bytes");
    }
    let function = Function::parse(text).map_err(|_| EXPECTED)?;
    Ok(Some(function.selector()))
}
