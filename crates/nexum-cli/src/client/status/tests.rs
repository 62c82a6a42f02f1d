//! The output of the command for modules in each state.

use serde_json::json;

use super::*;

/// A time of the test, in milliseconds since the Unix epoch.
const NOW_MS: u64 = 1_767_225_600_000;

fn module(name: &str, stage: &str, more: serde_json::Value) -> Module {
    let mut module = json!({
        "name": name, "version": "1.0.0", "description": null, "path": "/modules/a.wasm", "digest": "",
        "capabilities": ["chain"], "subscriptions": ["blocks of 1"], "wanted": "running",
        "from": "engine.toml:7", "stage": stage, "reason": "the module handles events as they arrive",
        "reason_since_ms": NOW_MS - 64_000, "handled": 7, "failed": 2, "dead_letters": 0, "memory_bytes": 0,
        "catching_up": [],
    });
    let (module_of, more) = (module.as_object_mut().unwrap(), more.as_object().unwrap());
    module_of.extend(more.clone());
    serde_json::from_value(module).unwrap()
}

fn events(chains: serde_json::Value) -> serde_json::Value {
    json!({
        "chains": chains, "schedules": [], "next_try_ms": null, "handling": null, "last_success": null,
        "last_failures": [], "failures_in_last_hour": 0, "matches": [], "limits_over_half": [], "time_use": [],
        "time_mostly": null,
    })
}

fn modules() -> Vec<Module> {
    let position = |at: Option<u64>| {
        json!({
            "chain": "1", "at": at, "head": 21_000_253, "behind": at.map(|at| 21_000_253 - at),
            "lag_ms": at.map(|at| (21_000_253 - at) * 12_000),
        })
    };
    let running = events(json!([position(Some(21_000_253)), {
        "chain": "100@12", "at": 9, "head": 9, "behind": 0, "lag_ms": 0
    }]));
    let mut backoff = events(json!([position(Some(21_000_252))]));
    backoff["next_try_ms"] = (NOW_MS + 4_000).into();
    backoff["failures_in_last_hour"] = 3.into();
    let waits = json!({
        "reason": "chain 31337: 2 of 2 endpoints down: http://127.0.0.1:28547: no connection",
        "events": events(json!([position(None)])),
    });
    let behind = json!({
        "reason": "chain 99 %: http://127.0.0.1:28547 310 ms", "events": events(json!([position(Some(21_000_000))])),
    });
    let failed = json!({
        "reason": "attempt 3 of 5 at 1:21000253:block failed: the guest trapped: unreachable\nat frame 1",
        "events": backoff, "dead_letters": 2,
    });
    vec![
        module("keeps-up", "running", json!({ "events": running })),
        module("slow", "behind", behind),
        module("waits", "waiting_for_chain", waits),
        module("fails", "backoff", failed),
        module(
            "refused.wasm",
            "refused",
            json!({ "reason": "the file is not a component", "reason_since_ms": null }),
        ),
    ]
}

#[test]
fn the_table_has_a_reason_for_each_stage_in_80_and_200_columns() {
    let table = |width| {
        let mut table = overview(&modules(), width < WIDE_COLUMNS_MIN, NOW_MS);
        table.set_width(width);
        let lines: Vec<_> = table.lines().map(|line| line.trim_end().to_owned()).collect();
        assert!(lines.iter().all(|line| line.chars().count() <= usize::from(width)));
        let below: Vec<_> = modules().iter().flat_map(|module| reasons(module, NOW_MS)).collect();
        format!("{}\n\n{}", lines.join("\n"), below.join("\n"))
    };
    insta::assert_snapshot!("status_80", table(80));
    insta::assert_snapshot!("status_200", table(200));
}

#[test]
fn the_table_of_an_installation_has_the_nodes() {
    let elsewhere = json!({
        "node": "node-b", "reason": "runs on the node node-b (10.0.0.2:9466)",
    });
    let modules = [
        module("here", "running", json!({ "node": "node-a" })),
        module("there", "standby", elsewhere),
        module("echo", "serving", json!({})),
    ];
    let mut table = overview(&modules, true, NOW_MS);
    table.set_width(80);
    let lines: Vec<_> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    assert!(lines.iter().all(|line| line.chars().count() <= 80));
    let below: Vec<_> = modules.iter().flat_map(|module| reasons(module, NOW_MS)).collect();
    insta::assert_snapshot!("status_nodes", format!("{}\n\n{}", lines.join("\n"), below.join("\n")));
}

#[test]
fn a_module_needs_the_operator_if_it_does_not_work_or_has_dead_letters_or_effects_in_doubt() {
    let needs: Vec<_> = modules().iter().map(|module| needs_operator(module, NOW_MS)).collect();
    assert_eq!(needs, [false, true, true, true, true]);
    let needs = |stage, more| needs_operator(&module("one", stage, more), NOW_MS);
    assert!(needs("running", json!({ "dead_letters": 1 })));
    assert!(needs("running", json!({ "effects_in_doubt": 1 })));
    assert!(!needs("stopped", json!({})));
}

#[test]
fn a_module_that_does_not_start_within_the_bound_needs_the_operator() {
    for stage in ["loading", "starting"] {
        let since = |ms: u64| module("one", stage, json!({ "reason_since_ms": NOW_MS - ms }));
        assert!(!needs_operator(&since(299_000), NOW_MS), "{stage}");
        assert!(needs_operator(&since(301_000), NOW_MS), "{stage}");
    }
}

#[test]
fn the_details_of_a_module_say_what_is_unknown() {
    insta::assert_snapshot!("details", details(&modules()[3], NOW_MS).join("\n"));
}
