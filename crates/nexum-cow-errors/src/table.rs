//! The table of every `errorType`, with its action and the reason.

use core::time::Duration;

use crate::class::Class::{self, Accepted, BackOff, NextBlock, OurBug, StopOrder};
use crate::class::Conditional;

/// The wait after a failure of the order book or a rate limit without `Retry-After`. The order book
/// counts requests per second, and its restart takes a few seconds.
const TROUBLE: Duration = Duration::from_secs(15);

/// The wait after an unknown refusal, and after a refusal by a firewall in front of the order book:
/// such blocks last for minutes, and further requests extend some of them.
const UNKNOWN: Duration = Duration::from_secs(60);

/// The wait after a 404 without a word: maintenance takes longer than a restart.
const NO_ORDER_BOOK: Duration = Duration::from_secs(600);

/// The action for an `errorType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row {
    /// The `errorType`, as the order book spells it.
    pub error_type: &'static str,
    /// The action.
    pub class: Class,
    /// The reason for the action.
    pub reason: &'static str,
    /// The meaning for the conditional order that the order is a part of.
    pub conditional: Conditional,
    /// Whether the order book may refuse an order in this way although it has the order already. It
    /// looks for an existing order last: a filled order has used up the balance that the check of its
    /// copy asks for, and the quote of an open one has expired.
    pub may_hide_existing: bool,
}

const fn row(error_type: &'static str, class: Class, reason: &'static str) -> Row {
    let conditional = match class {
        Accepted => Conditional::Placed,
        NextBlock | BackOff(_) => Conditional::Retry,
        StopOrder | OurBug => Conditional::NextPart,
    };
    Row {
        error_type,
        class,
        reason,
        conditional,
        may_hide_existing: false,
    }
}

/// A row whose cause all parts of a conditional order have in common.
const fn of_all_parts(row: Row) -> Row {
    Row {
        conditional: Conditional::Stop,
        ..row
    }
}

/// A row that an existing order may cause.
const fn hides(row: Row) -> Row {
    Row {
        may_hide_existing: true,
        ..row
    }
}

const fn minutes(minutes: u64) -> Class {
    BackOff(Duration::from_secs(60 * minutes))
}

const fn seconds(seconds: u64) -> Class {
    BackOff(Duration::from_secs(seconds))
}

/// The row of an `errorType`, if it is known.
pub fn find(error_type: &str) -> Option<&'static Row> {
    ERRORS.iter().find(|row| row.error_type == error_type)
}

/// The action for an unsuccessful response, by its HTTP status and by the `errorType` in its body,
/// if any.
///
/// A known `errorType` decides, independent of the status. Otherwise the status decides:
///
/// - 408, 429 and 5xx are temporary failures of the order book.
/// - 401 and 403 come from a firewall in front of the order book.
/// - 404 without an `errorType` comes from a server that is no order book now, such as a page for
///   maintenance.
/// - 413 means that the order is larger than the order book takes.
/// - Any other status is an unknown refusal. It may be a new word for a cause that passes, so the
///   action is to back off. No unknown response makes a program forget an order.
pub fn classify(status: u16, error_type: Option<&str>) -> Class {
    if let Some(row) = error_type.and_then(find) {
        return row.class;
    }
    match status {
        408 | 429 | 500.. => Class::BackOff(TROUBLE),
        404 if error_type.is_none() => Class::BackOff(NO_ORDER_BOOK),
        413 => Class::StopOrder,
        _ => Class::BackOff(UNKNOWN),
    }
}

/// The meaning of an unsuccessful response to a part of a conditional order, by the rules of
/// [`classify`]. A part that comes too late is not the end of the conditional order.
pub fn classify_part(status: u16, error_type: Option<&str>) -> Conditional {
    match (error_type.and_then(find), classify(status, error_type)) {
        (Some(row), _) => row.conditional,
        (None, Class::StopOrder) => Conditional::NextPart,
        (None, _) => Conditional::Retry,
    }
}

/// All rows: the errors in the order book's public description of orders, cancellations and quotes,
/// and the ones that the service returns without a description.
pub const ERRORS: &[Row] = &[
    // The order exists.
    row(
        "DuplicatedOrder",
        Accepted,
        "the order book already has an order with this UID",
    ),
    row("DuplicateOrder", Accepted, "an older spelling of DuplicatedOrder"),
    // The order needs a new quote or a new signature.
    hides(row(
        "QuoteNotFound",
        NextBlock,
        "the quote has expired; request a new one",
    )),
    hides(row(
        "InvalidQuote",
        NextBlock,
        "the quote is for another order or has expired; request a new one",
    )),
    hides(row(
        "InsufficientFee",
        NextBlock,
        "the fee depends on the gas price; request a new quote",
    )),
    hides(row(
        "SellAmountDoesNotCoverFee",
        NextBlock,
        "the fee exceeds the amount at the current gas price",
    )),
    // The failure is temporary, or an on-chain action of the owner ends it.
    row(
        "InvalidEip1271Signature",
        minutes(1),
        "the contract rejects the signature now, but its answer may depend on the block",
    ),
    hides(row(
        "InsufficientBalance",
        minutes(10),
        "the owner has too little of the sell token, but may receive more",
    )),
    hides(row(
        "InsufficientAllowance",
        minutes(10),
        "the owner has not approved the relayer yet",
    )),
    hides(row(
        "TransferSimulationFailed",
        minutes(10),
        "the simulated transfer of the sell token failed in the token contract",
    )),
    hides(row(
        "TooManyLimitOrders",
        minutes(60),
        "the owner has reached the limit of open orders; one must be filled or expire first",
    )),
    row(
        "InvalidAppData",
        minutes(1),
        "the order book may not have found the document yet",
    ),
    row(
        "QuoteNotVerified",
        minutes(1),
        "the order book could not simulate the trade now",
    ),
    row(
        "NoLiquidity",
        minutes(1),
        "the order book found no route, or its price estimator is down or rate-limited",
    ),
    row(
        "InsufficientLiquidity",
        minutes(10),
        "the markets have too little of the token, and liquidity changes slowly",
    ),
    row("CustomSolverError", minutes(1), "a solver could not price the trade"),
    row(
        "TokenTemporarilySuspended",
        minutes(60),
        "trading of the token is suspended for some time",
    ),
    row(
        "TradingOutsideAllowedWindow",
        minutes(10),
        "the token trades only during certain hours",
    ),
    row(
        "OldOrderActivelyBidOn",
        seconds(30),
        "the order to replace is in an auction, which takes a few blocks",
    ),
    row(
        "InternalServerError",
        seconds(15),
        "the order book has an internal error",
    ),
    row(
        "MetadataSerializationFailed",
        seconds(15),
        "the order book could not store its record of the order",
    ),
    // The order book never accepts this order.
    row(
        "InsufficientValidTo",
        StopOrder,
        "the order ends too early or has expired",
    ),
    row(
        "ExcessiveValidTo",
        StopOrder,
        "the order ends later than the order book allows, and the end is signed",
    ),
    of_all_parts(row(
        "ZeroAmount",
        StopOrder,
        "an amount is zero, and the amounts are signed",
    )),
    of_all_parts(row(
        "SellAmountOverflow",
        StopOrder,
        "amount plus fee exceeds 256 bits; the status is 500, but the error is permanent",
    )),
    of_all_parts(row(
        "SameBuyAndSellToken",
        StopOrder,
        "the sell token and the buy token are equal",
    )),
    of_all_parts(row(
        "InvalidNativeSellToken",
        StopOrder,
        "a signed order cannot sell the native token; another contract does that",
    )),
    row(
        "UnsupportedToken",
        StopOrder,
        "the order book does not support one of the tokens",
    ),
    of_all_parts(row(
        "UnsupportedBuyTokenDestination",
        StopOrder,
        "the order book does not support this destination of the buy token",
    )),
    of_all_parts(row(
        "UnsupportedSellTokenSource",
        StopOrder,
        "the order book does not support this source of the sell token",
    )),
    row(
        "UnsupportedOrderType",
        StopOrder,
        "the order book does not support this type of order",
    ),
    of_all_parts(row(
        "IncompatibleSigningScheme",
        StopOrder,
        "the order uses a feature that its signing scheme does not allow",
    )),
    row(
        "TooMuchGas",
        StopOrder,
        "the signature check or the hooks exceed the gas limit",
    ),
    row(
        "AppDataMismatch",
        StopOrder,
        "the order book has another document under the hash",
    ),
    of_all_parts(row(
        "AppdataFromMismatch",
        StopOrder,
        "the document names a signer other than the order's",
    )),
    row(
        "InvalidValidFrom",
        StopOrder,
        "the order starts at an invalid time, and the start is signed",
    ),
    row(
        "InvalidReplacement",
        StopOrder,
        "the order may not replace the one that it names",
    ),
    row(
        "Forbidden",
        StopOrder,
        "the order book does not accept this order from its owner or for its receiver",
    ),
    // Documents and look-ups.
    row("NotFound", minutes(1), "the order book does not have it, or not yet"),
    row("AppDataInvalid", OurBug, "the document to store is no app data"),
    // Cancellations.
    row("AlreadyCancelled", StopOrder, "the order is already cancelled"),
    row("OrderFullyExecuted", StopOrder, "the order is already filled"),
    row("OrderExpired", StopOrder, "the order has expired"),
    row("OrderNotFound", StopOrder, "the order does not exist"),
    row(
        "OnChainOrder",
        StopOrder,
        "an order that was placed on chain must be cancelled on chain",
    ),
    // A correct program never causes these errors.
    row("InvalidJson", OurBug, "the body is not the JSON of an order"),
    row("MissingFrom", OurBug, "the signing scheme requires the field `from`"),
    row(
        "WrongOwner",
        OurBug,
        "the signature is of another owner, order or chain; check the signer before you submit",
    ),
    row(
        "InvalidSignature",
        OurBug,
        "the signature is malformed; check it before you submit",
    ),
    row(
        "AppDataHashMismatch",
        OurBug,
        "the hash does not match the document; check it before you submit",
    ),
    row(
        "NonZeroFee",
        OurBug,
        "the signed fee must be zero, because the order book takes fees from the surplus",
    ),
];
