//! `nexum config show`.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::Dir;

const CONFIG: &str = r#"
[engine]
log_level = "debug"
state_dir = "${STATE:-hidden-default}"
[engine.limits]
fuel_per_event = 1_000
[metrics]
listen = "127.0.0.1:9464"
[chains.1]
rpc_url = "wss://node.example:8546/v2/${cred:rpc-key}"
retries = 5
[[chains.100.endpoints]]
url = "https://user:hidden-password@gnosis.example/hidden-path"
headers = { Authorization = "Bearer hidden-token", X-Key = "${file:header}" }
[[chains.100.endpoints]]
url = "${file:url}"
priority = 1
[[chains.100.submit]]
url = "https://relay.example/hidden-key"
private = true
headers = { X-Key = "hidden-token" }
[[modules]]
path = "twap.wasm"
[modules.config]
greeting = "hello"
api_key = "hidden-key"
list = [1, "${GREETING}"]
"#;

fn dir() -> Dir {
    let dir = Dir::new();
    dir.write("engine.toml", CONFIG);
    std::fs::create_dir(dir.path().join("credentials")).expect("a directory");
    dir.write("credentials/rpc-key", "hidden-credential\n");
    dir.write("url", "https://hidden.example/hidden-file\n");
    dir.write("header", "hidden-header\n");
    dir
}

fn show(dir: &Dir, args: &[&str]) -> String {
    let output = dir
        .command(&[&["config", "show"], args].concat())
        .env("CREDENTIALS_DIRECTORY", dir.path().join("credentials"))
        .env("GREETING", "hidden-variable")
        .env("NEXUM_LOG", "warn")
        .output()
        .expect("the binary");
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let shown = String::from_utf8(output.stdout).expect("UTF-8");
    shown.replace(&dir.path().display().to_string(), "<dir>")
}

#[test]
fn shows_each_value_with_its_origin_and_no_secret() {
    let dir = dir();
    let shown = show(&dir, &[]);
    assert!(!shown.contains("hidden"), "{shown}");
    insta::assert_snapshot!(shown);
}

#[test]
fn shows_the_default_values_too() {
    let dir = dir();
    let shown = show(&dir, &["--effective"]);
    assert!(!shown.contains("hidden"), "{shown}");
    insta::assert_snapshot!(shown);
}

#[test]
fn modules_of_the_command_line_replace_those_of_the_file() {
    let dir = dir();
    let shown = show(&dir, &["--effective", "other.wasm", "other.toml"]);
    let modules = shown.split_once("[[modules]]").expect("a module").1;
    insta::assert_snapshot!(modules, @r##"

    path = "other.wasm"                           # command line
    manifest = "other.toml"                       # command line
    # name has no value                           # default
    # digest has no value                         # default
    metering = "fuel"                             # default
    reads = []                                    # default
    enabled = true                                # default
    "##);
}

/// The settings of `nexum config show --effective --format json`.
fn settings(dir: &Dir) -> Vec<Value> {
    let shown = dir.nexum(&["config", "show", "--effective", "--format", "json"]);
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    let shown: Value = serde_json::from_str(&shown.stdout).expect("JSON");
    shown["settings"].as_array().expect("settings").clone()
}

/// A table for each kind of table, with the required keys.
const TABLES: [(&str, &str); 17] = [
    ("engine", ""),
    ("engine.limits", ""),
    ("engine.restart", ""),
    ("engine.query", ""),
    ("metrics", ""),
    ("query", ""),
    ("notify", "command = ['/bin/true']\n"),
    ("store", ""),
    ("effects", ""),
    ("ledger", ""),
    ("http", ""),
    ("chains.1", "rpc_url = 'http://localhost:8545'\n"),
    ("chains.2.endpoints", "url = 'http://localhost:8545'\n"),
    ("chains.2.submit", "url = 'http://localhost:8545'\n"),
    ("cow", ""),
    ("cow.1", "settlement = '0x9008D19f58AAbD9eD0D60971565AA8510560ab41'\n"),
    ("modules", "path = 'a.wasm'\n"),
];

/// The configuration with each table, and `more` in each of them.
fn all_tables(more: &str) -> String {
    let is_array = |table: &str| {
        ["endpoints", "submit", "modules"]
            .iter()
            .any(|end| table.ends_with(end))
    };
    let table = |(table, keys): &(&str, &str)| match is_array(table) {
        true => format!("[[{table}]]\n{keys}{more}"),
        false => format!("[{table}]\n{keys}{more}"),
    };
    TABLES.iter().map(table).collect()
}

/// A reader of a table knows its keys, and says so in the hint of an unknown key.
#[test]
fn every_key_is_shown() {
    let dir = Dir::new();
    dir.write("engine.toml", all_tables("zz = 1\n"));
    let checked = dir.nexum(&["check"]).stderr;
    dir.write("engine.toml", all_tables(""));
    let settings = settings(&dir);
    // Tables, which have keys of their own.
    let tables = ["limits", "restart", "query", "endpoints", "submit", "headers", "config"];
    let mut missing = BTreeSet::new();
    let mut found = 0;
    let lines: Vec<_> = checked.lines().collect();
    for pair in lines.windows(2) {
        let (Some((_, error)), Some(known)) = (pair[0].split_once(": "), pair[1].strip_prefix("  hint: known keys: "))
        else {
            continue;
        };
        let Some(table) = error.split(": ").nth(1).and_then(|path| path.strip_suffix(".zz")) else {
            continue;
        };
        found += 1;
        for key in known.split(", ").filter(|key| !tables.contains(key)) {
            let is_shown = settings
                .iter()
                .any(|setting| setting["table"] == table && setting["key"] == key);
            // A chain with `endpoints` has no `rpc_url`.
            if !is_shown && (table, key) != ("chains.2", "rpc_url") {
                missing.insert(format!("{table}.{key}"));
            }
        }
    }
    assert_eq!((found, missing), (TABLES.len(), BTreeSet::new()), "{checked}");
}

/// The example file has the defaults, some of them in comments.
#[test]
fn the_defaults_are_those_of_the_example_file() {
    let dir = Dir::new();
    let chains = "[chains.1]\nrpc_url = 'http://localhost:8545'\n[[modules]]\npath = 'a.wasm'\n[cow]\n";
    dir.write("engine.toml", chains);
    let settings = settings(&dir);
    let example = include_str!("../../../../engine.example.toml");
    let mut table = String::new();
    let mut compared = 0;
    for line in example.lines() {
        let line = line.trim_start_matches(['#', ' ']);
        if let Some((name, _)) = line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            table = name.trim_start_matches('[').replace("modules", "modules[0]");
        }
        let Some((key, value)) = line.split_once(" = ") else {
            continue;
        };
        let value = value.split("  #").next().unwrap_or_default().trim();
        let default = |setting: &&Value| {
            setting["table"] == table.as_str()
                && setting["key"] == key
                && setting["origin"]["kind"] == "default"
                && !setting["value"].is_null()
        };
        // Keys without a default have an example.
        let Some(setting) = settings.iter().find(default) else {
            continue;
        };
        if ["reads", "allow", "allow_http", "allow_private", "idempotent"].contains(&key) {
            continue;
        }
        compared += 1;
        let value: Value = serde_json::from_str(&value.replace('_', "")).unwrap_or_else(|_| value.into());
        let expected = setting["value"].to_string().replace('_', "");
        assert_eq!(value.to_string().replace('_', ""), expected, "{table}.{key}");
    }
    assert!(compared > 40, "{compared}");
}

#[test]
fn a_faulty_configuration_has_its_errors() {
    let dir = Dir::new();
    dir.write("engine.toml", "[engine]\nstate_dir = 5\ncolour = 'red'\n");
    let shown = dir.nexum(&["config", "show"]);
    assert_eq!(shown.code, Some(2));
    assert!(
        shown.stderr.contains("engine.toml:2:13: engine.state_dir: "),
        "{}",
        shown.stderr
    );
    assert!(
        shown.stderr.contains("engine.toml:3:1: engine.colour: unknown key"),
        "{}",
        shown.stderr
    );
    let without = Dir::new().nexum(&["config", "show"]);
    assert_eq!(
        (without.code, without.stdout.as_str()),
        (Some(0), "# There is no configuration file.\n")
    );
}

/// The output has no secret, whatever characters it consists of.
#[test]
fn no_secret_is_shown() {
    for secret in [
        "hunter2hunter2",
        "S3CRET/with?path=and",
        "UPPER.example:443",
        "a b\u{1b}[31m",
    ] {
        let dir = dir();
        let url = format!("https://host/{secret}");
        for (name, content) in [("credentials/rpc-key", secret), ("url", &url), ("header", secret)] {
            dir.write(name, content);
        }
        let more = "[modules.config]\ntext = '${GREETING} and ${file:url}'\nnested = { a = ['${cred:rpc-key}'] }\n";
        dir.write("engine.toml", CONFIG.replace("[modules.config]\n", more));
        for format in ["toml", "json"] {
            let mut command = dir.command(&["config", "show", "--effective", "--format", format]);
            let command = command
                .env("CREDENTIALS_DIRECTORY", dir.path().join("credentials"))
                .env("GREETING", secret);
            let output = command.output().expect("the binary");
            let text = String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8");
            assert!(!text.contains(secret) && !text.contains("hidden"), "{text}");
        }
    }
}
