//! Files with the keys of nexum 0.2.

use std::path::Path;

use nexum_testing::{Anvil, LogSpec};
use serde_json::{Value, json};

use crate::Dir;
use crate::control::{json, until};
use crate::running::{Log, spawn, terminate};

/// An engine file of 0.2 with one module, and its settings for chain 11155111.
fn engine(chain: &str, module: &str) -> String {
    format!(
        r#"# The engine's own settings.
[engine]
state_dir = "./data/old"
log_level = "info,nexum=info"

[engine.metrics]
enabled = true
bind_addr = "127.0.0.1:0"

[limits]
fuel_per_event = 1_000_000_000
memory_bytes = 67_108_864

[chains.sepolia]
{chain}

[[modules]]
path = "{module}.wasm"
manifest = "{module}/nexum.toml"
"#
    )
}

/// The first lines of a manifest as the tools of 0.2 wrote them.
fn module(name: &str) -> String {
    format!(
        r#"[module]
name = "{name}"
version = "0.2.0"
description = "Watches sepolia"
authors = ["alice.eth"]
# The build fills this in.
component = "sha256:{}"
"#,
        "0".repeat(64)
    )
}

/// A directory with a guest, its manifest and an engine file.
fn files(guest: &str, chain: &str, manifest: &str) -> Dir {
    let dir = Dir::new();
    dir.guest(guest);
    std::fs::create_dir(dir.path().join(guest)).expect("a directory");
    dir.write(&format!("{guest}/nexum.toml"), module(guest) + manifest);
    dir.write("old.toml", engine(chain, guest));
    dir
}

/// The warnings about the engine file, and the warnings about the module.
fn warnings(dir: &Dir) -> [Value; 2] {
    let mut found = json(dir, &["check", "--config", "old.toml", "--format", "json"]);
    let text = dir.nexum(&["check", "--config", "old.toml"]);
    let warnings = [found["warnings"].take(), found["modules"][0]["warnings"].take()];
    for warning in warnings
        .iter()
        .flat_map(|warnings| warnings.as_array().expect("a list"))
    {
        let line = format!("{}\n", warning.as_str().expect("a text"));
        assert!(text.stderr.contains(&line), "{line}: {}", text.stderr);
    }
    // The directory has another name in each run.
    let shown = dir.path().display().to_string();
    warnings.map(|warnings| {
        let text = warnings.to_string().replace(&format!("{shown}/"), "");
        serde_json::from_str(&text).expect("JSON")
    })
}

/// Runs the module until each of these records has appeared, calls `act`, and stops it. Returns the
/// log up to there.
async fn run(dir: &Dir, records: &[&str], act: impl AsyncFnOnce()) -> Vec<String> {
    let mut child = spawn(dir, &["run", "--config", "old.toml"]);
    let lines = Log::of(&mut child).until_all(records);
    act().await;
    terminate(&child);
    assert_eq!(child.wait().expect("an end").code(), Some(0), "{lines:#?}");
    lines
}

#[tokio::test]
async fn a_module_with_a_store_runs_with_files_of_0_2() {
    let anvil = Anvil::start();
    anvil.mine(1).await;
    let chain = format!(
        "rpc_url = {:?}\nrequire_ws = true\nrequest_timeout_secs = 30",
        anvil.ws_url()
    );
    let manifest = r#"
[chains]
required = [11155111]

[capabilities]
required = ["logging", "local_store"]
optional = []

[capabilities.http]
allow = []

[[subscription]]
kind = "block"
chain_id = 11155111

[[subscription]]
kind = "chain-log"
chain_id = 11155111
address = "0xfdaFc9d1902f4e0b84f65F49f244b32b31013b74"

[config]
init = "set started 2; get started"
every = "set count 3; get count"
"#;
    let dir = files("keeper", &chain, manifest);
    let [of_engine, of_module] = warnings(&dir);
    assert_eq!(
        of_engine,
        json!([
            "old.toml:7:1: engine.metrics.enabled: is an old name, now metrics.listen alone opens the port",
            "old.toml:8:1: engine.metrics.bind_addr: is an old name, the new one is metrics.listen",
            "old.toml:10:2: limits: is an old name, the new one is engine.limits",
            "old.toml:14:9: chains.sepolia: is an old name, the new one is chains.11155111",
            "old.toml:17:1: chains.11155111.request_timeout_secs: is an old name, the new one is \
             chains.11155111.request_timeout_ms, in milliseconds",
        ])
    );
    assert_eq!(
        of_module,
        json!([
            "keeper/nexum.toml:7:13: module.component: is all zeros, so nexum accepts any component, \
             found \"sha256:00000…\"",
            "keeper/nexum.toml:13:24: capabilities.required[1]: \"local_store\" is an old word, the new one is \
             \"local-store\"",
            "keeper/nexum.toml:17:9: capabilities.http.allow: is empty, and no list names `http`: \
             nexum ignores the table",
            "keeper/nexum.toml:24:8: subscription[1].kind: \"chain-log\" is an old word, the new one is \"log\"",
        ])
    );
    let records = ["metrics can be read", "get started: 2", "get count: 3"];
    let act = async || {
        let list = ["module", "list", "--config", "old.toml"];
        let modules = json(&dir, &[&list[..], &["--format", "json"]].concat());
        let keeper = &modules[0];
        assert_eq!(keeper["description"], "Watches sepolia");
        assert_eq!(keeper["authors"], json!(["alice.eth"]));
        let subscriptions = json!(["blocks of 11155111", "logs of 11155111"]);
        assert_eq!(keeper["subscriptions"], subscriptions);
        let text = dir.nexum(&list).stdout;
        for line in ["\n  authors        alice.eth\n", "\n  Watches sepolia\n"] {
            assert!(text.contains(line), "{text}");
        }
    };
    let lines = run(&dir, &records, act).await;
    for word in ["is an old name", "is an old word"] {
        let logged = lines.iter().filter(|line| line.contains(word)).count();
        let warned = [&of_engine, &of_module].map(|warnings| warnings.to_string().matches(word).count());
        assert_eq!(logged, warned.iter().sum::<usize>(), "{lines:#?}");
    }
    assert!(Path::new(&dir.path().join("data/old")).is_dir());
}

#[tokio::test]
async fn a_module_runs_by_the_command_line_of_0_2() {
    let anvil = Anvil::start();
    anvil.mine(1).await;
    let dir = Dir::new();
    dir.guest("keeper");
    let manifest = r#"
[[content.sources]]
type = "local"

[limits]
memory_bytes = 33_554_432

[capabilities]
required = ["logging", "local_store"]
optional = ["wasi-env"]

[capabilities.identity]
methods = ["sign"]

[[subscription]]
kind = "block"
chain_id = 11155111

[config]
every = "set count 3; get count"
"#;
    dir.write("module.toml", module("keeper") + manifest);
    let engine = format!(
        "[engine]\nstate_dir = \"data\"\n[local_store]\nbackend = \"redb\"\n[chains.sepolia]\nrpc_url = {:?}\n",
        anvil.ws_url()
    );
    dir.write("old.toml", engine);
    let files = ["keeper.wasm", "module.toml", "old.toml"];
    let checked = json(&dir, &[&["check"][..], &files, &["--format", "json"]].concat());
    assert_eq!(checked["errors"], json!([]), "{checked}");
    let warnings = checked.to_string();
    for word in [
        "wasi-env",
        "limits: is an old name",
        "methods: has no effect yet",
        "local_store",
    ] {
        assert!(warnings.contains(word), "{word}: {warnings}");
    }
    let mut child = spawn(&dir, &[&["run"][..], &files].concat());
    let lines = Log::of(&mut child).until_all(&["get count: 3"]);
    terminate(&child);
    assert_eq!(child.wait().expect("an end").code(), Some(0), "{lines:#?}");
}

/// An error elsewhere hides no notice.
#[test]
fn old_names_are_reported_beside_errors() {
    let dir = Dir::new();
    dir.guest("keeper");
    dir.write(
        "module.toml",
        "[module]\nname = \"Keeper!\"\n[limits]\nmax_memory_bytes = 33554432\n",
    );
    dir.write("old.toml", "[limits]\nfuel_per_event = 0\n");
    for command in ["check", "run"] {
        let ran = dir.nexum(&[command, "keeper.wasm", "module.toml", "old.toml"]);
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        for old in [
            "old.toml:1:2: limits: is an old name",
            "module.toml:3:2: limits: is an old name",
        ] {
            assert!(ran.stderr.contains(old), "{command}, {old}: {}", ran.stderr);
        }
    }
}

#[test]
fn old_names_of_a_second_module_of_one_name_are_reported() {
    let dir = Dir::new();
    dir.guest("keeper");
    dir.write(
        "nexum.toml",
        "[module]\nname = \"keeper\"\n[limits]\nmax_memory_bytes = 33554432\n",
    );
    dir.write("engine.toml", "[[modules]]\npath = \"keeper.wasm\"\n".repeat(2));
    let checked = dir.nexum(&["check"]);
    assert_eq!(checked.code, Some(2), "{}", checked.stderr);
    let notices = checked.stderr.matches("nexum.toml:3:2: limits: is an old name");
    assert_eq!(notices.count(), 2, "{}", checked.stderr);
}

#[tokio::test]
async fn a_module_gets_the_logs_of_chain_log() {
    let anvil = Anvil::start();
    let emitter = anvil.deploy_emitter().await;
    let manifest = format!(
        "[capabilities]\nrequired = [\"local-store\"]\n\
         [[subscription]]\nkind = \"chain-log\"\nchain_id = 11155111\naddress = \"{emitter}\"\n"
    );
    let dir = files("log-sum", &format!("rpc_url = {:?}", anvil.ws_url()), &manifest);
    let act = async || {
        let log = LogSpec {
            address: emitter,
            topics: Vec::new(),
            data: vec![0, 0, 0, 0, 0, 0, 0, 7].into(),
        };
        anvil.emit(&[log]).await;
        let list = ["module", "list", "--config", "old.toml", "--format", "json"];
        until(&dir, &list, |modules| modules[0]["handled"] == 1).await;
    };
    run(&dir, &["following the chain", "modules are loaded"], act).await;
    let sum = dir.nexum(&["state", "--config", "old.toml", "get", "log-sum", "sum"]);
    assert!(sum.stdout.contains("0700000000000000"), "{}{}", sum.stdout, sum.stderr);
}

#[tokio::test]
async fn structured_settings_reach_init_as_toml() {
    let anvil = Anvil::start();
    anvil.mine(1).await;
    let manifest = r#"
[capabilities]
required = ["logging"]

[[subscription]]
kind = "block"
chain_id = 11155111

[config]
pools = [
  "a", # the first
  "b",
]
limits = { low = 1, high = 2.5 }
[config.retry]
seconds = [1, 2]
"#;
    let chain = format!("rpc_url = {:?}\nrequire_ws = false", anvil.http_url());
    let dir = files("recorder", &chain, manifest);
    let init = r#"init pools=["a", "b"] limits={ low = 1, high = 2.5 } retry={ seconds = [1, 2] }"#;
    run(&dir, &[init, "block chain=11155111"], async || {}).await;
}

#[test]
fn a_chain_that_requires_ws_is_refused_without_it() {
    let chain = "rpc_url = \"https://node.example/key\"\nrequire_ws = true";
    let dir = files("recorder", chain, "[capabilities]\nrequired = []\n");
    let ran = dir.nexum(&["check", "--config", "old.toml"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    let expected = "old.toml:16:14: chains.11155111.require_ws: no endpoint of the chain has a ws, wss or ipc address";
    assert!(ran.stderr.contains(expected), "{}", ran.stderr);
}

#[tokio::test]
#[cfg(feature = "cow")]
async fn a_module_reaches_the_order_book_of_its_chain() {
    let anvil = Anvil::start();
    anvil.mine(1).await;
    let book = answering("\"v1.2.3\"");
    let chain = format!("rpc_url = {:?}\norderbook_url = \"http://{book}\"", anvil.ws_url());
    let manifest = "[capabilities]\nrequired = [\"cow_api\"]\n\
                    [[subscription]]\nkind = \"block\"\nchain_id = 11155111\n\
                    [config]\nrequest = \"GET /api/v1/version\"\n";
    let dir = files("cow-submitter", &chain, manifest);
    let expected = "old.toml:16:1: chains.11155111.orderbook_url: is an old name, the new one is cow.11155111.base_url";
    assert!(warnings(&dir)[0].to_string().contains(expected));
    run(&dir, &["v1.2.3"], async || {}).await;
}

#[tokio::test]
#[cfg(feature = "http")]
async fn hosts_alone_list_http_and_the_operator_still_decides() {
    let anvil = Anvil::start();
    anvil.mine(1).await;
    let server = answering("hello");
    let manifest = format!(
        "[capabilities]\nrequired = [\"local-store\"]\n[capabilities.http]\nallow = [\"{server}\"]\n\
         [[subscription]]\nkind = \"block\"\nchain_id = 11155111\n\
         [config]\nurl = \"http://{server}/\"\n"
    );
    let dir = files("fetcher", &format!("rpc_url = {:?}", anvil.ws_url()), &manifest);
    let counts = "capabilities.http.allow: has hosts, so `http` counts as required: add it to capabilities.required";
    assert!(warnings(&dir)[1].to_string().contains(counts));
    run(&dir, &["denied"], async || {}).await;

    let allowed =
        format!("[http]\nallow = [\"{server}\"]\nallow_http = [\"{server}\"]\nallow_private = [\"{server}\"]\n");
    let old = std::fs::read_to_string(dir.path().join("old.toml")).expect("the file");
    dir.write("old.toml", allowed + &old);
    let list = ["module", "list", "--config", "old.toml", "--format", "json"];
    let act = async || {
        anvil.mine(1).await;
        until(&dir, &list, |modules| modules[0]["handled"].as_u64() >= Some(1)).await;
    };
    run(&dir, &["following the chain", "modules are loaded"], act).await;
    let answer = dir.nexum(&["state", "--config", "old.toml", "get", "fetcher", "answer", "--utf8"]);
    assert!(
        answer.stdout.contains("200 hello"),
        "{}{}",
        answer.stdout,
        answer.stderr
    );
}

/// The address of a server that answers each request with `body`.
#[cfg(any(feature = "cow", feature = "http"))]
fn answering(body: &'static str) -> std::net::SocketAddr {
    use std::io::{BufRead as _, BufReader, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let head = BufReader::new(&stream).lines();
            let _ = head.map_while(Result::ok).find(String::is_empty);
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}
