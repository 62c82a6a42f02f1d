//! Every poll of the vectors, made again.

use alloy_primitives::{B256, Bytes, U256};
use alloy_sol_types::SolCall;
use nexum_testing::cow::addresses as at;
use nexum_testing::cow::{CowChain, abi};
use serde_json::{Value, json};

use super::scene;
use super::vectors::{self, Poll};

alloy_sol_types::sol! {
    struct Call3 { address target; bool allowFailure; bytes callData; }
    struct Result3 { bool success; bytes returnData; }
    function aggregate3(Call3[] calls) returns (Result3[] results);
}

/// Makes each poll of a file, and compares the answers.
async fn check(file: &str, cases: usize) {
    let chain = scene::start().await;
    let polls = vectors::polls(file);
    assert_eq!(polls.len(), cases, "the polls of {file}");
    for poll in polls {
        let before: Value = chain.request("evm_snapshot", json!([])).await;
        scene::prepare(&chain, &poll).await;
        answers(&chain, &poll).await;
        chain.request::<Value>("evm_revert", json!([before])).await;
        chain.read_time().await;
    }
}

/// Compares the answers of the registry, of Multicall3, and of the owner to its signature.
async fn answers(chain: &CowChain, poll: &Poll) {
    let name = &poll.name;
    let order = poll.order();
    assert_eq!(order.id(), poll.id, "{name}: the id");
    let call = abi::getTradeableOrderWithSignatureCall {
        owner: poll.owner,
        params: order.params(),
        offchainInput: poll.offchain_input.clone(),
        proof: poll.proof.clone(),
    };
    let answer = at_block(chain, poll, json!({ "to": at::COMPOSABLE_COW, "input": input(&call) })).await;
    assert_eq!(answer.is_ok(), poll.success, "{name}: {answer:?}");
    let data = answer.unwrap_or_else(|data| data);
    compare(name, &data, &poll.return_data);

    let through = aggregate3Call {
        calls: vec![Call3 {
            target: at::COMPOSABLE_COW,
            allowFailure: true,
            callData: input(&call),
        }],
    };
    let answer = at_block(chain, poll, json!({ "to": at::MULTICALL3, "input": input(&through) })).await;
    let results = aggregate3Call::abi_decode_returns(&answer.expect("an answer of Multicall3")).expect("results");
    assert_eq!(results[0].success, poll.success, "{name}, through Multicall3");
    assert_eq!(results[0].returnData, data, "{name}, through Multicall3");

    let decoded = poll.decoded.as_ref();
    let signed = decoded.and_then(|decoded| Some((decoded.digest?, decoded.signature.clone()?)));
    assert_eq!(signed.is_some(), poll.success, "{name}: a signature");
    if let (Some((digest, signature)), Some(expected)) = (signed, &poll.eip1271) {
        let verify = abi::isValidSignatureCall { digest, signature };
        let call = json!({ "from": at::SETTLEMENT, "to": poll.owner, "input": input(&verify) });
        let answer = at_block(chain, poll, call).await;
        assert_eq!(answer.is_ok(), expected.ok, "{name}: the owner");
        assert_eq!(answer.unwrap_or_else(|data| data), expected.data, "{name}: the owner");
    }
}

/// The answer to a call in the block of a poll.
async fn at_block(chain: &CowChain, poll: &Poll, call: Value) -> Result<Bytes, Bytes> {
    let block = json!({ "number": U256::from(poll.block.number), "time": U256::from(poll.block.timestamp) });
    chain.try_call(json!([call, "latest", {}, block])).await
}

/// Compares data with that of a file, which shows of long data the beginning and the length.
fn compare(name: &str, data: &Bytes, expected: &str) {
    match expected.split_once("...(") {
        None => assert_eq!(data.to_string(), expected, "{name}"),
        Some((beginning, length)) => {
            assert!(data.to_string().starts_with(beginning), "{name}: {data}");
            assert_eq!(format!("{} bytes)", data.len()), length, "{name}");
        }
    }
}

fn input(call: &impl SolCall) -> Bytes {
    call.abi_encode().into()
}

#[tokio::test]
async fn twaps_answer_as_deployed() {
    check("twap.json", 20).await;
}

#[tokio::test]
async fn hints_of_handlers_pass_as_deployed() {
    check("handler-hints.json", 17).await;
}

#[tokio::test]
async fn owners_and_guards_answer_as_deployed() {
    check("owners-and-guards.json", 8).await;
}

#[tokio::test]
async fn other_handlers_answer_as_deployed() {
    check("other-handlers.json", 12).await;
}

#[tokio::test]
async fn leaves_of_trees_answer_as_deployed() {
    check("merkle.json", 8).await;
}

#[tokio::test]
async fn a_settled_part_answers_as_deployed() {
    check("settled.json", 2).await;
}

#[tokio::test]
async fn an_order_without_a_handler_is_refused_as_deployed() {
    let chain = scene::start().await;
    let cases: Vec<Value> = vectors::read("handler-hints.json");
    let case = cases.iter().find(|case| case["name"] == "create-zero-handler");
    let case = case.expect("the case");
    let refused = chain.try_call(json!([case["call"], "latest"])).await;
    assert_eq!(json!(refused.expect_err("a refusal")), case["returnData"]);
}

#[tokio::test]
async fn the_domain_is_that_of_the_deployed_settlement() {
    let chain = scene::start().await;
    let selectors: Value = vectors::read("selectors.json");
    let expected: B256 =
        serde_json::from_value(selectors["constants"]["domainSeparator11155111"].clone()).expect("a word");
    assert_eq!(chain.domain_separator().await, expected);
    assert_eq!(
        chain.read(at::COMPOSABLE_COW, &abi::domainSeparatorCall {}).await,
        expected
    );
}
