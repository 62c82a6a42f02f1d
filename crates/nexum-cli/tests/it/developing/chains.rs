//! The chains of `nexum dev`: anvil, a fork, and a node that runs already.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use nexum_testing::Anvil;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{BLOCKS, BUILD, Dev, ERRORS, RUNS, WAIT_MAX, dev, entries, journal, project, use_guest};
use crate::Dir;
use crate::processes::{Process, below, send};

/// A pause between two looks at stderr.
const PAUSE: Duration = Duration::from_millis(20);

/// The hash of a block, as the guest `journal` writes it.
async fn hash_of(anvil: &Anvil, number: &str) -> String {
    let block = anvil.request("eth_getBlockByNumber", json!([number, false])).await;
    let hash = block["hash"].as_str().and_then(|hash| hash.strip_prefix("0x"));
    hash.expect("a hash").to_owned()
}

/// The anvil of `nexum dev`.
fn anvil_of(dev: &Dev) -> Option<Process> {
    below(dev.child.id()).into_iter().find(|process| process.is("anvil"))
}

#[tokio::test]
async fn a_node_of_the_author_is_used_in_place_of_anvil() {
    let anvil = Anvil::start();
    anvil.mine(2).await;
    let dir = project("journal", BLOCKS);
    let mut dev = Dev::start(&dir, &["--build-with", BUILD, "--rpc", &anvil.http_url()]);
    dev.until(RUNS);
    dev.say("mine");
    dev.until("block 3 handled in ");
    assert_eq!(anvil.request("eth_blockNumber", json!([])).await, "0x3");
    let hash = hash_of(&anvil, "0x3").await;
    assert_eq!(entries(&dir).last(), Some(&("block 3".to_owned(), hash)));
    assert!(anvil_of(&dev).is_none());
}

#[tokio::test]
async fn a_fork_continues_a_chain_and_leaves_the_original_alone() {
    let original = Anvil::start();
    original.mine(5).await;
    let dir = project("journal", BLOCKS);
    let mut dev = Dev::start(&dir, &["--build-with", BUILD, "--fork", &original.http_url()]);
    dev.until(RUNS);
    dev.say("mine 2");
    dev.until("block 7 handled in ");
    assert_eq!(journal(&dir), ["block 5", "block 6", "block 7"]);
    assert_eq!(original.request("eth_blockNumber", json!([])).await, "0x5");

    dev.say("new");
    dev.until("the chains are new: the module starts without its old state");
    dev.until(RUNS);
    dev.say("mine");
    dev.until("block 6 handled in ");
    assert_eq!(journal(&dir), ["block 5", "block 6"]);
}

#[test]
fn blocks_come_at_an_interval_without_a_command() {
    let contract = format!("0x{}", "aa".repeat(20));
    let dir = project(
        "journal",
        &format!("{BLOCKS}[[subscription]]\nkind = \"log\"\nchain_id = 11155111\naddress = \"{contract}\"\n"),
    );
    let mut dev = Dev::start(&dir, &["--build-with", BUILD, "--blocks-every", "1"]);
    dev.until(RUNS);
    let first = dev.until(" handled in ").pop().expect("a line");
    dev.until(" handled in ");
    let number = first.split(' ').nth(1).expect("a number").to_owned();
    assert!(first.starts_with(&format!("block {number} handled in ")), "{first}");
    let blocks = journal(&dir);
    assert_eq!(blocks.first(), Some(&format!("block {number}")), "{blocks:?}");
    assert!(blocks.len() >= 2, "{blocks:?}");
    // A sample event does not wait for the interval.
    dev.say("event");
    dev.until("sent a sample event in block ");
    dev.until("logs ");
}

#[tokio::test]
async fn another_chain_at_the_same_url_gets_a_new_state() {
    let mut anvil = Anvil::start();
    let dir = project("journal", BLOCKS);
    let url = anvil.http_url();
    let mut dev = Dev::start(&dir, &["--build-with", BUILD, "--rpc", &url]);
    dev.until(RUNS);
    dev.say("mine 3");
    dev.until("block 3 handled in ");
    assert_eq!(journal(&dir), ["block 0", "block 1", "block 2", "block 3"]);

    // The hash of the genesis block depends on the time, in seconds.
    let old = hash_of(&anvil, "0x0").await;
    while hash_of(&anvil, "0x0").await == old {
        anvil.restart();
    }
    dev.until("the chains are new: the module starts without its old state");
    dev.until(RUNS);
    dev.say("mine");
    dev.until("block 1 handled in ");
    // All entries are of the new chain.
    let mut blocks = Vec::new();
    for (number, name) in [("0x0", "block 0"), ("0x1", "block 1")] {
        blocks.push((name.to_owned(), hash_of(&anvil, number).await));
    }
    assert_eq!(entries(&dir), blocks);
}

#[test]
fn an_author_can_start_with_a_new_chain() {
    let dir = project("journal", BLOCKS);
    let mut dev = dev(&dir);
    dev.until(RUNS);
    dev.say("mine 2");
    dev.until("block 2 handled in ");
    dev.say("new");
    dev.until("the chains are new: the module starts without its old state");
    dev.until(RUNS);
    dev.say("mine");
    dev.until("block 1 handled in ");
    assert_eq!(journal(&dir), ["block 0", "block 1"]);
}

#[test]
fn an_anvil_that_ends_is_started_again() {
    let dir = project("journal", BLOCKS);
    let mut dev = dev(&dir);
    dev.until(RUNS);
    dev.say("mine 2");
    dev.until("block 2 handled in ");
    let anvil = below(dev.child.id()).into_iter().find(|process| process.is("anvil"));
    send("-KILL", anvil.expect("an anvil").id);
    dev.until("anvil of chain 11155111 ended: signal: 9");
    dev.until(RUNS);
    dev.say("mine");
    dev.until("block 1 handled in ");
    assert_eq!(journal(&dir), ["block 0", "block 1"]);
}

/// A program in place of anvil, in the directory of a project.
struct Script<'a>(&'a Dir);

impl Script<'_> {
    fn write(&self, text: &str) {
        let path = self.0.write("anvil.sh", format!("#!/bin/sh\n{text}\n"));
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("a program");
    }

    /// Becomes anvil.
    fn work(&self) {
        let program = std::env::var_os("NEXUM_ANVIL").unwrap_or_else(|| "anvil".into());
        self.write(&format!("exec {} \"$@\"", program.display()));
    }

    fn fail(&self) {
        self.write("echo 'no luck' >&2; exit 1");
    }

    fn dev(&self) -> Dev {
        Dev::start_with(self.0, &["--build-with", BUILD], |command| {
            command.env("NEXUM_ANVIL", self.0.path().join("anvil.sh"));
        })
    }
}

#[tokio::test]
async fn an_anvil_that_does_not_start_again_starts_on_command_or_after_a_change() {
    let dir = project("journal", BLOCKS);
    let script = Script(&dir);
    script.work();
    let mut dev = script.dev();
    dev.until(RUNS);
    for start in ["new", "change"] {
        script.fail();
        send("-KILL", anvil_of(&dev).expect("an anvil").id);
        dev.until("anvil of chain 11155111 ended: signal: 9");
        let hint = "  hint: nexum starts anvil again after the next change of a source, or with `n` and Enter";
        until_errors(&dir, hint).await;
        script.work();
        match start {
            "new" => dev.say("new"),
            _ => use_guest(&dir, "noop"),
        }
        dev.until(RUNS);
        dev.say("mine");
        dev.until("block 1 handled in ");
        std::fs::write(dir.path().join(ERRORS), "").expect("a file");
    }
}

#[tokio::test]
async fn chains_that_do_not_start_at_first_start_after_a_change() {
    let dir = project("journal", BLOCKS);
    let script = Script(&dir);
    script.fail();
    let mut dev = script.dev();
    dev.until("the chains did not start: nexum starts them again after a change");
    until_errors(&dir, "no luck").await;
    script.work();
    use_guest(&dir, "noop");
    dev.until(RUNS);
    dev.say("mine");
    dev.until("block 1 handled in ");
}

/// Waits for a text on stderr.
async fn until_errors(dir: &Dir, text: &str) {
    let deadline = Instant::now() + WAIT_MAX;
    while !Dev::errors(dir).contains(text) {
        assert!(Instant::now() < deadline, "{}", Dev::errors(dir));
        sleep(PAUSE).await;
    }
}
