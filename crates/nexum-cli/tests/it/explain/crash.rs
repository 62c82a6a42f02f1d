//! A ledger whose daemon is killed, or whose folder fails.

use std::fs;

use serde_json::Value;

use super::{Site, module, newest, run};
use crate::control::until;

#[tokio::test]
async fn a_killed_daemon_keeps_its_ledger() {
    let mut site = Site::start(&module("counter", "counter", &[]));
    let mut last_known = 0;
    for _ in 0..3 {
        let block = site.mine().await;
        // The answer is from the disk: nothing of it is lost.
        site.outcome(&format!("counter@{block}"), "handled").await;
        last_known = block;
        // These may be lost.
        site.anvil.mine(20).await;
        site.child.kill().expect("a kill");
        site.child.wait().expect("an end");
        let of = format!("counter@{last_known}");
        let offline = until(&site.dir, &["explain", &of, "--format", "json"], |_| true).await;
        assert_eq!(newest(&offline)["outcome"], "handled", "{offline:#}");
        (site.child, site.log) = run(&site.dir);
        let head = site.head().await;
        site.outcome(&format!("counter@{head}"), "handled").await;
    }
    // The state has each block once, whatever the ledger lost.
    let first = site.until("counter@1", |_| true).await;
    let value = site.dir.nexum(&["state", "list", "--format", "json"]);
    assert!(
        value.code == Some(0) && first["answer"] == "attempted" && last_known > 0,
        "{first:#}"
    );
    let history = site.until("counter", |_| true).await;
    assert!(
        history["missing"].as_array().is_some_and(Vec::is_empty),
        "a crash is no overflow"
    );
}

#[tokio::test]
async fn a_folder_that_fails_is_in_the_health_and_the_loss_in_the_answer() {
    let site = Site::start(&module("counter", "counter", &[]));
    let block = site.mine().await;
    site.outcome(&format!("counter@{block}"), "handled").await;
    let folder = fs::read_dir(site.dir.path())
        .expect("a directory")
        .map(|entry| entry.expect("an entry").path().join("ledger"))
        .find(|path| path.is_dir())
        .expect("the ledger");
    // The writer creates no file in a directory that is gone; its open segment is gone, too.
    let moved = folder.with_file_name("moved");
    fs::rename(&folder, &moved).expect("a rename");
    fs::write(&folder, "a file is in the way").expect("a file");
    let Site {
        dir, anvil, mut child, ..
    } = site;
    child.kill().expect("a kill");
    child.wait().expect("an end");
    let (child, log) = run(&dir);
    let site = Site { dir, anvil, child, log };
    let lost = site.mine().await;
    let handled = ["status", "--format", "json"];
    until(&site.dir, &handled, |modules| {
        modules[0]["events"]["chains"][0]["at"] == lost
    })
    .await;
    // The question stores what waits, or tries to.
    let refused = site.dir.nexum(&["explain", &format!("counter@{lost}")]);
    assert_eq!(refused.code, Some(2), "{}", refused.stdout);
    assert!(refused.stderr.contains("ledger-unavailable"), "{}", refused.stderr);
    let noted = |health: &Value| health["notes"].to_string().contains("the event ledger is not stored");
    let health = until(&site.dir, &["health", "--format", "json"], noted).await;
    assert_eq!(health["is_healthy"], true, "a ledger disturbs nothing: {health:#}");

    fs::remove_file(&folder).expect("a file");
    fs::rename(&moved, &folder).expect("a rename");
    until(&site.dir, &["health", "--format", "json"], |health| !noted(health)).await;
    let answer = site
        .until(&format!("counter@{lost}"), |answer| answer["answer"] == "lost")
        .await;
    assert!(answer["missing"][0]["entries"].as_u64() > Some(0), "{answer:#}");
    let text = site.text(&format!("counter@{lost}"));
    assert!(
        text.contains("missing:") && text.contains("of the ledger, from"),
        "{text}"
    );
}
