//! A signer that answers as a test says, over loopback.

use std::sync::Arc;

use alloy_primitives::{Signature, hex};
use k256::ecdsa::SigningKey;
use nexum_accounts::{Account, Preimage, SignError, SignerKind};
use nexum_config::causes::Causes;
use nexum_testing::WAIT_MAX;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::support::{ADDRESS, KEY, account_in};

const KEYS: &str = "/base/api/v1/eth1/publicKeys";

/// The status and the body of an answer. `None` hangs.
type Answer = Option<(u16, String)>;
type Script = Arc<dyn Fn(&str, &str) -> Answer + Send + Sync>;

struct Server {
    port: u16,
    /// The first line and the body of each request.
    heard: Arc<Mutex<Vec<(String, String)>>>,
    _task: JoinSet<()>,
}

impl Server {
    /// A server that answers the path and the body of each request.
    async fn start(script: impl Fn(&str, &str) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard: Arc<Mutex<Vec<_>>> = Arc::default();
        let (to, script): (_, Script) = (heard.clone(), Arc::new(script));
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut serving = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                serving.spawn(serve(stream, to.clone(), script.clone()));
            }
        });
        Self {
            port,
            heard,
            _task: task,
        }
    }

    fn account(&self) -> Arc<Account> {
        self.account_with("")
    }

    /// An account whose `signer` has these keys too.
    fn account_with(&self, keys: &str) -> Arc<Account> {
        let url = format!("http://user:hunter2@127.0.0.1:{}/base/", self.port);
        let text = format!("[accounts.keeper]\naddress = \"{ADDRESS}\"\nsigner = {{ web3signer = \"{url}\"{keys} }}\n");
        account_in("".as_ref(), &text, &[])
    }
}

async fn serve(mut stream: TcpStream, heard: Arc<Mutex<Vec<(String, String)>>>, script: Script) {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                let line = head.lines().next().unwrap_or_default().to_owned();
                heard.lock().push((line.clone(), body.to_owned()));
                let path = line.split(' ').nth(1).unwrap_or_default();
                let Some((status, answer)) = script(path, body) else {
                    return std::future::pending().await;
                };
                let answer = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{answer}",
                    answer.len()
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
                bytes.clear();
                continue;
            }
        }
        let mut chunk = [0; 4_096];
        match stream.read(&mut chunk).await {
            Ok(read) if read > 0 => bytes.extend_from_slice(&chunk[..read]),
            _ => return,
        }
    }
}

fn key() -> SigningKey {
    SigningKey::from_slice(&hex::decode(KEY).unwrap()).unwrap()
}

/// The public key as Web3Signer lists it: without the prefix 4.
fn public_key() -> String {
    hex::encode_prefixed(&key().verifying_key().to_encoded_point(false).as_bytes()[1..])
}

/// The signature over the data of a request.
fn signature(body: &str) -> Signature {
    let data: serde_json::Value = serde_json::from_str(body).unwrap();
    let data = hex::decode(data["data"].as_str().unwrap()).unwrap();
    let digest = alloy_primitives::keccak256(data);
    key().sign_prehash_recoverable(digest.as_slice()).unwrap().into()
}

fn list() -> Answer {
    Some((200, format!("[\"0x{}\", \"{}\"]", "11".repeat(64), public_key())))
}

/// Signs, and returns the error. No text of it has the URL's secrets.
async fn failure(account: &Account) -> SignError {
    let message = Preimage::of_message(b"hello");
    let sign = account.sign(&message);
    let error = tokio::time::timeout(WAIT_MAX, sign).await.unwrap().unwrap_err();
    let shown = format!("{} {error:?} {account:?}", Causes(&error));
    assert!(!shown.contains("hunter2") && !shown.contains("base"), "{shown}");
    error
}

#[tokio::test]
async fn a_signer_signs_the_preimage_and_the_key_is_looked_up_once() {
    let server = Server::start(|path, body| match path {
        KEYS => list(),
        _ => Some((200, hex::encode_prefixed(signature(body).as_bytes()))),
    })
    .await;
    let account = server.account();
    assert_eq!(account.signer(), SignerKind::Web3Signer);
    let message = Preimage::of_message(b"hello");
    for _ in 0..2 {
        let signature = account.sign(&message).await.unwrap();
        assert_eq!(signature.recover_address_from_msg(b"hello").unwrap(), account.address());
    }
    let heard = server.heard.lock().clone();
    let post = format!("POST /base/api/v1/eth1/sign/{} HTTP/1.1", public_key());
    let lines: Vec<_> = heard.iter().map(|(line, _)| line.as_str()).collect();
    assert_eq!(lines, [&format!("GET {KEYS} HTTP/1.1"), &post, &post]);
    assert_eq!(
        heard[1].1,
        format!("{{\"data\":\"{}\"}}", hex::encode_prefixed(message.bytes()))
    );
}

#[tokio::test]
async fn every_signature_is_verified() {
    let low = |body: &str| signature(body).as_bytes();
    type Change = fn([u8; 65]) -> [u8; 65];
    let accepted: [Change; 2] = [
        |mut bytes| {
            bytes[64] -= 27;
            bytes
        },
        // The other half of the curve, which contracts refuse.
        |bytes| {
            let signature = Signature::from_raw_array(&bytes).unwrap();
            let n = alloy_primitives::U256::from_be_bytes(hex!(
                "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
            ));
            Signature::new(signature.r(), n - signature.s(), !signature.v()).as_bytes()
        },
    ];
    let refused: [Change; 4] = [
        |mut bytes| {
            bytes[64] = 55 - bytes[64];
            bytes
        },
        |mut bytes| {
            bytes[0] ^= 1;
            bytes
        },
        |mut bytes| {
            bytes[40] ^= 1;
            bytes
        },
        |_| {
            let mut zero = [0; 65];
            zero[64] = 27;
            zero
        },
    ];
    for (change, is_accepted) in accepted
        .map(|change| (change, true))
        .into_iter()
        .chain(refused.map(|change| (change, false)))
    {
        let server = Server::start(move |path, body| match path {
            KEYS => list(),
            _ => Some((200, format!("\"{}\"\n", hex::encode_prefixed(change(low(body)))))),
        })
        .await;
        let account = server.account();
        match account.sign(&Preimage::of_message(b"hello")).await {
            Ok(signature) => {
                assert!(is_accepted);
                assert_eq!(signature.normalize_s(), None, "a low s");
                assert_eq!(signature.recover_address_from_msg(b"hello").unwrap(), account.address());
            }
            Err(error) => assert!(!is_accepted && matches!(error, SignError::WrongSignature), "{error}"),
        }
    }
}

#[tokio::test]
async fn a_signature_over_other_bytes_is_refused() {
    let server = Server::start(|path, _| match path {
        KEYS => list(),
        _ => Some((200, hex::encode_prefixed(signature("{\"data\":\"0x1234\"}").as_bytes()))),
    })
    .await;
    assert!(matches!(failure(&server.account()).await, SignError::WrongSignature));
}

#[tokio::test]
async fn a_signer_with_another_answer_is_an_error() {
    let long = format!("[{}]", " ".repeat(nexum_accounts::KEYS_BYTES_MAX));
    for (keys, sign, expected) in [
        (Some((500, String::new())), None, "the signer answered with status 500"),
        (Some((404, String::new())), None, "the signer answered with status 404"),
        (Some((302, String::new())), None, "the signer answered with status 302"),
        (Some((200, "[1]".to_owned())), None, "the signer's answer is malformed"),
        (Some((200, long)), None, "the signer's answer is malformed"),
        (
            Some((200, "[]".to_owned())),
            None,
            "the signer has no key of the account",
        ),
        (
            Some((200, "[\"0x../../evil\"]".to_owned())),
            None,
            "the signer has no key of the account",
        ),
        (
            list(),
            Some((404, String::new())),
            "the signer has no key of the account",
        ),
        (
            list(),
            Some((403, String::new())),
            "the signer answered with status 403",
        ),
        (
            list(),
            Some((200, "0x12".to_owned())),
            "the signer's answer is malformed",
        ),
        (
            list(),
            Some((200, "x".repeat(2_000))),
            "the signer's answer is malformed",
        ),
        (
            list(),
            Some((200, format!("0x{}1d", "11".repeat(64)))),
            "the signer's answer is malformed",
        ),
    ] {
        let server = Server::start(move |path, _| if path == KEYS { keys.clone() } else { sign.clone() }).await;
        assert_eq!(failure(&server.account()).await.to_string(), expected);
    }
}

#[tokio::test]
async fn a_signer_that_hangs_is_a_timeout() {
    for (hangs, requests) in [("publicKeys", 1), ("sign", 2)] {
        let server = Server::start(move |path, _| match path.contains(hangs) {
            true => None,
            false => list(),
        })
        .await;
        let account = server.account_with(", timeout_ms = 300");
        let error = failure(&account).await;
        assert!(matches!(error, SignError::Timeout { timeout_ms: 300 }), "{error}");
        assert_eq!(server.heard.lock().len(), requests);
    }
}

#[tokio::test]
async fn a_signer_that_is_down_is_unreachable() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let text = format!(
        "[accounts.a]\naddress = \"{ADDRESS}\"\nsigner = {{ web3signer = \"http://127.0.0.1:{port}/base\" }}\n"
    );
    let account = account_in("".as_ref(), &text, &[]);
    assert!(matches!(failure(&account).await, SignError::Unreachable { .. }));
}
