//! The OpenAPI document of the API.
//!
//! Each handler describes its own request and response. This file adds the errors that every route
//! can return.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

use axum::http::{HeaderValue, Method, header};
use axum::response::{IntoResponse as _, Response as HttpResponse};
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{OpenApi as _, PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ApiError;
use super::few::few;
use super::shared::ApiState;
use crate::error_code::ErrorCode;
use crate::protocol::error::ErrorBody;
use crate::protocol::reason::{REASON_BYTES_MAX, REASON_HEADER};

/// The name of the schema of [`ErrorBody`].
const ERROR_SCHEMA: &str = "Error";

/// The schema of a body with any bytes.
pub(crate) enum Octets {}

impl PartialSchema for Octets {
    fn schema() -> RefOr<Schema> {
        let bytes = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
        let binary = SchemaFormat::KnownFormat(KnownFormat::Binary);
        bytes.format(Some(binary)).build().into()
    }
}

impl ToSchema for Octets {}

/// The name of the security scheme of the TCP port.
const TOKEN: &str = "token";

/// The errors that every route can return.
const COMMON: &[ErrorCode] = &[
    ErrorCode::BodyTimeout,
    ErrorCode::BodyTooLarge,
    ErrorCode::BrowserRefused,
    ErrorCode::InternalError,
    ErrorCode::InvalidRequest,
    ErrorCode::Unauthorized,
    ErrorCode::UnsupportedMediaType,
];

/// Declares a type for `responses(...)` of `#[utoipa::path]`: the errors of some routes, beside those
/// that every route can return.
macro_rules! errors {
    ($name:ident: $($code:ident),+ $(,)?) => {
        enum $name {}

        impl utoipa::IntoResponses for $name {
            fn responses() -> std::collections::BTreeMap<String, utoipa::openapi::RefOr<utoipa::openapi::Response>> {
                $crate::daemon::api::openapi::responses(&[$($crate::error_code::ErrorCode::$code),+])
            }
        }
    };
}

pub(crate) use errors;

/// The document without routes.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "nexum",
        version = "1",
        description = "Controls a running nexum daemon. The API is served on the Unix socket `nexum.sock` in the \
                       state directory, and with `[admin] listen` on a TCP port, where every request needs a token.",
        license(name = "MIT OR Apache-2.0")
    ),
    components(schemas(ErrorBody))
)]
struct Base;

/// The document to which the routes add themselves.
pub(super) fn base() -> OpenApi {
    Base::openapi()
}

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    few(OpenApiRouter::new().routes(routes!(openapi_document)))
}

/// Show this document
#[utoipa::path(
    get, path = "/v1/openapi.json", tag = "about",
    responses((status = 200, description = "The OpenAPI document", body = Object))
)]
async fn openapi_document() -> Result<HttpResponse, ApiError> {
    let text = text().map_err(|error| ApiError::of(ErrorCode::InternalError, &error))?;
    let content_type = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, content_type)], text).into_response())
}

/// The document as text, as `docs/openapi.json` has it.
///
/// # Errors
///
/// If the document is not JSON.
fn text() -> Result<String, serde_json::Error> {
    Ok(super::document().to_pretty_json()? + "\n")
}

/// The ids of the operations.
#[derive(Clone)]
pub(super) struct Operations(Arc<HashMap<(Method, String), Arc<str>>>);

impl Operations {
    pub(super) fn of(document: &OpenApi) -> Self {
        let mut ids = HashMap::new();
        for (path, item) in &document.paths.paths {
            let operations = [
                (Method::GET, &item.get),
                (Method::PUT, &item.put),
                (Method::POST, &item.post),
                (Method::DELETE, &item.delete),
            ];
            for (method, operation) in operations {
                let id = operation
                    .as_ref()
                    .and_then(|operation| operation.operation_id.as_deref());
                ids.extend(id.map(|id| ((method, path.clone()), id.into())));
            }
        }
        Self(Arc::new(ids))
    }

    /// The id of the operation with this path, as the router has it.
    pub(super) fn id(&self, method: &Method, path: &str) -> Arc<str> {
        let id = self.0.get(&(method.clone(), path.to_owned()));
        id.cloned().unwrap_or_else(|| "unknown".into())
    }
}

/// Adds the errors that every route can return, the token, and the header with the reason of a command.
pub(super) fn complete(document: &mut OpenApi) {
    let token = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let components = document.components.get_or_insert_default();
    components.security_schemes.insert(TOKEN.to_owned(), token.into());
    let none = SecurityRequirement::default();
    document.security = Some(vec![none, SecurityRequirement::new(TOKEN, Vec::<String>::new())]);
    for item in document.paths.paths.values_mut() {
        for command in [&mut item.put, &mut item.post, &mut item.delete].into_iter().flatten() {
            let parameters = command.parameters.get_or_insert_default();
            parameters.push(RefOr::T(reason()));
        }
        for operation in operations(item) {
            let documented = &mut operation.responses.responses;
            for (status, mut response) in responses(COMMON) {
                if let (Some(RefOr::T(own)), RefOr::T(common)) = (documented.remove(&status), &mut response) {
                    common.description = format!("{}\n{}", own.description, common.description);
                }
                documented.insert(status, response);
            }
        }
    }
}

/// The header with the reason of a command.
fn reason() -> Parameter {
    let description =
        format!("The reason, for the audit record: UTF-8 text, percent-encoded, of at most {REASON_BYTES_MAX} bytes");
    let text = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
    ParameterBuilder::new()
        .name(REASON_HEADER)
        .parameter_in(ParameterIn::Header)
        .description(Some(description))
        .schema(Some(text))
        .build()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete]
        .into_iter()
        .flatten()
}

/// The responses with these codes, by status. The description lists the codes of each status.
pub(crate) fn responses(codes: &[ErrorCode]) -> BTreeMap<String, RefOr<Response>> {
    let mut descriptions: BTreeMap<u16, String> = BTreeMap::new();
    for code in codes {
        let about = code.about();
        let description = descriptions.entry(about.status).or_default();
        let separator = if description.is_empty() { "" } else { "\n" };
        // Writing to a string cannot fail.
        let _ = write!(description, "{separator}- `{}`: {}", about.word, about.meaning);
    }
    let response = |(status, description): (u16, String)| {
        let content = Content::new(Some(Ref::from_schema_name(ERROR_SCHEMA)));
        let response = ResponseBuilder::new().description(description);
        let response = response.content("application/json", content).build();
        (status.to_string(), RefOr::T(response))
    };
    descriptions.into_iter().map(response).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kept::is_kept;

    #[test]
    fn the_document_is_in_docs() {
        is_kept("openapi.json", &text().unwrap());
    }

    #[test]
    fn each_route_has_a_method_and_documents_its_errors() {
        let mut document = super::super::document();
        let mut ids = Vec::new();
        for (path, item) in &mut document.paths.paths {
            assert!(path.starts_with("/v1/"), "{path}");
            for operation in operations(item) {
                let documented = &operation.responses.responses;
                assert!(
                    documented.contains_key("200") && documented.contains_key("401"),
                    "{path}"
                );
                assert!(operation.summary.is_some(), "{path}");
                ids.extend(operation.operation_id.clone());
            }
        }
        for expected in [
            "module_list",
            "module_load",
            "module_show",
            "module_remove",
            "query_evaluate",
            "state_import",
        ] {
            assert_eq!(
                ids.iter().filter(|id| *id == expected).count(),
                1,
                "{expected}: {ids:?}"
            );
        }
    }
}
