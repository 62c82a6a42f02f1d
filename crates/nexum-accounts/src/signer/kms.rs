//! Keys in the key management service of a cloud, which never leave it.
//!
//! nexum sends the digest of a preimage, and gets the signature in DER. Each cloud has a module, with
//! a feature of its own.

#[cfg(not(all(feature = "aws", feature = "gcp")))]
mod absent;
#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "gcp")]
mod gcp;
#[cfg(any(feature = "aws", feature = "gcp"))]
mod refusal;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use alloy_primitives::{Address, B256, Signature};
use async_trait::async_trait;
use k256::ecdsa::VerifyingKey;

#[cfg(not(feature = "aws"))]
use absent as aws;
#[cfg(not(feature = "gcp"))]
use absent as gcp;

use super::SignError;
use crate::cloud::Cloud;
use crate::config::kms::KmsConfig;
use crate::preimage::Preimage;

/// The most bytes of an answer of a key management service: ten times the size of a public key with
/// its description.
pub const KMS_BYTES_MAX: usize = 16 << 10;

/// The DER of a public key of secp256k1 before its uncompressed point of 65 bytes (RFC 5480). DER has
/// one form for each value, so nothing else of the structure has to be read.
const SPKI_PREFIX: [u8; 23] = [
    0x30, 0x56, // the key: 86 bytes
    0x30, 0x10, // its algorithm: 16 bytes
    0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, // id-ecPublicKey
    0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a, // secp256k1
    0x03, 0x42, 0x00, // a bit string of 66 bytes, the first of which counts its unused bits
];

/// The key management service of a cloud, with one key.
#[async_trait]
pub(crate) trait KeyService: fmt::Debug + Send + Sync {
    /// The public key, as a `SubjectPublicKeyInfo` in DER. The bytes may be anything.
    async fn public_key(&self) -> Result<Vec<u8>, SignError>;

    /// The signature over the digest, in DER. The bytes may be anything.
    async fn sign(&self, digest: B256) -> Result<Vec<u8>, SignError>;
}

/// A key in a key management service that has this address.
#[derive(Debug)]
pub(crate) struct Kms {
    address: Address,
    cloud: Cloud,
    endpoint: String,
    service: Box<dyn KeyService>,
    /// Whether the public key has had the address.
    is_checked: AtomicBool,
}

impl Kms {
    pub(crate) fn new(address: Address, config: &KmsConfig) -> Self {
        let service = match config.cloud {
            Cloud::Aws => aws::service(config),
            Cloud::Gcp => gcp::service(config),
        };
        Self {
            address,
            cloud: config.cloud,
            endpoint: format!("{:?}", config.url),
            service,
            is_checked: AtomicBool::new(false),
        }
    }

    pub(crate) fn cloud(&self) -> Cloud {
        self.cloud
    }

    /// The scheme, host and port of the service.
    pub(crate) fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    pub(crate) async fn sign(&self, preimage: &Preimage) -> Result<Signature, SignError> {
        if !self.is_checked.load(Ordering::Acquire) {
            self.check_key().await?;
        }
        let digest = preimage.digest();
        let der = self.service.sign(digest).await?;
        let signature = k256::ecdsa::Signature::from_der(&der).map_err(|_| SignError::Malformed)?;
        let signature = signature.normalize_s().unwrap_or(signature);
        // The services do not say which of the two keys that fit a signature is theirs.
        let candidates = [false, true].map(|parity| Signature::from_signature_and_parity(signature, parity));
        let is_ours = |candidate: &Signature| {
            let recovered = candidate.recover_address_from_prehash(&digest);
            recovered.is_ok_and(|address| address == self.address)
        };
        candidates.into_iter().find(is_ours).ok_or(SignError::WrongSignature)
    }

    /// Compares the public key with the address, until it has had the address once.
    async fn check_key(&self) -> Result<(), SignError> {
        let found = address_of(&self.service.public_key().await?).ok_or(SignError::KeyType)?;
        if found != self.address {
            let expected = self.address;
            return Err(SignError::Address { found, expected });
        }
        self.is_checked.store(true, Ordering::Release);
        Ok(())
    }
}

/// The address of a public key in DER. `None` for other keys than those of secp256k1.
fn address_of(der: &[u8]) -> Option<Address> {
    let point = der.strip_prefix(&SPKI_PREFIX)?;
    let key = match point {
        [4, ..] if point.len() == 65 => VerifyingKey::from_sec1_bytes(point).ok()?,
        _ => return None,
    };
    Some(Address::from_public_key(&key))
}
