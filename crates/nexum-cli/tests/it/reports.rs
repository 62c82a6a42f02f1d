//! The output of successful commands.

use crate::Dir;

#[test]
fn check_shows_imports_exports_and_the_world() {
    let dir = Dir::new();
    dir.guest("recorder");
    let ran = dir.nexum(&["check", "recorder.wasm"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for part in [
        "nexum:host/event-module@0.2.0",
        "nexum:host/logging@0.2.0",
        "init, on-event",
        "1 module can run, 0 errors, by nexum",
        env!("CARGO_PKG_VERSION"),
    ] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    assert!(ran.stderr.contains("there is no engine.toml"), "{}", ran.stderr);
}

/// The warning about `all-imports` without a manifest, whose imports all count as required.
#[cfg(all(
    feature = "chain",
    feature = "cow",
    feature = "http",
    feature = "identity",
    feature = "store"
))]
const UNSERVED: &str = "no version of nexum serves nexum:host/remote-store@0.2.0, nexum:host/messaging@0.2.0 yet: the calls return `unsupported`";

#[test]
#[cfg(all(
    feature = "chain",
    feature = "cow",
    feature = "http",
    feature = "identity",
    feature = "store"
))]
fn check_and_run_say_once_what_no_build_serves() {
    let dir = Dir::new();
    dir.guest("all-imports");
    let ran = dir.nexum(&["check", "all-imports.wasm"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("no version of nexum").count(), 1, "{}", ran.stderr);
    assert!(
        ran.stderr.contains(&format!("warning: all-imports: {UNSERVED}\n")),
        "{}",
        ran.stderr
    );
    let mut child = crate::running::spawn(&dir, &["run", "all-imports.wasm"]);
    let lines = crate::running::read_until(&mut child, |line| line.contains("modules are loaded"));
    crate::running::terminate(&child);
    assert_eq!(child.wait().expect("an end").code(), Some(0), "{lines:#?}");
    assert_eq!(
        lines.iter().filter(|line| line.contains(UNSERVED)).count(),
        1,
        "{lines:#?}"
    );
}

#[test]
fn check_writes_nothing() {
    let dir = Dir::new();
    dir.guest("noop");
    dir.write("engine.toml", "[engine]\nstate_dir = \"data\"\n");
    assert_eq!(dir.nexum(&["check", "noop.wasm"]).code, Some(0));
    let mut names: Vec<_> = std::fs::read_dir(dir.path())
        .expect("the directory")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["engine.toml", "noop.wasm"]);
}

#[test]
fn check_speaks_json() {
    let dir = Dir::new();
    dir.guest("recorder");
    dir.write("broken.wasm", b"");
    let ran = dir.nexum(&["check", "--format", "json", "recorder.wasm", "broken.wasm"]);
    assert_eq!(ran.code, Some(2));
    let found: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(found["modules"][0]["name"], "recorder");
    assert_eq!(found["modules"][0]["capabilities"], serde_json::json!(["logging"]));
    assert!(
        found["errors"][0]["error"]
            .as_str()
            .expect("a text")
            .contains("broken.wasm")
    );
}

#[test]
fn inspect_shows_the_first_of_many_custom_sections() {
    let dir = Dir::new();
    // Two million custom sections, the first with an escape sequence in its name.
    let mut bytes = b"\0asm\x0d\0\x01\0\0\x04\x03\x1b[J".to_vec();
    bytes.extend([0, 2, 1, b'x'].repeat(2_000_000));
    dir.write("sections.wasm", bytes);
    let ran = dir.nexum(&["inspect", "sections.wasm"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let sections: Vec<_> = ran
        .stdout
        .lines()
        .skip_while(|line| !line.starts_with("custom"))
        .collect();
    assert_eq!(sections[0], "custom sections  \\u{1b}[J (0 bytes)");
    assert_eq!((sections[1].trim(), sections.len()), ("x (0 bytes)", 1_001));
    assert_eq!(sections[1_000].trim(), "and 1999001 more");
}

#[test]
fn inspect_shows_what_is_in_a_component() {
    let dir = Dir::new();
    dir.guest("recorder");
    let text = dir.nexum(&["inspect", "recorder.wasm"]);
    assert_eq!(text.code, Some(0), "{}", text.stderr);
    assert!(
        text.stdout.contains("sha256:") && text.stdout.contains("nexum:host/logging@0.2.0"),
        "{}",
        text.stdout
    );
    let json = dir.nexum(&["inspect", "--format", "json", "recorder.wasm"]);
    let found: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(
        (&found["memories"], &found["world"]),
        (&1.into(), &"nexum:host/event-module@0.2.0".into())
    );
}

#[test]
fn inspect_shows_what_the_author_says() {
    let dir = Dir::new();
    dir.guest("recorder");
    let manifest = "[module]\ndescription = \"Records\\neach event\"\nauthors = [\"Alice\", \"B\u{202e}ob\"]\n";
    dir.write("nexum.toml", manifest);
    let text = dir.nexum(&["inspect", "recorder.wasm"]);
    assert_eq!((text.code, text.stderr.as_str()), (Some(0), ""));
    let expected = "\
description      Records
                 each event
authors          Alice
                 B\\u{202e}ob
";
    assert!(text.stdout.contains(expected), "{}", text.stdout);
    let json = |dir: &Dir| {
        let json = dir.nexum(&["inspect", "--format", "json", "recorder.wasm"]);
        let found: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
        (found["description"].clone(), found["authors"].clone(), json.stderr)
    };
    let (description, authors, warning) = json(&dir);
    assert_eq!(description, "Records\neach event");
    assert_eq!(authors, serde_json::json!(["Alice", "B\u{202e}ob"]));
    assert_eq!(warning, "");
    dir.write("nexum.toml", "[module]\nnames = \"x\"\n");
    let (description, authors, warning) = json(&dir);
    assert_eq!((description, authors), (serde_json::Value::Null, serde_json::json!([])));
    let expected = "warning: nexum.toml:2:1: module.names: unknown key, the nearest known one is name\n";
    assert_eq!(warning, expected);
}

#[test]
fn the_version_names_the_features() {
    let ran = Dir::new().nexum(&["--version"]);
    let all = [
        ("author", cfg!(feature = "author")),
        ("runtime", cfg!(feature = "runtime")),
        ("chain", cfg!(feature = "chain")),
        ("cow", cfg!(feature = "cow")),
        ("http", cfg!(feature = "http")),
        ("identity", cfg!(feature = "identity")),
        ("identity-aws", cfg!(feature = "identity-aws")),
        ("identity-gcp", cfg!(feature = "identity-gcp")),
        ("store", cfg!(feature = "store")),
        ("tx", cfg!(feature = "tx")),
        ("store-fjall", cfg!(feature = "store-fjall")),
        ("store-postgres", cfg!(feature = "store-postgres")),
        ("store-sled", cfg!(feature = "store-sled")),
        ("top", cfg!(feature = "top")),
        ("otel", cfg!(feature = "otel")),
    ];
    let features: Vec<_> = all.iter().filter(|(_, is_on)| *is_on).map(|(name, _)| *name).collect();
    let features = if features.is_empty() {
        "none".to_owned()
    } else {
        features.join(", ")
    };
    assert_eq!(
        ran.stdout,
        format!("nexum {} (features: {features})\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn completions_are_a_script() {
    let ran = Dir::new().nexum(&["completions", "bash"]);
    let script = &ran.stdout;
    assert!(
        script.contains("_clap_complete_nexum") && script.contains("NEXUM_COMPLETE"),
        "{script}"
    );
}
