//! Modules that handle events and answer queries.

use std::sync::Arc;

use nexum_core::bindings::nexum::host::types::HostErrorKind;
use nexum_core::store::MemoryStore;
use nexum_core::supervisor::SteerError;
use nexum_core::{LoadError, QueryError, Stage};
use nexum_testing::{ScriptedSource, TEST_CHAIN_ID};

use super::{ask, fails, setup};
use crate::support::{Setup, SilentChain, dead_letters, reasons};

const BOTH: &str = "both";

/// A configuration with a small pool.
const SMALL: &str = "[engine.query]\npool_size_max = 2\n";

/// A host for the fixture, with a chain that its events may call.
fn host(config: &str) -> (Setup, SilentChain) {
    let chain = SilentChain::default();
    let mut setup = setup(config);
    setup.capabilities = setup.capabilities.with(chain.clone());
    (setup, chain)
}

fn keys(config: &str) -> String {
    format!("name = \"{BOTH}\"\n[modules.config]\n{config}")
}

pub(crate) async fn both_handles_events_and_answers_queries() {
    let run = host("").0.module(BOTH).start().await;
    let pool = run.query(BOTH).await;
    assert_eq!(ask(&pool, "").await, "0 blocks, the last is 0");
    run.chain.mine(3);
    run.handled(BOTH, 3).await;
    assert_eq!(ask(&pool, "").await, "3 blocks, the last is 2");
    let [module] = &run.steering.all()[..] else {
        panic!("one module")
    };
    assert!(module.events.is_some() && module.queries.is_some());
    assert_eq!((pool.handled(), run.status(BOTH).handled()), (2, 3));
    assert!(!run.stop().await.failed());
}

#[tokio::test]
async fn an_answer_has_no_event_of_a_removed_block() {
    let run = host("").0.module(BOTH).start().await;
    let pool = run.query(BOTH).await;
    run.chain.mine(5);
    run.handled(BOTH, 5).await;
    assert_eq!(ask(&pool, "").await, "5 blocks, the last is 4");
    run.chain.reorg(2);
    run.until("the revert", || {
        run.records.find("reverted after a reorganisation").is_some()
    })
    .await;
    assert_eq!(ask(&pool, "").await, "3 blocks, the last is 2");
    run.chain.mine(3);
    run.handled(BOTH, 8).await;
    assert_eq!(ask(&pool, "").await, "6 blocks, the last is 5");
    assert_eq!(pool.started(), 1);
}

#[tokio::test]
async fn queries_are_answered_while_the_events_fail() {
    for (restart, stage) in [
        (
            "attempts_max = 2\nbackoff_ms = 60000\nbackoff_max_ms = 60000\n",
            Stage::Backoff,
        ),
        ("attempts_max = 1\nmax_consecutive_failures = 1\n", Stage::Dead),
        ("attempts_max = 1\n", Stage::Running),
    ] {
        let mut setup = host("").0.module_with(BOTH, &keys("fail-at = 2"));
        setup.restart = format!("[engine.restart]\n{restart}");
        let run = setup.start().await;
        let pool = run.query(BOTH).await;
        run.chain.mine(3);
        run.failed(BOTH, 1).await;
        run.stage(BOTH, stage).await;
        assert_eq!(ask(&pool, "").await, "2 blocks, the last is 1", "{stage}");
        run.status(BOTH).stop().await.expect("a stop");
        assert_eq!(ask(&pool, "").await, "2 blocks, the last is 1", "{stage}");
        assert!(!run.stop().await.failed());
    }
}

#[tokio::test]
async fn a_dead_letter_leaves_no_trace_in_an_answer() {
    let run = host("").0.module_with(BOTH, &keys("fail-at = 2")).start().await;
    let pool = run.query(BOTH).await;
    run.chain.mine(4);
    run.handled(BOTH, 3).await;
    assert_eq!(dead_letters(&*run.store, BOTH).len(), 1);
    assert_eq!(ask(&pool, "").await, "3 blocks, the last is 3");
}

#[tokio::test]
async fn an_answer_survives_a_restart_of_the_host() {
    let store = Arc::new(MemoryStore::new());
    let mut chain = ScriptedSource::new(TEST_CHAIN_ID);
    for round in 0..3_u64 {
        let mut setup = host("").0.module(BOTH);
        setup.store = store.clone();
        let run = setup.start_at_head(chain.at_head()).await;
        let pool = run.query(BOTH).await;
        let last = (round * 2).saturating_sub(1);
        assert_eq!(
            ask(&pool, "").await,
            format!("{} blocks, the last is {last}", round * 2)
        );
        run.stage(BOTH, Stage::Running).await;
        run.chain.mine(2);
        run.handled(BOTH, 2).await;
        chain = run.chain.clone();
        assert!(!run.stop().await.failed());
    }
}

#[tokio::test]
async fn a_query_has_no_effect() {
    let (setup, chain) = host("");
    let run = setup.module(BOTH).start().await;
    let pool = run.query(BOTH).await;
    for (question, expected) in [
        ("set", "a query may not write"),
        ("chain", "chain may not be called by a query"),
    ] {
        let QueryError::Returned(error) = fails(&pool, question).await else {
            panic!("another error")
        };
        assert_eq!((error.kind, error.message.as_str()), (HostErrorKind::Denied, expected));
    }
    assert_eq!(chain.asked(), 0);
    assert_eq!(run.value(BOTH, "count"), None);
}

#[tokio::test]
async fn an_init_that_writes_harms_only_the_queries() {
    let run = host("").0.module_with(BOTH, &keys("write = \"x\"")).start().await;
    let pool = run.query(BOTH).await;
    run.chain.mine(2);
    run.handled(BOTH, 2).await;
    assert_eq!(run.value(BOTH, "written"), Some(b"x".to_vec()));
    let error = fails(&pool, "").await;
    assert_eq!(error.kind(), "start");
    assert!(error.to_string().contains("a query may not write"), "{error}");
    run.chain.mine(1);
    run.handled(BOTH, 3).await;
    assert_eq!(run.status(BOTH).failed(), 0);
}

#[tokio::test]
async fn all_instances_of_the_module_count() {
    // Each instance has 2 MiB: one for events, and two for queries.
    for (total, fits) in [(3, true), (2, false)] {
        let limits = format!("memory_bytes = 2097152\ntotal_memory_bytes = {}\n", total << 21);
        let setup = host(&format!("[engine.limits]\n{limits}{SMALL}")).0.module(BOTH);
        let config = setup.parse_config();
        let candidate = setup.loader(&config).inspect(&config.modules[0]).expect("a candidate");
        assert_eq!((candidate.instances(), candidate.memory_bytes()), (3, 3 << 21));
        match setup.load().await {
            Ok(_) => assert!(fits, "{total}"),
            Err(refused) => {
                let reasons = reasons(&refused);
                assert!(!fits, "{reasons:?}");
                assert!(matches!(
                    reasons[..],
                    [LoadError::TotalMemory { needed: 6_291_456, .. }]
                ));
            }
        }
    }
}

#[tokio::test]
async fn a_reload_changes_the_parts_and_keeps_the_state() {
    let run = host(SMALL).0.module(BOTH).start().await;
    let name = BOTH.parse().expect("a name");
    let answers = run.query(BOTH).await;
    run.chain.mine(2);
    run.handled(BOTH, 2).await;
    let reload = async |fixture: &str| {
        let module = run.build_all(fixture, "name = \"both\"").await;
        run.steering.reload(module).await.expect("a reload").change()
    };

    assert_eq!(
        reload("query-echo").await.as_deref(),
        Some(
            "the module was an event and query module and is a query module now; \
             it no longer reads events, and keeps its state and cursors"
        )
    );
    let error = run.steering.module(&name).map(drop);
    assert!(matches!(error, Err(SteerError::NoEvents(_))), "{error:?}");
    let count = run.query(BOTH).await.call(b"get count").await;
    assert_eq!(count, Ok(2_u64.to_le_bytes().to_vec()));
    // The old pool still answers.
    assert_eq!(ask(&answers, "").await, "2 blocks, the last is 1");
    drop(answers);
    run.chain.mine(2);

    assert_eq!(
        reload("counter").await.as_deref(),
        Some(
            "the module was a query module and is an event module now; it reads events from its stored cursors, \
             or from the next block; it no longer answers queries"
        )
    );
    let error = run.steering.query(&name).map(drop);
    assert!(matches!(error, Err(SteerError::NoQueries(_))), "{error:?}");
    // The new runner continues with the block after the last one of the old runner.
    run.until("four blocks", || {
        run.value(BOTH, "count") == Some(4_u64.to_le_bytes().to_vec())
    })
    .await;
    assert_eq!(run.value(BOTH, "block-3"), Some(b"2".to_vec()));

    assert_eq!(
        reload(BOTH).await.as_deref(),
        Some("the module was an event module and is an event and query module now; it answers queries")
    );
    assert_eq!(reload(BOTH).await, None);
    run.chain.mine(1);
    run.handled(BOTH, 3).await;
    assert_eq!(ask(&*run.query(BOTH).await, "").await, "5 blocks, the last is 4");

    run.steering.remove(&name).await.expect("a removal");
    assert!(run.steering.all().is_empty());
    let error = run.steering.remove(&name).await;
    assert!(matches!(error, Err(SteerError::NoModule(_))), "{error:?}");
    let module = run.build_all(BOTH, "name = \"both\"").await;
    run.steering.load(module).await.expect("a load");
    assert_eq!(ask(&*run.query(BOTH).await, "").await, "5 blocks, the last is 4");
    run.chain.mine(1);
    run.handled(BOTH, 1).await;
    assert_eq!(ask(&*run.query(BOTH).await, "").await, "6 blocks, the last is 5");
}

#[tokio::test]
async fn a_reload_whose_init_fails_changes_no_part() {
    let run = host(SMALL).0.module(BOTH).start().await;
    run.stage(BOTH, Stage::Running).await;
    let pool = run.query(BOTH).await;
    let module = run.build_all("bad-init", "name = \"both\"").await;
    let refused = run.steering.reload(module).await;
    assert!(matches!(refused, Err(SteerError::Command(_))), "{refused:?}");
    assert!(Arc::ptr_eq(&pool, &run.query(BOTH).await));
    run.chain.mine(1);
    run.handled(BOTH, 1).await;
    assert_eq!(ask(&pool, "").await, "1 blocks, the last is 0");
}
