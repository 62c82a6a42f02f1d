//! Native tests, against a chain of their own and the vectors of the real contracts.

mod blocks;
mod chain;
mod hostile;
mod limits;
mod outages;
mod policy;
mod properties;
mod queries;
mod requests;
mod states;
mod vectors;

use std::cell::RefCell;
use std::rc::Rc;

use nexum_sdk::sol_types::SolEvent;
use nexum_sdk::testing::Harness;
use nexum_sdk::{Address, B256, Block, Bytes, Decoded, Event, Log, Result, U256, address, cow, keccak256};
use serde_json::{Value, json};

use self::chain::FakeChain;
use crate::EthFlow;
use crate::abi::IEthFlow::OrderPlacement;
use crate::abi::{Placed, Signature};
use crate::order::{Order, VALID_TO};

const CHAIN: u64 = 11_155_111;
const ETHFLOW: Address = address!("bA3cB449bD2B4ADddBc894D8697F5170800EAdeC");
const SENDER: Address = address!("70997970C51812dc3A010C7d01b50e0d17dc79C8");
/// The time of the first block of a test, in seconds.
const START: u64 = 1_795_927_488;

/// The module on a chain.
struct World {
    harness: Harness<EthFlow>,
    chain: Rc<RefCell<FakeChain>>,
}

impl World {
    fn new() -> Self {
        Self::with(&[])
    }

    fn with(config: &[(&str, &str)]) -> Self {
        let mut harness = Harness::<EthFlow>::new(config).expect("it starts");
        harness.chain_id = CHAIN;
        let chain = FakeChain::serve(&mut harness.host);
        Self { harness, chain }
    }

    /// Delivers a block. Its number follows from its time.
    fn block(&mut self, time: u64) -> Result {
        self.block_of(CHAIN, time)
    }

    fn block_of(&mut self, chain_id: u64, time: u64) -> Result {
        let number = time.saturating_sub(START) / 12;
        self.harness.block_number = number;
        self.harness.deliver(Event::Block(Block {
            chain_id,
            number,
            hash: keccak256(number.to_be_bytes()),
            timestamp: time * 1_000,
        }))
    }

    fn emit(&mut self, event: &impl SolEvent) -> Result {
        self.harness.emit(ETHFLOW, event)
    }

    /// Places an order at the contract, and returns its UID.
    fn place(&mut self, order: &Placing) -> Bytes {
        let log = self.log(order);
        let uid = self.record(order, &log);
        self.harness.deliver(Event::Logs(vec![log])).expect("handled");
        uid
    }

    /// The log of a placement at the contract of the order.
    fn log(&mut self, order: &Placing) -> Log {
        self.harness.log(order.contract, &order.event())
    }

    /// Adds the order of a log to the chain, and returns its UID.
    fn record(&self, order: &Placing, log: &Log) -> Bytes {
        let placement = Decoded::try_from_log(log.clone()).expect("a placement");
        let (digest, _) = Order::of_event(&placement, order.settlement).expect("an order of EthFlow");
        let uid = cow::uid(digest, order.contract, VALID_TO);
        let mut chain = self.chain.borrow_mut();
        chain.owners.insert(uid.clone(), order.sender);
        uid
    }

    fn ask(&mut self, question: &Value) -> Value {
        let answer = self.harness.query(question.to_string()).expect("an answer");
        serde_json::from_slice(&answer).expect("JSON")
    }

    /// The report of an order.
    fn order(&mut self, uid: &Bytes) -> Value {
        self.ask(&json!({ "uid": uid }))["orders"][0].clone()
    }

    fn state(&mut self, uid: &Bytes) -> String {
        self.order(uid)["state"].as_str().unwrap_or("absent").to_owned()
    }

    fn logged(&self) -> Vec<&str> {
        self.harness.host.messages_logged()
    }

    /// The number of JSON-RPC requests so far.
    fn requests(&self) -> usize {
        self.harness.host.requests.len()
    }
}

/// An order to place.
#[derive(Clone, Debug)]
struct Placing {
    contract: Address,
    settlement: Address,
    sender: Address,
    /// In wei.
    sell_amount: U256,
    /// Different orders need different amounts.
    buy_amount: u64,
    valid_to: u64,
    quote_id: i64,
    partially_fillable: bool,
}

/// One ether.
fn ether() -> U256 {
    U256::from(10).pow(U256::from(18))
}

impl Placing {
    fn until(valid_to: u64) -> Self {
        Self {
            contract: ETHFLOW,
            settlement: cow::SETTLEMENT,
            sender: SENDER,
            sell_amount: ether(),
            buy_amount: 1_000_000,
            valid_to,
            quote_id: 42,
            partially_fillable: false,
        }
    }

    fn buying(self, buy_amount: u64) -> Self {
        Self { buy_amount, ..self }
    }

    fn event(&self) -> OrderPlacement {
        OrderPlacement {
            sender: self.sender,
            order: Placed {
                sellToken: address!("fFf9976782d46CC05630D1f6eBAb18b2324d6B14"),
                buyToken: address!("c6e7DF5E7b4f2A278906862b61205850344D4e7d"),
                receiver: self.sender,
                sellAmount: self.sell_amount,
                buyAmount: U256::from(self.buy_amount),
                validTo: VALID_TO,
                appData: B256::repeat_byte(0xab),
                feeAmount: U256::ZERO,
                kind: keccak256("sell"),
                partiallyFillable: self.partially_fillable,
                sellTokenBalance: keccak256("erc20"),
                buyTokenBalance: keccak256("erc20"),
            },
            signature: Signature {
                scheme: 0,
                data: Bytes::copy_from_slice(self.contract.as_slice()),
            },
            data: data(self.quote_id, self.valid_to),
        }
    }
}

/// The field `data` of a placement.
fn data(quote_id: i64, valid_to: u64) -> Bytes {
    let valid_to = u32::try_from(valid_to).expect("a time before 2106");
    [&quote_id.to_be_bytes()[..], &valid_to.to_be_bytes()].concat().into()
}
