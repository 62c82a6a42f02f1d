//! Requests share connections, but not permissions.

use std::sync::Arc;

use nexum_host_http::{FetchError, Http, Rule};

use crate::server::{Server, answer};
use crate::support::{Names, get, open, patterns};

#[tokio::test]
async fn a_connection_of_one_module_gives_another_no_leave() {
    let server = Server::start(|_| answer(200, &[], "yes")).await;
    let http = Http::new(open(&[&server.entry()]));
    let granted = http.fetcher("granted", patterns(&[&server.entry()]));
    let other = http.fetcher("other", patterns(&["api.example.com"]));
    for _ in 0..2 {
        get(&granted, &server.url("/")).await.unwrap();
        let denied = get(&other, &server.url("/")).await.unwrap_err();
        let rule = Rule::Manifest;
        assert_eq!(
            denied,
            FetchError::Denied {
                rule,
                redirected: false
            }
        );
    }
    assert_eq!((server.heard().len(), server.connections()), (2, 1));
}

#[tokio::test]
async fn names_at_one_address_share_no_connection() {
    let server = Server::start(|_| answer(200, &[], "yes")).await;
    let entries = ["a", "b"].map(|name| format!("{name}.example:{}", server.port));
    let names = Names::default()
        .with("a.example", &[&["127.0.0.1"]])
        .with("b.example", &[&["127.0.0.1"]]);
    let fetcher = names.fetcher(&open(&[&entries[0], &entries[1]]));
    for entry in entries.iter().chain(&entries) {
        get(&fetcher, &format!("http://{entry}/")).await.unwrap();
    }
    assert_eq!((names.asked().len(), server.connections()), (2, 2));
}

#[tokio::test]
async fn a_connection_to_a_private_address_is_for_its_own_entry_alone() {
    let server = Server::start(|_| answer(200, &[], "yes")).await;
    let entry = format!("service.example:{}", server.port);
    let names = Names::default().with("service.example", &[&["127.0.0.1"]]);
    let named = Http::with_lookup(open(&[&entry]), Arc::new(names.clone()));
    let url = format!("http://{entry}/");
    get(&named.fetcher("test", patterns(&[&entry])), &url).await.unwrap();
    let mut config = open(&[&entry]);
    config.policy.allow_private = Vec::new();
    let denied = get(&names.fetcher(&config), &url).await.unwrap_err();
    assert!(
        matches!(
            denied,
            FetchError::Denied {
                rule: Rule::Address(_),
                ..
            }
        ),
        "{denied}"
    );
    assert_eq!(server.connections(), 1);
}
