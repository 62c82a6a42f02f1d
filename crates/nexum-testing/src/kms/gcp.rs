//! Google Cloud KMS: tokens, two methods, and the metadata server of an instance.

use alloy_primitives::B256;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustls::SignatureScheme;
use rustls::crypto::ring;
use serde_json::{Value, json};

use super::{Kms, KmsOperation, Request, Shared, fault, response};

/// The token of the metadata server.
const INSTANCE_TOKEN: &str = "token-of-the-instance";

/// The scope of a token for all services.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

pub(super) async fn answer(shared: &Shared, request: &Request) -> Response {
    let Some(caller) = caller(shared, request) else {
        return refuse(shared, 401, "UNAUTHENTICATED");
    };
    let Some(method) = request.uri.path()["/v1/".len()..].strip_prefix(Kms::NAME) else {
        return refuse(shared, 404, "NOT_FOUND");
    };
    match (request.method.as_str(), method) {
        ("GET", "/publicKey") => {
            let fault = shared.note(KmsOperation::PublicKey, &caller);
            match fault::public_key(&shared.key, fault).await {
                Ok(der) => {
                    let answer = json!({"name": Kms::NAME, "algorithm": "EC_SIGN_SECP256K1_SHA256", "pem": pem("PUBLIC KEY", &der)});
                    response(200, answer.to_string())
                }
                Err(response) => response,
            }
        }
        ("POST", ":asymmetricSign") => {
            let input: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let digest = input["digest"]["sha256"].as_str();
            let digest = digest.and_then(|text| B256::try_from(&*STANDARD.decode(text).ok()?).ok());
            let Some(digest) = digest else {
                return refuse(shared, 400, "INVALID_ARGUMENT");
            };
            let fault = shared.note(KmsOperation::Sign, &caller);
            match fault::signature(&shared.key, digest, fault).await {
                Ok(der) => {
                    let answer = json!({"name": Kms::NAME, "signature": STANDARD.encode(der)});
                    response(200, answer.to_string())
                }
                Err(response) => response,
            }
        }
        _ => refuse(shared, 404, "NOT_FOUND"),
    }
}

fn refuse(shared: &Shared, status: u16, code: &'static str) -> Response {
    shared.refusals.lock().push(code);
    let error = json!({"code": status, "message": "the test server refuses", "status": code});
    response(status, json!({"error": error}).to_string())
}

/// The PEM form of a key, in lines of 64 characters.
fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// The owner of the token.
fn caller(shared: &Shared, request: &Request) -> Option<String> {
    let token = request.header("authorization")?.strip_prefix("Bearer ")?;
    if token == INSTANCE_TOKEN {
        return Some("instance".to_owned());
    }
    // A token that the service account has signed itself.
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let decode = |text: &str| -> Option<Value> { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok() };
    let (header, claims) = (decode(header)?, decode(claims)?);
    let issued = claims["iat"].as_i64()?;
    let is_valid = header["alg"] == "RS256"
        && claims["iss"] == Kms::SERVICE_ACCOUNT
        && claims["exp"].as_i64()? > issued
        && claims["scope"].as_str()?.split(' ').any(|scope| scope == SCOPE);
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    let is_signed = is_signed(shared.account.public_key_raw(), signed.as_bytes(), &signature);
    (is_valid && is_signed).then(|| Kms::SERVICE_ACCOUNT.to_owned())
}

/// Whether the signature is by this RSA key.
fn is_signed(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let algorithms = ring::default_provider().signature_verification_algorithms.mapping;
    let rsa = algorithms
        .iter()
        .find(|(scheme, _)| *scheme == SignatureScheme::RSA_PKCS1_SHA256);
    let (_, rsa) = rsa.expect("RSA with SHA-256");
    rsa.iter()
        .any(|rsa| rsa.verify_signature(key, message, signature).is_ok())
}

pub(super) fn service_account_json(shared: &Shared) -> String {
    let account = json!({
        "type": "service_account",
        "project_id": "p-1",
        "private_key_id": "key-1",
        "private_key": pem("PRIVATE KEY", &shared.account.serialize_der()),
        "client_email": Kms::SERVICE_ACCOUNT,
        "token_uri": "https://oauth2.googleapis.com/token",
    });
    account.to_string()
}

/// The metadata server of an instance.
pub(super) fn metadata(request: &Request) -> Response {
    if request.header("metadata-flavor") != Some("Google") {
        return response(403, "");
    }
    match request.uri.path() {
        "/computeMetadata/v1/instance/service-accounts/default/token" => {
            let token = json!({"access_token": INSTANCE_TOKEN, "expires_in": 3_600, "token_type": "Bearer"});
            response(200, token.to_string())
        }
        _ => response(404, ""),
    }
}
