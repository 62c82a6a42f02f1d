//! EthFlow of this crate, compared with the deployed contract.

use alloy_primitives::{Address, B256, Bytes, U256, address, hex, keccak256};
use alloy_sol_types::{SolCall, SolError};
use nexum_testing::AnvilOptions;
use nexum_testing::cow::ethflow::abi::{self, EthFlowOrder};
use nexum_testing::cow::ethflow::{ETHFLOW, EthFlow, PICKY_USER};
use nexum_testing::cow::{CowChain, Transaction};
use serde_json::{Value, json};

use super::vectors::{Log, read};

const USER: Address = address!("70997970C51812dc3A010C7d01b50e0d17dc79C8");
const REFUNDER: Address = address!("3C44CdDdB6a900fa2b585dd299e03d12FA4293BC");
/// The time of the first block, before each order of the vectors ends.
const START: u64 = 1_795_920_000;

async fn start() -> CowChain {
    let extra_args = ["--timestamp".to_owned(), START.to_string()];
    CowChain::start_with(AnvilOptions {
        extra_args: extra_args.into(),
        ..AnvilOptions::default()
    })
    .await
}

fn field<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{value}: {error}"))
}

fn case(name: &str) -> Value {
    let cases: Vec<Value> = read("ethflow.json");
    let mut cases = cases.into_iter();
    cases
        .find(|case| case["name"] == name)
        .unwrap_or_else(|| panic!("no case {name}"))
}

/// The order of a case.
fn order(case: &Value) -> EthFlowOrder {
    let input = &case["createOrderInput"];
    EthFlowOrder {
        buyToken: field(&input["buyToken"]),
        receiver: field(&input["receiver"]),
        sellAmount: field(&input["sellAmount"]["hex"]),
        buyAmount: U256::from(input["buyAmount"].as_u64().expect("a number")),
        appData: field(&input["appData"]),
        feeAmount: U256::from(input["feeAmount"].as_u64().expect("a number")),
        validTo: field(&input["validTo"]),
        partiallyFillable: field(&input["partiallyFillable"]),
        quoteId: field(&input["quoteId"]),
    }
}

/// The only log of EthFlow in a receipt: its topics and its data.
fn log_of(receipt: &Value) -> (Vec<B256>, Bytes) {
    let logs = receipt["logs"].as_array().expect("logs").iter();
    let mut logs = logs.filter(|log| field::<Address>(&log["address"]) == ETHFLOW);
    let log = logs.next().expect("a log");
    assert!(logs.next().is_none(), "{receipt}");
    (field(&log["topics"]), field(&log["data"]))
}

/// A log of the vectors.
fn expected_log(name: &str) -> (Vec<B256>, Bytes) {
    let logs: Vec<Log> = read("logs.json");
    let log = logs.into_iter().find(|log| log.name == name).expect("the log");
    assert_eq!(log.address, ETHFLOW);
    (log.topics, log.data)
}

/// Compares the state of an order with its vector.
async fn check_state(chain: &CowChain, ethflow: &EthFlow<'_>, case: &Value) {
    let name = &case["name"];
    let digest: B256 = field(&case["digest"]);
    let onchain = (field(&case["onchain"]["owner"]), field(&case["onchain"]["validTo"]));
    assert_eq!(ethflow.order(digest).await, onchain, "{name}");
    let signature = abi::isValidSignatureCall {
        digest,
        signature: Bytes::new(),
    };
    let answer = chain.call(ETHFLOW, &signature.abi_encode()).await.expect("an answer");
    assert_eq!(answer, field::<Bytes>(&case["isValidSignature"]), "{name}");
    let uid = field::<Bytes>(&case["uid"])[..].try_into().expect("a UID");
    let filled: U256 = case["filledAmount"]
        .as_str()
        .expect("a number")
        .parse()
        .expect("a number");
    assert_eq!(chain.filled_amount(&uid).await, filled, "{name}");
}

#[tokio::test]
async fn an_order_is_placed_and_cancelled_as_by_the_deployed_contract() {
    let chain = start().await;
    let ethflow = chain.ethflow().await;
    let open = case("ethflow-open");
    let receipt = ethflow.create(USER, &order(&open)).await;
    let (topics, data) = log_of(&receipt);
    assert_eq!(topics[1], USER.into_word());
    // The first order has no log of its own: it differs from the second in the amount and the quote.
    let (expected_topics, expected_data) = expected_log("ethflow-place-2");
    assert_eq!((topics, data.len()), (expected_topics, expected_data.len()));
    check_state(&chain, &ethflow, &open).await;

    let cancel = abi::invalidateOrderCall { order: order(&open) };
    let [receipt] = chain
        .execute(&[Transaction::call(USER, ETHFLOW, &cancel)])
        .await
        .try_into()
        .expect("a receipt");
    let (topics, data) = log_of(&receipt);
    assert_eq!(topics, [keccak256("OrderInvalidation(bytes)")]);
    let uid: Bytes = field(&open["uid"]);
    assert!(hex::encode(&data).contains(&hex::encode(&uid)), "{data}");
    check_state(&chain, &ethflow, &case("ethflow-cancelled")).await;
}

#[tokio::test]
async fn an_expired_order_is_refunded_as_by_the_deployed_contract() {
    let chain = start().await;
    let ethflow = chain.ethflow().await;
    let refunded = case("ethflow-refunded");
    let placed = order(&refunded);
    let receipt = ethflow.create(USER, &placed).await;
    assert_eq!(log_of(&receipt), expected_log("ethflow-place-2"));

    // The last second of the order: another account may not refund it.
    chain.provide(&[REFUNDER]).await;
    let refund = abi::invalidateOrdersIgnoringNotAllowedCall {
        orders: vec![placed.clone()],
    };
    chain.set_next_timestamp(u64::from(placed.validTo)).await;
    let receipts = chain.execute(&[Transaction::call(REFUNDER, ETHFLOW, &refund)]).await;
    assert_eq!(receipts[0]["logs"], json!([]));
    let balance = |account: Address| chain.request::<U256>("eth_getBalance", json!([account, "latest"]));
    let before = balance(USER).await;
    chain.set_next_timestamp(u64::from(placed.validTo) + 1).await;
    let receipts = chain.execute(&[Transaction::call(REFUNDER, ETHFLOW, &refund)]).await;
    assert_eq!(log_of(&receipts[0]), expected_log("ethflow-refund"));
    assert_eq!(balance(USER).await - before, placed.sellAmount);
    check_state(&chain, &ethflow, &refunded).await;
}

#[tokio::test]
async fn half_of_an_order_is_settled_and_the_rest_refunded() {
    let chain = start().await;
    let ethflow = chain.ethflow().await;
    let half = case("ethflow-half-filled");
    let placed = order(&half);
    let receipt = ethflow.create(USER, &placed).await;
    assert_eq!(log_of(&receipt), expected_log("ethflow-place-3"));
    ethflow.settle(&placed, placed.sellAmount / U256::from(2)).await;
    check_state(&chain, &ethflow, &half).await;

    let balance = |account: Address| chain.request::<U256>("eth_getBalance", json!([account, "latest"]));
    let before = balance(USER).await;
    chain.mine_at(u64::from(placed.validTo) + 1).await;
    let refund = abi::invalidateOrderCall { order: placed.clone() };
    chain.provide(&[REFUNDER]).await;
    chain.execute(&[Transaction::call(REFUNDER, ETHFLOW, &refund)]).await;
    assert_eq!(balance(USER).await - before, placed.sellAmount / U256::from(2));
}

#[tokio::test]
async fn the_errors_are_those_of_the_deployed_contract() {
    let chain = start().await;
    let ethflow = chain.ethflow().await;
    for name in [
        "OrderIsAlreadyExpired",
        "IncorrectEthAmount",
        "NotAllowedToInvalidateOrder",
        "ReceiverMustBeSet",
    ] {
        let case = case(&format!("revert-{name}"));
        let value: U256 = case["call"]["value"]
            .as_str()
            .expect("a number")
            .parse()
            .expect("a number");
        let call = json!({ "from": USER, "to": ETHFLOW, "input": case["call"]["data"], "value": value });
        let reverted = chain.try_call(json!([call, "latest"])).await.expect_err(name);
        assert_eq!(reverted, field::<Bytes>(&case["revert"]), "{name}");
    }
    // These have no case: selectors.json has the selectors.
    let open = case("ethflow-open");
    ethflow.create(USER, &order(&open)).await;
    let again = abi::createOrderCall { order: order(&open) };
    let call = json!({
        "from": USER, "to": ETHFLOW, "input": Bytes::from(again.abi_encode()), "value": order(&open).sellAmount,
    });
    let reverted = chain.try_call(json!([call, "latest"])).await.expect_err("owned");
    assert_eq!(reverted[..4], abi::OrderIsAlreadyOwned::SELECTOR);
    assert_eq!(reverted[4..], field::<B256>(&open["digest"])[..]);
}

#[tokio::test]
async fn a_user_that_refuses_ether_makes_the_refund_fail() {
    let chain = start().await;
    let ethflow = chain.ethflow().await;
    let placed = order(&case("ethflow-open"));
    ethflow.create_picky(USER, &placed).await;
    chain.mine_at(u64::from(placed.validTo) + 1).await;
    let refund = abi::invalidateOrdersIgnoringNotAllowedCall {
        orders: vec![placed.clone()],
    };
    let reverted = chain.call(ETHFLOW, &refund.abi_encode()).await.expect_err("refused");
    assert_eq!(reverted[..], abi::EthTransferFailed::SELECTOR);
    assert_eq!(hex::encode(&reverted), "6d963f88");
    chain
        .execute(&[Transaction::call(
            USER,
            PICKY_USER,
            &abi::PickyUser::setAcceptsCall { accepts: true },
        )])
        .await;
    assert!(chain.call(ETHFLOW, &refund.abi_encode()).await.is_ok());
}
