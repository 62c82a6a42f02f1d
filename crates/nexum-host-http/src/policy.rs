//! Who may send where.

use crate::destination::{Destination, DestinationError};
use crate::pattern::HostPattern;

/// What the operator allows, to all modules together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Where modules may fetch from, if their manifests name it too. Default: nowhere.
    pub allow: Vec<HostPattern>,
    /// To which of those plain `http` is allowed beside `https`. Default: to none.
    pub allow_http: Vec<HostPattern>,
    /// Which of those may be at an address that is not on the public internet. Default: none.
    pub allow_private: Vec<HostPattern>,
}

/// What of the policy forbids a request.
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
    /// The destination is, or its name resolves to, an address that is not public.
    #[error("the destination's address is not a public one: it is {0}")]
    Address(&'static str),
    /// A redirect to a URL that nothing can be sent to.
    #[error("{0}")]
    Unusable(DestinationError),
    /// More redirects than are followed.
    #[error("there are more than {0} redirects")]
    Redirects(usize),
}

impl Rule {
    /// A word for it, for metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Operator => "operator",
            Self::PlainHttp => "plain_http",
            Self::Address(_) => "address",
            Self::Unusable(_) => "unusable",
            Self::Redirects(_) => "redirects",
        }
    }
}

/// That a request may be sent.
#[derive(Clone, Copy, Debug)]
pub struct Permit<'a> {
    /// The operator's entry that allows it.
    pub entry: &'a HostPattern,
    /// Whether it may go to an address that is not public.
    pub may_be_private: bool,
}

impl Policy {
    /// Whether a module, whose manifest allows `wanted`, may send to a destination. Of a name that is not resolved here, the
    /// addresses are checked when a connection is made.
    ///
    /// # Errors
    ///
    /// The rule that forbids it.
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

    /// Whether all that an entry means is allowed.
    pub fn covers(&self, wanted: &HostPattern) -> bool {
        self.allow.iter().any(|entry| entry.covers(wanted))
    }
}

fn find<'a>(entries: &'a [HostPattern], to: &Destination) -> Option<&'a HostPattern> {
    entries.iter().find(|entry| entry.matches(to))
}
