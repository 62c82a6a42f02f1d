//! A proxy in the environment has no effect on modules.

use std::process::Command;

use tokio::task::spawn_blocking;

use crate::server::{Server, answer};
use crate::support::{fetcher, get, open};

/// The variable with the URL to fetch, for the child process.
const URL: &str = "NEXUM_HTTP_TEST_URL";

/// The test starts itself as a child process with a proxy in the environment, which a process reads
/// once.
#[tokio::test]
async fn a_proxy_in_the_environment_is_not_used() {
    if let Some(url) = std::env::var_os(URL) {
        let url = url.into_string().unwrap();
        let entry = url.trim_start_matches("http://").trim_end_matches('/');
        assert_eq!(get(&fetcher(&open(&[entry])), &url).await.unwrap().body, b"itself");
        return;
    }
    let server = Server::start(|_| answer(200, &[], "itself")).await;
    let proxy = Server::start(|_| answer(200, &[], "a proxy")).await;
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "--exact",
        "proxy::a_proxy_in_the_environment_is_not_used",
        "--nocapture",
    ]);
    command
        .env(URL, server.url("/"))
        .env_remove("NO_PROXY")
        .env_remove("no_proxy");
    for name in [
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
    ] {
        command.env(name, proxy.url("/"));
    }
    let output = spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!((server.heard().len(), proxy.connections()), (1, 0));
}
