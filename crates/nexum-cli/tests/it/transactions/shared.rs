//! Two daemons on one database, with modules that share an account.

use std::collections::BTreeMap;

use nexum_testing::Postgres;
use nexum_testing::accounts::ACCOUNTS;
use rustix::process::{Pid, Signal, kill_process};

use super::{Module, World, assert_each_once};
use crate::Dir;
use crate::cluster::{STATUS, owners};
use crate::control::until;
use crate::running::{Log, Started, spawn};

const NODES: [&str; 2] = ["node-a", "node-b"];

/// Two modules of the first account, and one of the second.
fn modules() -> Vec<Module> {
    let module = |name, account, value: u64| {
        let config = format!("value = \"0x{value:x}\"\n");
        Module {
            name,
            account,
            ..Module::payer(&config)
        }
    };
    vec![module("one", 0, 1), module("two", 0, 2), module("three", 1, 3)]
}

/// A node that is killed leaves its account to the other one, which continues with the next nonce.
#[tokio::test]
async fn an_account_moves_between_nodes_without_a_gap() {
    let (server, dirs) = (Postgres::start(), [Dir::new(), Dir::new()]);
    let mut world = World::new(modules(), &["--block-time", "1"]);
    let store = format!(
        "[store]\nbackend = \"postgres\"\nurl = {:?}\npassword_file = {:?}\nschema = {:?}\n",
        server.url(),
        server.password_file().display().to_string(),
        server.new_schema(),
    );
    for (dir, node) in dirs.iter().zip(NODES) {
        world.more = format!("{store}[cluster]\nnode = {node:?}\nlease_ttl_ms = 5_000\n");
        world.write_files(dir);
        dir.write("engine.toml", world.config());
    }
    let made = dirs[0].nexum(&["cluster", "init"]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let mut nodes = NODES.map(|_| None);
    for (dir, node) in dirs.iter().zip(&mut nodes) {
        *node = Some(start(dir));
    }
    let is_owned = |owners: &BTreeMap<String, String>| owners.len() == 3;
    let owners_now = || async { owners(&until(&dirs[1], &STATUS, |status| is_owned(&owners(status))).await) };
    let before = owners_now().await;
    assert_eq!(before["one"], before["two"], "{before:?}");

    // Whichever node has the account, it is killed while it sends.
    world.until_paid(0, 6).await;
    let killed = NODES.iter().position(|node| **node == before["one"]).expect("a node");
    let (child, _log) = nodes[killed].take().expect("a node");
    let pid = Pid::from_raw(child.id().try_into().expect("a process id")).expect("a process id");
    kill_process(pid, Signal::KILL).expect("a signal");
    drop(child);
    let sent = world.paid(0).await.len() as u64;
    world.until_paid(0, sent + 6).await;
    let after = owners_now().await;
    assert_eq!([&after["one"], &after["two"]], [NODES[1 - killed]; 2], "{after:?}");

    // Each event of each module has one transaction: the first account has as many of one module as of the other.
    let paid = world.paid(0).await;
    let nonces: Vec<_> = paid.iter().map(|paid| paid.nonce).collect();
    assert_eq!(nonces, (0..paid.len() as u64).collect::<Vec<_>>());
    let of = |value| paid.iter().filter(|paid| paid.value == value).count();
    assert!(of(1).abs_diff(of(2)) <= 2 && of(1) + of(2) == paid.len(), "{paid:?}");
    let third = world.paid(1).await;
    assert_each_once(&third, third.iter().map(|_| 3));
    assert!(
        third.len().abs_diff(of(1)) <= 3,
        "{} of {}, {}",
        third.len(),
        of(1),
        ACCOUNTS[1].address
    );
}

fn start(dir: &Dir) -> (Started, Log) {
    let mut child = spawn(dir, &["run"]);
    let log = Log::of(&mut child);
    log.until(|line| line.contains("modules are loaded"));
    (child, log)
}
