//! AWS KMS, over its JSON interface. `reqsign` finds the credentials, and signs each request with them
//! (Signature Version 4).

mod transport;

use std::sync::Arc;

use alloy_primitives::{B256, hex};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_TYPE, HOST, HeaderMap};
use parking_lot::Mutex;
use reqsign_aws_v4::{Credential, DefaultCredentialProvider, ProfileCredentialProvider, RequestSigner};
use reqsign_core::{Context, OsEnv, Signer};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::refusal::refusal;
use super::{KMS_BYTES_MAX, KeyService};
use crate::cloud::Cloud;
use crate::config::kms::KmsConfig;
use crate::signer::SignError;
use crate::signer::remote::Remote;
use transport::{Files, Transport};

pub(super) fn service(config: &KmsConfig) -> Box<dyn KeyService> {
    Box::new(Aws::new(config))
}

/// The name of the service in signatures of requests.
const SERVICE: &str = "kms";

/// The names of errors about too many requests.
const THROTTLING: [&str; 3] = ["ThrottlingException", "LimitExceededException", "RequestLimitExceeded"];

/// A key in AWS KMS.
#[derive(Debug)]
struct Aws {
    config: KmsConfig,
    remote: Arc<Remote>,
    /// The signer of requests with the cached credentials. `None` before the first request, and
    /// after a refusal, because the operator may have changed the credentials.
    requests: Mutex<Option<Signer<Credential>>>,
}

#[derive(Deserialize)]
struct PublicKey {
    #[serde(rename = "PublicKey")]
    der: String,
}

#[derive(Deserialize)]
struct Signed {
    #[serde(rename = "Signature")]
    der: String,
}

#[derive(Deserialize)]
struct Fault {
    #[serde(rename = "__type")]
    kind: String,
}

impl Aws {
    fn new(config: &KmsConfig) -> Self {
        Self {
            remote: Arc::new(Remote::new(config.timeout_ms)),
            config: config.clone(),
            requests: Mutex::new(None),
        }
    }

    /// Calls an operation, and returns its answer.
    async fn call<T: for<'de> Deserialize<'de>>(&self, operation: &str, input: &Value) -> Result<T, SignError> {
        let body = input.to_string().into_bytes();
        let url = self.config.url.join("");
        let headers = self.headers(url.as_str(), operation, &body).await?;
        let request = self.remote.client()?.post(url).headers(headers).body(body);
        let (status, answer) = self.remote.send(request, KMS_BYTES_MAX, |_| Ok(())).await?;
        if status.is_success() {
            return serde_json::from_slice(&answer).map_err(|_| SignError::Malformed);
        }
        let fault = serde_json::from_slice::<Fault>(&answer).ok();
        // The name can follow the name of its schema: `com.amazonaws.kms#NotFoundException`.
        let code = fault.as_ref().and_then(|fault| fault.kind.rsplit('#').next());
        let error = refusal(status, code, &THROTTLING);
        if let SignError::Refused { .. } = error {
            *self.requests.lock() = None;
        }
        Err(error)
    }

    /// The headers of a request, which sign its body too.
    async fn headers(&self, url: &str, operation: &str, body: &[u8]) -> Result<HeaderMap, SignError> {
        let unusable = SignError::Credentials(Cloud::Aws);
        let request = http::Request::post(url)
            .header(CONTENT_TYPE, "application/x-amz-json-1.1")
            .header("x-amz-target", format!("TrentService.{operation}"))
            .header("x-amz-content-sha256", hex::encode(Sha256::digest(body)));
        let (mut head, ()) = request.body(()).map_err(|_| SignError::Malformed)?.into_parts();
        let signer = self.requests.lock().get_or_insert_with(|| self.signer()).clone();
        let signed = self.remote.in_time(async {
            // Its text could contain a path, and the body of an answer.
            let signed = signer.sign(&mut head, None).await;
            signed.map_err(|_| SignError::Credentials(Cloud::Aws))
        });
        signed.await.map_err(|_| unusable)?;
        // The client derives it from the URL.
        head.headers.remove(HOST);
        Ok(head.headers)
    }

    /// A signer of requests without credentials, which it reads at the first request.
    fn signer(&self) -> Signer<Credential> {
        let context = Context::new()
            .with_env(OsEnv)
            .with_file_read(Files)
            .with_http_send(Transport(self.remote.clone()));
        // The name is valid: `arn:PARTITION:kms:REGION:..`.
        let region = self.config.key.split(':').nth(3).unwrap_or_default();
        let requests = RequestSigner::new(SERVICE, region);
        match &self.config.credentials_file {
            Some(path) => {
                let path = path.to_string_lossy();
                let profile = ProfileCredentialProvider::new()
                    .with_profile("default")
                    .with_credentials_file(path.clone())
                    .with_config_file(path);
                Signer::new(context, profile, requests)
            }
            None => {
                // No person logs in to a daemon (SSO), and it runs no program that a file names.
                let chain = DefaultCredentialProvider::builder().no_sso().no_process().build();
                Signer::new(context, chain, requests)
            }
        }
    }
}

#[async_trait]
impl KeyService for Aws {
    async fn public_key(&self) -> Result<Vec<u8>, SignError> {
        let answer: PublicKey = self.call("GetPublicKey", &json!({"KeyId": self.config.key})).await?;
        STANDARD.decode(answer.der).map_err(|_| SignError::Malformed)
    }

    async fn sign(&self, digest: B256) -> Result<Vec<u8>, SignError> {
        let input = json!({
            "KeyId": self.config.key,
            "Message": STANDARD.encode(digest),
            "MessageType": "DIGEST",
            "SigningAlgorithm": "ECDSA_SHA_256",
        });
        let answer: Signed = self.call("Sign", &input).await?;
        STANDARD.decode(answer.der).map_err(|_| SignError::Malformed)
    }
}
