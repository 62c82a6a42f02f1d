//! What is to be done about an error.

use core::time::Duration;

use crate::table::find;

/// How long to leave the order book alone when it has trouble of its own, or wants fewer requests, and does not say for how
/// long: it counts requests by the second, and a restart of it takes a few.
const TROUBLE: Duration = Duration::from_secs(15);

/// What is to be done about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Class {
    /// Nothing: what was asked for is so already.
    Accepted,
    /// Make the order anew at the next block: it depends on something that changes from block to block.
    NextBlock,
    /// Submit the same again, but not before so long.
    BackOff(Duration),
    /// Give this order up: it will never be accepted. Other orders of its owner may be.
    StopOrder,
    /// Give every order of this owner up.
    StopOwner,
    /// Mend the program: no order that is made correctly gets this answer.
    OurBug,
}

impl Class {
    /// A word for it, for logs and metrics.
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

    /// Whether an equal request may be answered differently later.
    pub const fn may_pass(self) -> bool {
        matches!(self, Self::NextBlock | Self::BackOff(_))
    }
}

/// What is to be done about an answer that is not a success: its HTTP status, and the `errorType` in its body if there is one.
///
/// A word that is in the table stands, whatever the status. Of what is not, a 429 and a 5xx are the order book's trouble, which
/// passes, and so is a 408; a 401 and a 403 are about the owner; and any other refusal is about the order: sending it again would
/// be answered in the same way, and who knows better can.
pub fn classify(status: u16, error_type: Option<&str>) -> Class {
    if let Some(row) = error_type.and_then(find) {
        return row.class;
    }
    match status {
        408 | 429 | 500.. => Class::BackOff(TROUBLE),
        401 | 403 => Class::StopOwner,
        // Not what it takes for an order at all.
        413 | 422 => Class::OurBug,
        _ => Class::StopOrder,
    }
}
