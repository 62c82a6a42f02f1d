//! Further attempts at an event that has sent something.

use nexum_core::state::{Effect, Resolution};
use nexum_testing::Counts;

use super::Treatment::{CutAfter, CutBefore, HangAfter, Refuse, SeeOther, Trouble};
use super::{Settings, World};

/// A module that posts once for each block.
async fn posting() -> World {
    World::start(Settings::new("POST /post/{n}")).await
}

#[tokio::test]
async fn a_further_attempt_has_the_answers_of_the_first_one() {
    let world = World::start(Settings::new("POST /post/{n}\nPUT /put/{n}\nPOST /post/{n}")).await;
    world.ledger.answer("/verdict/0", &["fail", "trap", "ok"]);
    world.next().await;
    assert_eq!(world.done(0).as_deref(), Some("200 200 200"));
    // The module asks for one of them twice.
    let handled = ["POST /post/0", "PUT /put/0"].map(|identity| world.ledger.handled(identity));
    assert_eq!(handled, [2, 1]);
    assert!(
        world.effects().iter().all(|effect| effect.is_over),
        "{:?}",
        world.effects()
    );
}

#[tokio::test]
async fn a_post_without_an_answer_is_a_dead_letter_at_the_next_attempt() {
    for treatment in [CutBefore, CutAfter, Trouble] {
        let world = posting().await;
        world.ledger.treat("POST /post/0", &[treatment]);
        world.ledger.answer("/verdict/0", &["fail", "ok"]);
        world.next().await;
        let letters = world.dead_letters();
        assert_eq!(letters[0].attempts.len(), 2, "{treatment:?}");
        let reason = &letters[0].attempts[1].reason;
        assert!(
            reason.starts_with("nexum does not know whether effect 1 of this event, http to http"),
            "{reason}"
        );
        assert_eq!(world.ledger.heard("POST /post/0").len(), 1);
        // The module goes on.
        world.next().await;
        assert_eq!(world.done(1).as_deref(), Some("200"));
    }
}

#[tokio::test]
async fn a_module_that_accepts_an_unknown_outcome_goes_on() {
    let world = posting().await;
    world.ledger.treat("POST /post/0", &[CutAfter]);
    world.next().await;
    assert_eq!(world.done(0).as_deref(), Some("unavailable"));
    assert_eq!(world.outcomes(), [(0, "unknown", false)]);
}

#[tokio::test]
async fn an_operator_resolves_an_unknown_outcome() {
    for (resolution, posts) in [(Resolution::Done(Vec::new()), 1), (Resolution::NotSent, 2)] {
        let counts = Counts::default();
        let recorder = metrics::set_default_local_recorder(&counts);
        let world = posting().await;
        world.ledger.treat("POST /post/0", &[CutAfter]);
        world.ledger.answer("/verdict/0", &["fail", "ok"]);
        world.next().await;
        let in_doubt = || counts.gauge("nexum_effects_unknown", &["module=effects"]);
        assert_eq!(in_doubt(), Some(1.0));
        let effect: Effect = world.effects().remove(0);
        let letter = world.dead_letters()[0].id;
        let status = world.status();
        status.retry(letter).await.expect_err("the outcome is unknown");
        status
            .resolve_effect(effect.clone(), resolution)
            .await
            .expect("a resolution");
        assert_eq!(in_doubt(), Some(0.0));
        status.retry(letter).await.expect("an event that ends ok");
        assert_eq!(world.done(0).as_deref(), Some("200"));
        assert_eq!(world.ledger.heard("POST /post/0").len(), posts);
        assert!(world.dead_letters().is_empty());
        drop(recorder);
    }
}

#[tokio::test]
async fn a_refused_request_is_sent_again() {
    let world = World::start(Settings::new("POST /post/{n}\nPUT /put/{n}")).await;
    for identity in ["POST /post/0", "PUT /put/0"] {
        world.ledger.treat(identity, &[Refuse]);
    }
    world.ledger.answer("/verdict/0", &["fail", "ok"]);
    world.next().await;
    assert_eq!(world.done(0).as_deref(), Some("200 200"));
    for identity in ["POST /post/0", "PUT /put/0"] {
        assert_eq!(
            (world.ledger.heard(identity).len(), world.ledger.handled(identity)),
            (2, 1)
        );
    }
}

#[tokio::test]
async fn a_repeatable_request_is_sent_again_with_its_key() {
    let own = Settings::new("POST /post/{n}").with("key", "own");
    let mut allowed = Settings::new("POST /post/{n}");
    allowed.is_idempotent = true;
    for (settings, expected) in [(own, Some("own/post/0")), (allowed, None)] {
        let world = World::start(settings).await;
        // The server has handled the first request. A later refusal says nothing about it.
        world.ledger.treat("POST /post/0", &[CutAfter, Refuse]);
        world.ledger.answer("/verdict/0", &["fail", "fail", "ok"]);
        world.next().await;
        assert_eq!(world.done(0).as_deref(), Some("200"));
        let heard = world.ledger.heard("POST /post/0");
        let keys: Vec<_> = heard
            .iter()
            .map(|heard| heard.header("idempotency-key").expect("a key"))
            .collect();
        assert_eq!(keys, [expected.unwrap_or(keys[0]); 3]);
    }
}

#[tokio::test]
async fn a_put_without_an_answer_is_sent_again() {
    let world = World::start(Settings::new("PUT /put/{n}")).await;
    world.ledger.treat("PUT /put/0", &[CutBefore, Trouble]);
    world.ledger.answer("/verdict/0", &["fail", "fail", "ok"]);
    world.next().await;
    assert_eq!(world.done(0).as_deref(), Some("200"));
    assert_eq!(world.ledger.heard("PUT /put/0").len(), 3);
}

#[tokio::test]
async fn a_post_that_points_to_an_absent_resource_has_happened() {
    let world = posting().await;
    world.ledger.treat("POST /post/0", &[SeeOther]);
    world.ledger.answer("/verdict/0", &["fail", "ok"]);
    world.next().await;
    assert_eq!(world.done(0).as_deref(), Some("404"));
    assert_eq!(world.ledger.heard("POST /post/0").len(), 1);
}

#[tokio::test]
async fn a_deadline_leaves_an_unknown_outcome() {
    let mut settings = Settings::new("POST /post/{n}");
    settings.limits = settings.limits.with(nexum_config::limits::Limit::Deadline, 500);
    let world = World::start(settings).await;
    world.ledger.treat("POST /post/0", &[HangAfter]);
    world.ledger.answer("/verdict/0", &["fail", "ok"]);
    world.next().await;
    let reasons = world.reasons();
    assert!(
        reasons[0].starts_with("nexum does not know whether effect 1"),
        "{reasons:?}"
    );
    assert_eq!(world.ledger.heard("POST /post/0").len(), 1);
}

#[tokio::test]
async fn a_host_that_crashed_finds_its_records() {
    let mut world = World::start(Settings::new("POST /post/{n}\nPUT /put/{n}\nPOST /last/{n}")).await;
    world.next().await;
    // The server hangs on the last request, and the host dies.
    world.ledger.treat("POST /last/1", &[HangAfter]);
    world.chain.mine(1);
    world
        .until("the last request", || world.ledger.handled("POST /last/1") == 1)
        .await;
    world.crash();
    world.restart().await;
    world.next().await;
    let reasons = world.reasons();
    assert!(
        reasons[0].starts_with("nexum does not know whether effect 3"),
        "{reasons:?}"
    );
    assert!(
        reasons[0].contains("nexum ended before it knew the outcome"),
        "{reasons:?}"
    );
    // The answers to the first two are durable with the intent of the last one.
    assert_eq!(world.ledger.heard("POST /last/1").len(), 1);
    assert_eq!(world.ledger.heard("POST /post/1").len(), 1);
    assert_eq!(world.done(2).as_deref(), Some("200 200 200"));
}
