//! `nexum status`, `nexum chains`, `nexum health` and `/readyz`.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use nexum_testing::{Node, TEST_CHAIN_ID};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::metrics::{Exporting, PAUSE, WAIT_MAX, module};
use crate::running::Start as _;
use crate::{Dir, Ran};

fn chain(node: &Node) -> String {
    let url = node.http_url();
    format!("[chains.{TEST_CHAIN_ID}]\nrpc_url = {url:?}\npoll_interval_ms = 50\nrequest_timeout_ms = 500\n")
}

pub(crate) fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {} {}", ran.stdout, ran.stderr))
}

/// Waits until the output of a command holds.
pub(crate) async fn until(dir: &Dir, args: &[&str], holds: impl Fn(&Ran) -> bool) -> Ran {
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        let ran = dir.nexum(args);
        if holds(&ran) {
            return ran;
        }
        assert!(Instant::now() < deadline, "{} {}", ran.stdout, ran.stderr);
        sleep(PAUSE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_is_down_shows_everywhere_until_it_answers_again() {
    let mut node = Node::start().await;
    node.mine(3);
    let dir = Dir::new();
    let running = Exporting::start(&dir, &format!("{}{}", chain(&node), module("noop")));
    let status = ["status", "--format", "json"];
    let is_at_head = |ran: &Ran| json(ran)[0]["events"]["chains"][0]["behind"] == 0;
    let well = until(&dir, &status, is_at_head).await;
    let position = &json(&well)[0]["events"]["chains"][0];
    assert_eq!((well.code, &position["at"]), (Some(0), &position["head"]), "{position}");
    let healthy = dir.nexum(&["health", "--behind", "5"]);
    assert_eq!(healthy.code, Some(0), "{}", healthy.stdout);
    assert!(
        healthy.stdout.starts_with("healthy: 1 module, at most 0 blocks behind"),
        "{}",
        healthy.stdout
    );
    let nagios = dir.nexum(&["health", "--behind", "5", "--format", "nagios"]);
    assert_eq!(nagios.code, Some(0));
    let line = &nagios.stdout;
    assert!(
        line.starts_with("NEXUM OK - ") && line.contains("| modules=1 problems=0 behind=0;;5 head_age="),
        "{line}"
    );

    let url = node.http_url();
    node.stop().await;
    let down = until(&dir, &status, |ran| json(ran)[0]["stage"] == "waiting_for_chain").await;
    let reason = json(&down)[0]["reason"].as_str().expect("a reason").to_owned();
    assert!(
        reason.starts_with(&format!("chain {TEST_CHAIN_ID}: 1 of 1 endpoints down")),
        "{reason}"
    );
    assert!(
        reason.contains(&url) && json(&down)[0]["reason_since_ms"].is_u64(),
        "{reason}"
    );
    assert_eq!(down.code, Some(1));
    let table = dir.nexum(&["status"]);
    assert!(
        table.stdout.contains("waiting for chain") && table.code == Some(1),
        "{}",
        table.stdout
    );
    let chains = dir.nexum(&["chains", "--format", "json"]);
    let endpoint = &json(&chains)[0]["endpoints"][0];
    assert_eq!(
        (chains.code, &endpoint["state"]),
        (Some(1), &"rested".into()),
        "{endpoint}"
    );
    assert!(
        endpoint["last_error"]["text"].is_string() && endpoint["until_ms"].is_u64(),
        "{endpoint}"
    );
    assert!(json(&chains)[0]["trouble"]["since_ms"].is_u64(), "{}", chains.stdout);
    let table = dir.nexum(&["chains"]);
    assert!(
        table.stdout.contains("rested for ") && table.stdout.contains("next try in "),
        "{}",
        table.stdout
    );
    let health = dir.nexum(&["health"]);
    assert_eq!(health.code, Some(1), "{}", health.stdout);
    assert!(
        health.stdout.contains("; module noop waits, for ") && health.stdout.lines().count() == 1,
        "{}",
        health.stdout
    );
    let nagios = dir.nexum(&["health", "--format", "nagios"]);
    assert_eq!(nagios.code, Some(2));
    assert!(nagios.stdout.starts_with("NEXUM CRITICAL - "), "{}", nagios.stdout);
    assert_eq!(running.get("/readyz").0, 503);
    let details = dir.nexum(&["status", "noop"]);
    assert!(
        details.stdout.contains("stage           waiting for chain, since "),
        "{}",
        details.stdout
    );

    node.restart().await;
    node.mine(1);
    let again = until(&dir, &status, |ran| json(ran)[0]["stage"] == "running").await;
    assert_eq!(again.code, Some(0));
    running.until("/readyz", |status, _| status == 200).await;
    running.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn watching_shows_each_change_until_a_signal_ends_it() {
    const INTERRUPT: i32 = 2;
    const TERMINATE: i32 = 15;

    let node = Node::start().await;
    node.mine(3);
    let dir = Dir::new();
    let running = Exporting::start(&dir, &format!("{}{}", chain(&node), module("noop")));
    for signal in [INTERRUPT, TERMINATE] {
        let is_at_head = |ran: &Ran| json(ran)[0]["events"]["chains"][0]["behind"] == 0;
        let status = until(&dir, &["status", "--format", "json"], is_at_head).await;
        let head = json(&status)[0]["events"]["chains"][0]["head"]
            .as_u64()
            .expect("a head");
        let mut watching = dir.command(&["status", "--watch"]).stdout(Stdio::piped()).start();
        let lines = BufReader::new(watching.stdout.take().expect("a pipe")).lines();
        // The column AT of each redrawn table.
        let mut shown = lines.filter_map(|line| {
            let line = line.expect("UTF-8");
            let mut cells = line.split_whitespace();
            (cells.next() == Some("noop")).then(|| cells.nth(1).expect("a cell").to_owned())
        });
        for _ in 0..2 {
            assert_eq!(shown.next(), Some(head.to_string()));
        }
        node.mine(1);
        let next = (head + 1).to_string();
        assert!(shown.any(|at| at == next), "{next}");
        let sent = Command::new("kill")
            .args([&format!("-{signal}"), &watching.id().to_string()])
            .status();
        assert!(sent.expect("kill").success());
        // A shell shows 128 and the number of the signal.
        let ended = watching.wait().expect("an end");
        assert_eq!((ended.code(), ended.signal()), (None, Some(signal)));
    }
    running.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_head_is_a_problem_only_with_a_bound() {
    // The blocks of a scripted node are years old.
    let node = Node::start().await;
    let dir = Dir::new();
    let config = format!("{}{}", chain(&node), module("noop"));
    // No module uses this chain.
    let config = format!("{config}[chains.5]\nrpc_url = \"http://127.0.0.1:1\"\n");
    let running = Exporting::start_with(&dir, "ready_head_age_seconds = 60\n", &config, &["metrics can be read"]);
    let body = running
        .until("/readyz", |status, body| status == 503 && body.contains("head"))
        .await;
    assert!(body.contains(" s old, over 60 s"), "{body}");
    let well = until(&dir, &["health"], |ran| ran.code == Some(0)).await;
    assert!(well.stdout.starts_with("healthy: "), "{}", well.stdout);
    let late = dir.nexum(&["health", "--head-age", "60s", "--format", "json"]);
    let problems = json(&late)["problems"].clone();
    assert_eq!(
        (late.code, &problems[0]["chain"], problems.as_array().map(Vec::len)),
        (Some(1), &TEST_CHAIN_ID.into(), Some(1)),
        "{problems}"
    );
    assert!(problems[0]["since_ms"].is_u64(), "{problems}");
    let refused = dir.nexum(&["health", "--head-age", "60"]);
    assert!(
        refused.stderr.contains("expected a number and a unit"),
        "{}",
        refused.stderr
    );
    running.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_in_backoff_says_which_attempt_failed_and_when_the_next_one_comes() {
    let node = Node::start().await;
    let dir = Dir::new();
    let restart = "[engine.restart]\nattempts_max = 5\nbackoff_ms = 60000\n";
    let running = Exporting::start(&dir, &format!("{restart}{}{}", chain(&node), module("panic")));
    node.mine(1);
    let status = ["status", "--format", "json"];
    let failed = until(&dir, &status, |ran| json(ran)[0]["stage"] == "backoff").await;
    let module = &json(&failed)[0];
    let reason = module["reason"].as_str().expect("a reason");
    assert!(
        reason.starts_with(&format!("attempt 1 of 5 at {TEST_CHAIN_ID}:")),
        "{reason}"
    );
    assert_eq!(
        (failed.code, &module["events"]["failures_in_last_hour"]),
        (Some(1), &1.into())
    );
    assert!(module["events"]["next_try_ms"].is_u64(), "{module}");
    let failure = &module["events"]["last_failures"][0];
    assert_eq!(
        (&failure["attempt"], &failure["attempts_max"]),
        (&1.into(), &5.into()),
        "{failure}"
    );
    let details = dir.nexum(&["status", "panic"]);
    assert!(
        details.stdout.contains(", attempt 1 of 5: ") && details.code == Some(1),
        "{}",
        details.stdout
    );
    let none = dir.nexum(&["status", "nothing"]);
    assert_eq!(none.code, Some(2));
    assert!(
        none.stderr.contains("the daemon has no module nothing"),
        "{}",
        none.stderr
    );
    running.stop();
}

#[test]
fn health_without_a_daemon_has_the_error_in_its_format() {
    let dir = Dir::new();
    dir.write("engine.toml", "");
    let health = |options: &[&str]| dir.nexum(&[&["health"], options].concat());
    let json = health(&["--format", "json"]);
    assert_eq!((json.code, json.stderr.as_str()), (Some(2), ""));
    let error: Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(error["code"], "daemon-not-running");
    assert!(
        error["error"].to_string().contains("no nexum runs in ./data"),
        "{error}"
    );
    assert!(error["hint"].to_string().contains("nexum run"), "{error}");
    let nagios = health(&["--format", "nagios"]);
    assert_eq!(nagios.code, Some(2));
    assert!(
        nagios.stdout.starts_with("NEXUM CRITICAL - no nexum runs in ./data"),
        "{}",
        nagios.stdout
    );

    // A command that cannot look knows nothing about the daemon.
    dir.write("engine.toml", "[engine]\nstate_dir = 1\n");
    let nagios = health(&["--format", "nagios"]);
    assert_eq!(nagios.code, Some(3));
    assert!(nagios.stdout.starts_with("NEXUM UNKNOWN - "), "{}", nagios.stdout);
    let json = health(&["--format", "json"]);
    assert_eq!(json.code, Some(2));
    assert!(json.stdout.contains("\"code\": \"config-invalid\""), "{}", json.stdout);

    let zero = health(&["--head-age", "0s"]);
    assert_eq!(zero.code, Some(2));
    assert!(zero.stderr.contains("expected at least 1s"), "{}", zero.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_status_name_dead_letters_and_health_the_modules_that_are_not_to_run() {
    let node = Node::start().await;
    let dir = Dir::new();
    let restart = "[engine.restart]\nattempts_max = 1\n";
    let modules = format!("{}{}", module("panic"), module("noop"));
    let running = Exporting::start(&dir, &format!("{restart}{}{modules}", chain(&node)));
    node.mine(1);
    let command = ": `nexum dead-letter list panic`";
    let letters = until(&dir, &["status"], |ran| ran.stdout.contains(command)).await;
    assert_eq!(letters.code, Some(1));
    let healthy = until(&dir, &["health"], |ran| ran.code == Some(0)).await;
    assert!(healthy.stdout.contains("note: module panic: ") && healthy.stdout.contains(command));

    for name in ["panic", "noop"] {
        let removed = dir.nexum(&["module", "remove", name]);
        assert_eq!(removed.code, Some(0), "{}", removed.stderr);
    }
    let empty = dir.nexum(&["health"]);
    let begin = "healthy: 0 of 2 configured modules run: panic is removed (by uid ";
    assert!(empty.stdout.starts_with(begin) && empty.stdout.contains("; noop is removed (by uid "));
    assert_eq!(
        (empty.code, running.get("/readyz").0),
        (Some(0), 200),
        "{}",
        empty.stdout
    );
    running.stop();
}
