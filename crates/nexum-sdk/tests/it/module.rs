use std::cell::RefCell;

use nexum_sdk::testing::{Harness, Host};
use nexum_sdk::{
    Address, Block, Decoded, ErrorKind, Json, Log, Message, Module, Result, Tick, U256, info, module, sol, store,
};
use serde_json::{Value, json};

sol! {
    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);
}

mod erc721 {
    nexum_sdk::sol! {
        event Transfer(address indexed from, address indexed to, uint256 indexed id);
    }
}

/// Runs a closure as a module's event, so that it has a host.
pub(crate) fn on_host<T: 'static>(host: Host, step: impl FnOnce() -> T + 'static) -> T {
    struct Once;

    thread_local! {
        static STEP: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
    }

    #[module]
    impl Once {
        fn init() -> Self {
            Self
        }

        #[on_message]
        fn run(&mut self) -> Result {
            if let Some(step) = STEP.take() {
                step();
            }
            Ok(())
        }
    }

    let result = std::rc::Rc::new(RefCell::new(None));
    let place = result.clone();
    STEP.replace(Some(Box::new(move || drop(place.replace(Some(step()))))));
    let mut once = Harness::<Once>::with_host(host, &[]).expect("it starts");
    once.message("", &[]).expect("it cannot fail");
    result.take().expect("the step ran")
}

const TOKEN: Address = Address::repeat_byte(0xaa);
const COUNT: store::Counter = store::Counter::new("count");

#[derive(serde::Deserialize)]
struct Settings {
    #[serde(default)]
    fail_at: u64,
}

/// Has a handler of each kind.
struct All {
    settings: Settings,
    /// The memory of the instance, which a failure loses.
    blocks: u64,
}

#[module(optional = ["http"])]
impl All {
    async fn init(settings: Settings) -> Result<Self> {
        Ok(Self { settings, blocks: 0 })
    }

    #[on_block(chain_id = 1, catch_up = "latest")]
    #[on_block(chain_id = 10, confirmations = 2)]
    fn block(&mut self, block: Block) -> Result {
        self.blocks += 1;
        let count = COUNT.add(1)?;
        if block.number == self.settings.fail_at {
            nexum_sdk::bail!(ErrorKind::Unavailable; "block {} fails", block.number);
        }
        info!(count = count, remembered = self.blocks, "block {}", block.number);
        Ok(())
    }

    #[on_event(Transfer, chain_id = 1, address = "0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]
    async fn transferred(&mut self, transfer: Decoded<Transfer>) -> Result {
        info!("transfer {} of log {}", transfer.event.value, transfer.log.log_index);
        Ok(())
    }

    #[on_event(Approval)]
    fn approved(&self, approval: Decoded<Approval>) -> Result {
        info!("approval {}", approval.event.value);
        Ok(())
    }

    #[on_logs(chain_id = 1, topics = ["", ["0xaa", "0xbb"]])]
    fn other_logs(&mut self, logs: Vec<Log>) -> Result {
        info!("{} other logs", logs.len());
        Ok(())
    }

    #[on_tick("*/5 * * * *", missed = "once")]
    fn tick(&mut self, tick: Tick) -> Result {
        info!("tick {}", tick.fired_at);
        Ok(())
    }

    #[on_message(content_topic = "/a/1")]
    fn message(&mut self, message: Message) -> Result {
        info!("message {:?} at {}", message.payload, message.timestamp);
        Ok(())
    }

    #[query]
    fn count(&self, Json(step): Json<u64>) -> Result<Json<Value>> {
        Ok(Json(json!({ "count": COUNT.get()? * step })))
    }
}

fn harness(fail_at: u64) -> Harness<All> {
    Harness::new(&[("fail_at", &fail_at.to_string())]).expect("it starts")
}

#[test]
fn delivers_each_kind_of_event_to_its_handler() {
    let mut all = harness(0);
    all.block(7).expect("handled");
    all.tick(5_000).expect("handled");
    all.message("/a/1", &[1, 2]).expect("handled");
    assert_eq!(
        all.host.messages_logged(),
        ["block 7 count=1 remembered=1", "tick 5000", "message [1, 2] at 5000"]
    );
    assert_eq!(all.query("3").expect("an answer"), br#"{"count":3}"#);
}

#[test]
fn a_test_reads_an_answer_as_its_type() {
    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Answer {
        count: u64,
    }
    let mut all = harness(0);
    all.block(7).expect("handled");
    assert_eq!(all.query_json::<Answer>("3"), Ok(Answer { count: 3 }));
    let error = all.query_json::<u64>("3").expect_err("an object");
    assert!(
        error
            .to_string()
            .contains("the answer is not of the type: invalid type: map, expected u64"),
        "{error}"
    );
    // The error of the query comes first.
    let refused = all.query("x").expect_err("no number");
    assert_eq!(all.query_json::<Answer>("x"), Err(refused));
}

#[test]
fn each_log_goes_to_the_handler_of_its_event() {
    let mut all = harness(0);
    let (from, to) = (Address::ZERO, Address::with_last_byte(1));
    let value = U256::from(9);
    let logs = vec![
        all.log(
            TOKEN,
            &Approval {
                owner: from,
                spender: to,
                value,
            },
        ),
        // The signature is that of the ERC-20 event, and the arguments are others.
        all.log(TOKEN, &erc721::Transfer { from, to, id: value }),
        all.log(TOKEN, &Transfer { from, to, value }),
    ];
    all.deliver(nexum_sdk::Event::Logs(logs)).expect("handled");
    assert_eq!(
        all.host.messages_logged(),
        ["approval 9", "transfer 9 of log 2", "1 other logs"]
    );
}

#[test]
fn the_manifest_follows_from_the_code() {
    let manifest: Value = serde_json::from_str(All::MANIFEST).expect("JSON");
    let transfer = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
    let approval = "0x8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925";
    let expected = json!({
        "capabilities": { "optional": ["http"] },
        "subscription": [
            { "kind": "block", "chain_id": 1, "catch_up": "latest" },
            { "kind": "block", "chain_id": 10, "confirmations": 2 },
            {
                "kind": "log", "event_signature": transfer, "chain_id": 1,
                "address": "0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            },
            { "kind": "log", "event_signature": approval },
            { "kind": "log", "chain_id": 1, "topics": ["", ["0xaa", "0xbb"]] },
            { "kind": "cron", "schedule": "*/5 * * * *", "missed": "once" },
            { "kind": "message", "content_topic": "/a/1" },
        ],
    });
    assert_eq!(manifest, expected);
    assert_eq!(All::NAME, "nexum-sdk");
    const { assert!(All::TAKES_LOGS) };
}

#[test]
fn a_failed_event_leaves_no_trace() {
    let mut all = harness(2);
    all.block(1).expect("handled");
    let error = all.block(2).expect_err("it fails");
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::Unavailable, "block 2 fails")
    );
    assert!(all.instance().is_none());
    all.block(3).expect("handled");
    assert_eq!(
        all.host.messages_logged(),
        ["block 1 count=1 remembered=1", "block 3 count=2 remembered=1"]
    );
    assert_eq!(all.starts(), 2);
}

#[test]
fn a_query_cannot_write_and_refuses_other_input() {
    #[derive(Default)]
    struct Writes;

    #[module]
    impl Writes {
        #[query]
        async fn evaluate(&mut self, text: String) -> Result<String> {
            COUNT.add(1)?;
            Ok(text)
        }
    }

    let error = Harness::<Writes>::new(&[])
        .and_then(|mut writes| writes.query("a"))
        .expect_err("denied");
    assert_eq!(error.to_string(), "local-store denied: a query may not write");
    let error = harness(0).query("x").expect_err("no number");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let error = Harness::<Writes>::new(&[("a", "1")]).expect_err("an unknown key");
    assert_eq!(error.message(), "config: a is unknown; the module has no settings");
}

/// Remembers its blocks, and counts the starts that may write.
struct Remembers {
    blocks: u64,
}

#[module]
impl Remembers {
    fn init() -> Result<Self> {
        match COUNT.add(1) {
            Err(error) if error.kind() == ErrorKind::Denied => info!("{error}"),
            result => drop(result?),
        }
        Ok(Self { blocks: 0 })
    }

    #[on_block]
    fn block(&mut self, _: Block) -> Result {
        self.blocks += 1;
        Ok(())
    }

    #[query]
    fn blocks(&mut self, text: String) -> Result<String> {
        self.blocks += 10;
        if text == "fail" {
            nexum_sdk::bail!("asked to fail");
        }
        Ok(format!("{} {}", self.blocks, COUNT.get()?))
    }
}

/// Only the state connects the instances.
#[test]
fn a_query_has_its_own_instance_and_leaves_that_of_the_events() {
    let mut remembers = Harness::<Remembers>::new(&[]).expect("it starts");
    for _ in 0..2 {
        remembers.block(1).expect("handled");
    }
    for _ in 0..2 {
        assert_eq!(remembers.query("").expect("an answer"), b"10 1");
    }
    remembers.query("fail").expect_err("it fails");
    let refused = "local-store denied: a query may not write";
    assert_eq!(remembers.host.messages_logged(), [refused; 3]);
    remembers.block(2).expect("handled");
    let blocks = remembers.instance().map(|instance| instance.blocks);
    assert_eq!((remembers.starts(), blocks), (1, Some(3)));
}

#[test]
fn a_query_reads_the_store_logs_and_the_clock_and_nothing_else() {
    use nexum_sdk::{Chain, accounts, clock, cow, http, messaging, random};

    #[derive(Default)]
    struct Asks;

    #[module]
    impl Asks {
        #[query]
        async fn refused(&self) -> Result<Json<Vec<String>>> {
            let chain = Chain::new(1);
            let (first, second) = nexum_sdk::join!(chain.block_number(), chain.block_number());
            let refused = [
                chain.block_number().await.err(),
                first.err(),
                second.err(),
                http::get("https://example.org").send().err(),
                cow::OrderBook::new(1).get::<Value>("/api/v1/version").err(),
                accounts::all().err(),
                accounts::Account(Address::ZERO).sign(b"text").err(),
                messaging::publish("/a", b"text").err(),
                messaging::Query::new("/a").send().err(),
            ];
            COUNT.get()?;
            assert_ne!((clock::now_ms(), random::number()), (0, 0));
            Ok(Json(
                refused
                    .map(|error| error.map_or_else(String::new, |error| error.to_string()))
                    .to_vec(),
            ))
        }
    }

    let mut asks = Harness::<Asks>::new(&[]).expect("it starts");
    asks.host.accounts.push(Address::ZERO);
    asks.host.on_rpc(|_, _, _| Some(Ok(json!("0x1"))));
    let refused: Vec<String> = serde_json::from_slice(&asks.query("").expect("an answer")).expect("JSON");
    let domains = [
        "chain",
        "chain",
        "chain",
        "http",
        "cow-api",
        "identity",
        "identity",
        "messaging",
        "messaging",
    ];
    let expected = domains.map(|domain| format!("{domain} denied: {domain} may not be called by a query"));
    assert_eq!(refused, expected);
    assert!(asks.host.requests.is_empty() && asks.host.published.is_empty());
}
