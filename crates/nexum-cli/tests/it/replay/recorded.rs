//! `nexum replay` of recorded inputs.

use std::net::TcpListener;

use nexum_testing::Anvil;
use serde_json::{Value, json as value};

use super::ranges::{EVENTS, STORE, serve};
use super::{PAYEE, module, pay, report, table, until_handled};
use crate::Dir;
use crate::control::{BLOCKS, done, start_logged};
use crate::running::{Started, terminate};

const ARGUMENTS: &str = "[ledger]\narguments = true\n";

/// A server on loopback, and the table that lets modules reach it.
fn server() -> (String, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    serve(listener);
    let hosts = format!("[http]\nallow = [{address:?}]\nallow_http = [{address:?}]\nallow_private = [{address:?}]\n");
    (address, hosts)
}

fn stop(child: Started) {
    terminate(&child);
    child.wait_with_output().expect("the end of the daemon");
}

/// The counts of a replay that compares events.
fn outcome(found: &Value) -> Value {
    let names = ["inputs", "events", "differ", "unanswered", "gaps"];
    names
        .iter()
        .map(|name| ((*name).to_owned(), found[name].clone()))
        .collect()
}

fn equal(events: u64) -> Value {
    value!({ "inputs": "recorded", "events": events, "differ": 0, "unanswered": 0, "gaps": [] })
}

#[tokio::test]
async fn a_thousand_recorded_events_are_repeated_bit_for_bit_without_an_endpoint() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    let (address, hosts) = server();
    module(
        &dir,
        "effects",
        &format!(
            "[capabilities]\nrequired = [\"clock\", \"http\", \"random\", \"store\"]\n[capabilities.http]\nallow = [{address:?}]\n\
             {BLOCKS}from_block = 1\n[config]\nbase = \"http://{address}\"\nask = \"/ask/{{n}}\"\n\
             requests = \"POST /pay/{{n}}/{{t}}/{{r}}\"\n"
        ),
    );
    let calls = format!("eth_getBalance [\"{PAYEE}\",\"latest\"]\neth_gasPrice []");
    module(
        &dir,
        "chain-caller",
        &format!(
            "[capabilities]\nrequired = [\"chain\", \"store\"]\n{BLOCKS}from_block = 1\n[config]\ncalls = '''{calls}'''\n"
        ),
    );
    module(&dir, "journal", &format!("{STORE}{BLOCKS}from_block = 1\n"));
    let modules = ["effects", "chain-caller", "journal"];
    let tables = modules.map(table).concat();
    let (child, _log) = start_logged(&dir, &anvil, &format!("{ARGUMENTS}{hosts}{tables}"), &["run"]);
    for _ in 0..5 {
        pay(&anvil).await;
    }
    anvil.mine(EVENTS - 5).await;
    for module in modules {
        until_handled(&dir, module, EVENTS).await;
    }
    let text = dir.nexum(&["explain", "chain-caller@5", "--values"]).stdout;
    let asked = format!("eth_getBalance [\"{PAYEE}\",\"latest\"]\n");
    assert!(text.contains("asked:    ") && text.contains(&asked), "{text}");
    assert!(text.contains("wrote:    done/5 = \"\\\"0x5\\\"\\n"), "{text}");
    stop(child);
    drop(anvil);
    let range = format!("1..{EVENTS}");
    for (module, effects) in [("effects", EVENTS), ("chain-caller", 0), ("journal", 0)] {
        let found = report(&dir, &["replay", module, "--blocks", &range], 0);
        assert_eq!(outcome(&found), equal(EVENTS), "{module}: {found:#}");
        assert_eq!(found["effects"], effects, "{module}");
    }
    // A part of the range, to which the instance came with a past.
    let found = report(&dir, &["replay", "chain-caller", "--blocks", "500..600"], 0);
    assert_eq!(outcome(&found), equal(101), "{found:#}");
}

#[tokio::test]
async fn recorded_failures_and_keys_are_repeated() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    module(
        &dir,
        "keeper",
        &format!(
            "{STORE}{BLOCKS}from_block = 1\n[config]\ninit = \"get price\"\nevery = \"get price; list p; set price 4; get none\"\n\
             3 = \"set a 1; fail\"\n4 = \"set price 5; trap\"\n6 = \"get price; delete price; list p\"\n\
             7 = \"fill p 300 20; list p\"\n8 = \"clear p\"\n"
        ),
    );
    let (child, _log) = start_logged(&dir, &anvil, &format!("{ARGUMENTS}{}", table("keeper")), &["run"]);
    anvil.mine(12).await;
    until_handled(&dir, "keeper", 12).await;
    // The operator has nexum try a dead letter again, which fails again. It happened after the range.
    let ran = dir.nexum(&["dead-letter", "retry", "keeper", "11155111:3:block"]);
    assert_ne!(ran.code, Some(2), "{}", ran.stderr);
    let explained = |block: u64| dir.nexum(&["explain", &format!("keeper@{block}"), "--values"]).stdout;
    let running = [1, 6].map(explained);
    assert!(running[0].contains("wrote:    price = \"vvvv\"\n"), "{}", running[0]);
    assert!(running[1].contains("wrote:    price removed\n"), "{}", running[1]);
    stop(child);
    drop(anvil);
    let stopped = explained(1);
    assert!(stopped.contains("wrote:    price = \"vvvv\"\n"), "{stopped}");
    let found = report(&dir, &["replay", "keeper", "--blocks", "1..12"], 0);
    assert_eq!(outcome(&found), equal(12), "{found:#}");
    assert_eq!(found["failed"], 2);
    let text = dir.nexum(&["replay", "keeper", "--blocks", "1..12"]).stdout;
    assert!(text.contains("inputs: recorded\n"), "{text}");
    assert!(text.ends_with("all 12 events equal\n"), "{text}");
}

#[tokio::test]
async fn events_without_recorded_inputs_are_named() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    module(&dir, "counter", &format!("{STORE}{BLOCKS}from_block = 1\n"));
    let (child, _log) = start_logged(&dir, &anvil, &table("counter"), &["run"]);
    anvil.mine(4).await;
    until_handled(&dir, "counter", 4).await;
    let text = dir.nexum(&["explain", "counter@2", "--values"]).stdout;
    assert!(
        text.contains("values:   not all recorded: `arguments = true`"),
        "{text}"
    );
    let engine = std::fs::read_to_string(dir.path().join("engine.toml")).expect("a configuration");
    dir.write("engine.toml", format!("{engine}{ARGUMENTS}"));
    done(&dir, &["reload"], "");
    anvil.mine(4).await;
    until_handled(&dir, "counter", 8).await;
    // With the daemon and its endpoint, nexum reads the range again.
    let found = report(&dir, &["replay", "counter", "--blocks", "1..8"], 0);
    assert_eq!(found["inputs"], "reread", "{found:#}");
    let because = found["reread_because"].as_str().expect("a reason");
    assert_eq!(
        because,
        "11155111:1:block to 11155111:4:block: its arguments and answers were not recorded"
    );
    let found = report(&dir, &["replay", "counter", "--blocks", "5..8"], 0);
    assert_eq!(outcome(&found), equal(4), "{found:#}");
    let found = report(
        &dir,
        &["replay", "counter", "--blocks", "5..8", "--inputs", "reread"],
        0,
    );
    assert_eq!(
        (&found["inputs"], &found["reread_because"]),
        (&value!("reread"), &Value::Null)
    );
    stop(child);
    drop(anvil);
    let found = report(
        &dir,
        &["replay", "counter", "--blocks", "1..9", "--inputs", "recorded"],
        1,
    );
    assert_eq!(
        (&found["events"], &found["differ"]),
        (&value!(4), &value!(0)),
        "{found:#}"
    );
    let gaps: Vec<_> = found["gaps"]
        .as_array()
        .expect("gaps")
        .iter()
        .map(|gap| &gap["reason"])
        .collect();
    assert_eq!(
        gaps,
        [
            "its arguments and answers were not recorded",
            "the ledger has no entry of it"
        ]
    );
    let ran = dir.nexum(&["replay", "counter", "--blocks", "1..9", "--inputs", "recorded"]);
    assert!(
        ran.stdout
            .contains("not replayed: block 9: the ledger has no entry of it\n"),
        "{}",
        ran.stdout
    );
    let ran = dir.nexum(&["replay", "counter", "--blocks", "20..30", "--inputs", "recorded"]);
    super::refused(
        &ran,
        &[
            "the event ledger has no event of counter on the blocks 20 to 30",
            "set `arguments = true` in [ledger]",
        ],
    );
}

#[tokio::test]
async fn another_version_handles_the_recorded_events() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    let calls = format!("eth_getBalance [\"{PAYEE}\",\"latest\"]");
    let manifest = |calls: &str| {
        format!(
            "[capabilities]\nrequired = [\"chain\", \"store\"]\n{BLOCKS}from_block = 1\n[config]\ncalls = '''{calls}'''\n"
        )
    };
    module(&dir, "chain-caller", &manifest(&calls));
    let rest = format!("{ARGUMENTS}{}", table("chain-caller"));
    let (child, _log) = start_logged(&dir, &anvil, &rest, &["run"]);
    for _ in 0..6 {
        pay(&anvil).await;
    }
    until_handled(&dir, "chain-caller", 6).await;
    std::fs::create_dir(dir.path().join("new")).expect("a directory");
    let component = std::fs::read(dir.path().join("chain-caller/chain-caller.wasm")).expect("a guest");
    let changed = nexum_testing::guests::with_custom_section(&component, "version", b"2");
    dir.write("new/chain-caller.wasm", changed);
    let more = manifest(&format!("{calls}\neth_getTransactionCount [\"{PAYEE}\",\"latest\"]"));
    dir.write("new/nexum.toml", format!("[module]\nname = \"chain-caller\"\n{more}"));
    let args = [
        "replay",
        "chain-caller",
        "--blocks",
        "1..6",
        "--with",
        "new/chain-caller.wasm",
    ];
    // A new question is one to the chain.
    let found = report(&dir, &args, 1);
    let counts = ["inputs", "events", "differ", "failed", "unanswered"].map(|name| found[name].clone());
    assert_eq!(
        counts.to_vec(),
        value!(["recorded", 6, 6, 0, 6]).as_array().expect("a list").clone(),
        "{found:#}"
    );
    stop(child);
    drop(anvil);
    // Without the chain, nexum says which answer is missing, and the event ends there.
    let only = [&args[..], &["--inputs", "recorded"]].concat();
    let found = report(&dir, &only, 1);
    let counts = ["inputs", "events", "differ", "failed", "unanswered"].map(|name| found[name].clone());
    assert_eq!(
        counts.to_vec(),
        value!(["recorded", 6, 6, 6, 6]).as_array().expect("a list").clone(),
        "{found:#}"
    );
    let ran = dir.nexum(&only);
    let missing = "11155111:1:block: the record has no answer to ";
    let line = ran.stdout.lines().find(|line| line.starts_with(missing));
    let line = line.unwrap_or_else(|| panic!("{}", ran.stdout));
    assert!(line.contains("eth_getTransactionCount"), "{line}");
    // A version that asks nothing new needs no chain.
    dir.write(
        "new/nexum.toml",
        format!("[module]\nname = \"chain-caller\"\n{}", manifest(&calls)),
    );
    let found = report(&dir, &only, 0);
    assert_eq!(outcome(&found), equal(6), "{found:#}");
}
