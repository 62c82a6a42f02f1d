//! The spending of a module with an account, in the last hour and the last day.

use std::collections::BTreeMap;

use alloy_primitives::U256;
use alloy_primitives::utils::format_ether;
use nexum_accounts::CallLimits;
use nexum_config::topic::ChainId;
use serde::{Deserialize, Serialize};

/// The length of a period. A period counts as a whole until its end has left the hour or the day, so a limit can hold
/// for up to ten minutes more than an hour or a day, and never for less.
const PERIOD_MS: u64 = 10 * 60 * 1_000;

/// The periods that can have a part in the last hour.
const HOUR: u64 = 7;

/// The periods that can have a part in the last day.
const DAY: u64 = 145;

/// The spending of a module with an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spending {
    /// The transactions whose fee is not final.
    pub open: Vec<Open>,
    /// The periods of the last day, by number.
    pub periods: BTreeMap<u64, Period>,
}

/// A transaction whose fee is not final.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// The chain id.
    pub chain: ChainId,
    /// The nonce.
    pub nonce: u64,
    /// The most that it can cost in fees, in wei, or its fee in a block that a reorganisation can remove.
    pub fee_max: U256,
    /// Whether it is in such a block.
    pub is_in_block: bool,
    /// Its value, in wei.
    pub value: U256,
    /// The time of its signature, in milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// The spending of ten minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// The transactions.
    pub count: u64,
    /// The fees of those with a known fee, in wei.
    pub fees: U256,
    /// Their values, in wei.
    pub value: U256,
}

/// The use of the limits of a module with an account. Open transactions count with the most that they can cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// The transactions of the last hour.
    pub of_hour: u64,
    /// The transactions that are in no block.
    pub in_flight: u64,
    /// The fees of the last day, in wei.
    pub fees_of_day: U256,
    /// The value of the last day, in wei.
    pub value_of_day: U256,
}

/// The end of an open transaction, for the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is not in a block, and can cost this much in fees.
    Open(U256),
    /// It has cost this fee, in a block that a reorganisation can remove: another block may take another fee.
    Unsettled(U256),
    /// It has cost this fee, and had its value if it did what the module asked for.
    Mined { fee: U256, had_value: bool },
    /// It never comes into a block.
    Gone,
}

impl Spending {
    /// Replaces what open transactions can cost by what they have cost.
    pub(crate) fn reconcile(&mut self, mut outcome_of: impl FnMut(&Open) -> Outcome) {
        let open = std::mem::take(&mut self.open);
        for mut one in open {
            let period = self.periods.entry(one.at_ms / PERIOD_MS).or_default();
            let outcome = outcome_of(&one);
            match outcome {
                Outcome::Open(fee) | Outcome::Unsettled(fee) => {
                    one.fee_max = fee;
                    one.is_in_block = matches!(outcome, Outcome::Unsettled(_));
                    self.open.push(one);
                }
                Outcome::Mined { fee, had_value } => {
                    period.fees = period.fees.saturating_add(fee);
                    if had_value {
                        period.value = period.value.saturating_add(one.value);
                    }
                }
                Outcome::Gone => {}
            }
        }
    }

    /// Adds a transaction, unless it exceeds a limit.
    ///
    /// # Errors
    ///
    /// The limit that it would exceed, in words.
    pub(crate) fn add(&mut self, one: Open, limits: &CallLimits) -> Result<(), String> {
        let now = one.at_ms / PERIOD_MS;
        self.periods.retain(|period, _| period + DAY > now);
        let count: u64 = self.last(now, HOUR).map(|period| period.count).sum();
        if count >= limits.per_hour {
            return Err(format!(
                "`per_hour` allows {}, and the last hour has {count}",
                limits.per_hour
            ));
        }
        let in_flight = self.in_flight();
        if in_flight >= limits.in_flight {
            return Err(format!(
                "`in_flight` allows {}, and {in_flight} transactions are in no block yet",
                limits.in_flight
            ));
        }
        let fees = self.last(now, DAY).map(|period| period.fees);
        let fees = fees.chain(self.open.iter().map(|open| open.fee_max));
        within("fee_per_day", limits.fee_per_day, fees, one.fee_max, "can cost")?;
        let values = self.last(now, DAY).map(|period| period.value);
        let values = values.chain(self.open.iter().map(|open| open.value));
        within(
            "value_per_day",
            limits.value_per_day,
            values,
            one.value,
            "has a value of",
        )?;
        self.periods.entry(now).or_default().count += 1;
        self.open.push(one);
        Ok(())
    }

    /// The use of the limits at this time.
    pub(crate) fn spent(&self, now_ms: u64) -> Spent {
        let values = self.last(now_ms / PERIOD_MS, DAY).map(|period| period.value);
        let values = values.chain(self.open.iter().map(|open| open.value));
        Spent {
            of_hour: self.last(now_ms / PERIOD_MS, HOUR).map(|period| period.count).sum(),
            in_flight: self.in_flight(),
            fees_of_day: self.fees_of_day(now_ms),
            value_of_day: values.fold(U256::ZERO, U256::saturating_add),
        }
    }

    fn in_flight(&self) -> u64 {
        self.open.iter().filter(|one| !one.is_in_block).count() as u64
    }

    /// The fees that the last day has spent or may still spend, in wei.
    pub fn fees_of_day(&self, now_ms: u64) -> U256 {
        let fees = self.last(now_ms / PERIOD_MS, DAY).map(|period| period.fees);
        fees.chain(self.open.iter().map(|open| open.fee_max))
            .fold(U256::ZERO, U256::saturating_add)
    }

    /// Removes a transaction that nexum has not sent after all.
    pub(crate) fn remove(&mut self, chain: ChainId, nonce: u64) {
        let is_it = |open: &Open| (open.chain, open.nonce) == (chain, nonce);
        if let Some(place) = self.open.iter().position(is_it) {
            let open = self.open.remove(place);
            if let Some(period) = self.periods.get_mut(&(open.at_ms / PERIOD_MS)) {
                period.count = period.count.saturating_sub(1);
            }
        }
    }

    fn last(&self, now: u64, periods: u64) -> impl Iterator<Item = &Period> {
        self.periods
            .range(now.saturating_sub(periods - 1)..)
            .map(|(_, period)| period)
    }
}

fn within(key: &str, limit: U256, spent: impl Iterator<Item = U256>, more: U256, words: &str) -> Result<(), String> {
    let spent = spent.fold(U256::ZERO, U256::saturating_add);
    match spent.saturating_add(more) <= limit {
        true => Ok(()),
        false => Err(format!(
            "`{key}` allows {} ether, the last day has {}, and the transaction {words} {}",
            format_ether(limit),
            format_ether(spent),
            format_ether(more)
        )),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: CallLimits = CallLimits {
        max_fee_gwei: 50,
        fee_per_day: U256::from_limbs([100, 0, 0, 0]),
        value_per_day: U256::from_limbs([50, 0, 0, 0]),
        per_hour: 5,
        in_flight: 3,
    };

    fn open(nonce: u64, fee_max: u64, value: u64, at_ms: u64) -> Open {
        Open {
            chain: 1,
            nonce,
            fee_max: U256::from(fee_max),
            is_in_block: false,
            value: U256::from(value),
            at_ms,
        }
    }

    #[test]
    fn each_limit_refuses_what_exceeds_it() {
        let mut spending = Spending::default();
        assert!(
            spending
                .add(open(0, 101, 0, 0), &LIMITS)
                .expect_err("fees")
                .contains("fee_per_day")
        );
        assert!(
            spending
                .add(open(0, 1, 51, 0), &LIMITS)
                .expect_err("value")
                .contains("value_per_day")
        );
        for nonce in 0..3 {
            spending
                .add(open(nonce, 30, 10, 0), &LIMITS)
                .expect("within the limits");
        }
        assert!(
            spending
                .add(open(3, 1, 0, 0), &LIMITS)
                .expect_err("in flight")
                .contains("in_flight")
        );
        let mined = Outcome::Mined {
            fee: U256::from(10),
            had_value: true,
        };
        spending.reconcile(|_| mined);
        spending.add(open(3, 70, 20, 0), &LIMITS).expect("the fees were lower");
        spending.reconcile(|_| Outcome::Gone);
        spending
            .add(open(4, 70, 20, 0), &LIMITS)
            .expect("the transaction never came");
        assert!(
            spending
                .add(open(5, 0, 0, 0), &LIMITS)
                .expect_err("count")
                .contains("per_hour")
        );
        spending.reconcile(|_| mined);
        let day = 145 * PERIOD_MS;
        assert!(
            spending.add(open(5, 61, 0, day - 1), &LIMITS).is_err(),
            "still the same day"
        );
        spending.add(open(5, 61, 0, day), &LIMITS).expect("a day later");
        assert_eq!(spending.periods.len(), 1);
    }

    #[test]
    fn a_transaction_that_was_not_sent_counts_for_nothing() {
        let mut spending = Spending::default();
        spending.add(open(0, 100, 50, 0), &LIMITS).expect("within the limits");
        let before = Spending::default();
        spending.remove(1, 0);
        spending.periods.retain(|_, period| *period != Period::default());
        assert_eq!(spending, before);
    }

    proptest! {
        /// Whatever the order of transactions and of their ends, no hour has more transactions than `per_hour`, and no
        /// day more fees or value than allowed.
        #[test]
        fn no_window_of_time_exceeds_a_limit(steps in prop::collection::vec((0u64..4_000_000, 0u64..60, 0u64..30, 0u64..60), 1..200)) {
            let mut spending = Spending::default();
            let (mut now, mut made) = (0, Vec::new());
            for (nonce, (pause, fee_max, value, fee)) in steps.into_iter().enumerate() {
                now += pause;
                spending.reconcile(|open| match open.nonce % 3 {
                    0 => Outcome::Open(open.fee_max),
                    _ => Outcome::Mined { fee: U256::from(fee).min(open.fee_max), had_value: true },
                });
                if spending.add(open(nonce as u64, fee_max, value, now), &LIMITS).is_ok() {
                    made.push((now, value));
                }
                let within = |window: u64| made.iter().filter(move |(at, _)| at + window > now);
                prop_assert!(within(3_600_000).count() as u64 <= LIMITS.per_hour);
                let value: u64 = within(86_400_000).map(|(_, value)| *value).sum();
                prop_assert!(U256::from(value) <= LIMITS.value_per_day);
                prop_assert!(spending.open.len() as u64 <= LIMITS.in_flight);
                prop_assert!(spending.fees_of_day(now) <= LIMITS.fee_per_day);
            }
        }
    }
}
