//! The operator's commands survive a restart, and every start and every end is bounded.

mod chains;
mod shutdown;

use nexum_testing::{Anvil, guests};
use serde_json::{Value, json as value};

use crate::Dir;
use crate::control::{BLOCKS, LIST, done, json, start_logged, until};
use crate::running::{Started, terminate};

/// Stops a daemon as a service manager does.
fn end(child: Started) {
    terminate(&child);
    assert_eq!(child.wait_with_output().expect("an end").status.code(), Some(0));
}

/// Ends a daemon without a chance to write anything.
fn kill(mut child: Started) {
    child.kill().expect("a signal");
    child.wait().expect("an end");
}

fn module<'a>(list: &'a Value, name: &str) -> &'a Value {
    let modules = list.as_array().expect("modules");
    let found = modules.iter().find(|module| module["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {list:#}"))
}

/// The properties of a module in `nexum module list`: wanted, stage, and the source.
fn shown(dir: &Dir, name: &str) -> (String, String, String) {
    let list = json(dir, &LIST);
    let text = |key: &str| module(&list, name)[key].as_str().expect("text").to_owned();
    (text("wanted"), text("stage"), text("from"))
}

fn uid() -> u32 {
    rustix::process::getuid().as_raw()
}

async fn check_restarts(backend: &str) {
    let anvil = Anvil::start();
    let dir = Dir::new();
    let [noop, journal] = ["noop", "journal"].map(|name| guests::component(name).display().to_string());
    dir.write("journal.toml", format!("[module]\nname = \"journal\"\n{BLOCKS}"));
    let configuration = format!(
        "[store]\nbackend = {backend:?}\n[[modules]]\npath = {noop:?}\n\
         [[modules]]\npath = {journal:?}\nmanifest = \"journal.toml\"\n"
    );
    let run = || start_logged(&dir, &anvil, &configuration, &["run"]);
    let (child, _log) = run();
    anvil.mine(2).await;
    until(&dir, &LIST, |list| {
        module(list, "journal")["handled"].as_u64() == Some(3)
    })
    .await;
    done(&dir, &["module", "stop", "journal"], "journal is stopped");
    kill(child);

    // The store has the row before the command answers.
    let (child, _log) = run();
    let (wanted, stage, from) = shown(&dir, "journal");
    assert_eq!((&*wanted, &*stage), ("stopped", "stopped"));
    assert_eq!(from, "engine.toml:11");
    let list = json(&dir, &LIST);
    let stopped = module(&list, "journal");
    let reason = format!("by the operator (uid {})", uid());
    assert_eq!(stopped["reason"], reason);
    assert!(stopped["reason_since_ms"].is_u64(), "{stopped:#}");
    assert_eq!(
        (&stopped["handled"], &stopped["memory_bytes"]),
        (&value!(0), &value!(0))
    );
    let state = json(&dir, &["state", "list", "--format", "json"]);
    let row = state
        .as_array()
        .expect("modules")
        .iter()
        .find(|row| row["module"] == "journal");
    let row = row.expect("a state");
    assert_eq!((&row["wanted"], &row["keys"]), (&value!("stopped"), &value!(4)));
    anvil.mine(1).await;
    // The chain has answered.
    until(&dir, &LIST, |list| module(list, "noop")["handled"].as_u64() >= Some(1)).await;
    done(
        &dir,
        &["module", "start", "journal"],
        "journal is started, and continues after block ",
    );
    until(&dir, &LIST, |list| {
        module(list, "journal")["handled"].as_u64() >= Some(1)
    })
    .await;

    let keeper = dir.guest("keeper");
    dir.write("nexum.toml", format!("[module]\nname = \"keeper\"\n{BLOCKS}"));
    done(&dir, &["module", "load", "keeper.wasm"], "keeper is loaded");
    done(&dir, &["module", "remove", "noop"], "noop is removed");
    kill(child);

    let (child, _log) = run();
    let (wanted, stage, from) = shown(&dir, "keeper");
    assert_eq!((&*wanted, &*stage), ("running", "running"));
    assert!(
        from.starts_with("module load at 20") && from.ends_with(&format!(" by uid {}", uid())),
        "{from}"
    );
    let (wanted, stage, from) = shown(&dir, "noop");
    assert_eq!((&*wanted, &*stage, &*from), ("removed", "removed", "engine.toml:9"));
    assert_eq!(shown(&dir, "journal").0, "running");
    let text = dir.nexum(&["module", "list"]).stdout;
    assert!(text.contains("WANTED") && text.contains("\n  from "), "{text}");
    let refused = dir.nexum(&["module", "stop", "noop"]);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.stderr.contains("the module noop is removed"),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains("nexum module load"), "{}", refused.stderr);
    done(&dir, &["module", "load", &noop], "noop is loaded");
    assert_eq!(shown(&dir, "noop").0, "running");
    std::fs::remove_file(&keeper).expect("a removal");
    end(child);

    let (child, _log) = run();
    assert_eq!(
        shown(&dir, "noop"),
        ("running".into(), "running".into(), "engine.toml:9".into())
    );
    let list = json(&dir, &LIST);
    let refused = module(&list, "keeper");
    assert_eq!(refused["stage"], "refused");
    let reason = refused["reason"].as_str().expect("a reason");
    assert!(
        reason.contains("keeper.wasm") && reason.contains("`nexum module remove keeper`"),
        "{reason}"
    );
    done(&dir, &["module", "remove", "keeper"], "keeper is removed");
    let list = json(&dir, &LIST);
    assert_eq!(list.as_array().map(Vec::len), Some(2), "{list:#}");
    end(child);
    assert_eq!(dir.nexum(&["state", "verify"]).stdout, "all is well\n");
}

#[tokio::test]
async fn commands_survive_a_restart_and_a_kill_with_redb() {
    check_restarts("redb").await;
}

#[cfg(feature = "store-sled")]
#[tokio::test]
async fn commands_survive_a_restart_and_a_kill_with_sled() {
    check_restarts("sled").await;
}

#[cfg(feature = "store-fjall")]
#[tokio::test]
async fn commands_survive_a_restart_and_a_kill_with_fjall() {
    check_restarts("fjall").await;
}

#[tokio::test]
async fn a_command_says_that_a_state_in_memory_ends_with_nexum() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    let noop = guests::component("noop").display().to_string();
    let configuration = format!("[store]\nbackend = \"memory\"\n[[modules]]\npath = {noop:?}\n");
    let (child, _log) = start_logged(&dir, &anvil, &configuration, &["run"]);
    for command in ["stop", "start"] {
        let expected = "this lasts until nexum ends: the state is in memory";
        match command {
            "stop" => done(&dir, &["module", command, "noop"], expected),
            _ => done(&dir, &["module", command, "noop"], "noop is started, and continues"),
        }
    }
    done(&dir, &["module", "remove", "noop"], "this lasts until nexum ends");
    end(child);
}

#[tokio::test]
async fn a_disabled_module_is_listed_checked_and_not_wanted() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    let noop = guests::component("noop").display().to_string();
    dir.write("broken.wasm", "this is no module");
    let configuration = format!(
        "[[modules]]\npath = {noop:?}\n[[modules]]\npath = \"broken.wasm\"\nname = \"other\"\nenabled = false\n"
    );
    let (child, _log) = start_logged(&dir, &anvil, &configuration, &["run", "--strict"]);
    assert_eq!(
        shown(&dir, "other"),
        ("disabled".into(), "disabled".into(), "engine.toml:9".into())
    );
    let modules = json(&dir, &LIST);
    assert!(module(&modules, "other")["reason_since_ms"].is_u64(), "{modules:#}");
    let started = dir.nexum(&["module", "start", "other"]);
    assert_eq!(started.code, Some(2));
    assert!(
        started.stderr.contains("the module other is disabled"),
        "{}",
        started.stderr
    );
    end(child);
    let checked = dir.nexum(&["check"]);
    assert_eq!(checked.code, Some(2));
    assert!(
        checked.stderr.contains("broken.wasm is not WebAssembly"),
        "{}",
        checked.stderr
    );
}

#[tokio::test]
async fn dead_letters_can_be_read_without_the_module_and_without_nexum() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    let noop = guests::component("noop").display().to_string();
    dir.guest("keeper");
    dir.write(
        "keeper.toml",
        format!("[module]\nname = \"keeper\"\n{BLOCKS}[config]\nevery = \"fail\"\n"),
    );
    let [noop, keeper] = [
        format!("[[modules]]\npath = {noop:?}\n"),
        "[[modules]]\npath = \"keeper.wasm\"\nmanifest = \"keeper.toml\"\n".to_owned(),
    ];
    let (child, _log) = start_logged(&dir, &anvil, &format!("{noop}{keeper}"), &["run"]);
    anvil.mine(1).await;
    let letters = ["dead-letter", "list", "keeper", "--format", "json"];
    until(&dir, &letters, |letters| letters[0].is_object()).await;
    done(&dir, &["module", "remove", "keeper"], "keeper is removed");
    let listed = json(&dir, &letters);
    assert!(listed[0].is_object(), "{listed:#}");
    end(child);

    // Without a daemon.
    assert_eq!(json(&dir, &letters), listed);
    let event = listed[0]["event"].as_str().expect("an event");
    let whole = json(&dir, &["dead-letter", "show", "keeper", event, "--format", "json"]);
    assert_eq!(whole["attempts"][0]["reason"], listed[0]["attempts"][0]["reason"]);
    let unknown = dir.nexum(&["dead-letter", "list", "nowhere"]);
    assert_eq!(unknown.code, Some(2));
    assert!(
        unknown.stderr.contains("the store has no module nowhere"),
        "{}",
        unknown.stderr
    );

    // The module is not configured any more.
    let (child, _log) = start_logged(&dir, &anvil, &noop, &["run"]);
    assert_eq!(json(&dir, &letters), listed);
    let skipped = dir.nexum(&["dead-letter", "skip", "keeper", event]);
    assert_eq!(skipped.code, Some(2), "{}", skipped.stdout);
    assert_eq!(json(&dir, &letters), listed);
    end(child);
}

#[tokio::test]
async fn a_run_without_configured_modules_has_those_that_the_operator_loaded() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    let noop = guests::component("noop").display().to_string();
    let configured = format!("[[modules]]\npath = {noop:?}\n");
    let empty = dir.nexum(&["run"]);
    assert_eq!(empty.code, Some(2));
    assert!(empty.stderr.contains("there are no modules"), "{}", empty.stderr);
    let (child, _log) = start_logged(&dir, &anvil, &configured, &["run"]);
    done(&dir, &["module", "load", &noop, "--name", "other"], "other is loaded");
    end(child);
    let (child, _log) = start_logged(&dir, &anvil, "", &["run"]);
    let list = json(&dir, &LIST);
    assert_eq!(
        (list.as_array().map(Vec::len), &list[0]["name"]),
        (Some(1), &value!("other"))
    );
    done(&dir, &["module", "remove", "other"], "other is removed");
    end(child);
    let empty = dir.nexum(&["run"]);
    assert_eq!(empty.code, Some(2));
    assert!(empty.stderr.contains("there are no modules"), "{}", empty.stderr);
}

#[tokio::test]
async fn a_restore_undoes_no_command_of_the_operator() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    let noop = guests::component("noop").display().to_string();
    let configuration = format!("[[modules]]\npath = {noop:?}\n");
    let run = || start_logged(&dir, &anvil, &configuration, &["run"]);
    let restore = |dir: &Dir, options: &[&str], backup: &str| {
        let ran = dir.nexum(&[&["state", "restore"], options, &[backup]].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        (ran.stdout, ran.stderr)
    };
    let (child, _log) = run();
    done(&dir, &["state", "backup", "before.redb"], "");
    done(&dir, &["module", "stop", "noop"], "noop is stopped");
    done(&dir, &["state", "backup", "after.redb"], "");
    end(child);

    // A stop after the backup stays, and so does a start.
    let replace = ["--replace", "--yes"];
    let (said, _) = restore(&dir, &replace, "before.redb");
    assert!(said.contains("noop: 0 keys, 0 bytes, wanted stopped\n"), "{said}");
    assert!(
        said.contains("what the operator stopped, loaded or removed stays so\n"),
        "{said}"
    );
    let (child, _log) = run();
    assert_eq!(shown(&dir, "noop").1, "stopped");
    done(&dir, &["module", "start", "noop"], "noop");
    end(child);
    let (said, _) = restore(&dir, &replace, "after.redb");
    assert!(said.contains("noop: 0 keys, 0 bytes\n"), "{said}");
    let (child, _log) = run();
    assert_eq!(shown(&dir, "noop").1, "running");
    end(child);

    // Without a state that can be read, only the backup has commands.
    dir.write("data/state.redb", "");
    let (_, said) = restore(&dir, &replace, "after.redb");
    assert!(
        said.contains("warning: modules are stopped, loaded and removed as in the backup"),
        "{said}"
    );
    assert!(said.contains("the file is empty"), "{said}");
    let other = Dir::new();
    other.write("engine.toml", "");
    let (said, _) = restore(&other, &[], &dir.path().join("after.redb").display().to_string());
    assert!(
        said.contains("wanted stopped\nmodules are stopped, loaded and removed as in the backup\n"),
        "{said}"
    );
}
