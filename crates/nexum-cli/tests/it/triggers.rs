//! Trigger modules of `nexum:host@0.1.0`, with their `component.toml`.

use nexum_testing::{Anvil, LogSpec};

use crate::Dir;
use crate::control::{done, json, until};
use crate::running::{Log, RUNNING, spawn, terminate};

const STATUS: [&str; 3] = ["status", "--format", "json"];

const COMPONENT: &str = "[component]\nname = \"triggers\"\nversion = \"0.3.0\"\n";

const DEPENDENCIES: &str = "[dependencies]\nchain = {}\nlocal-store = {}\nlogging = {}\n";

/// A directory with the fixture, whose `component.toml` ends with these lines.
fn fixture(lines: &str) -> Dir {
    let dir = Dir::new();
    dir.guest("triggers");
    dir.write("component.toml", format!("{COMPONENT}{DEPENDENCIES}{lines}"));
    dir
}

#[test]
fn check_and_inspect_name_the_world_and_its_adapter() {
    let schedule = "http = {}\n[[trigger]]\non = \"schedule\"\ncron = \"0 0 * * *\"\n";
    let dir = fixture(schedule);
    dir.write("engine.toml", "");
    let inspected = dir.nexum(&["inspect", "triggers.wasm"]);
    assert_eq!(inspected.code, Some(0), "{}", inspected.stderr);
    let world = "nexum:host/trigger-module@0.1.0 (served by an adapter)\n";
    for line in [
        format!("world            {world}"),
        "kind             module\n".to_owned(),
        "exports          init\n                 on-trigger\n".to_owned(),
    ] {
        assert!(inspected.stdout.contains(&line), "{line}: {}", inspected.stdout);
    }
    assert_eq!(inspected.stderr, "");

    let checked = dir.nexum(&["check", "triggers.wasm"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    assert!(
        checked.stdout.starts_with("triggers (triggers.wasm)"),
        "{}",
        checked.stdout
    );
    assert!(checked.stdout.contains(world.trim_end()), "{}", checked.stdout);
    assert!(checked.stdout.contains("ticks at 0 0 * * *"), "{}", checked.stdout);
    assert_eq!(checked.stderr, "");
    let found = json(&dir, &["check", "--format", "json", "triggers.wasm"]);
    let module = &found["modules"][0];
    assert_eq!(module["world"], "nexum:host/trigger-module@0.1.0");
    let capabilities = serde_json::json!(["chain", "http", "logging", "store", "wasi"]);
    assert_eq!(module["capabilities"], capabilities);
}

#[test]
fn check_says_what_nexum_does_not_serve() {
    let dir = fixture(
        "client = {}\nhttp = {}\n[[trigger]]\non = \"intent-status\"\nvenue = \"cow\"\n[venue]\nbody_version = 1\n",
    );
    let refused = dir.nexum(&["check", "triggers.wasm"]);
    assert_eq!(refused.code, Some(2));
    insta::assert_snapshot!(refused.stderr);

    // The manifest is about the component, too.
    let dir = fixture("[[trigger]]\non = \"schedule\"\ncron = \"0 0 * * *\"\n");
    let refused = dir.nexum(&["check", "triggers.wasm"]);
    assert_eq!(refused.code, Some(2));
    let missing = "needs the capability `http`, which the manifest does not request";
    assert!(refused.stderr.contains(missing), "{}", refused.stderr);
    dir.write("nexum.toml", "");
    let both = dir.nexum(&["check", "triggers.wasm"]);
    let expected = "error: nexum.toml: component.toml is a manifest too\n";
    assert!(both.stderr.contains(expected), "{}", both.stderr);
}

#[tokio::test]
async fn a_trigger_module_runs_on_a_chain() {
    let anvil = Anvil::start();
    let emitter = anvil.deploy_emitter().await;
    let dir = fixture(&format!(
        "http = {{ hosts = [\"127.0.0.1:{port}\"] }}\n\
         [[trigger]]\non = \"block\"\nchain_id = 11155111\n\
         [[trigger]]\non = \"event\"\nchain_id = 11155111\naddress = \"{emitter}\"\n\
         [config]\ntries = 3\n",
        port = anvil.port(),
    ));
    dir.write(
        "engine.toml",
        format!(
            "[chains.11155111]\nrpc_url = {:?}\n[http]\nallow = [\"127.0.0.1:{port}\"]\n\
             allow_private = [\"127.0.0.1:{port}\"]\n[[modules]]\npath = \"triggers.wasm\"\n",
            anvil.ws_url(),
            port = anvil.port(),
        ),
    );
    let mut child = spawn(&dir, &["run"]);
    let log = Log::of(&mut child);
    log.until_all(&[&RUNNING[..], &["tries = 3"]].concat());
    let emit = async |commands: &[&str]| {
        let spec = |command: &&str| LogSpec {
            address: emitter,
            topics: Vec::new(),
            data: command.as_bytes().to_vec().into(),
        };
        anvil.emit(&commands.iter().map(spec).collect::<Vec<_>>()).await;
    };
    emit(&["set a 1", "set b 2; chain eth_chainId []", "set c 3"]).await;
    log.until(|line| line.contains("chain eth_chainId []: \"0xaa36a7\""));
    until(&dir, &STATUS, |modules| modules[0]["handled"] == 3).await;
    done(&dir, &["state", "get", "triggers", "c", "--utf8"], "3");
    done(&dir, &["state", "get", "triggers", "entries"], "0x0500000000000000");

    // A call that reverts, and a request to the node's own port.
    emit(&[&format!(
        "chain eth_nothing []; http http://127.0.0.1:{}/",
        anvil.port()
    )])
    .await;
    let lines = log.until(|line| line.contains("http http://127.0.0.1"));
    let rpc = lines.iter().any(|line| line.contains("chain eth_nothing []: "));
    assert!(rpc, "{lines:#?}");
    until(&dir, &STATUS, |modules| modules[0]["handled"] == 5).await;

    // The node drops both blocks with their logs, and the module's state follows.
    anvil.reorg(2).await;
    anvil.mine(1).await;
    log.until(|line| line.contains("reverted after a reorganisation"));
    let gone = dir.nexum(&["state", "get", "triggers", "c", "--utf8"]);
    assert_ne!(gone.stdout.trim(), "3", "{}", gone.stderr);
    terminate(&child);
    assert_eq!(child.wait_with_output().expect("an end").status.code(), Some(0));
}
