//! Modules that use HTTP, in a whole host.

mod host;

use nexum_config::limits::{Limit, Limits};
use nexum_testing::kept;

use self::host::{Fetching, Host};
use crate::server::{Reply, Server, answer, redirect};
use crate::support::open;

/// A host with a module that may fetch from the server, and fetches this.
async fn host(server: &Server, config: &[(&str, &str)]) -> Host {
    limited(server, config, Limits::default()).await
}

async fn limited(server: &Server, config: &[(&str, &str)], limits: Limits) -> Host {
    let module = Fetching::new(&[&server.entry()], config);
    Host::start(open(&[&server.entry()]), module, limits).await
}

#[tokio::test]
async fn a_module_fetches_at_each_block_and_keeps_the_answer() {
    let server =
        Server::start(|heard| answer(201, &[("X-Price", "42")], format!("{} {}", heard.method, heard.body))).await;
    let url = server.url("/price?of=eth");
    let config = [
        ("url", url.as_str()),
        ("method", "POST"),
        ("headers", "X-Key: k\nAccept: text/plain"),
        ("body", "which"),
        ("show", "x-price"),
    ];
    let host = host(&server, &config).await;
    for _ in 0..2 {
        assert_eq!(host.said_of_next().await, ["ok 201 42 POST which"]);
    }
    assert_eq!(kept(&host.store, "fetcher", "answer").unwrap(), b"201 POST which");
    let heard = server.heard();
    assert_eq!(
        (heard.len(), heard[0].path.as_str(), heard[0].header("x-key")),
        (2, "/price?of=eth", Some("k"))
    );
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn what_a_module_is_told_of_a_failure() {
    let server = Server::start(|heard| match heard.path.as_str() {
        "/404" => answer(404, &[], "not here"),
        "/out" => redirect(302, "https://evil.net/secret"),
        "/cut" => Reply::Last(Vec::new()),
        _ => Reply::Hang(Vec::new()),
    })
    .await;
    let url = |path: &str| server.url(path);
    for (key, value, url, said) in [
        ("x", "", url("/404"), "ok 404  not here"),
        (
            "x",
            "",
            "https://evil.net/secret".to_owned(),
            "denied 0 (http: the module's manifest does not allow the destination)",
        ),
        (
            "x",
            "",
            url("/out"),
            "denied 0 (http: after a redirect: the module's manifest does not allow the destination)",
        ),
        (
            "timeout_ms",
            "50",
            url("/hang"),
            "timeout 0 (http: the fetch took longer than ",
        ),
        (
            "x",
            "",
            url("/cut"),
            "unavailable 0 (http: the connection to the host was lost",
        ),
        (
            "x",
            "",
            "secret".to_owned(),
            "invalid-input 0 (http: the URL is not valid)",
        ),
        (
            "method",
            "CONNECT",
            url("/"),
            "invalid-input 0 (http: the method CONNECT is not allowed)",
        ),
        (
            "headers",
            "Host: evil.net",
            url("/"),
            "invalid-input 0 (http: a module cannot set the header host)",
        ),
    ] {
        let host = host(&server, &[(key, value), ("url", &url)]).await;
        let heard = host.said_of_next().await.join("\n");
        assert!(heard.starts_with(said), "{url}: {heard}");
        assert!(!heard.contains("secret"), "{heard}");
    }
}

#[tokio::test]
async fn a_far_side_that_says_nothing_is_told_before_the_event_ends() {
    let server = Server::start(|_| Reply::Hang(Vec::new())).await;
    let limits = Limits::default().with(Limit::Deadline, 500);
    let host = limited(&server, &[("url", &server.url("/"))], limits).await;
    let said = host.said_of_next().await.join("\n");
    assert!(said.starts_with("timeout 0 (http: "), "{said}");
}

#[tokio::test]
async fn fetches_and_bytes_have_a_budget() {
    let server = Server::start(|_| answer(200, &[], vec![b'x'; 1_000])).await;
    let url = server.url("/");
    for (limit, bound, fetched) in [(Limit::HttpFetches, 3, 3), (Limit::ResponseBytes, 2_500, 3)] {
        let before = server.heard().len();
        let limits = Limits::default().with(limit, bound);
        let host = limited(&server, &[("url", &url), ("count", "5")], limits).await;
        host.said_of_next().await;
        assert_eq!(server.heard().len() - before, fetched, "{limit:?}");
        let shown = format!("{:?}", host.records.all());
        assert!(shown.contains(limit.name()), "{limit:?}: {shown}");
        assert_eq!(kept(&host.store, "fetcher", "answer"), None, "{limit:?}");
    }
}

#[tokio::test]
async fn an_event_that_sent_something_is_durable_before_the_next_one() {
    let server = Server::start(|_| answer(200, &[], "")).await;
    let url = server.url("/");
    for (method, durable) in [
        ("GET", 0),
        ("HEAD", 0),
        ("OPTIONS", 0),
        ("POST", 3),
        ("DELETE", 3),
        ("BREW", 3),
    ] {
        let host = host(&server, &[("url", &url), ("method", method), ("keep", "none")]).await;
        // The first block writes the module's start position.
        host.said_of_next().await;
        host.said_of_next().await;
        let before = host.store.written();
        for _ in 0..3 {
            host.said_of_next().await;
        }
        assert_eq!(host.store.written() - before, durable, "{method}");
    }
}
