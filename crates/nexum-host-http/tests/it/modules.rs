//! Modules that use HTTP, in a whole host.

mod effects;
mod host;
mod wasi;

use nexum_config::limits::{Limit, Limits};
use nexum_core::capability::HostCallKind;
use nexum_testing::kept;

use self::host::{Fetching, GUESTS, Host};
use crate::server::{Reply, Server, answer, redirect};
use crate::support::open;

/// A host with a module that may fetch from the server, and fetches this.
async fn host(guest: &'static str, server: &Server, config: &[(&str, &str)]) -> Host {
    limited(guest, server, config, Limits::default()).await
}

async fn limited(guest: &'static str, server: &Server, config: &[(&str, &str)], limits: Limits) -> Host {
    let module = Fetching::new(guest, &[&server.entry()], config);
    Host::start(open(&[&server.entry()]), module, limits).await
}

#[tokio::test]
async fn a_module_fetches_at_each_block_and_keeps_the_answer() {
    for guest in GUESTS {
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
        let host = host(guest, &server, &config).await;
        for _ in 0..2 {
            assert_eq!(host.said_of_next().await, ["ok 201 42 POST which"]);
        }
        assert_eq!(kept(&host.store, guest, "answer").unwrap(), b"201 POST which");
        let heard = server.heard();
        assert_eq!(
            (heard.len(), heard[0].path.as_str(), heard[0].header("x-key")),
            (2, "/price?of=eth", Some("k"))
        );
        assert_eq!(server.connections(), 1);
    }
}

#[tokio::test]
async fn a_request_that_hangs_is_the_current_host_call_with_its_server() {
    for guest in GUESTS {
        let server = Server::start(|_| Reply::Hang(Vec::new())).await;
        let url = server.url("/hang");
        let host = host(guest, &server, &[("url", &url)]).await;
        host.chain.mine(1);
        let call = host.current_call().await;
        let found = (call.kind, call.method, call.endpoint.as_deref());
        assert_eq!(found, (HostCallKind::Http, "GET", url.strip_suffix("/hang")), "{guest}");
    }
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
    for (config, url, said) in [
        ("", url("/404"), ["ok 404  not here", "ok 404  not here"]),
        (
            "",
            "https://evil.net/secret".to_owned(),
            [
                "denied 0 (http: the module's manifest does not allow the destination)",
                "ErrorCode::HttpRequestDenied",
            ],
        ),
        (
            "",
            url("/out"),
            [
                "denied 0 (http: after a redirect: the module's manifest does not allow the destination)",
                "ErrorCode::HttpRequestDenied",
            ],
        ),
        (
            "timeout_ms = 50, first_byte_ms = 50",
            url("/hang"),
            [
                "timeout 0 (http: the fetch took longer than ",
                "ErrorCode::HttpResponseTimeout",
            ],
        ),
        (
            "",
            url("/cut"),
            [
                "unavailable 0 (http: the connection to the host was lost",
                "ErrorCode::ConnectionTerminated",
            ],
        ),
        (
            "",
            "secret://".to_owned(),
            [
                "invalid-input 0 (http: the URL has a scheme other than http and https)",
                "ErrorCode::HttpRequestUriInvalid",
            ],
        ),
        (
            "method = CONNECT",
            url("/"),
            [
                "invalid-input 0 (http: the method CONNECT is not allowed)",
                "ErrorCode::HttpRequestMethodInvalid",
            ],
        ),
        (
            "headers = Host: evil.net",
            url("/"),
            [
                "invalid-input 0 (http: a module cannot set the header host)",
                "HeaderError::Forbidden",
            ],
        ),
    ] {
        for (guest, said) in GUESTS.into_iter().zip(said) {
            let pairs = config.split(", ").filter_map(|pair| pair.split_once(" = "));
            let pairs: Vec<_> = pairs.chain([("url", url.as_str())]).collect();
            let host = host(guest, &server, &pairs).await;
            let heard = host.said_of_next().await.join("\n");
            assert!(heard.starts_with(said), "{url}: {heard}");
            assert!(!heard.contains("secret"), "{heard}");
        }
    }
}

#[tokio::test]
async fn a_far_side_that_says_nothing_is_told_before_the_event_ends() {
    let server = Server::start(|_| Reply::Hang(Vec::new())).await;
    let limits = Limits::default().with(Limit::Deadline, 500);
    for (guest, expected) in GUESTS
        .into_iter()
        .zip(["timeout 0 (http: ", "ErrorCode::HttpResponseTimeout"])
    {
        let host = limited(guest, &server, &[("url", &server.url("/"))], limits).await;
        let said = host.said_of_next().await.join("\n");
        assert!(said.starts_with(expected), "{said}");
    }
}

#[tokio::test]
async fn fetches_and_bytes_have_a_budget() {
    let server = Server::start(|_| answer(200, &[], vec![b'x'; 1_000])).await;
    let url = server.url("/");
    for (guest, (limit, bound)) in GUESTS
        .into_iter()
        .flat_map(|guest| [(Limit::HttpFetches, 3), (Limit::ResponseBytes, 2_500)].map(|bound| (guest, bound)))
    {
        let before = server.heard().len();
        let limits = Limits::default().with(limit, bound);
        let host = limited(guest, &server, &[("url", &url), ("count", "5")], limits).await;
        host.said_of_next().await;
        assert_eq!(server.heard().len() - before, 3, "{guest} {limit:?}");
        let trip = host
            .records
            .find("a limit was exceeded")
            .expect("the record of the limit");
        assert_eq!(trip.fields["limit"], limit.name(), "{guest}");
        assert_eq!(kept(&host.store, guest, "answer"), None, "{guest} {limit:?}");
    }
}

#[tokio::test]
async fn a_request_that_may_change_something_is_durable_before_it_leaves_and_before_the_next_event() {
    let server = Server::start(|_| answer(200, &[], "")).await;
    let url = server.url("/");
    let methods = [
        ("GET", 0),
        ("HEAD", 0),
        ("OPTIONS", 0),
        ("POST", 6),
        ("DELETE", 6),
        ("BREW", 6),
    ];
    for (guest, (method, durable)) in GUESTS
        .into_iter()
        .flat_map(|guest| methods.map(|method| (guest, method)))
    {
        let config = [("url", url.as_str()), ("method", method), ("keep", "none")];
        let host = host(guest, &server, &config).await;
        // The first block writes the module's start position.
        host.said_of_next().await;
        host.said_of_next().await;
        let before = host.store.written();
        for _ in 0..3 {
            host.said_of_next().await;
        }
        assert_eq!(host.store.written() - before, durable, "{guest} {method}");
    }
}
