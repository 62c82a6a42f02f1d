//! The requests that a module may send.

use nexum_core::bindings::nexum::host::types::HostErrorKind;
use nexum_host_http::{
    FetchError, METHOD_BYTES_MAX, REQUEST_BODY_BYTES_MAX, REQUEST_HEADER_BYTES_MAX, REQUEST_HEADERS_MAX, Request,
    URL_BYTES_MAX,
};
use proptest::prelude::*;

use crate::server::{Server, answer};
use crate::support::{fetcher_of, late};

const URL: &str = "https://api.example.com/";

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn with_header(name: &str, value: &str) -> Result<Request, FetchError> {
    Request::new("GET", URL)?.with_headers(vec![pair(name, value)])
}

fn check_refused(request: Result<Request, FetchError>, what: &str) {
    let error = request.unwrap_err();
    let seen = error.to_host_error();
    assert_eq!(
        (seen.kind, seen.code, seen.domain.as_str()),
        (HostErrorKind::InvalidInput, 0, "http"),
        "{what}: {error}"
    );
    assert!(!seen.message.contains("secret"), "{what}: {error}");
}

#[test]
fn headers_that_are_not_a_modules_are_refused() {
    for name in [
        "host",
        "Host",
        "connection",
        "keep-alive",
        "transfer-encoding",
        "Transfer-Encoding",
        "content-length",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "http2-settings",
        "via",
        "proxy-authorization",
        "Proxy-Connection",
        "proxy-anything",
    ] {
        check_refused(with_header(name, "x"), name);
    }
}

#[test]
fn headers_that_are_none_are_refused() {
    for (name, value) in [
        ("", "x"),
        (" ", "x"),
        ("a b", "x"),
        ("a:", "x"),
        (":authority", "x"),
        ("host ", "x"),
        ("secret\r\nhost", "x"),
        ("ü", "x"),
        ("a", "secret\r\nhost: evil.net"),
        ("a", "secret\nhost: evil.net"),
        ("a", "secret\r"),
        ("a", "secret\0"),
        ("a", "secret\u{7f}"),
    ] {
        check_refused(with_header(name, value), &format!("{name:?}: {value:?}"));
    }
    for (name, value) in [
        ("a", ""),
        ("A", "ü\t~"),
        ("x-api-key", "k"),
        ("authorization", "Bearer t"),
    ] {
        assert!(with_header(name, value).is_ok(), "{name}");
    }
}

#[test]
fn methods_that_are_none_or_make_tunnels_are_refused() {
    let long = "A".repeat(METHOD_BYTES_MAX + 1);
    for method in [
        "CONNECT", "connect", "TRACE", "Trace", "TRACK", "", " ", "GET ", "G ET", "GET\r\n", "GÉT", "(", &long,
    ] {
        check_refused(Request::new(method, URL), method);
    }
    for (method, has_effect) in [
        ("GET", false),
        ("get", false),
        ("HEAD", false),
        ("OPTIONS", false),
        ("POST", true),
        ("put", true),
        ("PATCH", true),
        ("DELETE", true),
        ("PROPFIND", true),
        ("X-GET", true),
    ] {
        assert_eq!(Request::new(method, URL).unwrap().has_effect(), has_effect, "{method}");
    }
}

#[test]
fn what_is_over_a_bound_is_refused() {
    let url = |bytes: usize| format!("{URL}{}", "a".repeat(bytes - URL.len()));
    assert!(Request::new("GET", &url(URL_BYTES_MAX)).is_ok());
    check_refused(Request::new("GET", &url(URL_BYTES_MAX + 1)), "the URL");
    let request = Request::new("POST", URL).unwrap();
    let headers = |count: usize| (0..count).map(|number| pair(&format!("a{number}"), "x")).collect();
    assert!(request.clone().with_headers(headers(REQUEST_HEADERS_MAX)).is_ok());
    check_refused(
        request.clone().with_headers(headers(REQUEST_HEADERS_MAX + 1)),
        "headers",
    );
    let value = |bytes: usize| vec![pair("a", &"x".repeat(bytes - 1))];
    assert!(request.clone().with_headers(value(REQUEST_HEADER_BYTES_MAX)).is_ok());
    check_refused(
        request.clone().with_headers(value(REQUEST_HEADER_BYTES_MAX + 1)),
        "headers' bytes",
    );
    assert!(request.clone().with_body(vec![0; REQUEST_BODY_BYTES_MAX]).is_ok());
    check_refused(
        request.clone().with_body(vec![0; REQUEST_BODY_BYTES_MAX + 1]),
        "the body",
    );
    check_refused(request.with_timeout_ms(0), "the timeout");
}

#[tokio::test]
async fn a_request_arrives_as_it_was_made() {
    let server = Server::start(|_| answer(200, &[], "")).await;
    let fetcher = fetcher_of(&[&server]);
    let headers = vec![
        pair("Authorization", "Bearer t"),
        pair("x-twice", "1"),
        pair("X-Twice", "2"),
    ];
    let request = Request::new("put", &server.url("/a%20b/../c?d=e&d=%2F#f")).unwrap();
    let request = request
        .with_headers(headers)
        .unwrap()
        .with_body(b"body".to_vec())
        .unwrap();
    fetcher.fetch(request, late()).await.unwrap();
    let [heard] = &server.heard()[..] else {
        panic!("one request")
    };
    assert_eq!((heard.method.as_str(), heard.path.as_str()), ("PUT", "/c?d=e&d=%2F"));
    assert_eq!(heard.body, "body");
    assert_eq!(heard.header("authorization"), Some("Bearer t"));
    let twice: Vec<_> = heard.headers.iter().filter(|(name, _)| name == "x-twice").collect();
    assert_eq!(twice.len(), 2);
    assert!(heard.header("user-agent").unwrap().starts_with("nexum/"));
    // The client requests no encoding, because it decodes none.
    assert_eq!((heard.header("accept-encoding"), heard.header("referer")), (None, None));
}

proptest! {
    #[test]
    fn whatever_a_module_asks_is_a_request_or_an_error(method in "\\PC{0,12}", url in "\\PC{0,40}", name in "\\PC{0,12}", value in any::<String>()) {
        let request = Request::new(&method, &url).or_else(|_| Request::new("GET", URL)).unwrap();
        if let Ok(request) = request.with_headers(vec![(name.clone(), value.clone())]) {
            prop_assert!(!name.contains(['\r', '\n', ':', ' ']) && !value.contains(['\r', '\n', '\0']));
            prop_assert!(!name.eq_ignore_ascii_case("host"));
            let shown = format!("{request:?}");
            prop_assert!(!shown.contains('?'));
        }
    }
}
