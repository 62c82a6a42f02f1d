use nexum_sdk::cow::{Balance, Kind, Order, OrderBook, SigningScheme, refusal, split_uid, uid};
use nexum_sdk::testing::Host;
use nexum_sdk::{Address, B256, Bytes, Error, ErrorKind, U256, address, b256};
use serde_json::{Value, json};

use crate::module::on_host;

fn order(valid_to: u32) -> Order {
    Order {
        sell_token: Address::with_last_byte(1),
        buy_token: Address::with_last_byte(2),
        receiver: None,
        sell_amount: U256::from(10).pow(U256::from(20)),
        buy_amount: U256::from(7),
        valid_to,
        app_data: "{}".into(),
        app_data_hash: Some(B256::repeat_byte(3)),
        fee_amount: U256::ZERO,
        kind: Kind::Sell,
        partially_fillable: false,
        sell_token_balance: Balance::Erc20,
        buy_token_balance: Balance::Erc20,
        signing_scheme: SigningScheme::PreSign,
        signature: Bytes::new(),
        from: Some(Address::with_last_byte(4)),
        quote_id: None,
        full_balance_check: false,
    }
}

#[test]
fn an_order_has_the_json_of_the_order_book() {
    let expected = json!({
        "sellToken": "0x0000000000000000000000000000000000000001",
        "buyToken": "0x0000000000000000000000000000000000000002",
        "sellAmount": "100000000000000000000", "buyAmount": "7", "validTo": 9,
        "appData": "{}", "appDataHash": B256::repeat_byte(3), "feeAmount": "0", "kind": "sell",
        "partiallyFillable": false, "sellTokenBalance": "erc20", "buyTokenBalance": "erc20",
        "signingScheme": "presign", "signature": "0x", "from": "0x0000000000000000000000000000000000000004",
    });
    let json = serde_json::to_value(order(9)).expect("JSON");
    assert_eq!(json, expected);
    assert_eq!(serde_json::from_value::<Order>(json).expect("an order"), order(9));
    // A watch-tower has the hash of the document alone.
    let of_contract = Order {
        app_data: B256::ZERO.to_string(),
        app_data_hash: None,
        full_balance_check: true,
        ..order(9)
    };
    let json = serde_json::to_value(&of_contract).expect("JSON");
    assert_eq!(json["appData"], json!(B256::ZERO));
    assert_eq!(
        (json.get("appDataHash"), &json["fullBalanceCheck"]),
        (None, &json!(true))
    );
    for (scheme, word) in [
        (SigningScheme::Eip712, "eip712"),
        (SigningScheme::EthSign, "ethsign"),
        (SigningScheme::Eip1271, "eip1271"),
    ] {
        assert_eq!(serde_json::to_value(scheme).expect("JSON"), word);
    }
}

#[test]
fn submits_equal_orders_with_equal_uids() {
    let uids = on_host(Host::new(), || {
        let book = OrderBook::new(1);
        [9, 9, 10].map(|valid_to| book.submit(&order(valid_to)).expect("accepted"))
    });
    assert_eq!((uids[0].len(), &uids[0]), (56, &uids[1]));
    assert_ne!(uids[1], uids[2]);
}

#[test]
fn stops_after_the_order_book_is_unavailable() {
    let mut host = Host::new();
    host.on_order(|_, order| match order["validTo"].as_u64() {
        Some(2) => {
            let body = r#"{"errorType":"InsufficientBalance","description":"none"}"#;
            Err(Error::new(ErrorKind::InvalidInput, "refused")
                .with_code(400)
                .with_data(body))
        }
        Some(3) => Err(Error::new(ErrorKind::Unavailable, "down")),
        _ => Ok(()),
    });
    let results = on_host(host, || {
        let orders = [1, 2, 3, 4].map(order);
        OrderBook::new(1).submit_while_available(&orders)
    });
    assert_eq!(results.len(), 3);
    assert!(results[0].is_ok());
    let refused = refusal(results[1].as_ref().expect_err("refused")).expect("a reason");
    assert_eq!(
        (&refused.error_type[..], &refused.description[..]),
        ("InsufficientBalance", "none")
    );
    assert_eq!(results[2].as_ref().expect_err("down").kind(), ErrorKind::Unavailable);
}

#[test]
fn sends_requests() {
    let mut host = Host::new();
    host.on_cow(|chain, method, path, body| {
        assert_eq!((chain, method, path), (100, "POST", "/api/v1/quote"));
        Some(Ok(json!({ "asked": body })))
    });
    let answer = on_host(host, || {
        OrderBook::new(100).request::<Value>("POST", "/api/v1/quote", Some(&json!({ "kind": "sell" })))
    });
    assert_eq!(answer.expect("an answer"), json!({ "asked": { "kind": "sell" } }));
}

#[test]
fn reads_a_path() {
    let mut host = Host::new();
    host.on_cow(|_, method, path, body| {
        assert_eq!((method, path, body), ("GET", "/api/v1/trades", None));
        Some(Ok(json!([1])))
    });
    let answer = on_host(host, || OrderBook::new(100).get::<Vec<u8>>("/api/v1/trades"));
    assert_eq!(answer.expect("an answer"), [1]);
}

/// The values are those of the real contracts on chain 11155111.
#[test]
fn a_uid_has_a_digest_an_owner_and_an_end() {
    let digest = b256!("79d86b11f1e7dd3684bcbc6c1c4fd00bea3995360ff7aa62ff98128bb5d4fd03");
    let owner = address!("ba3cb449bd2b4adddbc894d8697f5170800eadec");
    let uid = uid(digest, owner, u32::MAX);
    let text = "0x79d86b11f1e7dd3684bcbc6c1c4fd00bea3995360ff7aa62ff98128bb5d4fd03\
                ba3cb449bd2b4adddbc894d8697f5170800eadecffffffff";
    assert_eq!(uid.to_string(), text);
    assert_eq!(split_uid(&uid), Some((digest, owner, u32::MAX)));
    assert_eq!(split_uid(&uid[1..]), None);
    assert_eq!(split_uid(&[&uid[..], &[0]].concat()), None);
}
