//! The parts of a request besides its JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use nexum_host_chain::{ChainConfig, EndpointConfig, EndpointUrl, Endpoints, HttpHeaders, RequestError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{CHAIN, request};

/// The configuration of an endpoint on this listener, with headers.
fn endpoint(scheme: &str, listener: &TcpListener) -> ChainConfig {
    let url = format!("{scheme}://user:pass%2Fword@{}/path", listener.local_addr().unwrap());
    let mut endpoint = EndpointConfig::from(EndpointUrl::parse(&url).unwrap());
    let headers = [("X-Api-Key", "topsecret"), ("origin", "https://nexum.example")];
    let headers = BTreeMap::from(headers.map(|(name, value)| (name.to_owned(), value.to_owned())));
    endpoint.headers = HttpHeaders::new(&headers).unwrap();
    let mut config = ChainConfig::new(CHAIN, endpoint);
    config.retries = 0;
    config
}

/// Reads one http request, and sends this answer. Returns the request's text.
pub(crate) async fn serve(stream: &mut TcpStream, answer: &str) -> String {
    let mut text = Vec::new();
    let mut piece = [0; 4_096];
    loop {
        let read = stream.read(&mut piece).await.unwrap();
        text.extend_from_slice(&piece[..read]);
        let head = String::from_utf8_lossy(&text).into_owned();
        if let Some((head, body)) = head.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                break;
            }
        }
        assert!(read > 0, "half a request");
    }
    stream.write_all(answer.as_bytes()).await.unwrap();
    String::from_utf8(text).unwrap().to_lowercase()
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn headers_go_with_http_requests_and_ws_handshakes() {
    for (scheme, answer) in [
        ("http", ok("{}")),
        ("ws", "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n".to_owned()),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoints = Endpoints::new(&endpoint(scheme, &listener));
        let call = request("eth_call", "[]");
        let served = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            serve(&mut stream, &answer).await
        };
        let (failed, seen) = tokio::join!(endpoints.request(&call), served);
        failed.unwrap_err();
        for header in [
            "x-api-key: topsecret\r\n",
            "origin: https://nexum.example\r\n",
            // From the URL: base64 of `user:pass/word`, in lower case like the whole text.
            "authorization: basic dxnlcjpwyxnzl3dvcmq=\r\n",
        ] {
            assert!(seen.contains(header), "{scheme}: {seen}");
        }
    }
}

#[tokio::test]
async fn a_retry_after_may_be_a_date() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoints = Endpoints::new(&endpoint("http", &listener));
    let call = request("eth_call", "[]");
    let limited = "HTTP/1.1 429 Too Many Requests\r\ndate: Wed, 21 Oct 2015 07:28:00 GMT\r\n\
                   retry-after: Wed, 21 Oct 2015 07:28:07 GMT\r\ncontent-length: 0\r\n\r\n";
    let served = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        serve(&mut stream, &ok(r#"{"jsonrpc":"2.0","id":0,"result":"0xaa36a7"}"#)).await;
        serve(&mut stream, limited).await
    };
    let (answer, _) = tokio::join!(endpoints.request(&call), served);
    let expected = RequestError::Status {
        status: 429,
        retry_after: Some(Duration::from_secs(7)),
        message: None,
    };
    assert_eq!(answer.unwrap_err(), expected);
}
