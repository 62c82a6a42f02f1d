//! A start while chains cannot be reached.

use nexum_testing::{Anvil, AnvilOptions, guests};
use serde_json::Value;

use super::{end, module};
use crate::Dir;
use crate::control::{done, json, until};
use crate::running::{Log, spawn};

const STATUS: [&str; 3] = ["status", "--format", "json"];

/// A port of this machine at which nothing listens.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// Writes an `engine.toml` with these chains, and a module for each that requires it.
fn write(dir: &Dir, chains: &[(u64, &str)]) {
    let noop = guests::component("noop").display().to_string();
    let mut text = "[engine.restart]\nbackoff_ms = 1\n".to_owned();
    for (chain_id, keys) in chains {
        text.push_str(&format!("[chains.{chain_id}]\n{keys}\n"));
    }
    for (chain_id, _) in chains {
        let manifest =
            format!("[chains]\nrequired = [{chain_id}]\n[[subscription]]\nkind = \"block\"\nchain_id = {chain_id}\n");
        dir.write(&format!("{chain_id}.toml"), manifest);
        text.push_str(&format!(
            "[[modules]]\nname = \"on-{chain_id}\"\npath = {noop:?}\nmanifest = \"{chain_id}.toml\"\n"
        ));
    }
    dir.write("engine.toml", text);
}

fn handles(list: &Value, name: &str) -> bool {
    module(list, name)["handled"].as_u64() > Some(0)
}

#[tokio::test]
async fn a_module_waits_for_its_chain_while_another_runs() {
    let up = Anvil::start();
    let dir = Dir::new();
    let port = free_port();
    let url = format!("rpc_url = \"ws://127.0.0.1:{port}\"\nstartup_timeout_ms = 500");
    write(
        &dir,
        &[(11_155_111, &format!("rpc_url = {:?}", up.ws_url())), (31_337, &url)],
    );
    let mut child = spawn(&dir, &["run"]);
    let log = Log::of(&mut child);
    log.until_all(&["modules are loaded", "waits for a chain"]);
    up.mine(1).await;
    let list = until(&dir, &STATUS, |list| handles(list, "on-11155111")).await;
    let waiting = module(&list, "on-31337");
    assert_eq!(waiting["handled"], 0);
    let reason = waiting["reason"].as_str().expect("a reason");
    assert!(reason.contains(&port.to_string()), "{reason}");

    // So does a module that is loaded during the outage.
    let noop = guests::component("noop").display().to_string();
    let load = ["module", "load", &noop, "--name", "later", "--manifest", "31337.toml"];
    done(&dir, &load, "later is loaded, and waits: chain 31337: ");
    let list = json(&dir, &STATUS);
    assert_eq!(module(&list, "later")["stage"], "waiting_for_chain");
    done(&dir, &["module", "reload", "later"], ", and waits: chain 31337: ");

    let late = Anvil::start_with(&AnvilOptions {
        chain_id: Some(31_337),
        port: Some(port),
        ..AnvilOptions::default()
    });
    for name in ["on-31337", "later"] {
        until(&dir, &STATUS, |list| module(list, name)["stage"] == "running").await;
    }
    late.mine(1).await;
    until(&dir, &STATUS, |list| {
        handles(list, "on-31337") && handles(list, "later")
    })
    .await;
    end(child);
}

#[tokio::test]
async fn a_load_answers_at_once_with_the_trouble_of_a_chain_that_no_module_has_used() {
    let dir = Dir::new();
    let port = free_port();
    let keys = format!("rpc_url = \"http://127.0.0.1:{port}\"\nstartup_timeout_ms = 3_600_000");
    write(&dir, &[(31_337, &keys)]);
    let echo = guests::component("query-echo").display().to_string();
    dir.write(
        "engine.toml",
        format!("[[modules]]\npath = {echo:?}\n[chains.31337]\n{keys}\n"),
    );
    let mut child = spawn(&dir, &["run"]);
    let log = Log::of(&mut child);
    log.until_all(&["modules are loaded"]);
    let noop = guests::component("noop").display().to_string();
    let load = ["module", "load", &noop, "--name", "first", "--manifest", "31337.toml"];
    let waits = format!("waits: chain 31337: 1 of 1 endpoints down: http://127.0.0.1:{port}: ");
    done(&dir, &load, &format!("first is loaded, and {waits}"));
    done(&dir, &["module", "reload", "first"], &waits);
    let first = json(&dir, &STATUS);
    assert_eq!(module(&first, "first")["stage"], "waiting_for_chain");
    end(child);
}

#[tokio::test]
async fn nexum_runs_on_while_no_chain_can_be_read() {
    let other = Anvil::start();
    let dir = Dir::new();
    let port = free_port();
    let chains = [
        // Nothing listens, over http and over ws alone.
        (1, format!("rpc_url = \"http://127.0.0.1:{port}\"")),
        (10, format!("rpc_url = \"ws://127.0.0.1:{port}\"\nrequire_ws = true")),
        // The name does not resolve.
        (56, "rpc_url = \"http://no-such-host.invalid:8545\"".to_owned()),
        // Another chain.
        (137, format!("rpc_url = {:?}", other.ws_url())),
    ];
    // With --strict, nexum ends after this time.
    let chains = chains.map(|(chain_id, keys)| (chain_id, format!("{keys}\nstartup_timeout_ms = 500")));
    let chains: Vec<_> = chains
        .iter()
        .map(|(chain_id, keys)| (*chain_id, keys.as_str()))
        .collect();
    write(&dir, &chains);
    let mut child = spawn(&dir, &["run"]);
    let log = Log::of(&mut child);
    log.until_all(&["modules are loaded"]);
    let all_wait = |list: &Value| {
        let modules = list.as_array().expect("modules");
        let waits = |module: &&Value| module["reason"].is_string() && module["stage"] != "dead";
        let names_host = |module: &Value| module["reason"].to_string().contains("no-such-host.invalid");
        modules.iter().filter(waits).count() == chains.len() && modules.iter().any(names_host)
    };
    until(&dir, &STATUS, all_wait).await;
    assert_eq!(json(&dir, &STATUS).as_array().map(Vec::len), Some(chains.len()));
    end(child);

    let strict = dir.nexum(&["run", "--strict"]);
    assert_eq!(strict.code, Some(1), "{}", strict.stderr);
}
