//! The history of events: `/v1/modules/{name}/history` and `/v1/explain`.

use axum::Json;
use axum::extract::State;
use nexum_ledger::{LedgerError, Reader};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Answer;
use super::error::ApiError;
use super::extract::{PathOf, QueryOf};
use super::few::few;
use super::openapi::errors;
use super::shared::ApiState;
use crate::error_code::ErrorCode;
use crate::explain::absence::Running;
use crate::explain::question::Question;
use crate::explain::{explain, history};
use crate::protocol::explain::{Explanation, History};
use crate::report::Refusal;

/// The most handlings of an answer, and the number without `limit`.
const HANDLINGS_MAX: usize = 500;
const HANDLINGS: usize = 50;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    few(OpenApiRouter::new()
        .routes(routes!(module_history))
        .routes(routes!(event_explain)))
}

errors!(HistoryErrors: ModuleNotFound, ModuleLoading, LedgerUnavailable, StoreUnavailable);
errors!(ExplainErrors: LedgerUnavailable, StoreUnavailable);

/// The part of a history.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Part {
    /// The most events to list, newest first. Default: 50.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// Only events before the one with this `number`.
    before: Option<u64>,
}

/// The question.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Of {
    /// `MODULE@BLOCK`, an event id, or `MODULE` for its last event.
    of: String,
    /// Whether the answer has the values of changed keys, if the ledger has them. Default: false.
    #[serde(default)]
    values: bool,
}

/// List what a module did with its last events
///
/// The module need not be loaded.
#[utoipa::path(
    get, path = "/v1/modules/{name}/history", tag = "events",
    params(("name" = String, Path, description = "The module"), Part),
    responses((status = 200, body = History), HistoryErrors)
)]
async fn module_history(
    State(api): State<ApiState>,
    PathOf(name): PathOf<String>,
    QueryOf(part): QueryOf<Part>,
) -> Answer<History> {
    let name = api.known(&name).await?;
    let limit = part.limit.unwrap_or(HANDLINGS);
    if !(1..=HANDLINGS_MAX).contains(&limit) {
        let error = format!("limit: expected a number from 1 to {HANDLINGS_MAX}");
        return Err(ApiError::new(ErrorCode::InvalidRequest, error));
    }
    let read = move |reader: &Reader| history(reader, name.as_str(), part.before, limit);
    Ok(Json(from_ledger(&api, read).await?))
}

/// Explain what happened to an event, and why
#[utoipa::path(
    get, path = "/v1/explain", tag = "events", params(Of),
    responses((status = 200, body = Explanation), ExplainErrors)
)]
async fn event_explain(State(api): State<ApiState>, QueryOf(Of { of, values }): QueryOf<Of>) -> Answer<Explanation> {
    let question: Question = of
        .parse()
        .map_err(|error| ApiError::of(ErrorCode::InvalidRequest, &error))?;
    let asked = question.clone();
    let explanation = from_ledger(&api, move |reader| explain(reader, &asked, values)).await?;
    let running = Running {
        host: &api.host,
        supervisor: &api.supervisor,
        store: &api.store,
        reader: reader(&api)?,
    };
    Ok(Json(running.explain(&question, explanation).await?))
}

fn reader(api: &ApiState) -> Result<Reader, ApiError> {
    let handle = api.ledger.as_ref().map(nexum_ledger::Handle::reader);
    handle.ok_or_else(|| {
        let refusal = Refusal::new("the daemon keeps no event ledger: `enabled = false` in [ledger]");
        ApiError::refused(ErrorCode::LedgerUnavailable, refusal)
    })
}

/// Reads the ledger, with all entries so far.
async fn from_ledger<T: Send + 'static>(
    api: &ApiState,
    read: impl FnOnce(&Reader) -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, ApiError> {
    let reader = reader(api)?;
    if let Some(ledger) = &api.ledger {
        ledger.flush().await;
    }
    let read = tokio::task::spawn_blocking(move || read(&reader)).await;
    match read {
        Ok(read) => {
            read.map_err(|error| ApiError::refused(ErrorCode::LedgerUnavailable, Refusal::with_hint_of(&error)))
        }
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}
