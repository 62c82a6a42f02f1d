//! Keys in a Web3Signer, over its HTTP interface for secp256k1.
//!
//! `GET /api/v1/eth1/publicKeys` lists the public keys. `POST /api/v1/eth1/sign/{key}` with
//! `{"data": "0x.."}` signs the Keccak-256 of the data. nexum never uses its `eth_sendTransaction`,
//! which chooses nonces of its own.

use std::fmt;

use alloy_primitives::{Address, Signature, hex, keccak256};
use parking_lot::Mutex;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{RequestBuilder, StatusCode};

use super::SignError;
use super::remote::Remote;
use crate::config::signer_url::SignerUrl;
use crate::preimage::Preimage;

/// The most bytes of an answer with a signature: ten times its size.
pub const ANSWER_BYTES_MAX: usize = 1_024;

/// The most bytes of the list of public keys: room for seven thousand keys.
pub const KEYS_BYTES_MAX: usize = 1 << 20;

/// The path of the list of keys.
const KEYS_PATH: &str = "api/v1/eth1/publicKeys";

/// The path of signatures, which the key follows.
const SIGN_PATH: &str = "api/v1/eth1/sign";

/// A signer that has the key of this address.
pub(crate) struct Web3Signer {
    address: Address,
    url: SignerUrl,
    remote: Remote,
    /// The public key as the signer names it, after the first request.
    key: Mutex<Option<String>>,
}

impl Web3Signer {
    pub(crate) fn new(address: Address, url: SignerUrl, timeout_ms: u64) -> Self {
        Self {
            address,
            url,
            remote: Remote::new(timeout_ms),
            key: Mutex::new(None),
        }
    }

    /// The scheme, host and port of the signer.
    pub(crate) fn endpoint(&self) -> String {
        format!("{:?}", self.url)
    }

    pub(crate) async fn sign(&self, preimage: &Preimage) -> Result<Signature, SignError> {
        let key = match self.known_key() {
            Some(key) => key,
            None => self.find_key().await?,
        };
        let body = format!("{{\"data\":\"{}\"}}", hex::encode_prefixed(preimage.bytes()));
        let url = self.url.join(&format!("{SIGN_PATH}/{key}"));
        let request = self.remote.client()?.post(url).body(body);
        let request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let answer = self.send(request, ANSWER_BYTES_MAX).await;
        if let Err(SignError::UnknownKey) = answer {
            // The signer may have loaded its keys again, under another name.
            *self.key.lock() = None;
        }
        signature(&answer?).ok_or(SignError::Malformed)
    }

    fn known_key(&self) -> Option<String> {
        self.key.lock().clone()
    }

    /// Finds the key of the account in the signer's list.
    async fn find_key(&self) -> Result<String, SignError> {
        let request = self.remote.client()?.get(self.url.join(KEYS_PATH));
        let answer = self.send(request, KEYS_BYTES_MAX).await.map_err(|error| match error {
            // The list is there even if it is empty.
            SignError::UnknownKey => SignError::Status(StatusCode::NOT_FOUND.as_u16()),
            error => error,
        })?;
        let keys: Vec<String> = serde_json::from_slice(&answer).map_err(|_| SignError::Malformed)?;
        let found = keys.into_iter().find(|key| address_of(key) == Some(self.address));
        let key = found.ok_or(SignError::UnknownKey)?;
        *self.key.lock() = Some(key.clone());
        Ok(key)
    }

    async fn send(&self, request: RequestBuilder, bytes_max: usize) -> Result<Vec<u8>, SignError> {
        let accept = |status: StatusCode| match status {
            StatusCode::OK => Ok(()),
            StatusCode::NOT_FOUND => Err(SignError::UnknownKey),
            status => Err(SignError::Status(status.as_u16())),
        };
        let (_, answer) = self.remote.send(request, bytes_max, accept).await?;
        Ok(answer)
    }
}

/// Without the path and the credentials of the URL.
impl fmt::Debug for Web3Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Web3Signer");
        shown.field("address", &self.address).field("url", &self.url);
        shown.finish_non_exhaustive()
    }
}

/// The address of an uncompressed public key: 64 bytes, or 65 with the prefix 4.
fn address_of(key: &str) -> Option<Address> {
    let bytes = hex::decode(key).ok()?;
    let point = match bytes.as_slice() {
        [4, point @ ..] if point.len() == 64 => point,
        point if point.len() == 64 => point,
        _ => return None,
    };
    Some(Address::from_slice(&keccak256(point)[12..]))
}

/// A signature in hexadecimal digits, perhaps as a JSON string. `v` is 0, 1, 27 or 28.
fn signature(answer: &[u8]) -> Option<Signature> {
    let text = std::str::from_utf8(answer).ok()?.trim().trim_matches('"');
    let bytes: [u8; 65] = hex::decode(text).ok()?.try_into().ok()?;
    match bytes[64] {
        0 | 1 | 27 | 28 => Signature::from_raw_array(&bytes).ok(),
        _ => None,
    }
}
