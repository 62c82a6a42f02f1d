//! Modules that answer queries: the allocation of instances, the queue, and the reuse of an
//! instance.

mod alone;
pub(crate) mod both;
mod breaker;
mod loading;
mod pool;
mod reads;

use std::sync::Arc;

use nexum_config::limits::Limit;
use nexum_core::bindings::nexum::host::types::HostErrorKind;
use nexum_core::store::{MemoryStore, StateStore};
use nexum_core::supervisor::SteerError;
use nexum_core::{QueryError, QueryPool};
use nexum_host_store::LocalStore;
use nexum_testing::FaultyStore;

use crate::support::{Run, Setup};

const NAME: &str = "query-echo";

/// A host with the fixture and this configuration.
fn setup(config: &str) -> Setup {
    let mut setup = Setup::new().config(config);
    setup.capabilities = setup.capabilities.with(LocalStore);
    setup
}

async fn start(config: &str) -> (Run, Arc<QueryPool>) {
    let run = setup(config).module(NAME).start().await;
    let pool = run.query(NAME).await;
    (run, pool)
}

async fn ask(pool: &QueryPool, question: &str) -> String {
    let answer = pool.call(question.as_bytes()).await;
    let answer = answer.unwrap_or_else(|error| panic!("{question}: {error}"));
    String::from_utf8(answer).expect("text")
}

async fn fails(pool: &QueryPool, question: &str) -> QueryError {
    pool.call(question.as_bytes()).await.expect_err("no answer")
}

pub(crate) async fn query_echo_answers_what_it_is_asked() {
    let (run, pool) = start("").await;
    assert_eq!(ask(&pool, "hello").await, "hello");
    assert_eq!(pool.call(&[0xff, 0]).await, Ok(vec![0xff, 0]));
    assert_eq!(ask(&pool, "log a line").await, "done");
    let record = run.records.find("a line").expect("the record");
    assert_eq!(
        (record.fields["module"].as_str(), record.fields["request"].as_str()),
        (NAME, "3")
    );
    assert!(!run.stop().await.failed());
}

#[tokio::test]
async fn each_call_has_budgets_of_its_own() {
    let limits = "[engine.limits]\nfuel_per_event = 100000\nstore_operations_per_event = 1\n";
    let (_run, pool) = start(limits).await;
    let mut fuel = 0;
    while fuel < 300_000 {
        assert_eq!(ask(&pool, "get a").await, "none");
        fuel += pool.consumption().last()[Limit::Fuel];
    }
    assert_eq!(pool.started(), 1);
}

#[tokio::test]
async fn a_call_ends_at_its_deadline() {
    let limits = "[engine.limits]\nfuel_per_event = 100000000000000\nevent_deadline_ms = 50\n";
    let (_run, pool) = start(limits).await;
    let error = fails(&pool, "spin").await;
    assert_eq!(error.kind(), "deadline", "{error}");
    assert_eq!(ask(&pool, "count").await, "1");
}

#[tokio::test]
async fn a_question_that_is_too_large_reaches_nobody() {
    let (_run, pool) = start("").await;
    let largest = vec![0xff; QueryPool::INPUT_BYTES_MAX];
    assert_eq!(pool.call(&largest).await.as_ref(), Ok(&largest));
    let error = pool
        .call(&vec![0; QueryPool::INPUT_BYTES_MAX + 1])
        .await
        .expect_err("a refusal");
    assert_eq!(error.kind(), "input-too-large");
    assert_eq!(
        (pool.handled(), pool.failed(), pool.refused(), pool.started()),
        (1, 0, 1, 1)
    );
}

#[tokio::test]
async fn a_query_reads_what_its_module_keeps_and_changes_none_of_it() {
    let store: Arc<dyn StateStore> = Arc::new(MemoryStore::new());
    let mut before = setup("");
    before.store = store.clone();
    let run = before
        .module_with(
            "keeper",
            "name = \"query-echo\"\nconfig = { init = \"set greeting 5\" }",
        )
        .start()
        .await;
    run.chain.mine(1);
    run.handled(NAME, 1).await;
    assert!(!run.stop().await.failed());

    let mut after = setup("").module(NAME).module_with(NAME, "name = \"other\"");
    after.store = store;
    let run = after.start().await;
    let (pool, other) = (run.query(NAME).await, run.query("other").await);
    for question in ["set mine", "delete greeting", "delete nothing"] {
        match fails(&pool, question).await {
            QueryError::Returned(error) => assert_eq!(error.kind, HostErrorKind::Denied, "{question}"),
            error => panic!("{question}: {error}"),
        }
    }
    assert_eq!(ask(&pool, "get greeting").await, "vvvvv");
    assert_eq!(ask(&pool, "list").await, "greeting");
    assert_eq!(ask(&other, "get greeting").await, "none");
    assert_eq!(run.value(NAME, "mine"), None);
}

#[tokio::test]
async fn a_store_that_cannot_be_read_is_no_fault_of_the_modules() {
    let store = FaultyStore::new(Arc::new(MemoryStore::new()));
    let mut setup = setup("").module(NAME);
    setup.store = Arc::new(store.clone());
    let run = setup.start().await;
    let pool = run.query(NAME).await;
    store.fail_reads(true);
    let error = fails(&pool, "get a").await;
    assert_eq!(error.kind(), "failed", "{error}");
    store.fail_reads(false);
    assert_eq!(ask(&pool, "get a").await, "none");
}

#[tokio::test]
async fn modules_that_answer_queries_are_changed_while_the_host_runs() {
    let (run, _) = start("").await;
    let name = NAME.parse().expect("a name");
    for (steered, expected) in [
        (
            run.steering.module(&name).map(drop),
            "query-echo answers queries and has no events",
        ),
        (
            run.steering.query(&"noop".parse().expect("a name")).map(drop),
            "no module noop",
        ),
    ] {
        let error = steered.expect_err("a refusal").to_string();
        assert!(error.contains(expected), "{error}");
    }
    let second = run.build_query("name = \"query-echo\"").await;
    let again = run.steering.load(second).await;
    assert!(matches!(again, Err(SteerError::Exists(_))), "{again:?}");
    let noop = run.build("noop", "name = \"query-echo\"").await;
    let again = run.steering.load(noop).await;
    assert!(matches!(again, Err(SteerError::Exists(_))), "{again:?}");

    let old = run.query(NAME).await;
    ask(&old, "count").await;
    let greeting = run
        .build_query("name = \"query-echo\"\nconfig = { greeting = \"hi\" }")
        .await;
    run.steering.reload(greeting).await.expect("a reload");
    let new = run.query(NAME).await;
    // The old pool has no idle instance any more.
    assert_eq!(
        (ask(&new, "count").await, ask(&old, "count").await),
        ("1".into(), "1".into())
    );
    run.steering.remove(&name).await.expect("a removal");
    assert!(matches!(run.steering.query(&name), Err(SteerError::NoModule(_))));
    let gone = run.build_query("name = \"query-echo\"").await;
    let reloaded = run.steering.reload(gone).await;
    assert!(matches!(reloaded, Err(SteerError::NoModule(_))), "{reloaded:?}");
    let loaded = run.build_query("name = \"another\"").await;
    run.steering.load(loaded).await.expect("a load");
    assert_eq!(ask(&*run.query("another").await, "hello").await, "hello");
}

#[tokio::test]
async fn a_host_goes_on_while_somebody_can_be_asked() {
    let mut setup = setup("").module(NAME).module("bad-init");
    setup.restart.push_str("max_consecutive_failures = 1\n");
    let run = setup.start().await;
    run.stage("bad-init", nexum_core::Stage::Dead).await;
    assert_eq!(ask(&*run.query(NAME).await, "hello").await, "hello");
    assert!(!run.stop().await.failed());
}
