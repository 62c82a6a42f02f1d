//! The vectors of the real contracts.

use std::path::PathBuf;

use nexum_sdk::sol_types::{SolCall, SolValue};
use nexum_sdk::testing::Harness;
use nexum_sdk::{Address, B256, Bytes, Decoded, Event, Log, U256, cow, hex};
use serde_json::{Value, json};

use super::{CHAIN, ETHFLOW, SENDER, START, World};
use crate::EthFlow;
use crate::abi::IEthFlow::{OrderPlacement, invalidateOrdersIgnoringNotAllowedCall};
use crate::abi::{Input, Placed, Signature};
use crate::order::{Order, VALID_TO};

/// The cases of a file of the vectors.
fn cases(file: &str) -> Vec<Value> {
    let directory = std::env::var_os("COW_VECTORS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors")),
        PathBuf::from,
    );
    let path = directory.join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).expect("cases")
}

/// A number: JSON, a decimal text, or the object of a JavaScript library.
fn number(value: &Value) -> U256 {
    match value {
        Value::Object(number) => serde_json::from_value(number["hex"].clone()).expect("a number"),
        Value::String(number) => number.parse().expect("a number"),
        number => U256::from(number.as_u64().expect("a number")),
    }
}

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).expect("a value of the type")
}

/// The orders of ethflow.json.
fn orders() -> Vec<Value> {
    let orders: Vec<_> = cases("ethflow.json")
        .into_iter()
        .filter(|case| case["uid"].is_string())
        .collect();
    assert_eq!(orders.len(), 4);
    orders
}

/// The logs of EthFlow contracts in logs.json.
fn logs() -> Vec<(String, Log)> {
    let is_ethflow = |case: &Value| read::<Address>(&case["address"]) == ETHFLOW;
    let logs = cases("logs.json").into_iter().filter(is_ethflow).map(|case| {
        let log = Log {
            chain_id: CHAIN,
            address: ETHFLOW,
            topics: read(&case["topics"]),
            data: read(&case["data"]),
            block_number: read(&case["blockNumber"]),
            ..Log::default()
        };
        (read(&case["name"]), log)
    });
    logs.collect()
}

/// The event of a case of ethflow.json.
fn placement(case: &Value) -> OrderPlacement {
    let order = &case["signedOrder"];
    OrderPlacement {
        sender: read(&case["sender"]),
        order: Placed {
            sellToken: read(&order["sellToken"]),
            buyToken: read(&order["buyToken"]),
            receiver: read(&order["receiver"]),
            sellAmount: number(&order["sellAmount"]),
            buyAmount: number(&order["buyAmount"]),
            validTo: read(&order["validTo"]),
            appData: read(&order["appData"]),
            feeAmount: number(&order["feeAmount"]),
            kind: read(&order["kind"]),
            partiallyFillable: read(&order["partiallyFillable"]),
            sellTokenBalance: read(&order["sellTokenBalance"]),
            buyTokenBalance: read(&order["buyTokenBalance"]),
        },
        signature: Signature {
            scheme: read(&case["signature"]["scheme"]),
            data: read(&case["signature"]["data"]),
        },
        data: read(&case["data"]),
    }
}

/// The input of `createOrder` of a case of ethflow.json.
fn input(case: &Value) -> Input {
    let input = &case["createOrderInput"];
    Input {
        buyToken: read(&input["buyToken"]),
        receiver: read(&input["receiver"]),
        sellAmount: number(&input["sellAmount"]),
        buyAmount: number(&input["buyAmount"]),
        appData: read(&input["appData"]),
        feeAmount: number(&input["feeAmount"]),
        validTo: read(&input["validTo"]),
        partiallyFillable: read(&input["partiallyFillable"]),
        quoteId: read(&input["quoteId"]),
    }
}

/// Reads a placement as the module does.
fn order_of(event: OrderPlacement) -> (B256, Order) {
    let log = Log {
        chain_id: CHAIN,
        address: ETHFLOW,
        ..Log::default()
    };
    Order::of_event(&Decoded { event, log }, cow::SETTLEMENT).expect("an order of EthFlow")
}

#[test]
fn each_order_has_the_digest_the_uid_and_the_input_of_the_contract() {
    for case in orders() {
        let name = &case["name"];
        let (digest, order) = order_of(placement(&case));
        assert_eq!(digest, read::<B256>(&case["digest"]), "{name}");
        assert_eq!(
            cow::uid(digest, ETHFLOW, VALID_TO),
            read::<Bytes>(&case["uid"]),
            "{name}"
        );
        assert_eq!(order.input(), input(&case), "{name}");
        assert_eq!(u64::from(order.valid_to), case["dataDecoded"]["validTo"], "{name}");
        assert_eq!(order.quote_id.to_string(), case["dataDecoded"]["quoteId"], "{name}");
        assert_eq!(order.sender, read::<Address>(&case["sender"]), "{name}");
    }
}

/// The input has the words that a real call of `createOrder` has, and the refund repeats them.
#[test]
fn the_calldata_has_the_words_of_a_call_of_create_order() {
    let cases = cases("ethflow.json");
    let find = |name: &str| {
        cases
            .iter()
            .find(|case| case["name"] == name)
            .expect("the case")
            .clone()
    };
    let (half, real) = (find("ethflow-half-filled"), find("revert-IncorrectEthAmount"));
    let real: Bytes = read(&real["call"]["data"]);
    let (selector, words) = real.split_at(4);
    assert_eq!(hex::encode(selector), "322bba21");

    // The call of the vector differs from the order by these fields.
    let (_, mut order) = order_of(placement(&half));
    order.buy_amount = U256::from(1_000_000);
    order.partially_fillable = false;
    assert_eq!(hex::encode(order.input().abi_encode()), hex::encode(words));

    let call = invalidateOrdersIgnoringNotAllowedCall {
        orders: vec![order.input()],
    };
    let word = |number: u64| format!("{number:064x}");
    let expected = format!("4cb76498{}{}{}", word(32), word(1), hex::encode(words));
    assert_eq!(hex::encode(call.abi_encode()), expected);
}

/// Each case in the state of its block, and after its `validTo`.
#[test]
fn each_order_has_the_state_of_its_vector() {
    for case in orders() {
        let name = case["name"].as_str().expect("a name");
        let mut world = World::new();
        let uid: Bytes = read(&case["uid"]);
        world.emit(&placement(&case)).expect("handled");
        {
            let mut chain = world.chain.borrow_mut();
            chain.owners.insert(uid.clone(), read(&case["onchain"]["owner"]));
            chain.filled.insert(uid.clone(), number(&case["filledAmount"]));
        }
        let valid_to: u64 = read(&case["createOrderInput"]["validTo"]);
        world.block(valid_to).expect("handled");
        assert_eq!((world.state(&uid).as_str(), world.requests()), ("open", 0), "{name}");

        world.block(valid_to + 1).expect("handled");
        let order = world.order(&uid);
        let (state, refund) = match name {
            "ethflow-open" => ("due", "1000000000000000000"),
            "ethflow-half-filled" => ("due", "500000000000000000"),
            "ethflow-cancelled" | "ethflow-refunded" => ("closed", "1000000000000000000"),
            other => panic!("no expectation for {other}"),
        };
        assert_eq!(
            (&order["state"], &order["refund"]),
            (&json!(state), &json!(refund)),
            "{name}"
        );
        let call = invalidateOrdersIgnoringNotAllowedCall {
            orders: vec![input(&case)],
        };
        let expected = match state {
            "due" => json!({ "chain_id": CHAIN, "to": ETHFLOW, "data": Bytes::from(call.abi_encode()) }),
            _ => Value::Null,
        };
        assert_eq!(order["call"], expected, "{name}");
    }
}

#[test]
fn follows_the_real_logs() {
    let logs = logs();
    let names: Vec<_> = logs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["ethflow-place-2", "ethflow-refund", "ethflow-place-3"]);
    let refunded: Bytes = read(&orders()[2]["uid"]);
    let half: Bytes = read(&orders()[3]["uid"]);
    let mut world = World::new();
    let mut states = Vec::new();
    for (_, log) in logs {
        world.harness.deliver(Event::Logs(vec![log])).expect("handled");
        states.push((world.state(&refunded), world.state(&half)));
    }
    let expected = [("open", "absent"), ("refunded", "absent"), ("refunded", "open")];
    assert_eq!(states, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));

    let order = world.order(&refunded);
    assert_eq!(order["quote_id"], -1);
    assert_eq!(order["owner"], json!(SENDER));
    assert_eq!(order["since"], json!({ "block": 145, "time": null }));
    let reason = "OrderRefund by 0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC in";
    assert!(
        order["reason"].as_str().expect("a reason").starts_with(reason),
        "{order}"
    );
    assert!(world.order(&half)["partially_fillable"].as_bool().expect("a flag"));
}

/// The event of a cancellation has no vector of its own: the UID is that of the cancelled order.
#[test]
fn a_cancelled_order_is_final() {
    let case = &orders()[1];
    let uid: Bytes = read(&case["uid"]);
    let mut world = World::new();
    world.emit(&placement(case)).expect("handled");
    world
        .emit(&crate::abi::IEthFlow::OrderInvalidation { orderUid: uid.clone() })
        .expect("handled");
    assert_eq!(world.state(&uid), "cancelled");
    world.block(START + 7_200).expect("handled");
    assert_eq!((world.state(&uid).as_str(), world.requests()), ("cancelled", 0));
}

#[test]
fn the_module_starts_without_a_configuration() {
    assert!(Harness::<EthFlow>::new(&[]).is_ok());
}
