//! `extra_methods = ["*"]`: modules may call every method of a chain's endpoints.

use std::path::Path;

use nexum_config::document::Environment;
use nexum_config::engine::Config;
use nexum_core::bindings::nexum::host::types::HostErrorKind;
use nexum_core::source::Position;
use nexum_host_chain::{ChainConfig, Chains};
use nexum_testing::{Answer, Anvil, Node};
use serde_json::json;

use crate::support::{CHAIN, config_of};

/// A method that no list names.
const UNKNOWN: &str = "vendor_doSomething";

fn open(urls: &[String]) -> ChainConfig {
    let mut config = config_of(urls);
    config.extra_methods.insert("*".to_owned());
    config
}

/// A node that answers these methods with their parameters.
async fn echo(methods: &'static [&'static str]) -> Node {
    let node = Node::start().await;
    for method in methods {
        node.on(method, |params| Answer::Json(params.get().to_owned()));
    }
    node
}

#[tokio::test]
async fn every_method_is_passed_on_unchanged() {
    const METHODS: &[&str] = &[
        "eth_sendRawTransaction",
        "debug_traceTransaction",
        "admin_addPeer",
        "personal_sign",
        "eth_newFilter",
        UNKNOWN,
        "not a \"name\"\u{1b}",
    ];
    let node = echo(METHODS).await;
    for url in [node.http_url(), node.ws_url()] {
        let chains = Chains::new([open(&[url])]);
        for method in METHODS {
            let params = r#"[ {"to" : "0x01"} , "latest" ]"#;
            assert_eq!(chains.request(CHAIN, method, params).await.unwrap(), params, "{method}");
        }
    }
    for method in METHODS {
        assert_eq!(node.count(method), 2, "{method}");
    }
}

#[tokio::test]
async fn methods_about_a_connection_stay_denied() {
    let node = Node::start().await;
    let chains = Chains::new([open(&[node.ws_url()])]);
    for method in ["eth_subscribe", "eth_unsubscribe"] {
        let error = chains.request(CHAIN, method, "[\"newHeads\"]").await.unwrap_err();
        let error = error.to_host_error();
        assert_eq!(error.kind, HostErrorKind::Denied);
        assert_eq!(
            error.message,
            format!("the method {method} is not allowed: modules share the connection that it is about")
        );
        assert_eq!(node.count(method), 0);
    }
}

#[tokio::test]
async fn a_method_that_may_write_is_neither_shared_nor_pinned() {
    let node = echo(&[UNKNOWN]).await;
    let chains = Chains::new([open(&[node.http_url()])]);
    let block = Position {
        number: 258,
        hash: [0xab; 32],
    };
    let params = r#"["latest"]"#;
    let request = || chains.request_at(Some(block), CHAIN, UNKNOWN, params);
    let (first, second) = tokio::join!(request(), request());
    assert_eq!((first.as_deref(), second.as_deref()), (Ok(params), Ok(params)));
    assert_eq!(request().await.as_deref(), Ok(params));
    assert_eq!(node.count(UNKNOWN), 3);
}

#[tokio::test]
async fn a_method_that_may_write_reaches_one_endpoint_once() {
    for fault in [
        Answer::Drop,
        Answer::Hang,
        Answer::status(503),
        Answer::error(-32_601, "the method does not exist/is not available"),
    ] {
        for url in [Node::http_url, Node::ws_url] {
            let nodes = [Node::start().await, Node::start().await];
            for node in &nodes {
                let fault = fault.clone();
                node.on(UNKNOWN, move |_| fault.clone());
                node.on("eth_call", |_| Answer::Result(json!("good")));
            }
            let mut config = open(&nodes.each_ref().map(url));
            config.request_timeout_ms = 250;
            let chains = Chains::new([config]);
            chains.request(CHAIN, UNKNOWN, "[]").await.unwrap_err();
            assert_eq!([nodes[0].count(UNKNOWN), nodes[1].count(UNKNOWN)], [1, 0], "{fault:?}");
            // In a batch, it is sent by itself, and the reads around it are retried.
            let requests = [("eth_call", "[1]"), (UNKNOWN, "[]"), ("eth_call", "[2]")];
            let answers = chains.request_batch(CHAIN, &requests).await.unwrap();
            let answers: Vec<_> = answers.iter().map(|answer| answer.as_deref().ok()).collect();
            assert_eq!(answers, [Some("\"good\""), None, Some("\"good\"")], "{fault:?}");
            assert_eq!(nodes[0].count(UNKNOWN) + nodes[1].count(UNKNOWN), 2, "{fault:?}");
        }
    }
}

#[tokio::test]
async fn a_real_node_takes_every_method() {
    let anvil = Anvil::start();
    for url in [anvil.http_url(), anvil.ws_url()] {
        let chains = Chains::new([open(&[url])]);
        let before = chains.request(CHAIN, "eth_blockNumber", "[]").await.unwrap();
        let accounts = chains.request(CHAIN, "eth_accounts", "[]").await.unwrap();
        let accounts: Vec<String> = serde_json::from_str(&accounts).unwrap();
        let transfer = json!([{ "from": accounts[0], "to": accounts[1], "value": "0x1" }]);
        let hash = chains
            .request(CHAIN, "eth_sendTransaction", &transfer.to_string())
            .await;
        assert_eq!(hash.unwrap().len(), "\"0x\"".len() + 64);
        chains.request(CHAIN, "anvil_mine", "[\"0x1\"]").await.unwrap();
        let after = chains.request(CHAIN, "eth_blockNumber", "[]").await.unwrap();
        assert_ne!(after, before);
    }
}

#[test]
fn an_open_chain_has_a_warning_and_a_pattern_is_refused() {
    let parse = |methods: &str| {
        let text = format!("[chains.1]\nrpc_url = 'http://localhost'\nextra_methods = {methods}\n");
        let config = Config::parse(Path::new("engine.toml"), text.as_bytes(), &Environment::closed()).unwrap();
        Chains::from_sections(&config.chains).map_err(|errors| errors.to_string())
    };
    let warnings = |methods: &str| parse(methods).unwrap().warnings().collect::<Vec<_>>();
    assert_eq!(
        warnings("['trace_block', '*']"),
        [
            "[chains.1] extra_methods = [\"*\"]: modules may call every JSON-RPC method of the chain's endpoints, also \
          those that send transactions, sign (personal_), or change the node (admin_, debug_)"
        ]
    );
    assert_eq!(warnings("['trace_block']"), Vec::<String>::new());
    let error = parse("['debug_*', '', 'eth_subscribe']").unwrap_err();
    let lines: Vec<_> = error.lines().collect();
    assert_eq!(
        lines,
        [
            "engine.toml:3:17: chains.1.extra_methods: must hold method names of 1 to 128 printable characters",
            "engine.toml:3:17: chains.1.extra_methods: debug_* is a pattern",
            "engine.toml:3:17: chains.1.extra_methods: eth_subscribe cannot be allowed: its answers belong to a \
             connection that modules share",
        ]
    );
}
