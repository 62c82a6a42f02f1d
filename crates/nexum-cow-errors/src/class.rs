//! The actions for errors.

use core::time::Duration;

/// The longest wait between two attempts at an order. A failure that lasts for longer is rare, and
/// one request an hour harms no order book.
pub const WAIT_MAX: Duration = Duration::from_secs(3_600);

/// The action for an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Class {
    /// No action. The request has already taken effect.
    Accepted,
    /// Create a new order at the next block. The error depends on values that change with each
    /// block.
    NextBlock,
    /// Submit an identical order again, but not before this time has passed. [`Class::wait`] gives
    /// longer times after further failures.
    BackOff(Duration),
    /// Drop this order. The order book never accepts it, but may accept other orders of its owner.
    StopOrder,
    /// Fix the program. A correct order never causes this error.
    OurBug,
}

/// The meaning of a refused order for the conditional order that it is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Conditional {
    /// The part exists.
    Placed,
    /// Submit the part again as its [`Class`] says, until the part ends.
    Retry,
    /// Drop the part. The order book may accept the next one.
    NextPart,
    /// Drop the conditional order. The cause is in what all of its parts have in common, if its
    /// handler takes tokens, amounts and app data from the order's static input.
    Stop,
}

impl Class {
    /// The name of the action for logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::NextBlock => "next_block",
            Self::BackOff(_) => "back_off",
            Self::StopOrder => "stop_order",
            Self::OurBug => "our_bug",
        }
    }

    /// Whether an equal request may succeed later.
    pub const fn may_pass(self) -> bool {
        matches!(self, Self::NextBlock | Self::BackOff(_))
    }

    /// The wait before the next attempt after this many failures in a row, 1 or more: the time of
    /// [`Class::BackOff`], doubled with each further failure, up to [`WAIT_MAX`]. `None` for an action
    /// without a wait.
    ///
    /// ```
    /// # use core::time::Duration;
    /// use nexum_cow_errors::classify;
    ///
    /// let class = classify(400, Some("InvalidEip1271Signature"));
    /// assert_eq!(class.wait(1), Some(Duration::from_secs(60)));
    /// assert_eq!(class.wait(3), Some(Duration::from_secs(240)));
    /// assert_eq!(class.wait(99), Some(Duration::from_secs(3_600)));
    /// ```
    pub fn wait(self, failures: u32) -> Option<Duration> {
        let Self::BackOff(first) = self else { return None };
        let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        Some(first.saturating_mul(doubled).min(WAIT_MAX))
    }
}
