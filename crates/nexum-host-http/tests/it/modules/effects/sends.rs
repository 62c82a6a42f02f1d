//! The changes that are durable before a request leaves, and the requests that leave.

use std::sync::Arc;

use nexum_config::limits::Limit;
use nexum_core::Stage;
use parking_lot::Mutex;

use super::world::{NAME, effects, is_intent};
use super::{Settings, World};
use nexum_testing::kept;

#[tokio::test]
async fn an_intent_is_durable_with_all_earlier_changes_before_its_request_leaves() {
    let mut world = World::start(Settings::new("POST /post/{n}").with("ask", "/ask/{n}")).await;
    world.next().await;
    world.stop().await;
    // The next events are a replay, whose changes wait for each other.
    world.settings.config[0].1 = "{x} /post/{n}".to_owned();
    for number in 1..6 {
        world.ledger.answer(&format!("/ask/{number}"), &["GET"]);
    }
    world.ledger.answer("/ask/6", &["POST"]);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (store, to) = (world.store.clone(), seen.clone());
    world.ledger.look(move |heard| {
        let intents = effects(&store).into_iter().filter(is_intent).count();
        let done = (1..6).filter(|number| kept(&store, NAME, &format!("done/{number}")).is_some());
        to.lock().push((heard.path.clone(), intents, done.count()));
    });
    world.chain.mine(6);
    world.restart().await;
    world.chain.mine(1);
    world.ledger.answer("/ask/7", &["GET"]);
    world.settle().await;
    assert_eq!(*seen.lock(), [("/post/6".to_owned(), 1, 5)]);
    assert_eq!(world.done(6).as_deref(), Some("200"));
}

#[tokio::test]
async fn an_intent_that_cannot_be_committed_sends_nothing() {
    let world = World::start(Settings::new("POST /post/{n}")).await;
    world.next().await;
    for is_applied in [false, true] {
        let number = world.chain.positions().len() as u64;
        match is_applied {
            // The store applies the write, and loses the connection before it can say so.
            true => world.store.fail_writes_after_the_fact(),
            false => world.store.fail_writes(true),
        }
        world.chain.mine(1);
        let status = world.status().clone();
        world.until("a failed write", || status.stage() == Stage::Stalled).await;
        assert_eq!(world.ledger.handled(&format!("POST /post/{number}")), 0);
        world.store.fail_writes(false);
        world.settle().await;
        assert_eq!(world.done(number).as_deref(), Some("200"), "{is_applied}");
        assert_eq!(world.ledger.handled(&format!("POST /post/{number}")), 1);
    }
    assert_eq!(world.reasons(), [""; 0]);
}

/// Another process may have the module by now, and send the request itself.
#[tokio::test]
async fn a_fenced_host_sends_nothing() {
    let world = World::start(Settings::new("POST /post/{n}")).await;
    world.next().await;
    // Before the intent.
    world.store.fence(true);
    world.chain.mine(1);
    let status = world.status().clone();
    world.until("an attempt", || status.stage() == Stage::Stalled).await;
    assert_eq!(
        (world.ledger.heard("POST /post/1").len(), world.outcomes().len()),
        (0, 1)
    );
    world.store.fence(false);
    world.settle().await;
    assert_eq!(world.ledger.handled("POST /post/1"), 1);
    // Between the intent and the request.
    world.store.hold_writes(true);
    world.chain.mine(1);
    world.until("an intent", || world.store.held() == 1).await;
    world.store.fence(true);
    world.store.hold_writes(false);
    world.until("an attempt", || status.stage() == Stage::Stalled).await;
    assert_eq!(world.ledger.heard("POST /post/2").len(), 0);
    let states = world.outcomes();
    assert_eq!(states[2].1, "intent", "{states:?}");
    world.store.fence(false);
    world.settle().await;
    // The request has certainly not left, because the same process knows it.
    assert_eq!(world.done(2).as_deref(), Some("200"));
    assert_eq!(world.ledger.handled("POST /post/2"), 1);
}

#[tokio::test]
async fn an_outcome_survives_a_store_that_fails_before_the_event_ends() {
    let world = World::start(Settings::new("POST /post/{n}\nPOST /next/{n}")).await;
    world.next().await;
    // The first request is answered, and the intent of the second one cannot be committed.
    let store = world.store.clone();
    world.ledger.look(move |heard| {
        if heard.path == "/post/1" {
            store.fail_writes(true);
        }
    });
    world.chain.mine(1);
    let status = world.status().clone();
    world.until("a failed write", || status.stage() == Stage::Stalled).await;
    world.store.fail_writes(false);
    world.settle().await;
    assert_eq!(world.done(1).as_deref(), Some("200 200"));
    assert_eq!(world.ledger.handled("POST /post/1"), 1);
    // The last request is answered, and the event's own changes cannot be committed.
    let store = world.store.clone();
    world.ledger.look(move |heard| {
        if heard.path == "/next/2" {
            store.fail_writes(true);
        }
    });
    world.chain.mine(1);
    world.until("a failed write", || status.stage() == Stage::Stalled).await;
    world.store.fail_writes(false);
    world.settle().await;
    assert_eq!(world.done(2).as_deref(), Some("200 200"));
    assert_eq!(world.ledger.handled("POST /next/2"), 1);
}

#[tokio::test]
async fn a_post_has_a_key_that_differs_between_events() {
    let world = World::start(Settings::new("POST /post/{n}\nPUT /put/{n}")).await;
    world.next().await;
    world.next().await;
    let key = |identity: &str| {
        let heard = world.ledger.heard(identity);
        heard[0].header("idempotency-key").map(str::to_owned)
    };
    let [first, second] = ["POST /post/0", "POST /post/1"].map(|identity| key(identity).expect("a key"));
    assert_ne!(first, second);
    assert_eq!((first.len(), first.as_bytes()[14]), (36, b'4'), "{first}");
    assert_eq!(key("PUT /put/0"), None);
}

#[tokio::test]
async fn init_may_send_what_a_repetition_does_not_have_twice() {
    for (request, status, handled) in [("POST /init", "denied", 0), ("PUT /init", "200", 1)] {
        let world = World::start(Settings::new("").with("init", request)).await;
        world.next().await;
        assert_eq!(world.ledger.handled(request), handled);
        assert!(
            world.records().of_module(NAME).contains(&status.to_owned()),
            "{request}"
        );
        assert_eq!(world.outcomes(), []);
    }
}

#[tokio::test]
async fn effects_have_a_budget() {
    let mut settings = Settings::new("POST /a/{n}\nPUT /b/{n}\nPOST /c/{n}");
    settings.limits = settings.limits.with(Limit::Effects, 2);
    settings.restart.attempts_max = 2;
    let world = World::start(settings).await;
    world.next().await;
    let reasons = world.reasons();
    assert!(reasons[0].contains(Limit::Effects.name()), "{reasons:?}");
    // The second attempt has the answers of the first one.
    let handled = ["POST /a/0", "PUT /b/0", "POST /c/0"].map(|identity| world.ledger.handled(identity));
    assert_eq!(handled, [1, 1, 0]);
}
