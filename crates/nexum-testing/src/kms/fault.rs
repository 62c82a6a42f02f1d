//! Wrong answers, and the signatures in right and wrong ones.

use alloy_primitives::{B256, keccak256};
use axum::response::Response;
use k256::SecretKey;
use k256::ecdsa::{Signature, SigningKey};

use super::response;

/// A wrong answer to a request with valid credentials.
#[derive(Clone, Debug)]
pub enum KmsFault {
    /// This status and body.
    Answer(u16, String),
    /// These bytes in place of the DER of the signature or of the public key.
    Bytes(Vec<u8>),
    /// The signature with a high `s`. Both clouds give out such signatures.
    HighS,
    /// The signature or the public key of another key.
    OtherKey,
    /// The signature over another digest.
    OtherDigest,
    /// No answer.
    Hang,
}

/// The DER before the point of a public key.
const SPKI: [u8; 23] = [
    0x30, 0x56, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00,
    0x0a, 0x03, 0x42, 0x00,
];

/// The DER of the answer with this fault, or the whole answer.
pub(super) async fn signature(key: &SigningKey, digest: B256, fault: Option<KmsFault>) -> Result<Vec<u8>, Response> {
    let is_high = matches!(fault, Some(KmsFault::HighS));
    let signature = match fault {
        None | Some(KmsFault::HighS) => sign(key, digest),
        Some(KmsFault::OtherKey) => sign(&other_key(), digest),
        Some(KmsFault::OtherDigest) => sign(key, keccak256(digest)),
        Some(fault) => return whole(fault).await,
    };
    let (r, s) = signature.split_scalars();
    let s = match is_high {
        true => -s,
        false => s,
    };
    let signature = Signature::from_scalars(r, s).expect("scalars of a signature");
    Ok(signature.to_der().as_bytes().to_vec())
}

/// The DER of the public key with this fault, or the whole answer.
pub(super) async fn public_key(key: &SigningKey, fault: Option<KmsFault>) -> Result<Vec<u8>, Response> {
    match fault {
        None => Ok(spki(key)),
        Some(KmsFault::OtherKey) => Ok(spki(&other_key())),
        Some(fault) => whole(fault).await,
    }
}

fn spki(key: &SigningKey) -> Vec<u8> {
    let point = key.verifying_key().to_encoded_point(false);
    [&SPKI, point.as_bytes()].concat()
}

async fn whole(fault: KmsFault) -> Result<Vec<u8>, Response> {
    match fault {
        KmsFault::Answer(status, body) => Err(response(status, body)),
        KmsFault::Bytes(bytes) => Ok(bytes),
        KmsFault::Hang => std::future::pending().await,
        KmsFault::HighS | KmsFault::OtherKey | KmsFault::OtherDigest => {
            panic!("{fault:?} is no fault of this operation")
        }
    }
}

fn sign(key: &SigningKey, digest: B256) -> Signature {
    let (signature, _) = key.sign_prehash_recoverable(digest.as_slice()).expect("a signature");
    signature
}

fn other_key() -> SigningKey {
    SecretKey::from_slice(&[7; 32]).expect("a key").into()
}
