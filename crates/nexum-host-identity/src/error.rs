//! The errors of a signature, and the part that a guest sees.

use alloy_primitives::Address;
use nexum_accounts::{Refusal, SignError, TypedDataError};
use nexum_core::bindings::nexum::host::types::{HostError, HostErrorKind};

/// The `domain` of every host error of this crate: the interface.
const DOMAIN: &str = "identity";

/// Why a module gets no signature.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The account is not an address.
    #[error("the account has {bytes} bytes, and an address has 20")]
    NotAnAddress {
        /// The length of the account.
        bytes: usize,
    },
    /// The parameters of a method of `chain.request` have another form.
    #[error("the parameters of {method} are {expected}")]
    Params {
        /// The method.
        method: &'static str,
        /// The form.
        expected: &'static str,
    },
    /// The operator does not give the account to the module.
    #[error("the operator does not allow the module to use the account {0}")]
    NoGrant(Address),
    /// A query asks for a signature.
    #[error("a query may not sign")]
    Query,
    /// A trial of a past block signs nothing.
    #[error("{0}")]
    Withheld(&'static str),
    /// The typed data is malformed.
    #[error(transparent)]
    TypedData(#[from] TypedDataError),
    /// No rule allows the message or the data.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The signer failed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The event is about to end.
    #[error("the signer did not answer before the end of the event")]
    Deadline,
}

impl IdentityError {
    fn kind(&self) -> HostErrorKind {
        match self {
            Self::NotAnAddress { .. } | Self::Params { .. } | Self::TypedData(_) => HostErrorKind::InvalidInput,
            Self::NoGrant(_) | Self::Query | Self::Withheld(_) | Self::Refused(_) => HostErrorKind::Denied,
            Self::Deadline | Self::Sign(SignError::Timeout { .. }) => HostErrorKind::Timeout,
            Self::Sign(SignError::Throttled { .. }) => HostErrorKind::RateLimited,
            Self::Sign(_) => HostErrorKind::Unavailable,
        }
    }

    /// The label of the outcome in metrics.
    pub(crate) fn outcome(&self) -> &'static str {
        match self.kind() {
            HostErrorKind::InvalidInput => "invalid",
            HostErrorKind::Denied => "denied",
            HostErrorKind::Timeout => "timeout",
            _ => "unavailable",
        }
    }

    /// The error that a guest sees. No other place maps errors for guests.
    pub fn to_host_error(&self) -> HostError {
        HostError::new(DOMAIN, self.kind(), self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_of_the_signer_has_its_kind() {
        let refused = SignError::Refused {
            status: 400,
            code: "AccessDeniedException".to_owned(),
        };
        for (error, kind, outcome) in [
            (SignError::Timeout { timeout_ms: 1 }, HostErrorKind::Timeout, "timeout"),
            (
                SignError::Throttled { status: 429 },
                HostErrorKind::RateLimited,
                "unavailable",
            ),
            (refused, HostErrorKind::Unavailable, "unavailable"),
        ] {
            let error = IdentityError::from(error);
            assert_eq!((error.kind(), error.outcome()), (kind, outcome), "{error}");
        }
    }
}
