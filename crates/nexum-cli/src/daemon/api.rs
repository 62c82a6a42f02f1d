//! The API of the running daemon, `/v1`: its routes, and the Unix socket that serves them.
//!
//! Each subject has a file with its handlers and a function `routes`. To add a subject, write such a
//! file, and add it to [`routes`]. A handler describes itself with `#[utoipa::path]`, takes its input
//! with the types of [`extract`], and returns an [`Answer`].

mod accounts;
mod acting;
pub(crate) mod audit;
mod chains;
mod config;
mod dead_letters;
mod effects;
pub(crate) mod error;
mod errors;
mod explain;
pub(crate) mod extract;
pub(crate) mod few;
mod health;
mod logs;
mod modules;
pub(crate) mod openapi;
mod port;
pub(crate) mod query;
mod shared;
mod socket;
pub(crate) mod sse;
mod state;

use std::convert::Infallible;
use std::path::Path;

use axum::http::{Method, Uri};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::IntoResponse;
use axum::{Json, Router};
use tokio_util::task::TaskTracker;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use self::error::ApiError;
use self::few::{few, with_whole_body};
use self::openapi::Operations;
use self::query::Answering;
use super::systemd::Service;
use crate::error_code::ErrorCode;

pub(crate) use self::port::AdminPort;
pub(crate) use self::shared::ApiState;

/// The response of a handler: a message as JSON, or an error.
pub(crate) type Answer<T> = Result<Json<T>, ApiError>;

/// Serves the API on its socket and its port, and reports to `service` when the socket listens.
pub(crate) async fn serve(state_dir: &Path, port: AdminPort, api: ApiState, service: &Service) -> Infallible {
    // A process that may open the socket may control the daemon, and so may a client with the token.
    let answering = Answering {
        host: api.host.clone(),
        may_write: true,
    };
    let router = router(answering).with_state(api);
    tokio::select! {
        never = socket::serve(state_dir, router.clone(), service) => never,
        never = port.serve(router) => never,
    }
}

/// All routes.
fn router(answering: Answering) -> Router<ApiState> {
    let whole = routes().layer(from_fn(with_whole_body));
    let routes = whole
        .merge(state::upload_routes())
        .merge(few(query::routes().with_state(answering)));
    let operations = Operations::of(&document());
    let commands = TaskTracker::new();
    with_fallbacks(routes.layer(from_fn_with_state((operations, commands), audit::audit)))
}

/// Gives requests that no route takes an error response.
pub(crate) fn with_fallbacks<S: Clone + Send + Sync + 'static>(routes: OpenApiRouter<S>) -> Router<S> {
    Router::from(routes)
        .layer(from_fn(error::name_subjects))
        .fallback(path_not_found)
        .method_not_allowed_fallback(method_not_allowed)
}

/// The routes whose requests have small bodies.
fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .merge(accounts::routes())
        .merge(chains::routes())
        .merge(health::routes())
        .merge(modules::routes())
        .merge(config::routes())
        .merge(dead_letters::routes())
        .merge(effects::routes())
        .merge(state::routes())
        .merge(logs::routes())
        .merge(explain::routes())
        .merge(errors::routes())
        .merge(openapi::routes())
}

/// The document that describes all routes.
fn document() -> OpenApi {
    let mut document = openapi::base();
    document.merge(routes().into_openapi());
    document.merge(state::upload_routes().into_openapi());
    document.merge(query::routes().into_openapi());
    openapi::complete(&mut document);
    document
}

async fn path_not_found(uri: Uri) -> impl IntoResponse {
    ApiError::new(ErrorCode::PathNotFound, format!("there is no path {}", uri.path()))
}

async fn method_not_allowed(method: Method, uri: Uri) -> impl IntoResponse {
    let error = format!("{} does not accept {method}", uri.path());
    ApiError::new(ErrorCode::MethodNotAllowed, error)
}
