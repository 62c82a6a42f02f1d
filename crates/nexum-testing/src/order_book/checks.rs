//! The checks of an order, in the order book's sequence.

use std::collections::HashSet;

use alloy_primitives::{Address, U256, address};
use serde_json::{Map, Value};

use super::TokenBalance;
use super::creation::Creation;
use super::reply::Reply;

/// The shortest validity of an order, in seconds.
pub(super) const VALIDITY_MIN_S: u64 = 60;

/// The longest validity of an order, in seconds: one year.
pub(super) const VALIDITY_MAX_S: u64 = 365 * 24 * 60 * 60;

/// The largest size of an app-data document.
pub(super) const APP_DATA_BYTES_MAX: usize = 1_000;

/// The address that represents the chain's native coin. Orders can buy it but not sell it.
const NATIVE_COIN: Address = address!("eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee");

/// The rules that a test has set.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    pub(super) denied_owners: HashSet<Address>,
    pub(super) refused_tokens: HashSet<Address>,
}

/// An order and the data for its checks.
pub(super) struct Case<'a> {
    pub(super) creation: &'a Creation,
    pub(super) rules: &'a Rules,
    pub(super) now_s: u64,
}

struct Check {
    broken: fn(&Case<'_>) -> bool,
    error_type: &'static str,
    description: &'static str,
}

/// The checks before the signature.
const CHECKS: &[Check] = &[
    Check {
        broken: |case| case.creation.terms.buy_token_balance != TokenBalance::Erc20,
        error_type: "UnsupportedBuyTokenDestination",
        description: "only erc20 balances can receive the bought token",
    },
    Check {
        broken: |case| case.creation.terms.sell_token_balance != TokenBalance::Erc20,
        error_type: "UnsupportedSellTokenSource",
        description: "only erc20 balances can supply the sold token",
    },
    Check {
        broken: |case| u64::from(case.creation.terms.valid_to) < case.now_s + VALIDITY_MIN_S,
        error_type: "InsufficientValidTo",
        description: "validTo is too early",
    },
    Check {
        broken: |case| u64::from(case.creation.terms.valid_to) > case.now_s + VALIDITY_MAX_S,
        error_type: "ExcessiveValidTo",
        description: "validTo is more than a year ahead",
    },
    Check {
        broken: |case| case.creation.terms.sell_token == case.creation.terms.buy_token,
        error_type: "SameBuyAndSellToken",
        description: "the sold and the bought token are equal",
    },
    Check {
        broken: |case| case.creation.terms.sell_token == NATIVE_COIN,
        error_type: "InvalidNativeSellToken",
        description: "the native coin must be wrapped before a sale",
    },
    Check {
        broken: |case| {
            let tokens = [case.creation.terms.sell_token, case.creation.terms.buy_token];
            tokens.iter().any(|token| case.rules.refused_tokens.contains(token))
        },
        error_type: "UnsupportedToken",
        description: "one of the tokens is not supported",
    },
    Check {
        broken: |case| case.creation.document().is_some_and(|document| !is_app_data(document)),
        error_type: "InvalidAppData",
        description: "appData is not a JSON object, or too long",
    },
    Check {
        broken: |case| {
            let named = case.creation.app_data_hash;
            named.is_some_and(|named| named != case.creation.terms.app_data_hash())
        },
        error_type: "AppDataHashMismatch",
        description: "appDataHash is not the hash of appData",
    },
    Check {
        broken: |case| case.creation.terms.sell_amount == U256::ZERO || case.creation.terms.buy_amount == U256::ZERO,
        error_type: "ZeroAmount",
        description: "both amounts must be positive",
    },
    Check {
        broken: |case| case.creation.terms.fee_amount != U256::ZERO,
        error_type: "NonZeroFee",
        description: "feeAmount must be zero",
    },
];

/// Makes the checks that do not depend on the owner.
pub(super) fn check(case: &Case<'_>) -> Result<(), Reply> {
    match CHECKS.iter().find(|check| (check.broken)(case)) {
        Some(check) => Err(Reply::error(400, check.error_type, check.description)),
        None => Ok(()),
    }
}

/// Makes the checks that depend on the owner.
pub(super) fn check_owner(case: &Case<'_>, owner: Address) -> Result<(), Reply> {
    if case.rules.denied_owners.contains(&owner) {
        return Err(Reply::error(403, "Forbidden", "this owner may not trade"));
    }
    if case.creation.named_signer().is_some_and(|named| named != owner) {
        let description = "appData names another signer";
        return Err(Reply::error(400, "AppdataFromMismatch", description));
    }
    Ok(())
}

/// Whether a text is an app-data document.
pub(super) fn is_app_data(document: &str) -> bool {
    document.len() <= APP_DATA_BYTES_MAX && serde_json::from_str::<Map<String, Value>>(document).is_ok()
}
