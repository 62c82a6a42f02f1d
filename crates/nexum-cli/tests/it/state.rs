//! `nexum state`.

use std::path::PathBuf;

use nexum_host_store::StoreConfig;

use crate::Dir;

/// What `nexum state export` wrote of a module that keeps two keys.
const EXPORT: &str = r#"{"begin":{"format":2,"module":"my-module","keys":2,"bytes":18,"undo_records":0}}
{"state":{"key":"a","value":"0x01ff"}}
{"state":{"key":"text","value":"0x7b2261223a20225c6e227d"}}
{"header":{"chain_id":1,"number":7,"hash":"0x0707070707070707070707070707070707070707070707070707070707070707","parent":null}}
{"progress":{"row":"0x01000100000107070707070707070707070707070707070707070707070707070707070707070701021200"}}
{"end":{"rows":4}}
"#;

/// A directory with a state that has the module.
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

#[test]
fn what_modules_keep_is_shown() {
    let (dir, _) = imported();
    let shown: Vec<String> = [
        &["state", "list"][..],
        &["state", "list", "--format", "json"],
        &["state", "get", "my-module", "a"],
        &["state", "get", "my-module", "text", "--utf8"],
        &["state", "get", "my-module", "text", "--json"],
        &["state", "scan", "my-module"],
        &["state", "scan", "my-module", "--prefix", "t"],
        &["state", "verify"],
        &["state", "compact"],
    ]
    .into_iter()
    .map(|args| {
        let ran = dir.nexum(args);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{args:?}");
        format!("$ nexum {}\n{}", args.join(" "), ran.stdout)
    })
    .collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn what_is_not_there_is_refused() {
    let (dir, _) = imported();
    let refused: Vec<String> = [
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
    ]
    .into_iter()
    .map(|args| {
        let ran = dir.nexum(args);
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (Some(2), ""),
            "{args:?}: {}",
            ran.stderr
        );
        format!("$ nexum {}\n{}", args.join(" "), ran.stderr)
    })
    .collect();
    insta::assert_snapshot!(refused.join("\n"));
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
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), "my-module: removed\n"));
    assert_eq!(dir.nexum(&["state", "list", "--format", "json"]).stdout, "[]\n");
    assert_eq!(dir.nexum(&["state", "import", "my-module.jsonl"]).code, Some(0));
}

#[test]
fn a_backup_is_a_state_again() {
    let (dir, _) = imported();
    let ran = dir.nexum(&["state", "backup", "backup.redb"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let other = Dir::new();
    other.write("engine.toml", "");
    std::fs::create_dir(other.path().join("data")).expect("a directory");
    std::fs::copy(dir.path().join("backup.redb"), other.path().join("data/state.redb")).expect("a copy");
    assert_eq!(other.nexum(&["state", "export", "my-module"]).stdout, EXPORT);
    assert_eq!(dir.nexum(&["state", "backup", "backup.redb"]).code, Some(2));
}

#[test]
fn whoever_holds_the_state_is_named() {
    let (dir, _) = imported();
    let held = StoreConfig::default()
        .open(&dir.path().join("data"), "a test")
        .expect("the state");
    let ran = dir.nexum(&["state", "list"]);
    assert_eq!(ran.code, Some(2));
    for part in ["a test", &std::process::id().to_string()] {
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    }
    drop(held);
    assert_eq!(dir.nexum(&["state", "list"]).code, Some(0));
}
