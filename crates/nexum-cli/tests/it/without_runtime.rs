//! A build without the runtime: it checks files and runs nothing.

use crate::Dir;

const MANIFEST: &str = "\
[module]
name = \"watcher\"

[capabilities]
required = [\"chain\", \"logging\"]
optional = [\"local-store\"]

[[subscription]]
kind = \"block\"
chain_id = 1
";

const ENGINE: &str = "\
[chains.1]
rpc_url = \"wss://node.example/very-secret-key\"

[store]
backend = \"redb\"

[[modules]]
path = \"watcher.wasm\"
";

#[test]
fn says_that_the_runtime_is_not_built_in() {
    let dir = Dir::new();
    for args in [
        &["run"][..],
        &["exec", "tool.wasm", "--", "-v"],
        &["state", "list"],
        &["status"],
        &["chains"],
        &["health"],
        &["reload"],
        &["config", "show", "--running"],
        &["logs"],
        &["events"],
        &["log-level"],
        &["notify", "test"],
        &["explain", "watcher"],
        &["limits", "watcher"],
        &["module", "restart", "watcher"],
        &["dead-letter", "list", "watcher"],
        &["query", "watcher", "--input", "{}"],
    ] {
        let ran = dir.nexum(args);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{args:?}");
        let expected = format!(
            "error: `nexum {}` needs the runtime, which is not built in\n  hint: build nexum with `--features runtime`\n",
            args[0]
        );
        assert_eq!(ran.stderr, expected, "{args:?}");
    }
    let version = dir.nexum(&["--version"]).stdout;
    let features = if cfg!(feature = "author") { "author" } else { "none" };
    assert!(version.ends_with(&format!("(features: {features})\n")), "{version}");
}

#[test]
fn explains_the_errors_of_a_daemon() {
    let dir = Dir::new();
    let ran = dir.nexum(&["errors", "store-unavailable"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("HTTP status      503\n"), "{}", ran.stdout);
    assert!(dir.nexum(&["errors"]).stdout.contains("\nmodule-not-found "));
}

/// There is no component: the check reads only configuration and manifest.
#[test]
fn checks_what_was_written() {
    let dir = Dir::new();
    dir.write("engine.toml", ENGINE);
    dir.write("nexum.toml", MANIFEST);
    let ran = dir.nexum(&["check"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for part in [
        "watcher (watcher.wasm)",
        "blocks of 1",
        "1 module without fault",
        "0 errors",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    for part in [
        "[chains] is not checked: this build lacks the capability `chain`",
        "[store] is not checked: this build lacks the runtime",
    ] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
    assert!(!ran.stderr.contains("very-secret-key"), "{}", ran.stderr);
    let json = dir.nexum(&["check", "--format", "json"]);
    let found: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(
        (&found["modules"][0]["name"], &found["errors"]),
        (&"watcher".into(), &serde_json::json!([]))
    );
}

#[test]
fn warns_of_what_no_version_serves() {
    let dir = Dir::new();
    dir.write("engine.toml", ENGINE);
    let manifest = MANIFEST
        .replace("\"chain\", \"logging\"", "\"chain\", \"remote-store\", \"messaging\"")
        .replace("\"local-store\"", "\"local-store\", \"wasi-env\"");
    dir.write(
        "nexum.toml",
        format!("{manifest}[[subscription]]\nkind = \"message\"\n"),
    );
    let ran = dir.nexum(&["check"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for part in [
        "warning: watcher.wasm: no version of nexum serves remote-store, messaging yet: the calls return `unsupported`\n",
        "warning: watcher.wasm: no version of nexum delivers messages yet: the module gets none\n",
        "capabilities.optional[1]: there is no such capability, found \"wasi-env\", the nearest known one is wasi\n",
    ] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
}

#[test]
fn checks_the_files_of_commands() {
    let dir = Dir::new();
    let wat = |text: &str| wat::parse_str(text).expect("a module");
    dir.write("tool.wasm", wat("(module (memory 1) (func (export \"_start\")))"));
    let ran = dir.nexum(&["check", "tool.wasm"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for part in [
        "command (core module, WASI preview 1)",
        "1 command without fault; 0 errors",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    let expected = "warning: tool.wasm: the types and the limits are not checked: this build lacks the runtime\n";
    assert_eq!(ran.stderr, expected);
    let faulty = "(module (import \"env\" \"f\" (func)) (memory 1 1 shared) (func (export \"_start\")))";
    dir.write("tool.wasm", wat(faulty));
    let ran = dir.nexum(&["check", "tool.wasm"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stdout);
    for part in [
        "tool.wasm imports env::f, which commands do not have",
        "tool.wasm has shared memory, but a command runs in one thread",
    ] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
}

#[test]
fn warns_about_old_names() {
    let dir = Dir::new();
    dir.write("engine.toml", format!("[limits]\nfuel_per_event = 1\n{ENGINE}"));
    dir.write(
        "nexum.toml",
        MANIFEST.replace("kind = \"block\"", "kind = \"chain-log\""),
    );
    let ran = dir.nexum(&["check"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for line in [
        "warning: engine.toml:1:2: limits: is an old name, the new one is engine.limits\n",
        "warning: nexum.toml:9:8: subscription[0].kind: \"chain-log\" is an old word, the new one is \"log\"\n",
    ] {
        assert!(ran.stderr.contains(line), "{line}: {}", ran.stderr);
    }
    assert!(ran.stdout.contains("logs of 1"), "{}", ran.stdout);
}

#[test]
fn finds_what_is_wrong_with_what_was_written() {
    let manifest = |from: &str, to: &str| (ENGINE.to_owned(), MANIFEST.replace(from, to));
    let engine = |from: &str, to: &str| (ENGINE.replace(from, to), MANIFEST.to_owned());
    for ((engine, manifest), expected) in [
        (engine("path = \"watcher.wasm\"", "pat = \"watcher.wasm\""), "pat"),
        (engine("[store]", "[stroke]"), "unknown section"),
        (
            engine("[store]\nbackend = \"redb\"", "[messaging]"),
            "no build of this version has the capability `messaging`",
        ),
        (
            engine("[chains.1]", "[chains.2]"),
            "watcher.wasm: the module needs chain 1, which is not configured",
        ),
        (
            engine("[chains.1]", "[engine.limits]\nfuel_per_event = 0\n[chains.1]"),
            "fuel_per_event",
        ),
        (
            (
                format!("{ENGINE}[[modules]]\npath = \"watcher.wasm\"\n"),
                MANIFEST.to_owned(),
            ),
            "two modules are called `watcher`",
        ),
        (
            (
                ENGINE.replace("[[modules]]\npath = \"watcher.wasm\"\n", ""),
                MANIFEST.to_owned(),
            ),
            "there are no modules",
        ),
        (
            manifest("name = \"watcher\"", "name = \"Watcher!\""),
            "a module name is",
        ),
        (
            manifest("\"chain\", \"logging\"", "\"chian\""),
            "there is no such capability",
        ),
        (manifest("kind = \"block\"", "kind = \"bock\""), "bock"),
        (manifest("[module]", "[module]\ncolour = 1"), "colour"),
    ] {
        let dir = Dir::new();
        dir.write("engine.toml", engine);
        dir.write("nexum.toml", manifest);
        let ran = dir.nexum(&["check"]);
        assert_eq!(ran.code, Some(2), "{expected}: {}", ran.stdout);
        assert!(ran.stderr.contains(expected), "{expected}: {}", ran.stderr);
    }
}
