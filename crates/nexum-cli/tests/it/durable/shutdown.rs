//! The deadline of a shutdown.

use nexum_testing::Anvil;
use serde_json::Value;

use super::{end, module};
use crate::Dir;
use crate::control::{LIST, start_logged, until};
use crate::running::terminate;

/// The modules: one that spins from its second block on, and one that records each block.
fn modules(dir: &Dir) -> String {
    dir.guest("spin");
    dir.guest("journal");
    let blocks = crate::control::BLOCKS;
    dir.write("spin.toml", format!("[module]\nname = \"spin\"\n{blocks}"));
    dir.write("journal.toml", format!("[module]\nname = \"journal\"\n{blocks}"));
    let entry = |name: &str| format!("[[modules]]\npath = \"{name}.wasm\"\nmanifest = \"{name}.toml\"\n");
    format!("{}{}", entry("spin"), entry("journal"))
}

fn handled(list: &Value, name: &str) -> u64 {
    module(list, name)["handled"].as_u64().expect("a number")
}

#[tokio::test]
async fn a_shutdown_abandons_an_event_at_its_deadline_and_names_it() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    let modules = modules(&dir);
    let engine = "[engine]\nshutdown_deadline_ms = 100\n[engine.limits]\nevent_deadline_ms = 600000\n\
                  fuel_per_event = 100000000000000\n";
    let (child, log) = start_logged(&dir, &anvil, &format!("{modules}{engine}"), &["run"]);
    anvil.mine(1).await;
    until(&dir, &LIST, |list| handled(list, "journal") >= 1).await;
    terminate(&child);
    let lines = log.until(|_| false);
    let abandoned: Vec<_> = lines.iter().filter(|line| line.contains("abandons")).collect();
    assert!(
        abandoned.iter().any(|line| line.contains("spin")),
        "{}",
        lines.join("\n")
    );
    assert_eq!(child.wait_with_output().expect("an end").status.code(), Some(4));

    // The other module's events are handled once.
    let (child, _log) = start_logged(&dir, &anvil, &modules.replace("spin", "noop"), &["run"]);
    anvil.mine(1).await;
    until(&dir, &LIST, |list| handled(list, "journal") >= 1).await;
    let scan = dir.nexum(&["state", "scan", "journal"]).stdout;
    let blocks = scan.lines().filter_map(|line| line.split_once(" block "));
    let blocks: Vec<_> = blocks.filter_map(|(_, block)| block.split(' ').next()).collect();
    let mut once = blocks.clone();
    once.dedup();
    assert_eq!(blocks, once, "{scan}");
    end(child);
}

#[tokio::test]
async fn a_second_signal_ends_a_shutdown_at_once() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    let modules = modules(&dir);
    let engine = "[engine.limits]\nevent_deadline_ms = 600000\nfuel_per_event = 100000000000000\n";
    let (child, log) = start_logged(&dir, &anvil, &format!("{modules}{engine}"), &["run"]);
    anvil.mine(1).await;
    until(&dir, &LIST, |list| handled(list, "journal") >= 1).await;
    terminate(&child);
    log.until(|line| line.contains("a second signal abandons them"));
    terminate(&child);
    log.until(|_| false);
    assert_eq!(child.wait_with_output().expect("an end").status.code(), Some(4));
}
