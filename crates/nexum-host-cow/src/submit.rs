//! `cow-api.submit-order`.

use std::sync::Arc;

use cowprotocol::{Error, HttpRequest, HttpResponse, HttpTransport, OrderBookApi, OrderCreation, OrderUid};
use nexum_config::topic::ChainId;
use nexum_cow_errors::Class;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::call::Call;
use crate::error::RequestError;
use crate::metrics;
use crate::order_books::{OrderBook, OrderBooks};

/// The largest JSON of an order, in bytes: the order book accepts documents of 8 KiB, which JSON
/// may double, beside a contract's signature, which `cowprotocol` bounds.
pub const ORDER_BYTES_MAX: usize = 64 * 1_024;

/// The route of orders.
const ORDERS_PATH: &str = "api/v1/orders";

/// The status of a success in results of which only the body counts.
const OK: u16 = 200;

/// A verified order for the order book of its chain.
#[derive(Debug)]
pub struct Order {
    book: Arc<OrderBook>,
    creation: OrderCreation,
    uid: OrderUid,
}

impl OrderBooks {
    /// `cow-api.submit-order`: submits the JSON of an `OrderCreation`, and returns its UID. An
    /// existing order counts as submitted.
    ///
    /// # Errors
    ///
    /// As [`OrderBooks::request`].
    pub async fn submit(&self, chain_id: ChainId, json: &[u8], deadline: Instant) -> Result<OrderUid, RequestError> {
        self.check_order(chain_id, json)?.submit(deadline).await
    }

    /// The first part of [`submit`](Self::submit), before it sends a request: parses an order with
    /// all of `cowprotocol`'s checks, verifies its owner as far as possible without a chain, and
    /// computes its UID.
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
            "an order has at most {ORDER_BYTES_MAX} bytes"
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
    /// The order's UID: its digest, its owner and its end.
    pub fn uid(&self) -> &OrderUid {
        &self.uid
    }

    /// Posts the order until the order book accepts or refuses it, or the deadline is near. Returns
    /// its UID. Looks up a refused order by its UID, because an earlier attempt may have created
    /// it.
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

    /// Whether a refused order exists. An earlier attempt may have created it although its response
    /// was lost. The order itself may then cause the refusal, for example through the owner's
    /// number of orders or balance.
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
            // An order under this UID was signed for another contract or chain than the verified
            // one.
            Ok(_) => Err(RequestError::Malformed),
            Err(_) => {
                let failure = failure.lock().take();
                Err(failure.unwrap_or(RequestError::Malformed))
            }
        }
    }
}

/// The transport through which `cowprotocol` posts orders. Its own transport has no rate limit and
/// no retries, and drops headers.
struct Transport {
    book: Arc<OrderBook>,
    deadline: Instant,
    /// The last failure. `cowprotocol`'s errors do not contain all of it.
    failure: Arc<Mutex<Option<RequestError>>>,
}

impl HttpTransport for Transport {
    async fn execute(&self, request: HttpRequest) -> Result<HttpResponse, Error> {
        match self.book.post_order(&request, self.deadline).await {
            Ok(body) => Ok(HttpResponse { status: OK, body }),
            Err(failure) => {
                let error = Error::TransportFailed(failure.to_string());
                *self.failure.lock() = Some(failure);
                Err(error)
            }
        }
    }
}
