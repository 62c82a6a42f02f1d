//! Signatures with the keys that the operator assigns to the module.

use alloy_primitives::Address;
use serde::Serialize;

use crate::{Error, ErrorKind, Result, host};

/// A signature: `r`, `s` and `v`.
pub type Signature = [u8; 65];

/// An address that the module may sign for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Account(pub Address);

/// The addresses that the module may sign for.
///
/// # Errors
///
/// [`ErrorKind::Unsupported`] if the operator assigns no keys.
pub fn all() -> Result<Vec<Account>> {
    let accounts = host::accounts()?.into_iter();
    accounts
        .map(|bytes| match Address::try_from(bytes.as_slice()) {
            Ok(address) => Ok(Account(address)),
            Err(_) => Err(malformed("an address")),
        })
        .collect()
}

impl Account {
    /// Signs a message as `personal_sign` does.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Denied`] for an address of another module.
    pub fn sign(self, message: &[u8]) -> Result<Signature> {
        signature(host::sign(self.0.as_slice(), message)?)
    }

    /// Signs EIP-712 typed data: an object with `types`, `primaryType`, `domain` and `message`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Denied`] for an address of another module, and
    /// [`ErrorKind::InvalidInput`] for other data.
    pub fn sign_typed_data(self, typed_data: &impl Serialize) -> Result<Signature> {
        let json = serde_json::to_string(typed_data)?;
        signature(host::sign_typed_data(self.0.as_slice(), &json)?)
    }
}

fn signature(bytes: Vec<u8>) -> Result<Signature> {
    Signature::try_from(bytes).map_err(|_| malformed("a signature"))
}

/// The host never answers so.
fn malformed(what: &str) -> Error {
    Error::of(
        "identity",
        ErrorKind::Internal,
        format!("the host answers {what} of a wrong length"),
    )
}
