use nexum_sdk::chain::{CallRequest, Filter};
use nexum_sdk::testing::Host;
use nexum_sdk::{Address, B256, Bytes, Chain, Result, U256, block_on, try_join};
use serde_json::{Value, json};

use crate::module::on_host;

const ACCOUNT: Address = Address::repeat_byte(0xaa);
const HASH: B256 = B256::repeat_byte(0xbb);

/// Answers a method, after checking its parameters.
fn host(method: &'static str, params: Value, answer: Value) -> Host {
    let mut host = Host::new();
    host.on_rpc(move |chain, asked, with| {
        assert_eq!((chain, asked, with), (5, method, &params));
        Some(Ok(answer.clone()))
    });
    host
}

fn check<T: std::fmt::Debug + PartialEq + 'static, F: Future<Output = Result<T>>>(
    (method, params, answer): (&'static str, Value, Value),
    call: impl FnOnce(Chain) -> F + 'static,
    expected: T,
) {
    let result = on_host(host(method, params, answer), || block_on(call(Chain::new(5))));
    assert_eq!(result.expect(method), expected);
}

#[test]
fn reads_the_state_of_accounts() {
    let latest = json!([ACCOUNT, "latest"]);
    check(
        ("eth_getBalance", latest.clone(), json!("0xff")),
        |chain| chain.balance(ACCOUNT),
        U256::from(255),
    );
    check(
        ("eth_getTransactionCount", latest.clone(), json!("0x2")),
        |chain| chain.nonce(ACCOUNT),
        2,
    );
    check(
        ("eth_getCode", latest, json!("0x6001")),
        |chain| chain.code(ACCOUNT),
        Bytes::from_static(&[0x60, 1]),
    );
    let slot = format!("0x{}03", "00".repeat(31));
    let params = json!([ACCOUNT, slot, "0x7"]);
    let storage = |chain: Chain| chain.at(7).storage(ACCOUNT, U256::from(3));
    check(("eth_getStorageAt", params, json!(HASH)), storage, HASH);
}

#[test]
fn sends_a_transaction() {
    let from = Address::repeat_byte(0xcc);
    let transfer = CallRequest {
        to: ACCOUNT,
        from: Some(from),
        value: Some(U256::from(255)),
        ..CallRequest::default()
    };
    let params = json!([{ "to": ACCOUNT, "data": "0x", "from": from, "value": "0xff" }]);
    check(
        ("eth_sendTransaction", params, json!(HASH)),
        move |chain| chain.at(7).send_transaction(&transfer),
        HASH,
    );
}

#[test]
fn reads_the_chain() {
    check(("eth_blockNumber", json!([]), json!("0x10")), Chain::block_number, 16);
    check(
        ("eth_gasPrice", json!([]), json!("0x3b9aca00")),
        Chain::gas_price,
        U256::from(1_000_000_000),
    );
    check(
        ("eth_getBlockByNumber", json!(["0x7", false]), Value::Null),
        |chain| chain.at(7).header(),
        None,
    );
    let answer = ("eth_getTransactionReceipt", json!([HASH]), Value::Null);
    check(answer, |chain| chain.receipt(HASH), None);
    let answer = ("eth_getBlockReceipts", json!(["0x7"]), json!([]));
    check(answer, |chain| chain.at(7).receipts(), Some(vec![]));
    let answer = ("eth_getLogs", json!([{ "blockHash": HASH }]), json!([]));
    check(
        answer,
        |chain| async move { chain.at(HASH).logs(&Filter::new()).await },
        vec![],
    );
    let call = CallRequest {
        to: ACCOUNT,
        ..CallRequest::default()
    };
    let answer = (
        "eth_call",
        json!([{ "to": ACCOUNT, "data": "0x" }, "latest"]),
        json!("0x01"),
    );
    check(answer, move |chain| chain.call_raw(&call), Bytes::from_static(&[1]));
}

#[test]
fn reads_a_header() {
    let answer = json!({
        "number": "0x7", "hash": HASH, "parentHash": HASH, "timestamp": "0x65", "stateRoot": HASH,
        "miner": ACCOUNT, "gasUsed": "0x5208", "gasLimit": "0x1c9c380", "baseFeePerGas": "0x8",
        "transactions": [HASH], "extraData": "0x", "uncles": [],
    });
    let scripted = host("eth_getBlockByHash", json!([HASH, false]), answer);
    let header = on_host(scripted, || block_on(Chain::new(5).at(HASH).header()));
    let header = header.expect("an answer").expect("a block");
    assert_eq!(
        (header.number, header.timestamp_seconds, header.gas_used),
        (7, 101, 21_000)
    );
    assert_eq!(
        (header.base_fee_per_gas, header.beneficiary),
        (Some(U256::from(8)), ACCOUNT)
    );
}

#[test]
fn sends_any_request() {
    let scripted = host(
        "eth_feeHistory",
        json!(["0x1", "latest", []]),
        json!({ "oldestBlock": "0x1" }),
    );
    let answer = on_host(scripted, || {
        block_on(Chain::new(5).request::<Value>("eth_feeHistory", ("0x1", "latest", [(); 0])))
    });
    assert_eq!(answer.expect("an answer"), json!({ "oldestBlock": "0x1" }));
}

#[test]
fn different_reads_are_one_batch() {
    let mut host = Host::new();
    host.on_rpc(|_, _, _| Some(Ok(json!("0x1"))));
    let result = on_host(host, || {
        let chain = Chain::new(5);
        block_on(async { try_join!(chain.balance(ACCOUNT), chain.block_number(), chain.code(ACCOUNT)) })
    });
    // `0x1` is a number and no bytes.
    assert!(
        result
            .expect_err("no code")
            .message()
            .starts_with("unreadable answer: expected hexadecimal bytes")
    );
}
