//! The configuration of the daemon: `/v1/config`, `/v1/reload`.

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Answer;
use super::error::ApiError;
use super::extract::JsonOf;
use super::few::few;
use super::openapi::errors;
use super::shared::ApiState;
use crate::daemon::audit::By;
use crate::protocol::config::EffectiveConfig;
use crate::protocol::reload::{ReloadReport, ReloadRequest};

/// The routes. A reload waits for compilations, and must not delay those that read.
pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let looks = OpenApiRouter::new().routes(routes!(config_show));
    let changes = OpenApiRouter::new().routes(routes!(config_reload));
    few(looks).merge(few(changes))
}

errors! {
    ReloadErrors:
        ConfigInvalid, RestartRequired, ModuleRefused, ModuleRenamed, ModuleLoading, ModuleExists,
        ModuleNotFound, ModuleDead, ModuleNotRunning, ModuleRemoved, InitFailed, ChainUnknown,
        StoreUnavailable, DaemonStopping,
}

/// Show the running configuration
///
/// Every key with its value and its origin. No value has a secret.
#[utoipa::path(
    get, path = "/v1/config", tag = "configuration",
    responses((status = 200, body = EffectiveConfig))
)]
async fn config_show(State(api): State<ApiState>) -> Json<EffectiveConfig> {
    Json(api.reload.running())
}

/// Reload the configuration
///
/// The daemon reads its configuration again, checks it with all modules, and changes modules, chains, limits
/// and the level of the log, or nothing.
#[utoipa::path(
    post, path = "/v1/reload", tag = "configuration",
    request_body = ReloadRequest,
    responses((status = 200, body = ReloadReport), ReloadErrors)
)]
async fn config_reload(
    State(api): State<ApiState>,
    by: By,
    JsonOf(request): JsonOf<ReloadRequest>,
) -> Answer<ReloadReport> {
    by.changes_state(!request.dry_run);
    let reloaded = api.reload.reload(request.dry_run).await;
    Ok(Json(
        reloaded.map_err(|(code, refusals)| ApiError::refused(code, refusals))?,
    ))
}
