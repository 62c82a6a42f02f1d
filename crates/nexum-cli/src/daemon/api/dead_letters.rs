//! The events that a module failed to handle: `/v1/modules/{name}/dead-letters`.

use axum::Json;
use axum::extract::State;
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
use crate::protocol::DEAD_LETTERS_PER_ANSWER_MAX;
use crate::protocol::dead_letters::Letter;

/// The routes. Requests that read and commands have separate bounds.
pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let looks = OpenApiRouter::new()
        .routes(routes!(dead_letter_list))
        .routes(routes!(dead_letter_show));
    let commands = OpenApiRouter::new()
        .routes(routes!(dead_letter_skip))
        .routes(routes!(dead_letter_retry));
    few(looks).merge(few(commands))
}

errors!(ListErrors: ModuleNotFound, ModuleLoading, StoreUnavailable);
errors!(LetterErrors: ModuleNotFound, ModuleLoading, DeadLetterNotFound, StoreUnavailable);
errors! {
    CommandErrors:
        ModuleNotFound, ModuleLoading, ModuleHasNoEvents, DeadLetterNotFound, EventFailed,
        ModuleElsewhere, ModuleNotRunning, ModuleDead, ModuleRemoved, StoreUnavailable, DaemonStopping,
}

/// The part of a list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Part {
    /// The most dead letters to list, oldest first. Default: 1,000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

impl Part {
    fn limit(&self) -> Result<usize, ApiError> {
        let limit = self.limit.unwrap_or(DEAD_LETTERS_PER_ANSWER_MAX);
        match (1..=DEAD_LETTERS_PER_ANSWER_MAX).contains(&limit) {
            true => Ok(limit),
            false => {
                let error = format!("limit: expected a number from 1 to {DEAD_LETTERS_PER_ANSWER_MAX}");
                Err(ApiError::new(ErrorCode::InvalidRequest, error))
            }
        }
    }
}

/// List the oldest dead letters of a module
///
/// The list has at most 1,000 dead letters, without the log records of their attempts. The module need
/// not be loaded.
#[utoipa::path(
    get, path = "/v1/modules/{name}/dead-letters", tag = "dead letters",
    params(("name" = String, Path, description = "The module"), Part),
    responses((status = 200, body = Vec<Letter>), ListErrors)
)]
async fn dead_letter_list(
    State(api): State<ApiState>,
    PathOf(name): PathOf<String>,
    QueryOf(part): QueryOf<Part>,
) -> Answer<Vec<Letter>> {
    let name = api.known(&name).await?;
    let letters = api.letters(&name, part.limit()?).await?;
    Ok(Json(letters.into_iter().map(Letter::from).collect()))
}

/// Show a dead letter
///
/// The module need not be loaded.
#[utoipa::path(
    get, path = "/v1/modules/{name}/dead-letters/{event}", tag = "dead letters",
    params(
        ("name" = String, Path, description = "The module"),
        ("event" = String, Path, description = "The event id"),
    ),
    responses((status = 200, body = Letter), LetterErrors)
)]
async fn dead_letter_show(
    State(api): State<ApiState>,
    PathOf((name, event)): PathOf<(String, String)>,
) -> Answer<Letter> {
    let name = api.known(&name).await?;
    Ok(Json(api.letter(&name, &event).await?.into()))
}

/// Retry a dead letter
///
/// A successful retry removes the dead letter.
#[utoipa::path(
    post, path = "/v1/modules/{name}/dead-letters/{event}/retry", tag = "dead letters",
    params(
        ("name" = String, Path, description = "The module"),
        ("event" = String, Path, description = "The event id"),
    ),
    responses((status = 200, body = ()), CommandErrors)
)]
async fn dead_letter_retry(State(api): State<ApiState>, PathOf((name, event)): PathOf<(String, String)>) -> Answer<()> {
    let status = api.module(&name)?;
    let letter = api.letter(status.name(), &event).await?;
    Ok(Json(status.retry(letter.id).await?))
}

/// Drop a dead letter
///
/// The module never handles the event.
#[utoipa::path(
    delete, path = "/v1/modules/{name}/dead-letters/{event}", tag = "dead letters",
    params(
        ("name" = String, Path, description = "The module"),
        ("event" = String, Path, description = "The event id"),
    ),
    responses((status = 200, body = ()), CommandErrors)
)]
async fn dead_letter_skip(State(api): State<ApiState>, PathOf((name, event)): PathOf<(String, String)>) -> Answer<()> {
    let status = api.module(&name)?;
    let letter = api.letter(status.name(), &event).await?;
    Ok(Json(status.skip(letter.id).await?))
}
