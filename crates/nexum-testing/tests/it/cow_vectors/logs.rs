//! The logs of the vectors, emitted again.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolEvent, SolValue};
use nexum_testing::cow::addresses as at;
use nexum_testing::cow::{CowChain, Transaction, abi};
use nexum_testing::order_book::OrderTerms;
use serde_json::Value;

use super::scene::{self, OWNER};
use super::vectors::{self, Log};

/// The log of this contract in a receipt.
fn log_of(receipt: &Value, address: Address) -> (Vec<B256>, Bytes) {
    let logs = receipt["logs"].as_array().expect("logs");
    let is_of =
        |log: &&Value| serde_json::from_value::<Address>(log["address"].clone()).expect("an address") == address;
    let log = logs.iter().find(is_of).expect("a log of the contract");
    let part = |name: &str| log[name].clone();
    (
        serde_json::from_value(part("topics")).expect("topics"),
        serde_json::from_value(part("data")).expect("data"),
    )
}

async fn emits(chain: &CowChain, log: &Log, transaction: Transaction) {
    let receipt = &chain.execute(&[transaction]).await[0];
    let (topics, data) = log_of(receipt, log.address);
    assert_eq!(topics, log.topics, "{}", log.name);
    assert_eq!(data, log.data, "{}", log.name);
}

#[tokio::test]
async fn the_registry_emits_the_deployed_logs() {
    let chain = scene::start().await;
    let logs: Vec<Log> = vectors::read("logs.json");
    let mut seen = 0;
    for log in logs.iter().filter(|log| log.address == at::COMPOSABLE_COW) {
        let owner = Address::from_word(log.topics[1]);
        let topics = log.topics.iter().copied();
        let call = |call: &dyn Fn() -> Transaction| call();
        let transaction = if log.topics[0] == abi::ConditionalOrderCreated::SIGNATURE_HASH {
            let event = abi::ConditionalOrderCreated::decode_raw_log(topics, &log.data).expect("an order");
            let create = abi::createCall {
                params: event.params,
                dispatch: true,
            };
            call(&|| Transaction::call(owner, at::COMPOSABLE_COW, &create))
        } else if log.topics[0] == abi::MerkleRootSet::SIGNATURE_HASH {
            let event = abi::MerkleRootSet::decode_raw_log(topics, &log.data).expect("a root");
            let set = abi::setRootCall {
                root: event.root,
                proof: event.proof,
            };
            call(&|| Transaction::call(owner, at::COMPOSABLE_COW, &set))
        } else {
            let guard = Address::abi_decode(&log.data).expect("a guard");
            call(&|| Transaction::call(owner, at::COMPOSABLE_COW, &abi::setSwapGuardCall { swapGuard: guard }))
        };
        emits(&chain, log, transaction).await;
        seen += 1;
    }
    assert_eq!(seen, 11, "the logs of the registry");
}

/// A part is settled by the deployed settlement contract, which asks the Safe for the signature.
#[tokio::test]
async fn a_settlement_fills_a_part_and_emits_the_deployed_log() {
    let chain = scene::start().await;
    let polls = vectors::polls("settled.json");
    let poll = &polls[0];
    scene::prepare(&chain, poll).await;
    let decoded = poll.decoded.as_ref().expect("an order");
    let (order, signature) = loop {
        match chain.poll(OWNER, &poll.order()).await {
            Ok(found) => break found,
            Err(_) => chain.mine_at(poll.block.timestamp).await,
        }
    };
    assert_eq!(Some(&signature), decoded.signature.as_ref());
    let terms = OrderTerms {
        sell_token: order.sellToken,
        buy_token: order.buyToken,
        receiver: None,
        sell_amount: order.sellAmount,
        buy_amount: order.buyAmount,
        valid_to: order.validTo,
        app_data: order.appData.to_string(),
        ..OrderTerms::good()
    };
    let receipt = chain.settle(OWNER, &terms, &signature).await;
    let logs: Vec<Log> = vectors::read("logs.json");
    let log = logs.iter().find(|log| log.name == "settle").expect("a trade");
    let (topics, data) = log_of(&receipt, at::SETTLEMENT);
    assert_eq!(topics, log.topics);
    assert_eq!(data, log.data);
    let uid = decoded.uid.as_ref().expect("a UID");
    let filled = chain.filled_amount(&uid.as_ref().try_into().expect("56 bytes")).await;
    assert_eq!(filled, order.sellAmount);
    assert_eq!(chain.poll(OWNER, &poll.order()).await, Ok((order, signature)));
    assert_ne!(filled, U256::ZERO);
}
