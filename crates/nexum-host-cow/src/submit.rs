//! `cow-api.submit-order`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use cowprotocol::OrderUid;
use nexum_config::topic::ChainId;
use nexum_cow_errors::Class;
use tokio::time::Instant;

use crate::call::Call;
use crate::creation::Creation;
use crate::error::RequestError;
use crate::metrics;
use crate::order_books::{OrderBook, OrderBooks};
use crate::origin::Failed;
use crate::route::Route;

/// The largest JSON of an order, in bytes. The public order book takes 16 KiB. An operator's own one
/// may take more, and the length of a contract's signature is up to the contract.
pub const ORDER_BYTES_MAX: usize = 64 * 1_024;

/// The status of an order that does not exist.
const NOT_FOUND: u16 = 404;

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
        self.check_order(chain_id, json)?.submit(false, deadline).await
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
    let text = str::from_utf8(json).map_err(|_| RequestError::invalid("an order is JSON, which is UTF-8"))?;
    let uid = Creation::parse(text).and_then(|creation| creation.uid(&book.domain));
    let uid = uid.map_err(|error| RequestError::invalid(error.to_string()))?;
    Ok((text.to_owned(), uid))
}

impl Order {
    /// The order's UID: its digest, its owner and its end.
    pub fn uid(&self) -> &OrderUid {
        &self.uid
    }

    /// Posts the order until the order book accepts or refuses it, or the deadline is near. Returns
    /// its UID. Looks up a refused order by its UID if an earlier attempt may have created it; `is_repeated` tells that
    /// there was one.
    ///
    /// # Errors
    ///
    /// As [`OrderBooks::request`].
    pub async fn submit(self, is_repeated: bool, deadline: Instant) -> Result<OrderUid, RequestError> {
        let chain_id = self.book.chain_id;
        let (class, result) = match self.post(deadline).await {
            Ok(()) => ("accepted", Ok(self.uid)),
            Err(Failed {
                error,
                may_have_arrived,
            }) => {
                let may_exist =
                    is_repeated || may_have_arrived || self.book.doubts.has(&self.uid) || error.may_hide_existing();
                match error.class() {
                    Some(Class::Accepted) => ("duplicate", self.confirmed(deadline).await),
                    Some(_) if may_exist && self.is_there(&error, deadline).await => ("duplicate", Ok(self.uid)),
                    Some(class) => (class.name(), Err(error)),
                    None => ("unknown", Err(error)),
                }
            }
        };
        match &result {
            Err(error) if error.leaves_doubt() => self.book.doubts.add(self.uid),
            _ => self.book.doubts.remove(&self.uid),
        }
        metrics::submission(chain_id, class);
        result
    }

    /// The UID of an order that the order book calls a duplicate. Until the order book has once
    /// answered with the UID that nexum computed, its contract may be another one, and the duplicate
    /// has another UID.
    async fn confirmed(&self, deadline: Instant) -> Result<OrderUid, RequestError> {
        if !self.book.is_domain_known.load(Ordering::Relaxed) {
            let found = self.look_up(deadline).await;
            match found {
                Ok(()) => self.book.is_domain_known.store(true, Ordering::Relaxed),
                Err(RequestError::Answer(answer)) if answer.status == NOT_FOUND => {
                    return Err(RequestError::AnotherUid);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(self.uid)
    }

    /// Whether a refused order exists. An earlier attempt may have created it although its response
    /// was lost, or an event that nexum delivers again may have. The order itself may then cause the
    /// refusal, for example through the owner's number of orders or balance.
    async fn is_there(&self, refused: &RequestError, deadline: Instant) -> bool {
        if !refused.is_refusal() {
            return false;
        }
        self.look_up(deadline).await.is_ok()
    }

    /// Asks the order book for the order.
    async fn look_up(&self, deadline: Instant) -> Result<(), RequestError> {
        let call = Call::new("GET", &format!("{ORDERS_PATH}/{}", self.uid), None)?;
        self.book.request(&call, deadline).await.map(drop)
    }

    /// Posts the JSON as it is.
    async fn post(&self, deadline: Instant) -> Result<(), Failed> {
        let call = Call::new(Route::SUBMIT.method.as_str(), ORDERS_PATH, Some(self.json.clone()));
        let request = call.and_then(|call| call.to_request(&self.book.base))?;
        let body = self.book.post_order(&request, deadline).await?;
        match serde_json::from_str::<OrderUid>(&body) {
            Ok(uid) if uid == self.uid => {
                self.book.is_domain_known.store(true, Ordering::Relaxed);
                Ok(())
            }
            Ok(_) => Err(RequestError::AnotherUid.into()),
            Err(_) => Err(RequestError::Malformed.into()),
        }
    }
}
