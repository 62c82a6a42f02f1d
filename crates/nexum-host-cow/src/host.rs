//! The WIT implementation.

use nexum_config::limits::Limit;
use nexum_core::bindings::nexum::host::types::HostError;
use nexum_core::capability::{Asked, EffectCall, EffectClass, EffectOutcome, EffectPlan, HostCall, HostCallKind, View};

use crate::bindings::shepherd::cow::cow_api;
use crate::call::Call;
use crate::error::RequestError;
use crate::order_books::OrderBooks;

/// The kind of this capability's effects, and of its reads in the transcript of an event.
const KIND: &str = "order-book";

/// The name of a submission in a module's status.
const SUBMIT: &str = "submit-order";

impl cow_api::Host for View<'_, OrderBooks> {
    async fn request(
        &mut self,
        chain_id: u64,
        method: String,
        path: String,
        body: Option<String>,
    ) -> wasmtime::Result<Result<String, HostError>> {
        self.scope.spend(Limit::OrderBookRequests, 1)?;
        let answer = request(self, chain_id, &method, &path, body).await?;
        let bytes = answer.as_ref().map_or(0, |body| body.len() as u64);
        self.scope.spend(Limit::ResponseBytes, bytes)?;
        Ok(answer)
    }

    async fn submit_order(
        &mut self,
        chain_id: u64,
        order_data: Vec<u8>,
    ) -> wasmtime::Result<Result<String, HostError>> {
        self.scope.spend(Limit::OrderBookRequests, 1)?;
        let submitted = submit(self, chain_id, &order_data).await?;
        Ok(submitted.map_err(|error| error.to_host_error()))
    }
}

async fn request(
    view: &mut View<'_, OrderBooks>,
    chain_id: u64,
    method: &str,
    path: &str,
    body: Option<String>,
) -> wasmtime::Result<Result<String, HostError>> {
    let call = match Call::new(method, path, body) {
        Ok(call) => call,
        Err(error) => return Ok(Err(error.to_host_error())),
    };
    let content = call.content();
    let place = match call.has_effect() {
        true => None,
        false => match view.ask(KIND, &[&chain_id.to_be_bytes(), content.as_bytes()])? {
            Asked::Earlier(answer) => return Ok(answer),
            Asked::Now(place) => Some(place),
        },
    };
    let books = view.state.clone();
    let host_call = view.host_call(HostCallKind::OrderBook, call.route.pattern);
    name(&host_call, &books, chain_id);
    let deadline = view.scope.answer_by();
    let send = || books.request(chain_id, &call, deadline);
    if let Some(place) = place {
        let noted = match books.book(chain_id) {
            Ok(book) => view.read_today(HostCallKind::OrderBook, book.endpoint()),
            Err(_) => Ok(()),
        };
        let answer = match noted {
            Ok(()) => send().await,
            Err(reason) => Err(RequestError::denied(reason)),
        };
        let answer = answer.map_err(|error| error.to_host_error());
        host_call.ends(answer.as_ref().map(String::len).map_err(|error| error.kind));
        place.answered(&answer);
        return Ok(answer);
    }
    let effect = Effect {
        content: content.as_bytes(),
        class: call.class(),
        is_strict: call.class() == EffectClass::Once,
        stand_in: None,
    };
    let answer = once(view, chain_id, &effect, |_| send()).await?;
    let answer = answer.map_err(|error| error.to_host_error());
    host_call.ends(answer.as_ref().map(String::len).map_err(|error| error.kind));
    Ok(answer)
}

async fn submit(
    view: &mut View<'_, OrderBooks>,
    chain_id: u64,
    json: &[u8],
) -> wasmtime::Result<Result<String, RequestError>> {
    let order = match view.state.check_order(chain_id, json) {
        Ok(order) => order,
        Err(error) => return Ok(Err(error)),
    };
    let books = view.state.clone();
    let host_call = view.host_call(HostCallKind::OrderBook, SUBMIT);
    name(&host_call, &books, chain_id);
    let (module, uid) = (view.meta.name.clone(), order.uid().to_string());
    let deadline = view.scope.answer_by();
    let effect = Effect {
        content: uid.as_bytes(),
        class: EffectClass::Repeatable,
        is_strict: false,
        stand_in: Some(uid.as_bytes()),
    };
    let submit = async |is_repeated| {
        let module = module.as_str();
        let result = order.submit(is_repeated, deadline).await;
        match &result {
            Ok(uid) => tracing::info!(target: "nexum::cow", module, chain = chain_id, %uid, "order submitted"),
            Err(error) => {
                tracing::warn!(target: "nexum::cow", module, chain = chain_id, uid, %error, "order not submitted")
            }
        }
        result.map(|uid| uid.to_string())
    };
    let answer = once(view, chain_id, &effect, submit).await?;
    let length = answer.as_ref().map(String::len);
    host_call.ends(length.map_err(|error| error.to_host_error().kind));
    Ok(answer)
}

/// A request that changes something at an order book.
struct Effect<'a> {
    /// The bytes that tell it apart from others.
    content: &'a [u8],
    class: EffectClass,
    is_strict: bool,
    /// The answer of an order book that accepts it, if it is certain.
    stand_in: Option<&'a [u8]>,
}

/// Sends a request that changes something, once. `send` learns whether an earlier attempt may have sent it.
async fn once(
    view: &mut View<'_, OrderBooks>,
    chain_id: u64,
    effect: &Effect<'_>,
    send: impl AsyncFnOnce(bool) -> Result<String, RequestError>,
) -> wasmtime::Result<Result<String, RequestError>> {
    let journal = view.effect()?;
    let target = match view.state.book(chain_id) {
        Ok(book) => book.endpoint().to_owned(),
        Err(error) => return Ok(Err(error)),
    };
    let call = EffectCall {
        kind: KIND,
        target: &target,
        request: effect.content,
        class: effect.class,
        stand_in: effect.stand_in,
        is_strict: effect.is_strict,
    };
    let sending = match journal.begin(&call).await? {
        EffectPlan::Send(sending) => sending,
        EffectPlan::Answered(answer) => {
            return Ok(String::from_utf8(answer).map_err(|_| RequestError::Internal));
        }
        EffectPlan::Denied(reason) => return Ok(Err(RequestError::denied(reason))),
        EffectPlan::Failed(error) => return Ok(Err(RequestError::Recorded(Box::new(error)))),
    };
    let answer = send(sending.is_repeated()).await;
    let outcome = match &answer {
        Ok(answer) => EffectOutcome::Done(answer.clone().into_bytes()),
        Err(error) if error.leaves_doubt() => EffectOutcome::Unknown(error.to_string()),
        Err(_) => EffectOutcome::Refused,
    };
    journal.settle(sending, outcome);
    if let Err(error) = &answer {
        journal.told(|| Err(error.to_host_error()));
    }
    Ok(answer)
}

/// Names the order book that a call waits for.
fn name(call: &HostCall<'_>, books: &OrderBooks, chain_id: u64) {
    if let Ok(book) = books.book(chain_id) {
        call.endpoint(book.endpoint());
    }
}
