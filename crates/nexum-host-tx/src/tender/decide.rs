//! The next step of the tender for one transaction that no block has: a function of the row and of the chain.

use nexum_core::capability::Submission;

use crate::amounts::gwei;
use crate::fees::{Fees, Market};
use crate::rows::{Purpose, Transaction};

/// The tender's knowledge of the chain and of the rules.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation {
    /// The number of the latest block.
    pub(crate) head: u64,
    /// Whether every earlier nonce of the account is in a block.
    pub(crate) is_next: bool,
    /// The fees that transactions pay now.
    pub(crate) market: Market,
    /// The most wei per gas that the operator allows now. `None` if the module may send nothing any more.
    pub(crate) cap: Option<u128>,
    pub(crate) bump_after_blocks: u64,
    pub(crate) bumps_max: u64,
    pub(crate) submission: Submission,
}

/// The next step of the tender, and its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) step: Step,
    /// Why the transaction waits, for the operator. `None` if it is on its ordinary way.
    pub(crate) waits: Option<String>,
}

/// The tender's next step for a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing.
    Wait,
    /// It submits the newest version if no node has it.
    Ensure,
    /// It submits the newest version again.
    Submit,
    /// It signs a version with these fees.
    Replace { fees: Fees, purpose: Purpose },
}

/// Decides about a transaction that no block has.
pub(crate) fn decide(transaction: &Transaction, situation: &Situation) -> Decision {
    let newest = transaction.newest();
    let waited = situation.head.saturating_sub(newest.block);
    let decided = |step, waits: Option<String>| Decision { step, waits };
    let must_cancel = transaction.purpose == Purpose::Cancel && newest.purpose == Purpose::Request;
    let again = match situation.submission.is_private {
        // No node can tell whether a relay has it, and relays forget.
        true => Step::Submit,
        false => Step::Ensure,
    };
    if !situation.is_next && !must_cancel {
        let step = if waited == 0 { Step::Wait } else { again };
        return decided(
            step,
            Some("an earlier transaction of the account is in no block yet".to_owned()),
        );
    }
    let old = Fees {
        max_fee: newest.max_fee,
        tip: newest.tip,
    };
    let is_late = waited >= situation.bump_after_blocks;
    if !must_cancel && !is_late {
        let step = if waited == 0 { Step::Wait } else { again };
        return decided(step, transaction.waits.clone().filter(|_| waited == 0));
    }
    let late = format!("no block has taken it for {waited} blocks");
    if !must_cancel && !is_below(old, situation.market) {
        return decided(Step::Submit, Some(format!("{late}, although its fees are usual")));
    }
    let bumps = transaction.versions.len().saturating_sub(1) as u64;
    if !must_cancel && bumps >= situation.bumps_max {
        let text = format!("{late}, and nexum has raised its fees {bumps} times, as often as `bumps_max` allows");
        return decided(Step::Submit, Some(text));
    }
    // nexum does not submit a cancelled request again.
    let stay = if must_cancel { Step::Wait } else { Step::Submit };
    let Some(cap) = situation.cap else {
        return decided(stay, Some(format!("{late}, and no rule allows higher fees any more")));
    };
    let cap = transaction.max_fee.map_or(cap, |of_module| of_module.min(cap));
    match situation.market.bump(old, cap) {
        Some(fees) => decided(
            Step::Replace {
                fees,
                purpose: transaction.purpose,
            },
            None,
        ),
        None => {
            let text = format!(
                "{late}: a block takes {} gwei per gas, and it may pay {}",
                gwei(situation.market.floor()),
                gwei(cap)
            );
            decided(stay, Some(text))
        }
    }
}

/// Whether fees are below the usual ones.
fn is_below(fees: Fees, market: Market) -> bool {
    match market {
        Market::BaseFee { base, tip } => fees.max_fee < base.saturating_add(tip) || fees.tip < tip,
        Market::Legacy { price } => fees.max_fee < price,
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{B256, Bytes, U256};

    use super::*;
    use crate::rows::{TransactionState, Version};

    const USUAL: Market = Market::BaseFee { base: 100, tip: 10 };

    fn version(max_fee: u128, tip: u128, block: u64) -> Version {
        Version {
            hash: B256::ZERO,
            purpose: Purpose::Request,
            max_fee,
            tip,
            block,
            at_ms: 0,
        }
    }

    fn transaction(versions: Vec<Version>) -> Transaction {
        Transaction {
            module: "keeper".parse().expect("a name"),
            event: "1:7:block".to_owned(),
            to: None,
            value: U256::ZERO,
            data: Bytes::new(),
            gas: 21_000,
            is_legacy: false,
            max_fee: None,
            versions,
            signed: Bytes::new(),
            purpose: Purpose::Request,
            state: TransactionState::Pending,
            since_ms: 0,
            waits: None,
        }
    }

    fn situation(head: u64) -> Situation {
        Situation {
            head,
            is_next: true,
            market: USUAL,
            cap: Some(1_000),
            bump_after_blocks: 3,
            bumps_max: 8,
            submission: Submission::default(),
        }
    }

    #[test]
    fn a_transaction_with_low_fees_is_replaced_after_some_blocks_and_up_to_the_cap() {
        let low = transaction(vec![version(90, 9, 10)]);
        assert_eq!(decide(&low, &situation(10)).step, Step::Wait);
        assert_eq!(decide(&low, &situation(12)).step, Step::Ensure);
        let fees = Fees {
            max_fee: 210,
            tip: 11 + 1,
        };
        let purpose = Purpose::Request;
        assert_eq!(decide(&low, &situation(13)).step, Step::Replace { fees, purpose });
        // Nodes ask for a tenth more, and the cap forbids it.
        let at_cap = Situation {
            cap: Some(95),
            ..situation(13)
        };
        let decision = decide(&low, &at_cap);
        assert_eq!(decision.step, Step::Submit);
        let waits = decision.waits.expect("a reason");
        assert!(
            waits.contains("0.0000001 gwei") && waits.contains("0.000000095"),
            "{waits}"
        );
        let of_module = Transaction {
            max_fee: Some(95),
            ..low.clone()
        };
        assert_eq!(decide(&of_module, &situation(13)).step, Step::Submit);
        let without_rule = Situation {
            cap: None,
            ..situation(13)
        };
        assert!(decide(&low, &without_rule).waits.expect("a reason").contains("no rule"));
        let often = transaction(vec![version(90, 9, 10); 9]);
        assert!(
            decide(&often, &situation(13))
                .waits
                .expect("a reason")
                .contains("bumps_max")
        );
    }

    #[test]
    fn a_transaction_with_usual_fees_is_submitted_again_and_not_replaced() {
        let usual = transaction(vec![version(210, 10, 10)]);
        let decision = decide(&usual, &situation(20));
        assert_eq!(decision.step, Step::Submit);
        assert!(decision.waits.expect("a reason").contains("10 blocks"));
    }

    #[test]
    fn a_later_nonce_waits_for_the_earlier_one() {
        let later = Situation {
            is_next: false,
            ..situation(20)
        };
        let low = transaction(vec![version(90, 9, 10)]);
        let decision = decide(&low, &later);
        assert_eq!(decision.step, Step::Ensure);
        assert!(decision.waits.expect("a reason").contains("earlier"));
    }

    #[test]
    fn relays_get_a_transaction_with_each_block() {
        let private = Situation {
            submission: Submission {
                is_private: true,
                blocks: 25,
                fallback: false,
            },
            ..situation(11)
        };
        assert_eq!(
            decide(&transaction(vec![version(210, 10, 10)]), &private).step,
            Step::Submit
        );
    }

    #[test]
    fn a_cancelled_transaction_is_replaced_at_once_and_only_once() {
        let mut cancelled = transaction(vec![version(210, 10, 10)]);
        cancelled.purpose = Purpose::Cancel;
        let Step::Replace { fees, purpose } = decide(&cancelled, &situation(10)).step else {
            panic!("a replacement");
        };
        assert_eq!(purpose, Purpose::Cancel);
        cancelled.versions.push(Version {
            purpose,
            ..version(fees.max_fee, fees.tip, 10)
        });
        assert_eq!(decide(&cancelled, &situation(10)).step, Step::Wait);
    }
}
