use std::collections::BTreeMap;

use nexum_host_chain::{ChainConfig, Chains, EndpointConfig, EndpointUrl, HttpHeaders};
use nexum_testing::{Answer, Node};

use crate::captured::Log;
use crate::support::{CHAIN, Following, chains_without_retries, config, soon, texts};

const SECRETS: [&str; 5] = [
    "hunter2-password",
    "0123456789abcdef-path",
    "fedcba9876543210-query",
    "a-user-name",
    "c0ffee-header-value",
];

/// The URL of a node with a secret in every possible place.
fn secret(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    let [password, path, query, user, _] = SECRETS;
    format!("{scheme}://{user}:{password}@{rest}/v3/{path}?apikey={query}")
}

/// A configuration with a secret in every possible place.
fn secret_config(url: &str) -> ChainConfig {
    let mut endpoint = EndpointConfig::from(EndpointUrl::parse(&secret(url)).unwrap());
    let headers = BTreeMap::from([("x-api-key".to_owned(), format!("Token {}", SECRETS[4]))]);
    endpoint.headers = HttpHeaders::new(&headers).unwrap();
    let mut config = ChainConfig::new(CHAIN, endpoint);
    config.poll_interval_ms = 10;
    config
}

fn check(text: &str) {
    for secret in SECRETS {
        let line = text.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "shows {secret}");
    }
}

#[tokio::test]
async fn no_failure_shows_a_secret() {
    let log = Log::default();
    let _guard = log.capture();

    let mut node = Node::start().await;
    let echo = format!(
        "project {} with {} of {} unknown, see https://example.org/help now",
        SECRETS[1],
        SECRETS[4],
        secret("http://h")
    );
    let faults = [
        Answer::error(-32_000, echo.clone()),
        Answer::Status {
            status: 403,
            retry_after: None,
            body: echo.clone(),
        },
        Answer::Status {
            status: 500,
            retry_after: None,
            body: echo.clone(),
        },
        Answer::ErrorStatus {
            status: 401,
            code: -32_600,
            message: echo.clone(),
        },
        Answer::Text(echo.clone()),
        Answer::Truncated,
        Answer::Huge { bytes: 2_000_000 },
        Answer::Hang,
        Answer::Drop,
    ];
    for url in [node.http_url(), node.ws_url()] {
        let mut config = secret_config(&url);
        config.retries = 0;
        config.request_timeout_ms = 500;
        config.response_bytes_max = 1_024 * 1_024;
        check(&format!("{config:?}"));
        let chains = Chains::new([config]);
        for fault in &faults {
            node.once("eth_call", fault.clone());
            let error = chains.request(CHAIN, "eth_call", "[]").await.unwrap_err();
            check(&format!(
                "{error:?} {error} {:?} {:?}",
                texts(&error),
                error.to_host_error()
            ));
        }
        check(&format!("{chains:?} {:?}", chains.source(CHAIN)));
        chains.request(CHAIN, "eth_blockNumber", "[]").await.unwrap();
        node.stop().await;
        let error = loop {
            if let Err(error) = chains.request(CHAIN, "eth_blockNumber", "[]").await {
                break error;
            }
            tokio::task::yield_now().await;
        };
        check(&format!("{error:?} {error} {:?}", texts(&error)));
        node.restart().await;
    }
    check(&log.text());
}

#[tokio::test]
async fn following_logs_scheme_and_host_only() {
    let log = Log::default();
    let _guard = log.capture();

    let mut node = Node::start().await;
    for url in [node.http_url(), node.ws_url()] {
        let following = Following::start(&Chains::new([secret_config(&url)]));
        following.reaches(&node.mine(1)[0]).await;
        let before = log.text().len();
        node.stop().await;
        node.mine(1);
        soon(async {
            while !log.text()[before..].contains("the chain cannot be followed: nexum retries") {
                tokio::task::yield_now().await;
            }
        })
        .await;
        node.restart().await;
        following.reaches(node.chain().head()).await;
        following.stop().await;
    }
    let text = log.text();
    assert!(
        text.contains("http://127.0.0.1") && text.contains("ws://127.0.0.1"),
        "{text}"
    );
    check(&text);
}

#[tokio::test]
async fn a_message_of_the_endpoint_keeps_its_words_but_no_url() {
    let node = Node::start().await;
    let chains = chains_without_retries(&secret(&node.http_url()));
    let message = format!(
        "project id {} is over its limit, see https://example.org/{} for more",
        SECRETS[1], SECRETS[2]
    );
    node.once("eth_call", Answer::error(-32_005, message));
    let error = chains
        .request(CHAIN, "eth_call", "[]")
        .await
        .unwrap_err()
        .to_host_error();
    assert_eq!(
        error.message,
        "project id [redacted] is over its limit, see [redacted] for more"
    );

    node.once("eth_call", Answer::error(-32_005, "é".repeat(5_000)));
    let error = chains
        .request(CHAIN, "eth_call", "[]")
        .await
        .unwrap_err()
        .to_host_error();
    assert_eq!(error.message.len(), nexum_host_chain::MESSAGE_BYTES_MAX);
}

#[tokio::test]
async fn an_ipc_path_is_not_shown() {
    let path = "/nowhere/of-the-operator/geth.ipc";
    let config = config(path);
    assert_eq!(config.endpoints()[0].url, EndpointUrl::parse(path).unwrap());
    let error = Chains::new([config])
        .request(CHAIN, "eth_call", "[]")
        .await
        .unwrap_err();
    assert!(!format!("{error:?} {error} {:?}", texts(&error)).contains("of-the-operator"));
    assert_eq!(error.to_string(), "the endpoint cannot be reached: entity not found");
}
