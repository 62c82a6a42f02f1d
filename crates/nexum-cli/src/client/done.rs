//! The effect of a command on a module, in a sentence.

use nexum_config::harmless::harmless;

use crate::protocol::modules::{Changed, Module};
use crate::protocol::stage::Stage;

pub(super) fn loaded(module: &Module) -> String {
    match module.stage {
        Stage::WaitingForChain => format!("{} is loaded, and waits: {}", module.name, reason(module)),
        _ => format!("{} is loaded", module.name),
    }
}

pub(super) fn reloaded(module: &Module) -> String {
    format!(
        "{} is reloaded with {}, and {}",
        module.name,
        module.digest,
        next(module)
    )
}

pub(super) fn restarted(module: &Module) -> String {
    format!("{} is restarted, and {}", module.name, next(module))
}

pub(super) fn started(Changed { module, before, .. }: &Changed) -> String {
    let name = &module.name;
    match before {
        None | Some(Stage::Stopped) => format!("{name} is started, and {}", next(module)),
        Some(Stage::Running | Stage::Behind | Stage::Replaying) => format!("{name} runs already"),
        Some(stage) => format!("{name} was not stopped, and is in the stage `{stage}`"),
    }
}

pub(super) fn stopped(Changed { module, before, .. }: &Changed) -> String {
    match before {
        Some(Stage::Stopped) => format!("{} is stopped already", module.name),
        _ => format!("{} is stopped", module.name),
    }
}

/// The next step of a module: `continues after block 7 of chain 1`.
fn next(module: &Module) -> String {
    match (module.stage, &module.events) {
        (Stage::Stopped, _) => return "stays stopped".to_owned(),
        (Stage::WaitingForChain, _) => return format!("waits: {}", reason(module)),
        (_, None) => return "answers queries".to_owned(),
        _ => {}
    }
    let chains = module.events.iter().flat_map(|events| &events.chains);
    let known = chains.filter_map(|position| Some((position.at?, &position.chain)));
    let places: Vec<_> = known
        .map(|(at, chain)| format!("block {at} of chain {chain}"))
        .collect();
    match places.is_empty() {
        true => "continues with its next event".to_owned(),
        false => format!("continues after {}", places.join(" and ")),
    }
}

fn reason(module: &Module) -> String {
    harmless(module.reason.as_deref().unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn module(stage: &str, more: Value) -> Value {
        let mut module = json!({
            "name": "m", "version": null, "description": null, "path": "m.wasm", "digest": "sha256:01",
            "capabilities": [], "subscriptions": [], "wanted": "running", "from": "", "stage": stage,
            "reason": "chain 1: no answer so far", "reason_since_ms": 1, "handled": 0, "failed": 0, "dead_letters": 0,
            "memory_bytes": 0, "catching_up": [], "effect": {"survives_restart": true},
        });
        let fields = module.as_object_mut().expect("an object");
        fields.extend(more.as_object().expect("an object").clone());
        module
    }

    fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).expect("a message")
    }

    #[test]
    fn each_command_says_what_it_has_done() {
        let position = |chain: &str, at: Option<u64>| json!({"chain": chain, "at": at, "head": null, "behind": null, "lag_ms": null});
        let events = |chains: &[Value]| {
            json!({"events": {
                "chains": chains, "schedules": [], "next_try_ms": null, "handling": null, "last_success": null,
                "last_failures": [], "failures_in_last_hour": 0, "matches": [], "limits_over_half": [], "time_use": [],
                "time_mostly": null,
            }})
        };
        let here = events(&[position("1", Some(7)), position("10@safe", Some(8))]);
        assert_eq!(
            restarted(&read(module("starting", here))),
            "m is restarted, and continues after block 7 of chain 1 and block 8 of chain 10@safe"
        );
        let new = events(&[position("1", None)]);
        assert_eq!(
            reloaded(&read(module("running", new.clone()))),
            "m is reloaded with sha256:01, and continues with its next event"
        );
        assert_eq!(
            reloaded(&read(module("stopped", new))),
            "m is reloaded with sha256:01, and stays stopped"
        );
        assert_eq!(
            reloaded(&read(module("serving", json!({})))),
            "m is reloaded with sha256:01, and answers queries"
        );
        let waits = "m is loaded, and waits: chain 1: no answer so far";
        assert_eq!(loaded(&read(module("waiting_for_chain", json!({})))), waits);
        assert_eq!(loaded(&read(module("running", json!({})))), "m is loaded");
        for (before, start, stop) in [
            (
                "stopped",
                "m is started, and continues after block 7 of chain 1",
                "m is stopped already",
            ),
            ("behind", "m runs already", "m is stopped"),
            ("dead", "m was not stopped, and is in the stage `dead`", "m is stopped"),
        ] {
            let mut changed = module("running", events(&[position("1", Some(7))]));
            changed["before"] = before.into();
            let changed: Changed = read(changed);
            assert_eq!(
                (started(&changed), stopped(&changed)),
                (start.to_owned(), stop.to_owned()),
                "{before}"
            );
        }
    }
}
