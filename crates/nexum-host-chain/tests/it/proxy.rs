//! The proxy that the environment names.

use nexum_host_chain::Endpoints;
use nexum_testing::{Node, run_with_proxy};
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;

use crate::handshake::serve;
use crate::support::{config, request};

/// The variable with the node's URL, for the child process.
const URL: &str = "NEXUM_CHAIN_TEST_PROXY";

const REFUSAL: &str = "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// The outcome of one request to the node.
async fn ask(url: &str, use_proxy: bool) -> String {
    let mut config = config(url);
    config.retries = 0;
    config.use_proxy = use_proxy;
    let answer = Endpoints::new(&config).request(&request("eth_blockNumber", "[]")).await;
    answer.map_or_else(|error| error.to_string(), |result| result.get().to_owned())
}

/// The test starts itself as a child process, because all threads of a process share one
/// environment.
#[tokio::test]
async fn a_proxy_in_the_environment_is_used_if_the_operator_asks_for_it() {
    if let Some(url) = std::env::var_os(URL) {
        let url = url.to_str().unwrap();
        assert_eq!(ask(url, false).await, "\"0x2a\"");
        assert_eq!(ask(url, true).await, "the endpoint answered with HTTP status 407");
        return;
    }
    let node = Node::start().await;
    node.mine(42);
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy_url = format!("http://{}", proxy.local_addr().unwrap());
    let name = "proxy::a_proxy_in_the_environment_is_used_if_the_operator_asks_for_it";
    let mut command = run_with_proxy(name, &proxy_url);
    command.env(URL, node.http_url());
    let served = async {
        let (mut stream, _) = proxy.accept().await.unwrap();
        serve(&mut stream, REFUSAL).await
    };
    let asked = spawn_blocking(move || command.output().unwrap());
    // The child may fail before it reaches the proxy.
    let mut served = std::pin::pin!(served);
    let mut seen = None;
    tokio::pin!(asked);
    let output = loop {
        tokio::select! {
            text = &mut served, if seen.is_none() => seen = Some(text),
            output = &mut asked => break output.unwrap(),
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let expected = format!("post {}/ http/1.1\r\n", node.http_url());
    let seen = seen.unwrap();
    assert!(seen.starts_with(&expected), "{seen}");
    assert_eq!((node.count("eth_chainId"), node.count("eth_blockNumber")), (1, 1));
}
