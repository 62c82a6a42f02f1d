//! The certificate of a server must match the requested host.

use std::sync::Arc;

use nexum_core::bindings::nexum::host::types::HostErrorKind;
use nexum_host_http::{FetchError, HttpConfig, TlsFault};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use reqwest::Certificate;
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::server::{Server, answer, redirect};
use crate::support::{fetcher, get, open};

/// A server with a self-signed certificate for these names, which is returned too.
async fn server(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> (Server, Certificate) {
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    let server = Server::start_with(Some(TlsAcceptor::from(Arc::new(config))), |heard| {
        match heard.path.as_str() {
            "/down" => redirect(302, "http://localhost:1/"),
            _ => answer(200, &[], "over TLS"),
        }
    });
    (server.await, Certificate::from_der(certificate.der()).unwrap())
}

/// An operator that allows the server at its private address, but not without TLS.
fn config(server: &Server) -> HttpConfig {
    let mut config = open(&[&format!("localhost:{}", server.port), "localhost:1"]);
    config.policy.allow_http = Vec::new();
    config
}

fn url(server: &Server) -> String {
    format!("https://localhost:{}/", server.port)
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_unavailable_and_says_so() {
    let (server, _) = server(&["localhost"], |_| {}).await;
    let error = get(&fetcher(&config(&server)), &url(&server)).await.unwrap_err();
    assert_eq!(error, FetchError::Tls(TlsFault::Issuer));
    let seen = error.to_host_error();
    assert_eq!(seen.kind, HostErrorKind::Unavailable);
    assert_eq!(seen.message, "the host has a certificate from an untrusted issuer");
    assert!(server.heard().is_empty());
}

#[tokio::test]
async fn a_certificate_that_is_trusted_is_read_for_its_name_and_time() {
    type Change = fn(&mut CertificateParams);
    let rows: [(&[&str], Change, Option<TlsFault>); 5] = [
        (&["localhost"], |_| {}, None),
        (&["other.example"], |_| {}, Some(TlsFault::Name)),
        (&["127.0.0.1"], |_| {}, Some(TlsFault::Name)),
        (
            &["localhost"],
            |params| params.not_after = date_time_ymd(2020, 1, 1),
            Some(TlsFault::Time),
        ),
        (
            &["localhost"],
            |params| params.not_before = date_time_ymd(4000, 1, 1),
            Some(TlsFault::Time),
        ),
    ];
    for (names, change, fault) in rows {
        let (server, certificate) = server(names, change).await;
        let mut config = config(&server);
        config.certificates = vec![certificate];
        let fetched = get(&fetcher(&config), &url(&server)).await;
        match fault {
            None => assert_eq!(fetched.unwrap().body, b"over TLS"),
            Some(fault) => assert_eq!(fetched.unwrap_err(), FetchError::Tls(fault), "{names:?}"),
        }
        assert_eq!(server.heard().len(), usize::from(fault.is_none()), "{names:?}");
    }
}

#[tokio::test]
async fn a_host_without_tls_is_not_spoken_to_without_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut heard = JoinSet::new();
    heard.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 X\r\n\r\n").await.unwrap();
        let mut bytes = Vec::new();
        // The connection may be reset, because the server's data was not read.
        let _ = stream.read_to_end(&mut bytes).await;
        bytes
    });
    let mut config = open(&[&format!("localhost:{port}")]);
    config.policy.allow_http = Vec::new();
    let error = get(&fetcher(&config), &format!("https://localhost:{port}/a-path"))
        .await
        .unwrap_err();
    assert_eq!(error, FetchError::Tls(TlsFault::Protocol));
    assert_eq!(error.to_host_error().kind, HostErrorKind::Unavailable);
    let heard = heard.join_next().await.unwrap().unwrap();
    assert!(!heard.windows(6).any(|window| window == b"a-path"));
}

#[tokio::test]
async fn a_redirect_from_https_to_http_is_refused() {
    let (server, certificate) = server(&["localhost"], |_| {}).await;
    let mut config = config(&server);
    config.certificates = vec![certificate];
    let error = get(&fetcher(&config), &format!("{}down", url(&server)))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "after a redirect: the operator does not allow http without TLS to the destination"
    );
}
