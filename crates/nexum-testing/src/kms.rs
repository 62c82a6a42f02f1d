//! The key management services of two clouds over HTTP, with one key of secp256k1.
//!
//! The server checks the credentials of each request as the clouds do: Signature Version 4 over the
//! headers and the body for AWS, and a token of a service account or of the metadata server for
//! Google Cloud. Then it signs with the key. It has the metadata servers of both clouds too. A test
//! can script faults. The checks are written here, without the libraries that a client uses.

mod aws;
mod fault;
mod gcp;

use std::fmt;
use std::sync::Arc;

use alloy_primitives::{Address, B256};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;
use k256::ecdsa::SigningKey;
use parking_lot::Mutex;
use rcgen::{KeyPair, PKCS_RSA_SHA256};
use tokio::net::TcpListener;
use tokio::sync::watch;

pub use fault::KmsFault;

use crate::listener::Listener;

/// The RSA key of a service account that exists nowhere else. `ring` makes none.
const ACCOUNT: &[u8] = include_bytes!("kms/account.pkcs8");

fn account() -> KeyPair {
    KeyPair::from_pkcs8_der_and_sign_algo(&ACCOUNT.into(), &PKCS_RSA_SHA256).expect("a key")
}

/// A server on a free loopback port. It stops when it is dropped.
pub struct Kms {
    shared: Arc<Shared>,
    port: u16,
    _listener: Listener,
    _hang_ups: watch::Sender<()>,
}

/// An operation on the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KmsOperation {
    /// Reads the public key.
    PublicKey,
    /// Signs a digest.
    Sign,
}

/// A request with valid credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KmsRequest {
    /// The operation.
    pub operation: KmsOperation,
    /// The owner of the credentials: an access key of AWS, `instance` for a token of Google's metadata
    /// server, or the address of a service account.
    pub caller: String,
}

struct Shared {
    key: SigningKey,
    /// The key of the service account, with which Google's libraries sign tokens.
    account: KeyPair,
    /// The secrets of AWS's access keys.
    secrets: Mutex<Vec<(String, String)>>,
    fault: Mutex<Option<(KmsOperation, KmsFault)>>,
    received: Mutex<Vec<KmsRequest>>,
    /// The errors that the server has answered with, without those that a test scripts.
    refusals: Mutex<Vec<&'static str>>,
}

impl Kms {
    /// The ARN of the key.
    pub const ARN: &str = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    /// The name of the key's version in Google Cloud.
    pub const NAME: &str = "projects/p-1/locations/europe-west1/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1";

    /// An access key of AWS, which the server knows from its start.
    pub const ACCESS_KEY: &str = "AKIDEXAMPLE";

    /// The secret of [`Self::ACCESS_KEY`].
    pub const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    /// The access key that AWS's metadata server gives out. Its requests need a session token.
    pub const INSTANCE_KEY: &str = aws::INSTANCE_KEY;

    /// The address of the service account.
    pub const SERVICE_ACCOUNT: &str = "signer@p-1.iam.gserviceaccount.com";

    /// Starts a server with this private key.
    ///
    /// # Panics
    ///
    /// If the key is not valid, no loopback port is free, or outside a tokio runtime.
    pub async fn start(key: B256) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        let port = listener.local_addr().expect("a bound socket").port();
        let secret = |id: &str, secret: &str| (id.to_owned(), secret.to_owned());
        let shared = Arc::new(Shared {
            key: SigningKey::from_slice(key.as_slice()).expect("a key of secp256k1"),
            account: account(),
            secrets: Mutex::new(vec![
                secret(Self::ACCESS_KEY, Self::SECRET),
                secret(aws::INSTANCE_KEY, aws::INSTANCE_SECRET),
            ]),
            fault: Mutex::new(None),
            received: Mutex::default(),
            refusals: Mutex::default(),
        });
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let (hang_ups, on_hang_up) = watch::channel(());
        Self {
            shared,
            port,
            _listener: Listener::start(listener, router, on_hang_up),
            _hang_ups: hang_ups,
        }
    }

    /// The base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.host())
    }

    /// The host and the port.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The address of the key.
    pub fn address(&self) -> Address {
        Address::from_private_key(&self.shared.key)
    }

    /// The file of the service account, as Google's console gives it out.
    pub fn service_account_json(&self) -> String {
        gcp::service_account_json(&self.shared)
    }

    /// Replaces all access keys of AWS by this one.
    pub fn set_access_key(&self, id: &str, secret: &str) {
        *self.shared.secrets.lock() = vec![(id.to_owned(), secret.to_owned())];
    }

    /// From now on, the operation has this fault, or none has one.
    pub fn set_fault(&self, fault: Option<(KmsOperation, KmsFault)>) {
        *self.shared.fault.lock() = fault;
    }

    /// The requests with valid credentials so far, also those that a fault answered.
    pub fn received(&self) -> Vec<KmsRequest> {
        self.shared.received.lock().clone()
    }

    /// The names of the errors that the server has answered with, without those of faults.
    pub fn refusals(&self) -> Vec<&'static str> {
        self.shared.refusals.lock().clone()
    }
}

impl fmt::Debug for Kms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kms").field("port", &self.port).finish_non_exhaustive()
    }
}

/// A request in parts.
struct Request {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Shared {
    /// Notes a request with valid credentials, and returns the fault of its operation.
    fn note(&self, operation: KmsOperation, caller: &str) -> Option<KmsFault> {
        self.received.lock().push(KmsRequest {
            operation,
            caller: caller.to_owned(),
        });
        let fault = self.fault.lock().clone();
        fault.filter(|(of, _)| *of == operation).map(|(_, fault)| fault)
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let request = Request {
        method,
        uri,
        headers,
        body,
    };
    let path = request.uri.path().to_owned();
    if path.starts_with("/latest/") {
        return aws::metadata(&request);
    }
    if path.starts_with("/computeMetadata/") {
        return gcp::metadata(&request);
    }
    match path.starts_with("/v1/") {
        true => gcp::answer(&shared, &request).await,
        false => aws::answer(&shared, &request).await,
    }
}

fn response(status: u16, body: impl Into<Body>) -> Response {
    Response::builder()
        .status(status)
        .body(body.into())
        .expect("a valid response")
}
