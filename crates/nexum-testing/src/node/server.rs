//! The node's HTTP server, and the routes to both servers.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State, WebSocketUpgrade};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use super::answer::{Answer, BatchFault};
use super::script::{IncomingRequest, Shared, Transport};
use crate::listener::{HangUp, Listener};

mod ws;

/// The size of the pieces of an [`Answer::Huge`].
const PIECE_BYTES: usize = 64 * 1_024;

/// Serves the node.
pub(super) fn start(listener: TcpListener, shared: &Arc<Shared>) -> Listener {
    let method_router = get(ws)
        .post(http)
        .with_state(Arc::clone(shared))
        .layer(DefaultBodyLimit::disable());
    let router = Router::new().fallback_service(method_router);
    Listener::start(listener, router, shared.hang_ups())
}

async fn ws(State(shared): State<Arc<Shared>>, upgrade: WebSocketUpgrade) -> Response {
    if let Some(status) = shared.with(|state| state.refuses_ws) {
        return StatusCode::from_u16(status)
            .expect("an http status code")
            .into_response();
    }
    upgrade
        .max_message_size(usize::MAX)
        .max_frame_size(usize::MAX)
        .on_upgrade(|socket| ws::serve(socket, shared))
}

async fn http(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let batch_fault = shared.change(|state| {
        state.http_requests += 1;
        state.batch_fault.clone()
    });
    tokio::time::sleep(shared.with(|state| state.delay)).await;
    if let Ok(request) = serde_json::from_slice::<IncomingRequest>(&body) {
        let answer = shared.answer(Transport::Http, &request);
        let status = match &answer {
            Answer::ErrorStatus { status, .. } => StatusCode::from_u16(*status).expect("an http status code"),
            _ => StatusCode::OK,
        };
        return match message(&request, answer) {
            Ok(text) => (status, json(text)).into_response(),
            Err(fault) => faulty(&request, fault, shared).await,
        };
    }
    let Ok(batch) = serde_json::from_slice::<Vec<IncomingRequest>>(&body) else {
        return json(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error"}}"#.to_owned());
    };
    let mut messages = Vec::with_capacity(batch.len());
    for request in &batch {
        let answer = match &batch_fault {
            Some(BatchFault::Whole(answer)) => return whole(&batch[0], answer.clone(), shared).await,
            Some(BatchFault::Each(answer)) => answer.clone(),
            Some(BatchFault::LastMissing) | None => shared.answer(Transport::Http, request),
        };
        match message(request, answer) {
            Ok(text) => messages.push(text),
            Err(fault) => return faulty(request, fault, shared).await,
        }
    }
    if batch_fault == Some(BatchFault::LastMissing) {
        messages.pop();
    }
    json(format!("[{}]", messages.join(",")))
}

/// One answer to a whole batch.
async fn whole(first: &IncomingRequest, answer: Answer, shared: Arc<Shared>) -> Response {
    let status = match &answer {
        Answer::ErrorStatus { status, .. } => StatusCode::from_u16(*status).expect("an http status code"),
        _ => StatusCode::OK,
    };
    let without_id = IncomingRequest {
        id: serde_json::value::RawValue::NULL.to_owned(),
        method: first.method.clone(),
        params: first.params.clone(),
    };
    match message(&without_id, answer) {
        Ok(text) => (status, json(text)).into_response(),
        Err(fault) => faulty(first, fault, shared).await,
    }
}

/// Renders a successful answer; returns a faulty one as the error.
fn message(request: &IncomingRequest, answer: Answer) -> Result<String, Answer> {
    let id = request.id.get();
    let text = match answer {
        Answer::Result(value) => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{value}}}"#),
        Answer::Json(text) => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{text}}}"#),
        Answer::Error { code, message, data } => {
            let mut error = serde_json::json!({ "code": code, "message": message });
            if let Some(data) = data {
                error["data"] = data;
            }
            format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#)
        }
        Answer::ErrorStatus { code, message, .. } => {
            let error = serde_json::json!({ "code": code, "message": message });
            format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#)
        }
        fault => return Err(fault),
    };
    Ok(text)
}

/// The first half of an answer to `request`.
fn half(request: &IncomingRequest) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{},"result":"0x"#, request.id.get())
}

fn json(body: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn faulty(request: &IncomingRequest, fault: Answer, shared: Arc<Shared>) -> Response {
    match fault {
        Answer::Hang => std::future::pending().await,
        Answer::Status {
            status,
            retry_after,
            body,
        } => {
            let status = StatusCode::from_u16(status).expect("an http status code");
            let mut response = (status, body).into_response();
            if let Some(seconds) = retry_after {
                response
                    .headers_mut()
                    .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            response
        }
        Answer::Text(text) => json(text),
        Answer::Truncated => json(half(request)),
        Answer::Huge { bytes } => huge(request, bytes, shared),
        // Successful answers and `Default` never reach this arm.
        _ => {
            let mut response = Response::default();
            response.extensions_mut().insert(HangUp);
            response
        }
    }
}

/// A body that is created while the client reads it, so that the node can count the bytes read.
fn huge(request: &IncomingRequest, bytes: u64, shared: Arc<Shared>) -> Response {
    let pieces = futures_util::stream::unfold((bytes, shared), |(left, shared)| async move {
        let piece = usize::try_from(left).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
        if piece == 0 {
            return None;
        }
        shared.change(|state| state.huge_bytes_sent += piece as u64);
        Some((Bytes::from(vec![b'a'; piece]), (left - piece as u64, shared)))
    });
    let head = Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":{},"result":""#, request.id.get()));
    let tail = Bytes::from_static(br#""}"#);
    let once = |bytes: Bytes| futures_util::stream::once(async move { bytes });
    let body = futures_util::StreamExt::chain(futures_util::StreamExt::chain(once(head), pieces), once(tail));
    Body::from_stream(futures_util::StreamExt::map(body, Ok::<_, Infallible>)).into_response()
}
