//! The messages to systemd.

use std::cell::RefCell;
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixDatagram;
use std::process::Stdio;

use nexum_testing::{WAIT_MAX, guests};

use crate::Dir;
use crate::running::{Log, Start as _, Started, terminate};

/// The socket of systemd, and the lines of its messages so far.
pub(crate) struct Systemd(UnixDatagram, RefCell<Vec<String>>);

impl Systemd {
    /// Starts a daemon for this systemd.
    pub(crate) fn start(dir: &Dir, variables: &[(&str, &str)]) -> (Self, Started) {
        Self::start_logging_to(dir, variables, Stdio::piped())
    }

    /// Starts a daemon for this systemd, with this stderr.
    fn start_logging_to(dir: &Dir, variables: &[(&str, &str)], stderr: Stdio) -> (Self, Started) {
        let path = dir.path().join("notify.sock");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_read_timeout(Some(WAIT_MAX)).expect("a timeout");
        let mut run = dir.command(&["run"]);
        let run = run.env("NOTIFY_SOCKET", &path).envs(variables.iter().copied());
        let run = run.stdout(Stdio::null()).stderr(stderr);
        (Self(socket, RefCell::default()), run.start())
    }

    /// The lines of the next messages until one has this line.
    pub(crate) fn until(&self, line: &str) -> Vec<String> {
        self.until_any(|seen| seen == line)
    }

    /// The lines of the next messages until one has such a line.
    fn until_any(&self, found: impl Fn(&str) -> bool) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        while !lines.iter().any(|line| found(line)) {
            let mut buffer = [0; 4_096];
            let length = self
                .0
                .recv(&mut buffer)
                .unwrap_or_else(|error| panic!("{error}: {lines:?}"));
            let text = String::from_utf8(buffer[..length].to_vec()).expect("UTF-8");
            lines.extend(text.lines().map(str::to_owned));
            self.1.borrow_mut().extend(text.lines().map(str::to_owned));
        }
        lines
    }

    /// Waits for a line that may be among the earlier ones.
    pub(crate) fn seen(&self, line: &str) {
        let is_seen = self.1.borrow().iter().any(|seen| seen == line);
        if !is_seen {
            self.until(line);
        }
    }
}

fn position(lines: &[String], line: &str) -> Option<usize> {
    lines.iter().position(|seen| seen == line)
}

#[test]
fn systemd_learns_when_nexum_is_ready_and_when_it_stops() {
    let dir = Dir::new();
    let path = guests::component("query-echo").display().to_string();
    dir.write("engine.toml", format!("[[modules]]\npath = {path:?}\n"));
    let (systemd, mut child) = Systemd::start(&dir, &[("WATCHDOG_USEC", "200000")]);
    let _log = Log::of(&mut child);
    let mut lines = systemd.until("READY=1");
    // The socket listens.
    let status = dir.nexum(&["status"]);
    assert_eq!(status.code, Some(0), "{}", status.stderr);
    systemd.seen("STATUS=1 module: 1 serving");
    lines.extend(systemd.until("WATCHDOG=1"));
    terminate(&child);
    let end = systemd.until("STOPPING=1");
    assert_eq!(position(&lines, "STOPPING=1"), None, "{lines:?}");
    assert_eq!(lines.iter().filter(|line| *line == "READY=1").count(), 1, "{lines:?}");
    assert_eq!(position(&end, "READY=1"), None, "{end:?}");
    assert_eq!(child.wait().expect("an end").code(), Some(0));
}

/// The log of a daemon whose stderr is the journal.
fn journal(log_format: &str) -> String {
    let dir = Dir::new();
    let path = guests::component("query-echo").display().to_string();
    let engine = format!("[engine]\nlog_format = {log_format:?}\n");
    dir.write("engine.toml", format!("{engine}[[modules]]\npath = {path:?}\n"));
    let journal = File::create_new(dir.path().join("journal")).expect("a file");
    let is = journal.metadata().expect("a file");
    let stream = format!("{}:{}", is.dev(), is.ino());
    let (systemd, mut child) = Systemd::start_logging_to(&dir, &[("JOURNAL_STREAM", &stream)], journal.into());
    systemd.until("READY=1");
    terminate(&child);
    assert_eq!(child.wait().expect("an end").code(), Some(0));
    std::fs::read_to_string(dir.path().join("journal")).expect("the log")
}

#[test]
fn the_journal_gets_the_priority_of_each_line_and_no_time() {
    let log = journal("pretty");
    assert!(log.contains("<6> INFO nexum::"), "{log}");
    for line in log.lines() {
        assert!(line.starts_with("<4> WARN ") || line.starts_with("<6> INFO "), "{line}");
    }
}

#[test]
fn the_journal_gets_json_as_any_other_reader_does() {
    let log = journal("json");
    assert!(log.contains("modules are loaded"), "{log}");
    for line in log.lines() {
        let record: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert!(record["timestamp"].is_string(), "{line}");
    }
}

#[test]
fn a_command_of_notify_gets_none_of_systemds_variables() {
    let dir = Dir::new();
    let path = guests::component("query-echo").display().to_string();
    let notify = "[notify]\ncommand = [\"/bin/sh\", \"-c\", \"env > variables\"]\n";
    dir.write("engine.toml", format!("{notify}[[modules]]\npath = {path:?}\n"));
    let of_operator = ("OF_THE_OPERATOR", "kept");
    let (systemd, mut child) = Systemd::start(&dir, &[("WATCHDOG_USEC", "60000000"), of_operator]);
    let _log = Log::of(&mut child);
    systemd.until("READY=1");
    let sent = dir.nexum(&["notify", "test"]);
    assert_eq!(sent.code, Some(0), "{}", sent.stderr);
    let variables = std::fs::read_to_string(dir.path().join("variables")).expect("the variables");
    let has = |name: &str| variables.lines().any(|line| line.starts_with(&format!("{name}=")));
    assert!(has(of_operator.0), "{variables}");
    for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC"] {
        assert!(!has(name), "{variables}");
    }
    terminate(&child);
    assert_eq!(child.wait().expect("an end").code(), Some(0));
}

#[test]
fn a_chain_that_is_down_delays_nothing_and_is_in_the_status() {
    let dir = Dir::new();
    let path = guests::component("block-logger").display().to_string();
    let chain = "[chains.11155111]\nrpc_url = \"http://127.0.0.1:9/hidden\"\n";
    dir.write("engine.toml", format!("{chain}[[modules]]\npath = {path:?}\n"));
    let (systemd, mut child) = Systemd::start(&dir, &[]);
    let _log = Log::of(&mut child);
    systemd.until("READY=1");
    let waiting = "STATUS=1 module: 1 waiting for chain; block-logger: chain 11155111: ";
    if !systemd.1.borrow().iter().any(|line| line.starts_with(waiting)) {
        systemd.until_any(|line| line.starts_with(waiting));
    }
    let lines = systemd.1.borrow().clone();
    assert!(!lines.iter().any(|line| line.contains("hidden")), "{lines:?}");
    terminate(&child);
    systemd.until("STOPPING=1");
    assert_eq!(child.wait().expect("an end").code(), Some(0));
}

#[test]
fn the_watchdog_of_another_process_gets_no_messages() {
    let dir = Dir::new();
    let path = guests::component("query-echo").display().to_string();
    dir.write("engine.toml", format!("[[modules]]\npath = {path:?}\n"));
    let variables = [("WATCHDOG_USEC", "1000"), ("WATCHDOG_PID", "1")];
    let (systemd, mut child) = Systemd::start(&dir, &variables);
    let _log = Log::of(&mut child);
    let mut lines = systemd.until("READY=1");
    terminate(&child);
    lines.extend(systemd.until("STOPPING=1"));
    assert_eq!(position(&lines, "WATCHDOG=1"), None, "{lines:?}");
    assert_eq!(child.wait().expect("an end").code(), Some(0));
}

#[test]
fn a_run_whose_modules_die_stops_too() {
    let dir = Dir::new();
    let anvil = nexum_testing::Anvil::start();
    let path = guests::component("bad-init").display().to_string();
    let restart = "[engine.restart]\nbackoff_ms = 1\nmax_consecutive_failures = 2\n";
    let chain = format!("[chains.11155111]\nrpc_url = {:?}\n", anvil.http_url());
    dir.write("engine.toml", format!("{restart}{chain}[[modules]]\npath = {path:?}\n"));
    let (systemd, mut child) = Systemd::start(&dir, &[]);
    let _log = Log::of(&mut child);
    systemd.until("STOPPING=1");
    assert_eq!(child.wait().expect("an end").code(), Some(1));
}
