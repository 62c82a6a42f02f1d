//! Instances: when they are created, kept and discarded, and when a call waits for one.

use std::sync::Arc;

use nexum_config::limits::Limit;
use nexum_core::bindings::nexum::host::types::HostErrorKind;
use nexum_core::module::Failure;
use nexum_core::{QueryError, QueryPool};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{NAME, ask, fails, setup, start};

/// Limits under which a spinning call never ends by itself.
const ENDLESS: &str = "[engine.limits]\nfuel_per_event = 100000000000000\nevent_deadline_ms = 3600000\n";

/// Calls that run until they are dropped.
fn spin(pool: &Arc<QueryPool>, count: usize) -> JoinSet<Result<Vec<u8>, QueryError>> {
    let call = |pool: Arc<QueryPool>| async move { pool.call(b"spin").await };
    (0..count).map(|_| call(pool.clone())).collect()
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
    let answer = format!("answer {}", QueryPool::OUTPUT_BYTES_MAX + 1);
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
        // The counter starts again.
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
    // A dropped call makes room for the next one, which gets a new instance.
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
    let (_run, pool) = start("").await;
    assert_eq!(ask(&pool, "count").await, "1");
    let needed = Instant::now();
    // The second use.
    assert_eq!(ask(&pool, "count").await, "2");
    pool.discard_old(needed + QueryPool::IDLE_MAX);
    assert_eq!(pool.idle(), 1);
    pool.discard_old(Instant::now() + QueryPool::IDLE_MAX);
    assert_eq!(pool.idle(), 0);
    assert_eq!(ask(&pool, "count").await, "1");
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
