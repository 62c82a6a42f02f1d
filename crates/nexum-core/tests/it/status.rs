//! The status of a module: its stage and why, its position, its work, and its failures.

use std::time::Duration;

use nexum_core::capability::{Handler, HostCallKind, TimeKind};
use nexum_core::module::LimitUse;
use nexum_core::nexum_config::limits::Limit;
use nexum_core::nexum_config::topic::ChainTopic;
use nexum_core::{ChainPosition, Condition, ModuleStatus, Stage, SubscriptionMatch, TopicPosition};
use nexum_host_store::LocalStore;
use nexum_testing::{GENESIS_MS, ScriptedSource, TEST_CHAIN_ID};

use crate::support::journals::{ADDRESS, Journals, OTHER, log, manifest};
use crate::support::{Run, SILENT_ENDPOINT, Setup, SilentChain};

const BLOCKS: &str = "kind = \"block\"";
const HOUR: Duration = Duration::from_secs(3_600);

/// A module whose handler waits for an answer of the chain, and the chain.
async fn silent() -> (Run, SilentChain) {
    let mut setup = Setup::new();
    let chain = SilentChain::default();
    setup.capabilities = setup.capabilities.with(chain.clone());
    setup.config = "[engine.limits]\nevent_deadline_ms = 600000\n".to_owned();
    let run = setup.module("slow-host").start().await;
    run.stage("slow-host", Stage::Running).await;
    (run, chain)
}

/// A module whose handler fails at each block, with these keys of `[engine.restart]`.
async fn failing(restart: &str) -> Run {
    let mut setup = Setup::new();
    setup.capabilities = setup.capabilities.with(LocalStore);
    setup.restart = format!("[engine.restart]\n{restart}");
    let keys = "name = \"keeper\"\n[modules.config]\nevery = \"fail\"\n";
    let run = setup.module_with("keeper", keys).start().await;
    run.stage("keeper", Stage::Running).await;
    run
}

fn in_chain(status: &ModuleStatus) -> Vec<ChainPosition> {
    let positions = status.positions().into_iter();
    let chains = positions.filter_map(|position| match position {
        TopicPosition::Chain(position) => Some(position),
        TopicPosition::Schedule(_) => None,
    });
    chains.collect()
}

#[tokio::test]
async fn a_module_in_backoff_says_which_attempt_failed_and_when_the_next_one_comes() {
    let run = failing("attempts_max = 5\nbackoff_ms = 3600000\nbackoff_max_ms = 3600000\n").await;
    let status = run.status("keeper");
    run.chain.mine(1);
    for attempt in 1..=3 {
        let what = format!("attempt {attempt} to fail");
        let has_failed = |status: &ModuleStatus| status.failed() == attempt && status.stage() == Stage::Backoff;
        run.until_status("keeper", &what, has_failed).await;
        if attempt < 3 {
            // A command ends the wait for the next attempt.
            status.start().await.expect("a start");
        }
    }
    let Condition {
        stage,
        reason,
        next_try_ms,
    } = status.condition();
    let text =
        "attempt 3 of 5 at 11155111:0:block failed: the handler returned an error: keeper internal: it was told to";
    assert_eq!(
        (stage, &*reason.text, reason.since_ms),
        (Stage::Backoff, text, GENESIS_MS)
    );
    // nexum waits a random time between half of the pause and all of it.
    let next = next_try_ms.expect("a next attempt") - GENESIS_MS;
    assert!((1_800_000..=3_600_000).contains(&next), "{next}");
    let failures = status.last_failures();
    let attempts: Vec<_> = failures
        .iter()
        .map(|failure| (failure.attempt, failure.attempts_max, failure.at_ms))
        .collect();
    let expected = [3, 2, 1].map(|attempt| (attempt, Some(5), GENESIS_MS));
    assert_eq!(attempts, expected);
    assert_eq!(failures[0].event().expect("an event").to_string(), "11155111:0:block");
    assert_eq!((status.failures_in_last_hour(), status.last_success()), (3, None));
    run.clock.advance(HOUR);
    assert_eq!(status.failures_in_last_hour(), 0);
}

#[tokio::test]
async fn a_module_whose_init_fails_says_so() {
    let mut setup = Setup::new().module("bad-init");
    setup.restart = "[engine.restart]\nbackoff_ms = 3600000\nbackoff_max_ms = 3600000\n".to_owned();
    let run = setup.start().await;
    run.stage("bad-init", Stage::Backoff).await;
    let reason = run.status("bad-init").reason().text;
    assert!(reason.starts_with("attempt 1 of 10 at `init` failed: "), "{reason}");
}

#[tokio::test]
async fn a_module_whose_chain_goes_down_waits_for_it_and_runs_again_afterwards() {
    let run = Setup::new().module("noop").start().await;
    run.chain.mine(1);
    run.handled("noop", 1).await;
    let status = run.status("noop");
    let running = status.condition();
    assert_eq!((running.stage, running.reason.since_ms), (Stage::Running, GENESIS_MS));
    run.clock.advance(HOUR);
    let since_ms = GENESIS_MS + 3_600_000;
    let position = || match status.positions().as_slice() {
        [TopicPosition::Chain(position)] => (position.head, position.behind, position.lag_ms),
        others => panic!("{others:?}"),
    };
    assert_eq!(position(), (Some(0), Some(0), Some(0)));
    run.chain.set_trouble(Some(("2 of 2 endpoints down", since_ms)));
    run.stage("noop", Stage::WaitingForChain).await;
    let waiting = status.reason();
    let expected = ("chain 11155111: 2 of 2 endpoints down", since_ms);
    assert_eq!((&*waiting.text, waiting.since_ms), expected);
    // The chain may be anywhere.
    assert_eq!(position(), (Some(0), None, None));
    run.clock.advance(HOUR);
    run.chain.set_trouble(None);
    run.stage("noop", Stage::Running).await;
    assert_eq!(position(), (Some(0), Some(0), Some(0)));
    assert_eq!(status.reason().since_ms, since_ms + 3_600_000);
}

#[tokio::test]
async fn a_module_whose_missed_blocks_cannot_be_read_waits_for_the_chain() {
    let journals = Journals::new().module("journal", &["kind = \"block\"\nfrom_block = 0"]);
    let chain = ScriptedSource::new(TEST_CHAIN_ID);
    chain.mine(5);
    let source = chain.at_head();
    source.fail_replays(Some("the endpoints are down"));
    let run = journals.setup.start_at_head(source).await;
    run.chain.mine(1);
    run.stage("journal", Stage::WaitingForChain).await;
    let status = run.status("journal");
    assert_eq!(&*status.reason().text, "chain 11155111: the endpoints are down");
    run.chain.fail_replays(None);
    run.stage("journal", Stage::Running).await;
    run.handled("journal", 6).await;
}

#[tokio::test]
async fn a_slow_handler_on_a_fast_chain_is_behind_and_says_where_its_time_goes() {
    let (run, chain) = silent().await;
    let status = run.status("slow-host");
    run.chain.mine(30);
    let waits = |status: &ModuleStatus| {
        let Condition { stage, reason, .. } = status.condition();
        stage == Stage::Behind && reason.text.starts_with("chain ")
    };
    run.until_status("slow-host", "the chain to take most of the time", waits)
        .await;
    let reason = status.reason().text;
    let share = status.time_use().largest().expect("a share");
    assert_eq!(share.kind, TimeKind::Host(HostCallKind::Chain));
    let endpoint = share.endpoint.expect("an endpoint");
    assert_eq!((&*endpoint.endpoint, endpoint.calls), (SILENT_ENDPOINT, 1));
    let names_the_call = reason.contains(SILENT_ENDPOINT) && reason.ends_with(" ms");
    assert!(names_the_call, "{reason}");
    let report = run.records.find("the module is behind the head").expect("a record");
    assert_eq!(
        (&*report.fields["blocks"], &*report.fields["chain"]),
        ("30", "11155111")
    );
    chain.open();
    run.handled("slow-host", 30).await;
    run.stage("slow-host", Stage::Running).await;
    assert!(run.records.find("the module is no longer behind the head").is_some());
}

#[tokio::test]
async fn a_request_that_hangs_is_the_current_host_call() {
    let (run, chain) = silent().await;
    run.chain.mine(1);
    run.until("a request", || chain.asked() == 1).await;
    let status = run.status("slow-host");
    let handling = status.handling().expect("a handler call");
    let event = handling.handler.event().map(|event| event.to_string());
    assert_eq!((event.as_deref(), handling.attempt), (Some("11155111:0:block"), 1));
    let call = handling.host_call.expect("a host call");
    let found = (call.kind, call.method, call.endpoint.as_deref());
    assert_eq!(found, (HostCallKind::Chain, "eth_blockNumber", Some(SILENT_ENDPOINT)));
    chain.open();
    run.handled("slow-host", 1).await;
    assert!(status.handling().is_none());
    let success = status.last_success().expect("a success");
    assert_eq!(
        (success.event.to_string().as_str(), success.at_ms),
        ("11155111:0:block", GENESIS_MS)
    );
}

#[tokio::test]
async fn a_position_has_the_blocks_and_the_time_up_to_the_head() {
    let run = Setup::new().module("noop").start().await;
    let status = run.status("noop");
    let topic = ChainTopic::latest(TEST_CHAIN_ID);
    let unknown = ChainPosition {
        topic,
        at: None,
        head: None,
        behind: None,
        lag_ms: None,
    };
    run.stage("noop", Stage::Running).await;
    assert_eq!(in_chain(&status), [unknown]);
    run.chain.mine(2);
    run.handled("noop", 2).await;
    let at_head = ChainPosition {
        at: Some(1),
        head: Some(1),
        behind: Some(0),
        lag_ms: Some(0),
        ..unknown
    };
    run.until("the head", || in_chain(&status) == [at_head]).await;
    status.stop().await.expect("a stop");
    assert_eq!(&*status.reason().text, "the operator stopped the module");
    run.chain.mine(3);
    let behind = ChainPosition {
        head: Some(4),
        behind: Some(3),
        // Each block is twelve seconds later than the one before it.
        lag_ms: Some(36_000),
        ..at_head
    };
    run.until("the new head", || in_chain(&status) == [behind]).await;
    // A stopped module is not behind by its own fault.
    assert_eq!(status.stage(), Stage::Stopped);
}

#[tokio::test]
async fn a_position_in_a_schedule_has_the_last_and_the_next_tick() {
    let each_minute = "# chain_id\nkind = \"cron\"\nschedule = \"* * * * *\"";
    let (run, _store, _manifests) = Journals::new().module("journal", &[each_minute]).start().await;
    run.stage("journal", Stage::Running).await;
    let status = run.status("journal");
    // The tests' clock begins 40 seconds before a whole minute.
    let first = GENESIS_MS + 40_000;
    let is = |last_ms: Option<u64>, next_ms: u64| {
        let positions = status.positions();
        let [TopicPosition::Schedule(position)] = &positions[..] else {
            panic!("{positions:?}");
        };
        let found = (&*position.schedule, position.last_ms, position.next_ms, position.lag_ms);
        found == ("* * * * *", last_ms, Some(next_ms), Some(0))
    };
    run.until("the first tick to be known", || is(None, first)).await;
    run.clock.advance(Duration::from_secs(40));
    run.handled("journal", 1).await;
    run.until("the second tick to be known", || is(Some(first), first + 60_000))
        .await;
    assert_eq!(status.matches()[0].last.expect("a match").position.number, first);
}

#[tokio::test]
async fn each_subscription_has_its_last_match() {
    let of = |address: [u8; 20]| {
        let hex: String = address.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("kind = \"log\"\naddress = \"0x{hex}\"")
    };
    let journals = Journals::new().module("journal", &[&of(ADDRESS), BLOCKS, &of(OTHER)]);
    let (run, _store, manifests) = journals.start().await;
    run.chain.mine_with(vec![log(ADDRESS, 0, 0)]);
    run.handled("journal", 2).await;
    run.clock.advance(HOUR);
    run.chain.mine(2);
    run.handled("journal", 4).await;
    let status = run.status("journal");
    let last = |matches: Vec<SubscriptionMatch>| -> Vec<_> {
        let last = matches
            .iter()
            .map(|one| one.last.map(|last| (last.position.number, last.at_ms)));
        last.collect()
    };
    let expected = [Some((0, GENESIS_MS)), Some((2, GENESIS_MS + 3_600_000)), None];
    assert_eq!(last(status.matches()), expected);
    // A reload keeps the matches of the subscriptions that stay.
    let keys = manifest(manifests.path(), "journal", &[&of(OTHER), &of(ADDRESS)]);
    run.steering
        .reload(run.build("journal", &keys).await)
        .await
        .expect("a reload");
    assert_eq!(last(status.matches()), [None, Some((0, GENESIS_MS))]);
}

#[tokio::test]
async fn limits_of_which_an_event_uses_more_than_half_are_named() {
    let mut setup = Setup::new();
    setup.capabilities = setup.capabilities.with(LocalStore);
    setup.config = "[engine.limits]\nstore_operations_per_event = 3\n".to_owned();
    let keys = "name = \"keeper\"\n[modules.config]\nevery = \"set a 1; set b 1\"\n";
    let run = setup.module_with("keeper", keys).start().await;
    run.chain.mine(1);
    run.handled("keeper", 1).await;
    let expected = LimitUse {
        limit: Limit::StoreOperations,
        bound: 3,
        most: 2,
    };
    let report = run.status("keeper").report();
    assert_eq!(report.limits_over_half, [expected]);
    let handler = report.last_success.map(|success| Handler::OnEvent(success.event));
    assert_eq!(handler.expect("a success").to_string(), "on-event 11155111:0:block");
    assert!(report.time_use.of(TimeKind::Host(HostCallKind::Store)) > Duration::ZERO);
    assert!(report.time_use.of(TimeKind::Commit) > Duration::ZERO);
}
