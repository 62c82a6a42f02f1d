//! Redirects: each is a new request.

use nexum_core::bindings::nexum::host::types::HostErrorKind;
use nexum_host_http::{FetchError, REDIRECTS_MAX, Request, Rule};

use crate::server::{Server, answer, redirect};
use crate::support::{fetcher, fetcher_of, get, late, open, patterns};

#[tokio::test]
async fn methods_and_bodies_go_on_as_the_status_says() {
    let server = Server::start(|heard| match heard.path.strip_prefix("/from/") {
        Some(status) => redirect(status.parse().unwrap(), "../to?x=y#z"),
        None => answer(200, &[], "arrived"),
    })
    .await;
    for (status, method, then, body) in [
        (301, "GET", "GET", ""),
        (301, "POST", "GET", ""),
        (301, "PUT", "PUT", "body"),
        (302, "POST", "GET", ""),
        (302, "DELETE", "DELETE", "body"),
        (303, "POST", "GET", ""),
        (303, "PUT", "GET", ""),
        (303, "HEAD", "HEAD", ""),
        (307, "POST", "POST", "body"),
        (308, "POST", "POST", "body"),
        (308, "PATCH", "PATCH", "body"),
    ] {
        let mut request = Request::new(method, &server.url(&format!("/from/{status}"))).unwrap();
        let headers = [("content-type", "text/plain"), ("authorization", "Bearer t")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        request = request.with_headers(headers.to_vec()).unwrap();
        if !["GET", "HEAD"].contains(&method) {
            request = request.with_body(b"body".to_vec()).unwrap();
        }
        fetcher_of(&[&server]).fetch(request, late()).await.unwrap();
        let heard = server.heard().pop().unwrap();
        let what = format!("{status} {method}");
        assert_eq!(
            (heard.method.as_str(), heard.path.as_str(), heard.body.as_str()),
            (then, "/to?x=y", body),
            "{what}"
        );
        assert_eq!(
            heard.header("content-type").is_some(),
            !body.is_empty() || method == "GET",
            "{what}"
        );
        // The origin stays the same, so the header stays.
        assert_eq!(heard.header("authorization"), Some("Bearer t"), "{what}");
    }
}

#[tokio::test]
async fn another_origin_is_told_nothing_secret() {
    let second = Server::start(|_| answer(200, &[], "")).await;
    let location = second.url("/");
    let first = Server::start(move |_| redirect(307, &location)).await;
    let secrets = [
        "Authorization",
        "Cookie",
        "X-Api-Key",
        "X-Auth-Token",
        "Referer",
        "Origin",
        "X-Anything",
    ];
    let headers = secrets.iter().chain(&["Accept", "Content-Type", "User-Agent"]);
    let headers = headers.map(|name| ((*name).to_owned(), "said".to_owned())).collect();
    let request = Request::new("POST", &first.url("/"))
        .unwrap()
        .with_headers(headers)
        .unwrap();
    let fetcher = fetcher_of(&[&first, &second]);
    fetcher
        .fetch(request.with_body(b"body".to_vec()).unwrap(), late())
        .await
        .unwrap();
    let (first, second) = (first.heard().remove(0), second.heard().remove(0));
    for name in secrets {
        let name = name.to_ascii_lowercase();
        assert_eq!(first.header(&name), Some("said"), "{name}");
        assert_eq!(second.header(&name), None, "{name}");
    }
    for name in ["accept", "content-type", "user-agent"] {
        assert_eq!(second.header(name), Some("said"), "{name}");
    }
    assert_eq!((second.method.as_str(), second.body.as_str()), ("POST", "body"));
}

#[tokio::test]
async fn where_a_redirect_leads_is_checked_anew() {
    let inner = Server::start(|_| answer(200, &[], "inner")).await;
    let location = std::sync::Arc::new(parking_lot::Mutex::new(String::new()));
    let told = location.clone();
    let outer = Server::start(move |_| redirect(302, &told.lock())).await;
    let (entry, port) = (outer.entry(), inner.port);
    // The operator allows destinations that the module does not, and the other way round; some only
    // with TLS or only at public addresses.
    let more = [format!("127.0.0.1:{port}"), format!("localhost:{port}")];
    let mut config = open(&[&entry]);
    config
        .policy
        .allow
        .extend(patterns(&[&more[0], "operator.example", "[::1]"]));
    config.policy.allow_private.extend(patterns(&[]));
    let wanted = patterns(&[&entry, &more[0], &more[1], "module.example", "[::1]"]);
    let fetcher = nexum_host_http::Http::new(config).fetcher("test", wanted);
    for (to, rule) in [
        (format!("http://127.0.0.1:{port}/"), Rule::PlainHttp),
        (format!("//127.0.0.1:{port}/"), Rule::PlainHttp),
        (format!("https://127.0.0.1:{port}/"), Rule::Address("loopback")),
        (format!("https://2130706433:{port}/"), Rule::Address("loopback")),
        ("https://[::1]/".to_owned(), Rule::Address("loopback")),
        (format!("https://localhost:{port}/"), Rule::Operator),
        ("https://module.example/".to_owned(), Rule::Operator),
        ("https://operator.example/".to_owned(), Rule::Manifest),
        ("https://evil.net/".to_owned(), Rule::Manifest),
        ("http://169.254.169.254/".to_owned(), Rule::Manifest),
    ] {
        *location.lock() = to.clone();
        let error = get(&fetcher, &outer.url("/")).await.unwrap_err();
        assert_eq!(error, FetchError::Denied { rule, redirected: true }, "{to}");
        let seen = error.to_host_error();
        assert_eq!(seen.kind, HostErrorKind::Denied, "{to}");
        assert!(seen.message.starts_with("after a redirect: "), "{to}: {}", seen.message);
    }
    for to in [
        "file:///etc/passwd".to_owned(),
        "ftp://module.example/".to_owned(),
        "data:text/plain,x".to_owned(),
        format!("http://user:secret@{entry}/"),
        "https://module.example./".to_owned(),
    ] {
        *location.lock() = to.clone();
        let error = get(&fetcher, &outer.url("/")).await.unwrap_err();
        assert_eq!(error.to_host_error().kind, HostErrorKind::Denied, "{to}: {error}");
    }
    for to in ["https://", "http://[", &format!("/{}", "a".repeat(10_000))] {
        *location.lock() = to.to_owned();
        assert_eq!(
            get(&fetcher, &outer.url("/")).await.unwrap_err(),
            FetchError::BadRedirect,
            "{to}"
        );
    }
    assert_eq!(inner.connections(), 0);
}

#[tokio::test]
async fn redirects_are_followed_so_often_and_no_more() {
    let server = Server::start(|heard| match heard.path[1..].parse::<usize>().unwrap() {
        0 => answer(200, &[], "arrived"),
        left => redirect(302, &format!("/{}", left - 1)),
    })
    .await;
    let fetcher = fetcher_of(&[&server]);
    let arrived = get(&fetcher, &server.url(&format!("/{REDIRECTS_MAX}"))).await.unwrap();
    assert_eq!(arrived.body, b"arrived");
    assert_eq!(server.heard().len(), REDIRECTS_MAX + 1);
    let error = get(&fetcher, &server.url(&format!("/{}", REDIRECTS_MAX + 1)))
        .await
        .unwrap_err();
    let rule = Rule::Redirects(REDIRECTS_MAX);
    assert_eq!(error, FetchError::Denied { rule, redirected: true });
    assert_eq!(server.heard().len(), 2 * (REDIRECTS_MAX + 1));
}

#[tokio::test]
async fn what_only_looks_like_a_redirect_is_an_answer() {
    let server = Server::start(|heard| match heard.path.as_str() {
        "/no-location" => answer(302, &[], "said"),
        "/300" => answer(300, &[("location", "/elsewhere")], "said"),
        "/305" => answer(305, &[("location", "http://proxy.example/")], "said"),
        _ => answer(201, &[("location", "/elsewhere")], "said"),
    })
    .await;
    for (path, status) in [("/no-location", 302), ("/300", 300), ("/305", 305), ("/201", 201)] {
        let answer = get(&fetcher(&open(&[&server.entry()])), &server.url(path))
            .await
            .unwrap();
        assert_eq!(
            (answer.status, answer.body.as_slice()),
            (status, &b"said"[..]),
            "{path}"
        );
    }
    assert_eq!(server.heard().len(), 4);
}
