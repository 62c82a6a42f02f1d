//! `[store]` and `[cluster]` of `engine.toml`.

use std::path::Path;
use std::time::Duration;

use nexum_config::document::Environment;
use nexum_config::engine::Config;
use nexum_core::CommitPolicy;
use nexum_store::cluster::ClusterConfig;
use nexum_store::{Backend, CACHE_BYTES, SCHEMA, StoreConfig, TlsMode};

fn parse(table: &str) -> Result<StoreConfig, String> {
    let text = format!("[store]\n{table}");
    let config = Config::parse(Path::new("engine.toml"), text.as_bytes(), &Environment::closed()).unwrap();
    StoreConfig::from_section(&config.sections["store"]).map_err(|errors| errors.to_string())
}

#[test]
fn every_key_has_its_default() {
    let config = parse("").unwrap();
    assert_eq!(config, StoreConfig::default());
    assert_eq!(config.backend, Backend::Redb);
    assert_eq!(config.policy, CommitPolicy::default());
    assert_eq!(config.cache_bytes as u64, CACHE_BYTES);
}

#[test]
fn the_example_shows_the_defaults() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../engine.example.toml");
    let environment = Environment::from_pairs([("MAINNET_RPC_URL", "wss://localhost:8546")]);
    let config = Config::load(&path, &environment).unwrap();
    let section = &config.sections["store"];
    assert_eq!(StoreConfig::from_section(section).unwrap(), StoreConfig::default());
    let text = std::fs::read_to_string(path).unwrap();
    for key in ["backend", "cursor_flush_ms", "replay_commit_events", "cache_bytes"] {
        assert!(text.contains(&format!("\n{key} = ")), "{key}");
    }
}

#[test]
fn every_key_is_taken() {
    let config =
        parse("backend = 'sled'\ncursor_flush_ms = 50\nreplay_commit_events = 1\ncache_bytes = 1_048_576").unwrap();
    assert_eq!(config.backend, Backend::Sled);
    assert_eq!(config.policy.cursor_flush, Duration::from_millis(50));
    assert_eq!(config.policy.replay_commit_events, 1);
    assert_eq!(config.cache_bytes, 1 << 20);
    assert_eq!(parse("backend = 'memory'").unwrap().backend, Backend::Memory);
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (table, expected) in [
        ("backend = 'rocksdb'", "redb"),
        ("backend = 1", "store.backend"),
        ("cursor_flush_ms = 9", "expected a whole number from 10 to 60000"),
        ("cursor_flush_ms = 60_001", "expected a whole number from 10 to 60000"),
        ("replay_commit_events = 0", "expected a whole number from 1 to 10000"),
        (
            "replay_commit_events = 10_001",
            "expected a whole number from 1 to 10000",
        ),
        ("cache_bytes = 1_000_000", "expected a whole number from 1048576"),
        ("cache_bytes = -1", "store.cache_bytes"),
        ("cash_bytes = 1_048_576", "the nearest known one is cache_bytes"),
    ] {
        let error = parse(table).unwrap_err();
        assert!(error.contains(expected), "{table}: {error}");
    }
}

#[test]
fn a_database_has_its_keys() {
    let config = parse(
        "backend = 'postgres'\nurl = 'postgres://nexum:secret@db1,db2/nexum'\npassword_file = 'password'\nschema = 'one'\n\
         tls = { mode = 'verify-full', ca = 'ca.pem' }",
    );
    let config = config.unwrap();
    assert_eq!(config.backend, Backend::Postgres);
    assert_eq!(config.cache_bytes, 256 << 20);
    assert_eq!(config.policy.cursor_flush, Duration::from_secs(10));
    assert!(!format!("{config:?}").contains("secret"));
    let database = config.postgres.unwrap();
    assert_eq!(database.url, "postgres://nexum:secret@db1,db2/nexum");
    assert_eq!((&*database.schema, database.tls), ("one", TlsMode::VerifyFull));
    assert_eq!(database.ca.unwrap().shown(), Path::new("ca.pem"));
    assert_eq!(database.password_file.unwrap().shown(), Path::new("password"));
    let usual = parse("backend = 'postgres'\nurl = 'postgresql://db/nexum'").unwrap();
    let usual = usual.postgres.unwrap();
    assert_eq!(
        (&*usual.schema, usual.tls, usual.ca),
        (SCHEMA, TlsMode::VerifyFull, None)
    );
    for (name, mode) in [("require", TlsMode::Require), ("disable", TlsMode::Disable)] {
        let config = parse(&format!(
            "backend = 'postgres'\nurl = 'postgres://db'\ntls = {{ mode = '{name}' }}"
        ));
        assert_eq!(config.unwrap().postgres.unwrap().tls, mode);
    }
}

#[test]
fn a_database_without_its_address_is_refused() {
    for (table, expected) in [
        ("backend = 'postgres'", "store.url"),
        (
            "backend = 'postgres'\nurl = 'http://secret@db'",
            "begins with postgres://",
        ),
        (
            "backend = 'postgres'\nurl = 'postgres://db'\nschema = 'A b'",
            "store.schema",
        ),
        (
            "backend = 'postgres'\nurl = 'postgres://db'\ntls = { mode = 'prefer' }",
            "verify-full",
        ),
        (
            "backend = 'postgres'\nurl = 'postgres://db'\ntls = { mode = 'require', ca = 'ca.pem' }",
            "store.tls.ca",
        ),
        ("url = 'postgres://db'", "only the back-end postgres has this key"),
    ] {
        let error = parse(table).unwrap_err();
        assert!(error.contains(expected), "{table}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

fn cluster(table: &str) -> Result<ClusterConfig, String> {
    let text = format!("[cluster]\n{table}");
    let config = Config::parse(Path::new("engine.toml"), text.as_bytes(), &Environment::closed()).unwrap();
    ClusterConfig::from_section(&config.sections["cluster"], "machine").map_err(|errors| errors.to_string())
}

#[test]
fn a_node_has_a_name_and_defaults() {
    let config = cluster("node = \"node-a\"").unwrap();
    assert_eq!(config, ClusterConfig::new("node-a"));
    assert_eq!(cluster("").unwrap(), ClusterConfig::new("machine"));
    assert_eq!((config.lease_ttl, config.weight), (Duration::from_secs(5), 1));
    assert!(config.session_lock);
    let all = "node = \"b\"\naddress = \"http://b:1\"\nweight = 3\nlease_ttl_ms = 3000\nsession_lock = false\nrebalance_after_ms = 0";
    let mut expected = ClusterConfig::new("b");
    expected.address = Some("http://b:1".to_owned());
    expected.weight = 3;
    expected.lease_ttl = Duration::from_secs(3);
    expected.session_lock = false;
    expected.rebalance_after = Duration::ZERO;
    assert_eq!(cluster(all).unwrap(), expected);
}

#[test]
fn a_faulty_node_has_an_error_for_each_key() {
    let error = cluster("node = \"\"\nweight = 0\nlease_ttl_ms = 999\nlease = 1").unwrap_err();
    for key in ["node", "weight", "lease_ttl_ms", "lease"] {
        assert!(error.contains(key), "{error}");
    }
    for name in ["", "two words", "single", &"n".repeat(64)] {
        let error = cluster(&format!("node = \"{name}\"")).unwrap_err();
        assert!(error.contains("a node's name has 1 to 63 printable bytes"), "{error}");
    }
}
