use alloy_primitives::{B256, Signature, b256, hex};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nexum_testing::{Kms, KmsFault, KmsOperation, KmsRequest};
use serde_json::{Value, json};

const KEY: B256 = b256!("4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318");

/// The public key as `openssl ec -pubout -outform DER` writes it.
const PUBLIC_KEY: &str = "3056301006072a8648ce3d020106052b8104000a034200044e3b81af9c2234cad09d679ce6035ed1392347ce64ce405f5dcd36228a25de6e47fd35c4215d1edf53e6f83de344615ce719bdb0fd878f6ed76f06dd277956de";

/// The request for the public key, signed by botocore.
const BOTOCORE: [(&str, &str); 5] = [
    ("content-type", "application/x-amz-json-1.1"),
    ("host", "kms.eu-central-1.amazonaws.com"),
    ("x-amz-date", "20261130T120000Z"),
    ("x-amz-target", "TrentService.GetPublicKey"),
    (
        "authorization",
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261130/eu-central-1/kms/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=eb6e1aef99f07695e4ac71a1379ebec031fcfb8ff79dcf7dea735f101968ae5b",
    ),
];

fn body() -> String {
    json!({"KeyId": Kms::ARN}).to_string()
}

async fn send(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap())
}

fn client() -> reqwest::Client {
    nexum_net::http_client().no_proxy().build().unwrap()
}

async fn post(kms: &Kms, headers: &[(&str, &str)], body: String) -> (u16, Value) {
    let request = headers.iter().fold(client().post(kms.url()), |request, (name, value)| {
        request.header(*name, *value)
    });
    send(request.body(body)).await
}

/// Asks Google's method of the key with the token.
async fn ask(kms: &Kms, suffix: &str, token: &str, body: Option<Value>) -> (u16, Value) {
    let url = format!("{}/v1/{}{suffix}", kms.url(), Kms::NAME);
    let request = match body {
        Some(body) => client().post(url).body(body.to_string()),
        None => client().get(url),
    };
    send(request.bearer_auth(token)).await
}

async fn instance_token(kms: &Kms) -> String {
    let url = format!(
        "{}/computeMetadata/v1/instance/service-accounts/default/token",
        kms.url()
    );
    let (_, token) = send(client().get(url).header("metadata-flavor", "Google")).await;
    token["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn aws_takes_a_request_that_another_library_has_signed() {
    let kms = Kms::start(KEY).await;
    let (status, answer) = post(&kms, &BOTOCORE, body()).await;
    assert_eq!(status, 200, "{answer}");
    let der = STANDARD.decode(answer["PublicKey"].as_str().unwrap()).unwrap();
    assert_eq!(hex::encode(der), PUBLIC_KEY);
    let caller = Kms::ACCESS_KEY.to_owned();
    let operation = KmsOperation::PublicKey;
    assert_eq!(kms.received(), [KmsRequest { operation, caller }]);
    assert!(kms.refusals().is_empty());
}

#[tokio::test]
async fn aws_refuses_a_request_that_is_not_signed_or_was_changed() {
    let kms = Kms::start(KEY).await;
    let changed = |index: usize, change: fn(&str) -> String| {
        let mut headers = BOTOCORE.map(|(name, value)| (name, value.to_owned()));
        headers[index].1 = change(&headers[index].1);
        headers
    };
    let signed = BOTOCORE.map(|(name, value)| (name, value.to_owned()));
    let mut cases = vec![
        (signed[..4].to_vec(), body(), "MissingAuthenticationTokenException"),
        (signed.to_vec(), format!("{} ", body()), "InvalidSignatureException"),
    ];
    type Change = (usize, fn(&str) -> String, &'static str);
    let changes: [Change; 7] = [
        (0, |_| "text/plain".to_owned(), "InvalidSignatureException"),
        (2, |_| "20261130T120001Z".to_owned(), "InvalidSignatureException"),
        (2, |_| "20261201T120000Z".to_owned(), "InvalidSignatureException"),
        (3, |_| "TrentService.Sign".to_owned(), "InvalidSignatureException"),
        (4, |text| text.replace(";x-amz-target", ""), "InvalidSignatureException"),
        (
            4,
            |text| text.replace(Kms::ACCESS_KEY, "AKIDOTHER"),
            "UnrecognizedClientException",
        ),
        (
            4,
            |text| text.replace(", Signature=", ", Sig="),
            "IncompleteSignatureException",
        ),
    ];
    for (index, change, code) in changes {
        cases.push((changed(index, change).to_vec(), body(), code));
    }
    for (headers, body, code) in cases {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let (status, answer) = post(&kms, &headers, body).await;
        assert!((400..404).contains(&status), "{status}");
        assert_eq!(answer["__type"], code, "{headers:?}");
        assert_eq!(kms.refusals().last(), Some(&code));
    }
    assert!(kms.received().is_empty());
}

#[tokio::test]
async fn google_refuses_a_request_without_its_token() {
    let kms = Kms::start(KEY).await;
    let part = |value: Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
    let scope = "https://www.googleapis.com/auth/cloud-platform";
    let claims = json!({"iss": Kms::SERVICE_ACCOUNT, "iat": 1, "exp": 2, "scope": scope});
    let forged = format!(
        "{}.{}.{}",
        part(json!({"alg": "RS256"})),
        part(claims),
        part(json!("signature"))
    );
    for token in ["", "other", &forged] {
        let (status, answer) = ask(&kms, "/publicKey", token, None).await;
        assert_eq!((status, &answer["error"]["status"]), (401, &json!("UNAUTHENTICATED")));
    }
    assert!(kms.received().is_empty());
    let token = instance_token(&kms).await;
    let (status, answer) = ask(&kms, "/publicKey", &token, None).await;
    assert_eq!(status, 200);
    let pem = answer["pem"].as_str().unwrap();
    let digits: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    assert_eq!(hex::encode(STANDARD.decode(digits).unwrap()), PUBLIC_KEY);
}

#[tokio::test]
async fn signs_the_digest_and_a_fault_changes_the_signature() {
    let kms = Kms::start(KEY).await;
    let token = instance_token(&kms).await;
    let digest = B256::repeat_byte(0x5a);
    let mut signatures = Vec::new();
    for fault in [
        None,
        Some(KmsFault::HighS),
        Some(KmsFault::OtherKey),
        Some(KmsFault::OtherDigest),
    ] {
        kms.set_fault(fault.map(|fault| (KmsOperation::Sign, fault)));
        let input = json!({"digest": {"sha256": STANDARD.encode(digest)}});
        let (status, answer) = ask(&kms, ":asymmetricSign", &token, Some(input)).await;
        assert_eq!(status, 200, "{answer}");
        let der = STANDARD.decode(answer["signature"].as_str().unwrap()).unwrap();
        let signature = k256::ecdsa::Signature::from_der(&der).unwrap();
        let is_low = signature.normalize_s().is_none();
        let is_ours = [false, true].into_iter().any(|parity| {
            let signature = Signature::from_signature_and_parity(signature, parity);
            signature.recover_address_from_prehash(&digest).ok() == Some(kms.address())
        });
        signatures.push((is_low, is_ours));
    }
    assert_eq!(signatures, [(true, true), (false, true), (true, false), (true, false)]);
    let (status, _) = ask(
        &kms,
        ":asymmetricSign",
        &token,
        Some(json!({"digest": {"sha256": "AAAA"}})),
    )
    .await;
    assert_eq!(status, 400);
}
