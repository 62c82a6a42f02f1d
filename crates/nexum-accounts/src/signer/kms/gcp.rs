//! Google Cloud KMS, over its REST interface. `google-cloud-auth` finds the credentials, and renews
//! their tokens.

use std::path::Path;

use alloy_primitives::B256;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use google_cloud_auth::credentials::{self, CacheableResource, Credentials};
use http::{Extensions, HeaderMap};
use nexum_config::regular_file;
use parking_lot::Mutex;
use reqwest::RequestBuilder;
use serde::Deserialize;
use serde_json::{Value, json};

use super::refusal::refusal;
use super::{KMS_BYTES_MAX, KeyService};
use crate::cloud::Cloud;
use crate::config::kms::KmsConfig;
use crate::signer::SignError;
use crate::signer::remote::Remote;

pub(super) fn service(config: &KmsConfig) -> Box<dyn KeyService> {
    Box::new(Gcp::new(config))
}

/// The most bytes of a file with credentials: twenty times the usual size.
const CREDENTIALS_BYTES_MAX: u64 = 64 << 10;

/// The names of errors about too many requests.
const THROTTLING: [&str; 1] = ["RESOURCE_EXHAUSTED"];

/// A version of a key in Google Cloud KMS.
#[derive(Debug)]
struct Gcp {
    config: KmsConfig,
    remote: Remote,
    /// The credentials. `None` before the first request, and after a refusal, because the operator
    /// may have changed them.
    credentials: Mutex<Option<Credentials>>,
}

#[derive(Deserialize)]
struct PublicKey {
    pem: String,
}

#[derive(Deserialize)]
struct Signed {
    signature: String,
}

#[derive(Deserialize)]
struct Fault {
    error: FaultError,
}

#[derive(Deserialize)]
struct FaultError {
    status: String,
}

impl Gcp {
    fn new(config: &KmsConfig) -> Self {
        // The library of credentials uses the process's cryptography.
        nexum_net::set_cryptography();
        Self {
            remote: Remote::new(config.timeout_ms),
            config: config.clone(),
            credentials: Mutex::new(None),
        }
    }

    /// Sends a request, and returns its answer.
    async fn call<T: for<'de> Deserialize<'de>>(&self, request: RequestBuilder) -> Result<T, SignError> {
        let headers = self.remote.in_time(self.headers()).await.map_err(|_| {
            self.forget();
            SignError::Credentials(Cloud::Gcp)
        })?;
        let request = request.headers(headers);
        let (status, answer) = self.remote.send(request, KMS_BYTES_MAX, |_| Ok(())).await?;
        if status.is_success() {
            return serde_json::from_slice(&answer).map_err(|_| SignError::Malformed);
        }
        let fault = serde_json::from_slice::<Fault>(&answer).ok();
        let error = refusal(status, fault.as_ref().map(|fault| &*fault.error.status), &THROTTLING);
        if let SignError::Refused { .. } = error {
            self.forget();
        }
        Err(error)
    }

    /// The headers with the token. The library's errors could contain a path, and the body of an
    /// answer, so none of them leaves this function.
    async fn headers(&self) -> Result<HeaderMap, SignError> {
        let unusable = SignError::Credentials(Cloud::Gcp);
        let known = self.credentials.lock().clone();
        let credentials = match known {
            Some(credentials) => credentials,
            None => {
                let path = self.config.credentials_file.as_ref().map(|path| path.to_path_buf());
                let found = tokio::task::spawn_blocking(move || find(path.as_deref())).await;
                let found = found.ok().flatten().ok_or_else(|| unusable.clone())?;
                self.credentials.lock().insert(found).clone()
            }
        };
        match credentials.headers(Extensions::new()).await {
            Ok(CacheableResource::New { data, .. }) => Ok(data),
            _ => Err(unusable),
        }
    }

    fn forget(&self) {
        *self.credentials.lock() = None;
    }

    /// The URL of the key, followed by `suffix`.
    fn url(&self, suffix: &str) -> url::Url {
        self.config.url.join(&format!("v1/{}{suffix}", self.config.key))
    }
}

/// Finds credentials: in this file of a service account, or where Google's programs look for them.
/// Reads files, so it runs on a blocking thread, of a tokio runtime, where it starts the task that
/// renews the token.
fn find(path: Option<&Path>) -> Option<Credentials> {
    match path {
        Some(path) => {
            let bytes = regular_file::read(path, CREDENTIALS_BYTES_MAX).ok()?;
            let account = serde_json::from_slice(&bytes).ok()?;
            credentials::service_account::Builder::new(account).build().ok()
        }
        None => credentials::Builder::default().build().ok(),
    }
}

/// The content of a PEM file with one public key.
fn from_pem(pem: &str) -> Option<Vec<u8>> {
    let body = pem.trim().strip_prefix("-----BEGIN PUBLIC KEY-----")?;
    let body = body.strip_suffix("-----END PUBLIC KEY-----")?;
    let digits: String = body.split_ascii_whitespace().collect();
    STANDARD.decode(digits).ok()
}

#[async_trait]
impl KeyService for Gcp {
    async fn public_key(&self) -> Result<Vec<u8>, SignError> {
        let answer: PublicKey = self.call(self.remote.client()?.get(self.url("/publicKey"))).await?;
        from_pem(&answer.pem).ok_or(SignError::Malformed)
    }

    async fn sign(&self, digest: B256) -> Result<Vec<u8>, SignError> {
        // The service takes any digest of 32 bytes for the one that its algorithm names.
        let input: Value = json!({"digest": {"sha256": STANDARD.encode(digest)}});
        let request = self.remote.client()?.post(self.url(":asymmetricSign"));
        let request = request.header(http::header::CONTENT_TYPE, "application/json");
        let answer: Signed = self.call(request.body(input.to_string())).await?;
        STANDARD.decode(answer.signature).map_err(|_| SignError::Malformed)
    }
}
