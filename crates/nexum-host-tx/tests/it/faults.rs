//! Faults that other programs had in public.

use nexum_core::Stage;

use crate::gateway::Fate;
use crate::world::{Settings, World};

const NO_FUNDS: &str = "insufficient funds for gas * price + value";

/// OZ relayer #683: the counter moves on before the transaction is stored.
#[tokio::test]
async fn a_commit_that_fails_takes_no_nonce_and_one_that_only_seems_to_fail_takes_one() {
    let world = World::start(Settings::new()).await;
    world.next().await;
    for is_applied in [false, true] {
        match is_applied {
            true => world.store.fail_writes_after_the_fact(),
            false => world.store.fail_writes(true),
        }
        let before = world.gateway.hashes();
        world.events.mine(1);
        let status = world.statuses()[0].clone();
        world.until("a failed write", || status.stage() == Stage::Stalled).await;
        assert_eq!(world.gateway.hashes(), before, "{is_applied}");
        world.store.fail_writes(false);
        world.settle().await;
    }
    world.finish().await;
    world.check().await;
    assert_eq!(world.rows().len(), 3);
}

/// alloy #2385, ethers #972: the nonce moves on although the node has refused the transaction.
#[tokio::test]
async fn a_refused_transaction_gives_its_nonce_back() {
    let world = World::start(Settings::new().with("errors", "fail")).await;
    world.gateway.fates(&[Fate::Refused(NO_FUNDS)]);
    world.next().await;
    assert_eq!((world.rows().len(), world.report().next), (1, 1));
    world.next().await;
    world.finish().await;
    world.check().await;
    assert_eq!(world.rows().len(), 2);
}

/// OZ relayer #843: a transaction that no node has holds up all later ones.
#[tokio::test]
async fn a_new_process_submits_what_the_last_one_left() {
    for fate in [Fate::HangBefore, Fate::HangAfter] {
        let mut world = World::start(Settings::new()).await;
        world.gateway.fates(&[fate]);
        world.events.mine(1);
        let gateway = world.gateway.clone();
        world.until("a submission", || gateway.hanging() == 1).await;
        world.crash();
        world.restart().await;
        world.next().await;
        world.finish().await;
        world.check().await;
        assert_eq!(world.rows().len(), 2);
    }
}

/// OZ relayer #845: two preparations of one transaction take two nonces. Here two modules send at once from one
/// account, and each first attempt fails after it has sent.
#[tokio::test]
async fn two_attempts_take_one_nonce_and_two_modules_take_two() {
    let settings = Settings {
        modules: 2,
        ..Settings::new().with("then", "fail")
    };
    let world = World::start(settings).await;
    for _ in 0..4 {
        world.next().await;
    }
    world.finish().await;
    world.check().await;
    assert_eq!(world.rows().len(), 8);
}

/// OZ relayer #681, execution-apis #245, erpc #336: texts about nonces and known transactions are no refusals, whether the
/// node has the transaction or not.
#[tokio::test]
async fn a_text_about_the_nonce_or_a_known_transaction_is_no_refusal() {
    let world = World::start(Settings::new().with("errors", "fail")).await;
    for text in [
        "nonce too low",
        "Transaction nonce is too low. Try incrementing the nonce.",
        "Transaction with the same hash was already imported.",
        "replacement transaction underpriced",
    ] {
        for fate in [Fate::Refused(text), Fate::TakenAndRefused(text)] {
            world.gateway.fates(&[fate]);
            world.next().await;
        }
    }
    world.finish().await;
    world.check().await;
    assert_eq!(world.rows().len(), 8);
}

/// The disk fails when nexum gives the nonce of a refused transaction back, so the transaction goes on.
#[tokio::test]
async fn a_nonce_that_cannot_be_given_back_pays_once() {
    for is_applied in [false, true] {
        let world = World::start(Settings::new().with("errors", "fail")).await;
        world.next().await;
        let store = world.store.clone();
        world.gateway.fates(&[Fate::Refused(NO_FUNDS)]);
        world.gateway.at_next(move || match is_applied {
            true => store.fail_writes_after_the_fact(),
            false => store.fail_writes(true),
        });
        world.events.mine(1);
        let status = world.statuses()[0].clone();
        world.until("a failed write", || status.stage() == Stage::Stalled).await;
        world.store.fail_writes(false);
        world.settle().await;
        world.finish().await;
        world.check().await;
        assert_eq!(world.rows().len(), 2);
    }
}

/// A node says that it refuses a transaction, and keeps it.
#[tokio::test]
async fn a_refusal_that_is_a_lie_pays_once() {
    let world = World::start(Settings::new().with("errors", "fail")).await;
    world.gateway.fates(&[Fate::TakenAndRefused(NO_FUNDS)]);
    world.next().await;
    world.finish().await;
    world.check().await;
    assert_eq!(world.rows().len(), 1);
}

/// alloy #1073: a cached nonce is wrong after a reorganisation.
#[tokio::test]
async fn a_reorganisation_changes_no_nonce() {
    let world = World::start(Settings::new()).await;
    world.next().await;
    world.next().await;
    world.anvil.mine(2).await;
    world
        .until("two transactions in a block", || world.report().unsettled == 2)
        .await;
    world.anvil.reorg(2).await;
    world.next().await;
    assert_eq!(world.report().next, 3);
    world.finish().await;
    world.check().await;
}

/// gear-bridges #842, viem #4364: a transaction that a network error has lost leaves a gap before the later nonces.
#[tokio::test]
async fn a_lost_transaction_leaves_no_gap() {
    let world = World::start(Settings::new()).await;
    let fates = [Fate::Taken, Fate::LostBefore, Fate::LostAfter, Fate::Taken];
    world.gateway.fates(&fates);
    for _ in fates {
        world.next().await;
    }
    world.finish().await;
    world.check().await;
    assert_eq!(world.rows().len(), 4);
}
