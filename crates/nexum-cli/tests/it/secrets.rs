//! The content of a variable shows nowhere.

use std::process::Stdio;

use crate::Dir;
use crate::running::{Log, Start as _, terminate};

const SECRET: &str = "hunter2";

const CONFIG: &str = r#"
[engine]
state_dir = "${SECRET}-state"
log_level = "trace,cranelift=off,cranelift_codegen=off,cranelift_frontend=off,regalloc2=off,wasmtime=off,wasmtime_environ=off,wasmtime_internal_cranelift=off"
[[modules]]
path = "${SECRET}/query-echo.wasm"
[[modules]]
path = "${SECRET}/missing.wasm"
[[modules]]
path = "${SECRET}.wasm"
[[modules]]
name = "unread"
path = "${SECRET}/query-echo.wasm"
manifest = "${SECRET}/unread.toml"
"#;

/// A directory with the configuration, and a good module whose path contains the secret.
fn secret_dir() -> Dir {
    let dir = Dir::new();
    dir.write("engine.toml", CONFIG);
    std::fs::create_dir(dir.path().join(SECRET)).expect("a directory");
    let guest = dir.guest("query-echo");
    std::fs::copy(&guest, dir.path().join(SECRET).join("query-echo.wasm")).expect("a copy");
    std::fs::rename(&guest, dir.path().join(format!("{SECRET}.wasm"))).expect("a name");
    dir
}

fn output(dir: &Dir, args: &[&str]) -> String {
    let output = dir.command(args).env("SECRET", SECRET).output().expect("the binary");
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8(text).expect("UTF-8")
}

#[test]
fn an_error_of_a_value_shows_it_as_the_operator_wrote_it() {
    let dir = Dir::new();
    let modules = "[[modules]]\npath = \"x.wasm\"\n";
    for (text, expected) in [
        (
            "[engine]\nlog_level = \"nexum=${SECRET}\"\n",
            "engine.log_level: error parsing level filter",
        ),
        (
            "[metrics]\nallowed_hosts = [\"${SECRET}/x\"]\n",
            "metrics.allowed_hosts[0]: is not a host name, found \"${SECRET}/x\"",
        ),
        (
            "[metrics]\nlisten = \"${SECRET}\"\n",
            "metrics.listen: expected an IP address and a port",
        ),
        (
            "[http]\nallow = [\"${SECRET}/x\"]\n",
            "http.allow[0]: has more than a host and a port",
        ),
        ("[store]\nbackend = \"${SECRET}\"\n", "store.backend: expected"),
    ] {
        dir.write("engine.toml", format!("{text}{modules}"));
        let said = output(&dir, &["run"]);
        assert!(said.contains(expected), "{said}");
        assert!(!said.contains(SECRET), "{said}");
    }
}

#[test]
fn a_path_shows_as_the_operator_wrote_it() {
    let dir = secret_dir();
    let stopped = output(&dir, &["status"]);
    assert!(stopped.contains("no nexum runs in ${SECRET}-state"), "{stopped}");
    let absent = output(&dir, &["state", "list"]);
    assert!(absent.contains("there is no state in ${SECRET}-state"), "{absent}");
    let checked = output(&dir, &["check"]);
    for expected in [
        "error: cannot read ${SECRET}/missing.wasm: No such file or directory",
        "error: ${SECRET}.wasm: the file's name is not a module name",
        "error: ${SECRET}/unread.toml: does not exist",
        "query-echo (${SECRET}/query-echo.wasm)",
    ] {
        assert!(checked.contains(expected), "{expected}: {checked}");
    }

    let mut run = dir.command(&["run"]);
    run.env("SECRET", SECRET).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = run.start();
    let log = Log::of(&mut child);
    let mut logged = log.until(|line| line.contains("modules are loaded"));
    let second = output(&dir, &["run"]);
    assert!(second.contains("the state in ${SECRET}-state is in use"), "{second}");
    let mut shown = vec![stopped, absent, checked, second];
    for args in [
        &["status"][..],
        &["status", "--format", "json"],
        &["module", "list", "--format", "json"],
        &["module", "reload", "query-echo"],
    ] {
        shown.push(output(&dir, args));
    }
    assert!(shown[5].contains("${SECRET}/query-echo.wasm"), "{}", shown[5]);
    assert!(shown[5].contains("${SECRET}/missing.wasm"), "{}", shown[5]);
    // A module that was refused is loaded by a path without the variable.
    let good = dir.path().join(format!("{SECRET}/query-echo.wasm"));
    std::fs::copy(good, dir.path().join(format!("{SECRET}/missing.wasm"))).expect("a copy");
    let load = ["module", "load", "hunter2/missing.wasm", "--name", "mended"];
    let loaded = dir.command(&load).env("SECRET", SECRET).status().expect("the binary");
    assert_eq!(loaded.code(), Some(0));
    let status = output(&dir, &["status", "--format", "json"]);
    assert!(!status.contains("${SECRET}/missing.wasm"), "{status}");
    terminate(&child);
    logged.extend(log.until(|_| false));
    let printed = child.wait_with_output().expect("an end").stdout;
    shown.push(String::from_utf8(printed).expect("UTF-8"));
    for text in shown.iter().chain(&logged) {
        assert!(!text.contains(SECRET), "{text}");
    }
}
