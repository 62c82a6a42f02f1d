//! Modules that handle events and answer queries, and reloads that change that.

use nexum_testing::{Anvil, guests};
use serde_json::Value;

use crate::Dir;
use crate::control::{BLOCKS, LIST, done, json, start, start_logged, until};
use crate::running::{Log, spawn, terminate};

const STATUS: [&str; 3] = ["status", "--format", "json"];

/// The capabilities of the fixture `both`.
const CAPABILITIES: &str = "[capabilities]\nrequired = [\"store\"]\noptional = [\"chain\"]\n";

/// The first row of a table, as words.
fn row(dir: &Dir, args: &[&str], name: &str) -> Vec<String> {
    let text = dir.nexum(args).stdout;
    let line = text.lines().find(|line| line.trim_start().starts_with(name));
    line.expect("a row").split_whitespace().map(str::to_owned).collect()
}

/// Writes the manifest of the module `m`.
fn write_manifest(dir: &Dir, subscriptions: &str) {
    let text = format!("[module]\nname = \"m\"\n{CAPABILITIES}{subscriptions}");
    dir.write("nexum.toml", text);
}

/// Replaces the component of the module `m` by a fixture.
fn write_component(dir: &Dir, guest: &str) {
    std::fs::copy(guests::component(guest), dir.path().join("m.wasm")).expect("a copy");
}

#[tokio::test]
async fn a_module_with_events_and_queries_is_one_module() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    dir.guest("both");
    let inspected = dir.nexum(&["inspect", "both.wasm"]).stdout;
    let worlds = "nexum:host/event-module@0.2.0 and nexum:host/query-module@0.2.0";
    assert!(inspected.contains(worlds), "{inspected}");
    dir.write(
        "nexum.toml",
        format!("[module]\nname = \"both\"\n{CAPABILITIES}{BLOCKS}"),
    );
    let child = start(&dir, &anvil, "[[modules]]\npath = \"both.wasm\"\n", &["run"]);
    anvil.mine(3).await;
    let status = until(&dir, &STATUS, |modules| modules[0]["handled"].as_u64() >= Some(3)).await;
    assert_eq!(status.as_array().map(Vec::len), Some(1), "{status:#}");
    done(&dir, &["query", "both", "--input", "x"], " blocks, the last is ");
    let status = json(&dir, &STATUS);
    assert_eq!(
        (
            &status[0]["stage"],
            &status[0]["queries"]["answered"],
            &status[0]["queries"]["idle"]
        ),
        (&"running".into(), &1.into(), &1.into()),
        "{status:#}"
    );
    assert_eq!(row(&dir, &["status"], "both")[1..3], ["running,", "serving"]);
    done(&dir, &["module", "list"], "blocks of 11155111, queries, 8 at a time");
    let limits = json(&dir, &["limits", "both", "--format", "json"]);
    let usage = |limit: &str| -> Value {
        let limits = limits.as_array().expect("limits");
        limits.iter().find(|usage| usage["limit"] == limit).expect("a limit")["most"].clone()
    };
    assert!(usage("fuel_per_event").as_u64() > Some(0) && usage("store_bytes_written_per_event").as_u64() > Some(0));

    done(&dir, &["module", "stop", "both"], "both is stopped");
    assert_eq!(row(&dir, &["status"], "both")[1..3], ["stopped,", "serving"]);
    done(&dir, &["query", "both", "--input", "x"], " blocks, the last is ");
    done(&dir, &["module", "start", "both"], "both is started, and continues");
    done(&dir, &["dead-letter", "list", "both"], "EVENT");
    done(&dir, &["module", "remove", "both"], "both is removed");
    let gone = dir.nexum(&["query", "both", "--input", "x"]);
    assert_eq!(gone.code, Some(2));
    assert!(gone.stderr.contains("there is no module both"), "{}", gone.stderr);
    let removed = json(&dir, &LIST);
    assert_eq!(
        (&removed[0]["stage"], removed.as_array().map(Vec::len)),
        (&"removed".into(), Some(1))
    );
    terminate(&child);
    assert_eq!(child.wait_with_output().expect("an end").status.code(), Some(0));
}

#[tokio::test]
async fn a_reload_says_which_calls_the_module_handles_now() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    let manifest = |subscriptions| write_manifest(&dir, subscriptions);
    let replace = |guest| write_component(&dir, guest);
    manifest(BLOCKS);
    replace("both");
    let (child, log) = start_logged(&dir, &anvil, "[[modules]]\npath = \"m.wasm\"\n", &["run"]);
    anvil.mine(2).await;
    until(&dir, &STATUS, |modules| modules[0]["handled"].as_u64() >= Some(2)).await;
    let reload = ["module", "reload", "m"];

    replace("query-echo");
    let refused = dir.nexum(&reload);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.stderr.contains("the manifest has subscriptions"),
        "{}",
        refused.stderr
    );
    assert_eq!(json(&dir, &STATUS)[0]["stage"], "running");

    manifest("");
    let change = "the module was an event and query module and is a query module now; \
                  it no longer reads events, and keeps its state and cursors";
    done(&dir, &reload, change);
    let lines = log.until(|line| line.contains(change));
    assert!(lines.last().is_some_and(|line| line.contains("WARN")), "{lines:#?}");
    assert_eq!(row(&dir, &["status"], "m")[1], "serving");
    let count = dir
        .nexum(&["query", "m", "--input", "get count", "--format", "hex"])
        .stdout;
    assert!(count.starts_with("0x0"), "{count}");
    let refused = dir.nexum(&["module", "stop", "m"]);
    assert!(
        refused
            .stderr
            .contains("the module m answers queries and has no events"),
        "{}",
        refused.stderr
    );

    manifest(BLOCKS);
    replace("counter");
    done(
        &dir,
        &reload,
        "the module was a query module and is an event module now; it reads events from its stored cursors, \
         or from the next block; it no longer answers queries",
    );
    let refused = dir.nexum(&["query", "m", "--input", "x"]);
    assert!(
        refused.stderr.contains("the module m answers no queries"),
        "{}",
        refused.stderr
    );

    replace("both");
    done(&dir, &reload, "is an event and query module now; it answers queries");
    let again = dir.nexum(&reload).stdout;
    assert_eq!(again.lines().count(), 1, "{again}");
    terminate(&child);
    assert_eq!(child.wait_with_output().expect("an end").status.code(), Some(0));
}

#[tokio::test]
async fn a_watched_module_may_change_its_parts() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    let manifest = |subscriptions| write_manifest(&dir, subscriptions);
    let replace = |guest| write_component(&dir, guest);
    manifest(BLOCKS);
    replace("counter");
    let modules = "[[modules]]\npath = \"m.wasm\"\n";
    let (child, log) = start_logged(&dir, &anvil, modules, &["run", "--watch"]);
    anvil.mine(1).await;
    until(&dir, &STATUS, |modules| modules[0]["handled"].as_u64() >= Some(1)).await;

    replace("both");
    let change = "the module was an event module and is an event and query module now; it answers queries";
    let lines = log.until(|line| line.contains(change));
    assert!(lines.last().is_some_and(|line| line.contains("WARN")), "{lines:#?}");
    done(&dir, &["query", "m", "--input", "x"], " blocks, the last is ");

    // One of the two files changes first, and the pair of an old and a new one is refused.
    replace("query-echo");
    log.until(|line| line.contains("ERROR") && line.contains("the manifest has subscriptions"));
    manifest("");
    log.until(|line| line.contains("it no longer reads events, and keeps its state and cursors"));
    assert_eq!(row(&dir, &["status"], "m")[1], "serving");
    terminate(&child);
    assert_eq!(child.wait_with_output().expect("an end").status.code(), Some(0));
}

#[test]
fn an_operator_permits_a_module_to_read_the_state_of_another() {
    let dir = Dir::new();
    dir.guest("query-echo");
    dir.write(
        "nexum.toml",
        "[module]\nname = \"reader\"\n[module.query]\nreads = \"keper\"\n[capabilities]\nrequired = [\"store\"]\n",
    );
    let entry = "[[modules]]\npath = \"query-echo.wasm\"\n";
    let keeper = format!(
        "[[modules]]\npath = {:?}\nname = \"keeper\"\n",
        guests::component("query-echo").display().to_string()
    );
    dir.write("engine.toml", format!("{entry}{keeper}"));
    let refused = dir.nexum(&["check"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stdout);
    for part in [
        "the module's queries read the state of the module `keper`, which engine.toml does not permit",
        "write `reads = [\"keper\"]` in the module's [[modules]] table of engine.toml",
    ] {
        assert!(refused.stderr.contains(part), "{}", refused.stderr);
    }
    dir.write("engine.toml", format!("{entry}reads = [\"keper\"]\n{keeper}"));
    let checked = dir.nexum(&["check"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    let warning = "reader: its queries read the state of the module `keper`, which is not configured, \
                   the nearest one is `keeper`: they find only the rows";
    assert!(checked.stderr.contains(warning), "{}", checked.stderr);

    let mut child = spawn(&dir, &["run"]);
    let log = Log::of(&mut child);
    let lines = log.until_all(&["which is not in the store", "modules are loaded"]);
    let warning = lines.iter().find(|line| line.contains("which is not in the store"));
    assert!(warning.is_some_and(|line| line.contains("keeper")), "{lines:#?}");
    let load = ["module", "load", "query-echo.wasm", "--name", "second"];
    let refused = dir.nexum(&load);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.stderr.contains("which engine.toml does not permit"),
        "{}",
        refused.stderr
    );
    done(&dir, &[&load[..], &["--reads", "keper"]].concat(), "second is loaded");
    for (module, answer) in [("second", "none"), ("keeper", "none")] {
        done(&dir, &["query", module, "--input", "get a"], answer);
    }
    done(&dir, &["module", "reload", "second"], "second is reloaded with sha256:");
    terminate(&child);
    assert_eq!(child.wait_with_output().expect("an end").status.code(), Some(0));
}
