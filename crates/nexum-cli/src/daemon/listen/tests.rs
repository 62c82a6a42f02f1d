//! Tests of a listener's bounds, and helpers for tests of other listeners.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net;

use axum::body::Body;
use axum::routing::get;
use futures_util::StreamExt as _;

use super::*;

/// The longest wait for anything: far longer than a slow machine needs.
const PATIENCE: Duration = Duration::from_secs(60);
/// A time limit that a test waits for.
pub(crate) const SOON: Duration = Duration::from_millis(50);
/// One connection at a time, with time for all requests of a test.
pub(crate) const BOUNDS: Bounds = Bounds {
    header_time_max: PATIENCE.saturating_mul(60),
    ..Bounds::new(1, PATIENCE.saturating_mul(60))
};
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: nexum\r\n\r\n";
/// More bytes than a connection's buffers hold.
const LARGE: usize = 64 << 20;

/// Runs `clients` against a listener with these bounds.
fn with(bounds: Bounds, clients: impl FnOnce(SocketAddr) + Send + 'static) {
    let router = Router::new()
        .route("/", get(|| async { "ok" }))
        .route("/large", get(|| async { vec![0; LARGE] }));
    with_router(router, bounds, clients);
}

/// Runs `clients` against a listener with this router and these bounds.
pub(crate) fn with_router(router: Router, bounds: Bounds, clients: impl FnOnce(SocketAddr) + Send + 'static) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async {
        let listener = bind("listen", ([127, 0, 0, 1], 0).into()).await;
        let listener = listener.map_err(|_| "refused").expect("an address");
        let address = listener.local_addr().expect("its address");
        tokio::select! {
            never = serve(listener, router, bounds) => match never {},
            done = tokio::task::spawn_blocking(move || clients(address)) => done.expect("the clients"),
        }
    });
}

pub(crate) fn connect(address: SocketAddr) -> net::TcpStream {
    let stream = net::TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

fn ask(stream: &mut net::TcpStream) {
    stream.write_all(REQUEST).expect("a request");
    is_answered(stream);
}

fn is_answered(stream: &mut net::TcpStream) {
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nok") {
        let mut part = [0; 512];
        let length = stream.read(&mut part).expect("an answer");
        assert_ne!(length, 0, "an answer");
        answer.extend(&part[..length]);
    }
}

/// Waits until the server closes the connection.
fn is_closed(mut stream: net::TcpStream) {
    match stream.read_to_end(&mut Vec::new()) {
        Ok(_) => {}
        // The server closed the connection while data was on its way.
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

#[test]
fn one_too_many_takes_the_place_of_the_connection_that_was_idle_for_the_longest_time() {
    let bounds = Bounds {
        connections_max: 2,
        ..BOUNDS
    };
    with(bounds, |address| {
        let (mut first, mut second) = (connect(address), connect(address));
        ask(&mut first);
        ask(&mut second);
        ask(&mut first);
        let mut third = connect(address);
        ask(&mut third);
        is_closed(second);
        ask(&mut first);
        ask(&mut third);
    });
}

#[test]
fn one_too_many_waits_while_all_others_are_answered() {
    let (go, wait) = tokio::sync::watch::channel(false);
    let (began, is_begun) = std::sync::mpsc::channel();
    let slow = move || {
        let (mut wait, began) = (wait.clone(), began.clone());
        async move {
            began.send(()).expect("a receiver");
            wait.wait_for(|go| *go).await.expect("a sender");
            "ok"
        }
    };
    let router = Router::new()
        .route("/", get(|| async { "ok" }))
        .route("/slow", get(slow));
    with_router(router, BOUNDS, move |address| {
        let mut first = connect(address);
        first
            .write_all(b"GET /slow HTTP/1.1\r\nhost: nexum\r\n\r\n")
            .expect("a request");
        is_begun.recv().expect("the handler");
        let mut second = connect(address);
        second.write_all(REQUEST).expect("a request");
        second.set_read_timeout(Some(SOON)).expect("a timeout");
        let early = second.read(&mut [0]).expect_err("nothing yet");
        assert_eq!(early.kind(), ErrorKind::WouldBlock);
        second.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        go.send(true).expect("a handler");
        is_answered(&mut first);
        is_answered(&mut second);
    });
}

#[test]
fn silent_clients_keep_no_other_out() {
    let bounds = Bounds {
        connections_max: 8,
        ..BOUNDS
    };
    with(bounds, |address| {
        let _silent: Vec<_> = (0..40).map(|_| connect(address)).collect();
        let _half: Vec<_> = (0..40)
            .map(|_| {
                let mut stream = connect(address);
                // The connection may have been replaced already.
                let _ = stream.write_all(&REQUEST[..REQUEST.len() - 2]);
                stream
            })
            .collect();
        ask(&mut connect(address));
    });
}

#[test]
fn whoever_does_not_say_what_it_wants_is_left() {
    let bounds = Bounds {
        header_time_max: SOON,
        ..BOUNDS
    };
    with(bounds, |address| {
        is_closed(connect(address));
        let mut half = connect(address);
        half.write_all(&REQUEST[..REQUEST.len() - 2]).expect("half a request");
        is_closed(half);
    });
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    with(BOUNDS, |address| {
        let mut stream = connect(address);
        let cookie = "a".repeat(HEADER_BYTES_MAX);
        let head = format!("GET / HTTP/1.1\r\nhost: nexum\r\ncookie: {cookie}\r\n\r\n");
        // The server may refuse the request before all of it is sent.
        let _ = stream.write_all(head.as_bytes());
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 431");
        is_closed(stream);
        let cookie = "a".repeat(HEADER_BYTES_MAX / 2);
        let head = format!("GET / HTTP/1.1\r\nhost: nexum\r\ncookie: {cookie}\r\n\r\n");
        let mut stream = connect(address);
        stream.write_all(head.as_bytes()).expect("a request");
        is_answered(&mut stream);
    });
}

#[test]
fn a_client_that_takes_nothing_of_an_answer_loses_its_connection() {
    let bounds = Bounds {
        unread_time_max: SOON,
        ..BOUNDS.with_streams()
    };
    with(bounds, |address| {
        let mut slow = connect(address);
        slow.write_all(b"GET /large HTTP/1.1\r\nhost: nexum\r\n\r\n")
            .expect("a request");
        // The other connection gets the only place.
        ask(&mut connect(address));
        is_closed(slow);
    });
}

#[test]
fn an_answer_in_progress_keeps_its_connection_where_answers_last() {
    let (more, wait) = tokio::sync::watch::channel(false);
    let lasting = move || {
        let mut wait = wait.clone();
        async move {
            let last = async move {
                wait.wait_for(|more| *more).await.expect("a sender");
                Ok::<_, Infallible>("\r\n\r\nok")
            };
            let first = futures_util::stream::iter([Ok("first")]);
            Body::from_stream(first.chain(futures_util::stream::once(last)))
        }
    };
    let router = Router::new()
        .route("/", get(|| async { "ok" }))
        .route("/lasting", get(lasting));
    with_router(router, BOUNDS.with_streams(), move |address| {
        let mut first = connect(address);
        first
            .write_all(b"GET /lasting HTTP/1.0\r\nhost: nexum\r\n\r\n")
            .expect("a request");
        let mut begin = Vec::new();
        while !begin.ends_with(b"first") {
            let mut byte = [0];
            first.read_exact(&mut byte).expect("the begin of the answer");
            begin.push(byte[0]);
        }
        let mut second = connect(address);
        second.write_all(REQUEST).expect("a request");
        second.set_read_timeout(Some(SOON)).expect("a timeout");
        let early = second.read(&mut [0]).expect_err("nothing yet");
        assert_eq!(early.kind(), ErrorKind::WouldBlock);
        second.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        more.send(true).expect("a handler");
        is_answered(&mut first);
        is_answered(&mut second);
    });
}

#[test]
fn whoever_does_not_read_gives_up_its_place() {
    let bounds = Bounds {
        connection_time_max: SOON,
        ..BOUNDS
    };
    with(bounds, |address| {
        let mut slow = connect(address);
        slow.write_all(b"GET /large HTTP/1.1\r\nhost: nexum\r\n\r\n")
            .expect("a request");
        is_closed(slow);
        is_closed(connect(address));
    });
}
