use nexum_core::bindings::nexum::host::types::HostErrorKind;
use nexum_core::event::Position;
use nexum_testing::{Anvil, AnvilOptions};
use serde_json::json;

use crate::support::{CHAIN, Following, chains};

/// Init code, which an `eth_call` without `to` runs as it is: stores 0xab as a word and reverts with its last byte.
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

async fn head(anvil: &Anvil) -> Position {
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
    following.reaches_position(head(&other).await).await;
    // The source began at block 5 and has told nobody of an earlier one: that block goes, and the new chain's come.
    assert_eq!(following.reverts().len(), 1);
    assert_eq!(following.chain().len(), 5);
}
