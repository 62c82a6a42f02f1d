//! The logs that attributes select by chain and address.

use proc_macro2::TokenStream;
use quote::quote;

/// The bytes of an address.
const ADDRESS_BYTES: usize = 20;

/// The chain and the contracts of one attribute. The operator decides what the attribute leaves out.
#[derive(Default)]
pub(crate) struct Scope {
    chain_id: Option<u64>,
    addresses: Vec<[u8; ADDRESS_BYTES]>,
}

impl Scope {
    /// The scope of an attribute with these keys, whose values are JSON.
    pub(crate) fn of(read: &[(String, String)]) -> Self {
        let values = |key: &'static str| read.iter().filter(move |(name, _)| name == key).map(|(_, json)| json);
        let lists = values("address").chain(values("addresses"));
        Self {
            chain_id: values("chain_id").find_map(|number| number.parse().ok()),
            addresses: lists.flat_map(|json| json.split('"')).filter_map(address).collect(),
        }
    }

    fn is_open(&self) -> bool {
        self.chain_id.is_none() && self.addresses.is_empty()
    }

    /// Whether this scope has each log of another.
    fn covers(&self, other: &Self) -> bool {
        let has_chain = self.chain_id.is_none() || self.chain_id == other.chain_id;
        let is_within = || {
            let is_known = |address| self.addresses.contains(address);
            !other.addresses.is_empty() && other.addresses.iter().all(is_known)
        };
        has_chain && (self.addresses.is_empty() || is_within())
    }

    /// The test of the variable `log`.
    fn test(&self) -> TokenStream {
        let chain = self.chain_id.map(|id| quote!(log.chain_id == #id));
        let addresses = self
            .addresses
            .iter()
            .map(|bytes| quote!(log.address == ::nexum_sdk::Address::new([#(#bytes),*])));
        let address = (!self.addresses.is_empty()).then(|| quote!((#(#addresses)||*)));
        let both = chain.into_iter().chain(address);
        quote!((#(#both)&&*))
    }
}

fn address(text: &str) -> Option<[u8; ADDRESS_BYTES]> {
    let digits = text.strip_prefix("0x")?;
    let mut bytes = [0; ADDRESS_BYTES];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// Whether one of these scopes has each log of each other one.
pub(crate) fn cover<'a>(scopes: &[&Scope], others: impl IntoIterator<Item = &'a Scope>) -> bool {
    let is_covered = |other| scopes.iter().any(|scope| scope.covers(other));
    others.into_iter().all(is_covered)
}

/// The test whether the variable `log` is in one of these scopes. `None` if each log is.
pub(crate) fn test(scopes: &[&Scope]) -> Option<TokenStream> {
    let tests = scopes.iter().map(|scope| scope.test());
    let is_open = scopes.iter().any(|scope| scope.is_open());
    (!is_open).then(|| quote!(#(#tests)||*))
}
