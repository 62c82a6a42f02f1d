//! `cow-api.submit-order`.

use std::sync::Arc;

use cowprotocol::OrderUid;
use nexum_config::topic::ChainId;
use nexum_cow_errors::Class;
use tokio::time::Instant;

use crate::call::Call;
use crate::creation::Creation;
use crate::error::RequestError;
use crate::metrics;
use crate::order_books::{OrderBook, OrderBooks};
use crate::route::Route;

/// The largest JSON of an order, in bytes. The public order book takes 16 KiB. An operator's own one
/// may take more, and the length of a contract's signature is up to the contract.
pub const ORDER_BYTES_MAX: usize = 64 * 1_024;

/// The route of orders.
const ORDERS_PATH: &str = "api/v1/orders";

/// A verified order for the order book of its chain.
#[derive(Debug)]
pub struct Order {
    book: Arc<OrderBook>,
    json: String,
    uid: OrderUid,
}

impl OrderBooks {
    /// `cow-api.submit-order`: posts the JSON of an `OrderCreation` as it is, and returns its UID. An
    /// existing order counts as submitted.
    ///
    /// # Errors
    ///
    /// As [`OrderBooks::request`].
    pub async fn submit(&self, chain_id: ChainId, json: &[u8], deadline: Instant) -> Result<OrderUid, RequestError> {
        self.check_order(chain_id, json)?.submit(deadline).await
    }

    /// The first part of [`submit`](Self::submit), before it sends a request: reads the order,
    /// verifies its owner as far as possible without a chain, and computes its UID.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with `unsupported` or `invalid-input`.
    pub fn check_order(&self, chain_id: ChainId, json: &[u8]) -> Result<Order, RequestError> {
        let book = Arc::clone(self.book(chain_id)?);
        let checked = parse(json, &book).inspect_err(|_| metrics::submission(chain_id, "refused"));
        checked.map(|(json, uid)| Order { book, json, uid })
    }
}

fn parse(json: &[u8], book: &OrderBook) -> Result<(String, OrderUid), RequestError> {
    if json.len() > ORDER_BYTES_MAX {
        return Err(RequestError::invalid(format!(
            "an order has at most {ORDER_BYTES_MAX} bytes"
        )));
    }
    let uid = Creation::parse(json).and_then(|creation| creation.uid(&book.domain));
    let uid = uid.map_err(|error| RequestError::invalid(error.to_string()))?;
    // JSON is UTF-8.
    Ok((String::from_utf8_lossy(json).into_owned(), uid))
}

impl Order {
    /// The order's UID: its digest, its owner and its end.
    pub fn uid(&self) -> &OrderUid {
        &self.uid
    }

    /// Posts the order until the order book accepts or refuses it, or the deadline is near. Returns
    /// its UID. Looks up a refused order by its UID if an earlier attempt may have created it.
    ///
    /// # Errors
    ///
    /// As [`OrderBooks::request`].
    pub async fn submit(self, deadline: Instant) -> Result<OrderUid, RequestError> {
        let chain_id = self.book.chain_id;
        let (class, result) = match self.post(deadline).await {
            Ok(()) => ("accepted", Ok(self.uid)),
            Err((error, may_exist)) => match error.class() {
                Some(Class::Accepted) => ("duplicate", Ok(self.uid)),
                Some(_) if (may_exist || error.may_hide_existing()) && self.is_there(&error, deadline).await => {
                    ("duplicate", Ok(self.uid))
                }
                Some(class) => (class.name(), Err(error)),
                None => ("unknown", Err(error)),
            },
        };
        metrics::submission(chain_id, class);
        result
    }

    /// Whether a refused order exists. An earlier attempt may have created it although its response
    /// was lost, or an event that nexum delivers again may have. The order itself may then cause the
    /// refusal, for example through the owner's number of orders or balance.
    async fn is_there(&self, refused: &RequestError, deadline: Instant) -> bool {
        if !refused.is_refusal() {
            return false;
        }
        let path = format!("{ORDERS_PATH}/{}", self.uid);
        match Call::new("GET", &path, None) {
            Ok(call) => self.book.request(&call, deadline).await.is_ok(),
            Err(_) => false,
        }
    }

    /// Posts the JSON as it is. The second part of an error is whether an earlier attempt may have
    /// created the order.
    async fn post(&self, deadline: Instant) -> Result<(), (RequestError, bool)> {
        let call = Call::new(Route::SUBMIT.method.as_str(), ORDERS_PATH, Some(self.json.clone()));
        let request = call.and_then(|call| call.to_request(&self.book.base));
        let request = request.map_err(|error| (error, false))?;
        let body = self.book.post_order(&request, deadline).await;
        let body = body.map_err(|failed| (failed.error, failed.may_have_arrived))?;
        match serde_json::from_str::<OrderUid>(&body) {
            Ok(uid) if uid == self.uid => Ok(()),
            // An order under another UID was signed for another contract or chain than the verified
            // one.
            Ok(_) | Err(_) => Err((RequestError::Malformed, true)),
        }
    }
}
