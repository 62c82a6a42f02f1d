//! Names and addresses: the client connects only to a checked address.

use std::net::{Ipv6Addr, SocketAddr};

use nexum_host_http::{FetchError, HttpConfig, Policy, Rule};
use tokio::net::TcpListener;

use crate::server::{Server, answer, redirect};
use crate::support::{Names, get, open, patterns};

/// An operator that allows these without TLS, but not at private addresses.
fn public_only(entries: &[&str]) -> HttpConfig {
    let mut config = open(entries);
    config.policy.allow_private = Vec::new();
    config.connect_timeout_ms = 200;
    config
}

fn is_refused(error: &FetchError) -> bool {
    matches!(
        error,
        FetchError::Denied {
            rule: Rule::Address(_),
            ..
        }
    )
}

#[tokio::test]
async fn a_name_with_an_address_that_is_not_public_is_refused() {
    let server = Server::start(|_| answer(200, &[], "inner")).await;
    let entry = format!("service.example:{}", server.port);
    for addresses in [
        &["127.0.0.1"][..],
        &["10.0.0.1"],
        &["172.16.0.1"],
        &["192.168.0.1"],
        &["169.254.169.254"],
        &["100.64.0.1"],
        &["0.0.0.0"],
        &["255.255.255.255"],
        &["224.0.0.1"],
        &["::1"],
        &["::"],
        &["fc00::1"],
        &["fe80::1"],
        &["::ffff:127.0.0.1"],
        &["::127.0.0.1"],
        &["64:ff9b::7f00:1"],
        &["64:ff9b:1::7f00:1"],
        &["2002:7f00:1::1"],
        &["2001:0:7f00:1::1"],
        // One private address is enough, in any position.
        &["127.0.0.1", "8.8.8.8"],
        &["8.8.8.8", "127.0.0.1"],
        &["2001:4860:4860::8888", "8.8.8.8", "10.0.0.1"],
    ] {
        let names = Names::default().with("service.example", &[addresses]);
        let fetcher = names.fetcher(&public_only(&[&entry]));
        let error = get(&fetcher, &format!("http://{entry}/")).await.unwrap_err();
        assert!(is_refused(&error), "{addresses:?}: {error}");
        assert_eq!(names.asked(), ["service.example"], "{addresses:?}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_name_of_this_machine_is_refused_by_the_systems_resolver_too() {
    let server = Server::start(|_| answer(200, &[], "inner")).await;
    let entry = format!("localhost:{}", server.port);
    let url = format!("http://{entry}/");
    let strict = crate::support::fetcher(&public_only(&[&entry]));
    let error = get(&strict, &url).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the destination's address is not a public one: it is loopback"
    );
    assert_eq!(server.connections(), 0);
    let named = crate::support::fetcher(&open(&[&entry]));
    assert_eq!(get(&named, &url).await.unwrap().body, b"inner");
}

#[tokio::test]
async fn a_name_that_comes_to_mean_an_inner_address_does_not_lead_there() {
    let server = Server::start(|_| answer(200, &[], "inner")).await;
    let entry = format!("rebind.example:{}", server.port);
    // A public address without a server, then a private one: a client that resolves the name twice
    // would connect to it.
    let names = Names::default().with("rebind.example", &[&["192.175.48.1"], &["127.0.0.1"]]);
    let fetcher = names.fetcher(&public_only(&[&entry]));
    let url = format!("http://{entry}/");
    let first = get(&fetcher, &url).await.unwrap_err();
    assert!(!is_refused(&first), "{first}");
    assert_eq!(names.asked().len(), 1);
    let second = get(&fetcher, &url).await.unwrap_err();
    assert!(is_refused(&second), "{second}");
    assert_eq!((names.asked().len(), server.connections()), (2, 0));
}

#[tokio::test]
async fn the_address_that_was_looked_up_is_connected_to_and_kept() {
    let server = Server::start(|_| answer(200, &[], "yes")).await;
    let entry = format!("service.example:{}", server.port);
    // The second answer leads to no server.
    let names = Names::default().with("service.example", &[&["127.0.0.1"], &["127.255.255.1"]]);
    let fetcher = names.fetcher(&open(&[&entry]));
    for _ in 0..3 {
        assert_eq!(get(&fetcher, &format!("http://{entry}/")).await.unwrap().body, b"yes");
    }
    assert_eq!((names.asked().len(), server.connections()), (1, 1));
    assert_eq!(server.heard()[0].header("host"), Some(entry.as_str()));
}

#[tokio::test]
async fn a_redirect_to_a_name_with_an_inner_address_is_refused() {
    let inner = Server::start(|_| answer(200, &[], "inner")).await;
    let location = format!("http://inner.example:{}/", inner.port);
    let outer = Server::start(move |_| redirect(302, &location)).await;
    let entries = [outer.entry(), format!("inner.example:{}", inner.port)];
    let mut config = open(&[&entries[0], &entries[1]]);
    config.policy.allow_private = patterns(&[&entries[0]]);
    let fetcher = Names::default()
        .with("inner.example", &[&["127.0.0.1"]])
        .fetcher(&config);
    let error = get(&fetcher, &outer.url("/")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "after a redirect: the destination's address is not a public one: it is loopback"
    );
    assert_eq!(inner.connections(), 0);
}

#[tokio::test]
async fn an_address_in_the_url_is_checked_without_a_resolver() {
    let listener = TcpListener::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, 0))).await;
    let port = listener
        .as_ref()
        .map_or(1, |listener| listener.local_addr().unwrap().port());
    let names = Names::default();
    for url in [
        format!("http://[::1]:{port}/"),
        format!("http://127.0.0.1:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
    ] {
        let entries = ["[::1]", "127.0.0.1", "[::ffff:127.0.0.1]"].map(|host| format!("{host}:{port}"));
        let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
        let error = get(&names.fetcher(&public_only(&entries)), &url).await.unwrap_err();
        assert!(is_refused(&error), "{url}: {error}");
    }
    assert!(names.asked().is_empty());
}

#[tokio::test]
async fn a_name_without_an_address_is_unavailable() {
    let names = Names::default().with("empty.example", &[&[]]);
    for host in ["empty.example", "unknown.example"] {
        let fetcher = names.fetcher(&open(&[host]));
        let error = get(&fetcher, &format!("https://{host}/")).await.unwrap_err();
        assert_eq!(error, FetchError::Unresolved, "{host}");
    }
}

#[test]
fn nothing_is_allowed_by_default() {
    assert_eq!(HttpConfig::default().policy, Policy::default());
    assert!(Policy::default().allow.is_empty() && Policy::default().allow_private.is_empty());
}
