//! Native tests, on a chain with two accounts.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use nexum_sdk::testing::Harness;
use nexum_sdk::{Address, B256, Block, Error, ErrorKind, Event, Result, U256};
use serde_json::{Value, json};

use super::{FRESH_MS, PATIENCE_BLOCKS, TopUp};

const ACCOUNT: Address = Address::repeat_byte(0xaa);
const TARGET: Address = Address::repeat_byte(0xbb);
const CONFIG: [(&str, &str); 4] = [
    ("account", "0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
    ("target", "0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"),
    ("minimum", "100"),
    ("wanted", "500"),
];

#[derive(Default)]
struct FakeChain {
    account: u64,
    target: u64,
    /// The values of the transactions.
    sent: Vec<U256>,
    /// The block of each transaction that is in one.
    mined: BTreeMap<B256, u64>,
    /// The answer to the next transactions.
    refusal: Option<Error>,
}

impl FakeChain {
    fn answer(&mut self, method: &str, params: &Value) -> Option<Result<Value>> {
        let of = |address: Address| params[0] == json!(address);
        match method {
            "eth_getBalance" if of(ACCOUNT) => Some(Ok(json!(U256::from(self.account)))),
            "eth_getBalance" if of(TARGET) => Some(Ok(json!(U256::from(self.target)))),
            "eth_sendTransaction" => {
                if let Some(refusal) = &self.refusal {
                    return Some(Err(refusal.clone()));
                }
                assert_eq!(
                    (&params[0]["from"], &params[0]["to"]),
                    (&json!(ACCOUNT), &json!(TARGET))
                );
                self.sent
                    .push(serde_json::from_value(params[0]["value"].clone()).expect("a value"));
                Some(Ok(json!(hash(self.sent.len()))))
            }
            "eth_getTransactionReceipt" => {
                let hash = serde_json::from_value(params[0].clone()).expect("a hash");
                Some(Ok(self
                    .mined
                    .get(&hash)
                    .map_or(Value::Null, |block| receipt(hash, *block))))
            }
            _ => None,
        }
    }
}

/// The hash of the transaction with this number.
fn hash(number: usize) -> B256 {
    B256::with_last_byte(u8::try_from(number).expect("few transactions"))
}

fn receipt(hash: B256, block: u64) -> Value {
    json!({
        "transactionHash": hash, "blockNumber": U256::from(block), "blockHash": hash, "status": "0x1",
        "from": ACCOUNT, "to": TARGET, "contractAddress": null, "gasUsed": "0x5208", "logs": [],
    })
}

struct World {
    harness: Harness<TopUp>,
    chain: Rc<RefCell<FakeChain>>,
}

impl World {
    fn new(target: u64, more: &[(&str, &str)]) -> Self {
        let mut harness = Harness::<TopUp>::new(&[&CONFIG[..], more].concat()).expect("it starts");
        let chain = Rc::new(RefCell::new(FakeChain {
            account: 10_000,
            target,
            ..FakeChain::default()
        }));
        let served = chain.clone();
        harness
            .host
            .on_rpc(move |_, method, params| served.borrow_mut().answer(method, params));
        Self { harness, chain }
    }

    /// Delivers blocks, and returns the values that were sent so far.
    fn blocks(&mut self, numbers: impl IntoIterator<Item = u64>) -> Vec<U256> {
        for number in numbers {
            self.harness.block(number).expect("handled");
        }
        self.chain.borrow().sent.clone()
    }

    fn set(&self, change: impl FnOnce(&mut FakeChain)) {
        change(&mut self.chain.borrow_mut());
    }
}

fn values(values: &[u64]) -> Vec<U256> {
    values.iter().copied().map(U256::from).collect()
}

#[test]
fn a_target_with_enough_gets_nothing() {
    assert_eq!(World::new(100, &[]).blocks(1..=5), values(&[]));
}

#[test]
fn one_transfer_at_a_time_is_on_its_way() {
    let mut world = World::new(99, &[]);
    assert_eq!(world.blocks([1]), values(&[401]));
    world.harness.drop_instance();
    assert_eq!(world.blocks(2..=50), values(&[401]));
    world.set(|chain| chain.target = 500);
    assert_eq!(world.blocks([51]), values(&[401]));
    world.set(|chain| chain.target = 0);
    assert_eq!(world.blocks([52]), values(&[401, 500]));
}

#[test]
fn a_target_that_spends_at_once_gets_another_transfer_after_the_first_ones_block() {
    let mut world = World::new(0, &[]);
    world.blocks([1]);
    world.set(|chain| chain.mined.extend([(hash(1), 4)]));
    assert_eq!(world.blocks([2, 3]), values(&[500]), "the module is behind the chain");
    assert_eq!(world.blocks([4]), values(&[500, 500]));
}

#[test]
fn a_transfer_that_no_block_has_is_given_up() {
    let mut world = World::new(0, &[]);
    assert_eq!(world.blocks(1..=PATIENCE_BLOCKS), values(&[500]));
    assert_eq!(world.blocks([PATIENCE_BLOCKS + 1]), values(&[500, 500]));
    let logged = world.harness.host.messages_logged();
    assert!(logged.iter().any(|line| line.contains("gives it up")), "{logged:?}");
}

#[test]
fn a_refusal_is_a_warning_and_an_outage_an_error() {
    let mut world = World::new(0, &[]);
    for kind in [ErrorKind::Denied, ErrorKind::RateLimited] {
        world.set(|chain| chain.refusal = Some(Error::new(kind, "no")));
        assert_eq!(world.blocks([1]), values(&[]));
    }
    world.set(|chain| chain.refusal = Some(Error::new(ErrorKind::Unavailable, "no")));
    let error = world.harness.block(2).expect_err("an error");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    world.set(|chain| chain.refusal = None);
    assert_eq!(world.blocks([2]), values(&[500]));
}

#[test]
fn an_account_without_funds_sends_nothing() {
    let mut world = World::new(0, &[]);
    world.set(|chain| chain.account = 499);
    assert_eq!(world.blocks([1]), values(&[]));
    let logged = world.harness.host.messages_logged();
    assert!(logged.iter().any(|line| line.contains("fund it")), "{logged:?}");
}

#[test]
fn blocks_of_the_past_and_between_count_for_nothing() {
    let mut world = World::new(0, &[("every_blocks", "10")]);
    assert_eq!(world.blocks(1..=9), values(&[]));
    let old = Block {
        chain_id: 1,
        number: 10,
        hash: hash(10),
        timestamp: world.harness.host.now_ms - FRESH_MS - 1,
    };
    world.harness.deliver(Event::Block(old)).expect("handled");
    assert_eq!(world.blocks([]), values(&[]));
    assert_eq!(world.blocks([10]), values(&[500]));
}

#[test]
fn a_configuration_that_makes_no_sense_is_refused() {
    for (key, value, reason) in [
        ("minimum", "501", "above wanted"),
        ("target", CONFIG[0].1, "the same address"),
        ("every_blocks", "0", "write 1"),
    ] {
        let mut config: Vec<_> = CONFIG.to_vec();
        config.retain(|(name, _)| *name != key);
        config.push((key, value));
        let error = Harness::<TopUp>::new(&config).expect_err(key);
        assert!(error.message().contains(reason), "{error}");
    }
}
