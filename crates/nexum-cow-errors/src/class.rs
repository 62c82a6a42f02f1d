//! The actions for errors.

use core::time::Duration;

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
