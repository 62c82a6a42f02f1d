//! The certificates of endpoints over https and wss.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nexum_host_chain::{Endpoints, RequestError, TlsFault};
use nexum_testing::Node;
use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinSet, spawn_blocking};
use tokio_rustls::TlsAcceptor;

use crate::support::{config, request};

/// The variable with the requests for the child process, and their expected outcomes: one URL and
/// one outcome per line.
const ROWS: &str = "NEXUM_CHAIN_TEST_TLS";

/// The longest handshake of the child: far longer than one on loopback.
const TIMEOUT_MS: u64 = 10_000;

struct Authority(Issuer<'static, KeyPair>, Certificate);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self(Issuer::new(params, key), certificate)
    }

    /// Writes the certificate for `SSL_CERT_FILE`.
    fn write(&self, path: &Path) {
        let body = STANDARD.encode(self.1.der());
        let pem = format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
        std::fs::write(path, pem).unwrap();
    }

    /// A TLS server with a certificate for this name, in front of the node. Returns its port.
    async fn serve(&self, name: &str, is_expired: bool, node: &Node, tasks: &mut JoinSet<()>) -> u16 {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if is_expired {
            params.not_after = date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let config = config.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let to = node
            .http_url()
            .trim_start_matches("http://")
            .trim_end_matches('/')
            .to_owned();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, to) = (acceptor.clone(), to.clone());
                connections.spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let mut node = TcpStream::connect(to).await.unwrap();
                    let _ = copy_bidirectional(&mut stream, &mut node).await;
                });
            }
        });
        port
    }
}

/// Sends one request to each endpoint.
async fn ask(rows: &str) {
    for row in rows.lines() {
        let (url, expected) = row.split_once(' ').unwrap();
        let mut config = config(url);
        config.retries = 0;
        config.request_timeout_ms = TIMEOUT_MS;
        let answer = Endpoints::new(&config).request(&request("eth_blockNumber", "[]")).await;
        let outcome = answer.map_or_else(|error| error.to_string(), |result| result.get().to_owned());
        assert_eq!(outcome, expected, "{url}");
    }
}

/// The test starts itself as a child process, because all threads of a process share one
/// environment.
#[tokio::test]
async fn https_and_wss_trust_the_certificates_of_the_environment() {
    if let Some(rows) = std::env::var_os(ROWS) {
        return ask(rows.to_str().unwrap()).await;
    }
    let node = Node::start().await;
    node.mine(42);
    let mut tasks = JoinSet::new();
    let (trusted, untrusted) = (Authority::new("trusted"), Authority::new("untrusted"));
    let good = trusted.serve("localhost", false, &node, &mut tasks).await;
    let fault = |fault| RequestError::Tls(fault).to_string();
    let outcomes = [
        (good, "\"0x2a\"".to_owned()),
        (
            trusted.serve("other.example", false, &node, &mut tasks).await,
            fault(TlsFault::Name),
        ),
        (
            trusted.serve("localhost", true, &node, &mut tasks).await,
            fault(TlsFault::Time),
        ),
        (
            untrusted.serve("localhost", false, &node, &mut tasks).await,
            fault(TlsFault::Issuer),
        ),
    ];
    let dir = tempfile::tempdir().unwrap();
    let (file, missing) = (dir.path().join("ca.pem"), dir.path().join("missing.pem"));
    trusted.write(&file);
    let row = |(port, outcome): &(u16, String)| {
        let urls = ["https", "wss"].map(|scheme| format!("{scheme}://localhost:{port} {outcome}\n"));
        urls.concat()
    };
    let rows: String = outcomes.iter().map(row).collect();
    for (file, rows) in [(file, rows), (missing, row(&(good, fault(TlsFault::NoRoots))))] {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args([
                "--exact",
                "tls::https_and_wss_trust_the_certificates_of_the_environment",
                "--nocapture",
            ])
            .env("SSL_CERT_FILE", &file)
            .env_remove("SSL_CERT_DIR")
            .env(ROWS, rows);
        let output = spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
