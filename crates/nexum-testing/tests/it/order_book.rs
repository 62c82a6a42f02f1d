//! Successful requests to the order book.

use alloy_primitives::{Address, B256, keccak256};
use nexum_testing::OrderBook;
use nexum_testing::order_book::{Kind, OrderStatus, OrderTerms, Scheme, SignedOrder, Trader};
use serde_json::{Value, json};

use crate::order_book_support::{get, place, post, request};

#[tokio::test]
async fn takes_orders_of_every_scheme_and_shows_them() {
    let book = OrderBook::start().await;
    for scheme in Scheme::ALL {
        let order = SignedOrder::good(scheme, scheme as u64);
        place(&book, &order).await;
        let shown = get(&book, &format!("/api/v1/orders/{}", order.uid())).await;
        let shown = shown.json();
        let posted = order.to_json();
        for field in [
            "sellToken",
            "buyAmount",
            "validTo",
            "kind",
            "signature",
            "signingScheme",
        ] {
            assert_eq!(shown[field], posted[field], "{scheme:?} {field}");
        }
        assert_eq!(shown["owner"], json!(order.owner()), "{scheme:?}");
        assert_eq!(shown["appData"], posted["appDataHash"], "{scheme:?}");
        assert_eq!(shown["fullAppData"], "{}", "{scheme:?}");
        let status = match scheme {
            Scheme::Presign => "presignaturePending",
            _ => "open",
        };
        assert_eq!(shown["status"], status, "{scheme:?}");
    }
}

#[tokio::test]
async fn takes_whatever_a_seed_gives() {
    let book = OrderBook::start().await;
    for seed in 0..40 {
        place(&book, &SignedOrder::random(seed)).await;
    }
    let orders = book.orders();
    for scheme in Scheme::ALL {
        assert!(orders.iter().any(|order| order.scheme == scheme), "{scheme:?}");
    }
    for kind in [Kind::Buy, Kind::Sell] {
        assert!(orders.iter().any(|order| order.terms.kind == kind), "{kind:?}");
    }
}

#[tokio::test]
async fn the_same_seed_gives_the_same_terms() {
    let terms = |seed| OrderTerms {
        valid_to: 0,
        ..OrderTerms::random(seed)
    };
    assert_eq!(terms(1), terms(1));
    assert_ne!(terms(1), terms(2));
}

#[tokio::test]
async fn a_uid_is_the_digest_the_owner_and_the_end() {
    let order = SignedOrder::good(Scheme::Eip712, 1);
    let uid = order.uid();
    assert_eq!(uid[..32], order.digest()[..]);
    assert_eq!(uid[32..52], order.owner()[..]);
    assert_eq!(uid[52..], order.terms.valid_to.to_be_bytes());
}

#[tokio::test]
async fn lists_the_orders_of_an_owner_newest_first_in_pages() {
    let book = OrderBook::start().await;
    book.set_limit_orders_max(20);
    let trader = Trader::new(1);
    let mut uids = Vec::new();
    for number in 0..12 {
        let terms = OrderTerms {
            valid_to: OrderTerms::good().valid_to + number,
            ..OrderTerms::good()
        };
        let order = trader.sign(&terms, Scheme::Eip712);
        place(&book, &order).await;
        uids.insert(0, json!(order.uid()));
    }
    place(&book, &SignedOrder::good(Scheme::Eip712, 2)).await;
    let path = format!("/api/v1/account/{}/orders", trader.address());
    for (query, range) in [
        ("", 0..10),
        ("?limit=3", 0..3),
        ("?offset=10", 10..12),
        ("?offset=1&limit=2", 1..3),
    ] {
        let page = get(&book, &format!("{path}{query}")).await.json();
        let page: Vec<_> = page
            .as_array()
            .unwrap()
            .iter()
            .map(|order| order["uid"].clone())
            .collect();
        assert_eq!(page, uids[range], "{query}");
    }
    for query in ["?limit=0", "?limit=1001", "?offset=x"] {
        assert_eq!(get(&book, &format!("{path}{query}")).await.status, 400, "{query}");
    }
    let asked = json!([uids[3], SignedOrder::random(9).uid(), uids[1]]).to_string();
    let found = request(&book, "POST", "/api/v1/orders/by_uids", &asked)
        .await
        .unwrap()
        .json();
    let found: Vec<_> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["order"]["uid"])
        .collect();
    assert_eq!(found, [&uids[3], &uids[1]]);
}

#[tokio::test]
async fn takes_orders_back_for_their_owner_alone() {
    let book = OrderBook::start().await;
    let mine = SignedOrder::good(Scheme::Eip712, 1);
    let other = SignedOrder::good(Scheme::Eip712, 2);
    place(&book, &mine).await;
    place(&book, &other).await;
    let (me, stranger) = (Trader::new(1), Trader::new(3));
    let unknown = SignedOrder::random(7).uid();
    let malformed = json!({ "orderUids": [mine.uid()], "signature": "0x12", "signingScheme": "eip712" }).to_string();
    for (body, status, error_type) in [
        (stranger.cancellation(&[mine.uid()]), 401, "WrongOwner"),
        (me.cancellation(&[mine.uid(), other.uid()]), 401, "WrongOwner"),
        (me.cancellation(&[mine.uid(), unknown]), 404, "OrderNotFound"),
        (malformed, 400, "InvalidSignature"),
    ] {
        let answer = request(&book, "DELETE", "/api/v1/orders", &body).await.unwrap();
        assert_eq!(answer.refusal(), (status, error_type.to_owned()), "{body}");
    }
    assert_eq!(book.status(&mine.uid()), Some(OrderStatus::Open), "all or none");

    let body = me.cancellation(&[mine.uid()]);
    let answer = request(&book, "DELETE", "/api/v1/orders", &body).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(book.status(&mine.uid()), Some(OrderStatus::Cancelled));

    for (scheme, trader) in [(Scheme::Eip1271, 4), (Scheme::Presign, 5)] {
        let on_chain = SignedOrder::good(scheme, trader);
        place(&book, &on_chain).await;
        let body = Trader::new(trader).cancellation(&[on_chain.uid()]);
        let answer = request(&book, "DELETE", "/api/v1/orders", &body).await.unwrap();
        assert_eq!(answer.refusal(), (400, "OnChainOrder".to_owned()), "{scheme:?}");
    }
    let path = format!("/api/v1/orders/{}", other.uid());
    let owner = Trader::new(2);
    for (trader, status) in [(&me, 401), (&owner, 200), (&owner, 400)] {
        let body = trader.cancellation_of(&other.uid());
        let answer = request(&book, "DELETE", &path, &body).await.unwrap();
        assert_eq!(answer.status, status, "{answer:?}");
    }
}

#[tokio::test]
async fn an_executed_order_is_a_trade() {
    let book = OrderBook::start().await;
    let (first, second) = (SignedOrder::random(0), SignedOrder::random(1));
    for order in [&first, &second] {
        place(&book, order).await;
        book.settle(&order.uid());
    }
    assert_eq!(book.status(&first.uid()), Some(OrderStatus::Fulfilled));
    let of_first = format!("orderUid={}", first.uid());
    let of_owner = format!("owner={}", second.owner());
    for version in ["v1", "v2"] {
        for (query, order) in [(&of_first, &first), (&of_owner, &second)] {
            let trades = get(&book, &format!("/api/{version}/trades?{query}")).await.json();
            assert_eq!(trades.as_array().unwrap().len(), 1, "{version}");
            assert_eq!(trades[0]["orderUid"], json!(order.uid()), "{version}");
            assert_eq!(trades[0]["sellAmount"], order.to_json()["sellAmount"], "{version}");
        }
        for query in ["", &format!("{of_first}&{of_owner}")] {
            let answer = get(&book, &format!("/api/{version}/trades?{query}")).await;
            assert_eq!(
                answer.refusal(),
                (400, "InvalidTradeFilter".into()),
                "{version} {query}"
            );
        }
    }
}

#[tokio::test]
async fn a_presigned_order_opens_with_its_transaction() {
    let book = OrderBook::start().await;
    let order = SignedOrder::good(Scheme::Presign, 1);
    place(&book, &order).await;
    assert_eq!(book.status(&order.uid()), Some(OrderStatus::PresignaturePending));
    book.presign(&order.uid());
    assert_eq!(book.status(&order.uid()), Some(OrderStatus::Open));
}

#[tokio::test]
async fn keeps_app_data_under_its_hash() {
    let book = OrderBook::start().await;
    let document = r#"{"metadata":{}}"#;
    let hash = keccak256(document);
    let body = json!({ "fullAppData": document }).to_string();
    let (path, wrong) = (
        format!("/api/v1/app_data/{hash}"),
        format!("/api/v1/app_data/{}", B256::ZERO),
    );
    assert_eq!(get(&book, &path).await.status, 404);
    for (path, body, status) in [
        (wrong.as_str(), body.as_str(), 400),
        ("/api/v1/app_data/0x12", &body, 400),
        (&path, r#"{"fullAppData":"no"}"#, 400),
        (&path, "{}", 422),
        (&path, &body, 201),
        (&path, &body, 200),
        ("/api/v1/app_data", &body, 200),
    ] {
        let answer = request(&book, "PUT", path, body).await.unwrap();
        assert_eq!(answer.status, status, "{path} {body}: {answer:?}");
        if status < 300 {
            assert_eq!(answer.json(), json!(hash));
        }
    }
    assert_eq!(get(&book, &path).await.json(), json!({ "fullAppData": document }));

    // An order can name the document by its hash.
    let terms = OrderTerms {
        app_data: hash.to_string(),
        ..OrderTerms::good()
    };
    let order = Trader::new(1).sign(&terms, Scheme::Eip712);
    place(&book, &order).await;
    let shown = get(&book, &format!("/api/v1/orders/{}", order.uid())).await;
    assert_eq!(shown.json()["fullAppData"], document);
}

#[tokio::test]
async fn tells_prices_and_its_version() {
    let book = OrderBook::start().await;
    let (token, untraded) = (Address::repeat_byte(1), Address::repeat_byte(2));
    book.set_price(token, Some(2.5));
    book.set_price(untraded, None);
    let price = |token: &dyn ToString| format!("/api/v1/token/{}/native_price", token.to_string());
    assert_eq!(get(&book, &price(&token)).await.json(), json!({ "price": 2.5 }));
    assert_eq!(
        get(&book, &price(&untraded)).await.refusal(),
        (404, "NoLiquidity".into())
    );
    assert_eq!(get(&book, &price(&"0x12")).await.status, 400);
    assert_eq!(get(&book, "/api/v1/version").await.text, "nexum-testing");
}

/// A quote request with these additional fields.
fn quote_request(more: Value) -> String {
    let mut request = json!({
        "sellToken": Address::repeat_byte(0xaa),
        "buyToken": Address::repeat_byte(0xbb),
        "from": Trader::new(1).address(),
    });
    request
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    request.to_string()
}

#[tokio::test]
async fn quotes_by_the_prices_of_the_tokens() {
    let book = OrderBook::start().await;
    book.set_price(Address::repeat_byte(0xaa), Some(3.0));
    book.set_price(Address::repeat_byte(0xbb), Some(0.5));
    for (more, sell_amount, buy_amount) in [
        (
            json!({ "kind": "sell", "sellAmountBeforeFee": "11000" }),
            "10000",
            "60000",
        ),
        (
            json!({ "kind": "sell", "sellAmountAfterFee": "10000" }),
            "10000",
            "60000",
        ),
        (json!({ "kind": "buy", "buyAmountAfterFee": "60001" }), "10001", "60001"),
    ] {
        let answer = request(&book, "POST", "/api/v1/quote", &quote_request(more))
            .await
            .unwrap();
        let quote = &answer.json()["quote"];
        assert_eq!(
            (&quote["sellAmount"], &quote["buyAmount"], &quote["feeAmount"]),
            (&json!(sell_amount), &json!(buy_amount), &json!("1000")),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn refuses_to_quote_what_could_not_be_traded() {
    let book = OrderBook::start().await;
    book.set_price(Address::repeat_byte(1), None);
    book.refuse_token(Address::repeat_byte(2));
    let sell = |more: Value| {
        let mut all = json!({ "kind": "sell", "sellAmountBeforeFee": "11000" });
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        quote_request(all)
    };
    for (more, status, error_type) in [
        (json!({ "buyToken": Address::repeat_byte(1) }), 404, "NoLiquidity"),
        (json!({ "buyToken": Address::repeat_byte(2) }), 400, "UnsupportedToken"),
        (
            json!({ "buyToken": Address::repeat_byte(0xaa) }),
            400,
            "SameBuyAndSellToken",
        ),
        (json!({ "validTo": 1 }), 400, "InsufficientValidTo"),
        (json!({ "validFor": 4_000_000_000_u32 }), 400, "ExcessiveValidTo"),
        (
            json!({ "sellAmountBeforeFee": "1000" }),
            400,
            "SellAmountDoesNotCoverFee",
        ),
        (
            json!({ "appData": "{}", "appDataHash": B256::ZERO }),
            400,
            "AppDataHashMismatch",
        ),
    ] {
        let answer = request(&book, "POST", "/api/v1/quote", &sell(more)).await.unwrap();
        assert_eq!(answer.refusal(), (status, error_type.to_owned()));
    }
    for body in ["{}", &quote_request(json!({ "kind": "sell" }))] {
        assert_eq!(request(&book, "POST", "/api/v1/quote", body).await.unwrap().status, 422);
    }
}

#[tokio::test]
async fn an_order_from_a_quote_is_no_limit_order() {
    let book = OrderBook::start().await;
    book.set_limit_orders_max(0);
    let body = quote_request(json!({ "kind": "sell", "sellAmountBeforeFee": "11000" }));
    let quote = request(&book, "POST", "/api/v1/quote", &body).await.unwrap().json();
    let mut terms = OrderTerms {
        quote_id: quote["id"].as_i64(),
        ..OrderTerms::good()
    };
    place(&book, &Trader::new(1).sign(&terms, Scheme::Eip712)).await;

    terms.kind = Kind::Buy;
    let other = Trader::new(1).sign(&terms, Scheme::Eip712).to_json();
    assert_eq!(post(&book, &other).await.refusal(), (400, "InvalidQuote".into()));
    terms.quote_id = Some(1_000);
    let unknown = Trader::new(1).sign(&terms, Scheme::Eip712).to_json();
    assert_eq!(post(&book, &unknown).await.refusal().1, "TooManyLimitOrders");
}

#[tokio::test]
async fn knows_nothing_outside_its_paths() {
    let book = OrderBook::start().await;
    for (method, path, status) in [
        ("GET", "/api/v1/orders/0x12", 400),
        ("GET", &format!("/api/v1/orders/{}", SignedOrder::random(1).uid()), 404),
        ("GET", "/api/v1/account/me/orders", 400),
        ("GET", "/api/v1/trades?owner=me", 400),
        ("GET", "/api/v3/version", 404),
        ("POST", "/api/v1/version", 404),
        ("GET", "/elsewhere", 404),
    ] {
        let answer = request(&book, method, path, "").await.unwrap();
        assert_eq!(answer.status, status, "{method} {path}");
    }
    let client = nexum_net::http_client().no_proxy().build().unwrap();
    let outside = book.url().replace("/sepolia", "/api/v1/version");
    assert_eq!(client.get(outside).send().await.unwrap().status(), 404);
    assert_eq!(book.requests().last().unwrap().path, "/api/v1/version");
}
