//! What is to be done about an error.

use core::time::Duration;

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
