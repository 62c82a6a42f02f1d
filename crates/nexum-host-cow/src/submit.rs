//! `cow-api.submit-order`.

use std::sync::{Arc, Mutex, PoisonError};

use cowprotocol::{Error, HttpRequest, HttpResponse, HttpTransport, OrderBookApi, OrderCreation, OrderUid};
use nexum_config::topic::ChainId;
use nexum_cow_errors::Class;
use tokio::time::Instant;

use crate::call::Call;
use crate::error::RequestError;
use crate::metrics;
use crate::order_books::{OrderBook, OrderBooks};

/// How large the JSON of an order may be: the order book takes documents of 8 KiB, which JSON may double, beside a signature of a
/// contract, which `cowprotocol` bounds.
pub const ORDER_BYTES_MAX: usize = 64 * 1_024;

/// Where the orders are.
const ORDERS_PATH: &str = "api/v1/orders";

/// The status that stands for every success where only the body counts.
const OK: u16 = 200;

/// An order that was checked and may be sent to the order book of its chain.
#[derive(Debug)]
pub struct Order {
    book: Arc<OrderBook>,
    creation: OrderCreation,
    uid: OrderUid,
}

impl OrderBooks {
    /// `cow-api.submit-order`: submits an order, given as the JSON of an `OrderCreation`, and returns its UID. An order that is
    /// there already counts as submitted.
    ///
    /// # Errors
    ///
    /// As [`OrderBooks::request`].
    pub async fn submit(&self, chain_id: ChainId, json: &[u8], deadline: Instant) -> Result<OrderUid, RequestError> {
        self.check_order(chain_id, json)?.submit(deadline).await
    }

    /// What [`submit`](Self::submit) does before it sends anything: parses an order with all of `cowprotocol`'s checks, verifies its
    /// owner as far as that can be done without a chain, and computes its UID.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with `unsupported` or `invalid-input`.
    pub fn check_order(&self, chain_id: ChainId, json: &[u8]) -> Result<Order, RequestError> {
        let book = Arc::clone(self.book(chain_id)?);
        let checked = parse(json, &book).inspect_err(|_| metrics::submission(chain_id, "refused"));
        checked.map(|(creation, uid)| Order { book, creation, uid })
    }
}

fn parse(json: &[u8], book: &OrderBook) -> Result<(OrderCreation, OrderUid), RequestError> {
    if json.len() > ORDER_BYTES_MAX {
        return Err(RequestError::invalid(format!(
            "an order takes at most {ORDER_BYTES_MAX} bytes"
        )));
    }
    let invalid = |what: &str, why: String| RequestError::invalid(format!("{what}: {why}"));
    let creation: OrderCreation =
        serde_json::from_slice(json).map_err(|error| invalid("not the JSON of an order", error.to_string()))?;
    let owner = creation.verify_owner(&book.domain);
    let owner = owner.map_err(|error| invalid("the signature is not its owner's", error.to_string()))?;
    let uid = creation.order_data().uid(&book.domain, owner);
    Ok((creation, uid))
}

impl Order {
    /// What the order book will call it: its digest, its owner, and when it ends.
    pub fn uid(&self) -> &OrderUid {
        &self.uid
    }

    /// Posts it until it is known to be there, or refused, or the deadline is near. Returns its UID. One that is refused is
    /// looked for by its UID: it may be there from before.
    ///
    /// # Errors
    ///
    /// As [`OrderBooks::request`].
    pub async fn submit(self, deadline: Instant) -> Result<OrderUid, RequestError> {
        let chain_id = self.book.chain_id;
        let (class, result) = match self.post(deadline).await {
            Ok(uid) => ("accepted", Ok(uid)),
            Err(error) => match error.class() {
                Some(Class::Accepted) => ("duplicate", Ok(self.uid)),
                Some(_) if self.is_there(&error, deadline).await => ("duplicate", Ok(self.uid)),
                Some(class) => (class.name(), Err(error)),
                None => ("unknown", Err(error)),
            },
        };
        metrics::submission(chain_id, class);
        result
    }

    /// Whether an order that was refused is there all the same. It was posted before, with an answer that nobody got: and what it
    /// is refused for now, such as the owner's number of orders or balance, may have come from itself.
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

    async fn post(&self, deadline: Instant) -> Result<OrderUid, RequestError> {
        let failure = Arc::<Mutex<Option<RequestError>>>::default();
        let transport = Transport {
            book: Arc::clone(&self.book),
            deadline,
            failure: Arc::clone(&failure),
        };
        let api = OrderBookApi::new_with_transport(self.book.base.url().clone(), transport);
        match api.post_order(&self.creation).await {
            Ok(uid) if uid == self.uid => Ok(uid),
            // It is stored under this UID, if at all: it signs for another contract or chain than was verified here.
            Ok(_) => Err(RequestError::Malformed),
            Err(_) => {
                let failure = failure.lock().unwrap_or_else(PoisonError::into_inner).take();
                Err(failure.unwrap_or(RequestError::Malformed))
            }
        }
    }
}

/// What `cowprotocol` posts orders through. Its own has no limit on requests and no retries, and drops the headers.
struct Transport {
    book: Arc<OrderBook>,
    deadline: Instant,
    /// Why there is no success: `cowprotocol`'s errors do not hold all of it.
    failure: Arc<Mutex<Option<RequestError>>>,
}

impl HttpTransport for Transport {
    async fn execute(&self, request: HttpRequest) -> Result<HttpResponse, Error> {
        match self.book.post_order(&request, self.deadline).await {
            Ok(body) => Ok(HttpResponse { status: OK, body }),
            Err(failure) => {
                let error = Error::TransportFailed(failure.to_string());
                *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
                Err(error)
            }
        }
    }
}
