//! Keys in a Web3Signer, over its HTTP interface for secp256k1.
//!
//! `GET /api/v1/eth1/publicKeys` lists the public keys. `POST /api/v1/eth1/sign/{key}` with
//! `{"data": "0x.."}` signs the Keccak-256 of the data. nexum never uses its `eth_sendTransaction`,
//! which chooses nonces of its own.

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use alloy_primitives::{Address, Signature, hex, keccak256};
use nexum_net::{ReadError, TlsFault, io_cause, read_bounded};
use parking_lot::Mutex;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, RequestBuilder, StatusCode, redirect, retry};

use super::SignError;
use crate::config::signer::SignerUrl;
use crate::preimage::Preimage;

/// The most bytes of an answer with a signature: ten times its size.
pub const ANSWER_BYTES_MAX: usize = 1_024;

/// The most bytes of the list of public keys: room for seven thousand keys.
pub const KEYS_BYTES_MAX: usize = 1 << 20;

/// The time limit of the connection, in milliseconds.
const CONNECT_TIMEOUT_MS: u64 = 3_000;

/// The path of the list of keys.
const KEYS_PATH: &str = "api/v1/eth1/publicKeys";

/// The path of signatures, which the key follows.
const SIGN_PATH: &str = "api/v1/eth1/sign";

/// A signer that has the key of this address.
pub(crate) struct Web3Signer {
    address: Address,
    url: SignerUrl,
    /// The time limit of one request.
    timeout_ms: u64,
    /// Created at the first use, because it reads the trusted certificates.
    client: OnceLock<Option<Client>>,
    /// The public key as the signer names it, after the first request.
    key: Mutex<Option<String>>,
}

impl Web3Signer {
    pub(crate) fn new(address: Address, url: SignerUrl, timeout_ms: u64) -> Self {
        Self {
            address,
            url,
            timeout_ms,
            client: OnceLock::new(),
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
        let request = self.client()?.post(url).body(body);
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
        let request = self.client()?.get(self.url.join(KEYS_PATH));
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
        let exchange = async {
            let response = request.send().await.map_err(|error| failed(&error))?;
            match response.status() {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND => return Err(SignError::UnknownKey),
                status => return Err(SignError::Status(status.as_u16())),
            }
            read_bounded(response, bytes_max).await.map_err(|error| match error {
                ReadError::TooLarge { .. } => SignError::Malformed,
                _ => SignError::Lost,
            })
        };
        let timeout_ms = self.timeout_ms;
        let timeout = Duration::from_millis(timeout_ms);
        match tokio::time::timeout(timeout, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(SignError::Timeout { timeout_ms }),
        }
    }

    fn client(&self) -> Result<&Client, SignError> {
        let client = self.client.get_or_init(|| {
            let builder = Client::builder()
                // A signer is a service of the operator's own network.
                .no_proxy()
                .redirect(redirect::Policy::none())
                .retry(retry::never())
                .referer(false)
                .no_gzip()
                .no_brotli()
                .no_deflate()
                .no_zstd()
                .connect_timeout(Duration::from_millis(CONNECT_TIMEOUT_MS));
            builder.build().ok()
        });
        client.as_ref().ok_or(SignError::Unreachable { cause: None })
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

/// Maps an error of the client. The client's text contains the URL, so only known causes are kept.
fn failed(error: &reqwest::Error) -> SignError {
    if let Some(fault) = TlsFault::of(error) {
        return SignError::Tls(fault);
    }
    match error.is_connect() {
        true => SignError::Unreachable { cause: io_cause(error) },
        false => SignError::Lost,
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
