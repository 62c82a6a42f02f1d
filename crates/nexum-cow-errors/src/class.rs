//! The actions for errors.

use core::time::Duration;

use crate::table::find;

/// The wait after a failure of the order book or a rate limit without `Retry-After`. The order book
/// counts requests per second, and its restart takes a few seconds.
const TROUBLE: Duration = Duration::from_secs(15);

/// The action for an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Class {
    /// No action. The request has already taken effect.
    Accepted,
    /// Create a new order at the next block. The error depends on values that change with each
    /// block.
    NextBlock,
    /// Submit an identical order again, but not before this time has passed.
    BackOff(Duration),
    /// Drop this order. The order book never accepts it, but may accept other orders of its owner.
    StopOrder,
    /// Drop every order of this owner.
    StopOwner,
    /// Fix the program. A correct order never causes this error.
    OurBug,
}

impl Class {
    /// The name of the action for logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::NextBlock => "next_block",
            Self::BackOff(_) => "back_off",
            Self::StopOrder => "stop_order",
            Self::StopOwner => "stop_owner",
            Self::OurBug => "our_bug",
        }
    }

    /// Whether an equal request may succeed later.
    pub const fn may_pass(self) -> bool {
        matches!(self, Self::NextBlock | Self::BackOff(_))
    }
}

/// The action for an unsuccessful response, by its HTTP status and by the `errorType` in its body,
/// if any.
///
/// A known `errorType` decides, independent of the status. Otherwise the status decides:
///
/// - 408, 429 and 5xx are temporary failures of the order book.
/// - 401 and 403 refuse the owner.
/// - 413 and 422 mean that the body is not an order, which is a fault of the program.
/// - Any other status refuses the order. Another attempt would have an equal response.
pub fn classify(status: u16, error_type: Option<&str>) -> Class {
    if let Some(row) = error_type.and_then(find) {
        return row.class;
    }
    match status {
        408 | 429 | 500.. => Class::BackOff(TROUBLE),
        401 | 403 => Class::StopOwner,
        // The body is not a valid order.
        413 | 422 => Class::OurBug,
        _ => Class::StopOrder,
    }
}
