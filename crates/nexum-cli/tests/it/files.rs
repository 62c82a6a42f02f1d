//! `files` of a manifest: what `nexum check` and `nexum inspect` say about it.

use std::fs;
use std::os::unix::fs::symlink;

use nexum_testing::Anvil;
use serde_json::Value;

use crate::Dir;
use crate::control::{BLOCKS, start_logged};
use crate::running::terminate;

/// A directory with the fixture, its files and a manifest that names them.
fn module(files: &str) -> Dir {
    let dir = Dir::new();
    dir.guest("files-reader");
    fs::create_dir(dir.path().join("assets")).expect("a directory");
    dir.write("assets/a.txt", "a");
    dir.write("nexum.toml", format!("[module]\nfiles = {files:?}\n[capabilities]\n"));
    dir
}

#[test]
fn check_and_inspect_show_the_directory() {
    let dir = module("assets");
    let found = dir.nexum(&["check", "files-reader.wasm", "--format", "json"]);
    assert_eq!(found.code, Some(0), "{}", found.stderr);
    let found: Value = serde_json::from_str(&found.stdout).expect("JSON");
    assert_eq!(found["modules"][0]["files"], "assets", "{found:#}");
    for command in ["check", "inspect"] {
        let shown = dir.nexum(&[command, "files-reader.wasm"]).stdout;
        let line = shown.lines().find(|line| line.trim_start().starts_with("files "));
        assert!(line.is_some_and(|line| line.trim_end().ends_with(" assets")), "{shown}");
    }
    let found = dir.nexum(&["inspect", "files-reader.wasm", "--format", "json"]);
    let found: Value = serde_json::from_str(&found.stdout).expect("JSON");
    assert_eq!(found["files"], "assets", "{found:#}");
}

#[test]
fn check_refuses_what_no_module_may_read() {
    for (files, config, expected) in [
        (
            "../assets",
            "",
            "nexum.toml:2:9: module.files: expected the name of a directory below the manifest's own",
        ),
        ("missing", "", "missing: cannot be read: No such file or directory"),
        (
            "assets",
            "[engine]\nstate_dir = \"assets/data\"\n",
            "assets: overlaps assets/data, which no module may read",
        ),
        (
            "assets",
            "[engine]\nstate_dir = \".\"\n",
            "assets: overlaps ., which no module may read",
        ),
    ] {
        let dir = module(files);
        dir.write("engine.toml", config);
        let refused = dir.nexum(&["check", "files-reader.wasm"]);
        assert_eq!(refused.code, Some(2), "{files}: {}", refused.stdout);
        assert!(refused.stderr.contains(expected), "{files}: {}", refused.stderr);
    }
    let dir = module("assets");
    symlink("/etc/passwd", dir.path().join("assets/link")).expect("a link");
    let refused = dir.nexum(&["check", "files-reader.wasm"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stdout);
    assert!(
        refused
            .stderr
            .contains("assets/link: is a symbolic link that leads to none of the module's files"),
        "{}",
        refused.stderr
    );

    let dir = module("assets");
    dir.write("assets/engine.toml", "[engine]\nstate_dir = \"../data\"\n");
    let refused = dir.nexum(&["check", "files-reader.wasm", "--config", "assets/engine.toml"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stdout);
    let expected = "assets: overlaps assets/engine.toml, which no module may read";
    assert!(refused.stderr.contains(expected), "{}", refused.stderr);
}

#[tokio::test]
async fn a_module_reads_its_files_and_changes_none() {
    let anvil = Anvil::start();
    let dir = module("assets");
    dir.write(
        "nexum.toml",
        format!("[module]\nfiles = \"assets\"\n[capabilities]\n{BLOCKS}"),
    );
    let script = "list /; read /a.txt; write /a.txt; read /../nexum.toml; read /engine.toml";
    let modules = format!("[[modules]]\npath = \"files-reader.wasm\"\n[modules.config]\nscript = {script:?}\n");
    let (child, log) = start_logged(&dir, &anvil, &modules, &["run"]);
    anvil.mine(1).await;
    let lines = log.until(|line| line.contains("read /engine.toml"));
    for expected in [
        "list /: a.txt",
        "read /a.txt: a",
        "write /a.txt: ReadOnlyFilesystem",
        "read /../nexum.toml: PermissionDenied",
        "read /engine.toml: NotFound",
    ] {
        assert!(
            lines.iter().any(|line| line.contains(expected)),
            "{expected}: {lines:#?}"
        );
    }
    terminate(&child);
    assert_eq!(child.wait_with_output().expect("an end").status.code(), Some(0));
    assert_eq!(
        fs::read_to_string(dir.path().join("assets/a.txt")).expect("a file"),
        "a"
    );
}
