//! `nexum replay`.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use nexum_testing::Anvil;
use serde_json::json as value;

use super::{PAYEE, configure, module, pay, report, table, until_handled};
use crate::Dir;
use crate::control::{BLOCKS, start_logged, start_on};

pub(super) const STORE: &str = "[capabilities]\nrequired = [\"store\"]\n";

/// The number of events that a replay of the tests repeats.
pub(super) const EVENTS: u64 = 1_000;

#[tokio::test]
async fn a_replay_of_a_thousand_events_ends_with_the_state_of_the_module_bit_for_bit() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    module(&dir, "journal", &format!("{STORE}{BLOCKS}from_block = 1\n"));
    let (_child, _log) = start_logged(&dir, &anvil, &table("journal"), &["run"]);
    anvil.mine(EVENTS).await;
    until_handled(&dir, "journal", EVENTS).await;
    let range = format!("1..{EVENTS}");
    let found = report(&dir, &["replay", "journal", "--blocks", &range], 0);
    // One key for each event, and their number.
    let expected = value!({ "compared": "yes", "keys": EVENTS + 1, "differ": 0, "lines": [] });
    assert_eq!(
        (&found["events"], &found["history"]),
        (&value!(EVENTS), &expected),
        "{found:#}"
    );

    // Two runs of one component give the same writes, event by event.
    let equal = dir.nexum(&[
        "replay",
        "journal",
        "--blocks",
        &range,
        "--with",
        "journal/journal.wasm",
    ]);
    assert_eq!(equal.code, Some(0), "{}{}", equal.stdout, equal.stderr);
    assert!(equal.stdout.ends_with("all 1,000 events equal\n"), "{}", equal.stdout);
}

/// A server that accepts each request with a number of its own.
pub(super) fn serve(listener: TcpListener) {
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = stream.expect("a connection");
            let mut request = [0; 4_096];
            let _ = stream.read(&mut request);
            let status = if number % 2 == 0 { 201 } else { 202 };
            let answer = format!("HTTP/1.1 {status} Fine\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes());
        }
    });
}

#[tokio::test]
async fn a_replay_gives_the_recorded_answers_of_effects_and_reads_the_chain_at_each_block() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    serve(listener);
    module(
        &dir,
        "effects",
        &format!(
            "[capabilities]\nrequired = [\"http\", \"store\"]\n[capabilities.http]\nallow = [{address:?}]\n{BLOCKS}\
             from_block = 1\n[config]\nbase = \"http://{address}\"\nrequests = \"POST /pay/{{n}}\"\n"
        ),
    );
    let calls = format!("eth_getBalance [\"{PAYEE}\",\"latest\"]");
    let pinned = "[module.chain]\npin = \"event\"\n";
    module(
        &dir,
        "chain-caller",
        &format!(
            "{pinned}[capabilities]\nrequired = [\"chain\", \"store\"]\n{BLOCKS}from_block = 1\n[config]\ncalls = '''{calls}'''\n"
        ),
    );
    let hosts = format!("allow = [{address:?}]\nallow_http = [{address:?}]\nallow_private = [{address:?}]\n");
    let rest = format!("[http]\n{hosts}{}{}", table("effects"), table("chain-caller"));
    let (_child, _log) = start_logged(&dir, &anvil, &rest, &["run"]);
    for block in 1..=6 {
        pay(&anvil).await;
        // No block is mined while the module reads.
        until_handled(&dir, "chain-caller", block).await;
    }
    for (module, effects) in [("effects", 6), ("chain-caller", 0)] {
        until_handled(&dir, module, 6).await;
        let found = report(&dir, &["replay", module, "--blocks", "1..6"], 0);
        assert_eq!(
            (&found["events"], &found["effects"]),
            (&value!(6), &value!(effects)),
            "{found:#}"
        );
        let history = &found["history"];
        assert_eq!(
            (&history["compared"], &history["differ"]),
            (&value!("yes"), &value!(0)),
            "{found:#}"
        );
    }
}

#[tokio::test]
async fn a_replay_starts_with_the_state_before_its_first_block_as_far_as_it_is_known() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    module(&dir, "counter", &format!("{STORE}{BLOCKS}from_block = 1\n"));
    let chain = format!("rpc_url = {:?}\nreorg_depth_max = 4\n", anvil.ws_url());
    let (_child, _log) = start_on(&dir, &chain, &table("counter"), &["run"]);
    for block in 1..=12 {
        anvil.mine(1).await;
        until_handled(&dir, "counter", block).await;
    }
    let found = report(&dir, &["replay", "counter", "--blocks", "10..11"], 0);
    assert_eq!(found["start"], "that before block 10, from undo records");
    let expected = value!({ "compared": "yes", "keys": 12, "differ": 0, "lines": [] });
    assert_eq!(found["history"], expected, "{found:#}");
    let found = report(&dir, &["replay", "counter", "--blocks", "1..12"], 0);
    assert_eq!(found["start"], "empty, because the module begins here");
    assert_eq!(found["history"]["compared"], "yes", "{found:#}");
    // nexum has removed the undo records of final blocks.
    let found = report(&dir, &["replay", "counter", "--blocks", "3..5"], 0);
    let start = found["start"].as_str().expect("text");
    assert!(
        start.starts_with("empty, and not the module's own, because the undo records of counter do not reach back"),
        "{start}"
    );
    assert_eq!(found["history"]["compared"], "no", "{found:#}");
    let found = report(&dir, &["replay", "counter", "--blocks", "3..5", "--state", "now"], 0);
    assert_eq!(found["start"], "that of now, with 13 keys");
}

#[tokio::test]
async fn a_changed_module_gives_a_readable_difference() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    anvil.mine(EVENTS).await;
    configure(&dir, &anvil, &table("keeper"));
    let common = "500 = \"set price 3; set owner 80\"\n";
    module(
        &dir,
        "keeper",
        &format!(
            "{STORE}{BLOCKS}[config]\nevery = \"set price 4\"\n{common}700 = \"set a 1\"\n900 = \"delete price\"\n"
        ),
    );
    std::fs::create_dir(dir.path().join("new")).expect("a directory");
    let component = std::fs::read(dir.path().join("keeper/keeper.wasm")).expect("a guest");
    let changed = nexum_testing::guests::with_custom_section(&component, "version", b"2");
    dir.write("new/keeper.wasm", changed);
    dir.write(
        "new/nexum.toml",
        format!(
            "[module]\nname = \"keeper\"\n{STORE}{BLOCKS}[config]\nevery = \"set price 4\"\n\
             500 = \"set price 5; set owner 81\"\n700 = \"fail\"\n900 = \"set price 4\"\n"
        ),
    );
    let args = ["replay", "keeper", "--blocks", "1..1000", "--with", "new/keeper.wasm"];
    let ran = dir.nexum(&args);
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    insta::assert_snapshot!(ran.stdout);
    let found = report(&dir, &args, 1);
    assert_eq!(
        (&found["events"], &found["differ"], &found["failed"]),
        (&value!(1_000), &value!(4), &value!(1))
    );
    assert_ne!(found["digest"], found["with_digest"]);
}
