//! `[notify]`: the messages about conditions that need the operator, and about their ends.

use nexum_testing::{Node, TEST_CHAIN_ID, guests};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::Dir;
use crate::metrics::{PAUSE, WAIT_MAX, module};
use crate::running::{Log, RUNNING, spawn, terminate};

/// The table of a command that appends each message to a file.
pub(crate) fn table(dir: &Dir) -> String {
    let file = dir.path().join("messages").display().to_string();
    format!("[notify]\ncommand = [\"/bin/sh\", \"-c\", \"cat >> {file}\"]\n")
}

/// Waits for the message about a condition.
pub(crate) async fn message(dir: &Dir, kind: &str, phase: &str) -> Value {
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        let text = std::fs::read_to_string(dir.path().join("messages")).unwrap_or_default();
        // The command may be writing the last line.
        let mut messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        if let Some(found) = messages.find(|message| message["kind"] == kind && message["phase"] == phase) {
            return found;
        }
        assert!(Instant::now() < deadline, "no {kind} {phase}: {text}");
        sleep(PAUSE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_and_a_refused_module_are_reported_with_their_ends() {
    let mut node = Node::start().await;
    let dir = Dir::new();
    dir.write("broken.wasm", "this is no module");
    let chain = format!(
        "[chains.{TEST_CHAIN_ID}]\nrpc_url = {:?}\npoll_interval_ms = 50\nrequest_timeout_ms = 500\n",
        node.http_url()
    );
    let broken = "[[modules]]\npath = \"broken.wasm\"\n";
    dir.write("engine.toml", [&table(&dir), &chain, &module("noop"), broken].concat());
    let mut child = spawn(&dir, &["run"]);
    Log::of(&mut child).until_all(&RUNNING);

    let refused = message(&dir, "module_refused", "began").await;
    assert!(refused["module"].to_string().contains("broken.wasm"), "{refused}");
    let text = refused["text"].to_string();
    assert!(text.contains("is not WebAssembly"), "{text}");
    std::fs::copy(guests::component("noop"), dir.path().join("broken.wasm")).expect("a copy");
    let loaded = dir.nexum(&["module", "load", "broken.wasm"]);
    assert_eq!(loaded.code, Some(0), "{}", loaded.stderr);
    message(&dir, "module_refused", "ended").await;

    node.stop().await;
    let outage = message(&dir, "chain_outage", "began").await;
    assert_eq!(outage["chain"], TEST_CHAIN_ID);
    let text = outage["text"].to_string();
    assert!(
        text.contains("1 of 1 endpoints down") || text.contains("1 of 1 endpoint down"),
        "{text}"
    );
    assert!(outage["hint"].to_string().contains("nexum chains"), "{outage}");
    node.restart().await;
    node.mine(1);
    let ended = message(&dir, "chain_outage", "ended").await;
    assert_eq!(ended["chain"], TEST_CHAIN_ID);
    terminate(&child);
    assert_eq!(child.wait_with_output().expect("an end").status.code(), Some(0));
}
