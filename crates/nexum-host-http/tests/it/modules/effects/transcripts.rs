//! Requests with the time, with a random number and with the answer of a read: each attempt makes the same ones.

use std::time::Duration;

use nexum_core::state::Resolution;
use nexum_testing::GENESIS_MS;

use super::Treatment::{CutAfter, HangAfter, Trouble};
use super::{Settings, World};

/// A request that no two runs of a handler make alike.
const FRESH: &str = "POST /post/{n}/{t}/{r}/{x}";

/// The identities of the requests of a method that the server has handled, with their numbers.
fn handled(world: &World, method: &str) -> Vec<(String, usize)> {
    let all = world.ledger.all_handled().into_iter();
    all.filter(|(identity, _)| identity.starts_with(method)).collect()
}

/// The only request of a method.
fn only(world: &World, method: &str) -> String {
    let handled = handled(world, method);
    assert!(matches!(&handled[..], [(_, 1)]), "{handled:?}");
    handled[0].0.clone()
}

/// Moves the clock at each request, so that no two attempts have one time.
fn with_a_clock_that_moves(world: &World) {
    let clock = world.clock.clone();
    world.ledger.look(move |_| clock.advance(Duration::from_millis(7)));
}

async fn start(requests: &str) -> World {
    let world = World::start(Settings::new(requests).with("ask", "/ask/{n}")).await;
    with_a_clock_that_moves(&world);
    world
}

#[tokio::test]
async fn a_post_with_the_time_and_a_random_number_is_sent_once() {
    let world = start(FRESH).await;
    world.ledger.answer("/ask/0", &["a", "b", "c"]);
    world.ledger.answer("/verdict/0", &["fail", "trap", "ok"]);
    world.next().await;
    assert_eq!(world.done(0).as_deref(), Some("200"));
    let request = only(&world, "POST");
    assert!(request.ends_with("/a"), "{request}");
    assert!(world.records().find("goes another way").is_none());
    // The next event has a time of its own.
    world.next().await;
    assert_eq!(handled(&world, "POST").len(), 2);
}

#[tokio::test]
async fn an_attempt_goes_on_with_new_answers_after_the_last_effect_of_the_earlier_ones() {
    let world = start("POST /first/{n}/{t}\nPUT /second/{n}/{r}").await;
    // The first attempt ends in the second request, and the others after it.
    world.ledger.answer("/verdict/0", &["fail", "trap", "ok"]);
    world.next().await;
    assert_eq!(world.done(0).as_deref(), Some("200 200"));
    only(&world, "POST");
    only(&world, "PUT");
    let effects = world.effects();
    assert!(effects.iter().all(|effect| effect.is_over), "{effects:?}");
}

#[tokio::test]
async fn a_host_that_crashed_repeats_the_request_with_its_time() {
    let mut world = start("POST /post/{n}/{t}/{r}/{x}\nPUT /hang/{n}\nPOST /last/{t}/{r}").await;
    world.next().await;
    world.ledger.answer("/ask/1", &["a", "b"]);
    world.ledger.treat("PUT /hang/1", &[HangAfter]);
    world.chain.mine(1);
    world
        .until("the request", || world.ledger.handled("PUT /hang/1") == 1)
        .await;
    world.crash();
    world.clock.advance(Duration::from_secs(60));
    world.restart().await;
    world.next().await;
    assert_eq!(world.done(1).as_deref(), Some("200 200 200"));
    let of_block = |prefix: &str| {
        let all = world.ledger.all_handled().into_iter();
        all.filter(|(identity, _)| identity.starts_with(prefix))
            .map(|(_, count)| count)
            .collect::<Vec<_>>()
    };
    assert_eq!(of_block("POST /post/1/"), [1]);
    assert_eq!(of_block("PUT /hang/1"), [2]);
    assert_eq!(of_block("POST /last/").len(), 3);
}

#[tokio::test]
async fn a_dead_letter_is_retried_with_the_time_of_its_first_attempt() {
    let mut settings = Settings::new(FRESH);
    settings.restart.attempts_max = 2;
    let mut world = World::start(settings).await;
    with_a_clock_that_moves(&world);
    world.ledger.answer("/verdict/0", &["fail"]);
    world.next().await;
    let letter = world.dead_letters()[0].id;
    // A day later, in another process.
    world.stop().await;
    world.clock.advance(Duration::from_secs(24 * 60 * 60));
    world.restart().await;
    world.next().await;
    world.ledger.answer("/verdict/0", &["ok"]);
    world.status().retry(letter).await.expect("an event that ends ok");
    assert_eq!(world.done(0).as_deref(), Some("200"));
    assert_eq!(handled(&world, "POST /post/0").len(), 1);
}

#[tokio::test]
async fn a_post_in_doubt_is_the_same_request_after_the_operator_resolves_it() {
    for (resolution, posts) in [(Resolution::Done(Vec::new()), 1), (Resolution::NotSent, 2)] {
        let world = start("POST /post/{n}/{t}").await;
        let identity = format!("POST /post/0/{GENESIS_MS}");
        world.ledger.treat(&identity, &[CutAfter]);
        world.ledger.answer("/verdict/0", &["fail", "ok"]);
        world.next().await;
        let (letter, effect) = (world.dead_letters()[0].id, world.effects().remove(0));
        let status = world.status();
        status.resolve_effect(effect, resolution).await.expect("a resolution");
        status.retry(letter).await.expect("an event that ends ok");
        assert_eq!(handled(&world, "POST"), [(identity, posts)]);
    }
}

#[tokio::test]
async fn a_removed_block_leaves_no_transcript() {
    let world = start(FRESH).await;
    world.next().await;
    world.next().await;
    world.chain.reorg(1);
    world.clock.advance(Duration::from_secs(1));
    world.chain.mine(2);
    world.settle().await;
    // The new block has a time of its own: its request is another one.
    assert_eq!(handled(&world, "POST /post/1").len(), 2);
}

#[tokio::test]
async fn a_repeatable_request_without_an_answer_is_sent_again_with_its_time() {
    let mut settings = Settings::new("POST /post/{n}/{t}");
    settings.is_idempotent = true;
    let world = World::start(settings).await;
    with_a_clock_that_moves(&world);
    let identity = format!("POST /post/0/{GENESIS_MS}");
    world.ledger.treat(&identity, &[Trouble]);
    world.ledger.answer("/verdict/0", &["fail", "ok"]);
    world.next().await;
    assert_eq!(world.done(0).as_deref(), Some("200"));
    assert_eq!(
        (world.ledger.heard(&identity).len(), handled(&world, "POST").len()),
        (2, 1)
    );
}
