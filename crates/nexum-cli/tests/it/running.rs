//! `nexum run` on a real node.

use std::cell::RefCell;
use std::io::{self, BufRead, BufReader};
use std::ops::{Deref, DerefMut};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};

use nexum_testing::{Anvil, guests};

use crate::Dir;

/// The log of a child process. A thread reads it even after this is dropped, so that the process is
/// never blocked.
pub(crate) struct Log(Receiver<String>);

impl Log {
    pub(crate) fn of(child: &mut Child) -> Self {
        let log = BufReader::new(child.stderr.take().expect("a log"));
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            log.lines().for_each(|line| drop(sender.send(line.expect("UTF-8"))));
        });
        Self(receiver)
    }

    /// The next lines until one satisfies the test, or all if none does.
    pub(crate) fn until(&self, found: impl Fn(&str) -> bool) -> Vec<String> {
        let mut lines = Vec::new();
        while let Ok(line) = self.0.recv() {
            lines.push(line);
            if lines.last().is_some_and(|line| found(line)) {
                break;
            }
        }
        lines
    }

    /// The next lines until each of these records has appeared, in any order, or all if one does not.
    pub(crate) fn until_all(&self, records: &[&str]) -> Vec<String> {
        let missing = RefCell::new(records.to_vec());
        self.until(|line| {
            let mut missing = missing.borrow_mut();
            missing.retain(|record| !line.contains(record));
            missing.is_empty()
        })
    }
}

/// The address in the first of these lines that has the record.
#[cfg(all(feature = "chain", feature = "store"))]
pub(crate) fn address(lines: &[String], record: &str) -> String {
    let line = lines.iter().find(|line| line.contains(record)).expect("the record");
    let (_, address) = line.split_once("address=").expect("an address");
    address.split_whitespace().next().expect("an address").to_owned()
}

/// Records of a daemon whose modules have started and follow a chain.
pub(crate) const RUNNING: [&str; 2] = ["following the chain", "modules are loaded"];

/// The first lines of the log until one satisfies the test, or all if none does.
pub(crate) fn read_until(child: &mut Child, found: impl Fn(&str) -> bool) -> Vec<String> {
    Log::of(child).until(found)
}

/// A process of a test. Dropping it kills the process, so that a failed test leaves none behind.
#[derive(Debug)]
pub(crate) struct Started(Option<Child>);

impl Started {
    pub(crate) fn wait_with_output(mut self) -> io::Result<Output> {
        self.0.take().expect("a child").wait_with_output()
    }
}

impl Deref for Started {
    type Target = Child;

    fn deref(&self) -> &Child {
        self.0.as_ref().expect("a child")
    }
}

impl DerefMut for Started {
    fn deref_mut(&mut self) -> &mut Child {
        self.0.as_mut().expect("a child")
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // The process may have ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Starts a process that does not outlive its test.
pub(crate) trait Start {
    fn start(&mut self) -> Started;
}

impl Start for Command {
    fn start(&mut self) -> Started {
        Started(Some(self.spawn().expect("the binary starts")))
    }
}

/// Starts a daemon, whose log the test reads.
pub(crate) fn spawn(dir: &Dir, args: &[&str]) -> Started {
    let mut command = dir.command(args);
    let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
    command.start()
}

pub(crate) fn terminate(child: &Child) {
    let sent = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .expect("kill");
    assert!(sent.success());
}

/// Every log record on the way of a request, at the finest level, without those of the compiler,
/// which logs too much.
const LEVEL: &str = "trace,cranelift=off,cranelift_codegen=off,cranelift_frontend=off,regalloc2=off,wasmtime=off,\
                     wasmtime_environ=off,wasmtime_internal_cranelift=off,wasmtime_internal_cache=off";

fn config(rpc_url: &str, module: &str) -> String {
    let path = guests::component(module).display().to_string();
    format!(
        "[engine]\nlog_level = \"{LEVEL}\"\nlog_format = \"json\"\n\
         [chains.11155111]\nrpc_url = {rpc_url:?}\n[[modules]]\npath = {path:?}\n"
    )
}

/// The configuration of [`config`], with restart settings that soon give a module up.
fn impatient(rpc_url: &str, module: &str) -> String {
    let restart = "[engine.restart]\nbackoff_ms = 1\nmax_consecutive_failures = 2\n";
    format!("{}{restart}", config(rpc_url, module))
}

async fn handles_blocks_and_stops(rpc_url: &str) {
    let dir = Dir::new();
    dir.write("engine.toml", config(rpc_url, "block-logger"));
    let mut child = dir
        .command(&["run"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .start();
    let lines = read_until(&mut child, |line| line.contains("event handled"));
    terminate(&child);
    let ended = child.wait_with_output().expect("an end");
    assert_eq!(ended.status.code(), Some(0), "{lines:#?}");
    let record = lines
        .iter()
        .find(|line| line.contains("base fee"))
        .expect("the module's record");
    let record: serde_json::Value = serde_json::from_str(record).expect("JSON");
    assert_eq!(
        (&record["module"], &record["chain"]),
        (&"block-logger".into(), &11_155_111.into())
    );
    assert!(record["block"].is_u64() && record["event"].is_string(), "{record}");
    // No log level shows the key in the URL.
    assert!(!lines.iter().any(|line| line.contains("very-secret-key")), "{lines:#?}");
}

#[tokio::test]
async fn runs_on_http_until_terminated() {
    let anvil = Anvil::start();
    anvil.mine(2).await;
    handles_blocks_and_stops(&format!("{}/?key=very-secret-key", anvil.http_url())).await;
}

#[tokio::test]
async fn runs_on_ws_until_terminated() {
    let anvil = Anvil::start();
    anvil.mine(2).await;
    handles_blocks_and_stops(&format!("{}/?key=very-secret-key", anvil.ws_url())).await;
}

#[tokio::test]
async fn the_environment_sets_the_log_level_and_no_directive_shows_a_secret() {
    let anvil = Anvil::start();
    anvil.mine(2).await;
    let url = format!("{}/?key=very-secret-key", anvil.http_url());
    let directives = "hyper::proto=trace,hyper_util::client=trace,reqwest::connect=trace,alloy_transport_http=trace,\
                      alloy_rpc_client::client=trace,[{method}]=trace";
    let dir = Dir::new();
    let config = config(&url, "block-logger").replace(LEVEL, "off");
    dir.write(
        "engine.toml",
        config.replace("rpc_url", "extra_methods = [\"*\"]\nrpc_url"),
    );
    let mut command = dir.command(&["run"]);
    command.env("RUST_LOG", format!("{LEVEL},{directives}"));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).start();
    let lines = read_until(&mut child, |line| line.contains("event handled"));
    terminate(&child);
    assert_eq!(child.wait().expect("an end").code(), Some(0));
    let first: serde_json::Value = serde_json::from_str(&lines[0]).expect("JSON");
    assert_eq!(
        (&first["target"], &first["message"]),
        (
            &"nexum::log".into(),
            &"RUST_LOG sets the level of the log, and overrides log_level of the configuration".into()
        )
    );
    let is_shown = |part: &str| lines.iter().any(|line| line.contains(part));
    assert!(is_shown("\"level\":\"TRACE\""), "{lines:#?}");
    assert!(is_shown("modules may call every JSON-RPC method"), "{lines:#?}");
    for part in [
        "very-secret-key",
        "\"target\":\"hyper",
        "\"target\":\"reqwest",
        "\"target\":\"alloy",
    ] {
        assert!(!is_shown(part), "{part}: {lines:#?}");
    }
}

#[test]
fn a_table_says_what_is_about_to_run() {
    let dir = Dir::new();
    dir.write(
        "engine.toml",
        config("http://127.0.0.1:9/very-secret-key", "block-logger").replace("\"json\"", "\"pretty\""),
    );
    let mut child = dir
        .command(&["run"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .start();
    read_until(&mut child, |line| line.contains("modules are loaded"));
    terminate(&child);
    let ended = child.wait_with_output().expect("an end");
    let table = String::from_utf8(ended.stdout).expect("UTF-8");
    assert_eq!(ended.status.code(), Some(0), "{table}");
    for part in [
        "MODULE",
        "block-logger",
        "chain, clock, logging",
        "blocks of 11155111",
        "http://127.0.0.1",
    ] {
        assert!(table.contains(part), "{part}: {table}");
    }
    assert!(!table.contains("very-secret-key"), "{table}");
}

#[test]
fn a_run_whose_only_module_dies_has_failed() {
    let dir = Dir::new();
    let anvil = Anvil::start();
    dir.write("engine.toml", impatient(&anvil.http_url(), "bad-init"));
    let ran = dir.nexum(&["run"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("2 failures in a row"), "{}", ran.stderr);
}

#[test]
fn a_second_start_compiles_nothing() {
    let dir = Dir::new();
    let anvil = Anvil::start();
    dir.write("engine.toml", impatient(&anvil.http_url(), "bad-init"));
    let cached = |ran: &str| {
        let loaded = ran
            .lines()
            .find(|line| line.contains("modules are loaded"))
            .expect("the record")
            .to_owned();
        let loaded: serde_json::Value = serde_json::from_str(&loaded).expect("JSON");
        (loaded["cached"].as_u64(), loaded["compiled"].as_u64())
    };
    assert_eq!(cached(&dir.nexum(&["run"]).stderr), (Some(0), Some(1)));
    assert_eq!(cached(&dir.nexum(&["run"]).stderr), (Some(1), Some(0)));
}

#[tokio::test]
async fn everything_in_the_state_directory_is_for_its_user_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let anvil = Anvil::start();
    let dir = Dir::new();
    dir.write("engine.toml", config(&anvil.ws_url(), "block-logger"));
    let data = dir.path().join("data");
    std::fs::create_dir(&data).expect("a directory");
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    // The shell's umask gives everyone all rights.
    let run = format!("umask 000; exec {} run", env!("CARGO_BIN_EXE_nexum"));
    let mut command = Command::new("sh");
    let command = command.current_dir(dir.path()).args(["-c", &run]);
    let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.start();
    read_until(&mut child, |line| line.contains("event handled"));
    let mut directories = vec![data];
    while let Some(directory) = directories.pop() {
        let mode = |path: &std::path::Path| std::fs::metadata(path).expect("an entry").permissions().mode() & 0o777;
        assert_eq!(mode(&directory) & 0o077, 0, "{}", directory.display());
        for entry in std::fs::read_dir(&directory).expect("entries") {
            let path = entry.expect("an entry").path();
            assert_eq!(mode(&path) & 0o077, 0, "{}", path.display());
            if path.is_dir() {
                directories.push(path);
            }
        }
    }
    terminate(&child);
    assert_eq!(child.wait().expect("an end").code(), Some(0));
}

#[tokio::test]
async fn a_hangup_without_another_configuration_changes_nothing() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    dir.write("engine.toml", config(&anvil.ws_url(), "block-logger"));
    let mut child = spawn(&dir, &["run"]);
    let log = Log::of(&mut child);
    log.until(|line| line.contains("event handled"));
    let sent = Command::new("kill").args(["-HUP", &child.id().to_string()]).status();
    assert!(sent.expect("kill").success());
    log.until(|line| line.contains("the configuration has not changed"));
    anvil.mine(1).await;
    log.until(|line| line.contains("event handled"));
    terminate(&child);
    assert_eq!(child.wait().expect("an end").code(), Some(0));
}

#[tokio::test]
async fn a_state_directory_with_a_long_path_has_a_socket() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    let long = format!("{}/{}", "d".repeat(100), "e".repeat(100));
    let state_dir = format!("[engine]\nstate_dir = {long:?}\n");
    let config = config(&anvil.ws_url(), "block-logger").replace("[engine]\n", &state_dir);
    dir.write("engine.toml", config);
    let mut child = spawn(&dir, &["run"]);
    read_until(&mut child, |line| line.contains("event handled"));
    let status = dir.nexum(&["status"]);
    assert_eq!(status.code, Some(0), "{}", status.stderr);
    assert!(status.stdout.contains("block-logger"), "{}", status.stdout);
    terminate(&child);
    assert_eq!(child.wait().expect("an end").code(), Some(0));
}

/// Each instance of a module with files of its own holds some of the process's open files.
#[tokio::test]
async fn the_daemon_may_open_as_many_files_as_the_system_permits() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    dir.write("engine.toml", config(&anvil.ws_url(), "block-logger"));
    let run = format!("ulimit -Sn 256; exec {} run", env!("CARGO_BIN_EXE_nexum"));
    let mut command = Command::new("sh");
    let command = command.current_dir(dir.path()).args(["-c", &run]);
    let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.start();
    read_until(&mut child, |line| line.contains("event handled"));
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).expect("limits");
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    let words: Vec<_> = line.expect("a limit").split_whitespace().collect();
    assert_ne!(words[4], "256", "{words:?}");
    assert_eq!(words[3], words[4], "{words:?}");
    terminate(&child);
    assert_eq!(child.wait().expect("an end").code(), Some(0));
}
