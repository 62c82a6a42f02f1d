//! `nexum check` and the refusal of `nexum run` report everything that is wrong at once.

use crate::Dir;

/// A component that fits no world. A check refuses it without compiling it.
const NO_WORLD: &[u8] = b"\0asm\x0d\0\x01\0";

const ENGINE: &str = r#"
[engin]
[engine]
state_dir = 5
log_level = "nexum=loud"
log_format = "jsn"
colour = "red"
[engine.limits]
fuel_per_event = 0
[metrics]
listen = "here"
[query]
listen = "0.0.0.0:9465"
[chains.1]
rpc_url = "htp://node"
retries = 11
[chains.moonbase]
[http]
allow = ["a b", "b.example"]
allow_http = ["c.example"]
timeout_ms = 0
[store]
backend = "rebd"
[[modules]]
path = "one/noop.wasm"
name = "Big Name"
digest = "sha256:12"
[[modules]]
manifest = "two/nexum.toml"
[[modules]]
path = "two/other.wasm"
[[modules]]
path = "three/missing.wasm"
"#;

const MANIFEST: &str = r#"
[module]
name = "One!"
colour = "red"
[module.resources]
max_memory_bytes = 1
[capabilities]
required = ["loging", 5]
[capabilities.http]
allow = ["a b"]
[[subscription]]
kind = "blok"
chain_id = "x"
[[subscription]]
kind = "log"
chain_id = 1
address = "0x12"
[[subscription]]
kind = "block"
chain_id = 5
confirmations = 2
finality = "safe"
"#;

fn faulty_dir() -> Dir {
    let dir = Dir::new();
    dir.write("engine.toml", ENGINE);
    for name in ["one", "two", "three"] {
        std::fs::create_dir(dir.path().join(name)).expect("a directory");
    }
    let noop = dir.guest("noop");
    std::fs::rename(noop, dir.path().join("one/noop.wasm")).expect("a move");
    dir.write("one/nexum.toml", MANIFEST);
    dir.write("two/other.wasm", NO_WORLD);
    dir.write("two/nexum.toml", "[[subscription]]\nkind = \"block\"\nchain_id = 7\n");
    dir.write("three/nexum.toml", "[module\nname = \n");
    dir
}

#[test]
fn one_check_finds_the_mistakes_of_every_stage() {
    let dir = faulty_dir();
    let checked = dir.nexum(&["check"]);
    assert_eq!(checked.code, Some(2));
    insta::assert_snapshot!(checked.stderr);
    // `run` refuses the configuration with the errors that `check` finds.
    let ran = dir.nexum(&["run"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    let errors = |text: &str| {
        let lines = text.lines().map(str::to_owned);
        lines.filter(|line| !line.starts_with("warning:")).collect::<Vec<_>>()
    };
    assert_eq!(errors(&ran.stderr), errors(&checked.stderr));
}

const GOOD_ENGINE: &str = r#"
[engine]
state_dir = "data"
log_level = "info"
pooling = "auto"
shutdown_deadline_ms = 30_000
[engine.limits]
fuel_per_event = 1_000_000
[metrics]
listen = "127.0.0.1:9464"
[query]
listen = "127.0.0.1:9465"
[admin]
listen = "127.0.0.1:9466"
token_file = "admin.token"
[notify]
command = ["/bin/true"]
timeout_ms = 5_000
kinds = ["module_dead"]
[chains.1]
rpc_url = "http://localhost:8545"
retries = 3
[http]
allow = ["a.example"]
[store]
backend = "redb"
[ledger]
keep_days = 29
calls = "all"
[[modules]]
path = "a.wasm"
name = "a"
metering = "fuel"
enabled = true
[[modules]]
path = "b/b.wasm"
name = "b"
[[modules]]
path = "b/c.wasm"
name = "c"
"#;

const GOOD_MANIFEST: &str = r#"
[module]
name = "a"
version = "1"
[module.resources]
max_memory_bytes = 1_000_000
[capabilities]
required = ["logging"]
[[subscription]]
kind = "block"
chain_id = 1
confirmations = 3
[config]
key = 1
"#;

/// Single mistakes: the text that they replace in one of the files, the replacement, and a part of
/// the error.
const MISTAKES: &[(&str, &str, &str)] = &[
    (
        "state_dir = \"data\"",
        "state_dir = 5",
        "engine.state_dir: expected a path",
    ),
    (
        "\"info\"",
        "\"nexum=loud\"",
        "engine.log_level: error parsing level filter",
    ),
    ("\"auto\"", "\"of\"", "engine.pooling: expected \"auto\" or \"off\""),
    (
        "30_000",
        "30_000_000",
        "engine.shutdown_deadline_ms: expected a whole number from 0 to 3600000",
    ),
    ("enabled = true", "enabled = 1", "modules[0].enabled: expected"),
    (
        "event = 1_000_000",
        "event = 0",
        "engine.limits.fuel_per_event: expected",
    ),
    (
        "[engine.limits]",
        "[engine.limits]\ntotal_memory_bytes = 65_536",
        "above total_memory_bytes = 65536",
    ),
    ("127.0.0.1:9464", "here", "metrics.listen: expected an IP address"),
    (
        "127.0.0.1:9465",
        "0.0.0.0:9465",
        "query.listen: other machines can reach",
    ),
    (
        "token_file = \"admin.token\"",
        "token_file = 5",
        "admin.token_file: expected a path",
    ),
    ("[admin]", "[admin]\ntoken = \"x\"", "admin.token: unknown"),
    (
        "127.0.0.1:9466",
        "0.0.0.0:9466",
        "admin.listen: other machines can reach",
    ),
    ("timeout_ms = 5_000", "timeout_ms = 99", "notify.timeout_ms: expected"),
    ("\"module_dead\"", "\"module_ded\"", "notify.kinds"),
    (
        "\"http://local",
        "\"htp://local",
        "chains.1.rpc_url: has a scheme other than",
    ),
    (
        "\"/bin/true\"",
        "\"true\"",
        "notify.command: expected the absolute path",
    ),
    (
        "[notify]",
        "[notify]\nheaders = { a = \"b\" }",
        "notify.headers: there is no webhook",
    ),
    (
        "retries = 3",
        "retries = 11",
        "chains.1.retries: expected a whole number from 0 to 10",
    ),
    ("a.example", "a b", "http.allow[0]: "),
    ("\"redb\"", "\"rebd\"", "store.backend: expected"),
    ("keep_days = 29", "keep_days = 0", "ledger.keep_days: expected"),
    ("\"all\"", "\"none\"", "ledger.calls: expected"),
    (
        "path = \"a.wasm\"\nname = \"a\"",
        "path = \"a.wasm\"\nname = \"A!\"",
        "modules[0].name: a module name",
    ),
    ("\"fuel\"", "\"fule\"", "modules[0].metering: expected"),
    ("name = \"c\"", "name = \"b\"", "two modules are called `b`"),
    (
        "[module]\nname = \"a\"",
        "[module]\nname = \"A!\"",
        "nexum.toml:3:8: module.name: a module name",
    ),
    ("version = \"1\"", "version = \"\"", "module.version: expected"),
    (
        "max_memory_bytes = 1_000_000",
        "max_memory_bytes = 1",
        "module.resources.max_memory_bytes: expected",
    ),
    (
        "\"logging\"",
        "\"loging\"",
        "capabilities.required[0]: there is no such capability",
    ),
    ("\"block\"", "\"blok\"", "subscription[0].kind: unknown kind"),
    ("chain_id = 1", "chain_id = 5", "the module needs chain 5"),
    (
        "confirmations = 3",
        "confirmations = 5000",
        "subscription[0].confirmations: expected",
    ),
    ("key = 1", "key = \"${A}\"", "config.key: "),
];

/// Writes the files with these mistakes.
fn write_with(dir: &Dir, mistakes: &[&(&str, &str, &str)]) {
    let replace = |text: &str| {
        mistakes
            .iter()
            .fold(text.to_owned(), |text, (from, to, _)| text.replacen(from, to, 1))
    };
    dir.write("engine.toml", replace(GOOD_ENGINE));
    dir.write("nexum.toml", replace(GOOD_MANIFEST));
}

#[test]
fn no_mistake_hides_another_one() {
    let dir = Dir::new();
    dir.write("a.wasm", NO_WORLD);
    std::fs::create_dir(dir.path().join("b")).expect("a directory");
    write_with(&dir, &[]);
    let good = dir.nexum(&["check"]).stderr;
    for (_, _, expected) in MISTAKES {
        assert!(!good.contains(expected), "{expected}: {good}");
    }
    for (index, one) in MISTAKES.iter().enumerate() {
        for other in &MISTAKES[index + 1..] {
            write_with(&dir, &[one, other]);
            let said = dir.nexum(&["check"]).stderr;
            for (_, _, expected) in [one, other] {
                assert!(said.contains(expected), "{expected}: {said}");
            }
        }
    }
}

#[test]
fn a_manifest_has_one_of_two_names() {
    let dir = Dir::new();
    dir.guest("noop");
    let manifest = "[module]\nname = \"named\"\n[[subscription]]\nkind = \"cron\"\nschedule = \"* * * * *\"\n";
    dir.write("module.toml", manifest);
    let ran = dir.nexum(&["check", "noop.wasm"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.starts_with("named (noop.wasm)"), "{}", ran.stdout);
    dir.write("nexum.toml", manifest);
    let both = dir.nexum(&["check", "noop.wasm"]);
    assert_eq!(both.code, Some(2));
    let expected = "error: nexum.toml: module.toml is a manifest too\n  hint: remove one of the two files, \
                    or name the manifest: `manifest` in [[modules]], or --manifest\n";
    assert!(both.stderr.ends_with(expected), "{}", both.stderr);
    for args in [
        &["check", "noop.wasm", "module.toml"][..],
        &["check", "--manifest", "module.toml", "noop.wasm"],
    ] {
        let ran = dir.nexum(args);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert!(ran.stdout.starts_with("named (noop.wasm)"), "{}", ran.stdout);
    }
}

#[test]
fn a_component_toml_without_a_manifest_is_a_warning() {
    let dir = Dir::new();
    dir.guest("noop");
    dir.write("component.toml", "");
    let warning = "warning: noop: nexum reads component.toml only beside a trigger module: if it is the module's \
                   manifest, rename it to nexum.toml\n";
    let ran = dir.nexum(&["check", "noop.wasm"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains(warning), "{}", ran.stderr);
    dir.write("nexum.toml", "");
    let ran = dir.nexum(&["check", "noop.wasm"]);
    assert!(!ran.stderr.contains("component.toml"), "{}", ran.stderr);
}

#[test]
fn the_configuration_may_be_the_third_file_or_that_of_the_former_option() {
    let dir = Dir::new();
    dir.guest("noop");
    dir.write("m.toml", "[module]\nname = \"named\"\n");
    dir.write("e.toml", "[engine]\npooling = \"of\"\n");
    let expected = "e.toml:2:11: engine.pooling: expected \"auto\" or \"off\"";
    for command in ["check", "run"] {
        let third = dir.nexum(&[command, "noop.wasm", "m.toml", "e.toml"]);
        assert_eq!(third.code, Some(2));
        assert!(third.stderr.contains(expected), "{}", third.stderr);
    }
    dir.write("e.toml", "");
    let former = dir.nexum(&["check", "--engine-config", "e.toml", "noop.wasm", "m.toml"]);
    assert_eq!(former.code, Some(0), "{}", former.stderr);
    let notice = "warning: --engine-config is now called --config\n";
    assert!(former.stderr.starts_with(notice), "{}", former.stderr);
    let twice = dir.nexum(&["check", "noop.wasm", "m.toml", "e.toml", "--config", "f.toml"]);
    assert_eq!(
        (twice.code, twice.stderr.as_str()),
        (
            Some(2),
            "error: there are two configurations: e.toml and f.toml\n  hint: give one configuration\n"
        )
    );
}

#[test]
fn check_warns_of_a_chain_that_is_open() {
    let dir = Dir::new();
    dir.guest("noop");
    dir.write(
        "engine.toml",
        "[chains.1]\nrpc_url = \"http://localhost\"\nextra_methods = [\"*\"]\n",
    );
    let ran = dir.nexum(&["check", "noop.wasm"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let warning = "warning: [chains.1] extra_methods = [\"*\"]: modules may call every JSON-RPC method of the chain's \
                   endpoints, also those that send transactions, sign (personal_), or change the node (admin_, debug_)\n";
    assert!(ran.stderr.contains(warning), "{}", ran.stderr);
}

#[test]
fn a_log_level_of_the_environment_that_is_no_filter_is_refused() {
    let dir = Dir::new();
    dir.guest("noop");
    for command in ["check", "run"] {
        let output = dir
            .command(&[command, "noop.wasm"])
            .env("RUST_LOG", "nexum=loud")
            .output();
        let output = output.expect("the binary");
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(2), "{said}");
        let expected = "error: RUST_LOG: error parsing level filter: expected one of \"off\", \"error\", \"warn\", \
                        \"info\", \"debug\", \"trace\", or a number 0-5, found \"nexum=loud\"\n  hint: name a level \
                        (`info`) or directives (`info,nexum=debug`)\n";
        assert!(said.contains(expected), "{said}");
    }
}
