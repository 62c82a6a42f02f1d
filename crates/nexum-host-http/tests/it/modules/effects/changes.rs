//! Attempts at an event by several versions of its module, which go different ways.

use nexum_core::CommandError;
use nexum_testing::Counts;

use super::Treatment::Refuse;
use super::{Settings, World};

/// A world whose first event is a dead letter after one attempt with these requests.
async fn failed(requests: &str) -> World {
    let mut settings = Settings::new(requests);
    settings.restart.attempts_max = 1;
    let world = World::start(settings).await;
    world.ledger.answer("/verdict/0", &["fail"]);
    world.next().await;
    assert_eq!(world.dead_letters().len(), 1);
    world
}

impl World {
    /// Retries the first event with a version of the module that sends these requests, and whose event ends so.
    async fn retry_with(&mut self, requests: &str, verdict: &str) -> Result<(), CommandError> {
        self.stop().await;
        self.settings.config[0].1 = requests.to_owned();
        self.ledger.answer("/verdict/0", &[verdict]);
        self.restart().await;
        self.next().await;
        let letter = self.dead_letters()[0].id;
        self.status().retry(letter).await
    }
}

const OTHER_WAY: &str = "the module goes another way than at an earlier attempt";

#[tokio::test]
async fn another_post_in_place_of_the_first_one_is_a_dead_letter_and_sends_nothing() {
    let mut world = failed("PUT /put/{n}\nPOST /post/a{n}").await;
    let retried = world.retry_with("PUT /put/{n}\nPOST /post/b{n}", "ok").await;
    retried.expect_err("another request");
    let reasons = world.reasons();
    assert!(
        reasons[0].starts_with("an earlier attempt at this event had effect 2, http to"),
        "{reasons:?}"
    );
    assert!(world.ledger.heard("POST /post/b0").is_empty());
    assert!(world.records().find(OTHER_WAY).is_some());
    // The version of the first attempt has its answers.
    world
        .retry_with("PUT /put/{n}\nPOST /post/a{n}", "ok")
        .await
        .expect("the first way");
    let handled = ["PUT /put/0", "POST /post/a0"].map(|identity| world.ledger.handled(identity));
    assert_eq!(handled, [1, 1]);
}

#[tokio::test]
async fn another_put_is_a_new_effect_and_strands_the_first_one() {
    let counts = Counts::default();
    let _recorder = metrics::set_default_local_recorder(&counts);
    let mut world = failed("PUT /put/a{n}\nPOST /post/{n}").await;
    world
        .retry_with("PUT /put/b{n}\nPOST /post/{n}", "ok")
        .await
        .expect("another way");
    assert_eq!(world.done(0).as_deref(), Some("200 200"));
    let handled = ["PUT /put/a0", "PUT /put/b0", "POST /post/0"].map(|identity| world.ledger.handled(identity));
    assert_eq!(handled, [1, 1, 1]);
    let effects = world.effects().into_iter();
    let stranded: Vec<_> = effects.filter(|effect| effect.is_stranded).collect();
    assert_eq!(stranded.len(), 1, "{stranded:?}");
    assert_eq!(counts.sum("nexum_effects_stranded_total", &["module=effects"]), 1);
    assert!(world.records().find("an effect is stranded: it has happened").is_some());
    // Its content belongs to no later event.
    let next = world.chain.positions().len();
    world.stop().await;
    world.settings.config[0].1 = "PUT /put/a0".to_owned();
    world.restart().await;
    world.next().await;
    assert!(world.ledger.handled("PUT /put/a0") > 1, "block {next}");
}

/// Each content replaces the one before at the server.
#[tokio::test]
async fn the_content_that_another_one_has_replaced_is_sent_again() {
    let mut world = failed("PUT /put/a{n}").await;
    world.retry_with("PUT /put/b{n}", "fail").await.expect_err("a failure");
    world.retry_with("PUT /put/a{n}", "fail").await.expect_err("a failure");
    let handled = |world: &World| ["PUT /put/a0", "PUT /put/b0"].map(|identity| world.ledger.handled(identity));
    assert_eq!(handled(&world), [2, 1]);
    // The server has the content of the last attempt.
    world.retry_with("PUT /put/a{n}", "fail").await.expect_err("a failure");
    assert_eq!(handled(&world), [2, 1]);
    world
        .retry_with("PUT /put/b{n}\nPUT /put/a{n}", "fail")
        .await
        .expect_err("a failure");
    assert_eq!(handled(&world), [3, 2]);
    world
        .retry_with("PUT /put/a{n}\nPUT /put/b{n}", "ok")
        .await
        .expect("an event that ends ok");
    assert_eq!(handled(&world)[1], 3);
}

#[tokio::test]
async fn a_version_with_more_calls_recognises_its_effects_by_their_content() {
    let mut world = failed("POST /first/{n}\nPOST /second/{n}").await;
    world.ledger.treat("PUT /new/0", &[Refuse]);
    let requests = "GET /more\nPOST /second/{n}\nPUT /new/{n}\nPOST /first/{n}";
    world.retry_with(requests, "ok").await.expect("an event that ends ok");
    assert_eq!(world.done(0).as_deref(), Some("200 200 400 200"));
    let handled = ["POST /first/0", "POST /second/0"].map(|identity| world.ledger.handled(identity));
    assert_eq!(handled, [1, 1]);
    assert!(world.records().find(OTHER_WAY).is_some());
}
