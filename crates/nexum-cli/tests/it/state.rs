//! `nexum state`.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nexum_store::StoreConfig;
use nexum_testing::{Anvil, guests};

use crate::control::{json, start, start_logged};
use crate::running::{Start as _, Started, terminate};
use crate::{Dir, Ran};

/// An export of a module with two keys.
pub(crate) const EXPORT: &str = r#"{"begin":{"format":2,"module":"my-module","keys":2,"bytes":18,"undo_records":0}}
{"state":{"key":"a","value":"0x01ff"}}
{"state":{"key":"text","value":"0x7b2261223a20225c6e227d"}}
{"header":{"chain_id":1,"number":7,"hash":"0x0707070707070707070707070707070707070707070707070707070707070707","parent":null}}
{"progress":{"row":"0x01000100000107070707070707070707070707070707070707070707070707070707070707070701021200"}}
{"end":{"rows":4}}
"#;

/// A directory with a state that contains the module.
fn imported() -> (Dir, PathBuf) {
    let dir = Dir::new();
    dir.write("engine.toml", "");
    let file = dir.write("my-module.jsonl", EXPORT);
    let ran = dir.nexum(&["state", "import", "my-module.jsonl"]);
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (Some(0), "my-module: 4 rows imported\n")
    );
    (dir, file)
}

/// Runs commands that end with this code. Returns each with its output or its error.
fn transcript(dir: &Dir, code: i32, commands: &[&[&str]]) -> String {
    let line = |args: &&[&str]| {
        let ran = dir.nexum(args);
        let (said, silent) = match code {
            0 => (ran.stdout, ran.stderr),
            _ => (ran.stderr, ran.stdout),
        };
        assert_eq!((ran.code, silent.as_str()), (Some(code), ""), "{args:?}: {said}");
        format!("$ nexum {}\n{said}", args.join(" "))
    };
    commands.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_modules_keep_is_shown() {
    let (dir, _) = imported();
    let commands = [
        &["state", "list"][..],
        &["state", "list", "--format", "json"],
        &["state", "get", "my-module", "a"],
        &["state", "get", "my-module", "text", "--utf8"],
        &["state", "get", "my-module", "text", "--json"],
        &["state", "scan", "my-module"],
        &["state", "scan", "my-module", "--prefix", "t"],
        &["state", "verify"],
        &["state", "compact"],
    ];
    insta::assert_snapshot!(transcript(&dir, 0, &commands));
}

#[test]
fn what_is_not_there_is_refused() {
    let (dir, _) = imported();
    let commands = [
        &["state", "get", "nobody", "a"][..],
        &["state", "get", "my-module", "b"],
        &["state", "get", "my-module", "a", "--utf8"],
        &["state", "get", "my-module", "a", "--json"],
        &["state", "scan", "nobody"],
        &["state", "export", "nobody"],
        &["state", "export", "my-module", "my-module.jsonl"],
        &["state", "import", "missing.jsonl"],
        &["state", "import", "engine.toml"],
        &["state", "import", "my-module.jsonl"],
        &["state", "purge", "nobody", "--yes"],
        &["state", "purge", "my-module"],
        &["state", "get", "../x", "a"],
    ];
    insta::assert_snapshot!(transcript(&dir, 2, &commands));
}

#[test]
fn an_export_is_what_was_imported() {
    let (dir, _) = imported();
    let ran = dir.nexum(&["state", "export", "my-module"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), EXPORT));
    let ran = dir.nexum(&["state", "export", "my-module", "copy.jsonl"]);
    assert_eq!(ran.code, Some(0));
    assert_eq!(
        std::fs::read_to_string(dir.path().join("copy.jsonl")).expect("a copy"),
        EXPORT
    );
}

#[test]
fn a_purged_module_can_be_imported_again() {
    let (dir, _) = imported();
    let ran = dir.nexum(&["state", "purge", "my-module", "--yes"]);
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (Some(0), "the state of my-module is deleted\n")
    );
    assert_eq!(dir.nexum(&["state", "list", "--format", "json"]).stdout, "[]\n");
    assert_eq!(dir.nexum(&["state", "import", "my-module.jsonl"]).code, Some(0));
}

#[test]
fn a_backup_is_a_state_again() {
    let (dir, _) = imported();
    let ran = dir.nexum(&["state", "backup", "backup.redb"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let backup = dir.path().join("backup.redb").display().to_string();
    let other = Dir::new();
    other.write("engine.toml", "");
    let restored = other.nexum(&["state", "restore", &backup]);
    assert_eq!((restored.code, restored.stderr.as_str()), (Some(0), ""));
    let data = other.path().join("data");
    assert_eq!(restored.stdout, "my-module: 2 keys, 18 bytes\nrestored into ./data\n");
    assert_eq!(mode(&data.join("state.redb")), 0o600);
    assert_eq!(other.nexum(&["state", "export", "my-module"]).stdout, EXPORT);
    let again = dir.nexum(&["state", "backup", "backup.redb"]);
    assert_eq!(
        (again.code, again.stderr.as_str()),
        (
            Some(2),
            "error[state-task-failed]: <dir>/backup.redb exists\n  hint: name another file: `nexum state backup FILE`\n"
        )
    );
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

#[test]
fn a_restore_over_a_state_needs_a_flag_and_keeps_the_former_state() {
    let (dir, _) = imported();
    assert_eq!(dir.nexum(&["state", "backup", "backup.redb"]).code, Some(0));
    let other = EXPORT.replace("my-module", "other-module");
    dir.write("other.jsonl", &other);
    assert_eq!(dir.nexum(&["state", "import", "other.jsonl"]).code, Some(0));

    let refused = dir.nexum(&["state", "restore", "backup.redb"]);
    let data = dir.path().join("data");
    assert_eq!(
        (refused.code, refused.stderr.as_str()),
        (
            Some(2),
            "error: ./data contains state\n  hint: `nexum state restore --replace` replaces the state, and keeps the \
             former one as state.redb.replaced\n"
        )
    );
    assert_eq!(dir.nexum(&["state", "export", "other-module"]).stdout, other);

    let asked = dir.nexum(&["state", "restore", "--replace", "backup.redb"]);
    assert_eq!(
        (asked.code, asked.stderr.as_str()),
        (
            Some(2),
            "error: cannot ask, because stdin is no terminal: replace the state in ./data, and keep it as \
             state.redb.replaced?\n  hint: confirm with `--yes`\n"
        )
    );
    assert_eq!(dir.nexum(&["state", "export", "other-module"]).stdout, other);

    let restored = dir.nexum(&["state", "restore", "--replace", "--yes", "backup.redb"]);
    assert_eq!(restored.code, Some(0), "{}", restored.stderr);
    assert_eq!(
        restored.stdout,
        "my-module: 2 keys, 18 bytes\nwhat the operator stopped, loaded or removed stays so\nrestored into ./data\n"
    );
    assert_eq!(dir.nexum(&["state", "export", "my-module"]).stdout, EXPORT);
    assert_eq!(dir.nexum(&["state", "export", "other-module"]).code, Some(2));
    // The former state is a file that `restore` takes.
    let former = data.join("state.redb.replaced");
    let copy = dir.path().join("former.redb");
    std::fs::copy(&former, &copy).expect("a copy");
    let restored = dir.nexum(&["state", "restore", "--replace", "--yes", "former.redb"]);
    assert_eq!(restored.code, Some(0), "{}", restored.stderr);
    assert_eq!(dir.nexum(&["state", "export", "other-module"]).stdout, other);
}

#[test]
fn a_file_that_is_no_backup_is_not_restored() {
    let (dir, _) = imported();
    dir.write("empty", "");
    dir.write("sled.toml", "[store]\nbackend = \"sled\"\n");
    for (args, said) in [
        (&["missing.redb"][..], "the backup missing.redb cannot be read"),
        (&["engine.toml"], "engine.toml is no backup of a state"),
        (&["empty"], "empty is no backup of a state"),
        (&["data"], "the backup data is a directory, expected a file"),
        (
            &["--config", "sled.toml", "my-module.jsonl"],
            "a backup cannot be restored with the back-end sled",
        ),
    ] {
        let refused = dir.nexum(&[&["state", "restore", "--replace", "--yes"], args].concat());
        assert_eq!(refused.code, Some(2), "{}", refused.stderr);
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
    }
    let held = StoreConfig::default()
        .open(&dir.path().join("data").into(), "a test")
        .expect("the state");
    let refused = dir.nexum(&["state", "restore", "--replace", "--yes", "my-module.jsonl"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("(a test)"), "{}", refused.stderr);
    drop(held);
    assert_eq!(dir.nexum(&["state", "export", "my-module"]).stdout, EXPORT);
    assert!(!dir.path().join("data/state.redb.new").exists());
}

#[test]
fn whoever_holds_the_state_is_named() {
    let (dir, _) = imported();
    let held = StoreConfig::default()
        .open(&dir.path().join("data").into(), "a test")
        .expect("the state");
    let ran = dir.nexum(&["state", "list"]);
    assert_eq!(ran.code, Some(2));
    for part in ["a test", &std::process::id().to_string()] {
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    }
    drop(held);
    assert_eq!(dir.nexum(&["state", "list"]).code, Some(0));
}

/// The table of a guest in `engine.toml`.
fn module(name: &str) -> String {
    let path = guests::component(name).display().to_string();
    format!("[[modules]]\npath = {path:?}\n")
}

/// A daemon with a module for events and one for queries. Its state also contains a module that is
/// not loaded.
async fn running(dir: &Dir, anvil: &Anvil) -> Started {
    let modules = module("noop") + &module("query-echo");
    let child = start(dir, anvil, &modules, &["run"]);
    anvil.mine(2).await;
    child
}

fn stop(child: Started) {
    terminate(&child);
    assert_eq!(child.wait_with_output().expect("an end").status.code(), Some(0));
}

/// Waits until the running module has handled the last block.
async fn until_handled(dir: &Dir, block: u64) {
    let expected = format!("\"block\": {block},");
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    while !dir
        .nexum(&["state", "list", "--format", "json"])
        .stdout
        .contains(&expected)
    {
        assert!(tokio::time::Instant::now() < deadline, "block {block} was not handled");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Cursors need no capability. `cargo xtask ci` also runs this test with a binary that lacks `store`.
#[tokio::test]
async fn cursors_outlive_the_process_without_the_capability() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    let noop = module("noop");
    let child = start(&dir, &anvil, &noop, &["run"]);
    anvil.mine(2).await;
    until_handled(&dir, 2).await;
    stop(child);
    assert!(dir.path().join("data/state.redb").exists());
    anvil.mine(2).await;
    let child = start(&dir, &anvil, &noop, &["run"]);
    until_handled(&dir, 4).await;
    // Blocks 3 and 4: without a cursor, the module would begin at the chain's head.
    assert_eq!(json(&dir, &["status", "--format", "json"])[0]["handled"], 2);
    stop(child);
    assert_eq!(dir.nexum(&["state", "verify"]).stdout, "all is well\n");
}

#[tokio::test]
async fn a_running_nexum_says_what_a_stopped_one_does() {
    let anvil = Anvil::start();
    let (dir, _) = imported();
    let child = running(&dir, &anvil).await;
    until_handled(&dir, 2).await;
    let ask = || -> Vec<(Option<i32>, String, String)> {
        [
            &["state", "list"][..],
            &["state", "list", "--format", "json"],
            &["state", "get", "my-module", "a"],
            &["state", "get", "my-module", "text", "--utf8"],
            &["state", "get", "my-module", "text", "--json"],
            &["state", "get", "my-module", "a", "--utf8"],
            &["state", "get", "my-module", "b"],
            &["state", "get", "nobody", "a"],
            &["state", "scan", "my-module"],
            &["state", "scan", "my-module", "--prefix", "t"],
            &["state", "scan", "my-module", "--limit", "1"],
            &["state", "scan", "nobody"],
            &["state", "export", "my-module"],
            &["state", "export", "noop"],
            &["state", "export", "nobody"],
            &["state", "export", "my-module", "my-module.jsonl"],
            &["state", "export", "nobody", "nobody.jsonl"],
            &["state", "import", "my-module.jsonl"],
            &["state", "import", "engine.toml"],
            &["state", "import", "missing.jsonl"],
            &["state", "purge", "nobody", "--yes"],
            &["state", "purge", "my-module"],
            &["state", "verify"],
        ]
        .into_iter()
        .map(|args| dir.nexum(args))
        .map(|Ran { code, stdout, stderr }| (code, stdout, stderr))
        .collect()
    };
    let asked = ask();
    assert!(!dir.path().join("nobody.jsonl").exists());
    stop(child);
    for (running, stopped) in asked.into_iter().zip(ask()) {
        assert_eq!(running, stopped);
    }
}

#[tokio::test]
async fn a_running_nexum_changes_what_it_does_not_use() {
    let anvil = Anvil::start();
    let (dir, _) = imported();
    let child = running(&dir, &anvil).await;
    for name in ["noop", "query-echo"] {
        dir.write(&format!("{name}.jsonl"), EXPORT.replace("my-module", name));
    }
    for (args, expected, hint) in [
        (
            &["state", "purge", "noop", "--yes"][..],
            "the module noop is loaded",
            "remove the module first: `nexum module remove noop`",
        ),
        (
            &["state", "purge", "noop"],
            "the module noop is loaded",
            "remove the module first: `nexum module remove noop`",
        ),
        (
            &["state", "purge", "query-echo", "--yes"],
            "the module query-echo is loaded",
            "remove the module first: `nexum module remove query-echo`",
        ),
        (
            &["state", "import", "noop.jsonl"],
            "the module noop is loaded",
            "remove the module first: `nexum module remove noop`",
        ),
        (
            &["state", "import", "query-echo.jsonl"],
            "the module query-echo is loaded",
            "remove the module first: `nexum module remove query-echo`",
        ),
        (
            &["state", "compact"],
            "cannot be compacted while it is used",
            "stop the daemon, then run `nexum state compact`",
        ),
    ] {
        let ran = dir.nexum(args);
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (Some(2), ""),
            "{args:?}: {}",
            ran.stderr
        );
        assert!(
            ran.stderr.contains(expected) && ran.stderr.contains(hint),
            "{}",
            ran.stderr
        );
    }
    let purge = ["state", "purge", "my-module", "--yes"];
    let ran = dir.nexum(&purge);
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (Some(0), "the state of my-module is deleted\n")
    );
    let ran = dir.nexum(&["state", "import", "my-module.jsonl"]);
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (Some(0), "my-module: 4 rows imported\n")
    );
    assert_eq!(dir.nexum(&["state", "export", "my-module"]).stdout, EXPORT);
    let ran = dir.nexum(&["state", "export", "my-module", "copy.jsonl"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{}", ran.stderr);
    assert_eq!(
        std::fs::read_to_string(dir.path().join("copy.jsonl")).expect("a copy"),
        EXPORT
    );
    let ran = dir.nexum(&["state", "backup", "backup.redb"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_eq!(dir.nexum(&["state", "backup", "backup.redb"]).code, Some(2));
    let other = Dir::new();
    other.write("engine.toml", "");
    std::fs::create_dir(other.path().join("data")).expect("a directory");
    std::fs::copy(dir.path().join("backup.redb"), other.path().join("data/state.redb")).expect("a copy");
    assert_eq!(other.nexum(&["state", "export", "my-module"]).stdout, EXPORT);

    // A removed module can be purged, including its pending writes, and be loaded again from the
    // start.
    let noop = guests::component("noop").display().to_string();
    assert_eq!(dir.nexum(&["module", "remove", "noop"]).code, Some(0));
    assert_eq!(dir.nexum(&["state", "purge", "noop", "--yes"]).code, Some(0));
    assert_eq!(dir.nexum(&["state", "verify"]).stdout, "all is well\n");
    assert_eq!(dir.nexum(&["module", "load", &noop]).code, Some(0));
    stop(child);
    assert_eq!(dir.nexum(&["state", "verify"]).stdout, "all is well\n");
}

/// The rows of an export that is far larger than all buffers on its way.
const ROWS: usize = 20_000;

#[tokio::test]
async fn what_is_large_is_streamed_and_half_of_it_is_refused() {
    let anvil = Anvil::start();
    let (dir, _) = imported();
    let child = running(&dir, &anvil).await;
    let value = "ab".repeat(100);
    let mut lines = EXPORT
        .lines()
        .next()
        .expect("a first line")
        .replace("my-module", "large")
        + "\n";
    for row in 0..ROWS {
        lines += &format!("{{\"state\":{{\"key\":\"{row:06}\",\"value\":\"0x{value}\"}}}}\n");
    }
    dir.write("half.jsonl", &lines);
    let ran = dir.nexum(&["state", "import", "half.jsonl"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("not whole"), "{}", ran.stderr);
    dir.write("wrong.jsonl", lines.replacen("\"state\"", "\"estate\"", 1));
    let ran = dir.nexum(&["state", "import", "wrong.jsonl"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("line 2"), "{}", ran.stderr);
    let whole = format!("{lines}{{\"end\":{{\"rows\":{ROWS}}}}}\n");
    let mut import = dir
        .command(&["state", "import"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .start();
    let mut stdin = import.stdin.take().expect("a pipe");
    stdin.write_all(whole.as_bytes()).expect("it reads");
    drop(stdin);
    let ran = Ran::new(import.wait_with_output().expect("an end"), dir.path());
    assert_eq!(
        (ran.code, ran.stderr),
        (Some(0), format!("large: {ROWS} rows imported\n"))
    );
    let exported = dir.nexum(&["state", "export", "large"]);
    assert_eq!(exported.code, Some(0), "{}", exported.stderr);
    let rows = |text: &str| {
        text.lines()
            .filter(|line| line.contains("\"state\""))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert!(rows(&exported.stdout) == rows(&whole), "an export is what was imported");
    stop(child);
}

#[tokio::test]
async fn a_module_is_loaded_when_an_import_has_ended() {
    let anvil = Anvil::start();
    let (dir, _) = imported();
    dir.guest("noop");
    // The warning appears when the files have been read, which is before the module is added.
    dir.write(
        "nexum.toml",
        "[module]\nname = \"late\"\n[[subscription]]\nkind = \"block\"\nchain_id = 11155111\n",
    );
    let (child, log) = start_logged(&dir, &anvil, &module("noop"), &["run"]);
    let spawn = |args: &[&str]| {
        let mut command = dir.command(args);
        let command = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command.start()
    };

    let mut import = spawn(&["state", "import"]);
    let mut stdin = import.stdin.take().expect("a pipe");
    let (begin, rest) = EXPORT.split_once('\n').expect("lines");
    // The import skips empty lines. The write ends only if the import reads, because the lines are
    // larger than all buffers.
    let long = format!("{}\n{}", begin.replace("my-module", "large"), "\n".repeat(4 << 20));
    stdin.write_all(long.as_bytes()).expect("it reads");
    let load = spawn(&["module", "load", "noop.wasm"]);
    log.until(|line| line.contains("every import counts as required"));
    // The modules that nexum is not only loading.
    let names = || {
        let modules = json(&dir, &["module", "list", "--format", "json"]);
        let modules = modules.as_array().expect("a list").clone();
        let loaded = modules.into_iter().filter(|module| module["stage"] != "loading");
        loaded.map(|module| module["name"].clone()).collect::<Vec<_>>()
    };
    for _ in 0..5 {
        assert_eq!(names(), ["noop"]);
    }
    stdin.write_all(rest.as_bytes()).expect("it reads");
    drop(stdin);
    for ended in [import, load] {
        let ran = Ran::new(ended.wait_with_output().expect("an end"), dir.path());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }
    assert_eq!(names(), ["late", "noop"]);
    assert!(dir.nexum(&["state", "list"]).stdout.contains("large"));
    stop(child);
}

#[test]
fn a_directory_without_state_is_an_error_and_stays_as_it_is() {
    let dir = Dir::new();
    dir.write("engine.toml", "");
    for command in [&["list"][..], &["verify"], &["compact"], &["export", "my-module"]] {
        let ran = dir.nexum(&[&["state"], command].concat());
        let text = ran.stderr.contains("there is no state in ./data");
        assert_eq!((ran.code, text), (Some(2), true), "{command:?}: {}", ran.stderr);
    }
    assert!(!dir.path().join("data").exists());
}

#[test]
fn a_state_that_was_emptied_is_refused() {
    let (dir, _) = imported();
    dir.write("data/state.redb", "");
    let ran = dir.nexum(&["state", "list"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("the file is empty"), "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("hint: restore a backup with `nexum state restore --replace`"),
        "{}",
        ran.stderr
    );
}
