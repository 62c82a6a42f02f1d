//! The log in memory, the events, the log level and the notifications of a running daemon.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use nexum_testing::{Anvil, guests};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::Dir;
use crate::control::{json, start, start_logged};
use crate::running::{Log, RUNNING, Start as _, Started, spawn, terminate};

/// The longest wait for anything: far longer than a slow machine needs.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// A configuration in which `fuel-bomb` fails at each block.
const BOUND: &str = "[engine.limits]\nfuel_per_event = 1000000\n";

fn module(name: &str) -> String {
    format!(
        "[[modules]]\nname = {name:?}\npath = {:?}\n",
        guests::component(name).display().to_string()
    )
}

/// The lines on stdout of a command that follows. Dropping it kills the command.
struct Followed {
    _child: Started,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Followed {
    fn start(dir: &Dir, args: &[&str]) -> Self {
        let mut command = dir.command(args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).start();
        let stdout = BufReader::new(child.stdout.take().expect("stdout"));
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            stdout
                .lines()
                .map_while(Result::ok)
                .for_each(|line| drop(sender.send(line)))
        });
        Self {
            _child: child,
            lines,
            seen: Vec::new(),
        }
    }

    /// Waits for a line. Calls `meanwhile` repeatedly.
    async fn until(&mut self, found: impl Fn(&str) -> bool, meanwhile: impl AsyncFn()) -> String {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            self.seen.extend(self.lines.try_iter());
            if let Some(line) = self.seen.iter().find(|line| found(line)) {
                return line.clone();
            }
            assert!(Instant::now() < deadline, "{:#?}", self.seen);
            meanwhile().await;
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The objects that a command prints, one on each line.
fn objects(dir: &Dir, args: &[&str]) -> Vec<Value> {
    let ran = dir.nexum(args);
    assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.stderr);
    ran.stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// Repeats a command until its objects satisfy the test.
async fn until(dir: &Dir, args: &[&str], holds: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        let found = objects(dir, args);
        if holds(&found) {
            return found;
        }
        assert!(Instant::now() < deadline, "{found:#?}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_operator_reads_why_an_event_failed() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    let modules = [BOUND, &module("fuel-bomb"), &module("noop")].concat();
    let child = start(&dir, &anvil, &modules, &["run"]);
    anvil.mine(2).await;
    let logs = ["logs", "fuel-bomb", "--format", "json"];
    let is_letter = |record: &Value| {
        record["message"]
            .as_str()
            .is_some_and(|text| text.contains("dead letter"))
    };
    let records = until(&dir, &logs, |records| records.iter().any(is_letter)).await;
    let failed = records
        .iter()
        .find(|record| record["fields"]["attempt"] == 1)
        .expect("a failure");
    assert_eq!(
        (
            &failed["level"],
            &failed["target"],
            &failed["module"],
            &failed["fields"]["attempts_max"]
        ),
        (&"error".into(), &"nexum::event".into(), &"fuel-bomb".into(), &1.into())
    );
    let event = failed["event"].as_str().expect("an event");
    let of_event = objects(&dir, &["logs", "fuel-bomb", "--event", event, "--format", "json"]);
    assert!(!of_event.is_empty() && of_event.iter().all(|record| record["event"] == event));
    let numbers: Vec<_> = records
        .iter()
        .map(|record| record["seq"].as_u64().expect("a number"))
        .collect();
    assert!(numbers.is_sorted(), "{numbers:?}");

    // A line looks as on stderr.
    let text = dir.nexum(&["logs", "fuel-bomb", "--level", "error", "-n", "1"]).stdout;
    let line = text.lines().next().expect("a line");
    assert!(
        line.contains("Z ERROR nexum::event: ") && line.contains("module=fuel-bomb"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 1, "{text}");
    assert_eq!(
        objects(&dir, &["logs", "--since", "0s", "--level", "error", "--format", "json"]).len(),
        0
    );
    let all = objects(&dir, &["logs", "--since", "1h", "--format", "json"]);
    assert!(all.iter().any(|record| record.get("module").is_none()), "{all:#?}");

    // The failures are events too.
    let events = objects(&dir, &["events", "fuel-bomb", "--format", "json"]);
    let letter = events
        .iter()
        .find(|event| event["kind"] == "dead_letter")
        .expect("a dead letter");
    assert_eq!(
        (&letter["module"], &letter["attempt"]),
        (&"fuel-bomb".into(), &1.into())
    );
    let text = dir.nexum(&["events", "fuel-bomb"]).stdout;
    assert!(
        text.contains(&format!("fuel-bomb {event} failed, attempt 1 of 1: ")),
        "{text}"
    );

    // So is the stage of a module, with its reason.
    assert_eq!(dir.nexum(&["module", "stop", "noop"]).code, Some(0));
    let is_stopped = |event: &Value| event["kind"] == "stage" && event["stage"] == "stopped";
    let events = ["events", "noop", "--format", "json"];
    until(&dir, &events, |events| events.iter().any(is_stopped)).await;

    // A restart and a reload begin the stage again, and the event of the command names it once.
    let since = || json(&dir, &["status", "noop", "--format", "json"])["reason_since_ms"].as_u64();
    let last = |events: &[Value]| events.last().and_then(|event| event["seq"].as_u64());
    for (command, reason) in [
        ("start", "`init` has not returned yet"),
        ("restart", "the operator restarted the module"),
        ("reload", "nexum reloaded the module"),
    ] {
        let before = last(&objects(&dir, &events));
        let earlier = since();
        assert_eq!(dir.nexum(&["module", command, "noop"]).code, Some(0));
        let is_new = |event: &&Value| event["seq"].as_u64() > before;
        let found = until(&dir, &events, |events| {
            let new = || events.iter().filter(is_new);
            new().any(|event| event["stage"] == "running") && new().any(|event| event["kind"] == "command")
        })
        .await;
        let new: Vec<_> = found.iter().filter(is_new).collect();
        let starting = new.iter().find(|event| event["stage"] == "starting");
        assert!(
            command == "start" || starting.is_some_and(|event| event["text"] == reason),
            "{new:#?}"
        );
        let now = since();
        assert!(now > earlier, "{command}: {now:?}, {earlier:?}");
        let text = new.iter().find(|event| event["kind"] == "command").expect("a command")["text"].to_string();
        assert!(text.starts_with(&format!("\"module_{command} by uid ")), "{text}");
        assert_eq!(
            (text.matches("uid").count(), text.matches("command").count()),
            (1, 0),
            "{text}"
        );
    }

    // A name that no module has is no module with events.
    assert_eq!(dir.nexum(&["module", "stop", "nosuch"]).code, Some(2));
    let all = objects(&dir, &["events", "--format", "json"]);
    let of_nosuch = all
        .iter()
        .find(|event| event["text"].to_string().contains("name=nosuch"));
    assert!(of_nosuch.is_some_and(|event| event.get("module").is_none()), "{all:#?}");

    let refused = dir.nexum(&["logs", "nobody"]);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused
            .stderr
            .contains("error[module-not-found]: there is no module nobody"),
        "{}",
        refused.stderr
    );
    terminate(&child);
    assert_eq!(child.wait_with_output().expect("an end").status.code(), Some(0));
}

#[tokio::test]
async fn a_follower_of_events_sees_each_handled_event() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    let child = start(&dir, &anvil, &module("noop"), &["run"]);
    let is_handled = |line: &str| {
        let event: Value = serde_json::from_str(line).expect("JSON");
        event["kind"] == "handled"
    };
    let events = ["events", "noop", "--format", "json"];
    anvil.mine(1).await;
    crate::control::until(&dir, &["status", "--format", "json"], |modules| {
        modules[0]["handled"].as_u64() >= Some(1)
    })
    .await;
    // Without a follower, the daemon keeps no handled events.
    assert!(!objects(&dir, &events).iter().any(|event| event["kind"] == "handled"));
    let mut followed = Followed::start(&dir, &["events", "noop", "-f", "--format", "json"]);
    let line = followed.until(is_handled, async || anvil.mine(1).await).await;
    let event: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(
        (&event["module"], &event["chain"]),
        (&"noop".into(), &11_155_111.into())
    );
    assert!(event["took_us"].is_u64() && event["fuel"].as_u64() > Some(0), "{event}");
    assert!(
        event["event"].as_str().is_some_and(|id| id.ends_with(":block")),
        "{event}"
    );
    assert!(objects(&dir, &events).iter().any(|event| event["kind"] == "handled"));
    drop(followed);
    terminate(&child);
    assert_eq!(child.wait_with_output().expect("an end").status.code(), Some(0));
}

#[tokio::test]
async fn a_follower_of_the_log_resumes_after_a_restart_and_says_what_is_lost() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    let first = start(&dir, &anvil, &module("noop"), &["run"]);
    let mut followed = Followed::start(&dir, &["logs", "-f"]);
    let nothing = async || {};
    followed
        .until(|line| line.contains("modules are loaded"), nothing)
        .await;
    terminate(&first);
    assert_eq!(first.wait_with_output().expect("an end").status.code(), Some(0));
    let mut second = spawn(&dir, &["run"]);
    Log::of(&mut second).until_all(&RUNNING);
    followed
        .until(|line| line.starts_with("-- the daemon restarted"), nothing)
        .await;
    let is_loaded = |line: &&String| line.contains("modules are loaded");
    let loaded = |followed: &Followed| followed.seen.iter().filter(is_loaded).count();
    let deadline = Instant::now() + WAIT_MAX;
    while loaded(&followed) < 2 {
        assert!(Instant::now() < deadline, "{:#?}", followed.seen);
        sleep(Duration::from_millis(20)).await;
        followed.seen.extend(followed.lines.try_iter());
    }
    assert_eq!(loaded(&followed), 2);
    terminate(&second);
    assert_eq!(second.wait_with_output().expect("an end").status.code(), Some(0));
}

#[tokio::test]
async fn the_log_level_lasts_until_the_daemon_restarts() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    let (child, log) = start_logged(&dir, &anvil, &module("noop"), &["run"]);
    let shown = dir.nexum(&["log-level"]);
    assert_eq!(
        (shown.code, shown.stdout.as_str()),
        (Some(0), "info\nthe log has its default level, info\n")
    );
    let directives = "info,nexum::event=debug";
    let set = dir.nexum(&["log-level", directives]);
    let expected = "info,nexum::event=debug\nan operator set the level of the log with a command\n\
                    it lasts until nexum restarts, reloads its configuration, or `nexum log-level --reset` returns to info\n";
    assert_eq!((set.code, set.stdout.as_str()), (Some(0), expected), "{}", set.stderr);
    anvil.mine(1).await;
    assert!(
        log.until(|line| line.contains("event handled"))
            .last()
            .expect("a line")
            .contains("noop")
    );
    let level = json(&dir, &["log-level", "--format", "json"]);
    assert_eq!(
        (&level["directives"], &level["configured"], &level["is_temporary"]),
        (&directives.into(), &"info".into(), &true.into())
    );
    for faulty in ["nexum=loud", " ", "a\u{1b}"] {
        let refused = dir.nexum(&["log-level", faulty]);
        assert_eq!(refused.code, Some(2), "{faulty:?}");
        assert!(refused.stderr.contains("directives: "), "{}", refused.stderr);
    }
    let reset = dir.nexum(&["log-level", "--reset"]);
    assert_eq!(
        (reset.code, reset.stdout.as_str()),
        (Some(0), "info\nthe log has its default level, info\n")
    );
    assert_eq!(dir.nexum(&["log-level", "debug"]).code, Some(0));
    terminate(&child);
    assert_eq!(child.wait_with_output().expect("an end").status.code(), Some(0));
    let mut again = spawn(&dir, &["run"]);
    Log::of(&mut again).until_all(&RUNNING);
    assert_eq!(json(&dir, &["log-level", "--format", "json"])["directives"], "info");
    terminate(&again);
    assert_eq!(again.wait_with_output().expect("an end").status.code(), Some(0));
}

#[tokio::test]
async fn no_record_in_memory_has_the_key_of_an_endpoint() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    let level = "[engine]\nlog_level = \"trace,cranelift=off,cranelift_codegen=off,regalloc2=off,wasmtime=off\"\n";
    let chain = format!(
        "[chains.11155111]\nrpc_url = \"{}/?key=very-secret-key\"\n",
        anvil.http_url()
    );
    let notify = "[notify]\nwebhook = \"http://127.0.0.1:9/very-secret-key\"\n";
    dir.write("engine.toml", [level, &chain, notify, &module("noop")].concat());
    let mut child = spawn(&dir, &["run"]);
    Log::of(&mut child).until_all(&RUNNING);
    let tested = dir.nexum(&["notify", "test"]);
    assert_eq!(tested.code, Some(1));
    assert!(
        tested.stderr.contains("http://127.0.0.1:9 cannot be reached"),
        "{}",
        tested.stderr
    );
    anvil.mine(1).await;
    let records = ["logs", "--level", "trace", "-n", "10000", "--format", "json"];
    let is_handled = |record: &Value| record["message"] == "event handled";
    let records = until(&dir, &records, |records| records.iter().any(is_handled)).await;
    let leaked: Vec<_> = records
        .iter()
        .filter(|record| record.to_string().contains("very-secret-key"))
        .collect();
    assert!(leaked.is_empty(), "{leaked:#?}");
    terminate(&child);
    assert_eq!(child.wait_with_output().expect("an end").status.code(), Some(0));
}

#[tokio::test]
async fn a_dead_module_and_its_dead_letters_are_reported() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    let restart = "[engine.restart]\nattempts_max = 1\nbackoff_ms = 1\nmax_consecutive_failures = 2\n";
    let chain = format!("[chains.11155111]\nrpc_url = {:?}\n", anvil.ws_url());
    let file = dir.path().join("messages");
    let notify = format!(
        "[notify]\ncommand = [\"/bin/sh\", \"-c\", \"cat >> {}\"]\n",
        file.display()
    );
    let config = [restart, BOUND, &chain, &notify, &module("fuel-bomb")].concat();
    dir.write("engine.toml", config);
    let mut child = spawn(&dir, &["run"]);
    Log::of(&mut child).until_all(&RUNNING);
    let tested = dir.nexum(&["notify", "test"]);
    assert_eq!(
        (tested.code, tested.stdout.as_str()),
        (Some(0), "/bin/sh: the message arrived\n"),
        "{}",
        tested.stderr
    );
    // The daemon ends because its only module dies, and delivers the messages before.
    anvil.mine(3).await;
    assert_eq!(child.wait_with_output().expect("an end").status.code(), Some(1));
    let text = std::fs::read_to_string(&file).expect("messages");
    let messages: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(messages[0]["phase"], "test");
    let find = |kind: &str| {
        let mut found = messages.iter().filter(|message| message["kind"] == kind);
        let first = found.next().unwrap_or_else(|| panic!("no {kind}: {text}"));
        assert!(found.next().is_none(), "{kind} is reported once: {text}");
        first
    };
    let dead = find("module_dead");
    assert_eq!(
        (&dead["phase"], &dead["module"]),
        (&"began".into(), &"fuel-bomb".into())
    );
    let reason = dead["text"].as_str().expect("a text");
    assert!(
        reason.starts_with("the module is dead: 2 failures in a row"),
        "{reason}"
    );
    let hint = "read `nexum logs fuel-bomb`, remove the cause, and run `nexum module restart fuel-bomb`";
    assert_eq!(dead["hint"], hint);
    let letters = find("dead_letters");
    assert!(
        letters["event"].as_str().is_some_and(|id| id.ends_with(":block")),
        "{letters}"
    );
}

#[tokio::test]
async fn a_test_of_notifications_needs_a_receiver() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    let child = start(&dir, &anvil, &module("noop"), &["run"]);
    let refused = dir.nexum(&["notify", "test"]);
    assert_eq!(refused.code, Some(2));
    let expected = "error[notify-unconfigured]: the configuration names no receiver of notifications";
    assert!(refused.stderr.contains(expected), "{}", refused.stderr);
    terminate(&child);
    assert_eq!(child.wait_with_output().expect("an end").status.code(), Some(0));
}
