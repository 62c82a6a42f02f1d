//! Each part of a fetch ends at its time limit.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use nexum_core::bindings::nexum::host::types::HostErrorKind;
use nexum_host_http::{FetchError, Http, LOOKUPS_MAX, LOOKUPS_PER_MODULE_MAX, Lookup, Phase, Request};
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::server::{Reply, Server, answer, redirect};
use crate::support::{fetcher, get, late, open};

fn phase(error: &FetchError) -> Phase {
    assert_eq!(error.to_host_error().kind, HostErrorKind::Timeout, "{error}");
    let FetchError::Timeout { phase, .. } = error else {
        panic!("{error}")
    };
    *phase
}

#[tokio::test]
async fn each_part_has_its_bound() {
    let server = Server::start(|heard| match heard.path.as_str() {
        "/silent" => Reply::Hang(Vec::new()),
        "/half" => Reply::Hang(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_vec()),
        _ => Reply::Hang(b"HTTP/1.1 200 OK\r\n".to_vec()),
    })
    .await;
    let mut config = open(&[&server.entry()]);
    (config.first_byte_timeout_ms, config.timeout_ms) = (100, 300);
    for (path, expected) in [
        ("/silent", Phase::FirstByte),
        ("/head", Phase::FirstByte),
        ("/half", Phase::Total),
    ] {
        let error = get(&fetcher(&config), &server.url(path)).await.unwrap_err();
        assert_eq!(phase(&error), expected, "{path}: {error}");
    }
    (config.first_byte_timeout_ms, config.timeout_ms) = (60_000, 100);
    let error = get(&fetcher(&config), &server.url("/silent")).await.unwrap_err();
    assert_eq!(phase(&error), Phase::Total);
}

#[tokio::test]
async fn the_least_of_the_modules_the_operators_and_the_events_time_counts() {
    let server = Server::start(|_| Reply::Hang(Vec::new())).await;
    let url = server.url("/");
    for (asked, operator, left) in [(50, 60_000, 60_000), (u32::MAX, 50, 60_000), (60_000, 60_000, 50)] {
        let mut config = open(&[&server.entry()]);
        (config.first_byte_timeout_ms, config.timeout_ms) = (60_000, operator);
        let request = Request::new("GET", &url).unwrap().with_timeout_ms(asked).unwrap();
        let began = Instant::now();
        let error = fetcher(&config)
            .fetch(request, began + Duration::from_millis(left))
            .await
            .unwrap_err();
        phase(&error);
        assert!(began.elapsed() < Duration::from_secs(10), "{asked} {operator} {left}");
    }
}

#[tokio::test]
async fn redirects_have_no_time_of_their_own() {
    let server = Server::start(|heard| match heard.path.as_str() {
        "/" => redirect(302, "/silent"),
        _ => Reply::Hang(Vec::new()),
    })
    .await;
    let mut config = open(&[&server.entry()]);
    (config.first_byte_timeout_ms, config.timeout_ms) = (60_000, 200);
    let error = get(&fetcher(&config), &server.url("/")).await.unwrap_err();
    assert_eq!(phase(&error), Phase::Total);
    assert_eq!(server.heard().len(), 2);
}

/// A name server that does not answer while the other end of the channel exists.
#[derive(Debug)]
struct Silent {
    hold: Arc<Mutex<mpsc::Receiver<()>>>,
    asked: tokio::sync::mpsc::UnboundedSender<()>,
}

impl Lookup for Silent {
    fn lookup(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.send(()).unwrap();
        let _ = self.hold.lock().recv();
        Err(io::ErrorKind::NotFound.into())
    }
}

#[tokio::test]
async fn a_name_server_that_says_nothing_holds_up_connecting_alone_and_few_threads() {
    let (release, hold) = mpsc::channel::<()>();
    let (asked, mut lookups) = tokio::sync::mpsc::unbounded_channel();
    let mut config = open(&["*.example"]);
    config.connect_timeout_ms = 200;
    let silent = Silent {
        hold: Arc::new(Mutex::new(hold)),
        asked,
    };
    let http = Http::with_lookup(config.clone(), Arc::new(silent));
    let mut asked = 0;
    // One module can use a part of the lookups. All modules together can use all.
    for (modules, expected) in [
        (1, LOOKUPS_PER_MODULE_MAX),
        (2, 2 * LOOKUPS_PER_MODULE_MAX),
        (9, LOOKUPS_MAX),
    ] {
        let mut fetches = JoinSet::new();
        for (module, number) in (0..modules).flat_map(|module| (0..8).map(move |number| (module, number))) {
            let fetcher = http.fetcher(&format!("module-{module}"), config.policy.allow.clone());
            let request = Request::new("GET", &format!("https://h{number}.example/")).unwrap();
            fetches.spawn(async move { fetcher.fetch(request, late()).await.unwrap_err() });
        }
        for error in fetches.join_all().await {
            assert_eq!(phase(&error), Phase::Connect);
        }
        while lookups.try_recv().is_ok() {
            asked += 1;
        }
        assert_eq!(asked, expected, "{modules} modules");
    }
    drop(release);
}

#[tokio::test]
async fn a_fetch_that_is_given_up_leaves_the_next_one_alone() {
    let server = Server::start(|heard| match heard.path.as_str() {
        "/silent" => Reply::Hang(Vec::new()),
        _ => answer(200, &[], "here"),
    })
    .await;
    let mut config = open(&[&server.entry()]);
    config.first_byte_timeout_ms = 100;
    let fetcher = fetcher(&config);
    for _ in 0..3 {
        phase(&get(&fetcher, &server.url("/silent")).await.unwrap_err());
        assert_eq!(get(&fetcher, &server.url("/")).await.unwrap().body, b"here");
    }
}
