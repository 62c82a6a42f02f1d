//! The checks of an order, in the order book's sequence.

use std::collections::HashSet;

use alloy_primitives::{Address, U256, address};
use serde_json::{Map, Value};

use super::TokenBalance;
use super::creation::{Creation, named_signer};
use super::reply::Reply;

/// The shortest validity of an order, in seconds.
pub(super) const VALIDITY_MIN_S: u64 = 60;

/// The longest validity of an order, in seconds: one year.
pub(super) const VALIDITY_MAX_S: u64 = 365 * 24 * 60 * 60;

/// The largest size of an app-data document, in bytes.
pub(super) const APP_DATA_BYTES_MAX: usize = 8_192;

/// The largest body of an order, in bytes.
pub(super) const ORDER_BYTES_MAX: usize = 16 * 1_024;

/// The address that represents the chain's native coin. Orders can buy it but not sell it.
const NATIVE_COIN: Address = address!("eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee");

/// The rules that a test has set.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    /// The denied owners and receivers.
    pub(super) denied: HashSet<Address>,
    pub(super) refused_tokens: HashSet<Address>,
}

/// An order and the data for its checks.
pub(super) struct Case<'a> {
    pub(super) creation: &'a Creation,
    pub(super) owner: Address,
    pub(super) rules: &'a Rules,
    pub(super) now_s: u64,
}

struct Check {
    broken: fn(&Case<'_>) -> bool,
    status: u16,
    error_type: &'static str,
    description: &'static str,
}

/// The parts of a check that most checks share.
const CHECK: Check = Check {
    broken: |_| false,
    status: 400,
    error_type: "",
    description: "",
};

/// The checks of the terms, after the signature.
const CHECKS: &[Check] = &[
    Check {
        broken: |case| case.creation.terms.sell_amount == U256::ZERO || case.creation.terms.buy_amount == U256::ZERO,
        error_type: "ZeroAmount",
        description: "both amounts must be positive",
        ..CHECK
    },
    Check {
        broken: |case| case.creation.terms.fee_amount != U256::ZERO,
        error_type: "NonZeroFee",
        description: "feeAmount must be zero",
        ..CHECK
    },
    Check {
        broken: |case| {
            let receiver = case.creation.terms.receiver;
            let accounts = [Some(case.owner), receiver];
            accounts
                .into_iter()
                .flatten()
                .any(|account| case.rules.denied.contains(&account))
        },
        status: 403,
        error_type: "Forbidden",
        description: "the owner or the receiver may not trade",
    },
    Check {
        broken: |case| case.creation.terms.buy_token_balance != TokenBalance::Erc20,
        error_type: "UnsupportedBuyTokenDestination",
        description: "only erc20 balances can receive the bought token",
        ..CHECK
    },
    Check {
        broken: |case| case.creation.terms.sell_token_balance != TokenBalance::Erc20,
        error_type: "UnsupportedSellTokenSource",
        description: "only erc20 balances can supply the sold token",
        ..CHECK
    },
    Check {
        broken: |case| u64::from(case.creation.terms.valid_to) < case.now_s + VALIDITY_MIN_S,
        error_type: "InsufficientValidTo",
        description: "validTo is too early",
        ..CHECK
    },
    Check {
        broken: |case| u64::from(case.creation.terms.valid_to) > case.now_s + VALIDITY_MAX_S,
        error_type: "ExcessiveValidTo",
        description: "validTo is more than a year ahead",
        ..CHECK
    },
    Check {
        broken: |case| case.creation.terms.sell_token == case.creation.terms.buy_token,
        error_type: "SameBuyAndSellToken",
        description: "the sold and the bought token are equal",
        ..CHECK
    },
    Check {
        broken: |case| case.creation.terms.sell_token == NATIVE_COIN,
        error_type: "InvalidNativeSellToken",
        description: "the native coin must be wrapped before a sale",
        ..CHECK
    },
    Check {
        broken: |case| {
            let tokens = [case.creation.terms.sell_token, case.creation.terms.buy_token];
            tokens.iter().any(|token| case.rules.refused_tokens.contains(token))
        },
        error_type: "UnsupportedToken",
        description: "one of the tokens is not supported",
        ..CHECK
    },
];

/// Makes the checks of the terms.
pub(super) fn check(case: &Case<'_>) -> Result<(), Reply> {
    match CHECKS.iter().find(|check| (check.broken)(case)) {
        Some(check) => Err(Reply::error(check.status, check.error_type, check.description)),
        None => Ok(()),
    }
}

/// Checks the app data. `document` is the stored one if the order names it by its hash. Returns the
/// only signer that the document names, if any.
pub(super) fn check_app_data(creation: &Creation, document: Option<&str>) -> Result<Option<Address>, Reply> {
    let refuse = |error_type, description| Err(Reply::error(400, error_type, description));
    let actual = creation.terms.app_data_hash();
    if creation.app_data_hash.is_some_and(|named| named != actual) {
        return refuse("AppDataHashMismatch", "appDataHash is not the hash of appData");
    }
    let Some(document) = document else {
        return refuse("InvalidAppData", "Unknown pre-image for app data hash");
    };
    if !is_app_data(document) {
        return refuse("InvalidAppData", "appData is not a JSON object, or too long");
    }
    Ok(named_signer(document))
}

/// Whether a text is an app-data document.
pub(super) fn is_app_data(document: &str) -> bool {
    document.len() <= APP_DATA_BYTES_MAX && serde_json::from_str::<Map<String, Value>>(document).is_ok()
}
