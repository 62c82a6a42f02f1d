//! The health of the daemon: `/v1/health`.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::QueryOf;
use super::few::few;
use super::shared::ApiState;
use crate::configure::HealthBounds;
use crate::protocol::health::Health;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    few(OpenApiRouter::new().routes(routes!(health)))
}

/// The bounds of a healthy daemon.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct HealthQuery {
    /// The most blocks that a module may have still to handle. Without it, any number is healthy.
    behind: Option<u64>,
    /// The greatest age of the head of a chain, in milliseconds. Without it, any age is healthy.
    head_age_ms: Option<u64>,
}

/// Show the problems of modules and chains
#[utoipa::path(
    get, path = "/v1/health", tag = "about", params(HealthQuery),
    responses((status = 200, body = Health))
)]
async fn health(State(api): State<ApiState>, QueryOf(query): QueryOf<HealthQuery>) -> Json<Health> {
    let bounds = HealthBounds {
        behind: query.behind,
        head_age: query.head_age_ms.map(Duration::from_millis),
    };
    Json(api.health_check().look(bounds))
}
