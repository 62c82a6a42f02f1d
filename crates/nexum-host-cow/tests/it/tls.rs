//! The certificates of order books over https.

use std::path::Path;
use std::time::Duration;

use nexum_host_cow::{OrderBooks, RequestError};
use nexum_testing::OrderBook;
use nexum_testing::tls::{self, Authority, TlsServer};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::support::{CHAIN, call, config, get};

/// Time for a handshake, and not for all retries.
const DEADLINE: Duration = Duration::from_secs(5);

/// Asks each order book for its version. A row has its base URL and the outcome.
async fn ask(rows: String) {
    let mut asked = JoinSet::new();
    for row in rows.lines() {
        let (url, expected) = row.split_once(' ').unwrap();
        let (books, expected) = (OrderBooks::new(&config(url)), expected.to_owned());
        asked.spawn(async move {
            let version = call("GET", "/api/v1/version");
            let version = books.request(CHAIN, &version, Instant::now() + DEADLINE).await;
            if let Err(error) = &version {
                assert!(matches!(error, RequestError::Tls(_)), "{error:?}");
                assert_eq!(error.to_host_error().message, error.to_string());
            }
            assert_eq!(version.unwrap_or_else(|error| error.to_string()), expected);
        });
    }
    asked.join_all().await;
}

#[tokio::test]
async fn https_trusts_the_certificates_of_the_environment() {
    if let Some(rows) = tls::input() {
        return ask(rows).await;
    }
    let book = OrderBook::start().await;
    let version = get(&OrderBooks::new(&config(&book.url())), "/api/v1/version")
        .await
        .unwrap();
    let path = book.url().splitn(4, '/').last().unwrap().to_owned();
    let (trusted, untrusted) = (Authority::new("trusted"), Authority::new("untrusted"));
    let good = trusted.serve("localhost", false, &book.url()).await;
    let other_name = trusted.serve("other.example", false, &book.url()).await;
    let expired = trusted.serve("localhost", true, &book.url()).await;
    let foreign = untrusted.serve("localhost", false, &book.url()).await;
    let dir = tempfile::tempdir().unwrap();
    let (file, missing) = (dir.path().join("ca.pem"), dir.path().join("missing.pem"));
    trusted.write(&file);
    let row = |server: &TlsServer, outcome: &str| format!("https://localhost:{}/{path} {outcome}\n", server.port());
    let rows = [
        row(&good, &version),
        row(&other_name, "the order book has a certificate for another name"),
        row(
            &expired,
            "the order book has a certificate that is not valid at this time",
        ),
        row(&foreign, "the order book has a certificate from an untrusted issuer"),
    ];
    let no_roots = "the order book cannot be trusted, because this system has no CA certificates: install them, or name a file in \
                    SSL_CERT_FILE";
    let endless = "the order book cannot be trusted, because SSL_CERT_FILE does not name a regular file";
    for (roots, rows) in [
        (&*file, rows.concat()),
        (&*missing, row(&good, no_roots)),
        (Path::new("/dev/zero"), row(&good, endless)),
    ] {
        let test = "tls::https_trusts_the_certificates_of_the_environment";
        tls::run_trusting(roots, test, &rows).await;
    }
}
