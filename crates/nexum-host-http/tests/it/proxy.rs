//! A proxy in the environment has no effect on modules.

use nexum_testing::run_with_proxy;
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
    let mut command = run_with_proxy("proxy::a_proxy_in_the_environment_is_not_used", &proxy.url("/"));
    command.env(URL, server.url("/"));
    let output = spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!((server.heard().len(), proxy.connections()), (1, 0));
}
