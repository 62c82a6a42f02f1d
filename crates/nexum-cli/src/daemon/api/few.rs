//! Bounds on requests: their number at a time, and the size and the time of their bodies.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::sync::Semaphore;
use utoipa_axum::router::OpenApiRouter;

use super::error::ApiError;
use crate::error_code::ErrorCode;

/// The most concurrent requests of a kind. Others wait. Each is from an operator.
const REQUESTS_MAX: usize = 8;

/// The largest body of a request, in bytes: it has two paths and a name.
const BODY_BYTES_MAX: usize = 64 * 1_024;

/// The longest time for a body to arrive: enough for it over a slow line.
const BODY_TIME_MAX: Duration = Duration::from_secs(10);

/// Limits these routes to [`REQUESTS_MAX`] concurrent requests. Each kind of work has its own
/// limit, so that `nexum status` answers while the daemon compiles modules and exports state.
pub(crate) fn few<S: Clone + Send + Sync + 'static>(routes: OpenApiRouter<S>) -> OpenApiRouter<S> {
    routes.route_layer(from_fn_with_state(Arc::new(Semaphore::new(REQUESTS_MAX)), one_of_few))
}

async fn one_of_few(State(places): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    // The semaphore is never closed.
    let _place = places.acquire().await;
    next.run(request).await
}

/// Reads the body of a request before the request counts as concurrent: a client that stops sending
/// blocks no other client.
pub(super) async fn with_whole_body(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let read = Limited::new(body, BODY_BYTES_MAX).collect();
    let error = match tokio::time::timeout(BODY_TIME_MAX, read).await {
        Ok(Ok(body)) => return next.run(Request::from_parts(head, body.to_bytes().into())).await,
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let error = format!("the body of the request has more than {BODY_BYTES_MAX} bytes");
            ApiError::new(ErrorCode::BodyTooLarge, error)
        }
        Ok(Err(error)) => ApiError::of(ErrorCode::InvalidRequest, &*error),
        Err(_) => {
            let error = format!("the body of the request did not arrive within {BODY_TIME_MAX:?}");
            ApiError::new(ErrorCode::BodyTimeout, error)
        }
    };
    error.into_response()
}
