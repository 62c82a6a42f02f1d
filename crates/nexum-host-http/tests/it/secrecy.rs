//! No log, error or metric shows a secret.

use nexum_host_http::{Request, SILENCED_LOG_TARGETS};
use nexum_testing::{Counts, Records};

use crate::server::{Reply, Server, answer, redirect};
use crate::support::{fetcher, late, open};

const SECRETS: [&str; 5] = [
    "a-secret-path",
    "a-secret-query",
    "a-secret-header",
    "a-secret-body",
    "a-secret-answer",
];

fn check(text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "shows {secret}: {text}");
    }
}

#[tokio::test]
async fn no_record_no_error_and_no_metric_shows_more_than_a_host() {
    let [path, query, header, body, answered] = SECRETS;
    let (records, _guard) = Records::capture();
    let counts = Counts::default();
    let _recorder = metrics::set_default_local_recorder(&counts);
    let server = Server::start(move |heard| match heard.header("x-fault").unwrap() {
        "none" => answer(200, &[("x-a", answered)], answered),
        "redirect" => redirect(302, &format!("https://evil.net/{path}?{query}")),
        "user" => redirect(302, &format!("https://{query}:{query}@evil.net/{path}")),
        "bad" => redirect(302, &format!("https://[{path}")),
        "cut" => Reply::Last(format!("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{answered}").into()),
        "garbage" => Reply::Last(format!("{answered}\r\n\r\n").into()),
        _ => Reply::Hang(Vec::new()),
    })
    .await;
    let mut config = open(&[&server.entry()]);
    config.timeout_ms = 200;
    let fetcher = fetcher(&config);
    let mut failures = 0;
    for fault in ["none", "redirect", "user", "bad", "cut", "garbage", "silent"] {
        for host in [
            server.url(""),
            "https://evil.net".to_owned(),
            "http://[::1]:1".to_owned(),
        ] {
            let headers = [("authorization", header), ("x-fault", fault)];
            let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let request = Request::new("POST", &format!("{host}/{path}?{query}#{query}")).unwrap();
            let request = request
                .with_headers(headers.to_vec())
                .unwrap()
                .with_body(body.into())
                .unwrap();
            check(&format!("{request:?}"));
            match fetcher.fetch(request, late()).await {
                Ok(answer) => check(&format!("{answer:?}")),
                Err(error) => {
                    failures += 1;
                    check(&format!("{error:?} {error} {:?}", error.to_host_error()));
                }
            }
        }
    }
    assert_eq!(failures, 20);
    for url in [
        format!("http://u:{query}@h/"),
        format!("https://[{path}"),
        format!("{path}://h/{query}"),
    ] {
        check(&format!("{:?}", Request::new("GET", &url).unwrap_err()));
    }
    check(&format!("{fetcher:?} {counts:?}"));
    let is_silenced = |target: &str| SILENCED_LOG_TARGETS.iter().any(|silenced| target.starts_with(silenced));
    for record in records.all().iter().filter(|record| !is_silenced(&record.target)) {
        check(&format!("{record:?}"));
    }
    let fetched = records.find("fetched").unwrap();
    let shown: Vec<_> = fetched.fields.keys().map(String::as_str).collect();
    assert_eq!(shown, ["bytes", "host", "method", "module", "ms", "status"]);
    let denied = records.find("fetch denied").unwrap();
    assert_eq!(
        (denied.level, denied.fields["module"].as_str()),
        (tracing::Level::WARN, "test")
    );
}
