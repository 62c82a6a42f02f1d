//! An order book as a process of its own: `order-book TRADERS ORDERS`.
//!
//! First it prints a line with its URL, and a line with an array of the JSON of each trader's orders. For
//! each line of its input, it prints a line with an array for each trader: for each order, the number of its
//! posts, and the number of orders that the order book has stored for it. It ends with its input.
#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program of the tests"
)]

use std::collections::HashMap;
use std::io::BufRead;

use nexum_testing::OrderBook;
use nexum_testing::order_book::{OrderTerms, Scheme, SignedOrder, Trader};
use serde_json::{Value, json};

/// How much longer than usual the orders are valid: longer than any run.
const MORE_S: u32 = 86_400;

#[tokio::main]
async fn main() {
    let counts: Vec<u64> = std::env::args().skip(1).map(|count| count.parse().unwrap()).collect();
    let [traders, orders] = counts[..] else {
        panic!("usage: order-book TRADERS ORDERS");
    };
    let book = OrderBook::start().await;
    book.set_limit_orders_max(usize::MAX);
    let orders: Vec<Vec<SignedOrder>> = (0..traders).map(|trader| signed(trader, orders)).collect();
    println!("{}", book.url());
    for orders in &orders {
        println!("{}", orders.iter().map(SignedOrder::to_json).collect::<Value>());
    }
    tokio::task::spawn_blocking(move || {
        for _ in std::io::stdin().lock().lines().map_while(Result::ok) {
            println!("{}", report(&book, &orders));
        }
    })
    .await
    .unwrap();
}

/// Different orders of one trader.
fn signed(trader: u64, count: u64) -> Vec<SignedOrder> {
    let order = |index: u64| {
        let mut terms = OrderTerms::good();
        terms.valid_to += MORE_S + u32::try_from(index).unwrap();
        Trader::new(trader).sign(&terms, Scheme::Eip712)
    };
    (0..count).map(order).collect()
}

fn report(book: &OrderBook, orders: &[Vec<SignedOrder>]) -> Value {
    let mut posts: HashMap<String, u64> = HashMap::new();
    for request in book.requests().iter().filter(|request| request.method == "POST") {
        let body: Value = serde_json::from_str(&request.body).unwrap_or_default();
        *posts.entry(body["signature"].to_string()).or_default() += 1;
    }
    let mut stored: HashMap<_, u64> = HashMap::new();
    for order in book.orders() {
        *stored.entry(order.uid).or_default() += 1;
    }
    let counts = |order: &SignedOrder| {
        let posts = posts
            .get(&json!(order.signature).to_string())
            .copied()
            .unwrap_or_default();
        json!([posts, stored.get(&order.uid()).copied().unwrap_or_default()])
    };
    orders
        .iter()
        .map(|orders| orders.iter().map(counts).collect::<Value>())
        .collect()
}
