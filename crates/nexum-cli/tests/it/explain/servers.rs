//! A module that asks a server, which fails or is slow at one event.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use super::{Site, newest};
use crate::Dir;
use crate::control::BLOCKS;
use crate::replay::{module, table};

/// Answers each request, whose path is `/ask/BLOCK`, with the text of this function for the block, after its pause.
fn serve(mut answer: impl FnMut(u64) -> (&'static str, Duration) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    #[expect(clippy::disallowed_methods, reason = "the thread of a server")]
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = [0; 4_096];
            let _ = stream.read(&mut request);
            let request = String::from_utf8_lossy(&request);
            let path = request.split(' ').nth(1).and_then(|path| path.strip_prefix("/ask/"));
            let (body, pause) = answer(path.expect("a path").parse().expect("a block"));
            thread::sleep(pause);
            let length = body.len();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    address
}

/// A daemon with a module that asks the server once for each block.
fn site(address: &str) -> Site {
    let dir = Dir::new();
    module(
        &dir,
        "effects",
        &format!(
            "[capabilities]\nrequired = [\"http\", \"store\"]\n[capabilities.http]\nallow = [{address:?}]\n{BLOCKS}\
             [config]\nbase = \"http://{address}\"\nverdict = \"/ask/{{n}}\"\n"
        ),
    );
    let hosts = format!("[http]\nallow = [{address:?}]\nallow_http = [{address:?}]\nallow_private = [{address:?}]\n");
    Site::start_in(dir, &format!("[ledger]\ncalls = \"all\"\n{hosts}{}", table("effects")))
}

#[tokio::test]
async fn an_automatic_retry_that_succeeds_has_both_attempts() {
    let mut has_failed = false;
    let address = serve(move |block| match block == 1 && !has_failed {
        true => {
            has_failed = true;
            ("fail", Duration::ZERO)
        }
        false => ("ok", Duration::ZERO),
    });
    let site = site(&address);
    let block = site.mine().await;
    let of = format!("effects@{block}");
    let answer = site.outcome(&of, "handled").await;
    let one = newest(&answer);
    let runs = one["runs"].as_array().expect("runs");
    assert_eq!((runs.len(), &one["attempts"]), (2, &2.into()), "{one:#}");
    assert!(runs[0]["error"].is_string() && runs[1]["error"].is_null(), "{one:#}");
    assert_eq!(runs[0]["writes"], serde_json::json!([]), "{one:#}");
    assert_eq!(runs[1]["writes"][0]["key"], format!("done/{block}"), "{one:#}");
    assert!(runs[0]["pause_ms"].as_u64() > Some(0), "{one:#}");
    // One event, which nexum retried by itself.
    assert_eq!(answer["handlings"].as_array().map(Vec::len), Some(1));
    assert_eq!(site.dir.nexum(&["explain", &of]).code, Some(0));
}

#[tokio::test]
async fn an_endpoint_that_is_slower_than_its_median_is_a_hint() {
    let slow = Duration::from_millis(400);
    let address = serve(move |block| ("ok", if block == 8 { slow } else { Duration::ZERO }));
    let site = site(&address);
    let mut block = 0;
    for _ in 0..8 {
        block = site.mine().await;
        site.outcome(&format!("effects@{block}"), "handled").await;
    }
    let answer = site.outcome(&format!("effects@{block}"), "handled").await;
    let hint = answer["hints"][0].as_str().unwrap_or_else(|| panic!("{answer:#}"));
    assert!(hint.starts_with(&format!("http://{address} took ")), "{answer:#}");
    assert!(hint.contains("its median of the day for effects is"), "{hint}");
    let text = site.text(&format!("effects@{block}"));
    assert!(text.contains(&format!("hint:     http://{address} took")), "{text}");
}
