//! The breaker: when a query module is suspended, and when it answers again.

use std::sync::Arc;
use std::time::Duration;

use nexum_core::{QueryError, QueryPool, Suspension};
use nexum_testing::GENESIS_MS;
use tracing::Level;

use super::{NAME, ask, fails, setup};
use crate::support::{Run, Setup};

const OPENS: &str = "nexum suspends the module";
const CLOSES: &str = "the module answers again";

/// A host whose query modules are suspended after three failures, for ten seconds or less at first.
fn breaking(config: &str) -> Setup {
    let mut setup = setup(config);
    setup.restart =
        "[engine.restart]\nbackoff_ms = 10000\nbackoff_max_ms = 60000\nmax_consecutive_failures = 3\n".to_owned();
    setup
}

async fn start(config: &str) -> (Run, Arc<QueryPool>) {
    let run = breaking(config).module(NAME).start().await;
    let pool = run.query(NAME).await;
    (run, pool)
}

/// Lets the module fail until it is suspended.
async fn suspend(pool: &QueryPool) -> Suspension {
    for _ in 0..3 {
        assert_eq!(pool.suspension(), None);
        assert_eq!(fails(pool, "trap").await.kind(), "trapped");
    }
    pool.suspension().expect("a suspension")
}

/// The time until the next call is let through.
async fn left(pool: &QueryPool) -> Duration {
    match fails(pool, "hello").await {
        QueryError::Suspended { left, .. } => left,
        error => panic!("another error: {error}"),
    }
}

fn count(run: &Run, message: &str, level: Level) -> usize {
    let records = run.records.all();
    let found = records
        .iter()
        .filter(|record| record.level == level && record.message.contains(message));
    found.count()
}

#[tokio::test]
async fn a_module_that_fails_in_every_call_is_suspended_until_it_answers() {
    let (run, pool) = start("").await;
    let suspension = suspend(&pool).await;
    assert!(
        suspension
            .reason
            .starts_with("3 failures in a row; the last: the module trapped at request 3:"),
        "{}",
        suspension.reason
    );
    assert_eq!(suspension.since_ms, GENESIS_MS);
    let pause_ms = suspension.until_ms - GENESIS_MS;
    assert!((5_000..=10_000).contains(&pause_ms), "{pause_ms}");
    // No instance receives a call during the pause.
    let started = pool.started();
    let error = fails(&pool, "hello").await;
    assert_eq!(error.kind(), "suspended");
    assert!(!error.is_overload());
    assert_eq!((pool.started(), pool.refused(), pool.failed()), (started, 1, 3));

    // The call after the pause fails, so a longer pause begins.
    run.clock.advance(left(&pool).await);
    assert_eq!(fails(&pool, "trap").await.kind(), "trapped");
    let again = pool.suspension().expect("a suspension");
    assert_eq!(again.since_ms, suspension.since_ms);
    let pause = left(&pool).await;
    assert!(
        (Duration::from_secs(10)..=Duration::from_secs(20)).contains(&pause),
        "{pause:?}"
    );

    run.clock.advance(pause);
    assert_eq!(ask(&pool, "hello").await, "hello");
    assert_eq!(pool.suspension(), None);
    assert_eq!(ask(&pool, "hello").await, "hello");
    assert_eq!(
        (count(&run, OPENS, Level::WARN), count(&run, CLOSES, Level::INFO)),
        (1, 1)
    );
}

#[tokio::test]
async fn only_faults_of_the_module_suspend_it() {
    let limits = "[engine.limits]\nfuel_per_event = 10000000\n";
    let (_run, pool) = start(limits).await;
    let large = vec![0; QueryPool::INPUT_BYTES_MAX + 1];
    for _ in 0..10 {
        assert_eq!(fails(&pool, "fail").await.kind(), "returned");
        assert_eq!(
            pool.call(&large).await.expect_err("a refusal").kind(),
            "input-too-large"
        );
    }
    // An error that the module returns ends a series of failures, as an answer does.
    for question in ["trap", "trap", "fail", "trap", "trap", "hello"] {
        let _ = pool.call(question.as_bytes()).await;
    }
    assert_eq!(pool.suspension(), None);
    let answer = format!("answer {}", QueryPool::OUTPUT_BYTES_MAX + 1);
    for (question, kind) in [
        ("trap", "trapped"),
        ("spin", "limit"),
        (answer.as_str(), "output-too-large"),
    ] {
        assert_eq!(fails(&pool, question).await.kind(), kind, "{question}");
    }
    let suspension = pool.suspension().expect("a suspension");
    assert!(
        suspension.reason.contains("more than the limit of"),
        "{}",
        suspension.reason
    );
}

#[tokio::test]
async fn a_module_that_does_not_start_is_suspended() {
    let keys = "config = { init = \"trap\" }";
    let run = breaking("").module_with(NAME, keys).start().await;
    let pool = run.query(NAME).await;
    for _ in 0..3 {
        assert_eq!(fails(&pool, "hello").await.kind(), "start");
    }
    assert_eq!(fails(&pool, "hello").await.kind(), "suspended");
    assert_eq!(pool.started(), 3);
}

#[tokio::test]
async fn one_call_is_let_through_at_a_time_and_its_caller_may_leave() {
    let limits = "[engine.limits]\nfuel_per_event = 100000000000000\nevent_deadline_ms = 3600000\n";
    let (run, pool) = start(limits).await;
    suspend(&pool).await;
    run.clock.advance(left(&pool).await);
    let trial = {
        let pool = pool.clone();
        let mut calls = tokio::task::JoinSet::new();
        calls.spawn(async move { pool.call(b"spin").await });
        calls
    };
    run.until("the call to have an instance", || pool.in_flight() == 1)
        .await;
    assert_eq!(left(&pool).await, Duration::ZERO);
    drop(trial);
    run.until("the call to be gone", || pool.in_flight() == 0).await;
    assert_eq!(ask(&pool, "hello").await, "hello");
    assert_eq!(pool.suspension(), None);
}

#[tokio::test]
async fn a_reload_ends_a_suspension() {
    let (run, old) = start("").await;
    suspend(&old).await;
    let module = run.build_query("name = \"query-echo\"").await;
    run.steering.reload(module).await.expect("a reload");
    let new = run.query(NAME).await;
    assert_eq!((new.suspension(), old.suspension()), (None, None));
    assert_eq!(ask(&new, "hello").await, "hello");
}
