//! New projects in JavaScript, Python and C, built and run.

use nexum_testing::{LogSpec, Node};
use serde_json::Value;

use crate::Dir;
use crate::languages::{TOKEN, TRANSFER, serve};
use crate::running::{Log, RUNNING, spawn, terminate};

const ABI: &str = include_str!("../../../nexum-sdk/tests/abi/Token.json");

const QUOTE: &str = r#"{"quote":{"sellAmount":"7","buyAmount":"9"}}"#;

/// The sender and the recipient of the transfer.
const ACCOUNTS: [&str; 2] = [
    "d8da6bf26964af9d7eed9e03e53415d37aa96045",
    "70997970c51812dc3a010c7d01b50e0d17dc79c8",
];

/// A transfer of 1,000, in the encoding of a token.
fn transfer() -> LogSpec {
    let accounts = ACCOUNTS.map(|account| format!("0x{account:0>64}"));
    let [from, to] = accounts.map(|topic| topic.parse().expect("a topic"));
    LogSpec {
        address: TOKEN.parse().expect("an address"),
        topics: vec![TRANSFER.parse().expect("a topic"), from, to],
        data: format!("0x{:064x}", 1000).parse().expect("data"),
    }
}

/// Makes and builds a project.
fn built(dir: &Dir, name: &str, language: &str, options: &[&str]) {
    let made = dir.nexum(&[&["new", name, "--lang", language], options].concat());
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let built = dir.nexum(&["build", name]);
    assert_eq!(built.code, Some(0), "{}", built.stderr);
}

/// Runs a module for the events of an ABI, and a module that asks the order book for a price, until the log has the
/// records of both. Returns the records that the first module makes of a transfer.
async fn run(language: &str, has_cow: bool) -> Vec<String> {
    let dir = Dir::new();
    dir.write("Token.json", ABI);
    built(&dir, "transfers", language, &["--abi", "Token.json"]);
    let node = Node::start().await;
    node.set_chain_id(31337);
    node.set_logs(|number, _| match number {
        2 => vec![transfer()],
        _ => Vec::new(),
    });
    let (port, received) = serve(QUOTE);
    let mut config = format!(
        "[chains.31337]\nrpc_url = {:?}\n[[modules]]\npath = \"transfers/build/transfers.wasm\"\n",
        node.ws_url()
    );
    if has_cow {
        built(&dir, "prices", language, &["--template", "cow"]);
        config += &format!(
            "[[modules]]\npath = \"prices/build/prices.wasm\"\n[modules.config]\nevery = 1\n\
             [cow.31337]\nbase_url = \"http://127.0.0.1:{port}/\"\n"
        );
    }
    dir.write("engine.toml", config);
    let mut child = spawn(&dir, &["run"]);
    let log = Log::of(&mut child);
    log.until_all(&RUNNING);
    node.mine(3);
    let transfer = format!("block 2: Transfer of {TOKEN}");
    // The module for prices may skip blocks, and handles the last one.
    let records = match has_cow {
        true => log.until_all(&[&transfer, ": 7 buy 9"]),
        false => log.until_all(&[&transfer]),
    };
    terminate(&child);
    assert_eq!(
        child.wait_with_output().expect("an end").status.code(),
        Some(0),
        "{records:#?}"
    );
    if has_cow {
        let (line, body): (String, Value) = received.iter().next().expect("a request");
        assert_eq!(line, "post /api/v1/quote http/1.1");
        assert_eq!(body["sellAmountBeforeFee"], "100000000000000000");
    }
    records.into_iter().filter(|line| line.contains(&transfer)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript_decodes_an_event_and_asks_for_a_price() {
    let [from, to] = ACCOUNTS;
    let records = run("js", true).await;
    let expected = format!(r#"Transfer of {TOKEN} {{"from":"0x{from}","to":"0x{to}","value":"1000"}}"#);
    assert!(records[0].contains(&expected), "{records:#?}");
}

/// The project for the order book is not built: the host compiles a module in Python for half a minute.
#[tokio::test(flavor = "multi_thread")]
async fn python_decodes_an_event() {
    let [from, to] = ACCOUNTS;
    let records = run("python", false).await;
    let expected = format!("Transfer of {TOKEN} {{'from': '0x{from}', 'to': '0x{to}', 'value': 1000}}");
    assert!(records[0].contains(&expected), "{records:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn c_decodes_an_event_and_asks_for_a_price() {
    let records = run("c", true).await;
    assert!(
        records[0].contains(&format!("block 2: Transfer of {TOKEN}")),
        "{records:#?}"
    );
}
