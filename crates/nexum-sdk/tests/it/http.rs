use nexum_sdk::testing::Host;
use nexum_sdk::{ErrorKind, http};
use serde_json::{Value, json};

use crate::module::on_host;

fn host(status: u16) -> Host {
    let mut host = Host::new();
    host.on_http(move |request| {
        assert_eq!(request.url, "https://api.example.com/");
        let body = request.body.clone().unwrap_or_else(|| b"{\"price\": 7}".to_vec());
        let headers = vec![("Content-Type".into(), "application/json".into())];
        Some(Ok(http::Response { status, headers, body }))
    });
    host
}

#[test]
fn reads_a_response() {
    let response = on_host(host(200), || http::get("https://api.example.com/").timeout_ms(5).send());
    let response = response.expect("sent").ok().expect("2xx");
    assert_eq!(response.json::<Value>().expect("JSON"), json!({ "price": 7 }));
    assert_eq!(
        (response.header("content-type"), response.text()),
        (Some("application/json"), Ok("{\"price\": 7}"))
    );
}

#[test]
fn sends_json() {
    let response = on_host(host(201), || {
        http::post("https://api.example.com/").json(&[1, 2])?.send()
    });
    assert_eq!(response.expect("sent").text(), Ok("[1,2]"));
}

#[test]
fn a_status_can_be_an_error() {
    for (status, kind) in [
        (404, ErrorKind::InvalidInput),
        (429, ErrorKind::RateLimited),
        (503, ErrorKind::Unavailable),
    ] {
        let response = on_host(host(status), || http::get("https://api.example.com/").send());
        let error = response.and_then(http::Response::ok).expect_err("not 2xx");
        assert_eq!((error.kind(), error.code()), (kind, i32::from(status)));
        assert_eq!(error.data(), Some("{\"price\": 7}"));
    }
}

#[test]
fn a_request_without_a_script_is_an_error() {
    let error = on_host(Host::new(), || http::get("https://a.example/").send()).expect_err("no script");
    assert_eq!(error.message(), "no script of the test answers GET https://a.example/");
}
