//! `nexum.toml`.

use std::path::Path;

use crate::document::{a_bound, limit_keys, report};
use nexum_config::limits::{Limit, RequestedLimits};
use nexum_config::manifest::{
    AUTHOR_CHARS_MAX, AUTHORS_MAX, BlockSubscription, CatchUp, DESCRIPTION_CHARS_MAX, MANIFEST_BYTES_MAX,
    MANIFEST_ITEMS_MAX, Manifest, SCHEDULES_MAX, SUBSCRIPTIONS_MAX, Subscription,
};
use nexum_config::restart::Restart;
use nexum_config::topic::ChainTopic;

fn parse(text: &str) -> Manifest {
    Manifest::parse(Path::new("nexum.toml"), text.as_bytes()).unwrap()
}

#[test]
fn an_empty_file_asks_for_nothing() {
    let manifest = parse("");
    assert!(manifest.name.is_none() && manifest.component.is_none() && manifest.capabilities.is_none());
    assert!(manifest.subscriptions.is_empty() && manifest.config.is_empty() && manifest.chains.required.is_empty());
    assert_eq!(
        (manifest.requested_limits, Restart::default().with(manifest.restart)),
        (RequestedLimits::default(), Restart::default())
    );
}

#[test]
fn every_key_is_read() {
    let text = r#"
        [module]
        name = "block-logger"
        version = "0.1.0"
        description = """
        Logs each block.
        """
        authors = ["Alice <alice@example.com>", "Bob"]
        component = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        [module.resources]
        LIMITS
        [module.restart]
        max_consecutive_failures = 3
        [module.query]
        pool_size_max = 4
        reads = "keeper"
        [module.chain]
        pin = "event"
        [chains]
        required = [1]
        optional = [100]
        [capabilities]
        required = ["chain", "http"]
        optional = ["cow"]
        denied = ["identity"]
        [capabilities.http]
        allow = ["api.cow.fi"]
        [[subscription]]
        kind = "block"
        chain_id = 1
        [config]
        threshold = 10
        "#;
    let manifest = parse(&text.replace("LIMITS", &limit_keys("max_")));
    let requested_limits = Limit::all().fold(RequestedLimits::default(), |requested_limits, limit| {
        requested_limits.with(limit, a_bound(limit))
    });
    assert_eq!(
        (manifest.requested_limits, Restart::default().with(manifest.restart)),
        (
            requested_limits,
            Restart {
                max_consecutive_failures: 3,
                ..Restart::default()
            }
        )
    );
    assert_eq!(manifest.name.as_ref().map(|name| name.as_str()), Some("block-logger"));
    assert_eq!(manifest.version.as_deref(), Some("0.1.0"));
    assert_eq!(manifest.description.as_deref(), Some("Logs each block."));
    assert_eq!(manifest.authors, ["Alice <alice@example.com>", "Bob"]);
    assert!(manifest.notices.is_empty(), "{:?}", manifest.notices);
    assert_eq!(manifest.component, Some(nexum_config::names::Digest::of(b"")));
    assert_eq!(manifest.query.pool_size_max, Some(4));
    assert_eq!(manifest.query.reads.as_ref().map(|name| name.as_str()), Some("keeper"));
    assert_eq!(
        (
            Vec::from_iter(manifest.chains.required),
            Vec::from_iter(manifest.chains.optional)
        ),
        (vec![1], vec![100])
    );
    assert_eq!(
        manifest.subscriptions,
        [Subscription::Block(BlockSubscription {
            topic: ChainTopic::latest(1),
            from_block: None,
            catch_up: CatchUp::All,
        })]
    );
    assert_eq!(manifest.config, [("threshold".to_owned(), "10".to_owned())]);
    assert_eq!(manifest.settings["chain"].key(), "module.chain");
    let capabilities = manifest.capabilities.unwrap();
    let names = |names: &[nexum_config::document::Located<String>]| {
        names.iter().map(|name| name.value.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&capabilities.required), ["chain", "http"]);
    assert_eq!(
        (names(&capabilities.optional), names(&capabilities.denied)),
        (vec!["cow".to_owned()], vec!["identity".to_owned()])
    );
    assert_eq!(capabilities.settings["http"].key(), "capabilities.http");
}

#[test]
fn without_a_chains_table_the_subscribed_chains_are_required() {
    let manifest = parse("[[subscription]]\nkind = \"block\"\nchain_id = 5");
    assert_eq!(Vec::from_iter(manifest.chains.required), [5]);
}

#[test]
fn a_subscription_to_messages_changes_nothing_but_is_known() {
    let manifest = parse("[[subscription]]\nkind = \"message\"\ncontent_topic = \"/app/1/chat/proto\"");
    assert!(manifest.wants_messages);
    assert_eq!(manifest.subscriptions, []);
    assert!(!parse("[[subscription]]\nkind = \"block\"\nchain_id = 5").wants_messages);
}

#[test]
fn an_unknown_name_is_refused_unless_it_is_optional() {
    let manifest =
        parse("[capabilities]\nrequired = [\"chian\"]\noptional = [\"wasi-env\", \"cow\"]\ndenied = [\"stor\"]");
    let requests = manifest.capabilities.expect("a table");
    let known = ["chain", "cow", "store", "wasi"];
    let unknown = requests.unknown(|name| known.contains(&name), known);
    let text = |errors: Vec<nexum_config::document::ConfigError>| {
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(text(unknown.refused), @r#"
    nexum.toml:2:13: capabilities.required[0]: there is no such capability, found "chian", the nearest known one is chain
    nexum.toml:4:11: capabilities.denied[0]: there is no such capability, found "stor", the nearest known one is store
    "#);
    insta::assert_snapshot!(text(unknown.ignored), @r#"nexum.toml:3:13: capabilities.optional[0]: there is no such capability, found "wasi-env", the nearest known one is wasi"#);
    assert!(requests.is_optional("wasi-env") && !requests.is_optional("stor"));
}

#[test]
fn errors_name_what_is_wrong_and_what_may_help() {
    let subscriptions = "[[subscription]]\nkind = \"block\"\nchain_id = 1\n".repeat(2);
    let cases = [
        "[modul]\nname = \"x\"",
        "module = 1",
        "[module]\nname = \"\"\nversion = \"\"",
        "[module]\nversion = \"\"\n[module.resources]\nmax_memory = 1\nmax_fuel_per_event = 0\n[module.restart]\nmax_consecutive_failures = 0",
        "[module.resources]\nmax_memory_bytes = 65_535\nmax_instances = 0\nmax_log_records_per_event = 0",
        "[module]\ncomponent = \"sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855\"",
        "[module]\nfiles = \"../secrets\"",
        "[module]\nfiles = 1",
        "[module.resorces]\nmax_memory_bytes = 1",
        "[module.query]\npool_size_max = 0\nreads = 5\nread = 1",
        "[module.query]\nreads = \"The Keeper\"",
        "[module.chain]\npin = 1\n[capabilities]\nrequired = [\"chain\"]\n[capabilities.chain]\npin = 1",
        "[chains]\nrequired = [1, 2]\noptional = [2]",
        "[chains]\nrequired = \"mainnet\"",
        "[chains]\nrequires = [1]",
        "[capabilities]\nrequired = [\"chain\", \"http\"]\noptional = [\"http\"]\ndenied = [\"chain\", \"chain\"]",
        "[capabilities]\nrequird = [\"chain\"]",
        "[capabilities]\nrequired = \"chain\"",
        "[capabilities]\nrequired = [1]",
        "[capabilities]\ndenied = [\"http\"]\n[capabilities.http]\nallow = [\"host\"]",
        "[capabilities.http]\nallow = []\nports = []",
        "[capabilities.http]\nallow = \"host\"",
        "[capabilities.chain]\npin = \"event\"",
        "[capabilities.identity]\nmethods = [1]\nkeys = []",
        "[content]\nsource = []",
        "[content]\nsources = 1",
        "[[content.sources]]\npath = \"a\"",
        "[module]\ndescription = 1\nauthors = [\"\"]",
        "[module]\ndescription = \"\\u001b[2J\"\nauthors = \"Alice\"",
        "[[subscription]]\nchain_id = 1",
        "[[subscription]]\nkind = \"cron\"\nschedule = \"0 0 30 2 *\"",
        "[[subscription]]\nkind = \"cron\"\nschedule = \"61 * * * *\"\nmissed = \"all\"",
        "[[subscription]]\nkind = \"cron\"\nschedule = \"61 * * * *\"\nchain_id = 1",
        "[[subscription]]\nkind = \"cron\"\nschedule = \"1 2 3\"",
        "[[subscription]]\nkind = \"cron\"\nschedule = \"* * * * *\"\n[[subscription]]\nkind = \"cron\"\nschedule = \"*  * * * *\"",
        "[[subscription]]\nkind = \"tick\"\n[[subscription]]\nkind = \"mesage\"",
        "[[subscription]]\nkind = \"blok\"\nchain_id = 1",
        "[[subscription]]\nkind = 1",
        "[[subscription]]\nkind = \"block\"",
        "[[subscription]]\nkind = \"block\"\nchain = 1",
        "[subscription]\nkind = \"block\"",
        "[chains]\nrequired = [1]\n[[subscription]]\nkind = \"block\"\nchain_id = 5",
        subscriptions.as_str(),
        "[config]\nlist = [\"${HOME}\", 340282366920938463463374607431768211456]\nsecret = \"${HOME}\"\nfallback = \"${HOME:-x}\"",
    ];
    let parse = |text: &str| Manifest::parse(Path::new("nexum.toml"), text.as_bytes());
    let report = report(cases.map(|text| (text.replace('\n', "⏎"), parse(text))));
    insta::assert_snapshot!(report);
}

/// The notices of a manifest, without its name.
fn notices(manifest: &Manifest) -> Vec<&str> {
    manifest
        .notices
        .iter()
        .map(|notice| notice.strip_prefix("nexum.toml:").unwrap())
        .collect()
}

#[test]
fn http_hosts_alone_list_the_capability() {
    let manifest = parse("[capabilities]\nrequired = [\"chain\"]\n[capabilities.http]\nallow = [\"api.example.com\"]");
    assert_eq!(
        notices(&manifest),
        ["4:9: capabilities.http.allow: has hosts, so `http` counts as required: add it to capabilities.required"]
    );
    let capabilities = manifest.capabilities.unwrap();
    let required: Vec<_> = capabilities.required.iter().map(|name| name.value.as_str()).collect();
    assert_eq!(required, ["chain", "http"]);
    assert_eq!(capabilities.settings.keys().collect::<Vec<_>>(), ["http"]);
}

#[test]
fn an_empty_list_of_hosts_lists_nothing() {
    for list in ["", "denied = [\"http\"]\n"] {
        let manifest = parse(&format!("[capabilities]\n{list}[capabilities.http]\nallow = []"));
        let line = 3 + list.lines().count();
        assert_eq!(
            notices(&manifest),
            [format!(
                "{line}:9: capabilities.http.allow: is empty, and no list names `http`: nexum ignores the table"
            )]
        );
        let capabilities = manifest.capabilities.unwrap();
        assert!(capabilities.required.is_empty() && capabilities.settings.is_empty());
    }
    let listed = parse("[capabilities]\noptional = [\"http\"]\n[capabilities.http]\nallow = []");
    assert_eq!(notices(&listed), Vec::<&str>::new());
    assert_eq!(listed.capabilities.unwrap().settings.len(), 1);
}

#[test]
fn a_digest_of_zeros_pins_nothing() {
    let manifest = parse(&format!("[module]\ncomponent = \"sha256:{}\"", "0".repeat(64)));
    assert_eq!(manifest.component, None);
    assert_eq!(
        notices(&manifest),
        ["2:13: module.component: is all zeros, so nexum accepts any component, found \"sha256:00000…\""]
    );
}

#[test]
fn settings_without_effect_are_read() {
    let manifest = parse(
        "[capabilities.identity]\nmethods = [\"accounts\", \"sign\"]\n\
         [[content.sources]]\ntype = \"local\"\npath = \"/modules\"\n\
         [[content.sources]]\ntype = \"swarm\"\nbee_api = \"http://localhost:1633\"",
    );
    assert_eq!(
        notices(&manifest),
        [
            "2:11: capabilities.identity.methods: has no effect yet",
            "3:1: content.sources[0]: has no effect yet: nexum reads each component from its path"
        ]
    );
    assert!(manifest.capabilities.unwrap().settings.is_empty());
    let many = "[[content.sources]]\ntype = \"local\"\n".repeat(17);
    let error = Manifest::parse(Path::new("nexum.toml"), many.as_bytes()).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("content.sources: expected at most 16 sources"),
        "{error}"
    );
}

#[test]
fn texts_for_people_have_bounds() {
    let module = |key: &str, value: String| {
        let text = format!("[module]\n{key} = {value}");
        Manifest::parse(Path::new("nexum.toml"), text.as_bytes())
    };
    let names = |count: usize, chars: usize| format!("[{}]", vec![format!("{:?}", "é".repeat(chars)); count].join(","));
    assert!(module("description", format!("{:?}", "é".repeat(DESCRIPTION_CHARS_MAX))).is_ok());
    assert!(module("description", format!("{:?}", "é".repeat(DESCRIPTION_CHARS_MAX + 1))).is_err());
    assert!(module("authors", names(AUTHORS_MAX, AUTHOR_CHARS_MAX)).is_ok());
    assert!(module("authors", names(AUTHORS_MAX + 1, 1)).is_err());
    assert!(module("authors", names(1, AUTHOR_CHARS_MAX + 1)).is_err());
    assert_eq!(module("description", "\" \"".to_owned()).unwrap().description, None);
}

#[test]
fn arrays_and_tables_reach_the_module_as_toml() {
    let manifest = parse(
        r#"
        [config]
        pools = [ "a", 'b"c\d',   0x10, 1_000.5, true ,
                  1979-05-27, # a comment
                ]
        empty = []
        none = {}
        point = {x=1,y = {z= "$${A}"}}
        quoted."a key" = """two
lines\t"""
        [config.retry]
        seconds = [1, 2]
        [config.retry.more]
        on = true
        [[config.route]]
        to = "here"
        [[config.route]]
        to = "there"
        "#,
    );
    let expected = [
        ("pools", r#"["a", "b\"c\\d", 16, 1000.5, true, 1979-05-27]"#),
        ("empty", "[]"),
        ("none", "{}"),
        ("point", r#"{ x = 1, y = { z = "${A}" } }"#),
        ("quoted", r#"{ "a key" = "two\nlines\t" }"#),
        ("retry", "{ seconds = [1, 2], more = { on = true } }"),
        ("route", r#"[{ to = "here" }, { to = "there" }]"#),
    ];
    assert_eq!(
        manifest.config,
        expected.map(|(key, value)| (key.to_owned(), value.to_owned()))
    );
    for (key, text) in expected {
        let read: toml::Table = format!("{key} = {text}").parse().unwrap();
        assert_eq!(read.len(), 1, "{text}");
    }
}

#[test]
fn the_text_of_an_array_has_a_bound() {
    let list = |bytes: usize| {
        let text = format!("[config]\nlist = [\"{}\"]", "x".repeat(bytes));
        Manifest::parse(Path::new("nexum.toml"), text.as_bytes())
    };
    assert_eq!(list(65_536 - 4).unwrap().config[0].1.len(), 65_536);
    let error = list(65_536 - 3).unwrap_err().to_string();
    assert_eq!(error, "nexum.toml:2:8: config.list: is longer than 65536 bytes as text");
}

#[test]
fn a_manifest_has_no_more_subscriptions_than_the_bound() {
    let text = |count: usize| {
        (0..count)
            .map(|id| format!("[[subscription]]\nkind = \"block\"\nchain_id = {id}\n"))
            .collect::<String>()
    };
    assert_eq!(parse(&text(SUBSCRIPTIONS_MAX)).subscriptions.len(), SUBSCRIPTIONS_MAX);
    assert!(Manifest::parse(Path::new("nexum.toml"), text(SUBSCRIPTIONS_MAX + 1).as_bytes()).is_err());
}

#[test]
fn a_manifest_of_ten_megabytes_is_refused_before_it_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("nexum.toml");
    std::fs::write(&path, vec![b'#'; 10 << 20]).unwrap();
    let errors = Manifest::load(&path.as_path().into()).unwrap_err();
    assert!(
        errors
            .to_string()
            .ends_with(&format!("nexum.toml: is larger than {MANIFEST_BYTES_MAX} bytes")),
        "{errors}"
    );
}

#[test]
fn a_manifest_has_no_more_keys_and_values_than_the_bound() {
    let text = |keys: usize| {
        format!(
            "[config]\n{}",
            (0..keys).map(|key| format!("k{key}=1\n")).collect::<String>()
        )
    };
    // The header has one key.
    let keys_max = (MANIFEST_ITEMS_MAX - 1) / 2;
    assert_eq!(parse(&text(keys_max)).config.len(), keys_max);
    let refused = Manifest::parse(Path::new("nexum.toml"), text(keys_max + 1).as_bytes()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "nexum.toml:10001:7: more than 20000 keys and values"
    );
}

#[test]
fn a_capabilitys_place_serves_for_a_later_error() {
    let capabilities = parse("[capabilities]\nrequired = [\"chain\",\n  \"chian\"]")
        .capabilities
        .unwrap();
    let unknown = &capabilities.required[1];
    let error = unknown
        .location
        .error("unknown capability")
        .with_nearest(&unknown.value, ["chain", "http"]);
    insta::assert_snapshot!(
        error,
        @r#"nexum.toml:3:3: capabilities.required[1]: unknown capability, found "chian", the nearest known one is chain"#
    );
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
        let _ = Manifest::parse(Path::new("nexum.toml"), &bytes);
    }
}

#[test]
fn a_module_has_so_many_schedules_and_no_more() {
    let schedules = |count| -> String {
        (0..count)
            .map(|minute| format!("[[subscription]]\nkind = \"cron\"\nschedule = \"{minute} * * * *\"\n"))
            .collect()
    };
    let parse = |text: &str| Manifest::parse(Path::new("nexum.toml"), text.as_bytes());
    let most = parse(&schedules(SCHEDULES_MAX)).expect("a manifest");
    assert_eq!(most.subscriptions[1].to_string(), "ticks at 1 * * * *");
    let refused = parse(&schedules(SCHEDULES_MAX + 1)).expect_err("one too many");
    assert!(
        refused.to_string().contains("a module has at most 32 schedules"),
        "{refused}"
    );
}
