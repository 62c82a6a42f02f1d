//! The recognition of query modules, and the resources that are reserved for them.

use nexum_config::causes::Causes;
use nexum_core::LoadError;
use nexum_core::module::Candidate;

use super::{NAME, setup};
use crate::support::{module_at, reasons};

#[tokio::test]
async fn the_engine_has_room_for_as_many_instances_as_may_be() {
    let setup = setup("[engine.query]\npool_size_max = 40\n")
        .module(NAME)
        .module("noop");
    let config = setup.parse_config();
    let loader = setup.loader(&config);
    let candidate = |index: usize| loader.inspect(&config.modules[index]).expect("a candidate");
    let demand = Candidate::demand(&[candidate(0), candidate(1)]);
    assert_eq!((demand.instances, demand.components), (41, 2));
    let engine = setup.engine(demand);
    assert!(engine.is_pooled());
    let loaded = loader.load_any(&engine, candidate(0)).await.expect("a module");
    assert!(loaded.events.is_none());
    let module = loaded.queries.expect("a query module");
    assert_eq!(module.bounds.pool_size_max, 40);
    // The pool has room for the other module and for a reload of the largest one.
    let reloaded = loader.load_query(&engine, candidate(0)).await.expect("a module");
    let full = loader.load_query(&engine, candidate(0)).await;
    assert!(matches!(full, Err(LoadError::Full)), "{full:?}");
    loader.load(&engine, candidate(1)).await.expect("a module");
    drop((module, reloaded));
    loader.load_query(&engine, candidate(0)).await.expect("a module");
}

#[test]
fn the_smaller_of_both_bounds_holds() {
    let dir = tempfile::tempdir().expect("a directory");
    let manifest = dir.path().join("nexum.toml");
    let component = nexum_testing::guests::component(NAME);
    let keys = format!("name = \"m\"\nmanifest = {:?}", manifest.display().to_string());
    for (engine, module, expected) in [
        ("", "", 8),
        ("", "[module.query]\npool_size_max = 2\n", 2),
        (
            "[engine.query]\npool_size_max = 3\n",
            "[module.query]\npool_size_max = 100000\n",
            3,
        ),
    ] {
        std::fs::write(&manifest, format!("{module}[capabilities]\nrequired = [\"store\"]\n")).expect("a manifest");
        let setup = setup(engine);
        let config = setup.parse_config();
        let candidate = setup
            .loader(&config)
            .inspect(&module_at(&component, &keys))
            .expect("a candidate");
        assert_eq!(candidate.instances(), expected, "{engine}{module}");
    }
}

/// A component with the exports `init` and `handler`, whose types differ from the contract, and with
/// this import.
fn component(import: &str, handler: &str) -> Vec<u8> {
    let text = format!(
        "(component
            {import}
            (core module $m (func (export \"f\")))
            (core instance $i (instantiate $m))
            (func $f (canon lift (core func $i \"f\")))
            (export \"init\" (func $f))
            (export \"{handler}\" (func $f)))"
    );
    wat::parse_str(text).expect("a component")
}

/// The refusal of a component whose `export` takes no parameter.
fn wrong_type(export: &str) -> String {
    format!(
        "the component's exports do not match the contract: \
         type-checking export func `{export}`: expected 1-tuple, found 0-tuple"
    )
}

#[tokio::test]
async fn an_event_module_with_exports_of_other_types_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("m.wasm");
    std::fs::write(&path, component("", "on-event")).expect("a component");
    let setup = setup("");
    let loader = setup.loader(&setup.parse_config());
    let candidate = loader.inspect(&module_at(&path, "")).expect("a candidate");
    let engine = setup.engine(Candidate::demand([&candidate]));
    let refused = loader.load_any(&engine, candidate).await.expect_err("a refusal");
    assert_eq!(Causes(&refused).to_string(), wrong_type("init"));
}

#[tokio::test]
async fn what_is_no_query_module_is_refused_with_the_reason() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("m.wasm");
    let setup = setup("");
    let config = setup.parse_config();
    let loader = setup.loader(&config);
    let inspect = || loader.inspect(&module_at(&path, ""));

    std::fs::write(
        &path,
        component("(import \"nexum:host/chain@0.2.0\" (instance))", "evaluate"),
    )
    .expect("a component");
    let said = inspect().expect_err("a refusal").to_string();
    assert!(
        said.contains("it imports nexum:host/chain@0.2.0, but a query module may import only local-store and logging"),
        "{said}"
    );

    std::fs::write(&path, component("", "evaluate")).expect("a component");
    let candidate = inspect().expect("a candidate");
    assert_eq!(
        candidate.warnings,
        ["the manifest has no [capabilities]: every import counts as required"]
    );
    let engine = setup.engine(Candidate::demand([&candidate]));
    let refused = loader.load_any(&engine, candidate).await.expect_err("a refusal");
    assert_eq!(Causes(&refused).to_string(), wrong_type("evaluate"));

    let manifest = "[[subscription]]\nkind = \"block\"\nchain_id = 11155111\n";
    std::fs::write(dir.path().join("nexum.toml"), manifest).expect("a manifest");
    let said = inspect().expect_err("a refusal");
    assert!(matches!(reasons(&said)[..], [LoadError::Subscribed]), "{said:?}");
}

#[tokio::test]
async fn the_memory_of_all_instances_is_set_aside() {
    let limits = "[engine.limits]\nmemory_bytes = 2097152\ntotal_memory_bytes = 8388608\n";
    for (pool_size_max, fits) in [(4, true), (5, false)] {
        let setup = setup(&format!("{limits}[engine.query]\npool_size_max = {pool_size_max}\n")).module(NAME);
        match setup.load().await {
            Ok(_) => assert!(fits, "{pool_size_max}"),
            Err(refused) => {
                assert!(!fits, "{refused:?}");
                assert!(
                    matches!(
                        reasons(&refused)[..],
                        [LoadError::TotalMemory { needed: 10_485_760, .. }]
                    ),
                    "{refused:?}"
                );
            }
        }
    }
}
