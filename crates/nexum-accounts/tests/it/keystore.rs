use alloy_primitives::{Address, eip191_hash_message};
use nexum_accounts::{Preimage, SCRYPT_MEMORY_BYTES_MAX, SignError, SignerKind};
use nexum_config::causes::Causes;
use nexum_testing::Records;

use crate::support::{ADDRESS, KEY, PASSWORD, account_in, data, keystore, keystore_of};

/// The address of the published test vector of the format, with PBKDF2.
const VECTOR: &str = "0x008AeEda4D805471dF9b2A5B0f38A0C3bCBA786b";

/// Signs, and returns the error with its causes.
async fn failure(json: &str, address: &str, password: &str) -> String {
    let (account, _files) = keystore_of(json, address, password);
    let error = account
        .sign(&Preimage::of_message(b"hello"))
        .await
        .expect_err("an error");
    assert!(matches!(error, SignError::Keystore(_)), "{error:?}");
    let shown = Causes(&error).to_string();
    for secret in [KEY, password] {
        assert!(
            !shown.contains(secret) && !format!("{error:?} {account:?}").contains(secret),
            "{shown}"
        );
    }
    shown
}

#[tokio::test]
async fn keystores_of_geth_foundry_and_pbkdf2_open() {
    for (file, address, password) in [
        ("geth.json", "0x7EF5A6135f1FD6a02593eEdC869c6D41D934aef8", "foobar"),
        ("geth-standard.json", ADDRESS, "test!"),
        ("pbkdf2.json", VECTOR, "testpassword\n"),
        ("foundry.json", ADDRESS, "correct horse\r\n"),
    ] {
        let (account, _files) = keystore(file, address, password);
        let message = Preimage::of_message(b"hello");
        assert_eq!(message.digest(), eip191_hash_message(b"hello"));
        let signature = account
            .sign(&message)
            .await
            .unwrap_or_else(|error| panic!("{file}: {}", Causes(&error)));
        let address: Address = address.parse().unwrap();
        assert_eq!(signature.recover_address_from_msg(b"hello").unwrap(), address, "{file}");
        assert!(matches!(signature.as_bytes()[64], 27 | 28));
        assert_eq!(signature.normalize_s(), None, "a low s");
        assert_eq!((account.address(), account.signer()), (address, SignerKind::Keystore));
        // RFC 6979: equal bytes have equal signatures.
        assert_eq!(account.sign(&message).await.unwrap(), signature);
    }
}

#[tokio::test]
async fn a_keystore_that_does_not_fit_says_why() {
    let json = std::fs::read_to_string(data("foundry.json")).unwrap();
    let cannot = "the account's keystore cannot be opened: ";
    let wrong = failure(&json, ADDRESS, "wrong horse").await;
    assert_eq!(wrong, format!("{cannot}the password does not open the keystore"));
    let other = failure(&json, VECTOR, PASSWORD).await;
    assert_eq!(
        other,
        format!("{cannot}the keystore has the key of {ADDRESS}, and the account's address is {VECTOR}")
    );
    let long = "x".repeat(4_097);
    let long = failure(&json, ADDRESS, &long).await;
    assert_eq!(long, format!("{cannot}the password file is larger than 4096 bytes"));
}

#[tokio::test]
async fn a_broken_keystore_is_an_error() {
    let json = std::fs::read_to_string(data("foundry.json")).unwrap();
    let memory = 128 * 8 * 2 * (SCRYPT_MEMORY_BYTES_MAX / (128 * 8));
    assert!(memory > SCRYPT_MEMORY_BYTES_MAX);
    let n = format!("\"n\":{}", memory / (128 * 8));
    for (from, to) in [
        ("\"version\":3", "\"version\":1"),
        ("aes-128-ctr", "aes-256-gcm"),
        ("\"dklen\":32", "\"dklen\":8"),
        ("\"dklen\":32", "\"dklen\":\"4c0883a6\""),
        ("\"n\":8192", "\"n\":8191"),
        ("\"n\":8192", "\"n\":0"),
        ("\"n\":8192", &n),
        ("\"n\":8192", "\"n\":18446744073709551615"),
        ("\"r\":8", "\"r\":0"),
        ("\"p\":1", "\"p\":1000000"),
        ("f86db2f961ea2e4b2ad27e0f47d65fae", "f86d"),
        ("f86db2f961ea2e4b2ad27e0f47d65fae", "no hex"),
        ("ce340f30", ""),
        ("0fd3e042", ""),
        ("\"kdf\":\"scrypt\"", "\"kdf\":\"argon2\""),
        ("\"kdf\":\"scrypt\"", "\"kdf\":\"pbkdf2\""),
        ("\"crypto\"", "\"cripto\""),
        ("}", ""),
    ] {
        let broken = json.replace(from, to);
        assert_ne!(broken, json, "{from}");
        let shown = failure(&broken, ADDRESS, PASSWORD).await;
        assert!(shown.contains("is not a version 3 keystore: "), "{from}: {shown}");
    }
    // The MAC covers the ciphertext.
    let shown = failure(&json.replace("ce340f30", "ce340f31"), ADDRESS, PASSWORD).await;
    assert!(shown.ends_with("the password does not open the keystore"), "{shown}");
}

#[tokio::test]
async fn a_missing_file_is_an_error() {
    let text =
        format!("[accounts.a]\naddress = \"{ADDRESS}\"\nsigner = {{ keystore = \"absent\", password_file = \"/\" }}\n");
    let account = account_in("/nowhere".as_ref(), &text, &[]);
    let error = account.sign(&Preimage::of_message(b"")).await.unwrap_err();
    let shown = Causes(&error).to_string();
    assert!(
        shown.contains("the keystore file cannot be read: entity not found") && !shown.contains("nowhere"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_keystore_from_variables_opens() {
    let json = std::fs::read_to_string(data("foundry.json")).unwrap();
    let text = format!(
        "[accounts.a]\naddress = \"{ADDRESS}\"\nallow_env_key = true\n\
         signer = {{ keystore_json = \"${{KEYSTORE}}\", password = \"${{WORD}}\" }}\n"
    );
    let account = account_in("".as_ref(), &text, &[("KEYSTORE", &json), ("WORD", PASSWORD)]);
    let signature = account.sign(&Preimage::of_message(b"hello")).await.unwrap();
    assert_eq!(signature.recover_address_from_msg(b"hello").unwrap(), account.address());
}

/// One thread runs the decryption and the assertion, so that the log is captured.
#[test]
fn the_log_names_the_account_and_no_secret() {
    let (records, _capture) = Records::capture();
    let dispatch = tracing::dispatcher::get_default(Clone::clone);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .on_thread_start(move || std::mem::forget(tracing::dispatcher::set_default(&dispatch)))
        .build()
        .unwrap();
    let (account, _files) = keystore("foundry.json", ADDRESS, "wrong horse");
    let sign = async move { account.sign(&Preimage::of_message(b"hello")).await };
    runtime.block_on(sign).unwrap_err();
    let record = records.find("the keystore cannot be opened").expect("a record");
    assert_eq!(record.fields["account"], "keeper");
    assert_eq!(record.fields["error"], "the password does not open the keystore");
    assert!(!format!("{:?}", records.all()).contains("wrong horse"));
}
