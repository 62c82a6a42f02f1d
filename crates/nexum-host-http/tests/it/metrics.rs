//! The metrics of the crate.

use nexum_host_http::{Request, metrics as names};
use nexum_testing::Counts;

use crate::server::{Reply, Server, answer, redirect};
use crate::support::{fetcher, late, open};

#[tokio::test]
async fn requests_are_counted_by_the_operators_entry_and_what_became_of_them() {
    let counts = Counts::default();
    let _guard = metrics::set_default_local_recorder(&counts);
    let server = Server::start(|heard| match heard.path.as_str() {
        "/ok" => answer(200, &[], "12345"),
        "/to-ok" => redirect(302, "/ok"),
        "/out" => redirect(302, "https://evil.net/"),
        "/404" => answer(404, &[], ""),
        "/large" => answer(200, &[], [0; 101]),
        "/cut" => Reply::Last(Vec::new()),
        _ => Reply::Hang(Vec::new()),
    })
    .await;
    let mut config = open(&[&format!("*.localhost:{}", server.port), &server.entry()]);
    (config.timeout_ms, config.response_bytes_max) = (200, 100);
    let fetcher = fetcher(&config);
    for (method, path) in [
        ("GET", "/ok"),
        ("GET", "/to-ok"),
        ("POST", "/404"),
        ("BREW", "/ok"),
        ("GET", "/out"),
        ("GET", "/large"),
        ("GET", "/cut"),
        ("GET", "/silent"),
    ] {
        let request = Request::new(method, &server.url(path)).unwrap();
        let _ = fetcher.fetch(request, late()).await;
    }
    for url in ["https://a.evil.net/", "https://b.evil.net/"] {
        fetcher
            .fetch(Request::new("GET", url).unwrap(), late())
            .await
            .unwrap_err();
    }
    let destination = format!("destination={}", server.entry());
    for (name, labels, count) in [
        (names::REQUESTS, vec![destination.as_str()], 9),
        (names::REQUESTS, vec!["method=GET", "outcome=2xx"], 2),
        (names::REQUESTS, vec!["method=other", "outcome=2xx"], 1),
        (names::REQUESTS, vec!["method=POST", "outcome=4xx"], 1),
        (names::REQUESTS, vec!["outcome=redirect"], 2),
        (names::REQUESTS, vec!["outcome=malformed"], 1),
        (names::REQUESTS, vec!["outcome=unavailable"], 1),
        (names::REQUESTS, vec!["outcome=timeout"], 1),
        (names::REQUEST_SECONDS, vec![destination.as_str()], 9),
        (names::RESPONSE_BYTES, vec![destination.as_str()], 15),
        (names::DENIED, vec!["rule=manifest"], 3),
        (names::DENIED, vec![], 3),
    ] {
        assert_eq!(counts.sum(name, &labels), count, "{name} {labels:?}");
    }
    // No label contains text from a module.
    assert!(!format!("{counts:?}").contains("evil"), "{counts:?}");
}
