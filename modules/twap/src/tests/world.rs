//! A chain and an order book of scripts, behind the interfaces of the contracts.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use nexum_sdk::cow::SETTLEMENT;
use nexum_sdk::sol_types::{SolCall, SolEvent, SolInterface, SolValue};
use nexum_sdk::testing::Harness;
use nexum_sdk::{Address, B256, Block, Bytes, Error, ErrorKind, Event, Log, Result, U256, b256, keccak256};
use serde_json::{Value, json};

use crate::contracts::Poll::PollErrors;
use crate::contracts::{
    COMPOSABLE_COW, ConditionalOrderCreated, ConditionalOrderParams, Handler, MULTICALL3, OrderData, Poll, Returned,
    VALID_SIGNATURE, aggregate3Call, cabinetCall, filledAmountCall, getTradeableOrderWithSignatureCall as PollCall,
    isValidSignatureCall,
};
use crate::index::id;

nexum_sdk::sol! {
    /// The static input of a TWAP.
    struct TwapData {
        address sellToken; address buyToken; address receiver; uint256 partSellAmount; uint256 minPartLimit;
        uint256 t0; uint256 n; uint256 t; uint256 span; bytes32 appData;
    }

    /// The static input of GoodAfterTime.
    struct GoodAfterTimeData {
        address sellToken; address buyToken; address receiver; uint256 sellAmount; uint256 minSellBalance;
        uint256 startTime; uint256 endTime; bool allowPartialFill; bytes priceCheckerPayload; bytes32 appData;
    }

    /// The static input of StopLoss.
    struct StopLossData {
        address sellToken; address buyToken; uint256 sellAmount; uint256 buyAmount; bytes32 appData;
        address receiver; bool isSellOrder; bool isPartiallyFillable; uint32 validTo; address sellOracle;
        address buyOracle; int256 strike; uint256 maxTimeSinceLastOracleUpdate;
    }
}

/// The time of the first block of a test, in seconds.
pub const START: u64 = 1_800_000_000;
pub const TWAP: Address = nexum_sdk::address!("0x6cF1e9cA41f7611dEf408122793c358a3d11E5a5");
const SELL: B256 = b256!("0xf3b277728b3fee749481eb3e0b3b48980dbbab78658fc419025cb16eee346775");
const ERC20: B256 = b256!("0x5a28e9363bb942b639270062aa6bb295f434bcdfc42c97267bf003f272060dc9");

/// The result of a call of a contract.
#[derive(Clone, Debug)]
pub enum Outcome {
    Order(Box<OrderData>),
    Revert(Bytes),
    /// Uses up all gas.
    Endless,
}

impl Outcome {
    pub fn revert(error: PollErrors) -> Self {
        Self::Revert(error.abi_encode().into())
    }
}

type OnPoll = Box<dyn FnMut(&PollCall, u64) -> Option<Outcome>>;

/// The chain and the order book.
#[derive(Default)]
pub struct World {
    pub now: u64,
    /// Answers polls. `None` leaves a poll to the TWAP of the world.
    pub on_poll: Option<OnPoll>,
    pub cabinets: BTreeMap<(Address, B256), u64>,
    pub filled: BTreeMap<Bytes, U256>,
    pub bad_signatures: BTreeSet<Address>,
    pub removed: BTreeSet<B256>,
    pub logs: Vec<Log>,
    /// No node answers.
    pub is_down: bool,
    /// The number of calls through Multicall3 and alone, by request.
    pub polls: Vec<usize>,
    /// The bodies of all attempts at the order book.
    pub attempts: Vec<Value>,
    /// The answer of the order book: `None` accepts.
    pub refusal: Option<Error>,
}

impl World {
    fn call(&mut self, call: &Value) -> Result<Bytes> {
        let to: Address = serde_json::from_value(call["to"].clone())?;
        let data: Bytes = serde_json::from_value(call["data"].clone())?;
        if to != MULTICALL3 {
            self.polls.push(1);
            return self.contract(to, &data).map_err(|data| match data {
                Some(data) => reverted(&data),
                // As anvil answers a call that runs out of its gas.
                None => reverted(&Bytes::new()),
            });
        }
        let calls = aggregate3Call::abi_decode(&data).expect("calls").calls;
        self.polls.push(calls.len());
        let mut endless = 0;
        let mut returned = Vec::new();
        for call in calls {
            let answer = self.contract(call.target, &call.callData);
            endless += usize::from(matches!(answer, Err(None)));
            returned.push(Returned {
                success: answer.is_ok(),
                returnData: answer.unwrap_or_else(Option::unwrap_or_default),
            });
        }
        match endless {
            0 | 1 => Ok(aggregate3Call::abi_encode_returns(&returned).into()),
            _ => Err(Error::new(ErrorKind::Unavailable, "out of gas").with_code(-32_000)),
        }
    }

    /// The result of a contract, or its revert data. No data: the call uses up its gas.
    fn contract(&mut self, to: Address, data: &Bytes) -> Result<Bytes, Option<Bytes>> {
        if let Ok(call) = PollCall::abi_decode(data) {
            assert_eq!(to, COMPOSABLE_COW);
            return match self.poll(&call) {
                Outcome::Order(order) => {
                    let signature = Bytes::from(call.params.abi_encode());
                    let returned = crate::contracts::getTradeableOrderWithSignatureReturn {
                        order: *order,
                        signature,
                    };
                    Ok(PollCall::abi_encode_returns(&returned).into())
                }
                Outcome::Revert(data) => Err(Some(data)),
                Outcome::Endless => Err(None),
            };
        }
        if let Ok(call) = cabinetCall::abi_decode(data) {
            let start = self
                .cabinets
                .get(&(call.owner, call.context))
                .copied()
                .unwrap_or_default();
            return Ok(U256::from(start).abi_encode().into());
        }
        if let Ok(call) = filledAmountCall::abi_decode(data) {
            assert_eq!(to, SETTLEMENT);
            return Ok(self
                .filled
                .get(&call.uid)
                .copied()
                .unwrap_or_default()
                .abi_encode()
                .into());
        }
        isValidSignatureCall::abi_decode(data).expect("a known call");
        match self.bad_signatures.contains(&to) {
            true => Err(Some(Bytes::new())),
            false => Ok([&VALID_SIGNATURE[..], &[0; 28]].concat().into()),
        }
    }

    fn poll(&mut self, call: &PollCall) -> Outcome {
        if self.removed.contains(&id(&call.params)) {
            return Outcome::revert(PollErrors::SingleOrderNotAuthed(Poll::SingleOrderNotAuthed {}));
        }
        let now = self.now;
        if let Some(outcome) = self.on_poll.as_mut().and_then(|script| script(call, now)) {
            return outcome;
        }
        assert_eq!(Handler::at(call.params.handler), Handler::Twap, "no script");
        let data = TwapData::abi_decode(&call.params.staticInput).expect("a TWAP");
        let context = if call.proof.is_empty() {
            id(&call.params)
        } else {
            B256::ZERO
        };
        let start = match data.t0.to::<u64>() {
            0 => self.cabinets.get(&(call.owner, context)).copied().unwrap_or_default(),
            start => start,
        };
        let (n, t, span) = (data.n.to::<u64>(), data.t.to::<u64>(), data.span.to::<u64>());
        if now < start {
            return not_valid("before twap start");
        }
        if now >= start + n * t {
            return not_valid("after twap finish");
        }
        let part = (now - start) / t;
        if span != 0 && (now - start) % t >= span {
            return not_valid("not within span");
        }
        let length = if span == 0 { t } else { span };
        Outcome::Order(order(u32::try_from(start + part * t + length - 1).expect("32 bits")).into())
    }
}

pub fn not_valid(reason: &str) -> Outcome {
    let reason = reason.to_owned();
    Outcome::revert(PollErrors::OrderNotValid(Poll::OrderNotValid { reason }))
}

pub fn next_block(reason: &str) -> Outcome {
    let reason = reason.to_owned();
    Outcome::revert(PollErrors::PollTryNextBlock(Poll::PollTryNextBlock { reason }))
}

/// An order that is valid to this second.
pub fn order(valid_to: u32) -> OrderData {
    OrderData {
        sellToken: Address::with_last_byte(1),
        buyToken: Address::with_last_byte(2),
        sellAmount: U256::from(1_000),
        buyAmount: U256::from(1),
        validTo: valid_to,
        kind: SELL,
        sellTokenBalance: ERC20,
        buyTokenBalance: ERC20,
        ..OrderData::default()
    }
}

fn reverted(data: &Bytes) -> Error {
    let error = Error::new(ErrorKind::InvalidInput, "execution reverted");
    error.with_code(3).with_data(data.to_string())
}

/// A refusal of the order book.
pub fn refusal(status: i32, error_type: &str) -> Error {
    let data = json!({ "errorType": error_type, "description": "the test" });
    Error::new(ErrorKind::InvalidInput, "refused")
        .with_code(status)
        .with_data(data.to_string())
}

/// A TWAP of four parts of 600 seconds.
pub fn twap(salt: u64, start: u64) -> ConditionalOrderParams {
    twap_of(salt, start, 4, 600, 0)
}

pub fn twap_of(salt: u64, start: u64, n: u64, t: u64, span: u64) -> ConditionalOrderParams {
    let data = TwapData {
        sellToken: Address::with_last_byte(1),
        buyToken: Address::with_last_byte(2),
        receiver: Address::ZERO,
        partSellAmount: U256::from(1_000),
        minPartLimit: U256::from(1),
        t0: U256::from(start),
        n: U256::from(n),
        t: U256::from(t),
        span: U256::from(span),
        appData: B256::ZERO,
    };
    params(TWAP, salt, &data.abi_encode())
}

pub fn params(handler: Address, salt: u64, input: &[u8]) -> ConditionalOrderParams {
    ConditionalOrderParams {
        handler,
        salt: U256::from(salt).into(),
        staticInput: input.to_vec().into(),
    }
}

pub const OWNER: Address = Address::with_last_byte(0xaa);

/// The module with its world.
pub struct Tower {
    pub harness: Harness<crate::Tower>,
    pub world: Rc<RefCell<World>>,
    pub number: u64,
}

impl Tower {
    /// A module of chain 1 with these settings.
    pub fn new(config: &[(&str, &str)]) -> Self {
        Self::with_world(Rc::default(), config)
    }

    /// A module in a world that another one knows too.
    pub fn with_world(world: Rc<RefCell<World>>, config: &[(&str, &str)]) -> Self {
        let config = [&[("chain_id", "1")], config].concat();
        let mut harness = Harness::new(&config).expect("the module starts");
        let chain = world.clone();
        harness.host.on_rpc(move |_, method, params| {
            let mut world = chain.borrow_mut();
            if world.is_down {
                return Some(Err(Error::new(ErrorKind::Unavailable, "connection refused")));
            }
            Some(match method {
                "eth_call" => world.call(&params[0]).map(|data| json!(data)),
                "eth_getLogs" => Ok(Value::Array(world.logs.iter().map(rpc_log).collect())),
                method => panic!("{method}"),
            })
        });
        let book = world.clone();
        harness.host.on_order(move |_, order| {
            let mut world = book.borrow_mut();
            world.attempts.push(order.clone());
            world.refusal.clone().map_or(Ok(()), Err)
        });
        Self {
            harness,
            world,
            number: 0,
        }
    }

    /// A block at a time in seconds.
    pub fn try_block(&mut self, now: u64) -> Result {
        self.number += 1;
        self.world.borrow_mut().now = now;
        self.harness.host.now_ms = now * 1_000;
        self.harness.deliver(Event::Block(Block {
            chain_id: 1,
            number: self.number,
            hash: keccak256(self.number.to_be_bytes()),
            timestamp: now * 1_000,
        }))
    }

    pub fn block(&mut self, now: u64) {
        self.try_block(now).expect("no block fails");
    }

    pub fn log<E: SolEvent>(&self, event: &E, log_index: u32) -> Log {
        let (topics, data) = event.encode_log_data().split();
        Log {
            chain_id: 1,
            address: COMPOSABLE_COW,
            topics,
            data,
            block_number: self.number + 1,
            transaction_hash: keccak256(log_index.to_be_bytes()),
            log_index,
        }
    }

    pub fn deliver_logs(&mut self, logs: Vec<Log>) {
        self.harness.deliver(Event::Logs(logs)).expect("no event fails");
    }

    pub fn emit<E: SolEvent>(&mut self, event: &E) {
        let log = self.log(event, 0);
        self.deliver_logs(vec![log]);
    }

    pub fn create(&mut self, owner: Address, params: ConditionalOrderParams) -> B256 {
        let id = id(&params);
        self.emit(&ConditionalOrderCreated { owner, params });
        id
    }

    pub fn ask(&mut self, question: &Value) -> Value {
        let answer = self.harness.query(question.to_string()).expect("an answer");
        serde_json::from_slice(&answer).expect("JSON")
    }

    /// The stored state of the order with an id.
    pub fn order(&mut self, id: B256) -> Value {
        self.ask(&json!({ "id": id }))["orders"][0].clone()
    }

    /// The last seconds of the orders that were posted.
    pub fn posted(&self) -> Vec<u64> {
        let orders = self.harness.host.orders.iter();
        orders
            .map(|(_, order)| order["validTo"].as_u64().expect("a number"))
            .collect()
    }

    /// The number of requests to the node.
    pub fn requests(&self) -> usize {
        self.harness.host.requests.len()
    }
}

fn rpc_log(log: &Log) -> Value {
    json!({
        "address": log.address,
        "topics": log.topics,
        "data": log.data,
        "blockNumber": format!("{:#x}", log.block_number),
        "transactionHash": log.transaction_hash,
        "logIndex": format!("{:#x}", log.log_index),
        "removed": false,
    })
}
