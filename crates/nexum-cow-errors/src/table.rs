//! Every `errorType`, what to do about it, and why.

use core::time::Duration;

use crate::class::Class::{self, Accepted, BackOff, NextBlock, OurBug, StopOrder, StopOwner};

/// How long to leave the order book alone when it has trouble of its own, or wants fewer requests, and does not say for how
/// long: it counts requests by the second, and a restart of it takes a few.
const TROUBLE: Duration = Duration::from_secs(15);

/// How long to leave the order book alone when a firewall before it refuses: such blocks last for minutes, and further requests
/// extend some of them.
const FIREWALL: Duration = Duration::from_secs(60);

/// An `errorType` and what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row {
    /// The word, as the order book writes it.
    pub error_type: &'static str,
    /// What to do about it.
    pub class: Class,
    /// Why.
    pub reason: &'static str,
}

const fn row(error_type: &'static str, class: Class, reason: &'static str) -> Row {
    Row {
        error_type,
        class,
        reason,
    }
}

const fn minutes(minutes: u64) -> Class {
    BackOff(Duration::from_secs(60 * minutes))
}

const fn seconds(seconds: u64) -> Class {
    BackOff(Duration::from_secs(seconds))
}

/// The row of a word, if it is known.
pub fn find(error_type: &str) -> Option<&'static Row> {
    ERRORS.iter().find(|row| row.error_type == error_type)
}

/// What is to be done about an answer that is not a success: its HTTP status, and the `errorType` in its body if there is one.
///
/// A word that is in the table stands, whatever the status. Without one, 408, 429 and 5xx are trouble of the order book, which
/// passes. A 401 or 403 with an unknown word is about the owner; without any word it comes from a firewall before the order book,
/// which says nothing about the owner. Any other refusal is about the order: the order book would refuse it again.
pub fn classify(status: u16, error_type: Option<&str>) -> Class {
    if let Some(row) = error_type.and_then(find) {
        return row.class;
    }
    match status {
        408 | 429 | 500.. => Class::BackOff(TROUBLE),
        401 | 403 if error_type.is_none() => Class::BackOff(FIREWALL),
        401 | 403 => Class::StopOwner,
        // Not what it takes for an order at all.
        413 | 422 => Class::OurBug,
        _ => Class::StopOrder,
    }
}

/// All of them: those of the public description of the order book for orders, cancellations and quotes, and those that the
/// service answers without describing them.
pub const ERRORS: &[Row] = &[
    // The order is there.
    row(
        "DuplicatedOrder",
        Accepted,
        "an order with this UID was submitted before, and a UID has one meaning",
    ),
    row("DuplicateOrder", Accepted, "an older spelling of DuplicatedOrder"),
    // What has to be made anew.
    row(
        "QuoteNotFound",
        NextBlock,
        "quotes are kept for a short while: a new one has to be asked for",
    ),
    row(
        "InvalidQuote",
        NextBlock,
        "the quote is not one for this order, or has expired: a new one has to be asked for",
    ),
    row(
        "InvalidEip1271Signature",
        NextBlock,
        "the contract does not sign this now, but what it signs may depend on the block",
    ),
    row(
        "InsufficientFee",
        NextBlock,
        "the fee follows the price of gas: a new quote has the present one",
    ),
    row(
        "SellAmountDoesNotCoverFee",
        NextBlock,
        "the fee is over the amount at the present price of gas",
    ),
    // What passes by itself, or when the owner does something on chain.
    row(
        "InsufficientBalance",
        minutes(10),
        "the owner lacks the sell token, and may get it",
    ),
    row(
        "InsufficientAllowance",
        minutes(10),
        "the owner has not approved the relayer, and may do so",
    ),
    row(
        "TransferSimulationFailed",
        minutes(10),
        "the sell token could not be taken from the owner in a trial, for a reason of the token's",
    ),
    row(
        "TooManyLimitOrders",
        minutes(60),
        "the owner has as many open orders as are allowed: one has to be filled or expire first",
    ),
    row(
        "InvalidAppData",
        minutes(1),
        "the document may not have reached the order book yet, which looks for it elsewhere",
    ),
    row(
        "QuoteNotVerified",
        minutes(1),
        "the trade could not be tried out at this moment",
    ),
    row(
        "NoLiquidity",
        minutes(1),
        "no route was found; a price estimator that is down or limited looks the same",
    ),
    row(
        "InsufficientLiquidity",
        minutes(10),
        "the markets do not hold so much of the token, which moves slowly",
    ),
    row(
        "CustomSolverError",
        minutes(1),
        "a solver could not price the trade, for a reason of its own",
    ),
    row(
        "TokenTemporarilySuspended",
        minutes(60),
        "the token is not traded for a while",
    ),
    row(
        "TradingOutsideAllowedWindow",
        minutes(10),
        "the token is traded at some hours only",
    ),
    row(
        "OldOrderActivelyBidOn",
        seconds(30),
        "the order to be replaced is in an auction now, which takes a few blocks",
    ),
    row("InternalServerError", seconds(15), "trouble of the order book's own"),
    row(
        "MetadataSerializationFailed",
        seconds(15),
        "the order book could not write down its own record of the order",
    ),
    // What this order will never get over.
    row(
        "InsufficientValidTo",
        StopOrder,
        "the order ends too soon, or has ended, and time goes one way",
    ),
    row(
        "ExcessiveValidTo",
        StopOrder,
        "the order ends later than the order book allows, and its end is signed",
    ),
    row(
        "ZeroAmount",
        StopOrder,
        "one of the amounts is zero, and both are signed",
    ),
    row(
        "SellAmountOverflow",
        StopOrder,
        "amount and fee together are no 256-bit number; it comes with status 500, and does not pass",
    ),
    row("SameBuyAndSellToken", StopOrder, "a token is not traded for itself"),
    row(
        "InvalidNativeSellToken",
        StopOrder,
        "the native token is sold through another contract, not by a signed order",
    ),
    row(
        "UnsupportedToken",
        StopOrder,
        "the order book does not trade one of the tokens",
    ),
    row(
        "UnsupportedBuyTokenDestination",
        StopOrder,
        "the order book does not pay out to there",
    ),
    row(
        "UnsupportedSellTokenSource",
        StopOrder,
        "the order book does not take tokens from there",
    ),
    row(
        "UnsupportedOrderType",
        StopOrder,
        "the order book does not take orders of this kind",
    ),
    row(
        "IncompatibleSigningScheme",
        StopOrder,
        "the order asks for what its signing scheme does not allow",
    ),
    row(
        "TooMuchGas",
        StopOrder,
        "to check the signature or run the hooks takes more gas than is allowed",
    ),
    row(
        "AppDataMismatch",
        StopOrder,
        "the document asks for what the order contradicts",
    ),
    row(
        "AppdataFromMismatch",
        StopOrder,
        "the document names another signer than the order has",
    ),
    row(
        "InvalidValidFrom",
        StopOrder,
        "the order begins when it cannot, and its beginning is signed",
    ),
    row(
        "InvalidReplacement",
        StopOrder,
        "the order may not replace the one that it names",
    ),
    // Cancellations.
    row("AlreadyCancelled", StopOrder, "the order was cancelled before"),
    row("OrderFullyExecuted", StopOrder, "the order was filled"),
    row("OrderExpired", StopOrder, "the order has ended by itself"),
    row("OrderNotFound", StopOrder, "there is no such order"),
    row(
        "OnChainOrder",
        StopOrder,
        "an order that was placed on chain is cancelled there",
    ),
    // What no order of this owner will get over.
    row("Forbidden", StopOwner, "the order book takes no orders from this owner"),
    // What a correct program does not send.
    row("InvalidJson", OurBug, "the body is not JSON of an order"),
    row("MissingFrom", OurBug, "the scheme needs the owner to be named"),
    row(
        "WrongOwner",
        OurBug,
        "the signature is another's, or of another order or chain: the signer has to be checked first",
    ),
    row(
        "InvalidSignature",
        OurBug,
        "the signature is none: it has to be checked first",
    ),
    row(
        "AppDataHashMismatch",
        OurBug,
        "the hash is not that of the document: it has to be checked first",
    ),
    row(
        "NonZeroFee",
        OurBug,
        "fees are taken from what a trade gains: the signed one has to be zero",
    ),
];
