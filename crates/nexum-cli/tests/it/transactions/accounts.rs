//! The operator looks at accounts, and continues after another program has used a key.

use std::time::Duration;

use nexum_testing::accounts::ACCOUNTS;
use nexum_testing::{TEST_CHAIN_ID, WAIT_MAX};
use serde_json::json;

use super::{Module, World};
use crate::control::{json as shown, until};
use crate::notify::{message, table};
use crate::running::terminate;

const SHOW: &[&str] = &["account", "show", "account0", "--format", "json"];
const PENDING: &[&str] = &["account", "pending", "--format", "json"];

/// Another program sends a transaction with the key, and the operator syncs the account.
#[tokio::test]
async fn a_halted_account_sends_again_with_the_next_nonces_after_a_sync() {
    let mut world = World::new(vec![Module::payer("first = 1\n")], &["--no-mining"]);
    world.more = table(&world.dir);
    world.anvil.mine(1).await;
    let (_child, log) = world.start();
    log.until(|line| line.contains("ok "));
    world.use_key_elsewhere(0).await;
    let account = until(&world.dir, SHOW, |account| account["chains"][0]["state"] == "halted").await;
    let chain = &account["chains"][0];
    let reason = chain["reason"].as_str().expect("a reason");
    assert!(reason.contains("`nexum account sync account0`"), "{reason}");
    assert!(chain["since_ms"].is_u64(), "{chain}");
    let text = world.dir.nexum(&["account", "show", "account0"]);
    assert_eq!(text.code, Some(1), "{}", text.stderr);
    for part in [reason, "halted", ACCOUNTS[0].address, "of 100000"] {
        assert!(text.stdout.contains(part), "{part}: {}", text.stdout);
    }
    let is_told = |health: &serde_json::Value| {
        let mut problems = health["problems"].as_array().expect("problems").iter();
        problems.any(|problem| problem["account"] == "account0")
    };
    let health = until(&world.dir, &["health", "--format", "json"], is_told).await;
    assert_eq!(health["is_healthy"], false);
    for command in ["health", "status"] {
        let ran = world.dir.nexum(&[command]);
        assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
        let expected = format!("account account0 on chain {TEST_CHAIN_ID}: nexum sends nothing: ");
        assert!(ran.stdout.contains(&expected), "{}", ran.stdout);
    }

    let told = message(&world.dir, "account_halted", "began").await;
    assert_eq!(
        (&told["account"], &told["chain"]),
        (&json!("account0"), &json!(TEST_CHAIN_ID))
    );
    assert!(
        told["text"]
            .as_str()
            .expect("a text")
            .contains("another program uses the key"),
        "{told}"
    );
    assert!(
        told["hint"]
            .as_str()
            .expect("a hint")
            .contains("`nexum account sync account0`"),
        "{told}"
    );

    let refused = world.dir.nexum(&["account", "sync", "account0", "--chain", "5"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stdout);
    for part in ["account-unused", "`nexum account show account0`"] {
        assert!(refused.stderr.contains(part), "{}", refused.stderr);
    }
    let why = "the treasurer has paid";
    let sync = ["account", "sync", "account0", "--reason", why, "--format", "json"];
    let synced = shown(&world.dir, &sync);
    let of_chain = &synced["chains"][0];
    assert_eq!(
        (&synced["account"], &of_chain["chain_id"]),
        (&json!("account0"), &json!(TEST_CHAIN_ID))
    );
    let halt = of_chain["halt"].as_str().expect("a halt");
    assert!(halt.contains("another program uses the key"), "{halt}");
    let next = of_chain["next_nonce"].as_u64().expect("a nonce");
    assert!(
        next >= of_chain["nonce_before"].as_u64().expect("a nonce").max(1),
        "{synced}"
    );
    log.until(|line| line.contains("account_sync") && line.contains(why));
    message(&world.dir, "account_halted", "ended").await;

    let sends = async {
        while world.paid(0).await.iter().all(|paid| paid.nonce < next + 2) {
            world.anvil.mine(1).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(WAIT_MAX, sends)
        .await
        .expect("transactions after the sync");
    let paid = world.paid(0).await;
    let nonces: Vec<_> = paid.iter().map(|paid| paid.nonce).collect();
    assert_eq!(nonces, (0..paid.len() as u64).collect::<Vec<_>>());
    assert_eq!(paid[0].to, ACCOUNTS[1].address.to_lowercase());
    let shop = super::SHOP.to_lowercase();
    assert!(paid[1..].iter().all(|paid| paid.to == shop), "{paid:?}");
    let account = shown(&world.dir, SHOW);
    assert_ne!(account["chains"][0]["state"], "halted", "{account}");
}

/// A transaction waits, and the daemon and a command without one show the same.
#[tokio::test]
async fn a_waiting_transaction_is_shown_with_and_without_a_daemon() {
    let world = World::new(vec![Module::payer("first = 1\nlast = 1\n")], &["--no-mining"]);
    world.anvil.mine(1).await;
    let (mut child, log) = world.start();
    log.until(|line| line.contains("ok "));
    let listed = until(&world.dir, PENDING, |all| all[0]["nonce"] == 0).await;
    let one = &listed[0];
    for (key, expected) in [
        ("account", json!("account0")),
        ("chain_id", json!(TEST_CHAIN_ID)),
        ("state", json!("pending")),
        ("module", json!("payer")),
        ("versions", json!(1)),
        ("value", json!("0.000000000000000001")),
        ("block", json!(null)),
    ] {
        assert_eq!(one[key], expected, "{key}: {one}");
    }
    assert!(
        one["reason"].as_str().expect("a reason").contains("no block has it"),
        "{one}"
    );
    let hash = one["hash"].as_str().expect("a hash");
    let account = shown(&world.dir, SHOW);
    let chain = &account["chains"][0];
    let expected = [json!("waiting"), json!(1), json!(1)];
    assert_eq!(
        ["state", "next_nonce", "pending"].map(|key| chain[key].clone()),
        expected
    );
    let limits = &account["modules"][0]["limits"];
    assert_eq!(limits["per_hour"], json!({ "used": 1, "limit": 100_000 }));
    assert_eq!(limits["in_flight"], json!({ "used": 1, "limit": 100_000 }));
    assert_eq!(
        limits["value_per_day"],
        json!({ "used": "0.000000000000000001", "limit": "1000" })
    );
    let text = world.dir.nexum(&["account", "pending", "account0"]).stdout;
    assert!(text.contains("no block has it") && text.contains(hash), "{text}");

    terminate(&child);
    child.wait().expect("an end");
    assert_eq!(shown(&world.dir, PENDING), listed);
    assert_eq!(shown(&world.dir, SHOW)["chains"], account["chains"]);
    for args in [&["account", "show", "nobody"][..], &["account", "pending", "nobody"]] {
        let refused = world.dir.nexum(args);
        assert_eq!(refused.code, Some(2), "{}", refused.stdout);
        for part in ["account-not-found", "`nexum account list`"] {
            assert!(refused.stderr.contains(part), "{}", refused.stderr);
        }
    }
    let refused = world.dir.nexum(&["account", "sync", "account0"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stdout);
    assert!(refused.stderr.contains("daemon-not-running"), "{}", refused.stderr);
}
