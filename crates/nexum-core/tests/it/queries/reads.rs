//! Queries that read the state of another module.

use std::path::Path;

use nexum_config::hint::Hint as _;
use nexum_core::bindings::nexum::host::types::HostErrorKind;
use nexum_core::{LoadError, QueryError};
use nexum_testing::{TEST_CHAIN_ID, guests};

use super::{NAME, ask, fails, setup};
use crate::support::{Run, module_at, reasons};

/// The keys of a `[[modules]]` table for a query module whose manifest reads `of`, with further keys.
fn keys(directory: &Path, of: &str, more: &str) -> String {
    let manifest = directory.join(format!("reads-{of}.toml"));
    let text = format!("[module.query]\nreads = {of:?}\n[capabilities]\nrequired = [\"store\"]\n");
    std::fs::write(&manifest, text).expect("a manifest");
    format!(
        "name = \"reader\"\nmanifest = {:?}\n{more}",
        manifest.display().to_string()
    )
}

/// Waits until the `init` of this keeper is committed.
async fn stored(run: &Run, name: &str) {
    run.until("the greeting", || run.value(name, "greeting").is_some())
        .await;
}

const KEEPER: &str = "name = \"keeper\"\n[modules.config]\ninit = \"set greeting 5\"";

#[tokio::test]
async fn queries_read_the_rows_of_another_module_and_none_of_their_own() {
    let dir = tempfile::tempdir().expect("a directory");
    let run = setup("")
        .module_with("keeper", KEEPER)
        .module_with(NAME, &keys(dir.path(), "keeper", "reads = [\"other\", \"keeper\"]"))
        .module_with(NAME, "name = \"stranger\"")
        .start()
        .await;
    stored(&run, "keeper").await;
    let pool = run.query("reader").await;
    assert_eq!(ask(&pool, "get greeting").await, "vvvvv");
    assert_eq!(ask(&pool, "list").await, "greeting");
    let QueryError::Returned(error) = fails(&pool, "delete greeting").await else {
        panic!("another error")
    };
    assert_eq!(error.kind, HostErrorKind::Denied);
    assert_eq!(ask(&*run.query("stranger").await, "get greeting").await, "none");
    assert!(run.records.find("which is not in the store").is_none());
}

#[tokio::test]
async fn the_other_module_may_come_later() {
    let dir = tempfile::tempdir().expect("a directory");
    let run = setup("")
        .module_with(NAME, &keys(dir.path(), "keper", "reads = [\"keper\"]"))
        .module_with(NAME, "name = \"keeper\"")
        .start()
        .await;
    let pool = run.query("reader").await;
    assert_eq!(ask(&pool, "get greeting").await, "none");
    let warning = run.records.find("which is not in the store").expect("a warning");
    assert_eq!(
        (warning.fields["module"].as_str(), warning.fields["nearest"].as_str()),
        ("reader", "keeper")
    );
    let keeper = run
        .build_all("keeper", &KEEPER.replace("\"keeper\"", "\"keper\""))
        .await;
    run.steering.load(keeper).await.expect("a load");
    stored(&run, "keper").await;
    assert_eq!(ask(&pool, "get greeting").await, "vvvvv");
}

#[test]
fn the_operator_has_to_permit_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let setup = setup("");
    let loader = setup.loader(&setup.parse_config());
    let component = guests::component(NAME);
    let inspect = |keys: &str| loader.inspect(&module_at(&component, keys));
    for (permitted, line) in [
        ("", "reads = [\"keeper\"]"),
        ("reads = [\"other\"]", "reads = [\"other\", \"keeper\"]"),
    ] {
        let refused = inspect(&keys(dir.path(), "keeper", permitted)).expect_err("a refusal");
        let [error @ LoadError::Reads { .. }] = reasons(&refused)[..] else {
            panic!("{refused:?}")
        };
        assert_eq!(
            error.to_string(),
            "the module's queries read the state of the module `keeper`, which engine.toml does not permit"
        );
        assert_eq!(
            error.hint(),
            Some(format!(
                "write `{line}` in the module's [[modules]] table of engine.toml"
            ))
        );
    }
    let permitted = inspect(&keys(dir.path(), "keeper", "reads = [\"keeper\"]")).expect("a candidate");
    assert_eq!(permitted.reads.expect("a name").as_str(), "keeper");
    // Its own rows need no permission.
    let own = inspect(&keys(dir.path(), "reader", "")).expect("a candidate");
    assert_eq!((own.reads, own.warnings), (None, Vec::new()));
    let unused = inspect("name = \"m\"\nreads = [\"keeper\"]").expect("a candidate");
    assert_eq!(
        unused.warnings,
        ["`reads` in [[modules]] has no effect: no query of the module requests it"]
    );
    let events = module_at(&guests::component("noop"), &keys(dir.path(), "keeper", ""));
    let events = loader.inspect(&events).expect("a candidate");
    let warning = "[module.query] has no effect: the module answers no queries".to_owned();
    assert!(events.warnings.contains(&warning), "{:?}", events.warnings);
}

#[tokio::test]
async fn events_use_their_own_rows_and_queries_those_of_the_other_module() {
    let dir = tempfile::tempdir().expect("a directory");
    let manifest = dir.path().join("both.toml");
    let text = format!(
        "[module.query]\nreads = \"counter\"\n[capabilities]\nrequired = [\"store\"]\noptional = [\"chain\"]\n\
         [[subscription]]\nkind = \"block\"\nchain_id = {TEST_CHAIN_ID}\n"
    );
    std::fs::write(&manifest, text).expect("a manifest");
    let manifest = manifest.display().to_string();
    let keys = format!("name = \"both\"\nmanifest = {manifest:?}\nreads = [\"counter\"]");
    let mut setup = setup("").module("counter").module_with("both", &keys);
    setup.capabilities = setup.capabilities.absent("chain", &["nexum:host/chain@0.2.0"], "chain");
    let run = setup.start().await;
    run.chain.mine(2);
    run.handled("counter", 2).await;
    run.handled("both", 2).await;
    assert_eq!(run.value("both", "last"), Some(1_u64.to_le_bytes().to_vec()));
    // The counter has no row `last`.
    assert_eq!(ask(&*run.query("both").await, "").await, "2 blocks, the last is 0");
}
