//! The WIT implementation.

use nexum_config::limits::Limit;
use nexum_core::bindings::nexum::host::types::HostError;
use nexum_core::capability::{HostCall, HostCallKind, View};

use crate::bindings::shepherd::cow::cow_api;
use crate::call::Call;
use crate::error::RequestError;
use crate::order_books::OrderBooks;

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
        Ok(answer.map_err(|error| error.to_host_error()))
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
) -> wasmtime::Result<Result<String, RequestError>> {
    let call = match Call::new(method, path, body) {
        Ok(call) => call,
        Err(error) => return Ok(Err(error)),
    };
    if call.has_effect() {
        view.scope.begin_effect()?;
    }
    let host_call = view.host_call(HostCallKind::OrderBook, call.route.pattern);
    name(&host_call, view.state, chain_id);
    let deadline = view.scope.answer_by();
    Ok(view.state.request(chain_id, &call, deadline).await)
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
    view.scope.begin_effect()?;
    let host_call = view.host_call(HostCallKind::OrderBook, SUBMIT);
    name(&host_call, view.state, chain_id);
    let (module, uid) = (view.meta.name.as_str(), order.uid().to_string());
    let result = order.submit(view.scope.answer_by()).await;
    match &result {
        Ok(_) => tracing::info!(target: "nexum::cow", module, chain = chain_id, uid, "order submitted"),
        Err(error) => {
            tracing::warn!(target: "nexum::cow", module, chain = chain_id, uid, %error, "order not submitted")
        }
    }
    Ok(result.map(|_| uid))
}

/// Names the order book that a call waits for.
fn name(call: &HostCall<'_>, books: &OrderBooks, chain_id: u64) {
    if let Ok(book) = books.book(chain_id) {
        call.endpoint(book.endpoint());
    }
}
