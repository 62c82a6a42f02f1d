//! TLS in front of a test's server, with certificates of the test's own authority.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinSet, spawn_blocking};
use tokio_rustls::TlsAcceptor;

/// The variable that contains the input of a test that [`run_trusting`] runs.
const INPUT: &str = "NEXUM_TEST_TLS_INPUT";

/// An authority that signs certificates.
pub struct Authority(Issuer<'static, KeyPair>, Certificate);

/// A TLS server in front of another server. It stops when it is dropped.
pub struct TlsServer {
    port: u16,
    _connections: JoinSet<()>,
}

impl Authority {
    /// Creates an authority.
    ///
    /// # Panics
    ///
    /// If there is no entropy for a key.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self(Issuer::new(params, key), certificate)
    }

    /// Writes the authority's certificate for `SSL_CERT_FILE`.
    ///
    /// # Panics
    ///
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) {
        write_pem(path, "CERTIFICATE", self.1.der());
    }

    /// Writes a certificate for the host `name`, and its key, for a server that reads files.
    ///
    /// # Panics
    ///
    /// If `name` is no host name, or a file cannot be written.
    pub fn write_for(&self, name: &str, certificate_file: &Path, key_file: &Path) {
        let (certificate, key) = self.issue(name, false);
        write_pem(certificate_file, "CERTIFICATE", certificate.der());
        write_pem(key_file, "PRIVATE KEY", &key.serialize_der());
    }

    /// Starts a server with a certificate for `name`, in front of the server at `url`.
    ///
    /// # Panics
    ///
    /// If `name` is no host name, or no loopback port is free.
    pub async fn serve(&self, name: &str, is_expired: bool, url: &str) -> TlsServer {
        let (certificate, key) = self.issue(name, is_expired);
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("a version of TLS")
            .with_no_client_auth();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let config = config.with_single_cert(vec![certificate.der().clone()], key);
        let acceptor = TlsAcceptor::from(Arc::new(config.expect("a configuration")));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        let port = listener.local_addr().expect("a bound socket").port();
        let to = url.split('/').nth(2).expect("a host and a port").to_owned();
        let mut connections = JoinSet::new();
        connections.spawn(forward(listener, acceptor, to));
        TlsServer {
            port,
            _connections: connections,
        }
    }

    fn issue(&self, name: &str, is_expired: bool) -> (Certificate, KeyPair) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a host name");
        if is_expired {
            params.not_after = date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        (certificate, key)
    }
}

impl TlsServer {
    /// The port of the server on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }
}

fn write_pem(path: &Path, label: &str, der: &[u8]) {
    let body = STANDARD.encode(der);
    let pem = format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
    std::fs::write(path, pem).expect("a written file");
}

async fn forward(listener: TcpListener, acceptor: TlsAcceptor, to: String) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, to) = (acceptor.clone(), to.clone());
        connections.spawn(async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            let mut server = TcpStream::connect(to).await.expect("a connection to the server");
            // A broken connection is the client's business.
            let _ = copy_bidirectional(&mut stream, &mut server).await;
        });
    }
}

/// The input of this process, if it is one that [`run_trusting`] started.
///
/// # Panics
///
/// If the input is not UTF-8.
pub fn input() -> Option<String> {
    std::env::var_os(INPUT).map(|input| input.into_string().expect("UTF-8"))
}

/// Runs the test called `test` of this binary in another process, whose `SSL_CERT_FILE` is `roots`. A process has one
/// environment for all of its threads.
///
/// # Panics
///
/// If the test fails.
pub async fn run_trusting(roots: &Path, test: &str, input: &str) {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command
        .args(["--exact", test, "--nocapture"])
        .env("SSL_CERT_FILE", roots)
        .env_remove("SSL_CERT_DIR")
        .env(INPUT, input);
    let output = spawn_blocking(move || command.output().expect("the other process")).await;
    let output = output.expect("no panic");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
