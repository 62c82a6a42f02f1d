//! `engine.toml`.

use std::path::Path;

use crate::document::{a_bound, limit_keys, report};
use nexum_config::document::Environment;
use nexum_config::engine::{Config, Pooling};
use nexum_config::limits::{Limit, Limits};

fn parse(text: &str) -> Config {
    Config::parse(
        Path::new("/etc/nexum/engine.toml"),
        text.as_bytes(),
        &Environment::from_pairs([("NAME", "blocks")]),
    )
    .unwrap()
}

#[test]
fn the_number_of_chains_has_a_bound() {
    let chains = |count: u64| {
        let text: String = (1..=count).map(|id| format!("[chains.{id}]\n")).collect();
        Config::parse(
            Path::new("engine.toml"),
            text.as_bytes(),
            &Environment::from_pairs([("NAME", "blocks")]),
        )
    };
    assert_eq!(chains(1_000).unwrap().chains.len(), 1_000);
    let error = chains(1_001).unwrap_err().to_string();
    assert!(error.contains("more than 1000 chains"), "{error}");
}

#[test]
fn the_numbers_of_modules_and_sections_have_bounds() {
    let errors = |text: &str| {
        let parsed = Config::parse(Path::new("engine.toml"), text.as_bytes(), &Environment::closed());
        parsed.map(drop).map_err(|errors| errors.to_string())
    };
    let modules = "[[modules]]\npath = \"a.wasm\"\n";
    assert_eq!(errors(&modules.repeat(10_000)), Ok(()));
    assert_eq!(
        errors(&modules.repeat(10_001)),
        Err("engine.toml:20001:1: modules[10000]: more than 10000 modules".to_owned())
    );
    let sections = |count: u64| {
        (0..count)
            .map(|index| format!("[section{index}]\n"))
            .collect::<String>()
    };
    assert_eq!(errors(&sections(100)), Ok(()));
    assert_eq!(
        errors(&sections(101)),
        Err("engine.toml:101:1: section100: more than 100 tables of capabilities".to_owned())
    );
    let unknown = (1..=13).map(|index| format!("key{index} = 1\n")).collect::<String>();
    let said = errors(&unknown).unwrap_err();
    assert_eq!(said.lines().count(), 11, "{said}");
    assert!(said.ends_with("engine.toml:11:1: and 3 more unknown keys"), "{said}");
}

#[test]
fn an_empty_file_is_all_defaults() {
    let config = parse("");
    assert_eq!(config.state_dir, "/etc/nexum/data".into());
    assert_eq!((config.limits, config.pooling), (Limits::default(), Pooling::Auto));
    assert!(config.chains.is_empty() && config.modules.is_empty() && config.sections.is_empty());
}

#[test]
fn every_key_is_read() {
    let text = r#"
        [engine]
        state_dir = "/var/lib/nexum"
        log_level = "warn,nexum=debug"
        log_format = "json"
        pooling = "off"
        shutdown_deadline_ms = 5_000
        [engine.limits]
        total_memory_bytes = 1_000_000
        LIMITS
        [chains.1]
        rpc_url = "ws://localhost:8545"
        [store]
        backend = "redb"
        [[modules]]
        path = "modules/one.wasm"
        manifest = "one.toml"
        name = "${NAME}-1"
        digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        reads = ["keeper", "other"]
        [modules.config]
        text = "a ${NAME} b"
        escaped = "$${NAME}"
        hex = 0xff
        float = 1_000.50
        flag = true
        date = 2026-01-02T03:04:05Z
        list = ["${NAME}", 0xff]
        table.key = "$${NAME}"
        [[modules]]
        path = "/two.wasm"
        enabled = false
        "#;
    let config = parse(&text.replace("LIMITS", &limit_keys("")));
    let limits = Limit::all().fold(Limits::default(), |limits, limit| limits.with(limit, a_bound(limit)));
    assert_eq!(config.total_memory_bytes, Some(1_000_000));
    assert_eq!((config.state_dir, config.limits), ("/var/lib/nexum".into(), limits));
    let engine = config.engine.unwrap();
    assert_eq!(
        engine.keys().collect::<Vec<_>>(),
        [
            "state_dir",
            "log_level",
            "log_format",
            "pooling",
            "shutdown_deadline_ms",
            "limits"
        ]
    );
    assert_eq!(engine.only(&["log_level"]).keys().collect::<Vec<_>>(), ["log_level"]);
    assert_eq!((config.pooling, config.shutdown_deadline_ms), (Pooling::Off, 5_000));
    assert_eq!(config.chains.keys().collect::<Vec<_>>(), [&1]);
    assert_eq!(config.sections.keys().collect::<Vec<_>>(), ["store"]);
    let [one, two] = &config.modules[..] else {
        panic!("two modules")
    };
    assert_eq!(one.path, "/etc/nexum/modules/one.wasm".into());
    assert_eq!(one.manifest, Some("/etc/nexum/one.toml".into()));
    assert_eq!(one.name.as_ref().map(|name| name.as_str()), Some("blocks-1"));
    assert_eq!(one.digest, Some(nexum_config::names::Digest::of(b"")));
    let reads: Vec<_> = one.reads.iter().map(|name| name.as_str()).collect();
    assert_eq!(reads, ["keeper", "other"]);
    let expected = [
        ("text", "a blocks b"),
        ("escaped", "${NAME}"),
        ("hex", "255"),
        ("float", "1000.50"),
        ("flag", "true"),
        ("date", "2026-01-02T03:04:05Z"),
        ("list", r#"["blocks", 255]"#),
        ("table", r#"{ key = "${NAME}" }"#),
    ];
    assert_eq!(
        one.config,
        expected.map(|(key, value)| (key.to_owned(), value.to_owned()))
    );
    assert_eq!((&two.path, &two.config), (&"/two.wasm".into(), &vec![]));
    assert_eq!((one.enabled, two.enabled), (true, false));
    let line = 1 + text
        .replace("LIMITS", &limit_keys(""))
        .lines()
        .position(|line| line.contains("[[modules]]"))
        .unwrap();
    assert_eq!(one.source.to_string(), format!("/etc/nexum/engine.toml:{line}"));
}

#[test]
fn errors_name_what_is_wrong_and_what_may_help() {
    let cases = [
        "[engin]\nstate_dir = 1",
        "engine = 5",
        "modles = 5",
        "[engine]\nstate_dri = \"x\"\nlog_lvel = \"info\"\n[engine.limits]\nfuel = 1",
        "[engine]\npooling = true",
        "[engine.limits]\nfuel_per_event = 0\nmemory_bytes = 1\nevent_deadline_ms = 0\ntable_elements = 0\ninstances = 0\nlog_records_per_event = 0\nstate_bytes = 0",
        "[engine.limits]\nfuel_per_event = 1000000000000000\ninstances = 5000000000",
        "[chains]\nrpc_url = \"https://host/key\"",
        "[chains.main]\nrpc_url = \"https://host/key\"",
        "[chains.01]",
        "[chains.-1]",
        "[chains.18446744073709551616]",
        "chains = []",
        "[modules]\npath = \"x.wasm\"",
        "modules = [1]",
        "[[content.sources]]\npath = \"/modules\"\n[content.cache]",
        "[[modules]]\npath = \"a.wasm\"\n[modules.config]\nlist = [\"${UNSET}\"]",
        "[[modules]]\nname = \"x\"",
        "[[modules]]\npath = \"\"",
        "[[modules]]\npath = \"a.wasm\"\n[[modules]]\npath = \"b.wasm\"\nname = \"Big Name\"",
        "[[modules]]\npath = \"a.wasm\"\npaht = \"b.wasm\"\n[modules.config]\nbig = 340282366920938463463374607431768211456\nunset = \"${UNSET}\"",
        "[[modules]]\npath = \"a.wasm\"\nconfig = 5",
        "[[modules]]\npath = \"a.wasm\"\nreads = \"keeper\"",
        "[[modules]]\npath = \"a.wasm\"\nreads = [\"Keeper\"]",
        "[[modules]]\npath = \"a.wasm\"\ndigest = \"SHA256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855\"",
        "[[modules]]\npath = \"a.wasm\"\ndigest = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"",
    ];
    let parse = |text: &str| {
        Config::parse(
            Path::new("engine.toml"),
            text.as_bytes(),
            &Environment::from_pairs([("A", "b")]),
        )
    };
    let report = report(cases.map(|text| (text.replace('\n', "⏎"), parse(text))));
    insta::assert_snapshot!(report);
}

#[test]
fn debug_shows_no_value_of_a_modules_config() {
    let config = parse("[[modules]]\npath = \"a.wasm\"\n[modules.config]\ntoken = \"${NAME}\"");
    assert_eq!(config.modules[0].config[0].1, "blocks");
    assert!(!format!("{config:?}").contains("blocks"));
}

#[test]
fn a_path_shows_the_variable_instead_of_its_content() {
    let environment = Environment::from_pairs([("KEY", "hunter2"), ("DIR", "/srv/hunter2"), ("NESTED", "a/hunter2")]);
    let parse = |path: &str| {
        let text = format!("[engine]\nstate_dir = \"{path}\"\n[[modules]]\npath = \"{path}\"\nmanifest = \"{path}\"");
        Config::parse(Path::new("/etc/nexum/engine.toml"), text.as_bytes(), &environment).unwrap()
    };
    for (written, path, shown, beside) in [
        ("/x/${KEY}.wasm", "/x/hunter2.wasm", "/x/${KEY}.wasm", "/x/nexum.toml"),
        (
            "x/${KEY}.wasm",
            "/etc/nexum/x/hunter2.wasm",
            "/etc/nexum/x/${KEY}.wasm",
            "/etc/nexum/x/nexum.toml",
        ),
        (
            "${DIR}/a.wasm",
            "/srv/hunter2/a.wasm",
            "${DIR}/a.wasm",
            "${DIR}/nexum.toml",
        ),
        (
            "${NESTED}",
            "/etc/nexum/a/hunter2",
            "/etc/nexum/${NESTED}",
            "/etc/nexum/${NESTED}/../nexum.toml",
        ),
        (
            "${NO:-a}/b.wasm",
            "/etc/nexum/a/b.wasm",
            "/etc/nexum/a/b.wasm",
            "/etc/nexum/a/nexum.toml",
        ),
        (
            "$${KEY}.wasm",
            "/etc/nexum/${KEY}.wasm",
            "/etc/nexum/${KEY}.wasm",
            "/etc/nexum/nexum.toml",
        ),
    ] {
        let config = parse(written);
        assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
        let module = &config.modules[0];
        for masked in [&config.state_dir, &module.path, module.manifest.as_ref().unwrap()] {
            assert_eq!((&**masked, masked.shown()), (Path::new(path), Path::new(shown)));
        }
        assert_eq!(module.path.with_file_name("nexum.toml").shown(), Path::new(beside));
        let below = Path::new(path).join("state.redb");
        assert_eq!(config.state_dir.shown_of(&below), Path::new(shown).join("state.redb"));
    }
}

#[test]
fn the_example_is_valid_and_shows_the_defaults() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../engine.example.toml");
    let environment = Environment::from_pairs([("MAINNET_RPC_URL", "wss://localhost:8546")]);
    let config = Config::load(&path, &environment).unwrap();
    let default = Config::default();
    assert_eq!(
        (config.limits, config.restart, config.pooling),
        (default.limits, default.restart, default.pooling)
    );
    assert_eq!(config.shutdown_deadline_ms, default.shutdown_deadline_ms);
    assert!(config.state_dir.ends_with("data") && !config.chains.is_empty() && !config.modules.is_empty());
}
