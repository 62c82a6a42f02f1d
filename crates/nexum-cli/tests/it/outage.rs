//! The outage of a whole chain: every command, probe and metric says the same, an endpoint that is
//! back is used at once, and no event is lost.

use std::time::Duration;

use nexum_core::clock::{Clock as _, SystemClock};
use nexum_testing::{Anvil, Gate, TEST_CHAIN_ID};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::Dir;
use crate::metrics::{Exporting, WAIT_MAX, module};
use crate::running::RUNNING;
use crate::status::{json, until};

/// The length of the outage: without a bound, an endpoint would rest for up to a minute after it.
const OUTAGE: Duration = Duration::from_secs(60);

/// The longest time until the next try of an endpoint during an outage.
const NEXT_TRY_MAX_MS: u64 = 5_000;

const STATUS: [&str; 3] = ["status", "--format", "json"];
const HEALTH: [&str; 3] = ["health", "--format", "json"];
const CHAINS: [&str; 3] = ["chains", "--format", "json"];

/// A node behind two endpoints, each of which can stop.
struct Setup {
    anvil: Anvil,
    preferred: Gate,
    other: Gate,
    dir: Dir,
}

impl Setup {
    fn new() -> Self {
        let anvil = Anvil::start();
        Self {
            preferred: Gate::to(anvil.port()),
            other: Gate::to(anvil.port()),
            anvil,
            dir: Dir::new(),
        }
    }

    /// The chain with both endpoints, a chain that no module uses, and a module.
    fn config(&self) -> String {
        format!(
            "[chains.{TEST_CHAIN_ID}]\npoll_interval_ms = 200\n\
             [[chains.{TEST_CHAIN_ID}.endpoints]]\nurl = \"ws://127.0.0.1:{}\"\n\
             [[chains.{TEST_CHAIN_ID}.endpoints]]\nurl = \"http://127.0.0.1:{}\"\npriority = 1\n\
             [chains.5]\nrpc_url = \"http://127.0.0.1:1\"\n{}",
            self.preferred.port(),
            self.other.port(),
            module("noop")
        )
    }

    async fn close(&mut self) {
        self.preferred.close().await;
        self.other.close().await;
    }

    fn json(&self, args: &[&str]) -> Value {
        json(&self.dir.nexum(args))
    }

    /// Waits until the module has handled this many events.
    async fn handles(&self, count: u64) {
        until(&self.dir, &STATUS, |ran| json(ran)[0]["handled"] == count).await;
    }

    /// Whether nexum retries all endpoints soon.
    fn tries_soon(&self) -> bool {
        let chain = self.used_chain();
        let now_ms = SystemClock::new().now_ms();
        let endpoints = chain["endpoints"].as_array().expect("endpoints");
        let mut next_tries = endpoints.iter().filter_map(|endpoint| endpoint["until_ms"].as_u64());
        next_tries.all(|next| next <= now_ms + NEXT_TRY_MAX_MS)
    }

    fn used_chain(&self) -> Value {
        let chains = self.json(&CHAINS);
        let mut chains = chains.as_array().expect("chains").iter();
        let used = chains.find(|chain| chain["chain_id"] == TEST_CHAIN_ID);
        used.expect("the chain").clone()
    }
}

/// The value of a metric.
fn metric(running: &Exporting, series: &str) -> f64 {
    let (_, text) = running.get("/metrics");
    let value = text.lines().find_map(|line| line.strip_prefix(series));
    let value = value.unwrap_or_else(|| panic!("{series}: {text}"));
    value.trim().parse().expect("a number")
}

fn chain_up(running: &Exporting, chain: u64) -> f64 {
    metric(running, &format!("nexum_chain_up{{chain=\"{chain}\"}}"))
}

fn blocks_behind(running: &Exporting) -> f64 {
    let labels = format!("{{module=\"noop\",chain=\"{TEST_CHAIN_ID}\"}}");
    metric(running, &format!("nexum_blocks_behind{labels}"))
}

/// Whether each source of one state says that the chain is down, in the order in which it is asked.
fn says_down(setup: &Setup, running: &Exporting) -> [bool; 6] {
    let up = chain_up(running, TEST_CHAIN_ID);
    assert!(up == 0.0 || up == 1.0, "{up}");
    let stage = metric(
        running,
        "nexum_module_stage{module=\"noop\",stage=\"waiting_for_chain\"}",
    );
    [
        up == 0.0,
        stage == 1.0,
        running.get("/readyz").0 == 503,
        setup.json(&HEALTH)["is_healthy"] == false,
        setup.json(&STATUS)[0]["stage"] == "waiting_for_chain",
        setup.used_chain()["trouble"].is_object(),
    ]
}

/// All that has the begin of the outage.
async fn begins(setup: &Setup, running: &Exporting) -> Vec<u64> {
    let status = setup.json(&STATUS);
    let health = setup.json(&HEALTH);
    let ready: Value = serde_json::from_str(&running.get("/readyz").1).expect("JSON");
    let args = ["events", "noop", "--format", "json"];
    let of_stage = |line: &str| {
        let event: Value = serde_json::from_str(line).expect("JSON");
        (event["stage"] == "waiting_for_chain").then(|| event["since_ms"].clone())
    };
    let events = setup.dir.nexum(&args).stdout;
    let event = events
        .lines()
        .rev()
        .find_map(of_stage)
        .unwrap_or_else(|| panic!("{events}"));
    let mut begins = vec![
        status[0]["reason_since_ms"].clone(),
        setup.used_chain()["trouble"]["since_ms"].clone(),
        event,
    ];
    for problems in [&health["problems"], &ready] {
        let problems = problems.as_array().expect("problems");
        // The chain names the module that waits for it.
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0]["waiting"], serde_json::json!(["noop"]), "{problems:?}");
        begins.extend(problems.iter().map(|problem| problem["since_ms"].clone()));
    }
    let begins = begins.iter().map(|begin| begin.as_u64().expect("a time"));
    begins.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_the_same_everywhere_and_ends_with_the_first_endpoint_that_is_back() {
    let mut setup = Setup::new();
    let running = Exporting::start(&setup.dir, &setup.config());
    setup.anvil.mine(3).await;
    let head = |status: &Value| status[0]["events"]["chains"][0]["head"].as_u64();
    let at_head = until(&setup.dir, &STATUS, |ran| {
        head(&json(ran)) == Some(3) && json(ran)[0]["events"]["chains"][0]["behind"] == 0
    })
    .await;
    let handled = json(&at_head)[0]["handled"].as_u64().expect("a number");
    assert_eq!((blocks_behind(&running), chain_up(&running, TEST_CHAIN_ID)), (0.0, 1.0));

    // From the first second on, no source contradicts one that was asked before.
    setup.close().await;
    let closed = Instant::now();
    loop {
        let down = says_down(&setup, &running);
        assert!(down.is_sorted(), "{down:?}");
        if down == [true; 6] {
            break;
        }
        assert!(closed.elapsed() < WAIT_MAX, "{down:?}");
    }
    setup.anvil.mine(20).await;
    let begins_first = begins(&setup, &running).await;
    assert!(
        begins_first.iter().all(|begin| *begin == begins_first[0]),
        "{begins_first:?}"
    );
    assert!(chain_up(&running, 5).is_nan());

    // An unknown value is no number.
    assert!(blocks_behind(&running).is_nan());
    let position = setup.json(&STATUS)[0]["events"]["chains"][0].clone();
    assert_eq!((&position["head"], &position["at"]), (&3.into(), &3.into()));
    assert!(
        position["behind"].is_null() && position["lag_ms"].is_null(),
        "{position}"
    );
    assert!(setup.json(&HEALTH)["blocks_behind"].is_null());
    let nagios = setup.dir.nexum(&["health", "--behind", "5", "--format", "nagios"]);
    assert!(nagios.stdout.contains(" behind=U;;5 "), "{}", nagios.stdout);
    let text = setup.dir.nexum(&["health"]).stdout;
    for said in [&nagios.stdout, &text] {
        assert_eq!(said.matches("2 of 2 endpoints down").count(), 1, "{said}");
        assert!(said.contains("; module noop waits"), "{said}");
    }
    let table = setup.dir.nexum(&["status"]);
    let row = table.stdout.lines().find(|line| line.contains("waiting for chain"));
    let cells: Vec<_> = row.expect("a row").split_whitespace().collect();
    assert_eq!(cells[..8], ["noop", "waiting", "for", "chain", "3", "3", "-", "-"]);
    for port in [setup.preferred.port(), setup.other.port()] {
        assert!(table.stdout.contains(&format!("127.0.0.1:{port}")), "{}", table.stdout);
    }
    until(&setup.dir, &["status"], |ran| ran.stdout.contains("next try in ")).await;
    until(&setup.dir, &["health"], |ran| ran.stdout.contains("next try in ")).await;

    // Each endpoint is tried all the time. A try may end between two looks.
    while closed.elapsed() < OUTAGE {
        assert_eq!(says_down(&setup, &running), [true; 6]);
        assert!(setup.tries_soon() || setup.tries_soon(), "{}", setup.used_chain());
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(begins(&setup, &running).await, begins_first);

    setup.other.open();
    setup.handles(handled + 20).await;
    let back = until(&setup.dir, &STATUS, |ran| json(ran)[0]["stage"] == "running").await;
    assert_eq!((back.code, &json(&back)[0]["dead_letters"]), (Some(0), &0.into()));
    running.until("/readyz", |status, _| status == 200).await;
    assert_eq!((chain_up(&running, TEST_CHAIN_ID), blocks_behind(&running)), (1.0, 0.0));
    let chain = setup.used_chain();
    let followed = chain["following"]["endpoint"].as_str().expect("an endpoint");
    assert_eq!(followed, format!("http://127.0.0.1:{}", setup.other.port()));
    // The endpoint that is used is not rested, and health mentions the other one.
    let states: Vec<_> = chain["endpoints"].as_array().expect("endpoints").iter().collect();
    assert_eq!(
        (&states[0]["state"], &states[1]["state"]),
        (&"rested".into(), &"in_use".into())
    );
    let health = setup.dir.nexum(&["health"]);
    let expected = format!("note: chain {TEST_CHAIN_ID}: 1 of 2 endpoints cannot be used: `nexum chains`");
    assert!(
        health.code == Some(0) && health.stdout.contains(&expected),
        "{}",
        health.stdout
    );

    setup.preferred.open();
    setup.anvil.mine(2).await;
    setup.handles(handled + 22).await;
    running.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_is_down_at_the_start_has_its_reason_and_the_module_starts_when_it_is_back() {
    let mut setup = Setup::new();
    setup.close().await;
    let running = Exporting::start_until(&setup.dir, &setup.config(), &["metrics can be read", RUNNING[1]]);
    let waiting = until(&setup.dir, &STATUS, |ran| {
        let module = &json(ran)[0];
        module["stage"] == "waiting_for_chain" && module["reason"].as_str().is_some_and(|text| text.contains("2 of 2"))
    })
    .await;
    let reason = json(&waiting)[0]["reason"].as_str().expect("a reason").to_owned();
    let trouble = setup.used_chain()["trouble"]["text"]
        .as_str()
        .expect("a reason")
        .to_owned();
    assert_eq!(reason, format!("chain {TEST_CHAIN_ID}: {trouble}"));
    assert!(trouble.contains("connection refused"), "{trouble}");
    assert_eq!(says_down(&setup, &running), [true; 6]);

    setup.other.open();
    until(&setup.dir, &STATUS, |ran| json(ran)[0]["stage"] == "running").await;
    let handled = setup.json(&STATUS)[0]["handled"].as_u64().expect("a number");
    setup.anvil.mine(3).await;
    setup.handles(handled + 3).await;
    running.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_was_replaced_by_a_shorter_one_is_trouble_long_before_it_stalls() {
    let mut anvil = Anvil::start();
    anvil.mine(40).await;
    let dir = Dir::new();
    let chain = format!("[chains.{TEST_CHAIN_ID}]\nrpc_url = {:?}\n", anvil.http_url());
    let running = Exporting::start(&dir, &format!("{chain}{}", module("noop")));
    until(&dir, &STATUS, |ran| json(ran)[0]["events"]["chains"][0]["head"] == 40).await;
    anvil.restart();
    let replaced = until(&dir, &STATUS, |ran| {
        let reason = json(ran)[0]["reason"].as_str().map(str::to_owned);
        reason.is_some_and(|reason| reason.contains("the endpoint's head is block 0 "))
    })
    .await;
    assert_eq!(
        (replaced.code, &json(&replaced)[0]["stage"]),
        (Some(1), &"waiting_for_chain".into())
    );
    let reason = json(&replaced)[0]["reason"].as_str().expect("a reason").to_owned();
    assert!(
        reason.contains("far below block 40 ") && reason.contains("another state_dir"),
        "{reason}"
    );
    let chains = json(&dir.nexum(&CHAINS));
    assert_eq!(
        (&chains[0]["head"]["number"], &chains[0]["endpoints"][0]["head"]),
        (&40.into(), &0.into())
    );
    assert!(chains[0]["following"].is_null(), "{chains}");
    assert_eq!(
        (running.get("/readyz").0, chain_up(&running, TEST_CHAIN_ID)),
        (503, 0.0)
    );
    running.stop();
}
