//! `nexum.toml`.

use std::path::Path;

use nexum_core::limits::Wishes;
use nexum_core::manifest::{Manifest, Restart, Subscription};

fn parse(text: &str) -> Manifest {
    Manifest::parse(Path::new("nexum.toml"), text.as_bytes()).unwrap()
}

#[test]
fn an_empty_file_asks_for_nothing() {
    let manifest = parse("");
    assert!(manifest.name.is_none() && manifest.component.is_none() && manifest.capabilities.is_none());
    assert!(manifest.subscriptions.is_empty() && manifest.config.is_empty() && manifest.chains.required.is_empty());
    assert_eq!(
        (manifest.wishes, manifest.restart),
        (
            Wishes::default(),
            Restart {
                max_consecutive_failures: 10
            }
        )
    );
}

#[test]
fn every_key_is_read() {
    let manifest = parse(
        r#"
        [module]
        name = "block-logger"
        version = "0.1.0"
        component = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        [module.resources]
        max_fuel_per_event = 1
        max_memory_bytes = 65_536
        max_event_deadline_ms = 3
        max_table_elements = 4
        max_instances = 5
        max_log_records_per_event = 6
        max_state_bytes = 7
        [module.restart]
        max_consecutive_failures = 3
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
        "#,
    );
    let wishes = Wishes {
        fuel_per_event: Some(1),
        memory_bytes: Some(65_536),
        event_deadline_ms: Some(3),
        table_elements: Some(4),
        instances: Some(5),
        log_records_per_event: Some(6),
        state_bytes: Some(7),
    };
    assert_eq!(
        (manifest.wishes, manifest.restart),
        (
            wishes,
            Restart {
                max_consecutive_failures: 3
            }
        )
    );
    assert_eq!(manifest.name.as_ref().map(|name| name.as_str()), Some("block-logger"));
    assert_eq!(manifest.version.as_deref(), Some("0.1.0"));
    assert_eq!(manifest.component, Some(nexum_core::names::Digest::of(b"")));
    assert_eq!(
        (
            Vec::from_iter(manifest.chains.required),
            Vec::from_iter(manifest.chains.optional)
        ),
        (vec![1], vec![100])
    );
    assert_eq!(manifest.subscriptions, [Subscription::Block { chain_id: 1 }]);
    assert_eq!(manifest.config, [("threshold".to_owned(), "10".to_owned())]);
    let capabilities = manifest.capabilities.unwrap();
    let names = |names: &[nexum_core::document::Placed<String>]| {
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
