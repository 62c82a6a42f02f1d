//! The state directory as an operator meets it.

use nexum_testing::{Anvil, guests};

use crate::Dir;

/// A configuration with a module that ends the run by itself, and with these further lines.
fn config(anvil: &Anvil, module: &str, more: &str) -> String {
    let path = guests::component(module).display().to_string();
    let rpc_url = anvil.http_url();
    format!("{more}\n[chains.11155111]\nrpc_url = {rpc_url:?}\n[[modules]]\npath = {path:?}\n")
}

#[cfg(feature = "store")]
#[test]
fn a_second_run_is_told_which_process_has_the_state() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    let dir = Dir::new();
    let anvil = Anvil::start();
    dir.write("engine.toml", config(&anvil, "block-logger", ""));
    let mut command = dir.command(&["run"]);
    let mut first = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut log = BufReader::new(first.stderr.take().expect("a log")).lines();
    let opened = log.find(|line| line.as_ref().is_ok_and(|line| line.contains("the state is open")));
    assert!(opened.is_some());
    std::thread::spawn(move || log.for_each(drop));
    let second = dir.nexum(&["run"]);
    let expected = format!("the state in ./data is in use by process {} (nexum run)", first.id());
    assert_eq!(second.code, Some(2), "{}", second.stderr);
    assert!(second.stderr.contains(&expected), "{}", second.stderr);
    // To look at modules, the state is not needed.
    assert_eq!(dir.nexum(&["check"]).code, Some(0));
    let terminated = Command::new("kill").args(["-TERM", &first.id().to_string()]).status();
    assert!(terminated.expect("kill").success());
    assert_eq!(first.wait().expect("an end").code(), Some(0));
}

#[cfg(feature = "store-sled")]
#[test]
fn a_state_of_another_back_end_is_refused_with_the_remedy() {
    let dir = Dir::new();
    let anvil = Anvil::start();
    dir.write("engine.toml", config(&anvil, "bad-init", ""));
    assert_eq!(dir.nexum(&["run"]).code, Some(1));
    dir.write("engine.toml", config(&anvil, "bad-init", "[store]\nbackend = \"sled\""));
    let refused = dir.nexum(&["run"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    for part in ["kept by redb, and sled was asked for", "nexum state export"] {
        assert!(refused.stderr.contains(part), "{}", refused.stderr);
    }
}

#[test]
fn a_store_table_is_checked_by_what_reads_it() {
    let dir = Dir::new();
    let anvil = Anvil::start();
    dir.write("engine.toml", config(&anvil, "bad-init", "[store]\ncash_bytes = 1"));
    let refused = dir.nexum(&["check"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    let parts = if cfg!(feature = "store") {
        ["store.cash_bytes: unknown key", "cache_bytes"]
    } else {
        ["this build lacks the capability `store`", "--features store"]
    };
    assert!(
        parts.iter().all(|part| refused.stderr.contains(part)),
        "{}",
        refused.stderr
    );
}
