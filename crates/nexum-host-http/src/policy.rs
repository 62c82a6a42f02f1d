//! The rules that permit or deny a destination.

use crate::destination::{Destination, DestinationError};
use crate::pattern::HostPattern;

/// The operator's rules for all modules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Destinations that a module may fetch from, if its manifest lists them too. Default: none.
    pub allow: Vec<HostPattern>,
    /// Destinations of `allow` that modules may also reach over plain `http`. Default: none.
    pub allow_http: Vec<HostPattern>,
    /// Destinations of `allow` that may have a non-public address. Default: none.
    pub allow_private: Vec<HostPattern>,
    /// Destinations of `allow` that recognise a repeated request by its `Idempotency-Key`. nexum may send a writing
    /// request to them again when it does not know the outcome. Default: none.
    pub idempotent: Vec<HostPattern>,
}

/// The rule that denies a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rule {
    /// The destination is not in the module's list.
    #[error("the module's manifest does not allow the destination")]
    Manifest,
    /// The destination is not in the operator's list.
    #[error("the operator does not allow the destination")]
    Operator,
    /// Only `https` is allowed to the destination.
    #[error("the operator does not allow http without TLS to the destination")]
    PlainHttp,
    /// The destination is a non-public address, or its name resolves to one.
    #[error("the destination's address is not a public one: it is {0}")]
    Address(&'static str),
    /// A redirect to a URL that no request may go to.
    #[error("{0}")]
    Unusable(DestinationError),
    /// The handler may have no such effect, for this reason.
    #[error("{0}")]
    Effect(&'static str),
    /// More than [`REDIRECTS_MAX`](crate::REDIRECTS_MAX) redirects.
    #[error("there are more than {0} redirects")]
    Redirects(usize),
}

impl Rule {
    /// The label of the rule in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Operator => "operator",
            Self::PlainHttp => "plain_http",
            Self::Address(_) => "address",
            Self::Unusable(_) => "unusable",
            Self::Redirects(_) => "redirects",
            Self::Effect(_) => "effect",
        }
    }
}

/// The permission for a request.
#[derive(Clone, Copy, Debug)]
pub struct Permit<'a> {
    /// The operator's entry that allows it.
    pub entry: &'a HostPattern,
    /// Whether the request may go to a non-public address.
    pub may_be_private: bool,
}

impl Policy {
    /// Permits or denies a request to a destination, for a module whose manifest allows `wanted`.
    /// The resolver checks the addresses of a name later, when a client connects.
    ///
    /// # Errors
    ///
    /// The rule that denies the request.
    pub fn permit(&self, wanted: &[HostPattern], to: &Destination) -> Result<Permit<'_>, Rule> {
        find(wanted, to).ok_or(Rule::Manifest)?;
        let entry = find(&self.allow, to).ok_or(Rule::Operator)?;
        if to.is_plain() && find(&self.allow_http, to).is_none() {
            return Err(Rule::PlainHttp);
        }
        let may_be_private = find(&self.allow_private, to).is_some();
        match to.not_public() {
            Some(what) if !may_be_private => Err(Rule::Address(what)),
            _ => Ok(Permit { entry, may_be_private }),
        }
    }

    /// Whether a destination recognises a repeated request by its `Idempotency-Key`.
    pub(crate) fn is_idempotent(&self, to: &Destination) -> bool {
        find(&self.idempotent, to).is_some()
    }

    /// Whether the operator allows every destination of an entry.
    pub fn covers(&self, wanted: &HostPattern) -> bool {
        self.allow.iter().any(|entry| entry.covers(wanted))
    }
}

fn find<'a>(entries: &'a [HostPattern], to: &Destination) -> Option<&'a HostPattern> {
    entries.iter().find(|entry| entry.matches(to))
}
