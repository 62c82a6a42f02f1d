//! The certificates of endpoints over https and wss.

use std::path::Path;

use nexum_host_chain::{Endpoints, RequestError, TlsFault};
use nexum_testing::Node;
use nexum_testing::tls::{self, Authority};

use crate::support::{config, request};

/// The longest handshake of the child: far longer than one on loopback.
const TIMEOUT_MS: u64 = 10_000;

/// Sends one request to each endpoint. A row has its URL and the outcome.
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

#[tokio::test]
async fn https_and_wss_trust_the_certificates_of_the_environment() {
    if let Some(rows) = tls::input() {
        return ask(&rows).await;
    }
    let node = Node::start().await;
    node.mine(42);
    let (trusted, untrusted) = (Authority::new("trusted"), Authority::new("untrusted"));
    let good = trusted.serve("localhost", false, &node.http_url()).await;
    let other_name = trusted.serve("other.example", false, &node.http_url()).await;
    let expired = trusted.serve("localhost", true, &node.http_url()).await;
    let foreign = untrusted.serve("localhost", false, &node.http_url()).await;
    let dir = tempfile::tempdir().unwrap();
    let (file, missing) = (dir.path().join("ca.pem"), dir.path().join("missing.pem"));
    trusted.write(&file);
    let row = |server: &tls::TlsServer, outcome: &str| {
        let urls = ["https", "wss"].map(|scheme| format!("{scheme}://localhost:{} {outcome}\n", server.port()));
        urls.concat()
    };
    let fault = |server, fault| row(server, &RequestError::Tls(fault).to_string());
    let rows = [
        row(&good, "\"0x2a\""),
        fault(&other_name, TlsFault::Name),
        fault(&expired, TlsFault::Time),
        fault(&foreign, TlsFault::Issuer),
    ];
    for (roots, rows) in [
        (&*file, rows.concat()),
        (&*missing, fault(&good, TlsFault::NoRoots)),
        // It has no end.
        (Path::new("/dev/zero"), fault(&good, TlsFault::RootsFile)),
    ] {
        let test = "tls::https_and_wss_trust_the_certificates_of_the_environment";
        tls::run_trusting(roots, test, &rows).await;
    }
}
