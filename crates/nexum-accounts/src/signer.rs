//! The holders of keys.

pub(crate) mod keystore;
pub(crate) mod kms;
mod remote;
pub(crate) mod web3signer;

use std::fmt;
use std::io;
use std::sync::Arc;

use alloy_primitives::{Address, Signature};
use nexum_net::TlsFault;

use crate::cloud::Cloud;
use crate::config::AccountConfig;
use crate::config::signer::SignerConfig;
use crate::name::AccountName;
use crate::preimage::Preimage;
use keystore::{Keystore, KeystoreError};
use kms::Kms;
use web3signer::Web3Signer;

/// The holder of an account's key.
#[derive(Debug)]
pub(crate) enum Signer {
    Keystore(Keystore),
    Web3Signer(Web3Signer),
    Kms(Kms),
}

/// The kind of an account's signer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignerKind {
    /// A keystore file, which nexum decrypts.
    Keystore,
    /// A Web3Signer over HTTP.
    Web3Signer,
    /// The key management service of a cloud.
    Kms(Cloud),
}

/// Why there is no signature. No text contains a path, a URL or a secret.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The keystore is not usable. nexum tries it once, so only a restart can change that.
    #[error("the account's keystore cannot be opened")]
    Keystore(#[source] Arc<KeystoreError>),
    /// No connection to the signer.
    #[error("the signer cannot be reached{}", cause.map(|cause| format!(": {cause}")).unwrap_or_default())]
    Unreachable {
        /// The operating system's cause, if there is one.
        cause: Option<io::ErrorKind>,
    },
    /// No TLS with the signer.
    #[error("the signer {0}")]
    Tls(TlsFault),
    /// The signer did not answer in time.
    #[error("the signer did not answer within {timeout_ms} ms")]
    Timeout {
        /// The time limit, in milliseconds.
        timeout_ms: u64,
    },
    /// The connection broke before the end of the answer.
    #[error("the connection to the signer was lost")]
    Lost,
    /// The signer answered with an error.
    #[error("the signer answered with status {0}")]
    Status(u16),
    /// The signer answered with something else than a signature or a list of keys.
    #[error("the signer's answer is malformed")]
    Malformed,
    /// The signer has no key with the account's address.
    #[error("the signer has no key of the account")]
    UnknownKey,
    /// The signer's key is of another curve, so it has no address.
    #[error("the signer's key is not a key of secp256k1")]
    KeyType,
    /// The signer's key has another address.
    #[error("the signer has the key of {found}, and the account's address is {expected}")]
    Address {
        /// The address of the key.
        found: Address,
        /// The address in the configuration.
        expected: Address,
    },
    /// This build has no client for the cloud.
    #[error("this build has no signer for {0}")]
    NotBuilt(Cloud),
    /// There are no credentials for the cloud, or they cannot be renewed.
    #[error("there are no usable credentials for {0}")]
    Credentials(Cloud),
    /// The signer refuses. Another attempt fails too, until the operator changes a permission or the key.
    #[error("the signer refused with {code} (status {status})")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The cloud's name of the error.
        code: String,
    },
    /// The signer limits the requests.
    #[error("the signer limits the requests (status {status}): raise the quota of the cloud, or sign less")]
    Throttled {
        /// The HTTP status.
        status: u16,
    },
    /// The signature is by another key, or over other bytes.
    #[error("the signature does not recover to the account's address")]
    WrongSignature,
}

impl Signer {
    pub(crate) fn new(name: &AccountName, config: &AccountConfig) -> Self {
        match &config.signer {
            SignerConfig::Keystore(source) => {
                Self::Keystore(Keystore::new(name.clone(), config.address, source.clone()))
            }
            SignerConfig::Web3Signer { url, timeout_ms } => {
                Self::Web3Signer(Web3Signer::new(config.address, url.clone(), *timeout_ms))
            }
            SignerConfig::Kms(kms) => Self::Kms(Kms::new(config.address, kms)),
        }
    }

    pub(crate) fn kind(&self) -> SignerKind {
        match self {
            Self::Keystore(_) => SignerKind::Keystore,
            Self::Web3Signer(_) => SignerKind::Web3Signer,
            Self::Kms(kms) => SignerKind::Kms(kms.cloud()),
        }
    }

    pub(crate) fn endpoint(&self) -> Option<String> {
        match self {
            Self::Keystore(_) => None,
            Self::Web3Signer(signer) => Some(signer.endpoint()),
            Self::Kms(kms) => Some(kms.endpoint()),
        }
    }

    pub(crate) fn open(&self) {
        match self {
            Self::Keystore(keystore) => keystore.open(),
            Self::Web3Signer(_) | Self::Kms(_) => {}
        }
    }

    /// A signature that the caller verifies.
    pub(crate) async fn sign(&self, preimage: &Preimage) -> Result<Signature, SignError> {
        match self {
            Self::Keystore(keystore) => keystore.sign(preimage).await,
            Self::Web3Signer(signer) => signer.sign(preimage).await,
            Self::Kms(kms) => kms.sign(preimage).await,
        }
    }
}

impl fmt::Display for SignerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Keystore => "keystore",
            Self::Web3Signer => "web3signer",
            Self::Kms(cloud) => cloud.key(),
        })
    }
}
