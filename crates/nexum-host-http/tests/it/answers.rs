//! The response that a module receives.

use std::io::Write as _;

use nexum_core::bindings::nexum::host::types::HostErrorKind;
use nexum_host_http::{FetchError, RESPONSE_HEADER_BYTES_MAX, RESPONSE_HEADERS_MAX, Request};

use crate::server::{Reply, Server, answer};
use crate::support::{fetcher, fetcher_of, get, late, open};

#[tokio::test]
async fn an_answer_with_any_status_is_ok() {
    let server = Server::start(|heard| answer(heard.path[1..].parse().unwrap(), &[("x-a", "b")], "said")).await;
    let fetcher = fetcher_of(&[&server]);
    for status in [200, 201, 300, 302, 304, 400, 401, 403, 404, 418, 429, 500, 503, 599] {
        let answer = get(&fetcher, &server.url(&format!("/{status}"))).await.unwrap();
        assert_eq!(answer.status, status);
        assert!(
            answer.headers.contains(&("x-a".to_owned(), "b".to_owned())),
            "{answer:?}"
        );
        if status != 304 {
            assert_eq!(answer.body, b"said", "{status}");
        }
    }
}

#[tokio::test]
async fn headers_come_as_they_are_as_far_as_they_are_text() {
    let server = Server::start(|_| {
        Reply::Bytes(b"HTTP/1.1 200 OK\r\nX-Two: 1\r\nX-Latin: \xe9t\xe9\r\nX-Two: 2\r\nSet-Cookie: a=b\r\ncontent-length: 0\r\n\r\n".to_vec())
    })
    .await;
    let answer = get(&fetcher_of(&[&server]), &server.url("/")).await.unwrap();
    let of = |wanted: &str| {
        let found = answer.headers.iter().filter(|(name, _)| name == wanted);
        found.map(|(_, value)| value.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(
        (of("x-two"), of("x-latin"), of("set-cookie")),
        (vec!["1", "2"], vec!["\u{fffd}t\u{fffd}"], vec!["a=b"])
    );
    // The client stores no cookies for later requests.
    get(&fetcher_of(&[&server]), &server.url("/")).await.unwrap();
    assert!(server.heard().iter().all(|heard| heard.header("cookie").is_none()));
}

#[tokio::test]
async fn a_body_is_not_decompressed() {
    // Empty data in the format of gzip.
    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    gzip.extend([3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let sent = gzip.clone();
    for encoding in ["gzip", "deflate", "br", "zstd"] {
        let body = sent.clone();
        let server = Server::start(move |_| answer(200, &[("content-encoding", encoding)], &body)).await;
        let answer = get(&fetcher_of(&[&server]), &server.url("/")).await.unwrap();
        assert_eq!(answer.body, gzip, "{encoding}");
        assert!(
            answer
                .headers
                .iter()
                .any(|(name, value)| name == "content-encoding" && value == encoding)
        );
    }
}

#[tokio::test]
async fn a_body_over_the_bound_is_refused_said_or_not() {
    let chunked = |bytes: usize| {
        let mut reply = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        for _ in 0..bytes / 100 {
            reply.extend([b"64\r\n", &[b'x'; 100][..], b"\r\n"].concat());
        }
        reply.extend(b"0\r\n\r\n");
        Reply::Bytes(reply)
    };
    let server = Server::start(move |heard| match heard.path.as_str() {
        "/said" => answer(200, &[], vec![b'x'; 1_001]),
        "/fits" => answer(200, &[], vec![b'x'; 1_000]),
        "/lie" => Reply::Hang(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n".to_vec()),
        "/chunked" => chunked(1_100),
        "/chunked-fits" => chunked(1_000),
        _ => Reply::Last([b"HTTP/1.1 200 OK\r\n\r\n", &vec![b'x'; 2_000][..]].concat()),
    })
    .await;
    let mut config = open(&[&server.entry()]);
    config.response_bytes_max = 1_000;
    let fetcher = fetcher(&config);
    for path in ["/said", "/lie", "/chunked", "/until-the-end"] {
        let error = get(&fetcher, &server.url(path)).await.unwrap_err();
        assert_eq!(error.to_host_error().kind, HostErrorKind::Denied, "{path}");
        assert_eq!(
            error.to_string(),
            "the response has more than 1000 bytes of body",
            "{path}"
        );
    }
    for path in ["/fits", "/chunked-fits"] {
        assert_eq!(
            get(&fetcher, &server.url(path)).await.unwrap().body.len(),
            1_000,
            "{path}"
        );
    }
    // The response to a HEAD gives the size of a body that it does not contain.
    let head = Request::new("HEAD", &server.url("/lie")).unwrap();
    assert_eq!(fetcher.fetch(head, late()).await.unwrap().body, b"");
}

#[tokio::test]
async fn headers_over_a_bound_are_refused() {
    let headers = |count: usize, bytes: usize| {
        let mut reply = b"HTTP/1.1 200 OK\r\n".to_vec();
        for number in 0..count {
            write!(reply, "x-{number}: {}\r\n", "v".repeat(bytes)).unwrap();
        }
        reply.extend(b"content-length: 0\r\n\r\n");
        Reply::Last(reply)
    };
    let bytes_max = RESPONSE_HEADER_BYTES_MAX as usize;
    let server = Server::start(move |heard| match heard.path.as_str() {
        "/fit" => headers(RESPONSE_HEADERS_MAX - 1, 100),
        "/many" => headers(RESPONSE_HEADERS_MAX + 1, 1),
        "/large" => headers(4, bytes_max / 4),
        _ => headers(1, 10 * bytes_max),
    })
    .await;
    let fetcher = fetcher_of(&[&server]);
    assert_eq!(
        get(&fetcher, &server.url("/fit")).await.unwrap().headers.len(),
        RESPONSE_HEADERS_MAX
    );
    let large = get(&fetcher, &server.url("/large")).await.unwrap_err();
    assert_eq!(large.to_string(), "the response has more than 65536 bytes of headers");
    for path in ["/many", "/huge"] {
        let error = get(&fetcher, &server.url(path)).await.unwrap_err();
        let kind = error.to_host_error().kind;
        assert!(
            matches!(kind, HostErrorKind::Unavailable | HostErrorKind::Denied),
            "{path}: {error}"
        );
    }
}

#[tokio::test]
async fn what_is_no_answer_is_unavailable() {
    let server = Server::start(|heard| match heard.path.as_str() {
        "/nothing" => Reply::Last(Vec::new()),
        "/not-http" => Reply::Last(b"220 ftp.example.com\r\n".to_vec()),
        "/half" => Reply::Last(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_vec()),
        "/two-lengths" => Reply::Last(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx".to_vec()),
        _ => Reply::Last(b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n".to_vec()),
    })
    .await;
    let fetcher = fetcher_of(&[&server]);
    for path in ["/nothing", "/not-http", "/half", "/two-lengths", "/bad-header"] {
        let error = get(&fetcher, &server.url(path)).await.unwrap_err();
        assert!(matches!(error, FetchError::Lost { .. }), "{path}: {error}");
        assert_eq!(error.to_host_error().kind, HostErrorKind::Unavailable, "{path}");
    }
    let port = server.port;
    drop(server);
    let gone = fetcher
        .fetch(
            Request::new("GET", &format!("http://127.0.0.1:{port}/")).unwrap(),
            late(),
        )
        .await;
    assert!(
        matches!(gone, Err(FetchError::Unreachable { .. } | FetchError::Lost { .. })),
        "{gone:?}"
    );
}
