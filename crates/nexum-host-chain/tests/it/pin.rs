//! `latest` as the block of the current event.

use std::path::Path;

use nexum_config::manifest::Manifest;
use nexum_core::capability::Capability as _;
use nexum_core::source::Position;
use nexum_host_chain::pin::{Pinned, is_of_today, pin};
use nexum_host_chain::{Chains, methods};
use nexum_testing::{Answer, Node};
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::support::{CHAIN, chains, config_of, position};

const HASH: &str = "0xabababababababababababababababababababababababababababababababab";

const BLOCK: Position = Position {
    number: 258,
    hash: [0xab; 32],
};

fn pinned(method: &str, params: &str) -> Pinned {
    pin(method, &RawValue::from_string(params.to_owned()).unwrap(), &BLOCK)
}

/// The sent method and parameters, with `HASH` for the hash.
fn sent(method: &str, params: &str) -> (String, String) {
    let (method, params) = match pinned(method, params) {
        Pinned::ByHash { method, params, .. } => (method.to_owned(), params),
        Pinned::ByNumber { params } => (method.to_owned(), params),
        Pinned::Untouched => (method.to_owned(), params.to_owned()),
        other => panic!("{other:?}"),
    };
    (method, params.replace(HASH, "HASH"))
}

#[test]
fn each_method_names_the_block_in_its_own_way() {
    let by_hash = r#"{"blockHash":"HASH"}"#;
    for (method, params, expected_method, expected) in [
        (
            "eth_call",
            r#"[ {"to": "0x01"} , "latest" ]"#,
            "eth_call",
            format!(r#"[ {{"to": "0x01"}} , {by_hash} ]"#),
        ),
        (
            "eth_call",
            r#"[{"to":"0x01"}]"#,
            "eth_call",
            format!(r#"[{{"to":"0x01"}},{by_hash}]"#),
        ),
        ("eth_call", r#"[{} ] "#, "eth_call", format!("[{{}},{by_hash} ]")),
        (
            "eth_call",
            r#"[{},null,{"0x01":{}}]"#,
            "eth_call",
            format!(r#"[{{}},{by_hash},{{"0x01":{{}}}}]"#),
        ),
        (
            "eth_call",
            r#"[{},"l\u0061test"]"#,
            "eth_call",
            format!("[{{}},{by_hash}]"),
        ),
        (
            "eth_estimateGas",
            "[{}]",
            "eth_estimateGas",
            format!("[{{}},{by_hash}]"),
        ),
        (
            "eth_createAccessList",
            r#"[{},"latest"]"#,
            "eth_createAccessList",
            format!("[{{}},{by_hash}]"),
        ),
        (
            "eth_getBalance",
            r#"["0x01"]"#,
            "eth_getBalance",
            format!(r#"["0x01",{by_hash}]"#),
        ),
        (
            "eth_getCode",
            r#"["0x01","latest"]"#,
            "eth_getCode",
            format!(r#"["0x01",{by_hash}]"#),
        ),
        (
            "eth_getTransactionCount",
            r#"["0x01"]"#,
            "eth_getTransactionCount",
            format!(r#"["0x01",{by_hash}]"#),
        ),
        (
            "eth_getStorageAt",
            r#"["0x01","0x0"]"#,
            "eth_getStorageAt",
            format!(r#"["0x01","0x0",{by_hash}]"#),
        ),
        (
            "eth_getProof",
            r#"["0x01",[],"latest"]"#,
            "eth_getProof",
            format!(r#"["0x01",[],{by_hash}]"#),
        ),
        (
            "eth_getBlockReceipts",
            r#"["latest"]"#,
            "eth_getBlockReceipts",
            format!("[{by_hash}]"),
        ),
        (
            "eth_getBlockByNumber",
            r#"["latest",  false]"#,
            "eth_getBlockByHash",
            r#"["HASH",  false]"#.to_owned(),
        ),
        (
            "eth_getTransactionByBlockNumberAndIndex",
            r#"["latest","0x0"]"#,
            "eth_getTransactionByBlockHashAndIndex",
            r#"["HASH","0x0"]"#.to_owned(),
        ),
        (
            "eth_feeHistory",
            r#"["0x4","latest",[1.50]]"#,
            "eth_feeHistory",
            r#"["0x4","0x102",[1.50]]"#.to_owned(),
        ),
        (
            "eth_getLogs",
            "[{}]",
            "eth_getLogs",
            r#"[{"blockHash":"HASH"}]"#.to_owned(),
        ),
        (
            "eth_getLogs",
            r#"[ {"fromBlock" : "latest", "address" : ["0x01"] , "toBlock":"latest"} ]"#,
            "eth_getLogs",
            r#"[ {"address" : ["0x01"],"blockHash":"HASH"} ]"#.to_owned(),
        ),
        (
            "eth_getLogs",
            r#"[{"fromBlock":"0x1","topics":[null, "0x02"]}]"#,
            "eth_getLogs",
            r#"[{"fromBlock":"0x1","topics":[null, "0x02"],"toBlock":"0x102"}]"#.to_owned(),
        ),
        (
            "eth_getLogs",
            r#"[{"toBlock":"finalized"}]"#,
            "eth_getLogs",
            r#"[{"toBlock":"finalized","fromBlock":"0x102"}]"#.to_owned(),
        ),
    ] {
        assert_eq!(
            sent(method, params),
            (expected_method.to_owned(), expected),
            "{method} {params}"
        );
    }
    assert_eq!(pinned("eth_blockNumber", "[]"), Pinned::Answer("\"0x102\"".to_owned()));
}

#[test]
fn what_is_not_latest_stays_as_it_is() {
    for (method, params) in [
        ("eth_call", r#"[{},"0x1"]"#),
        ("eth_call", r#"[{},"pending"]"#),
        ("eth_call", r#"[{},{"blockHash":"0x01"}]"#),
        ("eth_call", "[]"),
        ("eth_call", r#"[{},"Latest"]"#),
        ("eth_call", "[1,2,3,4,5,6,7,8,9]"),
        ("eth_getBlockByNumber", r#"["0x1",true]"#),
        ("eth_getBlockByNumber", "[]"),
        ("eth_getBlockReceipts", "[]"),
        ("eth_getBlockByHash", r#"["latest"]"#),
        ("eth_getStorageAt", r#"["0x01"]"#),
        ("eth_feeHistory", r#"["0x4","0x1"]"#),
        ("eth_getLogs", r#"[{"fromBlock":"0x1","toBlock":"0x2"}]"#),
        ("eth_getLogs", r#"[{"blockHash":"0x01"}]"#),
        ("eth_getLogs", r#"[{"fromBlock":"latest","fromBlock":"0x1"}]"#),
        ("eth_getLogs", "[]"),
        ("eth_getLogs", "[null]"),
        ("eth_getLogs", r#"["latest"]"#),
        ("eth_gasPrice", "[]"),
        ("eth_getTransactionReceipt", r#"["latest"]"#),
    ] {
        assert_eq!(pinned(method, params), Pinned::Untouched, "{method} {params}");
    }
}

/// Any JSON, mixed with the words that pinning looks for.
fn any_json() -> impl Strategy<Value = Value> {
    let tag = prop::sample::select(vec!["latest", "pending", "0x1", "fromBlock", "toBlock", "\u{e9}\"\\"]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        tag.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        let name =
            prop::sample::select(vec!["fromBlock", "toBlock", "blockHash", "address", "x"]).prop_map(str::to_owned);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..4).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn pinning_changes_only_what_names_a_block(
        method in prop::sample::select(methods::READ_METHODS),
        params in prop::collection::vec(any_json(), 0..5),
        pretty: bool,
    ) {
        let before = Value::from(params.clone());
        let text = if pretty { serde_json::to_string_pretty(&before) } else { serde_json::to_string(&before) }.unwrap();
        let (Pinned::ByHash { params: after, .. } | Pinned::ByNumber { params: after }) = pinned(method, &text) else {
            return Ok(());
        };
        // The result is an array, at most one element longer, with one difference.
        let after: Vec<Value> = serde_json::from_str(&after).unwrap();
        prop_assert!(after.len() == params.len() || after.len() == params.len() + 1);
        let changed: Vec<usize> = (0..after.len()).filter(|index| params.get(*index) != Some(&after[*index])).collect();
        prop_assert_eq!(changed.len(), 1);
        let index = changed[0];
        if method == "eth_getLogs" {
            let strip = |value: &Value| {
                let mut members = value.as_object().unwrap().clone();
                members.retain(|name, _| !["fromBlock", "toBlock", "blockHash"].contains(&name.as_str()));
                members
            };
            prop_assert_eq!(strip(&params[index]), strip(&after[index]));
        } else {
            let was = params.get(index);
            prop_assert!(was.is_none_or(|was| was.is_null() || was == "latest"), "{:?}", was);
        }
    }

    #[test]
    fn no_text_makes_pinning_panic(method in prop::sample::select(methods::READ_METHODS), text in "[\\[\\]{}\",:a-z0\\\\ ]{0,64}") {
        if let Ok(params) = serde_json::from_str::<&RawValue>(&text) {
            let _ = pin(method, params, &BLOCK);
        }
    }
}

#[tokio::test]
async fn a_pinned_read_reaches_the_node_as_it_was_written() {
    let node = Node::start().await;
    node.on("eth_call", |_| Answer::Result(json!("0x01")));
    let block = node.mine(3).pop().unwrap();
    for url in [node.http_url(), node.ws_url()] {
        let params = r#"[ {"to": "0x01","z":1.00 , "a":"\u0041"}, "latest" ]"#;
        let chains = chains(&url);
        chains
            .request_at(Some(position(&block)), CHAIN, "eth_call", params)
            .await
            .unwrap();
        let sent = node.calls().pop().unwrap();
        let by_hash = block.to_json()["hash"].as_str().unwrap().to_owned();
        let expected = format!(r#"[ {{"to": "0x01","z":1.00 , "a":"\u0041"}}, {{"blockHash":"{by_hash}"}} ]"#);
        assert_eq!(sent.params, expected);
        // Without a block, the request is sent unchanged.
        chains.request_at(None, CHAIN, "eth_call", params).await.unwrap();
        assert_eq!(node.calls().pop().unwrap().params, params);
    }
}

#[tokio::test]
async fn equal_reads_at_one_block_cost_one_request() {
    let node = Node::start().await;
    node.on("eth_call", |_| Answer::Result(json!("0x01")));
    node.on("eth_getBalance", |_| Answer::Error {
        code: 3,
        message: "execution reverted".to_owned(),
        data: Some(json!("0x02")),
    });
    let blocks = node.mine(2);
    let chains = chains(&node.http_url());
    let ask = async |block: &nexum_testing::Block, method: &str, params: &str| {
        chains.request_at(Some(position(block)), CHAIN, method, params).await
    };
    for _ in 0..3 {
        assert_eq!(ask(&blocks[0], "eth_call", "[{}]").await.unwrap(), "\"0x01\"");
        let reverted = ask(&blocks[0], "eth_getBalance", "[\"0x01\"]").await.unwrap_err();
        assert_eq!(reverted.to_host_error().data.as_deref(), Some("0x02"));
        let batch = [("eth_call", "[{}]"), ("eth_blockNumber", "[]")];
        let answers = chains
            .request_batch_at(Some(position(&blocks[0])), CHAIN, &batch, u64::MAX)
            .await
            .unwrap();
        assert_eq!(answers, [Ok("\"0x01\"".to_owned()), Ok("\"0x1\"".to_owned())]);
    }
    assert_eq!((node.count("eth_call"), node.count("eth_getBalance")), (1, 1));
    assert_eq!(node.count("eth_blockNumber"), 0);
    ask(&blocks[1], "eth_call", "[{}]").await.unwrap();
    assert_eq!(node.count("eth_call"), 2, "another block is another read");
    for _ in 0..2 {
        ask(&blocks[0], "eth_call", "[{},\"0x1\"]").await.unwrap();
    }
    assert_eq!(node.count("eth_call"), 4, "what is not pinned is not kept");
}

#[tokio::test]
async fn a_block_that_an_endpoint_does_not_have_is_asked_of_another() {
    let nodes = [Node::start().await, Node::start().await];
    let block = nodes[1].mine(2).pop().unwrap();
    nodes[0].on("eth_call", |_| Answer::error(-32_000, "header for hash not found"));
    nodes[1].on("eth_call", |_| Answer::Result(json!("0x01")));
    let chains = Chains::new([config_of(&nodes.each_ref().map(Node::http_url))]);
    let at = Some(position(&block));
    assert_eq!(
        chains.request_at(at, CHAIN, "eth_call", "[{}]").await.unwrap(),
        "\"0x01\""
    );
    let params = r#"["latest",false]"#;
    let read = chains
        .request_at(at, CHAIN, "eth_getBlockByNumber", params)
        .await
        .unwrap();
    assert_eq!(serde_json::from_str::<Value>(&read).unwrap(), block.to_json());
    let batch = [("eth_getBlockByNumber", r#"["latest",true]"#), ("eth_call", "[1]")];
    let answers = chains.request_batch_at(at, CHAIN, &batch, u64::MAX).await.unwrap();
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}

#[tokio::test]
async fn a_block_that_nobody_has_is_an_error_and_not_kept() {
    let node = Node::start().await;
    let mut config = crate::support::config(&node.http_url());
    config.retries = 1;
    let chains = Chains::new([config]);
    for count in [2, 4] {
        let missing = chains
            .request_at(Some(BLOCK), CHAIN, "eth_getBlockByNumber", r#"["latest",false]"#)
            .await;
        assert_eq!(missing.unwrap_err().to_string(), "the endpoint does not have the block");
        assert_eq!(node.count("eth_getBlockByHash"), count);
    }
}

#[test]
fn a_modules_setting_is_checked_with_its_place() {
    let capability = Chains::default().capability();
    let check = |text: &str| {
        let manifest = Manifest::parse(Path::new("nexum.toml"), text.as_bytes()).unwrap();
        capability.check(&manifest.settings["chain"])
    };
    for good in [
        "[module.chain]\n",
        "[module.chain]\npin = 'event'",
        "[module.chain]\npin = 'off'",
    ] {
        check(good).unwrap();
    }
    for (bad, place, message) in [
        (
            "[module.chain]\n\npin = 'evnt'",
            "nexum.toml:3:7: module.chain.pin",
            "event",
        ),
        (
            "[module.chain]\npni = 'event'",
            "nexum.toml:2:1: module.chain.pni",
            "nearest known one is pin",
        ),
    ] {
        let error = check(bad).unwrap_err().to_string();
        assert!(error.starts_with(place) && error.contains(message), "{error}");
    }
}

#[test]
fn a_trial_knows_the_reads_that_no_pin_holds() {
    for (method, params, expected) in [
        ("eth_getBalance", r#"["0xaa","latest"]"#, false),
        ("eth_getBalance", r#"["0xaa","0x102"]"#, false),
        ("eth_getBalance", r#"["0xaa","0x103"]"#, true),
        ("eth_getBalance", r#"["0xaa","earliest"]"#, false),
        ("eth_getBalance", r#"["0xaa","pending"]"#, true),
        ("eth_getBlockByNumber", r#"["finalized",false]"#, true),
        ("eth_getBlockByNumber", r#"["0x103",false]"#, true),
        ("eth_getLogs", r#"[{"fromBlock":"0x1"}]"#, false),
        ("eth_getLogs", r#"[{"fromBlock":"0x1","toBlock":"safe"}]"#, true),
        ("eth_blockNumber", "[]", false),
        ("eth_chainId", "[]", false),
        ("eth_gasPrice", "[]", true),
        ("eth_getTransactionReceipt", r#"["0xab"]"#, true),
        ("debug_traceTransaction", r#"["0xab"]"#, true),
    ] {
        assert_eq!(is_of_today(method, params, &BLOCK), expected, "{method} {params}");
    }
}
