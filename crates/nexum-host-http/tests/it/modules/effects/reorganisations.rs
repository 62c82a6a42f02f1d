//! Effects of events that a reorganisation removes.

use std::time::Duration;

use nexum_core::Stage;
use nexum_testing::{Counts, kept};

use super::Treatment::CutAfter;
use super::world::NAME;
use super::{Settings, World};

const POST: &str = "POST /post/{n}";

#[tokio::test]
async fn the_same_effect_of_a_new_block_sends_nothing() {
    let world = World::start(Settings::new(POST)).await;
    for _ in 0..4 {
        world.next().await;
    }
    world.chain.reorg(2);
    world.chain.mine(3);
    world.settle().await;
    for number in 0..5 {
        assert_eq!(world.done(number).as_deref(), Some("200"));
        assert_eq!(world.ledger.handled(&format!("POST /post/{number}")), 1, "{number}");
    }
    assert!(world.outcomes().iter().all(|(_, _, is_stranded)| !is_stranded));
}

#[tokio::test]
async fn the_same_effect_in_a_block_of_another_number_sends_nothing() {
    let world = World::start(Settings::new("POST /{x}").with("ask", "/ask/{n}")).await;
    world.next().await;
    world.ledger.answer("/ask/1", &["", "other"]);
    world.ledger.answer("/ask/2", &["notice", ""]);
    world.ledger.answer("/ask/3", &["notice"]);
    for _ in 0..2 {
        world.next().await;
    }
    world.chain.reorg(2);
    world.chain.mine(3);
    world.settle().await;
    assert_eq!(world.ledger.handled("POST /notice"), 1);
    assert_eq!(world.ledger.handled("POST /other"), 1);
}

/// The event's first attempt fails, so the module's cursor is before the block.
#[tokio::test]
async fn an_event_that_a_reorganisation_removes_between_two_attempts_leaves_its_effect() {
    let mut settings = Settings::new(POST);
    settings.restart.attempts_max = 1_000;
    let mut world = World::start(settings).await;
    world.next().await;
    for is_crash in [false, true] {
        let number = world.chain.positions().len() as u64;
        world.ledger.answer(&format!("/verdict/{number}"), &["fail"]);
        world.chain.mine(1);
        let status = world.status().clone();
        let failed = status.failed();
        world.until("two attempts", || status.failed() >= failed + 2).await;
        match is_crash {
            true => {
                world.crash();
                world.chain.reorg(1);
                world.chain.mine(1);
                world.ledger.answer(&format!("/verdict/{number}"), &["ok"]);
                world.restart().await;
                world.next().await;
            }
            false => {
                world.chain.reorg(1);
                world.ledger.answer(&format!("/verdict/{number}"), &["ok"]);
                world.chain.mine(2);
                world.settle().await;
            }
        }
        assert_eq!(world.done(number).as_deref(), Some("200"), "{is_crash}");
        assert_eq!(world.ledger.handled(&format!("POST /post/{number}")), 1, "{is_crash}");
    }
}

/// The store fails between the answer and the end of the event, and the event does not come again.
#[tokio::test]
async fn an_outcome_that_is_not_in_the_store_yet_survives_a_reorganisation() {
    let world = World::start(Settings::new(POST)).await;
    world.next().await;
    let store = world.store.clone();
    world.ledger.look(move |_| store.fail_writes(true));
    world.chain.mine(1);
    let status = world.status().clone();
    world.until("a failed write", || status.stage() == Stage::Stalled).await;
    world.ledger.look(|_| ());
    world.chain.reorg(1);
    world.chain.mine(2);
    world.store.fail_writes(false);
    world.settle().await;
    assert_eq!(world.done(1).as_deref(), Some("200"));
    assert_eq!(world.ledger.handled("POST /post/1"), 1);
}

#[tokio::test]
async fn an_unknown_outcome_survives_its_adoption_by_a_new_block() {
    let world = World::start(Settings::new(POST)).await;
    world.next().await;
    world.ledger.treat("POST /post/1", &[CutAfter]);
    world.next().await;
    assert_eq!(world.done(1).as_deref(), Some("unavailable"));
    world.chain.reorg(1);
    world.chain.mine(2);
    world.settle().await;
    let letter = world.dead_letters()[0].id;
    world.status().retry(letter).await.expect_err("the outcome is unknown");
    assert_eq!(world.ledger.heard("POST /post/1").len(), 1);
}

/// Between the two, the server may have got another content.
#[tokio::test]
async fn a_put_is_sent_again_for_a_new_block() {
    let world = World::start(Settings::new("PUT /{x}").with("ask", "/ask/{n}")).await;
    world.next().await;
    world.ledger.answer("/ask/1", &["price"]);
    world.next().await;
    world.chain.reorg(1);
    world.chain.mine(2);
    world.settle().await;
    assert_eq!(world.ledger.handled("PUT /price"), 2);
    assert_eq!(
        world.outcomes(),
        [(0, "done", false), (1, "done", false), (2, "done", false)]
    );
}

#[tokio::test]
async fn an_effect_that_no_new_block_has_is_reported_once_and_belongs_to_no_later_event() {
    let counts = Counts::default();
    let _recorder = metrics::set_default_local_recorder(&counts);
    let world = World::start(Settings::new("{x}").with("ask", "/ask/{n}")).await;
    world.next().await;
    world.ledger.answer("/ask/1", &["POST /notice", ""]);
    world.next().await;
    world.chain.reorg(1);
    world.chain.mine(2);
    world.settle().await;
    let stranded = || counts.sum("nexum_effects_stranded_total", &["module=effects"]);
    assert_eq!(stranded(), 0);
    // The source reverts at most 128 blocks.
    world.chain.mine(140);
    world.settle().await;
    world.next().await;
    assert_eq!(stranded(), 1);
    let number = world.chain.positions().len();
    world.ledger.answer(&format!("/ask/{number}"), &["POST /notice"]);
    world.next().await;
    assert_eq!(world.ledger.handled("POST /notice"), 2);
    assert_eq!(stranded(), 1);
}

#[tokio::test]
async fn records_go_when_they_are_old_and_settled_and_those_of_dead_letters_stay() {
    let mut settings = Settings::new("POST /post/{n}");
    settings.restart.attempts_max = 1;
    let world = World::start(settings).await;
    world.ledger.answer("/verdict/0", &["fail"]);
    for _ in 0..3 {
        world.next().await;
    }
    let first = |number: u64| world.outcomes().iter().filter(|outcome| outcome.0 <= number).count();
    world.clock.advance(Duration::from_secs(8 * 24 * 60 * 60));
    world.next().await;
    // Old, and not settled.
    assert_eq!(first(2), 3);
    world.chain.mine(140);
    world.settle().await;
    world.next().await;
    // Only the one of the dead letter.
    assert_eq!(first(2), 1);
    world.status().skip(world.dead_letters()[0].id).await.expect("a skip");
    world.next().await;
    assert_eq!(
        world
            .outcomes()
            .iter()
            .filter(|outcome| outcome.0 == 0 && !outcome.2)
            .count(),
        0
    );
}

/// A module that also posts at each minute, and whose records go as soon as no reorganisation can deliver their event.
async fn ticking() -> World {
    let mut settings = Settings::new("POST /post/{n}");
    settings.schedule = Some("* * * * *");
    settings.policy.effects_keep = Duration::ZERO;
    settings.restart.attempts_max = 1;
    let world = World::start(settings).await;
    world.next().await;
    world.next().await;
    world
}

impl World {
    /// Replaces the newest block by another one, and mines one more.
    async fn replace_newest(&self) {
        self.chain.reorg(1);
        self.chain.mine(2);
        self.settle().await;
    }

    fn ticked(&self) -> bool {
        kept(&self.store, NAME, "done/tick").is_some()
    }
}

#[tokio::test]
async fn a_tick_that_a_reorganisation_of_a_chain_reverts_sends_nothing_again() {
    let world = ticking().await;
    world.clock.advance(Duration::from_secs(60));
    world.until("a tick", || world.ticked()).await;
    // The tick came after the newest block, so its event depends on the block.
    let status = world.status().clone();
    let handled = status.handled();
    world.replace_newest().await;
    world
        .until("the tick again", || status.handled() >= handled + 3 && world.ticked())
        .await;
    assert_eq!(world.ledger.heard("POST /post/tick").len(), 1);
}

#[tokio::test]
async fn a_retry_that_a_reorganisation_of_a_chain_reverts_sends_nothing_again() {
    let world = ticking().await;
    world.ledger.answer("/verdict/tick", &["fail", "ok"]);
    world.clock.advance(Duration::from_secs(60));
    world.until("a dead letter", || !world.dead_letters().is_empty()).await;
    let letter = world.dead_letters()[0].id;
    world.next().await;
    let status = world.status();
    status.retry(letter).await.expect("an event that ends ok");
    assert_eq!((world.dead_letters().len(), world.ticked()), (0, true));
    world.replace_newest().await;
    // The retry came after the block that is gone.
    assert_eq!((world.dead_letters().len(), world.ticked()), (1, false));
    world.status().retry(letter).await.expect("an event that ends ok");
    assert!(world.ticked());
    assert_eq!(world.ledger.heard("POST /post/tick").len(), 1);
}
