//! Modules that answer queries: who gets an instance, who waits, and what becomes of an instance afterwards.

use std::sync::Arc;

use nexum_core::bindings::nexum::host::types::HostErrorKind;
use nexum_core::instance::Failure;
use nexum_core::limits::Limit;
use nexum_core::loader::{Candidate, LoadError, Loaded};
use nexum_core::query::{IDLE_MAX, INPUT_BYTES_MAX, OUTPUT_BYTES_MAX, QueryError, QueryPool};
use nexum_core::store::{MemoryStore, StateStore};
use nexum_core::supervisor::SteerError;
use nexum_host_store::LocalStore;
use nexum_testing::FaultyStore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::support::{Run, Setup, module_at};

const NAME: &str = "query-echo";

/// A host with the fixture, and this for its configuration.
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

/// Calls that go on until they are dropped.
fn spin(pool: &Arc<QueryPool>, count: usize) -> JoinSet<Result<Vec<u8>, QueryError>> {
    let call = |pool: Arc<QueryPool>| async move { pool.call(b"spin").await };
    (0..count).map(|_| call(pool.clone())).collect()
}

/// Bounds under which a call that spins is not ended by any limit.
const ENDLESS: &str = "[engine.limits]\nfuel_per_event = 100000000000000\nevent_deadline_ms = 3600000\n";

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
async fn an_instance_is_kept_after_a_good_call() {
    let (_run, pool) = start("").await;
    for call in 1..=20 {
        assert_eq!(ask(&pool, "count").await, call.to_string());
    }
    assert_eq!((pool.started(), pool.idle(), pool.in_flight()), (1, 1, 0));
    assert_eq!((pool.handled(), pool.failed()), (20, 0));
    assert!(pool.memory_bytes() > 0);
}

#[tokio::test]
async fn an_instance_is_discarded_after_any_other_and_its_place_is_free_again() {
    let limits =
        "[engine.limits]\nfuel_per_event = 10000000\nmemory_bytes = 8388608\n[engine.query]\npool_size_max = 1\n";
    let (run, pool) = start(limits).await;
    let answer = format!("answer {}", OUTPUT_BYTES_MAX + 1);
    for (question, kind) in [
        ("trap", "trapped"),
        ("fail", "returned"),
        ("spin", "limit"),
        ("allocate 16000000", "limit"),
        (answer.as_str(), "output-too-large"),
    ] {
        ask(&pool, "count").await;
        let before = pool.started();
        let error = fails(&pool, question).await;
        assert_eq!(error.kind(), kind, "{question}: {error}");
        assert_eq!((pool.in_flight(), pool.idle()), (0, 0), "{question}");
        // Nothing is left of what it counted.
        assert_eq!(ask(&pool, "count").await, "1", "{question}");
        assert_eq!(pool.started(), before + 1, "{question}");
    }
    assert_eq!(pool.failed(), 5);
    let QueryError::Returned(error) = fails(&pool, "fail").await else {
        panic!("another error");
    };
    assert_eq!((error.kind, error.code), (HostErrorKind::InvalidInput, 7));
    let QueryError::Limit(trip) = fails(&pool, "spin").await else {
        panic!("another error");
    };
    assert_eq!((trip.limit, trip.bound), (Limit::Fuel, 10_000_000));
    let record = run
        .records
        .find("limit fuel_per_event")
        .expect("the record of the limit");
    assert_eq!(
        (record.fields["handler"].as_str(), record.fields["limit"].as_str()),
        ("evaluate", "fuel_per_event")
    );
}

#[tokio::test]
async fn each_call_has_budgets_of_its_own() {
    let limits = "[engine.limits]\nfuel_per_event = 100000\nstore_operations_per_event = 1\n";
    let (_run, pool) = start(limits).await;
    let mut fuel = 0;
    while fuel < 300_000 {
        assert_eq!(ask(&pool, "get a").await, "none");
        fuel += pool.consumption().last[Limit::Fuel];
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
async fn the_pool_grows_with_the_calls_up_to_its_bound_and_the_others_wait() {
    let (run, pool) = start(&format!(
        "{ENDLESS}[engine.query]\npool_size_max = 3\nwait_ms_max = 60000\n"
    ))
    .await;
    for count in 1..=3 {
        let mut calls = spin(&pool, count);
        run.until("all calls to be in flight", || pool.in_flight() == count)
            .await;
        assert_eq!(pool.waiting(), 0);
        calls.shutdown().await;
        assert_eq!(pool.in_flight(), 0);
    }
    let before = pool.started();
    let mut calls = spin(&pool, 5);
    run.until("two calls to wait", || pool.waiting() == 2).await;
    run.until("three instances", || pool.started() == before + 3).await;
    assert_eq!(pool.in_flight(), 3);
    // One that nobody waits for any longer leaves its place to the next, which gets an instance of its own.
    calls.shutdown().await;
    assert_eq!((pool.in_flight(), pool.waiting(), pool.idle()), (0, 0, 0));
    assert_eq!(ask(&pool, "count").await, "1");
}

#[tokio::test]
async fn a_waiting_call_gets_the_place_of_one_that_is_dropped() {
    let (run, pool) = start(&format!(
        "{ENDLESS}[engine.query]\npool_size_max = 1\nwait_ms_max = 60000\n"
    ))
    .await;
    let calls = spin(&pool, 1);
    run.until("a call", || pool.in_flight() == 1).await;
    let (answer, ()) = tokio::join!(ask(&pool, "count"), async {
        run.until("a call to wait", || pool.waiting() == 1).await;
        drop(calls);
    });
    assert_eq!((answer.as_str(), pool.waiting(), pool.in_flight()), ("1", 0, 0));
}

#[tokio::test]
async fn waiting_is_bounded_in_number_and_in_time() {
    let bounds = "[engine.query]\npool_size_max = 1\nwaiters_max = 1\n";
    let (run, pool) = start(&format!("{ENDLESS}{bounds}wait_ms_max = 60000\n")).await;
    let _calls = spin(&pool, 2);
    run.until("a call to wait", || pool.waiting() == 1).await;
    let error = fails(&pool, "count").await;
    assert_eq!(error, QueryError::Overloaded { waiters_max: 1 });
    assert!(error.is_overload());

    let (run, pool) = start(&format!("{ENDLESS}{bounds}wait_ms_max = 20\n")).await;
    let _calls = spin(&pool, 1);
    run.until("a call", || pool.in_flight() == 1).await;
    assert_eq!(fails(&pool, "count").await, QueryError::TimedOut { wait_ms_max: 20 });
    assert_eq!((pool.waiting(), pool.refused(), pool.failed()), (0, 1, 0));
}

#[tokio::test]
async fn a_question_that_is_too_large_reaches_nobody() {
    let (_run, pool) = start("").await;
    let largest = vec![0xff; INPUT_BYTES_MAX];
    assert_eq!(pool.call(&largest).await.as_ref(), Ok(&largest));
    let error = pool.call(&vec![0; INPUT_BYTES_MAX + 1]).await.expect_err("a refusal");
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
async fn what_cannot_start_fails_its_call_and_no_other() {
    let run = setup("[engine.query]\npool_size_max = 1\n")
        .module(NAME)
        .module_with(NAME, "name = \"writes\"\nconfig = { init = \"set a\" }")
        .module_with(NAME, "name = \"traps\"\nconfig = { init = \"trap\" }")
        .module("noop")
        .start()
        .await;
    for (name, expected) in [("writes", "a query may not write"), ("traps", "trapped")] {
        let pool = run.query(name).await;
        for _ in 0..2 {
            let error = fails(&pool, "hello").await;
            assert_eq!(error.kind(), "start");
            assert!(error.to_string().contains(expected), "{error}");
        }
        assert_eq!((pool.in_flight(), pool.idle(), pool.failed()), (0, 0, 2));
    }
    let error = fails(&*run.query("traps").await, "hello").await;
    assert!(matches!(error, QueryError::Start { failure } if matches!(*failure, Failure::Trap(_))));
    assert_eq!(ask(&*run.query(NAME).await, "hello").await, "hello");
    run.chain.mine(1);
    run.handled("noop", 1).await;
}

#[tokio::test]
async fn an_instance_that_nobody_needs_does_not_stay() {
    let (run, pool) = start("").await;
    assert_eq!(ask(&pool, "count").await, "1");
    let needed = Instant::now();
    // It is needed again.
    assert_eq!(ask(&pool, "count").await, "2");
    pool.discard_old(needed + IDLE_MAX);
    assert_eq!(pool.idle(), 1);
    pool.discard_old(Instant::now() + IDLE_MAX);
    assert_eq!(pool.idle(), 0);
    assert_eq!(ask(&pool, "count").await, "1");
    drop(run);
}

#[tokio::test]
async fn modules_that_answer_queries_are_changed_while_the_host_runs() {
    let (run, _) = start("").await;
    let name = NAME.parse().expect("a name");
    for (steered, expected) in [
        (
            run.steering.module(&name).map(drop),
            "query-echo answers queries, and has no events",
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
    let again = run.steering.load_query(second).await;
    assert!(matches!(again, Err(SteerError::Exists(_))), "{again:?}");
    let noop = run.build("noop", "name = \"query-echo\"").await;
    let again = run.steering.load(noop).await;
    assert!(matches!(again, Err(SteerError::Exists(_))), "{again:?}");

    let old = run.query(NAME).await;
    ask(&old, "count").await;
    let greeting = run
        .build_query("name = \"query-echo\"\nconfig = { greeting = \"hi\" }")
        .await;
    run.steering.reload_query(greeting).await.expect("a reload");
    let new = run.query(NAME).await;
    assert_eq!(
        (ask(&new, "count").await, ask(&old, "count").await),
        ("1".into(), "2".into())
    );
    run.steering.remove(&name).await.expect("a removal");
    assert!(matches!(run.steering.query(&name), Err(SteerError::NoModule(_))));
    let gone = run.build_query("name = \"query-echo\"").await;
    let reloaded = run.steering.reload_query(gone).await;
    assert!(matches!(reloaded, Err(SteerError::NoModule(_))), "{reloaded:?}");
    let loaded = run.build_query("name = \"another\"").await;
    run.steering.load_query(loaded).await.expect("a load");
    assert_eq!(ask(&*run.query("another").await, "hello").await, "hello");
}

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
    let Ok(Loaded::Query(module)) = loader.load_any(&engine, candidate(0)).await else {
        panic!("no query module");
    };
    assert_eq!(module.bounds.pool_size_max, 40);
    // There are places left for the other module and for some that come later, but not for as many.
    let full = loader.load_query(&engine, candidate(0)).await;
    assert!(matches!(full, Err(LoadError::Full)), "{full:?}");
    loader.load(&engine, candidate(1)).await.expect("a module");
    drop(module);
    loader.load_query(&engine, candidate(0)).await.expect("a module");
}

#[tokio::test]
async fn every_instance_that_may_be_can_be_had_at_once() {
    let (run, pool) = start(&format!("{ENDLESS}[engine.query]\npool_size_max = 24\n")).await;
    let calls = spin(&pool, 24);
    run.until("all calls to have an instance", || pool.started() == 24)
        .await;
    assert_eq!((pool.in_flight(), pool.failed()), (24, 0));
    drop(calls);
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

#[tokio::test]
async fn a_host_goes_on_while_somebody_can_be_asked() {
    let mut setup = setup("").module(NAME).module("bad-init");
    setup.restart.push_str("max_consecutive_failures = 1\n");
    let run = setup.start().await;
    run.stage("bad-init", nexum_core::runner::Stage::Dead).await;
    assert_eq!(ask(&*run.query(NAME).await, "hello").await, "hello");
    assert!(!run.stop().await.failed());
}

/// A component with the two exports of a query module, though of other types, that imports this besides.
fn component(import: &str) -> Vec<u8> {
    let text = format!(
        "(component
            {import}
            (core module $m (func (export \"f\")))
            (core instance $i (instantiate $m))
            (func $f (canon lift (core func $i \"f\")))
            (export \"init\" (func $f))
            (export \"evaluate\" (func $f)))"
    );
    wat::parse_str(text).expect("a component")
}

#[tokio::test]
async fn what_is_no_query_module_is_refused_with_the_reason() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("m.wasm");
    let setup = setup("");
    let config = setup.parse_config();
    let loader = setup.loader(&config);
    let inspect = || loader.inspect(&module_at(&path, ""));

    std::fs::write(&path, component("(import \"nexum:host/chain@0.2.0\" (instance))")).expect("a component");
    let said = inspect().expect_err("a refusal")[0].to_string();
    assert!(
        said.contains("it imports nexum:host/chain@0.2.0, and a query may call local-store and logging alone"),
        "{said}"
    );

    std::fs::write(&path, component("")).expect("a component");
    let candidate = inspect().expect("a candidate");
    assert_eq!(
        candidate.warnings,
        ["the manifest has no [capabilities]: every import counts as required"]
    );
    let engine = setup.engine(Candidate::demand([&candidate]));
    let refused = loader.load_any(&engine, candidate).await.expect_err("a refusal");
    assert!(matches!(refused, LoadError::Export { name: "init", .. }), "{refused}");

    let manifest = "[[subscription]]\nkind = \"block\"\nchain_id = 11155111\n";
    std::fs::write(dir.path().join("nexum.toml"), manifest).expect("a manifest");
    let said = inspect().expect_err("a refusal");
    assert!(matches!(said[..], [LoadError::Subscribed]), "{said:?}");
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
                    matches!(refused[..], [LoadError::TotalMemory { needed: 10_485_760, .. }]),
                    "{refused:?}"
                );
            }
        }
    }
}
