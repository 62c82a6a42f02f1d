//! `nexum status` and its like, against a nexum that runs.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::Duration;

use nexum_testing::{Anvil, guests};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::Dir;
use crate::running::{read_until, terminate};

/// How long something is waited for: far longer than a slow machine needs.
const WAIT_MAX: Duration = Duration::from_secs(60);

fn json(dir: &Dir, args: &[&str]) -> Value {
    let ran = dir.nexum(args);
    assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.stderr);
    serde_json::from_str(&ran.stdout).expect("JSON")
}

/// Asks until the answer is as it should be.
async fn until(dir: &Dir, args: &[&str], holds: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        let answer = json(dir, args);
        if holds(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{answer:#}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_operator_sees_why_a_module_is_dead_and_has_it_go_on() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    let module = |name: &str| {
        format!(
            "[[modules]]\nname = {name:?}\npath = {:?}\n",
            guests::component(name).display().to_string()
        )
    };
    dir.write(
        "engine.toml",
        format!(
            "[engine.restart]\nattempts_max = 2\nbackoff_ms = 1\nmax_consecutive_failures = 2\n\
             [engine.limits]\nfuel_per_event = 1000000\n[chains.11155111]\nrpc_url = {:?}\n{}{}",
            anvil.ws_url(),
            module("fuel-bomb"),
            module("noop")
        ),
    );
    let nobody = dir.nexum(&["status"]);
    assert_eq!(nobody.code, Some(2));
    assert!(nobody.stderr.contains("no nexum runs"), "{}", nobody.stderr);

    let mut child = dir
        .command(&["run"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    read_until(&mut child, |line| line.contains("following the chain"));
    let mode = std::fs::metadata(dir.path().join("data/nexum.sock"))
        .expect("the socket")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    anvil.mine(3).await;

    let status = ["status", "--format", "json"];
    let modules = until(&dir, &status, |modules| {
        modules[0]["stage"] == "dead" && modules[1]["handled"].as_u64() >= Some(3)
    })
    .await;
    assert_eq!(
        (&modules[0]["name"], &modules[1]["stage"]),
        (&"fuel-bomb".into(), &"running".into())
    );
    let reason = modules[0]["reason"].as_str().expect("a reason");
    assert!(reason.contains("limit fuel_per_event = 1000000 tripped"), "{reason}");
    let text = dir.nexum(&["status"]).stdout;
    assert!(text.contains("fuel-bomb is dead: 2 failures in a row"), "{text}");

    let limits = json(&dir, &["limits", "fuel-bomb", "--format", "json"]);
    let fuel = limits
        .as_array()
        .expect("a list")
        .iter()
        .find(|usage| usage["limit"] == "fuel_per_event");
    let fuel = fuel.expect("fuel");
    assert_eq!(fuel["bound"], 1_000_000);
    assert!(fuel["most"].as_u64() >= Some(1_000_000), "{fuel}");

    let letters = json(&dir, &["dead-letter", "list", "fuel-bomb", "--format", "json"]);
    let letter = &letters[0];
    assert_eq!(
        (
            letters.as_array().map(Vec::len),
            letter["attempts"].as_array().map(Vec::len)
        ),
        (Some(1), Some(2))
    );
    let event = letter["event"].as_str().expect("an event");
    let shown = dir.nexum(&["dead-letter", "show", "fuel-bomb", event]);
    assert!(
        shown.stdout.contains("limit fuel_per_event: 1000000 of 1000000"),
        "{}",
        shown.stdout
    );

    let restarted = dir.nexum(&["module", "restart", "fuel-bomb"]);
    assert_eq!(
        (restarted.code, restarted.stdout.as_str()),
        (Some(0), "fuel-bomb goes on\n"),
        "{}",
        restarted.stderr
    );
    // The event that it died at is tried again, and is a dead letter this time.
    until(
        &dir,
        &["dead-letter", "list", "fuel-bomb", "--format", "json"],
        |letters| letters[1].is_object(),
    )
    .await;
    for (args, expected) in [
        (&["limits", "nobody"][..], "there is no module nobody"),
        (
            &["dead-letter", "show", "noop", "1:2:block"],
            "noop has no dead letter 1:2:block",
        ),
    ] {
        let refused = dir.nexum(args);
        assert_eq!(refused.code, Some(2), "{args:?}");
        assert!(refused.stderr.contains(expected), "{}", refused.stderr);
    }
    terminate(&child);
    assert_eq!(child.wait_with_output().expect("an end").status.code(), Some(0));
    assert!(!dir.path().join("data/nexum.sock").exists());
}
