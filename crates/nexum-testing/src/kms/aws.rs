//! AWS KMS: Signature Version 4, two operations, and the metadata server of an instance.

use alloy_primitives::{B256, hex};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Kms, KmsOperation, Request, Shared, fault, response};

/// The access key of the instance.
pub(super) const INSTANCE_KEY: &str = "ASIAINSTANCE";

pub(super) const INSTANCE_SECRET: &str = "secret-of-the-instance";

/// The session token of the instance.
const INSTANCE_TOKEN: &str = "token-of-the-instance";

/// The token of the metadata server.
const METADATA_TOKEN: &str = "token-of-the-metadata";

/// The region and the service in the scope of a signature.
const SCOPE: &str = "eu-central-1/kms/aws4_request";

/// The headers that a signature must cover.
const SIGNED: [&str; 3] = ["host", "x-amz-date", "x-amz-target"];

pub(super) async fn answer(shared: &Shared, request: &Request) -> Response {
    let caller = match caller(shared, request) {
        Ok(caller) => caller,
        Err((status, code)) => return refuse(shared, status, code),
    };
    let input: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    if input["KeyId"] != Kms::ARN {
        return refuse(shared, 400, "NotFoundException");
    }
    match request.header("x-amz-target") {
        Some("TrentService.GetPublicKey") => {
            let fault = shared.note(KmsOperation::PublicKey, &caller);
            match fault::public_key(&shared.key, fault).await {
                Ok(der) => {
                    let answer =
                        json!({"KeyId": Kms::ARN, "KeySpec": "ECC_SECG_P256K1", "PublicKey": STANDARD.encode(der)});
                    response(200, answer.to_string())
                }
                Err(response) => response,
            }
        }
        Some("TrentService.Sign") => {
            let message = input["Message"].as_str().and_then(|text| STANDARD.decode(text).ok());
            let digest = message.and_then(|message| B256::try_from(&*message).ok());
            let is_valid = input["MessageType"] == "DIGEST" && input["SigningAlgorithm"] == "ECDSA_SHA_256";
            let Some(digest) = digest.filter(|_| is_valid) else {
                return refuse(shared, 400, "ValidationException");
            };
            let fault = shared.note(KmsOperation::Sign, &caller);
            match fault::signature(&shared.key, digest, fault).await {
                Ok(der) => {
                    let answer = json!({"KeyId": Kms::ARN, "Signature": STANDARD.encode(der), "SigningAlgorithm": "ECDSA_SHA_256"});
                    response(200, answer.to_string())
                }
                Err(response) => response,
            }
        }
        _ => refuse(shared, 400, "UnknownOperationException"),
    }
}

fn refuse(shared: &Shared, status: u16, code: &'static str) -> Response {
    shared.refusals.lock().push(code);
    response(
        status,
        json!({"__type": code, "message": "the test server refuses"}).to_string(),
    )
}

/// The access key that signed the request and its body.
fn caller(shared: &Shared, request: &Request) -> Result<String, (u16, &'static str)> {
    let header = request
        .header("authorization")
        .and_then(|header| header.strip_prefix("AWS4-HMAC-SHA256 "))
        .ok_or((403, "MissingAuthenticationTokenException"))?;
    let field = |name: &str| {
        header
            .split(", ")
            .find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
    };
    let incomplete = (400, "IncompleteSignatureException");
    let (access_key, scope) = field("Credential")
        .and_then(|text| text.split_once('/'))
        .ok_or(incomplete)?;
    let signed = field("SignedHeaders").ok_or(incomplete)?;
    let signature = field("Signature").ok_or(incomplete)?;
    let time = request.header("x-amz-date").ok_or(incomplete)?;
    let invalid = (400, "InvalidSignatureException");
    let date = time.split('T').next().unwrap_or_default();
    if scope != format!("{date}/{SCOPE}") {
        return Err(invalid);
    }
    let names: Vec<_> = signed.split(';').collect();
    if !SIGNED.iter().all(|name| names.contains(name)) || !names.is_sorted() {
        return Err(invalid);
    }
    let secrets = shared.secrets.lock().clone();
    let secret = secrets.iter().find(|(id, _)| id == access_key);
    let (_, secret) = secret.ok_or((400, "UnrecognizedClientException"))?;
    if access_key == INSTANCE_KEY
        && !(names.contains(&"x-amz-security-token") && request.header("x-amz-security-token") == Some(INSTANCE_TOKEN))
    {
        return Err((400, "UnrecognizedClientException"));
    }
    let canonical = canonical(request, &names).ok_or(invalid)?;
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", sha256(canonical.as_bytes()));
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in scope.split('/') {
        key = hmac(&key, part);
    }
    match hex::encode(hmac(&key, &to_sign)) == signature {
        true => Ok(access_key.to_owned()),
        false => Err(invalid),
    }
}

/// The canonical form of a request, with the hash of the body that arrived.
fn canonical(request: &Request, names: &[&str]) -> Option<String> {
    let body = sha256(&request.body);
    if request
        .header("x-amz-content-sha256")
        .is_some_and(|claimed| claimed != body)
    {
        return None;
    }
    let headers: Option<String> = names
        .iter()
        .map(|name| Some(format!("{name}:{}\n", request.header(name)?.trim())))
        .collect();
    let (method, path) = (&request.method, request.uri.path());
    let query = request.uri.query().unwrap_or_default();
    Some(format!(
        "{method}\n{path}\n{query}\n{}\n{}\n{body}",
        headers?,
        names.join(";")
    ))
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// The metadata server of an instance (version 2), and the credentials of a container.
pub(super) fn metadata(request: &Request) -> Response {
    const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
    let path = request.uri.path();
    let credentials = || {
        let credentials = json!({
            "Code": "Success",
            "AccessKeyId": INSTANCE_KEY,
            "SecretAccessKey": INSTANCE_SECRET,
            "Token": INSTANCE_TOKEN,
            "Expiration": "2099-01-01T00:00:00Z",
        });
        response(200, credentials.to_string())
    };
    if path == "/latest/container" {
        return credentials();
    }
    if request.method == "PUT" && path == "/latest/api/token" {
        return response(200, METADATA_TOKEN);
    }
    if request.header("x-aws-ec2-metadata-token") != Some(METADATA_TOKEN) {
        return response(401, "");
    }
    match path.strip_prefix(ROLES) {
        Some("") => response(200, "role"),
        Some("role") => credentials(),
        _ => response(404, ""),
    }
}
