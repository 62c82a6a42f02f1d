//! The configuration as an operator may see it: every value with its origin, without secrets.

use nexum_config::document::{Defaults, Section, Setting, toml_string};
use nexum_store::Backend;
use serde_json::Value;

use crate::args::Files;
use crate::compose;
use crate::configure::{
    AdminConfig, ConfigFile, EffectsConfig, LEVEL_VARIABLES, LedgerConfig, LogConfig, MetricsConfig, NotifyConfig,
    QueryConfig, level_variables, set,
};
use crate::contract::{ACCOUNTS_SECTION, CLUSTER_SECTION, EFFECTS_SECTION, IDENTITY, LEDGER_SECTION};
use crate::protocol::config::{EffectiveConfig, SettingOrigin, ShownSetting};

/// The top-level tables in the order of `engine.example.toml`.
const ORDER: [&str; 14] = [
    "engine",
    "metrics",
    "query",
    "admin",
    "notify",
    "store",
    EFFECTS_SECTION,
    LEDGER_SECTION,
    CLUSTER_SECTION,
    "chains",
    "cow",
    "http",
    ACCOUNTS_SECTION,
    IDENTITY,
];

/// The tables of the modules, which the command line can replace.
const MODULES: &str = "modules";

/// The values of the configuration that this process reads: those of the file, of the environment and of
/// the command line. `root` is the outermost table of `file`. With `has_defaults`, the result also has
/// the values of absent keys.
pub(crate) fn effective(
    file: &ConfigFile,
    root: Option<&Section>,
    files: &Files,
    has_defaults: bool,
) -> EffectiveConfig {
    let mut settings: Vec<_> = root.map(Section::settings).unwrap_or_default();
    let named: Vec<_> = files.modules().collect();
    if !named.is_empty() {
        settings.retain(|setting| !is_in(&setting.table, MODULES));
    }
    let mut shown: Vec<_> = settings.iter().map(of_file).collect();
    for (index, module) in named.iter().enumerate() {
        let table = format!("{MODULES}[{index}]");
        let mut add = |key: &str, path: String| {
            shown.push(ShownSetting {
                table: table.clone(),
                key: key.to_owned(),
                value: path.into(),
                origin: SettingOrigin::CommandLine,
            });
        };
        add("path", module.path.display().to_string());
        if let Some(manifest) = &module.manifest {
            add("manifest", manifest.display().to_string());
        }
    }
    override_level(&mut shown);
    let mut all = defaults(backend(&shown));
    // Without this table, the process is no node and has none of its keys.
    let is_node = root.is_some_and(|root| root.keys().any(|key| key == CLUSTER_SECTION));
    all.retain(|(table, _)| is_node || *table != CLUSTER_SECTION);
    let mut tables = tables(&shown, &all, has_defaults);
    tables.sort_by_key(|table| rank(table));
    let of_table = |table: &String| {
        let given = shown.iter().filter(|setting| setting.table == *table).cloned();
        let absent = match has_defaults {
            true => absent(table, &shown, &all),
            false => Vec::new(),
        };
        given.chain(absent).collect::<Vec<_>>()
    };
    EffectiveConfig {
        file: file.absolute(),
        settings: tables.iter().flat_map(of_table).collect(),
    }
}

/// The default values of all tables. A path has `*` for any key, and `[]` for any element.
fn defaults(backend: Backend) -> Vec<(&'static str, Defaults)> {
    let own = [
        ("engine", LogConfig::defaults()),
        ("metrics", MetricsConfig::defaults()),
        ("query", QueryConfig::defaults()),
        ("admin", AdminConfig::defaults()),
        ("notify", NotifyConfig::defaults()),
        (EFFECTS_SECTION, EffectsConfig::defaults()),
        (LEDGER_SECTION, LedgerConfig::defaults()),
    ];
    let engine = nexum_config::engine::Config::defaults();
    let all = engine.into_iter().chain(own).chain(compose::defaults(backend));
    all.collect()
}

/// The back-end of the state: it has defaults of its own.
fn backend(shown: &[ShownSetting]) -> Backend {
    let is_backend = |setting: &&ShownSetting| setting.table == "store" && setting.key == "backend";
    let given = shown.iter().find(is_backend).map(|setting| setting.value.clone());
    // Another check finds a back-end that does not exist.
    given
        .and_then(|value| serde_json::from_value(value).ok())
        .unwrap_or_default()
}

/// The value as the file has it.
fn of_file(setting: &Setting) -> ShownSetting {
    ShownSetting {
        table: setting.table.clone(),
        key: setting.key.clone(),
        value: value(&setting.value),
        origin: SettingOrigin::File {
            line: setting.line,
            references: setting.references.clone(),
        },
    }
}

/// The default value of a key, or null.
pub(crate) fn default_value(table: &str, key: &str) -> Value {
    let all = defaults(Backend::default());
    let mut keys = all
        .iter()
        .filter(|(pattern, _)| matches(pattern, table))
        .flat_map(|(_, keys)| keys);
    let found = keys.find(|(name, _)| *name == key);
    found.and_then(|(_, text)| text.as_deref()).map_or(Value::Null, value)
}

/// A value in TOML's notation. Strings, numbers and arrays of them are valid JSON as well.
pub(crate) fn value(toml: &str) -> Value {
    serde_json::from_str(toml).unwrap_or_else(|_| toml.into())
}

/// Replaces `log_level` if a variable overrides it.
fn override_level(shown: &mut Vec<ShownSetting>) {
    let Some((name, level)) = set(level_variables()).next() else {
        return;
    };
    debug_assert!(LEVEL_VARIABLES.contains(&name));
    let is_level = |setting: &ShownSetting| setting.table == "engine" && setting.key == "log_level";
    shown.retain(|setting| !is_level(setting));
    shown.push(ShownSetting {
        table: "engine".to_owned(),
        key: "log_level".to_owned(),
        value: value(&toml_string(&level)),
        origin: SettingOrigin::Variable { name: name.to_owned() },
    });
}

/// The tables to show, each once: those of the values, their parents with default values, and with
/// `has_defaults` the absent ones.
fn tables(shown: &[ShownSetting], all: &[(&str, Defaults)], has_defaults: bool) -> Vec<String> {
    let mut tables: Vec<String> = Vec::new();
    let mut add = |table: &str| {
        if !tables.iter().any(|known| known == table) {
            tables.push(table.to_owned());
        }
    };
    for ShownSetting { table, .. } in shown {
        let ends = table.match_indices('.').map(|(end, _)| &table[..end]);
        let is_known = |parent: &&str| all.iter().any(|(pattern, _)| matches(pattern, parent));
        ends.filter(is_known).for_each(&mut add);
        add(table);
    }
    let is_single = |pattern: &&str| !pattern.contains(['*', '[']);
    let absent = all.iter().map(|(pattern, _)| *pattern).filter(is_single);
    absent.filter(|_| has_defaults).for_each(&mut add);
    tables
}

/// The default values of the keys that a table does not have.
fn absent(table: &str, shown: &[ShownSetting], all: &[(&str, Defaults)]) -> Vec<ShownSetting> {
    let of_table = all.iter().filter(|(pattern, _)| matches(pattern, table));
    let is_given = |key: &str| shown.iter().any(|setting| setting.table == table && setting.key == key);
    // A chain has one endpoint in `rpc_url`, or several in tables.
    let has_endpoints = shown
        .iter()
        .any(|setting| setting.table.starts_with(&format!("{table}.endpoints[")));
    let keys = of_table.flat_map(|(_, keys)| keys).filter(|(key, _)| !is_given(key));
    let keys = keys.filter(|(key, _)| !(has_endpoints && *key == "rpc_url"));
    let default = |(key, text): &(&str, Option<String>)| ShownSetting {
        table: table.to_owned(),
        key: (*key).to_owned(),
        value: text.as_deref().map_or(Value::Null, value),
        origin: SettingOrigin::Default,
    };
    keys.map(default).collect()
}

/// Whether `table` is one of the tables that `pattern` names.
fn matches(pattern: &str, table: &str) -> bool {
    let (mut pattern, mut table) = (pattern.split('.'), table.split('.'));
    loop {
        match (pattern.next(), table.next()) {
            (None, None) => return true,
            (Some(pattern), Some(part)) if is_part(pattern, part) => {}
            _ => return false,
        }
    }
}

fn is_part(pattern: &str, part: &str) -> bool {
    match pattern.strip_suffix("[]") {
        Some(name) => {
            let index = part.strip_prefix(name).and_then(|rest| rest.strip_prefix('['));
            index.is_some_and(|index| index.ends_with(']'))
        }
        // The other parts with free names are chain ids.
        None if pattern == "*" => !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()),
        None => pattern == part,
    }
}

fn is_in(table: &str, top: &str) -> bool {
    table.split(['.', '[']).next() == Some(top)
}

/// The place of a table's top-level table. Modules are the last.
fn rank(table: &str) -> usize {
    let known = ORDER.iter().position(|top| is_in(table, top));
    known.unwrap_or(ORDER.len() + usize::from(is_in(table, MODULES)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_names_the_tables_of_one_kind() {
        for (pattern, table, expected) in [
            ("engine", "engine", true),
            ("engine", "engine.limits", false),
            ("chains.*", "chains.1", true),
            ("chains.*", "chains.1.endpoints[0]", false),
            ("chains.*.endpoints[]", "chains.1.endpoints[10]", true),
            ("chains.*.endpoints[]", "chains.1.endpoints[0].headers", false),
            ("modules[]", "modules[3]", true),
            ("modules[]", "modules[3].config", false),
            ("cow.*", "cow.headers", false),
        ] {
            assert_eq!(matches(pattern, table), expected, "{pattern} {table}");
        }
    }
}
