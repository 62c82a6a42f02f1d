//! Each vector of the real contracts: verdict, wait, order, digest, UID and posted body.
//!
//! The directory comes from the environment variable `COW_VECTORS`, by default the copy in the tree.

use std::path::PathBuf;

use nexum_sdk::cow::{Domain, SETTLEMENT};
use nexum_sdk::sol_types::SolCall;
use nexum_sdk::{Address, B256, Bytes, Log};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::contracts::{ConditionalOrderParams, Handler, getTradeableOrderWithSignatureCall as PollCall};
use crate::index::id;
use crate::offer::{Check, Offer};
use crate::schedule::{first_due, last_second};
use crate::state::{Order, Reason};
use crate::tests::world::Tower;
use crate::verdict::{Answer, Verdict, Wait, verdict};

const CHAIN: u64 = 11_155_111;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    name: String,
    #[serde(default)]
    owner: Address,
    params: Option<Params>,
    #[serde(default)]
    id: B256,
    #[serde(default)]
    proof: Vec<B256>,
    #[serde(default)]
    offchain_input: String,
    block: Option<BlockOf>,
    call: Option<Call>,
    success: bool,
    return_data: String,
    decoded: Option<Value>,
    eip1271: Option<Signed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Params {
    handler: Address,
    salt: B256,
    static_input: String,
}

#[derive(Deserialize)]
struct BlockOf {
    number: u64,
    timestamp: u64,
}

#[derive(Deserialize)]
struct Call {
    data: String,
}

#[derive(Deserialize)]
struct Signed {
    ok: bool,
    data: String,
}

fn read<T: DeserializeOwned>(file: &str) -> T {
    let directory = std::env::var_os("COW_VECTORS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors")),
        PathBuf::from,
    );
    let path = directory.join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn bytes(text: &str) -> Bytes {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The right verdict of a case.
enum Expected {
    Order,
    Wait(Wait, Reason),
    NoHint,
    AskStart,
    End(Reason),
}

fn time(time: u64) -> Expected {
    Expected::Wait(Wait::Time(time), Reason::NotValid)
}

fn hint(wait: Wait, reason: Reason) -> Expected {
    Expected::Wait(wait, reason)
}

fn expected(name: &str) -> Expected {
    use Expected::{AskStart, End, NoHint, Order};
    match name {
        "twap-before-start" => time(1_795_912_467),
        "twap-span-out" => time(1_795_926_877 + 600),
        "twap-after-finish" | "twap-no-context" => End(Reason::NotValid),
        "twap-bad-input" => NoHint,
        name if name.starts_with("twap-invalid-") => End(Reason::NotValid),
        "says-next-block" => hint(Wait::NextBlock, Reason::TryNextBlock),
        "says-at-block" => hint(Wait::Block(177), Reason::TryAtBlock),
        "says-at-block-past" => hint(Wait::Block(1), Reason::TryAtBlock),
        "says-at-epoch" => hint(Wait::Time(1_795_928_479), Reason::TryAtEpoch),
        "says-at-epoch-max" => hint(Wait::Forever, Reason::TryAtEpoch),
        "says-at-epoch-u32" => hint(Wait::Time(1 << 32), Reason::TryAtEpoch),
        "says-never" => End(Reason::Never),
        "says-not-valid" | "says-invalid" | "says-long-reason" => End(Reason::NotValid),
        "says-string" | "says-panic" | "says-empty-revert" | "says-unknown" | "says-unknown-error" | "says-endless"
        | "says-truncated" | "says-bad-offset" | "says-short-return" => NoHint,
        "handler-no-interface" | "handler-false-interface" => End(Reason::NoInterface),
        "handler-eoa" => NoHint,
        "owner-safe-no-handler" | "owner-forwarder-silent" | "owner-eoa" | "gat-no-offchain-input" => NoHint,
        "owner-forwarder-false" => hint(Wait::Seconds(3_600), Reason::FallbackHandler),
        "guard-restricted" => hint(Wait::Seconds(600), Reason::SwapGuard),
        "gat-too-early" => hint(Wait::Time(1_795_932_484), Reason::TryAtEpoch),
        "gat-v1-too-early" => time(1_795_932_484),
        "gat-balance" => hint(Wait::Seconds(600), Reason::NotValid),
        "stoploss-invalid-price" => hint(Wait::Seconds(60), Reason::NotValid),
        "stoploss-stale" | "stoploss-not-reached" => hint(Wait::NextBlock, Reason::TryNextBlock),
        "stoploss-expired" => End(Reason::NotValid),
        "tat-below" => hint(Wait::NextBlock, Reason::TryNextBlock),
        "after-remove" | "merkle-bad-proof" | "merkle-no-proof" | "merkle-single-leaf" | "merkle-old-root"
        | "removed" | "twap-removed" => End(Reason::NotAuthorised),
        "merkle-leaf-1" => time(1_795_932_486),
        "merkle-leaf-2" => hint(Wait::Time(1_795_928_263), Reason::TryAtEpoch),
        "t0-ask" => AskStart,
        _ => Order,
    }
}

fn check(case: &Case) {
    let Some(params) = &case.params else { return };
    let name = &case.name;
    if params.static_input.ends_with("...") || case.return_data.contains("...") {
        assert_eq!(name, "says-long-reason");
        return;
    }
    let input = bytes(&params.static_input);
    let handler = Handler::at(params.handler);
    let order = ConditionalOrderParams {
        handler: params.handler,
        salt: params.salt,
        staticInput: input.clone(),
    };
    assert_eq!(id(&order), case.id, "{name}: id");
    let call = PollCall {
        owner: case.owner,
        params: order,
        offchainInput: bytes(&case.offchain_input),
        proof: case.proof.clone(),
    };
    let data = case.call.as_ref().expect("a call").data.as_str();
    assert_eq!(Bytes::from(call.abi_encode()), bytes(data), "{name}: call");
    let answer = match case.success {
        true => Answer::Returned(bytes(&case.return_data)),
        false => Answer::Reverted(bytes(&case.return_data)),
    };
    let block = case.block.as_ref().expect("a block");
    let now = block.timestamp;
    assert!(block.number > 0);
    match (verdict(handler, &input, &answer, now), expected(name)) {
        (Verdict::Order(data, signature), Expected::Order) => {
            assert!(
                first_due(handler, &input, now) <= now,
                "{name}: the poll comes too late"
            );
            assert!(
                last_second(handler, &input).is_none_or(|end| end >= now),
                "{name}: the last poll is missing"
            );
            let domain = Domain::new(CHAIN, SETTLEMENT);
            let offer = Offer::new(*data, signature, case.owner, &domain).expect("known words");
            check_offer(case, &offer);
        }
        (Verdict::Wait(wait, reason, _), Expected::Wait(right, why)) => {
            assert_eq!((wait, reason), (right, why), "{name}");
        }
        (Verdict::NoHint(Reason::NoHint, _), Expected::NoHint) | (Verdict::AskStart(..), Expected::AskStart) => {}
        (Verdict::End(reason, text), Expected::End(right)) => {
            assert_eq!(reason, right, "{name}");
            let args = case.decoded.as_ref().map(|decoded| decoded["args"][0].clone());
            if matches!(reason, Reason::NotValid | Reason::Never) {
                assert_eq!(Some(json!(text)), args, "{name}");
            }
        }
        (verdict, _) => panic!("{name}: {verdict:?}"),
    }
}

fn check_offer(case: &Case, offer: &Offer) {
    let name = &case.name;
    let decoded = case.decoded.as_ref().expect("a decoded order");
    assert_eq!(json!(offer.digest), decoded["digest"], "{name}: digest");
    assert_eq!(json!(offer.uid), decoded["uid"], "{name}: UID");
    let order = &decoded["order"];
    let address = |key: &str| -> Address { serde_json::from_value(order[key].clone()).expect("an address") };
    let word = |key: &str, word: &str, text: &'static str| {
        assert_eq!(order[key], word, "{name}: {key}");
        text
    };
    let erc20 = "0x5a28e9363bb942b639270062aa6bb295f434bcdfc42c97267bf003f272060dc9";
    let sell = "0xf3b277728b3fee749481eb3e0b3b48980dbbab78658fc419025cb16eee346775";
    let mut body = json!({
        "sellToken": address("sellToken"),
        "buyToken": address("buyToken"),
        "sellAmount": order["sellAmount"],
        "buyAmount": order["buyAmount"],
        "validTo": order["validTo"],
        "appData": order["appData"],
        "feeAmount": "0",
        "kind": word("kind", sell, "sell"),
        "partiallyFillable": order["partiallyFillable"],
        "sellTokenBalance": word("sellTokenBalance", erc20, "erc20"),
        "buyTokenBalance": word("buyTokenBalance", erc20, "erc20"),
        "signingScheme": "eip1271",
        "signature": decoded["signature"],
        "from": case.owner,
    });
    if !address("receiver").is_zero() {
        body["receiver"] = json!(address("receiver"));
    }
    assert_eq!(json!(offer.body), body, "{name}: body");
    if let Some(signed) = &case.eip1271 {
        let answer = match signed.ok {
            true => Answer::Returned(bytes(&signed.data)),
            false => Answer::Reverted(bytes(&signed.data)),
        };
        let right = match name.as_str() {
            "owner-safe-no-verifier" => Check::InvalidSignature,
            _ => Check::Valid,
        };
        let nothing_filled = Answer::Returned(B256::ZERO.into());
        assert_eq!(offer.check(&answer, &nothing_filled), Some(right), "{name}: signature");
    }
}

fn check_file(file: &str, count: usize) {
    let cases: Vec<Case> = read(file);
    assert_eq!(cases.len(), count, "{file}");
    cases.iter().for_each(check);
}

#[test]
fn reads_polls_of_twaps() {
    check_file("twap.json", 20);
}

#[test]
fn reads_hints_of_handlers() {
    check_file("handler-hints.json", 18);
}

#[test]
fn reads_owners_and_guards() {
    check_file("owners-and-guards.json", 8);
}

#[test]
fn reads_other_handlers() {
    check_file("other-handlers.json", 12);
}

#[test]
fn reads_polls_of_leaves() {
    check_file("merkle.json", 8);
}

#[test]
fn reads_a_part_before_and_after_its_settlement() {
    check_file("settled.json", 2);
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogOf {
    name: String,
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
    block_number: u64,
    decoded: Option<Value>,
}

/// Stores a vector's log, and returns the state and the answer of the module.
fn store(name: &str) -> (Tower, LogOf) {
    let logs: Vec<LogOf> = read("logs.json");
    let log = logs.into_iter().find(|log| log.name == name).expect(name);
    let mut tower = Tower::new(&[]);
    tower.deliver_logs(vec![Log {
        chain_id: 1,
        address: log.address,
        topics: log.topics.clone(),
        data: log.data.clone(),
        block_number: log.block_number,
        transaction_hash: B256::repeat_byte(1),
        log_index: 0,
    }]);
    (tower, log)
}

#[test]
fn stores_the_orders_of_logs() {
    for name in ["create-twap", "create-with-context"] {
        let (mut tower, log) = store(name);
        let args = &log.decoded.expect("decoded")["args"];
        let orders = tower.ask(&json!({}))["orders"].clone();
        assert_eq!(orders.as_array().map(Vec::len), Some(1), "{name}");
        for (key, value) in [
            ("handler", &args["params"]["handler"]),
            ("salt", &args["params"]["salt"]),
        ] {
            let (stored, right) = (orders[0][key].as_str(), value.as_str());
            assert!(
                stored.zip(right).is_some_and(|(a, b)| a.eq_ignore_ascii_case(b)),
                "{name}: {key}"
            );
        }
        assert_eq!(orders[0]["is_leaf"], false);
    }
    let (mut tower, _) = store("remove");
    assert_eq!(tower.ask(&json!({}))["totals"]["orders"], 0);
}

#[test]
fn stores_the_leaves_of_roots_and_counts_the_others() {
    for (name, location, leaves) in [
        ("set-root-private", "private", 0),
        ("set-root-emitted", "emitted", 4),
        ("set-root-with-context", "emitted", 2),
        ("set-root-location-2", "swarm", 0),
        ("set-root-location-3", "waku", 0),
        ("set-root-zero", "private", 0),
    ] {
        let (mut tower, _) = store(name);
        let totals = tower.ask(&json!({}))["totals"].clone();
        assert_eq!(totals["roots"], json!({ location: 1 }), "{name}");
        assert_eq!(
            (&totals["orders"], &totals["skipped"]),
            (&json!(leaves), &json!({})),
            "{name}"
        );
    }
    for (name, skip) in [
        ("set-root-bad-data", "undecodable"),
        ("set-root-single-leaf", "unusable_proof"),
    ] {
        let (mut tower, _) = store(name);
        let answer = tower.ask(&json!({}));
        assert_eq!(answer["totals"]["skipped"], json!({ skip: 1 }), "{name}");
        assert_eq!(answer["skipped"][0]["reason"], skip, "{name}");
        assert_eq!(answer["totals"]["orders"], 0, "{name}");
    }
}

/// The leaves of the log have the ids and proofs of the polls.
#[test]
fn the_leaves_of_a_root_are_those_of_its_polls() {
    let cases: Vec<Case> = read("merkle.json");
    let (mut tower, _) = store("set-root-emitted");
    for name in ["merkle-leaf-1", "merkle-leaf-2", "merkle-leaf-3"] {
        let case = cases.iter().find(|case| case.name == name).expect(name);
        let answer = tower.ask(&json!({ "id": case.id }));
        assert_eq!(answer["orders"][0]["is_leaf"], true, "{name}");
        let key = format!("orders/{:#x}/01/{:#x}", case.owner, case.id);
        let order: Order = postcard::from_bytes(&tower.harness.host.state[&key]).expect("an order");
        assert_eq!(order.proof, case.proof, "{name}");
    }
}
