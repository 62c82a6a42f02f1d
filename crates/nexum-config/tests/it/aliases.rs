//! Old names of keys and values.

use std::path::Path;

use nexum_config::aliases::{ALIASES, Alias, Change, File};
use nexum_config::document::{ConfigErrors, Environment, Section};
use nexum_config::engine::Config;
use nexum_config::manifest::Manifest;

/// The content of a file, in a form that shows no positions of sections, and its notices.
fn read(file: File, text: &str) -> Result<(String, Vec<String>), ConfigErrors> {
    let path = Path::new("a.toml");
    match file {
        File::Engine => Config::parse(path, text.as_bytes(), &Environment::closed()).map(|config| {
            let table = |section: &Section| section.parse::<toml::Table>().unwrap();
            let chains: Vec<_> = config.chains.iter().map(|(id, section)| (id, table(section))).collect();
            let sections: Vec<_> = config
                .sections
                .iter()
                .map(|(key, section)| (key, table(section)))
                .collect();
            let Config {
                limits,
                restart,
                modules,
                ..
            } = &config;
            (
                format!("{limits:?} {restart:?} {modules:?} {chains:?} {sections:?}"),
                config.notices,
            )
        }),
        File::Manifest => Manifest::parse(path, text.as_bytes()).map(|mut manifest| {
            let notices = std::mem::take(&mut manifest.notices);
            manifest.digest = None;
            (format!("{manifest:?}"), notices)
        }),
    }
}

/// A file with the old name, and the equal file with the new one.
fn files(alias: &Alias) -> [String; 2] {
    let line = |path: &str, value: &str| format!("{} = {value}\n", path.replace('*', "1"));
    let (old, new) = match (alias.change, alias.new) {
        (Change::Word { old, new }, "subscription[].kind") => {
            return [old, new].map(|word| format!("[[subscription]]\nkind = \"{word}\"\nchain_id = 1\n"));
        }
        (Change::Word { old, new }, "capabilities.*[]") => {
            return [old, new].map(|word| format!("[capabilities]\noptional = [\"{word}\"]\n"));
        }
        (Change::Seconds, _) => ("7", "7000"),
        (Change::Switch { default, .. }, _) => ("true", &*format!("{default:?}").leak()),
        (_, "engine.limits") => ("{ fuel_per_event = 5 }", ""),
        (_, "module.resources") => ("{ max_fuel_per_event = 5 }", ""),
        (_, "metrics.listen") => {
            // Without the switch, the address has no effect.
            let old = format!("{}engine.metrics.enabled = true\n", line(alias.old, "\"127.0.0.1:1\""));
            return [old, line(alias.new, "\"127.0.0.1:1\"")];
        }
        (Change::Gone, _) => return [line(alias.old, "600"), String::new()],
        (_, "engine.restart") => ("{ attempts_max = 2 }", ""),
        (_, "engine.restart.max_consecutive_failures") => ("7", ""),
        (_, "metrics") => ("{ allowed_hosts = [\"a\"] }", ""),
        (_, "store") => ("{ backend = \"memory\" }", ""),
        (_, "cow") => ("{ use_proxy = true }", ""),
        (_, "cow.*.base_url") => ("\"http://localhost/\"", ""),
        (_, path) if path.starts_with("chains.") => ("{ rpc_url = \"ws://localhost/\" }", ""),
        (_, path) if path.starts_with("module.resources.") => ("70_000", ""),
        (change, path) => panic!("no value for {path}, {change:?}"),
    };
    let new = if new.is_empty() { old } else { new };
    [line(alias.old, old), line(alias.new, new)]
}

#[test]
fn an_old_name_reads_as_the_new_one_and_yields_one_notice() {
    for alias in ALIASES {
        // The old key of a chain's order book leaves the chain behind.
        let chain = match alias.old {
            "chains.*.orderbook_url" => "chains.1.rpc_url = \"ws://localhost/\"\n",
            _ => "",
        };
        let [old, new] = files(alias).map(|file| file + chain);
        let (from_old, notices) = read(alias.file, &old).unwrap();
        let (from_new, none) = read(alias.file, &new).unwrap();
        assert_eq!(from_old, from_new, "{old}{new}");
        assert_eq!(none, Vec::<String>::new(), "{new}");
        let old_key = alias.old.replace('*', "1");
        let mut of_alias = notices
            .iter()
            .filter(|notice| alias.old.contains("[]") || notice.contains(&format!(": {old_key}: ")));
        let (Some(notice), None) = (of_alias.next(), of_alias.next()) else {
            panic!("{old}: {notices:?}")
        };
        let word = match alias.change {
            Change::Word { new, .. } => format!("{new:?}"),
            _ => alias.new.replace('*', "1"),
        };
        assert!(
            notice.contains(&word) && notice.starts_with("a.toml:"),
            "{word}: {notice}"
        );
        assert!(!notice.contains('\n'), "{notice}");
    }
}

#[test]
fn an_old_name_beside_the_new_one_is_an_error_at_the_old_one() {
    for alias in ALIASES
        .iter()
        .filter(|alias| !matches!(alias.change, Change::Word { .. } | Change::Gone))
    {
        let [old, new] = files(alias);
        for (text, line) in [(format!("{old}{new}"), 1), (format!("{new}{old}"), 2)] {
            let errors = read(alias.file, &text).unwrap_err();
            let error = errors.iter().next().unwrap();
            let path = alias.new.replace('*', "1");
            let expected = format!(
                "a.toml:{line}:{}: {}: is an old name of {path}, which is set too",
                alias.old.replace('*', "1").rfind('.').map_or(1, |dot| dot + 2),
                alias.old.replace('*', "1")
            );
            assert_eq!(error.to_string(), expected, "{text}");
            assert_eq!(errors.iter().count(), 1, "{errors}");
        }
    }
}

#[test]
fn the_page_for_migrating_lists_every_old_name() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/migrating.md");
    let page = std::fs::read_to_string(page).unwrap();
    for alias in ALIASES {
        let row = format!("| `{}` | `{}` | `{}` |", alias.file, alias.old_text(), alias.new_text());
        assert!(page.lines().any(|line| line.starts_with(&row)), "no row {row}");
    }
}

fn notices(text: &str) -> Vec<String> {
    Config::parse(Path::new("engine.toml"), text.as_bytes(), &Environment::closed())
        .unwrap()
        .notices
}

#[test]
fn the_switch_of_the_metrics_port_decides() {
    let listen = |text: &str| {
        let config = Config::parse(Path::new("engine.toml"), text.as_bytes(), &Environment::closed()).unwrap();
        let metrics = config.sections.get("metrics");
        let listen = metrics.and_then(|section| section.parse::<toml::Table>().unwrap().remove("listen"));
        listen.map(|listen| listen.as_str().unwrap().to_owned())
    };
    let address = "bind_addr = \"127.0.0.1:1\"\n";
    for (text, expected) in [
        (
            format!("[engine.metrics]\nenabled = true\n{address}"),
            Some("127.0.0.1:1"),
        ),
        (format!("[engine.metrics]\n{address}enabled = false\n"), None),
        ("[engine.metrics]\nenabled = true\n".to_owned(), Some("127.0.0.1:9100")),
        ("[engine.metrics]\nenabled = false\n".to_owned(), None),
        ("[engine.metrics]\n".to_owned(), None),
        (format!("[engine.metrics]\n{address}"), None),
        (
            format!("[metrics]\nallowed_hosts = [\"a\"]\n[engine.metrics]\nenabled = true\n{address}"),
            Some("127.0.0.1:1"),
        ),
    ] {
        assert_eq!(listen(&text).as_deref(), expected, "{text}");
    }
    let text = "[engine.metrics]\nenabled = true\nbind_addr = \"127.0.0.1:1\"";
    assert_eq!(
        notices(text),
        [
            "engine.toml:2:1: engine.metrics.enabled: is an old name, now metrics.listen alone opens the port",
            "engine.toml:3:1: engine.metrics.bind_addr: is an old name, the new one is metrics.listen"
        ]
    );
    assert_eq!(
        notices("[engine.metrics]\nbind_addr = \"127.0.0.1:1\""),
        [
            "engine.toml:2:1: engine.metrics.bind_addr: has no effect without engine.metrics.enabled = true; \
             metrics.listen opens the port"
        ]
    );
    let refused = Config::parse(
        Path::new("engine.toml"),
        b"[engine.metrics]\nenabled = \"yes\"",
        &Environment::closed(),
    );
    assert_eq!(
        refused.unwrap_err().to_string(),
        "engine.toml:2:11: engine.metrics.enabled: expected true or false, found \"yes\""
    );
}

#[test]
fn one_notice_counts_all_uses_of_a_name() {
    let chains: String = [1, 100, 8453]
        .map(|id| format!("[chains.{id}]\norderbook_url = \"http://localhost:{id}\"\n"))
        .concat();
    assert_eq!(
        notices(&chains),
        [
            "engine.toml:2:1: chains.1.orderbook_url: is an old name, the new one is cow.1.base_url, also at 2 more places"
        ]
    );
}

#[test]
fn an_error_has_the_position_of_the_text() {
    for (text, expected) in [
        (
            "\n[limits]\nfuel_per_event = 0\nmemory = 1",
            "engine.toml:3:18: engine.limits.fuel_per_event: expected a whole number from 1 to 100000000000000, found 0\n\
             engine.toml:4:1: engine.limits.memory: unknown key, the nearest known one is memory_bytes",
        ),
        (
            "[limits]\nevent_deadline_secs = \"7\"",
            "engine.toml:2:23: engine.limits.event_deadline_ms: expected a whole number from 1 to 3600000, found \"7\"",
        ),
        (
            "[limits]\nevent_deadline_secs = 7200",
            "engine.toml:2:23: engine.limits.event_deadline_secs: expected a whole number of seconds from 1 to 3600, found 7200",
        ),
        (
            "engine = 5\n[limits]\nfuel_per_event = 1",
            "engine.toml:1:10: engine: expected a table, found 5\n\
             engine.toml:2:2: limits: is an old name of engine.limits, which is not in a table",
        ),
        (
            "[cow]\n[cow_api]\n[cow-api]",
            "engine.toml:2:2: cow_api: is an old name of cow, which is set too\n\
             engine.toml:3:2: cow-api: is an old name of cow, which is set too",
        ),
    ] {
        let refused = Config::parse(Path::new("engine.toml"), text.as_bytes(), &Environment::closed());
        assert_eq!(refused.unwrap_err().to_string(), expected, "{text}");
    }
}
