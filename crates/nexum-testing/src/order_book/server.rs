//! Receives requests, applies faults and sends responses.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::fault::Fault;
use super::reply::Reply;
use super::routes;
use super::state::{ReceivedRequest, Shared};
use crate::listener::HangUp;

/// The size of the pieces of a [`Fault::Huge`].
const PIECE_BYTES: usize = 64 * 1_024;

pub(super) fn router(shared: &Arc<Shared>) -> Router {
    Router::new()
        .fallback(serve)
        .with_state(Arc::clone(shared))
        .layer(DefaultBodyLimit::disable())
}

async fn serve(State(shared): State<Arc<Shared>>, parts: Parts, body: Bytes) -> Response {
    let request = received(&shared, &parts, &body);
    let fault = shared.change(|state| {
        state.request_count += 1;
        if let Some(requests) = &mut state.requests {
            requests.push(request.clone());
        }
        let path = parts.uri.path();
        let path = path.strip_prefix(&state.base_path).unwrap_or(path);
        state.faults.next(&request.method, path)
    });
    match fault {
        None => routes::answer(&shared, &request).await.into_response(),
        Some(Fault::CutAfterStoring) => {
            routes::answer(&shared, &request).await;
            hang_up()
        }
        Some(fault) => faulty(fault, shared).await,
    }
}

fn received(shared: &Shared, parts: &Parts, body: &Bytes) -> ReceivedRequest {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = parts.headers.iter();
    ReceivedRequest {
        at: shared.elapsed(),
        method: parts.method.to_string(),
        path: parts.uri.to_string(),
        headers: headers
            .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
            .collect(),
        body: text(body),
    }
}

async fn faulty(fault: Fault, shared: Arc<Shared>) -> Response {
    match fault {
        Fault::TooManyRequests { retry_after } => {
            let mut response = Reply::text(429, "too many requests").into_response();
            if let Some(seconds) = retry_after {
                response
                    .headers_mut()
                    .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            response
        }
        Fault::Status(status) => StatusCode::from_u16(status)
            .expect("an http status code")
            .into_response(),
        Fault::Hang => std::future::pending().await,
        Fault::PlainText(status, text) => Reply::text(status, &text).into_response(),
        Fault::Error {
            status,
            error_type,
            description,
        } => Reply::error(status, &error_type, &description).into_response(),
        Fault::Huge { bytes } => huge(bytes, shared),
        Fault::Cut | Fault::CutAfterStoring => hang_up(),
    }
}

fn hang_up() -> Response {
    let mut response = Response::default();
    response.extensions_mut().insert(HangUp);
    response
}

/// A body that is created while the client reads it, so that the order book can count the bytes
/// read.
fn huge(bytes: u64, shared: Arc<Shared>) -> Response {
    let pieces = futures_util::stream::unfold((bytes, shared), |(left, shared)| async move {
        let piece = usize::try_from(left).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
        if piece == 0 {
            return None;
        }
        shared.change(|state| state.huge_bytes_sent += piece as u64);
        let next = (left - piece as u64, shared);
        Some((Ok::<_, Infallible>(Bytes::from(vec![b' '; piece])), next))
    });
    Body::from_stream(pieces).into_response()
}
