//! The difference of two configurations, key by key.

use std::collections::BTreeMap;

use nexum_config::document::Setting;
use serde_json::Value;

use crate::effective::{default_value, value};
use crate::protocol::reload::SettingChange;

/// The tables whose keys take effect without a restart, as prefixes of full paths. The chains decide
/// themselves which of their keys do.
const LIVE: [&str; 9] = [
    "engine.limits.",
    "engine.restart.",
    "engine.query.",
    "engine.log_level",
    "chains.",
    "ledger.keep_",
    "ledger.arguments",
    "ledger.calls",
    "modules.",
];

/// The keys with other values, in the order of the new configuration, and then the removed keys.
pub(super) fn difference(before: &[Setting], after: &[Setting]) -> Vec<SettingChange> {
    let (before, after) = (by_key(before), by_key(after));
    let find = |settings: &[(String, &Setting)], key: &str| -> Option<usize> {
        settings.iter().position(|(other, _)| other == key)
    };
    let mut changes = Vec::new();
    for (key, setting) in &after {
        let old = find(&before, key).map(|index| before[index].1);
        if old.is_some_and(|old| old.has_content_of(setting) && old.value == setting.value) {
            continue;
        }
        let old_value = old.map_or_else(|| default_of(setting), |old| value(&old.value));
        let new_value = value(&setting.value);
        let hidden = old_value == new_value && old.is_some();
        // An entry with the default value changes nothing.
        if old.is_none() && old_value == new_value {
            continue;
        }
        changes.push(SettingChange {
            key: key.clone(),
            before: old_value,
            after: new_value,
            hidden,
        });
    }
    for (key, setting) in &before {
        if find(&after, key).is_some() {
            continue;
        }
        let (old_value, new_value) = (value(&setting.value), default_of(setting));
        if old_value != new_value {
            changes.push(SettingChange {
                key: key.clone(),
                before: old_value,
                after: new_value,
                hidden: false,
            });
        }
    }
    changes
}

/// Whether nexum has to restart for a key.
pub(super) fn needs_restart(change: &SettingChange) -> bool {
    !LIVE.iter().any(|live| change.key.starts_with(live))
}

fn default_of(setting: &Setting) -> Value {
    default_value(&setting.table, &setting.key)
}

/// Each setting with its full path. A module has its name, or else its path, in place of its index, so
/// that the order of the modules does not matter.
fn by_key(settings: &[Setting]) -> Vec<(String, &Setting)> {
    let mut names: BTreeMap<&str, String> = BTreeMap::new();
    for key in ["path", "name"] {
        for setting in settings.iter().filter(|setting| setting.key == key) {
            if let Some(table) = module_table(&setting.table).filter(|table| *table == setting.table) {
                names.insert(table, setting.value.trim_matches('"').to_owned());
            }
        }
    }
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let key = |setting: &Setting| {
        let Some(table) = module_table(&setting.table) else {
            return setting.path();
        };
        let name = names.get(table).map_or(table, String::as_str);
        let rest = setting.path().split_off(table.len());
        format!("modules.{name}{rest}")
    };
    let mut keyed = Vec::with_capacity(settings.len());
    for setting in settings {
        let key = key(setting);
        // Two modules can have one path.
        let count = seen.entry(key.clone()).or_default();
        *count += 1;
        keyed.push((if *count > 1 { format!("{key} ({count})") } else { key }, setting));
    }
    keyed
}

/// The table of a module in the path of a table below it, such as `modules[0]`.
fn module_table(table: &str) -> Option<&str> {
    let end = table.strip_prefix("modules[")?.find(']')?;
    table.get(.."modules[".len() + end + 1)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use nexum_config::document::{Document, Environment};

    use super::*;

    fn settings(text: &str, secret: &str) -> Vec<Setting> {
        let environment = Environment::from_pairs([("SECRET", secret)]);
        let document = Document::parse(Path::new("engine.toml"), text.as_bytes(), &environment).unwrap();
        document.root().settings()
    }

    fn lines(before: &str, after: &str) -> Vec<String> {
        let report = crate::protocol::reload::ReloadReport {
            settings: difference(&settings(before, "one"), &settings(after, "two")),
            ..Default::default()
        };
        report.lines()
    }

    #[test]
    fn a_changed_added_or_removed_key_has_both_values() {
        let before = "[engine]\nlog_level = 'info'\n[engine.limits]\nfuel_per_event = 5\nmemory_bytes = 70_000\n\
                      [chains.1]\nrpc_url = 'https://host/${SECRET}'\nretries = 3\n";
        let after = "[engine]\nlog_level = 'debug'\n[engine.limits]\nmemory_bytes = 70000\nevent_deadline_ms = 7\n\
                     [chains.1]\nrpc_url = 'https://host/${SECRET}'\nretries = 4\n[metrics]\nlisten = '127.0.0.1:1'\n";
        assert_eq!(
            lines(before, after),
            [
                "engine.log_level: \"info\" -> \"debug\"",
                "engine.limits.event_deadline_ms: 10000 -> 7",
                "chains.1.rpc_url: \"https://host/…\", with another content",
                "chains.1.retries: 3 -> 4",
                "metrics.listen: no value -> \"127.0.0.1:1\"",
                "engine.limits.fuel_per_event: 5 -> 1000000000",
            ]
        );
        assert_eq!(lines("", "[engine]\nlog_level = 'info'\n"), [""; 0]);
    }

    #[test]
    fn the_order_of_modules_does_not_matter() {
        let a = "[[modules]]\npath = 'a.wasm'\n[modules.config]\nx = 1\n";
        let b = "[[modules]]\npath = 'b.wasm'\nname = 'bee'\n";
        assert_eq!(lines(&format!("{a}{b}"), &format!("{b}{a}")), [""; 0]);
        let more = a.replace("x = 1", "x = 2\ny = 3");
        assert_eq!(
            lines(&format!("{a}{b}"), &more),
            [
                "modules.a.wasm.config.x: 1 -> 2",
                "modules.a.wasm.config.y: no value -> 3",
                "modules.bee.path: \"b.wasm\" -> no value",
                "modules.bee.name: \"bee\" -> no value",
            ]
        );
    }

    #[test]
    fn ports_and_stores_need_a_restart() {
        let changes = difference(
            &[],
            &settings(
                "[engine]\nstate_dir = 'x'\nlog_level = 'warn'\nlog_format = 'json'\n[engine.limits]\ninstances = 1\n\
                 [store]\nbackend = 'sled'\n[chains.1]\nretries = 1\n[[modules]]\npath = 'a'\n",
                "",
            ),
        );
        let restart: Vec<_> = changes
            .iter()
            .filter(|change| needs_restart(change))
            .map(|change| &*change.key)
            .collect();
        assert_eq!(restart, ["engine.state_dir", "engine.log_format", "store.backend"]);
    }
}
