//! A client of the order book.

use nexum_testing::OrderBook;
use nexum_testing::order_book::SignedOrder;
use serde_json::Value;

/// A response of the order book.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{self:?}: {error}"))
    }

    /// The status and the `errorType`.
    pub(crate) fn refusal(&self) -> (u16, String) {
        (self.status, self.json()["errorType"].as_str().unwrap().to_owned())
    }
}

/// Sends a request to a path below the base.
pub(crate) async fn request(book: &OrderBook, method: &str, path: &str, body: &str) -> reqwest::Result<Answer> {
    let response = respond(book, method, path, body).await?;
    Ok(Answer {
        status: response.status().as_u16(),
        text: response.text().await?,
    })
}

/// Sends a request and returns the response before its body.
pub(crate) async fn respond(
    book: &OrderBook,
    method: &str,
    path: &str,
    body: &str,
) -> reqwest::Result<reqwest::Response> {
    let client = nexum_net::http_client().no_proxy().build()?;
    let url = format!("{}{path}", book.url());
    let request = client.request(method.parse().unwrap(), url).body(body.to_owned());
    request.header("content-type", "application/json").send().await
}

pub(crate) async fn get(book: &OrderBook, path: &str) -> Answer {
    request(book, "GET", path, "").await.unwrap()
}

pub(crate) async fn post(book: &OrderBook, creation: &Value) -> Answer {
    request(book, "POST", "/api/v1/orders", &creation.to_string())
        .await
        .unwrap()
}

/// Places an order, which must succeed.
pub(crate) async fn place(book: &OrderBook, order: &SignedOrder) {
    let answer = post(book, &order.to_json()).await;
    assert_eq!((answer.status, answer.json()), (201, serde_json::json!(order.uid())));
}
