//! Signers of clouds, against a server that checks each request as the clouds do. They were never run
//! against the clouds themselves.

mod config;
mod credentials;

use std::sync::Arc;

use alloy_primitives::hex;
use nexum_accounts::{Account, Cloud, KMS_BYTES_MAX, Preimage, SignError, SignerKind};
use nexum_config::causes::Causes;
use nexum_testing::{Kms, KmsFault, KmsOperation, WAIT_MAX};
use tempfile::TempDir;

use crate::support::{ADDRESS, KEY, OTHER, account_in};

const CLOUDS: [Cloud; 2] = [Cloud::Aws, Cloud::Gcp];

/// A part of the path of each file with credentials, which no text shows.
const HIDDEN: &str = "hidden-credentials";

async fn start() -> Kms {
    Kms::start(hex::decode(KEY).unwrap().as_slice().try_into().unwrap()).await
}

/// An account with a key of the server, its file of credentials, and more keys of `signer`.
fn account_with(cloud: Cloud, kms: &Kms, keys: &str) -> (Arc<Account>, TempDir) {
    let directory = TempDir::new().unwrap();
    let credentials = match cloud {
        Cloud::Gcp => kms.service_account_json(),
        _ => aws_file(Kms::ACCESS_KEY, Kms::SECRET),
    };
    std::fs::write(directory.path().join(HIDDEN), credentials).unwrap();
    let keys = format!(", credentials_file = \"{HIDDEN}\"{keys}");
    let account = account_in(directory.path(), &text(cloud, ADDRESS, &kms.url(), &keys), &[]);
    (account, directory)
}

fn account(cloud: Cloud, kms: &Kms) -> (Arc<Account>, TempDir) {
    account_with(cloud, kms, "")
}

fn text(cloud: Cloud, address: &str, url: &str, keys: &str) -> String {
    let key = match cloud {
        Cloud::Gcp => format!("gcp_kms = \"{}\"", Kms::NAME),
        _ => format!("aws_kms = \"{}\"", Kms::ARN),
    };
    format!("[accounts.a]\naddress = \"{address}\"\nsigner = {{ {key}, endpoint = \"{url}\"{keys} }}\n")
}

fn aws_file(id: &str, secret: &str) -> String {
    format!("[default]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n")
}

async fn sign(account: &Account) -> Result<(), SignError> {
    let message = Preimage::of_message(b"hello");
    let signature = tokio::time::timeout(WAIT_MAX, account.sign(&message)).await.unwrap()?;
    assert_eq!(signature.normalize_s(), None, "a low s");
    assert_eq!(signature.recover_address_from_msg(b"hello").unwrap(), account.address());
    assert!(matches!(signature.as_bytes()[64], 27 | 28));
    Ok(())
}

/// Signs, and returns the error. No text of it has a secret.
async fn failure(account: &Account) -> SignError {
    let error = sign(account).await.unwrap_err();
    let shown = format!("{} {error:?} {account:?}", Causes(&error));
    for secret in [Kms::SECRET, &Kms::SECRET[..10], "PRIVATE KEY", "token-of"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(!error.to_string().contains(HIDDEN), "{error}");
    error
}

#[tokio::test]
async fn a_key_of_a_cloud_signs_the_digest_and_its_address_is_compared_once() {
    for cloud in CLOUDS {
        let kms = start().await;
        let (account, _directory) = account(cloud, &kms);
        assert_eq!(account.signer(), SignerKind::Kms(cloud));
        assert_eq!(account.endpoint(), Some(kms.url()));
        for _ in 0..2 {
            sign(&account).await.unwrap();
        }
        let caller = match cloud {
            Cloud::Gcp => Kms::SERVICE_ACCOUNT,
            _ => Kms::ACCESS_KEY,
        };
        let received = kms.received();
        let operations: Vec<_> = received.iter().map(|request| request.operation).collect();
        let once = [KmsOperation::PublicKey, KmsOperation::Sign, KmsOperation::Sign];
        assert_eq!(operations, once);
        assert!(received.iter().all(|request| request.caller == caller), "{received:?}");
        assert!(kms.refusals().is_empty());
    }
}

#[tokio::test]
async fn a_high_s_becomes_a_low_one() {
    for cloud in CLOUDS {
        let kms = start().await;
        let (account, _directory) = account(cloud, &kms);
        kms.set_fault(Some((KmsOperation::Sign, KmsFault::HighS)));
        sign(&account).await.unwrap();
    }
}

#[tokio::test]
async fn a_signature_that_is_not_by_the_key_over_the_digest_is_refused() {
    let n = hex!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
    let integers = |r: &[u8], s: &[u8]| {
        let integer = |bytes: &[u8]| [&[2, u8::try_from(bytes.len()).unwrap()], bytes].concat();
        let both = [integer(r), integer(s)].concat();
        [&[0x30, u8::try_from(both.len()).unwrap()], &*both].concat()
    };
    let malformed = "the signer's answer is malformed";
    let wrong = "the signature does not recover to the account's address";
    let cases = [
        (KmsFault::OtherKey, wrong),
        (KmsFault::OtherDigest, wrong),
        (KmsFault::Bytes(integers(&[1], &[1])), wrong),
        (KmsFault::Bytes(Vec::new()), malformed),
        (KmsFault::Bytes(b"garbage".to_vec()), malformed),
        (KmsFault::Bytes(vec![0x30]), malformed),
        (KmsFault::Bytes(vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), malformed),
        (KmsFault::Bytes(vec![0x30, 0x80, 2, 1, 1, 2, 1, 1, 0, 0]), malformed),
        (KmsFault::Bytes(integers(&[0], &[1])), malformed),
        (KmsFault::Bytes(integers(&[1], &[0])), malformed),
        (KmsFault::Bytes(integers(&[0xff], &[1])), malformed),
        (KmsFault::Bytes(integers(&[&[0], &n[..]].concat(), &[1])), malformed),
        (KmsFault::Bytes([integers(&[1], &[1]), vec![0]].concat()), malformed),
        (KmsFault::Bytes(vec![0x30; 9_000]), malformed),
    ];
    for cloud in CLOUDS {
        let kms = start().await;
        let (account, _directory) = account(cloud, &kms);
        for (fault, expected) in &cases {
            kms.set_fault(Some((KmsOperation::Sign, fault.clone())));
            assert_eq!(failure(&account).await.to_string(), *expected, "{fault:?}");
        }
        kms.set_fault(None);
        sign(&account).await.unwrap();
    }
}

#[tokio::test]
async fn the_public_key_must_have_the_address() {
    // A key of P-256, whose address would be a mistake.
    let p256 = hex!(
        "3059301306072a8648ce3d020106082a8648ce3d030107034200046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
    );
    let mut off_curve = hex!(
        "3056301006072a8648ce3d020106052b8104000a034200044e3b81af9c2234cad09d679ce6035ed1392347ce64ce405f5dcd36228a25de6e47fd35c4215d1edf53e6f83de344615ce719bdb0fd878f6ed76f06dd277956de"
    );
    off_curve[87] ^= 1;
    let no_key = "the signer's key is not a key of secp256k1";
    for cloud in CLOUDS {
        let kms = start().await;
        let (account, _directory) = account(cloud, &kms);
        for bytes in [&p256[..], &off_curve, &off_curve[..87], &[], b"garbage", &[0x30; 9_000]] {
            kms.set_fault(Some((KmsOperation::PublicKey, KmsFault::Bytes(bytes.to_vec()))));
            assert_eq!(failure(&account).await.to_string(), no_key);
        }
        kms.set_fault(Some((KmsOperation::PublicKey, KmsFault::OtherKey)));
        let error = failure(&account).await;
        assert!(matches!(error, SignError::Address { expected, .. } if expected == account.address()));
        let signed = kms
            .received()
            .iter()
            .any(|request| request.operation == KmsOperation::Sign);
        assert!(!signed, "a signature before the address is known");
        kms.set_fault(None);
        sign(&account).await.unwrap();

        // The operator has written another address.
        let text = text(cloud, OTHER, &kms.url(), &format!(", credentials_file = \"{HIDDEN}\""));
        let other = account_in(_directory.path(), &text, &[]);
        let expected = format!("the signer has the key of {ADDRESS}, and the account's address is {OTHER}");
        assert_eq!(failure(&other).await.to_string(), expected);
    }
}

#[tokio::test]
async fn an_error_of_the_cloud_is_classified_and_has_its_name_alone() {
    let aws = |code: &str| format!("{{\"__type\": \"{code}\", \"message\": \"token-of\"}}");
    let gcp = |code: &str| format!("{{\"error\": {{\"status\": \"{code}\", \"message\": \"token-of\"}}}}");
    let throttled = |status: u16| {
        format!("the signer limits the requests (status {status}): raise the quota of the cloud, or sign less")
    };
    let status = |status: u16| format!("the signer answered with status {status}");
    let malformed = "the signer's answer is malformed".to_owned();
    let denied = "the signer refused with AccessDeniedException (status 400)".to_owned();
    let long = "x".repeat(65);
    let of_aws = [
        (400, aws("AccessDeniedException"), denied.clone()),
        (400, aws("com.amazonaws.kms#AccessDeniedException"), denied),
        (400, aws("ThrottlingException"), throttled(400)),
        (429, aws("TooManyRequests"), throttled(429)),
        (500, aws("KMSInternalException"), status(500)),
        (400, aws("token-of me"), status(400)),
        (400, aws(&long), status(400)),
    ];
    let denied = "the signer refused with PERMISSION_DENIED (status 403)".to_owned();
    let of_gcp = [
        (403, gcp("PERMISSION_DENIED"), denied),
        (429, gcp("RESOURCE_EXHAUSTED"), throttled(429)),
        (503, gcp("UNAVAILABLE"), status(503)),
        (403, gcp("token-of me"), status(403)),
    ];
    let of_both = [
        (400, "<html>".to_owned(), status(400)),
        (429, String::new(), throttled(429)),
        (302, String::new(), status(302)),
        (200, "<html>".to_owned(), malformed.clone()),
        (200, "{}".to_owned(), malformed.clone()),
        (200, " ".repeat(KMS_BYTES_MAX + 1), malformed.clone()),
        (500, " ".repeat(KMS_BYTES_MAX + 1), malformed),
    ];
    for (cloud, own) in [(Cloud::Aws, &of_aws[..]), (Cloud::Gcp, &of_gcp[..])] {
        let kms = start().await;
        let (account, _directory) = account(cloud, &kms);
        for operation in [KmsOperation::PublicKey, KmsOperation::Sign] {
            for (status, body, expected) in own.iter().chain(&of_both) {
                kms.set_fault(Some((operation, KmsFault::Answer(*status, body.clone()))));
                assert_eq!(failure(&account).await.to_string(), *expected, "{status} {body}");
            }
            // The address is compared only once, so that the second operation is reached.
            kms.set_fault(None);
            sign(&account).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_service_that_hangs_is_a_timeout_and_one_that_is_down_is_unreachable() {
    for cloud in CLOUDS {
        let kms = start().await;
        let (account, directory) = account_with(cloud, &kms, ", timeout_ms = 300");
        for operation in [KmsOperation::PublicKey, KmsOperation::Sign] {
            kms.set_fault(Some((operation, KmsFault::Hang)));
            let error = failure(&account).await;
            assert!(matches!(error, SignError::Timeout { timeout_ms: 300 }), "{error}");
            kms.set_fault(None);
            sign(&account).await.unwrap();
        }
        let url = kms.url();
        drop(kms);
        let keys = format!(", credentials_file = \"{HIDDEN}\"");
        let account = account_in(directory.path(), &text(cloud, ADDRESS, &url, &keys), &[]);
        let error = failure(&account).await;
        assert!(matches!(error, SignError::Unreachable { .. }), "{error}");
    }
}
