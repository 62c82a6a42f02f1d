//! The bytes that a signature covers.

use std::fmt;

use alloy_primitives::{B256, keccak256};

/// The bytes whose Keccak-256 is signed.
///
/// A signer that has the key signs the digest. Web3Signer takes the bytes and hashes them itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Preimage {
    bytes: Vec<u8>,
    digest: B256,
}

impl Preimage {
    /// The preimage with these bytes: an encoded transaction for signing, or typed data as
    /// `0x1901`, domain separator and struct hash.
    pub fn new(bytes: Vec<u8>) -> Self {
        let digest = keccak256(&bytes);
        Self { bytes, digest }
    }

    /// The preimage of a message, as `personal_sign` makes it (EIP-191, version 0x45).
    pub fn of_message(message: &[u8]) -> Self {
        let mut bytes = format!("\x19Ethereum Signed Message:\n{}", message.len()).into_bytes();
        bytes.extend_from_slice(message);
        Self::new(bytes)
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The Keccak-256 of the bytes.
    pub fn digest(&self) -> B256 {
        self.digest
    }
}

/// The digest alone: a message can be long, and confidential.
impl fmt::Debug for Preimage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Preimage({})", self.digest)
    }
}
