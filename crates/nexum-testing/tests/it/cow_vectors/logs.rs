//! The logs of the vectors, emitted again.

use alloy_primitives::{Address, B256, Bytes};
use alloy_sol_types::{SolCall as _, SolEvent, SolValue};
use nexum_testing::cow::addresses as at;
use nexum_testing::cow::{Transaction, abi};
use nexum_testing::order_book::OrderTerms;
use serde_json::Value;

use super::scene::{self, OWNER};
use super::vectors::{self, Log};

/// The gas limit of a call: the largest tree of the vectors needs a twentieth of it.
const GAS: u64 = 2_000_000;

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

/// The call of the registry that emits this log.
fn call_of(log: &Log) -> Bytes {
    let topics = || log.topics.iter().copied();
    let call = if log.topics[0] == abi::ConditionalOrderCreated::SIGNATURE_HASH {
        let event = abi::ConditionalOrderCreated::decode_raw_log(topics(), &log.data).expect("an order");
        abi::createCall {
            params: event.params,
            dispatch: true,
        }
        .abi_encode()
    } else if log.topics[0] == abi::MerkleRootSet::SIGNATURE_HASH {
        let event = abi::MerkleRootSet::decode_raw_log(topics(), &log.data).expect("a root");
        abi::setRootCall {
            root: event.root,
            proof: event.proof,
        }
        .abi_encode()
    } else {
        let swap_guard = Address::abi_decode(&log.data).expect("a guard");
        abi::setSwapGuardCall { swapGuard: swap_guard }.abi_encode()
    };
    call.into()
}

#[tokio::test]
async fn the_registry_emits_the_deployed_logs() {
    let chain = scene::start().await;
    let logs: Vec<Log> = vectors::read("logs.json");
    let logs: Vec<_> = logs.iter().filter(|log| log.address == at::COMPOSABLE_COW).collect();
    assert_eq!(logs.len(), 11, "the logs of the registry");
    for log in logs {
        let transaction = Transaction {
            from: Address::from_word(log.topics[1]),
            to: Some(at::COMPOSABLE_COW),
            input: call_of(log),
            gas: GAS,
        };
        let receipt = &chain.execute(&[transaction]).await[0];
        let (topics, data) = log_of(receipt, log.address);
        assert_eq!(topics, log.topics, "{}", log.name);
        assert_eq!(data, log.data, "{}", log.name);
    }
}

/// A part is settled by the deployed settlement contract, which asks the Safe for the signature.
#[tokio::test]
async fn a_settlement_fills_a_part_and_emits_the_deployed_log() {
    let chain = scene::start().await;
    let polls = vectors::polls("settled.json");
    let poll = &polls[0];
    scene::prepare(&chain, poll).await;
    let decoded = poll.decoded.as_ref().expect("an order");
    chain.mine_at(poll.block.timestamp).await;
    let (order, signature) = chain.poll(OWNER, &poll.order()).await.expect("a part");
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
}
