//! The chains of the daemon: `/v1/chains`.

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::few::few;
use super::shared::ApiState;
use crate::protocol::chains::Chain;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    few(OpenApiRouter::new().routes(routes!(chain_list)))
}

/// List the chains and their endpoints
#[utoipa::path(get, path = "/v1/chains", tag = "chains", responses((status = 200, body = Vec<Chain>)))]
async fn chain_list(State(api): State<ApiState>) -> Json<Vec<Chain>> {
    Json(api.host.chain_reports().into_iter().map(Chain::from).collect())
}
