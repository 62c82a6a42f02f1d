use nexum_core::bindings::nexum::host::types::HostErrorKind;
use nexum_core::source::Position;
use nexum_host_chain::Endpoints;
use nexum_testing::{Anvil, AnvilOptions};
use serde_json::json;

use crate::support::{CHAIN, Following, chains, config_of, request, soon, texts};

/// Init code, which an `eth_call` without `to` runs unchanged: stores 0xab as a word and reverts
/// with its last byte.
const REVERTING_CODE: &str = "0x60ab5f526001601ffd";

struct Real {
    anvil: Anvil,
    urls: Vec<String>,
    _directory: tempfile::TempDir,
}

/// An anvil that serves http, ws and ipc.
fn real() -> Real {
    let directory = tempfile::tempdir().unwrap();
    let ipc_path = directory.path().join("anvil.ipc");
    let anvil = Anvil::start_with(&AnvilOptions {
        ipc_path: Some(ipc_path.clone()),
        ..AnvilOptions::default()
    });
    let urls = vec![anvil.http_url(), anvil.ws_url(), ipc_path.display().to_string()];
    Real {
        anvil,
        urls,
        _directory: directory,
    }
}

pub(crate) async fn head(anvil: &Anvil) -> Position {
    let block = anvil.request("eth_getBlockByNumber", json!(["latest", false])).await;
    let digits = |key: &str| block[key].as_str().unwrap().trim_start_matches("0x").to_owned();
    let hash = digits("hash");
    let bytes: Vec<u8> = (0..64)
        .step_by(2)
        .map(|at| u8::from_str_radix(&hash[at..at + 2], 16).unwrap())
        .collect();
    Position {
        number: u64::from_str_radix(&digits("number"), 16).unwrap(),
        hash: bytes.try_into().unwrap(),
    }
}

#[tokio::test]
async fn a_real_node_answers_requests_and_batches_over_every_transport() {
    let real = real();
    for url in &real.urls {
        let chains = chains(url);
        assert_eq!(
            chains.request(CHAIN, "eth_chainId", "[]").await.unwrap(),
            r#""0xaa36a7""#,
            "{url}"
        );
        let requests = [
            ("eth_chainId", "[]"),
            ("eth_getBalance", r#"["nonsense"]"#),
            ("eth_accounts", "[]"),
        ];
        let answers = chains.request_batch(CHAIN, &requests).await.unwrap();
        let kinds: Vec<_> = answers
            .into_iter()
            .map(|answer| answer.map_err(|error| error.to_host_error().kind))
            .collect();
        let expected = [
            Ok(r#""0xaa36a7""#.to_owned()),
            Err(HostErrorKind::InvalidInput),
            Err(HostErrorKind::Denied),
        ];
        assert_eq!(kinds, expected, "{url}");
    }
}

#[tokio::test]
async fn a_real_revert_keeps_its_data() {
    let real = real();
    for url in &real.urls {
        let params = format!(r#"[{{"data":"{REVERTING_CODE}"}},"latest"]"#);
        let error = chains(url)
            .request(CHAIN, "eth_call", &params)
            .await
            .unwrap_err()
            .to_host_error();
        assert_eq!(
            (error.kind, error.code),
            (HostErrorKind::InvalidInput, 3),
            "{url}: {error:?}"
        );
        assert_eq!(error.data.as_deref(), Some("0xab"), "{url}");
    }
}

#[tokio::test]
async fn a_real_chain_is_followed_through_reorgs_over_every_transport() {
    let real = real();
    real.anvil.mine(3).await;
    for url in &real.urls {
        let following = Following::start(&chains(url));
        following.reaches_position(head(&real.anvil).await).await;
        real.anvil.mine(60).await;
        following.reaches_position(head(&real.anvil).await).await;
        real.anvil.reorg(5).await;
        real.anvil.mine(1).await;
        following.reaches_position(head(&real.anvil).await).await;
        assert_eq!(following.chain().len(), 62, "{url}");
        assert!(!following.reverts().is_empty(), "{url}");
        following.stop().await;
    }
}

#[tokio::test]
async fn a_real_node_that_is_killed_and_started_on_another_chain_is_noticed() {
    let anvil = Anvil::start();
    anvil.mine(5).await;
    let following = Following::start(&chains(&anvil.ws_url()));
    following.reaches_position(head(&anvil).await).await;
    let port = anvil.port();
    drop(anvil);

    let options = AnvilOptions {
        port: Some(port),
        extra_args: vec!["--timestamp".to_owned(), "1".to_owned()],
        ..AnvilOptions::default()
    };
    let other = Anvil::start_with(&options);
    other.mine(8).await;
    // The first block differs too, so this is another network.
    let error = following.fails().await;
    assert!(
        texts(&error)[1].contains("none of the 5 blocks before that is in both"),
        "{:?}",
        texts(&error)
    );
}

#[tokio::test]
async fn a_real_primary_that_is_killed_is_passed_over_and_gone_back_to() {
    for url in [Anvil::http_url, Anvil::ws_url] {
        let (primary, secondary) = (Anvil::start(), Anvil::start());
        secondary.mine(3).await;
        let endpoints = Endpoints::new(&config_of(&[url(&primary), url(&secondary)]));
        let head = request("eth_blockNumber", "[]");
        let following = endpoints.all()[1].clone();
        let asked = async {
            assert_eq!(endpoints.request(&head).await.unwrap().get(), "\"0x0\"");
            let options = AnvilOptions {
                port: Some(primary.port()),
                ..AnvilOptions::default()
            };
            drop(primary);
            soon(async { while endpoints.request(&head).await.unwrap().get() != "\"0x3\"" {} }).await;
            let _primary = Anvil::start_with(&options);
            soon(endpoints.changed(&following)).await;
            assert_eq!(endpoints.request(&head).await.unwrap().get(), "\"0x0\"");
        };
        tokio::select! {
            () = endpoints.tend() => {}
            () = asked => {}
        }
    }
}

#[tokio::test]
async fn a_real_node_takes_every_pinned_read_and_answers_for_that_block() {
    const ADDRESS: &str = "0x00000000000000000000000000000000000000aa";
    let anvil = Anvil::start();
    // Each transfer is in its own block.
    let accounts = anvil.request("eth_accounts", json!([])).await;
    let transfer = json!([{ "from": accounts[0], "to": ADDRESS, "value": "0x5" }]);
    anvil.request("eth_sendTransaction", transfer.clone()).await;
    anvil.mine(3).await;
    let block = head(&anvil).await;
    anvil.request("eth_sendTransaction", transfer).await;
    let chains = chains(&anvil.ws_url());
    let call = format!(r#"[{{"to":"{ADDRESS}"}}]"#);
    let account = format!(r#"["{ADDRESS}"]"#);
    for (method, params) in [
        ("eth_call", &*call),
        ("eth_estimateGas", &call),
        ("eth_createAccessList", &call),
        ("eth_getBalance", &account),
        ("eth_getCode", &account),
        ("eth_getTransactionCount", &account),
        ("eth_getStorageAt", &format!(r#"["{ADDRESS}","0x0"]"#)),
        ("eth_getProof", &format!(r#"["{ADDRESS}",[]]"#)),
        ("eth_getBlockReceipts", r#"["latest"]"#),
        ("eth_getBlockByNumber", r#"["latest",false]"#),
        ("eth_getBlockTransactionCountByNumber", r#"["latest"]"#),
        ("eth_getUncleCountByBlockNumber", r#"["latest"]"#),
        ("eth_getTransactionByBlockNumberAndIndex", r#"["latest","0x0"]"#),
        ("eth_feeHistory", r#"["0x1","latest",[]]"#),
        ("eth_getLogs", "[{}]"),
        ("eth_getLogs", r#"[{"fromBlock":"0x1"}]"#),
    ] {
        let answer = chains.request_at(Some(block), CHAIN, method, params).await;
        assert!(answer.is_ok(), "{method} {params}: {answer:?}");
    }
    let latest = format!(r#"["{ADDRESS}","latest"]"#);
    let at = async |block| {
        chains
            .request_at(block, CHAIN, "eth_getBalance", &latest)
            .await
            .unwrap()
    };
    assert_eq!(at(Some(block)).await, "\"0x5\"");
    assert_eq!(at(None).await, "\"0xa\"");
    let number = chains
        .request_at(Some(block), CHAIN, "eth_blockNumber", "[]")
        .await
        .unwrap();
    assert_eq!(number, format!("\"{:#x}\"", block.number));
}
