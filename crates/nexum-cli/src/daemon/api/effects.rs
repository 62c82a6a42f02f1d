//! The effects of modules: `/v1/effects` and `/v1/modules/{name}/effects`.

use axum::Json;
use axum::extract::State;
use nexum_core::store::{self, StateStore};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Answer;
use super::error::ApiError;
use super::extract::{JsonOf, PathOf, QueryOf};
use super::few::few;
use super::openapi::errors;
use super::shared::ApiState;
use crate::error_code::ErrorCode;
use crate::protocol::effects::{EFFECTS_PER_ANSWER_MAX, EffectFilter, EffectRecord, Resolve, Resolved};
use crate::state::effects;

/// The routes. Requests that read and commands have separate bounds.
pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let looks = OpenApiRouter::new()
        .routes(routes!(effect_list))
        .routes(routes!(effect_show));
    let commands = OpenApiRouter::new().routes(routes!(effect_resolve));
    few(looks).merge(few(commands))
}

errors!(ListErrors: ModuleNotFound, ModuleLoading, StoreUnavailable);
errors!(EffectErrors: ModuleNotFound, ModuleLoading, EffectNotFound, StoreUnavailable);
errors! {
    ResolveErrors:
        ModuleNotFound, ModuleLoading, ModuleHasNoEvents, EffectNotFound, ModuleElsewhere,
        ModuleRemoved, StoreUnavailable, DaemonStopping,
}

/// The part of a list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Part {
    /// Only the effects of this module. Default: of all modules in the store.
    module: Option<String>,
    /// Only these effects.
    #[param(inline)]
    state: Option<EffectFilter>,
    /// The most effects to list, the newest ones. Default: 1,000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// List the newest effects of modules
///
/// The list has at most 1,000 effects, oldest first, without requests and answers. A module need not be
/// loaded.
#[utoipa::path(
    get, path = "/v1/effects", tag = "effects",
    params(Part),
    responses((status = 200, body = Vec<EffectRecord>), ListErrors)
)]
async fn effect_list(State(api): State<ApiState>, QueryOf(part): QueryOf<Part>) -> Answer<Vec<EffectRecord>> {
    let Part { module, state, limit } = part;
    let limit = limit.unwrap_or(EFFECTS_PER_ANSWER_MAX);
    if !(1..=EFFECTS_PER_ANSWER_MAX).contains(&limit) {
        let error = format!("limit: expected a number from 1 to {EFFECTS_PER_ANSWER_MAX}");
        return Err(ApiError::new(ErrorCode::InvalidRequest, error));
    }
    let module = match module {
        Some(module) => Some(api.known(&module).await?),
        None => None,
    };
    let read = move |store: &dyn StateStore| effects::effects(store, module.as_ref(), state, limit);
    Ok(Json(store::blocking(&api.store, read).await?))
}

/// Show an effect
///
/// The module need not be loaded. If several effects of the event have the number, because a
/// reorganisation has stranded one of them, an effect in doubt is first.
#[utoipa::path(
    get, path = "/v1/modules/{name}/effects/{event}/{number}", tag = "effects",
    params(
        ("name" = String, Path, description = "The module"),
        ("event" = String, Path, description = "The event id"),
        ("number" = u32, Path, description = "The number of the effect"),
    ),
    responses((status = 200, body = EffectRecord), EffectErrors)
)]
async fn effect_show(
    State(api): State<ApiState>,
    PathOf((name, event, number)): PathOf<(String, String, u32)>,
) -> Answer<EffectRecord> {
    let name = api.known(&name).await?;
    let effect = api.effect(&name, &event, number).await?;
    Ok(Json(EffectRecord::whole(&name, &effect)))
}

/// Say what happened to an effect
///
/// nexum then knows the outcome, and sends the request again at the next attempt at its event, or never.
#[utoipa::path(
    post, path = "/v1/modules/{name}/effects/{event}/{number}/resolve", tag = "effects",
    params(
        ("name" = String, Path, description = "The module"),
        ("event" = String, Path, description = "The event id"),
        ("number" = u32, Path, description = "The number of the effect"),
    ),
    request_body = Resolve,
    responses((status = 200, body = Resolved), ResolveErrors)
)]
async fn effect_resolve(
    State(api): State<ApiState>,
    PathOf((name, event, number)): PathOf<(String, String, u32)>,
    JsonOf(resolve): JsonOf<Resolve>,
) -> Answer<Resolved> {
    let resolution = resolve.into_resolution();
    let resolution = resolution.map_err(|error| ApiError::new(ErrorCode::InvalidRequest, error))?;
    let status = api.module(&name)?;
    let name = status.name().clone();
    let effect = api.effect(&name, &event, number).await?;
    status.resolve_effect(effect, resolution).await?;
    let read = move |store: &dyn StateStore| effects::is_dead_letter(store, &name, &event);
    let dead_letter = store::blocking(&api.store, read).await?;
    Ok(Json(Resolved { dead_letter }))
}
