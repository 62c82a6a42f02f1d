//! Orders that sell ether, which the module `ethflow` follows until their users have it back.

use alloy_primitives::{Address, B256, Bytes, U256};
use nexum_testing::cow::ethflow::PICKY_USER;
use nexum_testing::cow::ethflow::abi::EthFlowOrder;
use nexum_testing::cow::{CowChain, Transaction, addresses};
use nexum_testing::{Daemon, guests};
use serde::Deserialize;
use serde_json::json;

/// The name of the module.
const MODULE: &str = "ethflow";

/// The block that creates the order which is half filled, and the block that fills it.
const CREATE_BLOCK: u64 = 2;
const FILL_BLOCK: u64 = 4;

/// The block that creates the order of a user whose contract refuses ether.
const CREATE_PICKY_BLOCK: u64 = 3;

/// How long the orders are valid, in seconds.
const VALID_S: u64 = 96;

/// The gas of a refund.
const REFUND_GAS: u64 = 1_000_000;

/// The module's word about an order.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Refund {
    pub(crate) uid: Bytes,
    pub(crate) owner: Address,
    pub(crate) state: String,
    pub(crate) reason: String,
}

/// A transaction that pays orders back.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Call {
    to: Address,
    data: Bytes,
}

/// The answer of the module about the orders of one user.
#[derive(Debug, Deserialize)]
struct Answer {
    orders: Vec<Refund>,
    calls: Vec<Call>,
}

/// The orders, and the module's answers about them.
pub(crate) struct Refunds {
    user: Address,
    filled: Option<EthFlowOrder>,
    told: Vec<Refund>,
    /// The transactions that the demo has not sent yet.
    calls: Vec<Call>,
}

impl Refunds {
    /// Adds EthFlow to the chain.
    pub(crate) async fn deploy(chain: &CowChain) -> Self {
        chain.ethflow().await;
        let accounts: Vec<Address> = chain.request("eth_accounts", json!([])).await;
        Self {
            user: accounts[1],
            filled: None,
            told: Vec::new(),
            calls: Vec::new(),
        }
    }

    /// The module's part of nexum's configuration.
    pub(crate) fn config() -> String {
        format!("[[modules]]\npath = {:?}\n", guests::component(MODULE))
    }

    /// Mines the block of the script with this number, if it is about these orders.
    pub(crate) async fn step(&mut self, chain: &CowChain, number: u64) -> bool {
        let ethflow = chain.deployed_ethflow();
        match (number, &self.filled) {
            (CREATE_BLOCK, _) => {
                let order = order(self.user, chain.timestamp());
                ethflow.create(self.user, &order).await;
                self.filled = Some(order);
            }
            (CREATE_PICKY_BLOCK, _) => {
                let order = order(PICKY_USER, chain.timestamp());
                ethflow.create_picky(self.user, &order).await;
            }
            (FILL_BLOCK, Some(order)) => {
                ethflow.settle(order, order.sellAmount / U256::from(2)).await;
            }
            _ => return self.pay_back(chain).await,
        }
        true
    }

    /// Sends the transactions that the module gave, as an operator does.
    async fn pay_back(&mut self, chain: &CowChain) -> bool {
        let from = chain.account().await;
        let calls = std::mem::take(&mut self.calls).into_iter();
        let transactions: Vec<_> = calls
            .map(|call| Transaction {
                from,
                to: Some(call.to),
                input: call.data,
                gas: REFUND_GAS,
            })
            .collect();
        if transactions.is_empty() {
            return false;
        }
        chain.execute(&transactions).await;
        true
    }

    /// Asks the module. Leaves the last answers while nexum cannot ask it.
    pub(crate) async fn ask(&mut self, daemon: &Daemon) {
        let mut told = Vec::new();
        let mut calls = Vec::new();
        for owner in [self.user, PICKY_USER] {
            let Some(answer) = daemon.ask(MODULE, &json!({ "owner": owner })).await else {
                return;
            };
            let answer: Answer = serde_json::from_value(answer).expect("an answer of the module");
            told.extend(answer.orders);
            calls.extend(answer.calls);
        }
        (self.told, self.calls) = (told, calls);
    }

    pub(crate) fn told(&self) -> &[Refund] {
        &self.told
    }
}

fn order(receiver: Address, now: u64) -> EthFlowOrder {
    EthFlowOrder {
        buyToken: addresses::BUY_TOKEN,
        receiver,
        sellAmount: U256::from(10_u64.pow(18)),
        buyAmount: U256::from(1_000),
        appData: B256::ZERO,
        feeAmount: U256::ZERO,
        validTo: u32::try_from(now + VALID_S).expect("a time before 2106"),
        partiallyFillable: true,
        quoteId: -1,
    }
}
