//! What an order book asks of an order, in the order in which it does.

use std::collections::HashSet;

use alloy_primitives::{Address, U256, address};
use serde_json::{Map, Value};

use super::TokenBalance;
use super::creation::Creation;
use super::reply::Reply;

/// How long an order has to last at least, in seconds.
pub(super) const VALIDITY_MIN_S: u64 = 60;

/// How long an order may last at most, in seconds: a year.
pub(super) const VALIDITY_MAX_S: u64 = 365 * 24 * 60 * 60;

/// How long an app-data document may be.
pub(super) const APP_DATA_BYTES_MAX: usize = 1_000;

/// What stands for the chain's own coin, which can be bought but not sold.
const NATIVE_COIN: Address = address!("eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee");

/// What a test has set.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    pub(super) denied_owners: HashSet<Address>,
    pub(super) refused_tokens: HashSet<Address>,
}

/// An order, and what it is held against.
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

/// What is asked before anybody looks at the signature.
const CHECKS: &[Check] = &[
    Check {
        broken: |case| case.creation.terms.buy_token_balance != TokenBalance::Erc20,
        error_type: "UnsupportedBuyTokenDestination",
        description: "what is bought is put into erc20 balances alone",
    },
    Check {
        broken: |case| case.creation.terms.sell_token_balance != TokenBalance::Erc20,
        error_type: "UnsupportedSellTokenSource",
        description: "what is sold is taken from erc20 balances alone",
    },
    Check {
        broken: |case| u64::from(case.creation.terms.valid_to) < case.now_s + VALIDITY_MIN_S,
        error_type: "InsufficientValidTo",
        description: "validTo is over, or all but",
    },
    Check {
        broken: |case| u64::from(case.creation.terms.valid_to) > case.now_s + VALIDITY_MAX_S,
        error_type: "ExcessiveValidTo",
        description: "validTo is more than a year off",
    },
    Check {
        broken: |case| case.creation.terms.sell_token == case.creation.terms.buy_token,
        error_type: "SameBuyAndSellToken",
        description: "a token is not sold for itself",
    },
    Check {
        broken: |case| case.creation.terms.sell_token == NATIVE_COIN,
        error_type: "InvalidNativeSellToken",
        description: "the native coin has to be wrapped to be sold",
    },
    Check {
        broken: |case| {
            let tokens = [case.creation.terms.sell_token, case.creation.terms.buy_token];
            tokens.iter().any(|token| case.rules.refused_tokens.contains(token))
        },
        error_type: "UnsupportedToken",
        description: "one of the tokens is not traded here",
    },
    Check {
        broken: |case| case.creation.document().is_some_and(|document| !is_app_data(document)),
        error_type: "InvalidAppData",
        description: "appData is no JSON object, or too long",
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
        description: "both amounts have to be over zero",
    },
    Check {
        broken: |case| case.creation.terms.fee_amount != U256::ZERO,
        error_type: "NonZeroFee",
        description: "feeAmount has to be zero",
    },
];

/// Asks everything that can be asked without the owner.
pub(super) fn check(case: &Case<'_>) -> Result<(), Reply> {
    match CHECKS.iter().find(|check| (check.broken)(case)) {
        Some(check) => Err(Reply::error(400, check.error_type, check.description)),
        None => Ok(()),
    }
}

/// Asks what depends on the owner.
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
