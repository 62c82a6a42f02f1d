//! Ticks at the times of a schedule.

use std::sync::Arc;
use std::time::Duration;

use nexum_core::Stage;
use nexum_core::store::MemoryStore;
use nexum_testing::{GENESIS_MS, ScriptedSource, journal};

use crate::support::journals::Journals;
use crate::support::{Run, dead_letters};

const BLOCKS: &str = "kind = \"block\"";
/// The first whole minute after the tests' clock begins.
const MINUTE_MS: u64 = GENESIS_MS + 40_000;

/// The `[[subscription]]` of a module with a tick each minute.
fn each_minute(missed: &str) -> String {
    format!("# chain_id\nkind = \"cron\"\nschedule = \"* * * * *\"\nmissed = \"{missed}\"")
}

/// `tick` and the number of minutes after the first one, or `block` and its number.
fn brief(entries: &[String]) -> Vec<String> {
    let entry = |entry: &String| {
        let mut words = entry.split(' ');
        let (what, number) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        match (what, number.parse::<u64>()) {
            ("tick", Ok(ms)) => format!("tick {}", (ms - MINUTE_MS) / 60_000),
            _ => format!("{what} {number}"),
        }
    };
    entries.iter().map(entry).collect()
}

async fn entries(run: &Run, store: &Arc<MemoryStore>, expected: &[&str]) {
    let what = format!("the journal to be {expected:?}");
    run.until(&what, || brief(&journal(&**store, "journal")) == expected)
        .await;
}

fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

#[tokio::test]
async fn ticks_come_at_their_times_and_those_that_wait_come_in_order() {
    let (run, store, _manifests) = Journals::new()
        .module("journal", &[&each_minute("skip"), BLOCKS])
        .start()
        .await;
    run.stage("journal", Stage::Running).await;
    run.clock.advance(Duration::from_millis(39_999));
    run.chain.mine(1);
    entries(&run, &store, &["block 0"]).await;
    run.clock.advance(Duration::from_millis(1));
    entries(&run, &store, &["block 0", "tick 0"]).await;
    // Late ticks are delivered too.
    run.clock.advance(minutes(3));
    entries(&run, &store, &["block 0", "tick 0", "tick 1", "tick 2", "tick 3"]).await;
    // No tick repeats after the clock is set back.
    run.clock.set_now_ms(GENESIS_MS);
    run.chain.mine(1);
    run.handled("journal", 6).await;
    run.clock.set_now_ms(MINUTE_MS + 4 * 60_000);
    let expected = ["block 0", "tick 0", "tick 1", "tick 2", "tick 3", "block 1", "tick 4"];
    entries(&run, &store, &expected).await;
}

#[tokio::test]
async fn what_came_while_it_was_off_is_skipped_or_comes_once() {
    for (missed, expected) in [
        ("skip", &["tick 0", "tick 11"][..]),
        ("once", &["tick 0", "tick 10", "tick 11"]),
    ] {
        let store = Arc::<MemoryStore>::default();
        let journals =
            |store: &Arc<MemoryStore>| Journals::over(store.clone()).module("journal", &[&each_minute(missed)]);
        let (run, _, _manifests) = journals(&store).start().await;
        run.stage("journal", Stage::Running).await;
        run.clock.advance(minutes(1));
        entries(&run, &store, &["tick 0"]).await;
        run.stop().await;
        let again = journals(&store);
        again.setup.clock.set_now_ms(MINUTE_MS + 10 * 60_000 + 1);
        let (run, _, _manifests) = again.start().await;
        run.stage("journal", Stage::Running).await;
        if missed == "once" {
            run.handled("journal", 1).await;
        }
        run.clock.advance(minutes(1));
        entries(&run, &store, expected).await;
    }
}

#[tokio::test]
async fn times_that_a_clock_set_forward_skips_are_missed() {
    for (missed, expected) in [
        ("skip", &["tick 0", "block 0", "block 1", "tick 121"][..]),
        ("once", &["tick 0", "tick 120", "block 0", "block 1", "tick 121"]),
    ] {
        let journals = Journals::new().module("journal", &[&each_minute(missed), BLOCKS]);
        let (run, store, _manifests) = journals.start().await;
        run.stage("journal", Stage::Running).await;
        run.clock.advance(minutes(1));
        entries(&run, &store, &["tick 0"]).await;
        run.clock.set_now_ms(MINUTE_MS + 120 * 60_000 + 1);
        if missed == "once" {
            entries(&run, &store, &["tick 0", "tick 120"]).await;
        }
        // The module checks its schedules between two blocks.
        for block in 0..2 {
            run.chain.mine(1);
            entries(&run, &store, &expected[..expected.len() - 2 + block]).await;
        }
        run.clock.advance(minutes(1));
        entries(&run, &store, expected).await;
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_by_an_hour_silences_no_schedule() {
    // A time that comes again is not a missed one.
    for missed in ["skip", "once"] {
        let journals = Journals::new().module("journal", &[&each_minute(missed), BLOCKS]);
        let (run, store, _manifests) = journals.start().await;
        run.stage("journal", Stage::Running).await;
        run.clock.advance(minutes(61));
        run.handled("journal", 61).await;
        run.clock.set_now_ms(MINUTE_MS);
        run.chain.mine(1);
        run.handled("journal", 62).await;
        run.clock.advance(minutes(1));
        run.handled("journal", 63).await;
        run.clock.advance(minutes(1));
        run.handled("journal", 64).await;
        let all = brief(&journal(&*store, "journal"));
        assert_eq!(all[60..], ["tick 60", "block 0", "tick 1", "tick 2"], "{missed}");
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_by_hours_before_a_start_silences_no_schedule() {
    for missed in ["skip", "once"] {
        let store = Arc::<MemoryStore>::default();
        let journals =
            |store: &Arc<MemoryStore>| Journals::over(store.clone()).module("journal", &[&each_minute(missed)]);
        let first = journals(&store);
        first.setup.clock.set_now_ms(MINUTE_MS + 300 * 60_000 - 1);
        let (run, _, _manifests) = first.start().await;
        run.stage("journal", Stage::Running).await;
        run.clock.advance(Duration::from_millis(1));
        entries(&run, &store, &["tick 300"]).await;
        run.stop().await;
        let again = journals(&store);
        again.setup.clock.set_now_ms(MINUTE_MS + 120 * 60_000);
        let (run, _, _manifests) = again.start().await;
        run.stage("journal", Stage::Running).await;
        run.clock.advance(minutes(1));
        entries(&run, &store, &["tick 300", "tick 121"]).await;
        run.clock.advance(minutes(1));
        entries(&run, &store, &["tick 300", "tick 121", "tick 122"]).await;
    }
}

#[tokio::test]
async fn a_stopped_module_was_off() {
    let journals = Journals::new().module("journal", &[&each_minute("skip")]);
    let (run, store, _manifests) = journals.start().await;
    run.stage("journal", Stage::Running).await;
    let status = run.status("journal");
    status.stop().await.expect("a stop");
    run.clock.advance(minutes(3));
    status.start().await.expect("a start");
    run.stage("journal", Stage::Running).await;
    run.clock.advance(minutes(1));
    entries(&run, &store, &["tick 3"]).await;
}

#[tokio::test]
async fn a_first_start_has_missed_nothing() {
    let journals = Journals::new().module("journal", &[&each_minute("once")]);
    let (run, store, _manifests) = journals.start().await;
    run.stage("journal", Stage::Running).await;
    run.clock.advance(minutes(1));
    entries(&run, &store, &["tick 0"]).await;
}

#[tokio::test]
async fn ticks_that_a_reorganisation_takes_back_come_again() {
    let journals = Journals::new().module("journal", &[BLOCKS, &each_minute("skip")]);
    let (run, store, _manifests) = journals
        .start_on(ScriptedSource::new(nexum_testing::TEST_CHAIN_ID), 1)
        .await;
    entries(&run, &store, &["block 1"]).await;
    run.chain.mine(1);
    entries(&run, &store, &["block 1", "block 2"]).await;
    run.clock.advance(minutes(2));
    entries(&run, &store, &["block 1", "block 2", "tick 0", "tick 1"]).await;
    // The effects of the ticks may depend on block 2.
    run.chain.reorg(1);
    entries(&run, &store, &["block 1", "tick 0", "tick 1"]).await;
    run.chain.mine(1);
    entries(&run, &store, &["block 1", "tick 0", "tick 1", "block 2"]).await;
}

#[tokio::test]
async fn a_tick_that_fails_is_tried_again_and_then_a_dead_letter() {
    let mut journals = Journals::new();
    journals.setup.restart =
        "[engine.restart]\nattempts_max = 2\nbackoff_ms = 1\nmax_consecutive_failures = 2\n".to_owned();
    let keys = journals.keys("fuel-bomb", &[&each_minute("skip")]);
    journals.setup = journals.setup.module_with("fuel-bomb", &keys).module("noop");
    journals.setup.config = "[engine.limits]\nfuel_per_event = 1000000\n".to_owned();
    let (run, store, _manifests) = journals.start().await;
    run.stage("fuel-bomb", Stage::Running).await;
    run.clock.advance(minutes(1));
    run.failed("fuel-bomb", 2).await;
    run.until("a dead letter", || run.status("fuel-bomb").dead_letters() == 1)
        .await;
    let letters = dead_letters(&*store, "fuel-bomb");
    assert!(
        letters[0].id.to_string().ends_with(&format!(":{MINUTE_MS}:tick")),
        "{}",
        letters[0].id
    );
    // The module dies at the next tick. After a restart it begins with that tick, however late it
    // is.
    run.clock.advance(minutes(1));
    run.stage("fuel-bomb", Stage::Dead).await;
    run.clock.advance(minutes(5));
    run.status("fuel-bomb").restart().await.expect("a restart");
    run.until("another dead letter", || run.status("fuel-bomb").dead_letters() == 2)
        .await;
    let letters = dead_letters(&*store, "fuel-bomb");
    assert!(
        letters[1]
            .id
            .to_string()
            .ends_with(&format!(":{}:tick", MINUTE_MS + 60_000))
    );
}
