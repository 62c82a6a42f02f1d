//! Why something did not happen.

use std::fs;

use nexum_testing::{LogSpec, guests};
use serde_json::Value;

use super::{Site, configure, module, run};

/// A module that subscribes to a log of this contract, with this signature.
fn log_sum(site: &crate::Dir, contract: &str, topic: &str) -> String {
    fs::copy(guests::component("log-sum"), site.path().join("sum.wasm")).expect("a guest");
    let manifest = format!(
        "[capabilities]\nrequired = [\"store\"]\n[[subscription]]\nkind = \"log\"\nchain_id = 11155111\naddress = {contract:?}\n\
         topics = [{topic:?}]\n"
    );
    site.write("sum.toml", manifest);
    "[[modules]]\npath = \"sum.wasm\"\nmanifest = \"sum.toml\"\nname = \"sum\"\n".to_owned()
}

fn summary(answer: &Value) -> &str {
    answer["summary"].as_str().expect("a summary")
}

#[tokio::test]
async fn a_block_without_a_match_has_the_nearest_miss() {
    let (dir, anvil) = (crate::Dir::new(), nexum_testing::Anvil::start());
    let contract = anvil.deploy_emitter().await;
    let (wanted, other) = ("11".repeat(32), "22".repeat(32));
    let modules = log_sum(&dir, &contract.to_string().to_lowercase(), &format!("0x{wanted}"));
    configure(&dir, &anvil, &modules);
    let (child, log) = run(&dir);
    let site = Site { dir, anvil, child, log };
    let topics = vec![format!("0x{other}").parse().expect("a topic")];
    let data = Vec::new().into();
    site.anvil
        .emit(&[LogSpec {
            address: contract,
            topics,
            data,
        }])
        .await;
    let block = site.head().await;
    let answer = site
        .until(&format!("sum@{block}"), |answer| answer["answer"] == "not_matched")
        .await;
    let miss = &answer["nearest_miss"];
    let difference = miss["difference"].as_str().expect("a difference");
    assert!(
        difference.contains(&format!("0x{other} as its topic 0")) && difference.contains(&format!("wants 0x{wanted}")),
        "{answer:#}"
    );
    assert_eq!(miss["address"], contract.to_string().to_lowercase());
    let text = site.text(&format!("sum@{block}"));
    assert!(text.contains("nearest:") && text.contains("wanted:"), "{text}");

    let empty = site.mine().await;
    let answer = site
        .until(&format!("sum@{empty}"), |answer| answer["answer"] == "not_matched")
        .await;
    assert!(summary(&answer).ends_with("the block has no logs"), "{answer:#}");
}

#[tokio::test]
async fn a_block_before_the_first_one_is_before_the_start() {
    let (dir, anvil) = (crate::Dir::new(), nexum_testing::Anvil::start());
    anvil.mine(3).await;
    configure(&dir, &anvil, &module("counter", "counter", &[]));
    let (child, log) = run(&dir);
    let site = Site { dir, anvil, child, log };
    let block = site.mine().await;
    site.outcome(&format!("counter@{block}"), "handled").await;
    let answer = site.until("counter@1", |_| true).await;
    assert_eq!(answer["answer"], "before_start", "{answer:#}");
    assert!(
        summary(&answer).starts_with("block 1 is before the first one of counter"),
        "{answer:#}"
    );
}

#[tokio::test]
async fn a_block_that_the_chain_does_not_have_is_not_reached() {
    let site = Site::start(&module("counter", "counter", &[]));
    let block = site.mine().await;
    site.outcome(&format!("counter@{block}"), "handled").await;
    let answer = site.until(&format!("counter@{}", block + 10), |_| true).await;
    assert_eq!(answer["answer"], "not_reached", "{answer:#}");
    assert!(
        summary(&answer).ends_with(&format!("the newest block that nexum has read is {block}")),
        "{answer:#}"
    );
}

#[tokio::test]
async fn a_stopped_module_names_who_stopped_it_and_why() {
    let site = Site::start(&module("counter", "counter", &[]));
    let block = site.mine().await;
    site.outcome(&format!("counter@{block}"), "handled").await;
    let ran = site
        .dir
        .nexum(&["module", "stop", "counter", "--reason", "the maintenance"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let missed = site.mine().await;
    let is_seen = |answer: &Value| summary(answer).contains(&format!("it is at block {block}"));
    let answer = site.until(&format!("counter@{missed}"), is_seen).await;
    assert_eq!(answer["answer"], "not_reached");
    let uid = rustix::process::getuid().as_raw();
    let stopped = format!("the module was stopped by the operator (uid {uid}): the maintenance, at ");
    assert!(summary(&answer).contains(&stopped), "{answer:#}");

    // The module stays stopped for longer than a short wait.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let ran = site.dir.nexum(&["module", "start", "counter"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let answer = site.outcome(&format!("counter@{missed}"), "handled").await;
    let waits = super::newest(&answer)["waits"].as_array().expect("waits");
    let longest = waits[0]["for"].as_str().expect("a cause");
    assert!(longest.starts_with("the module, which was stopped: "), "{waits:?}");
}

#[tokio::test]
async fn an_unknown_module_and_a_question_without_sense_are_answered() {
    let site = Site::start(&module("counter", "counter", &[]));
    let answer = site.until("nobody@1", |_| true).await;
    assert_eq!(answer["answer"], "unknown_module");
    assert_eq!(
        summary(&answer),
        "there is no module nobody; the daemon has 1 module: counter"
    );
    let ran = site.dir.nexum(&["explain", "counter@latest"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("expected MODULE@BLOCK"), "{}", ran.stderr);
}

#[tokio::test]
async fn an_event_from_before_the_ledger_says_where_it_begins() {
    let off = format!("[ledger]\nenabled = false\n{}", module("counter", "counter", &[]));
    let Site {
        dir, anvil, mut child, ..
    } = Site::start(&off);
    anvil.mine(1).await;
    let handled = ["status", "--format", "json"];
    crate::control::until(&dir, &handled, |modules| modules[0]["handled"].as_u64() > Some(0)).await;
    let refused = dir.nexum(&["explain", "counter"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("ledger-unavailable"), "{}", refused.stderr);
    crate::running::terminate(&child);
    child.wait().expect("an end");

    configure(&dir, &anvil, &module("counter", "counter", &[]));
    let (child, log) = run(&dir);
    let site = Site { dir, anvil, child, log };
    let before = site.head().await;
    let block = site.mine().await;
    site.outcome(&format!("counter@{block}"), "handled").await;
    let answer = site.until(&format!("counter@{before}"), |_| true).await;
    assert_eq!(answer["answer"], "before_ledger", "{answer:#}");
    assert!(
        summary(&answer).ends_with(&format!("begins with block {block}")),
        "{answer:#}"
    );
    assert!(answer["begins_ms"].is_u64());
}
