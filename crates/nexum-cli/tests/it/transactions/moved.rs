//! A state that moves to another store, with its accounts.

use serde_json::json;

use super::{Module, World, assert_each_once};
use crate::control::until;
use crate::running::{RUNNING, terminate};

const PENDING: &[&str] = &["account", "pending", "--format", "json"];

/// The nonces, the waiting transactions and the limits continue in the new state.
#[tokio::test]
async fn a_state_that_moves_keeps_nonces_transactions_and_limits() {
    let limits = "limits = { max_fee_gwei = 1000, fee_per_day = \"1000\", value_per_day = \"1000\", per_hour = 2, \
                  in_flight = 10 }\n";
    let rules = format!(
        "send = [{{ chain = {}, to = \"*\", max_value = \"1\" }}]\n{limits}",
        nexum_testing::TEST_CHAIN_ID
    );
    let world = World::new(vec![Module::with_rules("first = 1\n", &rules)], &["--no-mining"]);
    world.anvil.mine(1).await;
    let (mut child, log) = world.start();
    log.until(|line| line.contains("ok "));
    let before = until(&world.dir, PENDING, |all| all[0]["nonce"] == 0).await;
    // A command asks the daemon, and the file has what a stopped one has.
    let running = world.dir.nexum(&["state", "export-accounts"]);
    assert_eq!(running.code, Some(0), "{}", running.stderr);
    terminate(&child);
    child.wait().expect("an end");
    let ran = |args: &[&str]| {
        let ran = world.dir.nexum(args);
        assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.stderr);
        (ran.stdout, ran.stderr)
    };
    ran(&["state", "export", "payer", "payer.jsonl"]);
    let (_, said) = ran(&["state", "export-accounts", "accounts.jsonl"]);
    // A nonce, a transaction, its hash and the limits.
    assert_eq!(said, "accounts: 4 rows exported\n");
    assert_eq!(
        std::fs::read_to_string(world.dir.path().join("accounts.jsonl")).expect("a file"),
        running.stdout
    );

    let state = world.dir.path().join("data");
    std::fs::rename(&state, world.dir.path().join("old")).expect("a state");
    ran(&["state", "import", "payer.jsonl"]);
    let (_, said) = ran(&["state", "import", "accounts.jsonl"]);
    assert_eq!(said, "accounts: 4 rows imported\n");
    let again = world.dir.nexum(&["state", "import", "accounts.jsonl"]);
    assert_eq!(again.code, Some(2), "{}", again.stdout);
    assert!(
        again.stderr.contains("the store already has some of these rows"),
        "{}",
        again.stderr
    );

    let (_child, log) = world.start();
    log.until_all(&RUNNING);
    let after = until(&world.dir, PENDING, |all| all[0]["nonce"] == 0).await;
    assert_eq!(after[0]["hash"], before[0]["hash"]);
    // The pool has lost the transaction, and the limits have one more.
    world.anvil.request("anvil_dropAllTransactions", json!([])).await;
    world.anvil.mine(1).await;
    let lines = log.until(|line| line.contains("nexum::module: ok "));
    assert!(
        lines.last().is_some_and(|line| line.contains("nexum::module: ok ")),
        "{lines:#?}"
    );
    world.anvil.mine(1).await;
    let lines = log.until(|line| line.contains("`per_hour`"));
    assert!(lines.last().is_some_and(|line| line.contains("allows 2")), "{lines:#?}");
    let all_paid = async {
        while world.paid(0).await.len() < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            world.anvil.mine(1).await;
        }
    };
    tokio::time::timeout(nexum_testing::WAIT_MAX, all_paid)
        .await
        .expect("two transactions");
    assert_each_once(&world.paid(0).await, [1, 2]);
}
