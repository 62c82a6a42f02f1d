//! `nexum dev`: a project that is built, run, changed and ended.

mod chains;
mod orphans;
mod rust;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use nexum_config::names::Digest;
use nexum_testing::guests;
use serde_json::Value;

use crate::Dir;
use crate::processes::send;
use crate::running::{Start as _, Started};

/// The longest wait for a line: a slow machine compiles the SDK for minutes.
const WAIT_MAX: Duration = Duration::from_secs(600);

/// The command that builds [`project`]: it copies the guest that `src/guest.txt` names.
pub(crate) const BUILD: &str = "mkdir -p build && cp \"$(cat src/guest.txt)\" build/watch.wasm && cp nexum.toml build";

/// The line after which the module handles events.
const RUNS: &str = "the module runs";

/// The file with the stderr of `nexum dev`, which is no source of the project.
const ERRORS: &str = "stderr.log";

/// A running `nexum dev`. Dropping the value kills it.
pub(crate) struct Dev {
    pub(crate) child: Started,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Dev {
    pub(crate) fn start(dir: &Dir, args: &[&str]) -> Self {
        Self::start_with(dir, args, |_| {})
    }

    fn start_with(dir: &Dir, args: &[&str], change: impl FnOnce(&mut Command)) -> Self {
        let mut command = dir.command(&["dev"]);
        command.stderr(std::fs::File::create(dir.path().join(ERRORS)).expect("a file"));
        change(&mut command);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.start();
        let stdout = BufReader::new(child.stdout.take().expect("stdout"));
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || stdout.lines().for_each(|line| drop(sender.send(line.expect("UTF-8")))));
        Self {
            stdin: child.stdin.take(),
            child,
            lines,
        }
    }

    /// The next lines up to one that contains the text.
    pub(crate) fn until(&self, text: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match self.lines.recv_timeout(WAIT_MAX) {
                Ok(line) => lines.push(line),
                Err(error) => panic!("no line with {text:?}, {error}: {lines:#?}"),
            }
            if lines.last().is_some_and(|line| line.contains(text)) {
                return lines;
            }
        }
    }

    /// The lines on stderr so far.
    fn errors(dir: &Dir) -> String {
        std::fs::read_to_string(dir.path().join(ERRORS)).expect("a file")
    }

    pub(crate) fn say(&mut self, command: &str) {
        let stdin = self.stdin.as_mut().expect("stdin is open");
        writeln!(stdin, "{command}").expect("nexum reads");
    }

    fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Waits for the end. Returns the exit code.
    fn ended(mut self) -> Option<i32> {
        self.child.wait().expect("an end").code()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A subscription to the blocks of the test chain.
pub(crate) const BLOCKS: &str = "kind = \"block\"\nchain_id = 11155111\n";

/// A project that a shell command builds, so that a test needs no compiler: [`BUILD`]. `subscription`
/// is that of the module.
pub(crate) fn project(guest: &str, subscription: &str) -> Dir {
    let dir = Dir::new();
    std::fs::create_dir(dir.path().join("src")).expect("a directory");
    dir.write(
        "nexum.toml",
        format!("[module]\nname = \"watch\"\n[[subscription]]\n{subscription}"),
    );
    use_guest(&dir, guest);
    dir
}

/// Changes the source of the project.
fn use_guest(dir: &Dir, guest: &str) {
    dir.write("src/guest.txt", guests::component(guest).display().to_string());
}

/// The output of a command about the daemon of `nexum dev`.
fn ask(dir: &Dir, args: &[&str]) -> String {
    let ran = dir.nexum(&[args, &["--config", "build/dev/engine.toml"]].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.stdout
}

/// The state of the guest `journal`: the events in order, without hashes. Each has the key of its
/// position.
fn journal(dir: &Dir) -> Vec<String> {
    entries(dir).into_iter().map(|(event, _)| event).collect()
}

/// As [`journal`], each with the rest of its value: the hash of a block.
fn entries(dir: &Dir) -> Vec<(String, String)> {
    let export = ask(dir, &["state", "export", "watch"]);
    let rows = export
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let rows = rows.filter(|row| row["state"].is_object() && row["state"]["key"] != "entries");
    let entry = |(position, row): (usize, Value)| {
        assert_eq!(row["state"]["key"], format!("{position:010}"));
        let digits = row["state"]["value"]
            .as_str()
            .and_then(|value| value.strip_prefix("0x"));
        let digits = digits.expect("a value").as_bytes();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("digits"), 16).expect("digits");
        let text = String::from_utf8(digits.chunks(2).map(byte).collect()).expect("UTF-8");
        let (event, hash) = text.rsplit_once(' ').expect("a hash");
        (event.to_owned(), hash.to_owned())
    };
    rows.enumerate().map(entry).collect()
}

/// The digest of the component that the daemon runs.
fn digest_of_running(dir: &Dir) -> String {
    let modules: Value = serde_json::from_str(&ask(dir, &["status", "--format", "json"])).expect("JSON");
    modules[0]["digest"].as_str().expect("a digest").to_owned()
}

/// The digest of a guest.
fn digest(guest: &str) -> String {
    Digest::of(&std::fs::read(guests::component(guest)).expect("a guest")).to_string()
}

fn dev(dir: &Dir) -> Dev {
    Dev::start(dir, &["--build-with", BUILD])
}

#[test]
fn a_change_is_built_and_the_module_reloaded() {
    let dir = project("block-logger", BLOCKS);
    let mut dev = dev(&dir);
    dev.until(RUNS);
    dev.say("mine");
    let lines = dev.until("block 1 handled in ");
    assert!(
        lines.iter().any(|line| line.starts_with("  info block 1 0x")),
        "{lines:#?}"
    );
    assert!(lines.last().is_some_and(|line| line.ends_with(" fuel")), "{lines:#?}");

    use_guest(&dir, "noop");
    let lines = dev.until("reloaded ");
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("watch is reloaded with sha256:")),
        "{lines:#?}"
    );
    dev.say("m 2");
    let lines = dev.until("block 3 handled in ");
    assert!(!lines.iter().any(|line| line.contains("base fee")), "{lines:#?}");

    // A build that changes nothing leaves the module alone.
    dev.say("reload");
    dev.until("the module is unchanged");
    dev.say("quit");
    assert_eq!(dev.ended(), Some(0));
}

#[test]
fn a_build_that_fails_keeps_the_last_version() {
    let dir = project("journal", BLOCKS);
    let mut dev = dev(&dir);
    let lines = dev.until(RUNS);
    assert_eq!(
        lines.first().map(String::as_str),
        Some("this run builds into build/dev; `nexum build` makes the files to publish")
    );
    dev.say("mine");
    dev.until("block 1 handled in ");
    dir.write("src/guest.txt", "no-such-file");
    dev.until("the build failed: the last version keeps running");
    assert_eq!(
        Dev::errors(&dir).matches("no-such-file").count(),
        1,
        "{}",
        Dev::errors(&dir)
    );
    assert_eq!(digest_of_running(&dir), digest("journal"));
    dev.say("mine");
    dev.until("block 2 handled in ");
    let blocks = ["block 0", "block 1", "block 2"];
    assert_eq!(journal(&dir), blocks);

    use_guest(&dir, "noop");
    dev.until("reloaded ");
    assert_eq!(digest_of_running(&dir), digest("noop"));
    dev.say("mine");
    dev.until("block 3 handled in ");
    // The new version writes nothing, and keeps the state.
    assert_eq!(journal(&dir), blocks);
}

#[test]
fn a_project_that_does_not_build_yet_starts_when_it_does() {
    let dir = project("noop", BLOCKS);
    dir.write("src/guest.txt", "no-such-file");
    let mut dev = dev(&dir);
    dev.until("the build failed: nexum builds again after a change, or with `r` and Enter");
    for command in ["mine", "event", "status", "help"] {
        dev.say(command);
    }
    dev.until("q, quit");
    for subject in ["no chain", "no module", "no daemon"] {
        let error = format!("error: {subject} runs: the last build failed\n");
        assert!(Dev::errors(&dir).contains(&error), "{}", Dev::errors(&dir));
    }
    use_guest(&dir, "noop");
    dev.until(RUNS);
    dev.say("mine");
    dev.until("block 1 handled in ");
}

#[test]
fn a_build_during_the_start_of_the_daemon_replaces_a_module_whose_init_fails() {
    let dir = project("bad-init", BLOCKS);
    let mut dev = dev(&dir);
    dev.until("chain 11155111 is at ");
    use_guest(&dir, "noop");
    dev.until(RUNS);
    dev.say("mine");
    dev.until("block 1 handled in ");
}

#[test]
fn a_module_whose_init_fails_does_not_run() {
    let dir = project("bad-init", BLOCKS);
    let mut dev = dev(&dir);
    let lines = dev.until("init failed, attempt 2: ");
    assert!(!lines.iter().any(|line| line.contains(RUNS)), "{lines:#?}");
    use_guest(&dir, "noop");
    dev.until(RUNS);
    dev.say("mine");
    dev.until("block 1 handled in ");
}

#[test]
fn a_new_configuration_starts_the_daemon_again() {
    let dir = project("journal", BLOCKS);
    let mut dev = dev(&dir);
    dev.until(RUNS);
    dev.say("mine 2");
    dev.until("block 2 handled in ");
    dir.write(
        "engine.toml",
        "[engine.limits]\nfuel_per_event = 2000000\n[[modules]]\npath = \"build/watch.wasm\"\n",
    );
    dev.until(RUNS);
    // The module runs while the file is being edited.
    dir.write("engine.toml", "[engine");
    dev.until("the module is unchanged");
    dev.say("mine");
    dev.until("block 3 handled in ");
    // An error has the line of this file, not of the generated one.
    dir.write("engine.toml", "\n[engine.limits]\nfuel = 1\n");
    dev.until("the module keeps running as before");
    let errors = Dev::errors(&dir);
    assert!(
        errors.contains("/engine.toml:3:") && !errors.contains("build/dev"),
        "{errors}"
    );
    dir.write(
        "engine.toml",
        "[engine.limits]\nfuel_per_event = 3000000\n[[modules]]\npath = \"build/watch.wasm\"\n",
    );
    dev.until(RUNS);
    // The chain and the state are those of before.
    dev.say("mine");
    dev.until("block 4 handled in ");
    let limits = dir.nexum(&["limits", "watch", "--config", "build/dev/engine.toml"]);
    assert!(limits.stdout.contains("3000000"), "{}{}", limits.stdout, limits.stderr);
    dev.say("state");
    dev.until("0000000002");
}

#[test]
fn sample_events_match_the_subscription() {
    let contract = format!("0x{}", "aa".repeat(20));
    let dir = project(
        "log-sum",
        &format!("kind = \"log\"\nchain_id = 11155111\naddress = \"{contract}\"\n"),
    );
    let mut dev = dev(&dir);
    dev.until(RUNS);
    dev.say("event");
    dev.until("sent a sample event in block 1 of chain 11155111");
    dev.until("logs 1 handled in ");
    // The sum has the number at the end of the data.
    let topic = format!("0x{}", "07".repeat(32));
    dev.say(&format!("log {contract} {topic} 0x0000000000000005"));
    dev.until("logs 2 handled in ");
    dev.say("state");
    let lines = dev.until("sum");
    let row = |key: &str| {
        lines
            .iter()
            .find(|line| line.trim_start().starts_with(key))
            .expect("a row")
    };
    assert!(row("count").contains("0200000000000000"), "{lines:#?}");
    assert!(row("sum").contains("0500000000000000"), "{lines:#?}");
}

#[test]
fn a_failure_is_shown_until_its_dead_letter() {
    let dir = project("panic", BLOCKS);
    dir.write(
        "engine.toml",
        "[engine.restart]\nattempts_max = 2\nbackoff_ms = 1\n[[modules]]\npath = \"build/watch.wasm\"\n",
    );
    let mut dev = dev(&dir);
    dev.until(RUNS);
    dev.say("mine");
    let lines = dev.until("block 1: the event is now a dead letter, and the module continues: ");
    for attempt in [1, 2] {
        let failed = format!("block 1 failed, attempt {attempt}: ");
        assert!(lines.iter().any(|line| line.starts_with(&failed)), "{lines:#?}");
    }
    use_guest(&dir, "noop");
    dev.until("reloaded ");
    dev.say("retry");
    dev.until("11155111:1:block is handled");
}

#[test]
fn commands_are_lines_and_the_end_of_stdin_is_no_command() {
    let dir = project("noop", BLOCKS);
    let mut dev = dev(&dir);
    dev.until(RUNS);
    dev.say("help");
    dev.until("q, quit");
    dev.say("status");
    dev.until("watch ");
    dev.say("retry");
    dev.until("watch has no dead letters");
    dev.close_stdin();
    use_guest(&dir, "journal");
    dev.until("reloaded ");
    send("-TERM", dev.child.id());
    assert_eq!(dev.ended(), Some(0));
}

#[test]
fn a_directory_without_a_project_is_refused() {
    let dir = Dir::new();
    let refused = dir.nexum(&["dev"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stdout);
    assert!(refused.stderr.contains("no module here"), "{}", refused.stderr);
    assert!(!Path::new(&dir.path().join("build")).exists());
}

#[test]
fn an_option_that_no_edit_mends_is_refused_before_the_build() {
    let dir = project("noop", BLOCKS);
    let node = "http://127.0.0.1:1";
    for (option, value, expected) in [
        ("--rpc", "foo", "error: --rpc: the URL of a node is not valid\n"),
        ("--rpc", node, "error: --rpc: eth_chainId of the node at 127.0.0.1:1: "),
        (
            "--fork",
            node,
            "error: --fork: eth_chainId of the node at 127.0.0.1:1: ",
        ),
        ("--blocks-every", "0", "expected a whole number of seconds, at least 1"),
    ] {
        let refused = dir.nexum(&["dev", "--build-with", BUILD, option, value]);
        assert_eq!(refused.code, Some(2), "{option}: {}", refused.stdout);
        assert!(refused.stderr.contains(expected), "{option}: {}", refused.stderr);
    }
    let mut command = dir.command(&["dev", "--build-with", BUILD]);
    let refused = command.env("NEXUM_ANVIL", "/nope").output().expect("the binary");
    assert_eq!(refused.status.code(), Some(2));
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        stderr.contains("error: there is no program /nope, which NEXUM_ANVIL names\n"),
        "{stderr}"
    );
    assert!(!dir.path().join("build").exists());
}

#[test]
fn one_directory_has_one_run() {
    let dir = project("noop", BLOCKS);
    let first = dev(&dir);
    first.until(RUNS);
    let refused = dir.nexum(&["dev", "--build-with", BUILD]);
    assert_eq!(refused.code, Some(2), "{}", refused.stdout);
    assert!(
        refused.stderr.contains("another `nexum dev` runs in"),
        "{}",
        refused.stderr
    );
}
