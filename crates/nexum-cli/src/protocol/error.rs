//! The body of each response that is an error.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{RefOr, schema};
use utoipa::{PartialSchema, ToSchema};

use super::query::Returned;
use crate::error_code::{About, ErrorCode};
use crate::report::{Refusal, Refusals};

/// An error, with the code for programs and the next step for people.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Error)]
pub(crate) struct ErrorBody {
    #[schema(value_type = ErrorCode)]
    pub(crate) code: Cow<'static, str>,
    /// The error in a sentence, with the names and numbers that belong to it.
    pub(crate) error: String,
    /// The next step. It ends with a command of the command line.
    pub(crate) hint: String,
    /// The single errors, if there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) details: Vec<Detail>,
    /// The error that the module returned, for the code `module-returned-error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) host_error: Option<Returned>,
}

/// One of several errors.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ErrorDetail)]
pub(crate) struct Detail {
    #[schema(value_type = ErrorCode)]
    pub(crate) code: Cow<'static, str>,
    /// The error in a sentence, with the names and numbers that belong to it.
    pub(crate) error: String,
    /// The next step. It ends with a command of the command line.
    pub(crate) hint: String,
}

impl ErrorBody {
    /// Replaces a word such as `MODULE` in the commands of the hints by the name that it stands for.
    pub(crate) fn name(&mut self, word: &str, name: &str) {
        let hints = self.details.iter_mut().map(|detail| &mut detail.hint);
        for hint in hints.chain([&mut self.hint]) {
            *hint = hint.replace(word, name);
        }
    }

    /// The body for these errors. `code` is for those without a code of their own.
    pub(crate) fn new(code: ErrorCode, refusals: Refusals) -> Self {
        let mut details: Vec<_> = refusals.into_iter().map(|refusal| Detail::new(code, refusal)).collect();
        let count = details.len();
        let summary = match details.first() {
            Some(first) if count > 1 => Refusal::new(format!("{count} errors, the first: {}", first.error)),
            _ => Refusal::new(code.about().meaning.trim_end_matches('.')),
        };
        let only = match count {
            1 => details.pop(),
            _ => None,
        };
        let Detail { code, error, hint } = only.unwrap_or_else(|| Detail::new(code, summary));
        Self {
            code,
            error,
            hint,
            details,
            host_error: None,
        }
    }
}

impl Detail {
    fn new(code: ErrorCode, refusal: Refusal) -> Self {
        let Refusal { code: own, error, hint } = refusal;
        let about = own.as_deref().and_then(ErrorCode::of).unwrap_or(code).about();
        Self {
            code: own.unwrap_or(Cow::Borrowed(code.word())),
            error,
            hint: next_step(hint, &about),
        }
    }
}

/// The hint of an error, or the remedy of its code. A hint without a command gets the command of
/// the remedy.
fn next_step(hint: Option<String>, about: &About) -> String {
    match hint {
        Some(hint) if hint.contains("`nexum ") => hint,
        Some(hint) => format!("{hint}; then `{}`", about.command()),
        // A hint follows a colon.
        None => about.remedy[..1].to_lowercase() + &about.remedy[1..],
    }
}

impl From<ErrorBody> for Refusals {
    fn from(body: ErrorBody) -> Self {
        let ErrorBody {
            code,
            error,
            hint,
            details,
            host_error: _,
        } = body;
        let all = match details.is_empty() {
            true => vec![Detail { code, error, hint }],
            false => details,
        };
        all.into_iter().map(Refusal::from).collect()
    }
}

impl From<Detail> for Refusal {
    fn from(detail: Detail) -> Self {
        let Detail { code, error, hint } = detail;
        Self {
            code: Some(code),
            error,
            hint: Some(hint),
        }
    }
}

impl PartialSchema for ErrorCode {
    fn schema() -> RefOr<Schema> {
        let mut description =
            "The stable code of an error. Codes may be added, and none changes its meaning.\n".to_owned();
        for code in Self::ALL {
            let About {
                word, status, meaning, ..
            } = code.about();
            // Writing to a string cannot fail.
            let _ = write!(description, "\n- `{word}` ({status}): {meaning}");
        }
        let words = Self::ALL.iter().map(|code| code.word());
        ObjectBuilder::new()
            .schema_type(schema::SchemaType::Type(Type::String))
            .description(Some(description))
            .enum_values(Some(words))
            .build()
            .into()
    }
}

impl ToSchema for ErrorCode {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_has_a_code_and_a_hint_with_a_command() {
        let own = Refusal::new("b").with_hint("write c").with_code(ErrorCode::KeyNotFound);
        let several: Refusals = [Refusal::new("a"), own].into_iter().collect();
        let body = ErrorBody::new(ErrorCode::ModuleRefused, several);
        let json = serde_json::to_value(&body).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "code": "module-refused",
                "error": "2 errors, the first: a",
                "hint": "correct the files, and check them with `nexum check FILE`",
                "details": [
                    {"code": "module-refused", "error": "a", "hint": "correct the files, and check them with `nexum check FILE`"},
                    {"code": "key-not-found", "error": "b", "hint": "write c; then `nexum state scan MODULE`"},
                ],
            })
        );
        let refusals: Vec<_> = Refusals::from(body)
            .into_iter()
            .map(|refusal| refusal.to_string())
            .collect();
        assert_eq!(
            refusals,
            [
                "a (correct the files, and check them with `nexum check FILE`)",
                "b (write c; then `nexum state scan MODULE`)"
            ]
        );
        let one = Refusal::new("c").with_hint("`nexum status` shows it");
        let body = ErrorBody::new(ErrorCode::StoreUnavailable, one.into());
        assert_eq!(
            serde_json::to_value(&body).unwrap(),
            serde_json::json!({"code": "store-unavailable", "error": "c", "hint": "`nexum status` shows it"})
        );
    }

    #[test]
    fn a_code_of_a_newer_daemon_is_kept() {
        let body: ErrorBody = serde_json::from_str(r#"{"code": "of-tomorrow", "error": "e", "hint": "h"}"#).unwrap();
        let refusals: Vec<_> = Refusals::from(body).into_iter().map(|refusal| refusal.code).collect();
        assert_eq!(refusals, [Some("of-tomorrow".into())]);
    }
}
