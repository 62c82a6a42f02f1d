//! The codes of errors: `/v1/errors`.

use axum::Json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::few::few;
use super::shared::ApiState;
use crate::error_code::{Explained, explained};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    few(OpenApiRouter::new().routes(routes!(error_list)))
}

/// List the codes of errors
#[utoipa::path(get, path = "/v1/errors", tag = "about", responses((status = 200, body = Vec<Explained>)))]
async fn error_list() -> Json<Vec<Explained>> {
    Json(explained())
}
