//! Amounts of a chain's native currency.

use alloy_primitives::U256;
use alloy_primitives::utils::parse_ether;
use nexum_config::document::deserialize_text;
use serde::{Deserialize, Deserializer};

/// The longest amount, in bytes: more digits than all currency has.
const AMOUNT_BYTES_MAX: usize = 40;

/// An amount in wei, which the file writes in ether: `"0.05"`.
#[derive(Clone, Copy)]
pub(crate) struct Amount(pub(crate) U256);

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(
            deserializer,
            "an amount of ether as a string, such as \"0.05\"",
            |text| {
                ether(text)
                    .map(Self)
                    .ok_or("expected an amount of ether, such as \"0.05\", with at most 18 decimals")
            },
        )
    }
}

/// The wei of an amount of ether. `alloy` alone would accept a sign.
fn ether(text: &str) -> Option<U256> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_amount = text.len() <= AMOUNT_BYTES_MAX && is_digits(whole) && is_digits(decimals) && decimals.len() <= 18;
    is_amount.then(|| parse_ether(text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_has_digits_and_one_point() {
        for (text, wei) in [
            ("0", 0),
            ("0.05", 50_000_000_000_000_000),
            ("1.000000000000000001", 1_000_000_000_000_000_001_u64),
        ] {
            assert_eq!(ether(text), Some(U256::from(wei)), "{text}");
        }
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "+1",
            "1e18",
            "0x1",
            "1_000",
            "1.0000000000000000001",
            "1 ether",
            "1.2.3",
        ] {
            assert_eq!(ether(text), None, "{text}");
        }
    }
}
