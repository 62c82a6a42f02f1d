//! The reload of the configuration: SIGHUP and `nexum reload`.

use std::process::{Command, Stdio};

use nexum_testing::{Anvil, guests};
use serde_json::{Value, json};

use crate::running::{Log, Start as _, Started, terminate};
use crate::systemd::Systemd;
use crate::{Dir, Ran};

/// A daemon.
struct Daemon<'a> {
    dir: &'a Dir,
    child: Started,
    log: Log,
}

impl<'a> Daemon<'a> {
    /// Starts with a configuration, and waits until the modules are loaded.
    fn start(dir: &'a Dir, config: &str) -> Self {
        dir.write("engine.toml", config);
        let mut run = dir.command(&["run"]);
        let run = run.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = run.start();
        let log = Log::of(&mut child);
        let daemon = Self { dir, child, log };
        daemon.log.until(|line| line.contains("modules are loaded"));
        daemon
    }

    fn hang_up(&self) {
        let sent = Command::new("kill")
            .args(["-HUP", &self.child.id().to_string()])
            .status();
        assert!(sent.expect("kill").success());
    }

    /// The stage of each module.
    fn stages(&self) -> Value {
        let status = self.dir.nexum(&["status", "--format", "json"]);
        let modules: Value = serde_json::from_str(&status.stdout).expect("JSON");
        let modules = modules["modules"]
            .as_array()
            .or(modules.as_array())
            .expect("modules")
            .clone();
        modules
            .iter()
            .map(|module| {
                (
                    module["name"].as_str().expect("a name").to_owned(),
                    module["stage"].clone(),
                )
            })
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    fn reload(&self, options: &[&str]) -> Ran {
        self.dir.nexum(&[&["reload"], options].concat())
    }

    fn bound(&self, module: &str, limit: &str) -> Value {
        let limits = self.dir.nexum(&["limits", module, "--format", "json"]);
        let limits: Value = serde_json::from_str(&limits.stdout).expect("JSON");
        let limits = limits.as_array().expect("limits");
        limits.iter().find(|one| one["limit"] == limit).expect("a limit")["bound"].clone()
    }

    fn stop(mut self) {
        terminate(&self.child);
        assert_eq!(self.child.wait().expect("an end").code(), Some(0));
    }
}

/// A module that answers queries and needs no chain.
fn module(name: &str) -> String {
    let path = guests::component("query-echo").display().to_string();
    format!("[[modules]]\npath = {path:?}\nname = {name:?}\n")
}

const ENGINE: &str = "[engine]\nlog_format = \"json\"\n";

#[test]
fn a_bad_file_changes_nothing_and_names_its_line() {
    let dir = Dir::new();
    let good = format!("{ENGINE}{}", module("one"));
    let daemon = Daemon::start(&dir, &good);
    dir.write(
        "engine.toml",
        format!(
            "{ENGINE}[engine.limits]\nfuel_per_event = 0\n{}{}",
            module("one"),
            module("two")
        ),
    );
    daemon.hang_up();
    let lines = daemon.log.until(|line| line.contains("nothing was changed"));
    let error = lines
        .iter()
        .find(|line| line.contains("engine.toml:4:18: engine.limits.fuel_per_event: "));
    assert!(error.is_some(), "{lines:#?}");
    assert_eq!(daemon.stages(), json!({ "one": "serving" }));
    let refused = daemon.reload(&[]);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""));
    let expected = "error[config-invalid]: engine.toml:4:18: engine.limits.fuel_per_event: ";
    assert!(refused.stderr.contains(expected), "{}", refused.stderr);
    dir.write("engine.toml", &good);
    let same = daemon.reload(&[]);
    assert_eq!(
        (same.code, same.stdout.as_str()),
        (Some(0), "the configuration has not changed\n"),
        "{}",
        same.stderr
    );
    daemon.stop();
}

#[test]
fn limits_modules_and_their_configuration_change_together() {
    let dir = Dir::new();
    let config = |text: &str| format!("{ENGINE}{text}");
    let before = config(&format!(
        "{}[modules.config]\ntext = \"a\"\n{}",
        module("one"),
        module("gone")
    ));
    let daemon = Daemon::start(&dir, &before);
    let after = format!(
        "log_level = \"debug\"\n[engine.limits]\nfuel_per_event = 7_000_000\n{}[modules.config]\ntext = \"b\"\n{}",
        module("one"),
        module("new")
    );
    dir.write("engine.toml", config(&after));
    let expected = "a reload would make these changes:\n\
                    engine.log_level: \"info\" -> \"debug\"\n\
                    engine.limits.fuel_per_event: 1000000000 -> 7000000\n\
                    modules.one.config.text: \"a\" -> \"b\"\n";
    let shown = daemon.reload(&["--dry-run"]);
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    assert!(shown.stdout.starts_with(expected), "{}", shown.stdout);
    for line in [
        "module new: starts\n",
        "module one: reloads with another configuration, limits\n",
        "module gone: ends\n",
    ] {
        assert!(shown.stdout.contains(line), "{line}: {}", shown.stdout);
    }
    assert_eq!(daemon.stages(), json!({ "one": "serving", "gone": "serving" }));
    assert_eq!(daemon.bound("one", "fuel_per_event"), json!(1_000_000_000));

    let reloaded = daemon.reload(&[]);
    assert_eq!(reloaded.code, Some(0), "{}", reloaded.stderr);
    let done = shown.stdout.replace(
        "a reload would make these changes",
        "the configuration is reloaded, with these changes",
    );
    assert_eq!(reloaded.stdout, done);
    assert_eq!(daemon.stages(), json!({ "one": "serving", "new": "serving" }));
    for name in ["one", "new"] {
        assert_eq!(daemon.bound(name, "fuel_per_event"), json!(7_000_000));
    }
    // The level of the log.
    daemon.hang_up();
    let lines = daemon
        .log
        .until(|line| line.contains("the configuration has not changed"));
    assert!(
        lines.iter().any(|line| line.contains("sets the level of the log")),
        "{lines:#?}"
    );
    daemon.stop();
}

#[test]
fn a_key_that_needs_a_restart_refuses_the_whole_reload() {
    let dir = Dir::new();
    let daemon = Daemon::start(&dir, &format!("{ENGINE}{}", module("one")));
    dir.write(
        "engine.toml",
        format!(
            "{ENGINE}pooling = \"off\"\n[engine.limits]\nfuel_per_event = 7_000_000\n[store]\ncache_bytes = \
             2_000_000\n{}",
            module("two")
        ),
    );
    let refused = daemon.reload(&[]);
    assert_eq!(refused.code, Some(2));
    let lines: Vec<_> = refused
        .stderr
        .lines()
        .filter(|line| line.starts_with("error"))
        .collect();
    assert_eq!(
        lines,
        [
            "error[restart-required]: engine.pooling: \"auto\" -> \"off\", which only a restart changes",
            "error[restart-required]: store.cache_bytes: 67108864 -> 2000000, which only a restart changes",
        ],
        "{}",
        refused.stderr
    );
    assert_eq!(daemon.stages(), json!({ "one": "serving" }));
    assert_eq!(daemon.bound("one", "fuel_per_event"), json!(1_000_000_000));
    daemon.stop();
}

#[test]
fn a_module_that_is_refused_keeps_the_others_from_changing() {
    let dir = Dir::new();
    let daemon = Daemon::start(&dir, &format!("{ENGINE}{}", module("one")));
    dir.write(
        "engine.toml",
        format!("{ENGINE}{}[[modules]]\npath = \"missing.wasm\"\n", module("two")),
    );
    let refused = daemon.reload(&[]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("missing.wasm"), "{}", refused.stderr);
    assert_eq!(daemon.stages(), json!({ "one": "serving" }));
    daemon.stop();
}

#[tokio::test]
async fn an_endpoint_changes_without_a_lost_block() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    let path = guests::component("block-logger").display().to_string();
    let config = |url: &str| {
        let engine = "[engine]\nlog_format = \"json\"\nlog_level = \"info,nexum::event=debug\"\n";
        format!("{engine}[chains.11155111]\nrpc_url = {url:?}\npoll_interval_ms = 50\n[[modules]]\npath = {path:?}\n")
    };
    let daemon = Daemon::start(&dir, &config(&format!("{}/?key=first-secret", anvil.http_url())));
    anvil.mine(1).await;
    let handled = |log: &Log| {
        let lines = log.until(|line| line.contains("event handled"));
        let last: Value = serde_json::from_str(lines.last().expect("a line")).expect("JSON");
        last["block"].as_u64().expect("a block")
    };
    let mut block = handled(&daemon.log);
    dir.write("engine.toml", config(&format!("{}/?key=second-secret", anvil.ws_url())));
    let reloaded = daemon.reload(&[]);
    assert_eq!(reloaded.code, Some(0), "{}", reloaded.stderr);
    let http = anvil.http_url();
    let ws = anvil.ws_url();
    let expected = format!("chains.11155111.rpc_url: \"{http}/…\" -> \"{ws}/…\"\n");
    assert!(reloaded.stdout.contains(&expected), "{}", reloaded.stdout);
    for _ in 0..3 {
        anvil.mine(1).await;
        let next = handled(&daemon.log);
        assert_eq!(next, block + 1);
        block = next;
    }
    // Only a part that is a secret changes.
    dir.write("engine.toml", config(&format!("{ws}/?key=third-secret")));
    let reloaded = daemon.reload(&["--dry-run"]).stdout;
    let expected = format!("chains.11155111.rpc_url: \"{ws}/…\", with another content\n");
    assert!(reloaded.contains(&expected), "{reloaded}");
    daemon.stop();
}

#[test]
fn reloads_at_once_happen_one_after_another() {
    let dir = Dir::new();
    let daemon = Daemon::start(&dir, &format!("{ENGINE}{}", module("one")));
    dir.write("engine.toml", format!("{ENGINE}{}{}", module("one"), module("two")));
    let reload = || {
        let mut reload = dir.command(&["reload"]);
        let reload = reload.stdout(Stdio::piped()).stderr(Stdio::piped());
        reload.start()
    };
    let reloads = [reload(), reload(), reload()];
    daemon.hang_up();
    let outputs = reloads.map(|reload| Ran::new(reload.wait_with_output().expect("an end"), dir.path()));
    for ran in &outputs {
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }
    let changed = outputs
        .iter()
        .filter(|ran| ran.stdout.contains("module two: starts"))
        .count();
    // SIGHUP can be the first.
    assert!(changed <= 1, "{changed}");
    assert_eq!(daemon.stages(), json!({ "one": "serving", "two": "serving" }));
    daemon.stop();
}

#[test]
fn systemd_learns_of_a_reload_whatever_its_outcome() {
    let dir = Dir::new();
    dir.write("engine.toml", module("one"));
    let (systemd, mut child) = Systemd::start(&dir, &[]);
    let log = Log::of(&mut child);
    let daemon = Daemon { dir: &dir, child, log };
    systemd.until("READY=1");
    for config in ["[engine", &format!("{}{}", module("one"), module("two"))] {
        dir.write("engine.toml", config);
        daemon.hang_up();
        let lines = systemd.until("READY=1");
        let begin = lines.iter().position(|line| line == "RELOADING=1").expect("a begin");
        assert!(lines[begin + 1].starts_with("MONOTONIC_USEC="), "{lines:?}");
    }
    systemd.seen("STATUS=2 modules: 2 serving");
    daemon.stop();
}

#[test]
fn the_running_configuration_can_be_read() {
    let dir = Dir::new();
    let daemon = Daemon::start(&dir, &format!("{ENGINE}{}", module("one")));
    // The file differs from the running configuration until the reload.
    dir.write(
        "engine.toml",
        format!("{ENGINE}log_level = \"warn\"\n{}", module("one")),
    );
    let level = || {
        let shown = dir.nexum(&["config", "show", "--effective", "--running", "--format", "json"]);
        assert_eq!(shown.code, Some(0), "{}", shown.stderr);
        let shown: Value = serde_json::from_str(&shown.stdout).expect("JSON");
        let settings = shown["settings"].as_array().expect("settings").clone();
        let is_level = |setting: &&Value| setting["table"] == "engine" && setting["key"] == "log_level";
        let level = settings.iter().find(is_level).expect("a level").clone();
        (level["value"].clone(), level["origin"].clone())
    };
    assert_eq!(level(), (json!("info"), json!({ "kind": "default" })));
    assert_eq!(daemon.reload(&[]).code, Some(0));
    assert_eq!(level(), (json!("warn"), json!({ "kind": "file", "line": 3 })));
    daemon.stop();
}

#[test]
fn a_reload_leaves_the_modules_that_the_operator_stopped_or_loaded() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    let chain = format!("[chains.11155111]\nrpc_url = {:?}\n", anvil.http_url());
    let config = |text: &str| format!("{ENGINE}{chain}{text}");
    let handles_events = |name: &str| {
        let path = guests::component("noop").display().to_string();
        format!("[[modules]]\nname = {name:?}\npath = {path:?}\n")
    };
    let daemon = Daemon::start(&dir, &config(&handles_events("paused")));
    dir.guest("noop");
    for command in [
        &["module", "stop", "paused"][..],
        &["module", "load", "noop.wasm", "--name", "added"],
    ] {
        let ran = dir.nexum(command);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }
    let after = format!(
        "[engine.limits]\nfuel_per_event = 7_000_000\n{}",
        handles_events("paused")
    );
    dir.write("engine.toml", config(&after));
    let reloaded = daemon.reload(&[]);
    assert_eq!(reloaded.code, Some(0), "{}", reloaded.stderr);
    for line in [
        "module paused: reloads with another limits\n",
        "module added: reloads with another limits\n",
    ] {
        assert!(reloaded.stdout.contains(line), "{}", reloaded.stdout);
    }
    assert_eq!(daemon.stages(), json!({ "added": "running", "paused": "stopped" }));
    for name in ["added", "paused"] {
        assert_eq!(daemon.bound(name, "fuel_per_event"), json!(7_000_000), "{name}");
    }
    let started = dir.nexum(&["module", "start", "paused"]);
    assert!(
        started.stdout.starts_with("paused is started, and "),
        "{}",
        started.stdout
    );
    daemon.stop();
}
