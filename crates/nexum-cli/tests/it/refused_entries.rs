//! Modules that nexum refuses although another entry names their file.

use nexum_testing::{Anvil, guests};

use crate::Dir;
use crate::control::{json, until};
use crate::running::{Log, RUNNING, spawn, terminate};

#[tokio::test]
async fn a_refused_module_is_seen_beside_others_of_its_file() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    let noop = guests::component("noop").display().to_string();
    let entry = |keys: &str| format!("[[modules]]\npath = {noop:?}\n{keys}\n");
    dir.write(
        "engine.toml",
        format!(
            "[chains.11155111]\nrpc_url = {:?}\n{}{}{}{}",
            anvil.ws_url(),
            entry("name = \"keeper-a\""),
            entry("name = \"keeper-b\"\nmanifest = \"missing.toml\""),
            entry("name = \"keeper-c\"\nenabled = false"),
            // Without another name it is the second one.
            entry("name = \"keeper-a\""),
        ),
    );
    let mut child = spawn(&dir, &["run"]);
    Log::of(&mut child).until_all(&RUNNING);
    let modules = until(&dir, &["status", "--format", "json"], |modules| {
        let mut modules = modules.as_array().expect("modules").iter();
        modules.any(|module| module["stage"] == "running")
    })
    .await;
    let stages = |wanted: &str| -> Vec<&str> {
        let modules = modules.as_array().expect("modules").iter();
        let wanted = modules.filter(|module| module["stage"] == wanted);
        wanted.filter_map(|module| module["name"].as_str()).collect()
    };
    assert_eq!(stages("running"), ["keeper-a"], "{modules:#}");
    assert_eq!(stages("disabled"), ["keeper-c"], "{modules:#}");
    let refused = stages("refused");
    assert_eq!(refused[0], "keeper-b", "{modules:#}");
    assert!(refused[1].ends_with("noop.wasm") && refused.len() == 2, "{modules:#}");
    assert_eq!(dir.nexum(&["status"]).code, Some(1));
    let health = json(&dir, &["health", "--format", "json"]);
    let reasons = health["problems"].to_string();
    assert!(reasons.contains("missing.toml"), "{reasons}");
    assert!(reasons.contains("two modules are called `keeper-a`"), "{reasons}");
    // An operator who gives the file to the module by hand has loaded this one, and no other.
    let load = dir.nexum(&["module", "load", &noop, "--name", "keeper-b"]);
    assert_eq!(load.code, Some(0), "{}", load.stderr);
    let reasons = json(&dir, &["health", "--format", "json"])["problems"].to_string();
    assert!(
        !reasons.contains("missing.toml") && reasons.contains("keeper-a"),
        "{reasons}"
    );
    terminate(&child);
    assert_eq!(child.wait().expect("an end").code(), Some(0));
}
