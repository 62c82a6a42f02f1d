//! The choice of the configuration, and its sources.

use std::process::{Output, Stdio};

use nexum_testing::{Anvil, guests};
use serde_json::{Value, json};

use crate::control::{BLOCKS, LIST, until};
use crate::running::{Log, RUNNING, Start as _, terminate};
use crate::{Dir, Ran};

/// The configuration of a daemon that needs no chain.
fn config(state_dir: &str) -> String {
    let path = guests::component("query-echo").display().to_string();
    format!("[engine]\nlog_format = \"json\"\nstate_dir = {state_dir:?}\n[[modules]]\npath = {path:?}\n")
}

fn with(dir: &Dir, args: &[&str], variables: &[(&str, &str)]) -> Ran {
    let output: Output = dir
        .command(args)
        .envs(variables.iter().copied())
        .output()
        .expect("the binary");
    Ran::new(output, dir.path())
}

#[test]
fn every_command_finds_the_configuration_in_one_way_and_names_it() {
    let dir = Dir::new();
    dir.write("engine.toml", config("here"));
    dir.write("variable.toml", config("by-variable"));
    dir.write("option.toml", config("by-option"));
    let named = [("NEXUM_CONFIG", "variable.toml")];
    let end = "No such file or directory (os error 2)\n  hint: start it with `nexum run`, or name its configuration \
               with --config\n";
    for command in [&["status"][..], &["module", "list"], &["dead-letter", "list", "m"]] {
        for (options, variables, expected) in [
            (&[][..], &[][..], "here, the state directory of engine.toml"),
            (
                &[],
                &[("NEXUM_CONFIG", " ")],
                "here, the state directory of engine.toml",
            ),
            (
                &[],
                &named,
                "by-variable, the state directory of variable.toml, which NEXUM_CONFIG names",
            ),
            (
                &["--config", "option.toml"],
                &named,
                "by-option, the state directory of option.toml",
            ),
        ] {
            let ran = with(&dir, &[command, options].concat(), variables);
            assert_eq!(ran.code, Some(2));
            assert_eq!(
                ran.stderr,
                format!("error[daemon-not-running]: no nexum runs in {expected}: {end}")
            );
        }
    }
    let checked = with(&dir, &["check"], &[("NEXUM_CONFIG", "missing.toml")]);
    assert_eq!(checked.code, Some(2));
    let expected = "error: missing.toml: does not exist: No such file or directory (os error 2)\n  hint: correct or \
                    unset the environment variable NEXUM_CONFIG\n";
    assert!(checked.stderr.starts_with(expected), "{}", checked.stderr);
    std::fs::remove_file(dir.path().join("engine.toml")).expect("a file");
    let without = dir.nexum(&["status"]);
    let expected = "error[daemon-not-running]: no nexum runs in ./data, the default state directory, because there is no engine.toml: ";
    assert!(without.stderr.starts_with(expected), "{}", without.stderr);
}

/// The first record of a run.
fn first_record(dir: &Dir, args: &[&str], variables: &[(&str, &str)]) -> (Value, u32) {
    let mut command = dir.command(args);
    let command = command.envs(variables.iter().copied());
    let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.start();
    let log = Log::of(&mut child);
    let lines = log.until(|line| line.contains("modules are loaded"));
    terminate(&child);
    assert_eq!(child.wait().expect("an end").code(), Some(0), "{lines:#?}");
    (serde_json::from_str(&lines[0]).expect("JSON"), child.id())
}

#[test]
fn the_first_record_says_what_runs() {
    let dir = Dir::new();
    let file = dir.write("other.toml", config("state"));
    let variables = [
        ("NEXUM_CONFIG", "other.toml"),
        ("NEXUM_LOG", "info"),
        ("RUST_LOG", "off"),
    ];
    let (record, pid) = first_record(&dir, &["run"], &variables);
    assert_eq!(record["target"], "nexum::log");
    assert_eq!(
        record["message"],
        "NEXUM_LOG sets the level of the log, and overrides RUST_LOG"
    );
    assert_eq!(record["config"], json!(file));
    assert_eq!(record["state_dir"], json!(dir.path().join("state")));
    assert_eq!(record["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(record["pid"], pid);
}

#[test]
fn a_credential_that_systemd_does_not_give_is_an_error_that_says_how() {
    let dir = Dir::new();
    dir.write(
        "engine.toml",
        "[chains.1]\nrpc_url = \"https://node.example/${cred:rpc-key}\"\n[chains.2]\nrpc_url = \
         \"${file:secrets/missing}\"\n",
    );
    let ran = dir.nexum(&["check"]);
    assert_eq!(ran.code, Some(2));
    insta::assert_snapshot!(ran.stderr, @r#"
    error: engine.toml:2:11: chains.1.rpc_url: there are no credentials: the environment variable CREDENTIALS_DIRECTORY is not set, found "https://node.example/…"
      hint: add `LoadCredential=rpc-key:/path/to/file` to the systemd unit; without systemd, set CREDENTIALS_DIRECTORY to a directory with a file rpc-key
    error: engine.toml:4:11: chains.2.rpc_url: the file secrets/missing does not exist, found "${file:secrets/missing}"
      hint: create the file, or correct its path, which is relative to the directory of this configuration
    error: there are no modules
      hint: name a component, or add [[modules]] to engine.toml
    "#);
}

#[test]
fn files_and_credentials_reach_the_daemon_and_show_nowhere() {
    let dir = Dir::new();
    let key = "hunter2hunter2";
    std::fs::create_dir(dir.path().join("credentials")).expect("a directory");
    dir.write("credentials/rpc-key", format!("{key}\n"));
    dir.write("url", format!("http://127.0.0.1:9/{key}\n"));
    let chains = "[chains.1]\nrpc_url = \"http://127.0.0.1:9/${cred:rpc-key}\"\n\
                  [chains.2]\nrpc_url = \"${file:url}\"\nstartup_timeout_ms = 1\n";
    let module = "[modules.config]\nkey = \"${file:url}\"\n";
    dir.write("engine.toml", format!("{}{module}{chains}", config("state")));
    let credentials = dir.path().join("credentials").display().to_string();
    let variables = [("CREDENTIALS_DIRECTORY", credentials.as_str())];
    let checked = with(&dir, &["check", "--format", "json"], &variables);
    assert_eq!(checked.code, Some(0), "{}", checked.stdout);
    let mut child = dir
        .command(&["run"])
        .envs(variables)
        .env("NEXUM_LOG", "trace")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .start();
    let log = Log::of(&mut child);
    let mut lines = log.until(|line| line.contains("modules are loaded"));
    terminate(&child);
    lines.extend(log.until(|_| false));
    let printed = child.wait_with_output().expect("an end").stdout;
    lines.extend([
        checked.stdout,
        checked.stderr,
        String::from_utf8(printed).expect("UTF-8"),
    ]);
    assert!(lines.iter().all(|line| !line.contains(key)), "{lines:#?}");
}

/// The commands that ask the running daemon or read its state.
const WITH_A_DAEMON: &[&[&str]] = &[
    &["status"],
    &["chains"],
    &["health"],
    &["health", "--format", "nagios"],
    &["limits", "keeper"],
    &["logs"],
    &["events"],
    &["log-level"],
    &["log-level", "debug"],
    &["notify", "test"],
    &["module", "list"],
    &["module", "stop", "keeper"],
    &["module", "start", "keeper"],
    &["module", "restart", "keeper"],
    &["module", "reload", "keeper"],
    &["query", "echo", "--input", "hello"],
    &["dead-letter", "retry", "keeper", "--all"],
    &["dead-letter", "skip", "keeper", "--all"],
    &["reload", "--dry-run"],
    &["reload"],
    &["config", "show", "--running"],
];

/// The commands that also read the state while no daemon runs.
const ON_THE_STATE: &[&[&str]] = &[
    &["dead-letter", "list", "keeper"],
    &["effect", "list"],
    &["effect", "list", "keeper", "--unknown"],
    &["state", "list"],
    &["state", "get", "keeper", "a"],
    &["state", "scan", "keeper"],
    &["state", "export", "keeper"],
    &["state", "verify"],
];

#[tokio::test]
async fn a_command_about_the_daemon_needs_no_value_of_the_service() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    std::fs::create_dir(dir.path().join("credentials")).expect("a directory");
    dir.write("credentials/rpc-key", "key\n");
    dir.write(
        "keeper.toml",
        format!("[capabilities]\nrequired = [\"store\"]\n{BLOCKS}[config]\nevery = \"set a 1\"\n"),
    );
    let [keeper, echo] = ["keeper", "query-echo"].map(|name| guests::component(name).display().to_string());
    let engine = format!(
        "[engine]\nlog_level = \"${{LEVEL_OF_THE_SERVICE}}\"\n\
         [chains.11155111]\nrpc_url = \"{}/?key=${{cred:rpc-key}}\"\n\
         [notify]\ncommand = [\"${{NOTIFIER_OF_THE_SERVICE}}\"]\n\
         [metrics]\nlisten = \"${{METRICS_OF_THE_SERVICE}}\"\n\
         [[modules]]\npath = {keeper:?}\nmanifest = \"keeper.toml\"\nname = \"keeper\"\n\
         [[modules]]\npath = {echo:?}\nname = \"echo\"\n[modules.config]\nkey = \"${{cred:rpc-key}}\"\n",
        anvil.http_url()
    );
    dir.write("engine.toml", &engine);
    let credentials = dir.path().join("credentials").display().to_string();
    let mut child = dir
        .command(&["run"])
        .envs([
            ("CREDENTIALS_DIRECTORY", credentials.as_str()),
            ("LEVEL_OF_THE_SERVICE", "info"),
            ("NOTIFIER_OF_THE_SERVICE", "/bin/true"),
            ("METRICS_OF_THE_SERVICE", "127.0.0.1:0"),
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .start();
    let log = Log::of(&mut child);
    log.until_all(&RUNNING);
    anvil.mine(1).await;
    until(&dir, &LIST, |modules| {
        let mut modules = modules.as_array().expect("modules").iter();
        modules.any(|module| module["name"] == "keeper" && module["handled"].as_u64() >= Some(1))
    })
    .await;
    let check = |commands: &[&[&str]]| {
        for command in commands {
            let ran = dir.nexum(command);
            assert_eq!(ran.code, Some(0), "{command:?}: {}{}", ran.stdout, ran.stderr);
        }
    };
    check(WITH_A_DAEMON);
    check(ON_THE_STATE);
    check(&[&["state", "backup", "running.redb"]]);
    terminate(&child);
    assert_eq!(child.wait().expect("an end").code(), Some(0));
    check(ON_THE_STATE);
    check(&[
        &["state", "backup", "stopped.redb"],
        &["state", "export", "keeper", "keeper.jsonl"],
        &["state", "purge", "keeper", "--yes"],
        &["state", "import", "keeper.jsonl"],
        &["state", "compact"],
        &["state", "restore", "stopped.redb", "--replace", "--yes"],
    ]);
    // Only the state directory counts, and for the state the store.
    dir.write(
        "engine.toml",
        engine.replace("log_level = \"", "state_dir = \"${STATE_OF_THE_SERVICE}"),
    );
    for command in [WITH_A_DAEMON, ON_THE_STATE].concat() {
        let ran = dir.nexum(command);
        let shown = format!("{}{}", ran.stdout, ran.stderr);
        // A plugin that cannot look knows nothing about the daemon.
        let refused = if command.contains(&"nagios") { 3 } else { 2 };
        assert_eq!(ran.code, Some(refused), "{command:?}: {shown}");
        assert!(shown.contains("engine.state_dir: "), "{command:?}: {shown}");
        assert!(!shown.contains("rpc_url"), "{command:?}: {shown}");
    }
    dir.write(
        "engine.toml",
        format!("{engine}[store]\nbackend = \"${{STORE_OF_THE_SERVICE}}\"\n"),
    );
    for command in ON_THE_STATE {
        let ran = dir.nexum(command);
        assert_eq!(ran.code, Some(2), "{command:?}: {}", ran.stdout);
        assert!(ran.stderr.contains("store.backend: "), "{command:?}: {}", ran.stderr);
    }
}
