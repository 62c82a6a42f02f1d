//! `component.toml`, the manifest of trigger modules.

use std::path::Path;

use crate::document::report;
use nexum_config::component::ModuleKind;
use nexum_config::engine::ModuleConfig;
use nexum_config::limits::{Limit, RequestedLimits};
use nexum_config::manifest::{BlockSubscription, CatchUp, Form, Manifest, Subscription};
use nexum_config::names::Digest;
use nexum_config::topic::ChainTopic;

/// The kind of a trigger module.
const TRIGGERS: ModuleKind = ModuleKind {
    handles_events: true,
    takes_triggers: true,
    answers_queries: false,
    has_functions: false,
};

fn parse(text: &str) -> Manifest {
    Manifest::parse(Path::new("component.toml"), text.as_bytes()).unwrap()
}

const EVERY_KEY: &str = r#"
    [component]
    name = "watcher"
    version = "0.3.0"
    digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    [component.resources]
    max_memory_bytes = 1_000_000
    max_fuel_per_dispatch = 500
    max_state_bytes = 100
    [dependencies]
    chain = {}
    local-store = {}
    logging = {}
    http = { hosts = ["api.example.com", "*.example.org"] }
    [[trigger]]
    on = "block"
    chain_id = 1
    [[trigger]]
    on = "event"
    chain_id = 42161
    address = "0xfdaFc9d1902f4e0b84f65F49f244b32b31013b74"
    event_signature = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
    resume = true
    start_block = 7
    [[trigger]]
    on = "event"
    chain_id = 1
    [[trigger]]
    on = "schedule"
    cron = "*/5 * * * *"
    [config]
    url = "https://api.example.com"
    tries = 3
    "#;

#[test]
fn every_key_is_read() {
    let manifest = parse(EVERY_KEY);
    assert_eq!(manifest.name.as_ref().map(|name| name.as_str()), Some("watcher"));
    assert_eq!(manifest.version.as_deref(), Some("0.3.0"));
    assert_eq!(manifest.component, Some(Digest::of(b"")));
    assert_eq!(manifest.digest, Some(Digest::of(EVERY_KEY.as_bytes())));
    let requested = RequestedLimits::default()
        .with(Limit::Memory, 1_000_000)
        .with(Limit::Fuel, 500)
        .with(Limit::StateBytes, 100);
    assert_eq!(manifest.requested_limits, requested);
    let capabilities = manifest.capabilities.as_ref().unwrap();
    let required: Vec<_> = capabilities.required.iter().map(|name| name.value.as_str()).collect();
    assert_eq!(required, ["chain", "local-store", "logging", "http"]);
    assert!(capabilities.optional.is_empty() && capabilities.denied.is_empty());
    // The capability reads its hosts under the name that it has in `nexum.toml`.
    let http = &capabilities.settings["http"];
    assert_eq!(
        (http.key(), http.keys().collect::<Vec<_>>()),
        ("dependencies.http", vec!["allow"])
    );
    let subscriptions: Vec<_> = manifest.subscriptions.iter().map(ToString::to_string).collect();
    assert_eq!(
        subscriptions,
        [
            "blocks of 1",
            "logs of 42161, from 7",
            "logs of 1",
            "ticks at */5 * * * *"
        ]
    );
    let block = BlockSubscription {
        topic: ChainTopic::latest(1),
        from_block: None,
        catch_up: CatchUp::All,
    };
    assert_eq!(manifest.subscriptions[0], Subscription::Block(block));
    let Subscription::Logs(logs) = &manifest.subscriptions[1] else {
        panic!("{:?}", manifest.subscriptions[1]);
    };
    assert_eq!((logs.filter.addresses.len(), logs.filter.addresses[0][0]), (1, 0xfd));
    assert_eq!(logs.filter.topics.each_ref().map(Vec::len), [1, 0, 0, 0]);
    assert_eq!(Vec::from_iter(manifest.chains.required), [1, 42161]);
    let config = [("url", "https://api.example.com"), ("tries", "3")];
    assert_eq!(
        manifest.config,
        config.map(|(key, value)| (key.to_owned(), value.to_owned()))
    );
    assert!(
        manifest.notices.is_empty() && !manifest.wants_messages,
        "{:?}",
        manifest.notices
    );
}

#[test]
fn an_empty_table_of_dependencies_grants_nothing() {
    let manifest = parse("[component]\nname = \"a\"\n[dependencies]");
    let capabilities = manifest.capabilities.unwrap();
    assert!(capabilities.required.is_empty() && capabilities.settings.is_empty());
    assert!(manifest.subscriptions.is_empty());
    let without_hosts = parse("[dependencies]\nhttp = {}").capabilities.unwrap();
    assert!(without_hosts.settings.is_empty());
}

#[test]
fn settings_without_effect_are_notices() {
    let manifest = parse(&format!(
        "[component]\ndigest = \"sha256:{}\"\n[dependencies]\n[[trigger]]\non = \"event\"\nchain_id = 1\nmax_lookback = 9",
        "0".repeat(64)
    ));
    assert_eq!(manifest.component, None);
    assert_eq!(
        manifest.notices,
        [
            "component.toml:2:10: component.digest: is all zeros, so nexum accepts any component, found \"sha256:00000…\"",
            "component.toml:7:16: trigger[0].max_lookback: has no effect: nexum delivers every log that the module missed, found 9",
        ]
    );
}

#[test]
fn errors_name_what_is_wrong_and_what_may_help() {
    let none = "[dependencies]\n";
    let schedule = |minute: u8| format!("[[trigger]]\non = \"schedule\"\ncron = \"{minute} * * * *\"\n");
    let cases = [
        "".to_owned(),
        "[component]\nname = \"A B\"\nkind = \"module\"\n[component.resources]\nmax_fuel_per_event = 1\nmax_memory_bytes = 1\n[dependencies]".to_owned(),
        "[dependencies]\nchain = 1\nlogging = { hosts = [\"a\"] }\nhttp = { host = \"a\" }".to_owned(),
        "[dependencies]\nclient = {}\nwasi-filesystem = {}".to_owned(),
        "dependencies = [\"chain\"]".to_owned(),
        format!("{none}[venue]\nbody_version = 1\n[[trigger]]\non = \"intent-status\"\nvenue = \"cow\""),
        format!("{none}[[subscription]]\nkind = \"block\"\nchain_id = 1"),
        format!("{none}[[trigger]]\nchain_id = 1"),
        format!("{none}[[trigger]]\non = \"blocks\"\nchain_id = 1"),
        format!("{none}[[trigger]]\non = \"extension\""),
        format!("{none}[[trigger]]\non = \"block\"\nconfirmations = 1"),
        format!("{none}[[trigger]]\non = \"event\"\nchain_id = 1\naddress = \"0x1\"\nevent_signature = \"0x2\"\nresume = 1"),
        format!("{none}[[trigger]]\non = \"schedule\"\ncron = \"61 * * * *\""),
        format!("{none}[[trigger]]\non = \"schedule\""),
        format!("{none}{}", "[[trigger]]\non = \"block\"\nchain_id = 1\n".repeat(2)),
        format!("{none}{}", (0..33).map(schedule).collect::<String>()),
    ];
    let parse = |text: &str| Manifest::parse(Path::new("component.toml"), text.as_bytes());
    let mut cases: Vec<_> = cases
        .iter()
        .map(|text| (text.replace('\n', "⏎"), parse(text)))
        .collect();
    if let Some((name, _)) = cases.last_mut() {
        *name = "33 schedules".to_owned();
    }
    insta::assert_snapshot!(report(cases));
}

#[test]
fn the_tables_or_else_the_name_of_the_file_tell_its_form() {
    let form = |path: &str, text: &str| {
        let manifest = Manifest::parse_all(Path::new(path), text.as_bytes(), &mut Vec::new());
        manifest.unwrap().form
    };
    let trigger = "[[trigger]]\non = \"block\"\nchain_id = 1";
    let subscription = "[[subscription]]\nkind = \"block\"\nchain_id = 1";
    for name in ["other.toml", "nexum.toml", "component.toml"] {
        for text in [
            "[component]\nname = \"a\"",
            "[dependencies]",
            trigger,
            "[module]\n[dependencies]",
        ] {
            assert_eq!(form(name, text), Form::Component, "{name}: {text}");
        }
        for text in [
            "[module]\nname = \"a\"",
            "[capabilities]",
            subscription,
            "[module]\n[config]",
        ] {
            assert_eq!(form(name, text), Form::Module, "{name}: {text}");
        }
    }
    for text in ["", "[config]", "[typo]"] {
        assert_eq!(form("component.toml", text), Form::Component, "{text}");
        assert_eq!(form("other.toml", text), Form::Module, "{text}");
    }
    let sound = |name: &str, text: &str| Manifest::parse(Path::new(name), text.as_bytes()).is_ok();
    assert!(sound("component.toml", "[module]\nname = \"a\""));
    assert!(sound("nexum.toml", "[component]\nname = \"a\"\n[dependencies]"));
}

#[test]
fn the_file_beside_the_component_is_for_trigger_modules() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let config = ModuleConfig::new(path("a.wasm").as_path());
    let read = |kind| {
        let mut errors = Vec::new();
        let manifest = Manifest::of_module_all(&config, kind, &mut errors);
        assert!(errors.is_empty(), "{errors:?}");
        manifest.map(|manifest| manifest.map(|manifest| manifest.name.unwrap().as_str().to_owned()))
    };
    let other = ModuleKind {
        takes_triggers: false,
        ..TRIGGERS
    };
    std::fs::write(
        path("component.toml"),
        "[component]\nname = \"triggers\"\n[dependencies]",
    )
    .unwrap();
    assert_eq!(read(TRIGGERS).unwrap().as_deref(), Some("triggers"));
    assert_eq!(read(other).unwrap(), None);
    assert_eq!(
        config.unread_manifest().as_deref(),
        Some(
            "nexum reads component.toml only beside a trigger module: if it is the module's manifest, rename it to \
             nexum.toml"
        )
    );
    std::fs::write(path("nexum.toml"), "[module]\nname = \"module\"").unwrap();
    assert_eq!(read(other).unwrap().as_deref(), Some("module"));
    let both = read(TRIGGERS).unwrap_err().to_string();
    let both = both.replace(&directory.path().display().to_string(), "DIR");
    assert_eq!(both, "DIR/nexum.toml: DIR/component.toml is a manifest too");
    std::fs::remove_file(path("component.toml")).unwrap();
    assert_eq!(read(TRIGGERS).unwrap().as_deref(), Some("module"));
}

#[test]
fn a_kind_has_its_words() {
    assert_eq!(TRIGGERS.to_string(), "a trigger module");
    assert_eq!((TRIGGERS.is_none(), TRIGGERS.has_pool()), (false, false));
    assert_eq!(TRIGGERS.manifest_file(), "component.toml");
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
        let _ = Manifest::parse(Path::new("component.toml"), &bytes);
    }
}
