//! One account.

use alloy_primitives::{Address, Signature};

use crate::config::AccountConfig;
use crate::name::AccountName;
use crate::preimage::Preimage;
use crate::signer::{SignError, Signer, SignerKind};

/// An account: an address, and the signer with its key.
#[derive(Debug)]
pub struct Account {
    name: AccountName,
    address: Address,
    signer: Signer,
}

impl Account {
    /// Creates the account. Reads no file and uses no network.
    pub fn new(name: AccountName, config: &AccountConfig) -> Self {
        Self {
            signer: Signer::new(&name, config),
            address: config.address,
            name,
        }
    }

    /// The name in `[accounts.<name>]`.
    pub fn name(&self) -> &AccountName {
        &self.name
    }

    /// The address.
    pub fn address(&self) -> Address {
        self.address
    }

    /// The kind of the signer.
    pub fn signer(&self) -> SignerKind {
        self.signer.kind()
    }

    /// The server that signs: scheme, host and port. `None` for a keystore.
    pub fn endpoint(&self) -> Option<String> {
        self.signer.endpoint()
    }

    /// Begins to open the keystore, so that the first signature does not wait for the decryption, and
    /// the log has the error of a wrong password at the start. Returns at once. The caller is on a
    /// thread of a tokio runtime.
    pub fn open(&self) {
        self.signer.open();
    }

    /// Signs the digest of the preimage. The caller has checked it with [`Grant`](crate::Grant).
    ///
    /// The signature has a low `s`, and recovers to [`Self::address`]. Its 65 bytes end with 27 or 28
    /// ([`Signature::as_bytes`]). A caller that gives up may drop the future.
    ///
    /// # Errors
    ///
    /// [`SignError`]. No text of it contains a secret.
    pub async fn sign(&self, preimage: &Preimage) -> Result<Signature, SignError> {
        let signature = self.signer.sign(preimage).await?.normalized_s();
        match signature.recover_address_from_prehash(&preimage.digest()) {
            Ok(address) if address == self.address => Ok(signature),
            _ => Err(SignError::WrongSignature),
        }
    }
}
