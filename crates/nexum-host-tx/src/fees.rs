//! The fees of a transaction.

use alloy_primitives::U256;
use serde::Deserialize;

use crate::error::SendError;

/// The blocks whose tips count.
const BLOCKS: &str = r#"["0x5","latest",[50]]"#;

/// The parameters of `eth_feeHistory`.
pub(crate) const HISTORY_PARAMS: &str = BLOCKS;

/// The least tip, in wei per gas: some chains have empty blocks whose median is 0, and nodes sort by it.
const TIP_MIN: u128 = 1_000_000;

/// The wei of a gwei.
pub(crate) const GWEI: u128 = 1_000_000_000;

/// The increase of a replacement that nodes ask for, in percent: geth and others want 10, and parts round down.
const BUMP_PERCENT: u128 = 12;

/// The fees that transactions pay now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Market {
    /// A chain with a base fee (EIP-1559): the base fee of the next block and the usual tip, in wei per gas.
    BaseFee { base: u128, tip: u128 },
    /// A chain without one: the price, in wei per gas.
    Legacy { price: u128 },
}

/// The fees of one version, in wei per gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fees {
    pub(crate) max_fee: u128,
    pub(crate) tip: u128,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct History {
    #[serde(default)]
    base_fee_per_gas: Option<Vec<Option<U256>>>,
    #[serde(default)]
    reward: Option<Vec<Vec<U256>>>,
}

impl Market {
    /// Reads the answer to `eth_feeHistory`. `None` for a chain without a base fee.
    pub(crate) fn of_history(answer: &str) -> Result<Option<Self>, SendError> {
        const METHOD: &str = "eth_feeHistory";
        let malformed = || SendError::Malformed(METHOD);
        let history: History = serde_json::from_str(answer).map_err(|_| malformed())?;
        let Some(Some(base)) = history.base_fee_per_gas.and_then(|fees| fees.last().copied()) else {
            return Ok(None);
        };
        let base = u128::try_from(base).map_err(|_| malformed())?;
        let tips = history.reward.unwrap_or_default().into_iter();
        let mut tips: Vec<_> = tips
            .filter_map(|of_block| u128::try_from(of_block.first().copied()?).ok())
            .collect();
        tips.sort_unstable();
        let tip = tips.get(tips.len() / 2).copied().unwrap_or(0).max(TIP_MIN);
        Ok(Some(Self::BaseFee { base, tip }))
    }

    /// Reads the answer to `eth_gasPrice`.
    pub(crate) fn of_price(answer: &str) -> Result<Self, SendError> {
        let price: Option<U256> = serde_json::from_str(answer).ok();
        let price = price.and_then(|price| u128::try_from(price).ok());
        price.map_or(Err(SendError::Malformed("eth_gasPrice")), |price| {
            Ok(Self::Legacy { price })
        })
    }

    pub(crate) fn is_legacy(self) -> bool {
        matches!(self, Self::Legacy { .. })
    }

    /// The least that a block takes, in wei per gas.
    pub(crate) fn floor(self) -> u128 {
        match self {
            Self::BaseFee { base, .. } => base,
            Self::Legacy { price } => price,
        }
    }

    /// The fees of a new version, of at most `cap` wei per gas: enough for a base fee that doubles. `None` if no block
    /// would take it now.
    pub(crate) fn fees(self, cap: u128, tip_cap: Option<u128>) -> Option<Fees> {
        let (max_fee, tip) = match self {
            Self::BaseFee { base, tip } => {
                let tip = tip.min(tip_cap.unwrap_or(u128::MAX));
                (base.saturating_mul(2).saturating_add(tip), tip)
            }
            Self::Legacy { price } => (price, price),
        };
        let max_fee = max_fee.min(cap);
        let room = max_fee.checked_sub(self.floor())?;
        let tip = match self {
            Self::BaseFee { .. } => tip.min(room),
            Self::Legacy { .. } => max_fee,
        };
        Some(Fees { max_fee, tip })
    }

    /// The fees of a version that replaces one with `old` fees: those that nodes ask for, or the usual ones if they are
    /// higher. `None` if they exceed `cap`, or if no block would take `cap` now.
    pub(crate) fn bump(self, old: Fees, cap: u128) -> Option<Fees> {
        let more = |fee: u128| {
            fee.saturating_add(fee.saturating_mul(BUMP_PERCENT).div_ceil(100))
                .saturating_add(1)
        };
        let usual = self.fees(cap, None)?;
        let max_fee = more(old.max_fee).max(usual.max_fee);
        let tip = more(old.tip).max(usual.tip);
        (max_fee <= cap).then_some(Fees {
            max_fee,
            tip: tip.min(max_fee),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_history_gives_the_next_base_fee_and_the_median_tip() {
        let history = r#"{"oldestBlock":"0x1","baseFeePerGas":["0x1","0x2","0x64"],"gasUsedRatio":[0.5],"reward":[["0x77359400"],["0x3b9aca00"],["0xb2d05e00"]]}"#;
        let market = Market::of_history(history).expect("a history");
        assert_eq!(
            market,
            Some(Market::BaseFee {
                base: 100,
                tip: 2 * GWEI
            })
        );
        for without in [
            r#"{"oldestBlock":"0x1"}"#,
            r#"{"baseFeePerGas":[]}"#,
            r#"{"baseFeePerGas":[null]}"#,
        ] {
            assert_eq!(Market::of_history(without).expect("a history"), None, "{without}");
        }
        for broken in [
            "",
            "null",
            r#"{"baseFeePerGas":["-1"]}"#,
            r#"{"baseFeePerGas":["0x100000000000000000000000000000000"]}"#,
        ] {
            assert!(Market::of_history(broken).is_err(), "{broken}");
        }
        assert_eq!(
            Market::of_price("\"0x7\"").expect("a price"),
            Market::Legacy { price: 7 }
        );
        assert!(Market::of_price("null").is_err());
    }

    #[test]
    fn a_fee_has_room_for_a_base_fee_that_doubles_within_the_cap() {
        let market = Market::BaseFee { base: 100, tip: 10 };
        assert_eq!(market.fees(1_000, None), Some(Fees { max_fee: 210, tip: 10 }));
        assert_eq!(market.fees(105, None), Some(Fees { max_fee: 105, tip: 5 }));
        assert_eq!(market.fees(1_000, Some(3)), Some(Fees { max_fee: 203, tip: 3 }));
        assert_eq!(market.fees(99, None), None);
        assert_eq!(
            Market::Legacy { price: 7 }.fees(7, None),
            Some(Fees { max_fee: 7, tip: 7 })
        );
        assert_eq!(Market::Legacy { price: 7 }.fees(6, None), None);
    }

    proptest! {
        /// Nodes refuse a replacement whose fees are not both 10 % higher.
        #[test]
        fn a_replacement_is_enough_for_nodes(base in 0u128..1u128 << 60, tip in 0u128..1u128 << 60, max in 1u128..1u128 << 60, old_tip in 0u128..1u128 << 60, cap in 1u128..1u128 << 62) {
            let old = Fees { max_fee: max, tip: old_tip.min(max) };
            for market in [Market::BaseFee { base, tip }, Market::Legacy { price: base }] {
                if let Some(fees) = market.bump(old, cap) {
                    prop_assert!(fees.max_fee <= cap && fees.tip <= fees.max_fee);
                    prop_assert!(fees.max_fee * 10 >= old.max_fee * 11);
                    prop_assert!(fees.tip * 10 >= old.tip * 11);
                }
                if let Some(fees) = market.fees(cap, None) {
                    prop_assert!(fees.max_fee <= cap && fees.max_fee >= market.floor() && fees.tip <= fees.max_fee);
                }
            }
        }
    }
}
