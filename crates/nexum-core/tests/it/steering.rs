//! The operator's commands to running modules.

use std::sync::Arc;

use futures_util::FutureExt;
use nexum_core::source::EventId;
use nexum_core::store::MemoryStore;
use nexum_core::supervisor::SteerError;
use nexum_core::{CommandError, Stage};
use nexum_host_store::LocalStore;
use nexum_testing::{FaultyStore, GENESIS_MS, ScriptedSource, TEST_CHAIN_ID};

use crate::support::journals::{ADDRESS, Journals, entries, log, manifest};
use crate::support::{Run, Setup, dead_letters};

const LOGS: &str = "kind = \"log\"\naddress = \"0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"";
const BLOCKS: &str = "kind = \"block\"";
const OTHER_CHAIN: u64 = 137;

#[tokio::test]
async fn a_stopped_module_misses_nothing() {
    let (run, store, _manifests) = Journals::new().module("journal", &[BLOCKS]).start().await;
    run.chain.mine(2);
    entries(&run, &store, "journal", &["block 0", "block 1"]).await;
    let status = run.status("journal");
    status.stop().await.expect("a stop");
    assert_eq!((status.stage(), status.memory_bytes()), (Stage::Stopped, 0));
    run.chain.mine(2);
    status.start().await.expect("a start");
    entries(&run, &store, "journal", &["block 0", "block 1", "block 2", "block 3"]).await;
    // A repeated command has no further effect.
    status.stop().await.expect("a stop");
    status.stop().await.expect("a second stop");
    status.start().await.expect("a start");
    status.start().await.expect("a second start");
    run.chain.mine(1);
    run.handled("journal", 5).await;
}

#[tokio::test]
async fn a_host_whose_only_module_is_stopped_goes_on_until_it_is_told_to_stop() {
    let run = Setup::new().module("noop").start().await;
    run.stage("noop", Stage::Running).await;
    let status = run.status("noop");
    status.stop().await.expect("a stop");
    run.chain.mine(1);
    let report = run.stop().await;
    assert!(!report.failed());
    assert_eq!(status.stage(), Stage::Stopped);
    assert!(matches!(status.start().await, Err(CommandError::Gone)));
}

#[tokio::test]
async fn a_change_of_a_status_can_be_awaited() {
    let run = Setup::new().module("noop").start().await;
    run.stage("noop", Stage::Running).await;
    let status = run.status("noop");
    assert_eq!(status.changed().now_or_never(), None);
    for events in 1..=3 {
        let changed = status.changed();
        run.chain.mine(1);
        changed.await;
        assert_eq!(status.handled(), events);
    }
    // A change between the call and the first poll is not missed.
    let changed = status.changed();
    status.stop().await.expect("a stop");
    assert_eq!((changed.now_or_never(), status.stage()), (Some(()), Stage::Stopped));
}

#[tokio::test]
async fn a_reloaded_module_goes_on_at_its_place_with_its_state() {
    let (run, store, manifests) = Journals::new().module("journal", &[BLOCKS]).start().await;
    run.chain.mine(2);
    run.handled("journal", 2).await;
    let before = run.status("journal").module();
    let keys = manifest(manifests.path(), "journal", &[BLOCKS]);
    run.steering
        .reload(run.build("journal", &keys).await)
        .await
        .expect("a reload");
    assert!(!Arc::ptr_eq(&before, &run.status("journal").module()));
    run.chain.mine(1);
    entries(&run, &store, "journal", &["block 0", "block 1", "block 2"]).await;
    // A new subscription applies to earlier blocks too, from the module's cursor on.
    let status = run.status("journal");
    status.stop().await.expect("a stop");
    run.chain.mine_with(vec![log(ADDRESS, 3, 0)]);
    run.chain.mine_with(vec![log(ADDRESS, 4, 0)]);
    let keys = manifest(manifests.path(), "journal", &[BLOCKS, LOGS]);
    run.steering
        .reload(run.build("journal", &keys).await)
        .await
        .expect("a reload");
    assert_eq!(status.stage(), Stage::Stopped);
    status.start().await.expect("a start");
    run.chain.mine_with(vec![log(ADDRESS, 5, 0)]);
    let expected = [
        "block 0", "block 1", "block 2", "logs 3/0", "block 3", "logs 4/0", "block 4", "logs 5/0", "block 5",
    ];
    entries(&run, &store, "journal", &expected).await;
    // A removed subscription delivers nothing more.
    let keys = manifest(manifests.path(), "journal", &[LOGS]);
    run.steering
        .reload(run.build("journal", &keys).await)
        .await
        .expect("a reload");
    run.chain.mine_with(vec![log(ADDRESS, 6, 0)]);
    let expected: Vec<_> = expected.into_iter().chain(["logs 6/0"]).collect();
    entries(&run, &store, "journal", &expected).await;
}

/// The module began with the first block of the run, whose events waited for an `init` that succeeds.
#[tokio::test]
async fn a_reload_after_an_init_that_never_succeeded_misses_nothing() {
    let mut setup = Setup::new().module_with("bad-init", "name = \"module\"").module("noop");
    setup.restart = "[engine.restart]\nbackoff_ms = 1\n".to_owned();
    let run = setup.start().await;
    run.failed("module", 1).await;
    run.chain.mine(2);
    run.handled("noop", 2).await;
    // Each command interrupts the wait for the next attempt of `init`.
    run.status("module").start().await.expect("a start without an effect");
    run.steering
        .reload(run.build("noop", "name = \"module\"").await)
        .await
        .expect("a reload");
    run.chain.mine(1);
    run.handled("module", 3).await;
    assert_eq!(run.status("module").handled(), run.status("noop").handled());
}

#[tokio::test]
async fn a_reload_revives_a_dead_module() {
    let mut setup = Setup::new().module_with("panic", "name = \"module\"").module("noop");
    setup.restart = "[engine.restart]\nattempts_max = 1\nbackoff_ms = 1\nmax_consecutive_failures = 1\n".to_owned();
    let run = setup.start().await;
    run.chain.mine(2);
    run.stage("module", Stage::Dead).await;
    run.steering
        .reload(run.build("noop", "name = \"module\"").await)
        .await
        .expect("a reload");
    run.handled("module", 2).await;
    assert_eq!(run.status("module").stage(), Stage::Running);
}

#[tokio::test]
async fn modules_come_and_go() {
    let mut journals = Journals::new().module("first", &[BLOCKS]);
    let other = ScriptedSource::new(OTHER_CHAIN);
    journals.setup.other_chain = Some(other.clone());
    let (run, store, manifests) = journals.start().await;
    run.chain.mine(2);
    run.handled("first", 2).await;
    let of_other = format!("chain_id = {OTHER_CHAIN}\nkind = \"block\"");
    let keys = manifest(manifests.path(), "second", &[BLOCKS, &of_other]);
    run.steering
        .load(run.build("journal", &keys).await)
        .await
        .expect("a load");
    let again = run.steering.load(run.build("journal", &keys).await).await;
    assert!(matches!(again, Err(SteerError::Exists(_))), "{again:?}");
    run.chain.mine(1);
    run.handled("second", 1).await;
    // No module has followed this chain so far.
    other.mine(1);
    entries(&run, &store, "second", &["block 2", "block 0"]).await;

    let second = "second".parse().expect("a name");
    run.steering.remove(&second).await.expect("a removal");
    assert!(matches!(
        run.steering.remove(&second).await,
        Err(SteerError::NoModule(_))
    ));
    assert_eq!(run.steering.modules().len(), 1);
    run.chain.mine(1);
    run.handled("first", 4).await;
    // The module's state is still there, and the module continues at its cursor.
    run.steering
        .load(run.build("journal", &keys).await)
        .await
        .expect("a load");
    entries(&run, &store, "second", &["block 2", "block 0", "block 3"]).await;
    // The last module can be removed too.
    for module in ["first", "second"] {
        run.steering
            .remove(&module.parse().expect("a name"))
            .await
            .expect("a removal");
    }
    assert!(!run.stop().await.failed());
}

/// The source does not have the reverted block any more, so that nexum cannot read its logs.
#[tokio::test]
async fn a_module_that_comes_late_passes_over_a_reverted_block() {
    let (run, store, manifests) = Journals::new().module("first", &[BLOCKS]).start().await;
    run.chain.mine(3);
    entries(&run, &store, "first", &["block 0", "block 1", "block 2"]).await;
    run.chain.reorg(1);
    run.chain.mine_with(vec![log(ADDRESS, 2, 0)]);
    run.chain.mine(1);
    entries(&run, &store, "first", &["block 0", "block 1", "block 2", "block 3"]).await;
    let from_the_first = [BLOCKS, LOGS].map(|kind| format!("{kind}\nfrom_block = 0"));
    let keys = manifest(manifests.path(), "late", &from_the_first.each_ref().map(String::as_str));
    run.steering
        .load(run.build("journal", &keys).await)
        .await
        .expect("a load");
    let expected = ["block 0", "block 1", "logs 2/0", "block 2", "block 3"];
    entries(&run, &store, "late", &expected).await;
}

#[tokio::test]
async fn no_module_is_added_while_loads_are_held() {
    let run = Setup::new().module("noop").start().await;
    let held = run.steering.hold_loads("a test").await;
    let another = run.build("noop", "name = \"another\"").await;
    let mut load = std::pin::pin!(run.steering.load(another));
    run.chain.mine(3);
    tokio::select! {
        biased;
        loaded = &mut load => panic!("{loaded:?} while loads are held"),
        () = run.handled("noop", 3) => {}
    }
    assert_eq!(run.steering.modules().len(), 1);
    assert_eq!(run.steering.loads_holder().as_deref(), Some("a test"));
    drop(held);
    assert_eq!(run.steering.loads_holder(), None);
    load.await.expect("a load");
    assert_eq!(run.steering.modules().len(), 2);
}

#[tokio::test]
async fn there_is_room_for_some_modules_more() {
    let run = Setup::new().module("noop").start().await;
    let mut loaded = Vec::new();
    for index in 0..16 {
        loaded.push(run.build("noop", &format!("name = \"noop-{index}\"")).await);
    }
    let full = run.try_build("noop", "name = \"too-many\"").await;
    assert!(full.is_err_and(|error| error.to_string().contains("is full")));
    drop(loaded.pop());
    // The replaced module makes room for the next.
    run.stage("noop", Stage::Running).await;
    for _ in 0..2 {
        let again = run.build("noop", "").await;
        run.steering.reload(again).await.expect("a reload");
    }
}

/// A host with a keeper that runs these scripts in each block.
async fn keeper(scripts: &str) -> Run {
    let mut setup = Setup::new();
    setup.capabilities = setup.capabilities.with(LocalStore);
    let run = setup.module_with("keeper", &keys(scripts)).start().await;
    run.stage("keeper", Stage::Running).await;
    run
}

fn keys(scripts: &str) -> String {
    format!("name = \"keeper\"\n[modules.config]\n{scripts}")
}

fn letters(run: &Run) -> Vec<EventId> {
    let letters = dead_letters(&*run.store, "keeper");
    letters.iter().map(|letter| letter.id).collect()
}

#[tokio::test]
async fn a_dead_letter_that_is_retried_is_handled_or_has_one_attempt_more() {
    let run = keeper("1 = \"set a 1; fail\"\nevery = \"set b 1\"\n").await;
    run.chain.mine(3);
    run.handled("keeper", 2).await;
    let status = run.status("keeper");
    let letter = letters(&run)[0];
    let again = status.retry(letter).await;
    assert!(matches!(again, Err(CommandError::Failed(_))), "{again:?}");
    let kept = dead_letters(&*run.store, "keeper");
    assert_eq!((kept.len(), kept[0].attempts.len()), (1, 2));
    assert_eq!(status.dead_letters(), 1);
    // The author has repaired the module.
    run.steering
        .reload(run.build("keeper", &keys("every = \"set a 1\"\n")).await)
        .await
        .expect("a reload");
    status.retry(letter).await.expect("a success");
    assert_eq!((letters(&run), status.dead_letters()), (vec![], 0));
    assert_eq!(run.value("keeper", "a").as_deref(), Some(&b"v"[..]));
    assert!(matches!(status.retry(letter).await, Err(CommandError::NoLetter(_))));
}

#[tokio::test]
async fn a_retry_that_is_reorganised_away_is_a_dead_letter_again() {
    let run = keeper("1 = \"fail\"\nevery = \"set b 1\"\n").await;
    run.chain.mine(3);
    run.handled("keeper", 2).await;
    let status = run.status("keeper");
    let letter = letters(&run)[0];
    run.steering
        .reload(run.build("keeper", &keys("1 = \"set a 1\"\n")).await)
        .await
        .expect("a reload");
    status.retry(letter).await.expect("a success");
    assert_eq!(run.value("keeper", "a").as_deref(), Some(&b"v"[..]));
    // The effects of the retry may depend on block 2.
    run.chain.reorg(1);
    run.chain.mine(1);
    run.until("the dead letter", || status.dead_letters() == 1).await;
    assert_eq!((letters(&run), run.value("keeper", "a")), (vec![letter], None));
    // A revert of the event's own block removes the dead letter.
    run.chain.reorg(2);
    run.chain.mine(1);
    run.until("no dead letter", || status.dead_letters() == 0).await;
    run.until("the new block", || run.value("keeper", "a").is_some()).await;
}

#[tokio::test]
async fn dead_letters_are_skipped_even_of_a_module_that_does_not_run() {
    let run = keeper("every = \"fail\"\n").await;
    run.chain.mine(3);
    let status = run.status("keeper");
    run.until("dead letters", || status.dead_letters() == 3).await;
    let all = letters(&run);
    status.skip(all[0]).await.expect("a skip");
    status.stop().await.expect("a stop");
    assert!(matches!(status.retry(all[1]).await, Err(CommandError::NotRunning)));
    status.skip(all[2]).await.expect("a skip");
    assert!(matches!(status.skip(all[2]).await, Err(CommandError::NoLetter(_))));
    assert_eq!((letters(&run), status.dead_letters()), (vec![all[1]], 1));
    status.start().await.expect("a start");
    run.chain.mine(1);
    run.until("one more", || status.dead_letters() == 2).await;
}

/// The number of runs of the keeper's `init`.
fn starts(run: &Run) -> usize {
    let records = run.records.of_module("keeper");
    records.iter().filter(|record| record.contains("set started 1")).count()
}

#[tokio::test]
async fn where_the_new_init_fails_the_old_one_goes_on() {
    let run = keeper("init = \"set started 1\"\nevery = \"set a 1\"\n").await;
    run.chain.mine(1);
    run.handled("keeper", 1).await;
    let before = run.status("keeper").module();
    let refused = run
        .steering
        .reload(run.build("bad-init", "name = \"keeper\"").await)
        .await;
    assert!(
        matches!(refused, Err(SteerError::Command(CommandError::Init(_)))),
        "{refused:?}"
    );
    let refused = run
        .steering
        .reload(run.build("keeper", &keys("init = \"set x 1; trap\"\n")).await);
    assert!(refused.await.is_err());
    assert!(Arc::ptr_eq(&before, &run.status("keeper").module()));
    run.chain.mine(1);
    run.handled("keeper", 2).await;
    assert_eq!((starts(&run), run.value("keeper", "x")), (1, None));
    assert_eq!(run.status("keeper").stage(), Stage::Running);
}

#[tokio::test]
async fn a_restarted_module_has_a_new_instance() {
    let run = keeper("init = \"set started 1\"\n").await;
    run.chain.mine(2);
    run.handled("keeper", 2).await;
    assert_eq!(starts(&run), 1);
    run.status("keeper").restart().await.expect("a restart");
    run.until("another start", || starts(&run) == 2).await;
    run.chain.mine(1);
    run.handled("keeper", 3).await;
}

#[tokio::test]
async fn a_strict_run_ends_when_the_first_init_of_a_module_fails() {
    let mut setup = Setup::new().module("bad-init").module("noop");
    setup.strict = true;
    let mut run = setup.start().await;
    let report = run.ended().await;
    assert!(report.failed());
    assert_eq!(run.status("bad-init").failed(), 1);
    let reason = run.status("bad-init").reason().text;
    assert!(reason.contains("its first `init` failed"), "{reason}");
    assert!(run.records.find("a module is refused").is_some());
}

/// A journal that requires [`OTHER_CHAIN`], which is not available, and one that does not.
fn one_that_waits() -> (Journals, ScriptedSource) {
    let requires = format!("{BLOCKS}\n[chains]\nrequired = [{TEST_CHAIN_ID}, {OTHER_CHAIN}]");
    let other = ScriptedSource::new(OTHER_CHAIN).not_ready("no endpoint");
    let mut journals = Journals::new().module("waits", &[&requires]).module("goes", &[BLOCKS]);
    journals.setup.other_chain = Some(other.clone());
    (journals, other)
}

#[tokio::test]
async fn a_chain_that_is_not_there_stops_only_the_modules_that_require_it() {
    let (journals, other) = one_that_waits();
    let (run, store, _manifests) = journals.start().await;
    run.chain.mine(2);
    entries(&run, &store, "goes", &["block 0", "block 1"]).await;
    let status = run.status("waits");
    run.until("a reason", || &*status.reason().text == "chain 137: no endpoint")
        .await;
    let condition = status.condition();
    let found = (condition.stage, condition.reason.since_ms, status.handled());
    assert_eq!(found, (Stage::WaitingForChain, GENESIS_MS, 0));
    assert!(
        run.records
            .find("the module waits for a chain that it requires")
            .is_some()
    );
    // The operator sends commands meanwhile.
    status.stop().await.expect("a stop");
    status.start().await.expect("a start");

    other.come_up();
    entries(&run, &store, "waits", &["block 0", "block 1"]).await;
    assert_eq!(status.stage(), Stage::Running);
    // One line when the wait begins, however often the chain is asked, and one when it ends.
    let waits = |part: &str| {
        let records = run.records.all().into_iter();
        records.filter(|record| record.message.contains(part)).count()
    };
    assert_eq!(waits("the module waits for a chain that it requires"), 1);
    assert_eq!(waits("the chains that the module requires can be read"), 1);
}

#[tokio::test]
async fn a_strict_run_ends_when_a_required_chain_is_not_there() {
    let (mut journals, _other) = one_that_waits();
    journals.setup.strict = true;
    let (mut run, _store, _manifests) = journals.start().await;
    assert!(run.ended().await.failed());
    let reason = run.status("waits").reason().text;
    assert!(
        reason.contains("a chain that the module requires cannot be read"),
        "{reason}"
    );
    assert!(reason.contains("no endpoint"), "{reason}");
}

#[tokio::test]
async fn without_strictness_the_others_go_on() {
    let run = Setup::new().module("bad-init").module("noop").start().await;
    run.chain.mine(2);
    run.handled("noop", 2).await;
    run.failed("bad-init", 2).await;
    assert_eq!(run.status("noop").failed(), 0);
}

#[tokio::test]
async fn a_chain_without_a_source_is_refused() {
    let mut journals = Journals::new().module("first", &[BLOCKS]);
    journals.setup.chains.push(5);
    let (run, _store, manifests) = journals.start().await;
    run.stage("first", Stage::Running).await;
    let keys = manifest(manifests.path(), "second", &["chain_id = 5\nkind = \"block\""]);
    let refused = run.steering.load(run.build("journal", &keys).await).await;
    assert!(matches!(refused, Err(SteerError::Start(_))), "{refused:?}");
    let keys = manifest(manifests.path(), "first", &["chain_id = 5\nkind = \"block\""]);
    let refused = run.steering.reload(run.build("journal", &keys).await).await;
    assert!(matches!(refused, Err(SteerError::Start(_))), "{refused:?}");
    run.chain.mine(1);
    run.handled("first", 1).await;
}

#[tokio::test]
async fn all_modules_together_have_so_much_memory() {
    let setup = Setup::new().config("[engine.limits]\ntotal_memory_bytes = 150_000_000\n");
    let run = setup.module("noop").start().await;
    run.stage("noop", Stage::Running).await;
    let second = run.build("noop", "name = \"second\"").await;
    let third = run.try_build("noop", "name = \"third\"").await.expect_err("a refusal");
    let expected = "this module's 67108864 bytes of memory raise the sum of all modules to 201326592, above total_memory_bytes = 150000000";
    assert_eq!(third.to_string(), expected);
    run.steering.load(second).await.expect("a load");
    run.steering
        .remove(&"second".parse().expect("a name"))
        .await
        .expect("a removal");
    run.build("noop", "name = \"third\"").await;
}

#[tokio::test]
async fn a_retry_that_the_store_fails_is_no_attempt() {
    let store = FaultyStore::new(Arc::new(MemoryStore::new()));
    let mut setup = Setup::new();
    setup.capabilities = setup.capabilities.with(LocalStore);
    setup.store = Arc::new(store.clone());
    let run = setup.module_with("keeper", &keys("1 = \"fail\"\n")).start().await;
    run.chain.mine(3);
    run.handled("keeper", 2).await;
    let status = run.status("keeper");
    let letter = letters(&run)[0];
    store.fail_writes(true);
    let again = status.retry(letter).await;
    assert!(matches!(again, Err(CommandError::Store(_))), "{again:?}");
    store.fail_writes(false);
    assert_eq!(dead_letters(&store, "keeper")[0].attempts.len(), 1);
    run.chain.mine(1);
    run.handled("keeper", 3).await;
    assert!(matches!(status.retry(letter).await, Err(CommandError::Failed(_))));
    assert_eq!(dead_letters(&store, "keeper")[0].attempts.len(), 2);
}
