//! `submit-order` sends the request that `cowprotocol` itself sends, with the JSON of the module.

use cowprotocol::{OrderBookApi, OrderCreation};
use nexum_testing::OrderBook;
use nexum_testing::order_book::{ReceivedRequest, SignedOrder};
use serde_json::Value;

use crate::support::{CHAIN, books, late};

const ORDERS: u64 = 200;

#[tokio::test]
async fn orders_are_posted_as_the_library_posts_them() {
    let [ours, theirs] = [OrderBook::start().await, OrderBook::start().await];
    let books = books(&ours);
    let api = OrderBookApi::new_with_base_url(theirs.url().parse().unwrap());
    for seed in 0..ORDERS {
        let json = SignedOrder::random(seed).to_json().to_string();
        let uid = books.submit(CHAIN, json.as_bytes(), late()).await.unwrap();
        let creation: OrderCreation = serde_json::from_str(&json).unwrap();
        assert_eq!(uid, api.post_order(&creation).await.unwrap());
    }
    let (ours, theirs) = (ours.requests(), theirs.requests());
    assert_eq!((ours.len() as u64, theirs.len() as u64), (ORDERS, ORDERS));
    for (ours, theirs) in ours.iter().zip(&theirs) {
        let sent = |request: &ReceivedRequest| {
            let content_type = request.header("content-type").map(str::to_owned);
            (
                request.method.clone(),
                request.path.clone(),
                content_type,
                serde_json::from_str::<Value>(&request.body).unwrap(),
            )
        };
        assert_eq!(sent(ours), sent(theirs));
    }
}
