//! The effects of writing requests, which nexum has once.

use http::StatusCode;
use nexum_core::capability::{EffectCall, EffectClass, EffectError, EffectJournal, EffectOutcome, EffectPlan, Sending};
use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::error::FetchError;
use crate::fetch::Fetcher;
use crate::hop::Answer;
use crate::policy::Rule;
use crate::request::Request;
use crate::time::Time;

/// The kind of this capability's effects.
const KIND: &str = "http";

/// The header with which a server can recognise a repeated request.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The status of an answer that the operator has given without content.
const OK: u16 = 200;

/// An answer in the record of an effect.
#[derive(Serialize, Deserialize)]
struct Kept {
    status: u16,
    headers: Vec<(String, String)>,
    #[serde(with = "serde_bytes")]
    body: Vec<u8>,
}

impl Fetcher {
    /// Fetches within this time, and has a writing request once.
    pub(crate) async fn fetch_once(
        &self,
        request: Request,
        time: Time,
        journal: Option<EffectJournal>,
    ) -> Result<Result<Answer, FetchError>, EffectError> {
        let is_permitted = self.policy().permit(self.wanted(), &request.to).is_ok();
        let Some(journal) = journal.filter(|_| is_permitted) else {
            return Ok(self.fetch_within(request, time).await);
        };
        let content = content(&request);
        let target = request.to.to_string();
        let class = self.class(&request);
        let call = EffectCall {
            kind: KIND,
            target: &target,
            request: &content,
            class,
            // A second order of goods is not the first one.
            is_strict: matches!(request.method, Method::POST | Method::PATCH),
        };
        match journal.begin(&call).await? {
            EffectPlan::Answered(kept) => Ok(answer(&kept)),
            EffectPlan::Denied(reason) => Ok(Err(FetchError::Denied {
                rule: Rule::Effect(reason),
                redirected: false,
            })),
            EffectPlan::Send(sending) => {
                let request = with_key(request, &sending);
                let mut last_method = request.method.clone();
                let is_read = |method: &Method| *method == Method::GET;
                let fetched = self.follow(request, time, &mut last_method).await;
                journal.settle(sending, outcome(&fetched, is_read(&last_method)));
                Ok(fetched)
            }
        }
    }

    /// The result of a repetition of a writing request.
    fn class(&self, request: &Request) -> EffectClass {
        let has_key = request.headers.contains_key(&IDEMPOTENCY_KEY);
        match request.method {
            Method::POST | Method::PATCH if has_key || self.policy().is_idempotent(&request.to) => {
                EffectClass::Repeatable
            }
            // RFC 9110, 9.2.2.
            Method::PUT | Method::DELETE => EffectClass::Idempotent,
            _ => EffectClass::Once,
        }
    }
}

/// The bytes that tell a request apart. Other headers than the key may differ between attempts: they may have a
/// time, or a signature over it.
fn content(request: &Request) -> Vec<u8> {
    let key = request.headers.get(&IDEMPOTENCY_KEY).map(HeaderValue::as_bytes);
    let line = format!("{} {}\n", request.method, request.url);
    let body = request.body.as_deref().unwrap_or_default();
    [line.as_bytes(), key.unwrap_or_default(), b"\n", body].concat()
}

/// Adds a key to a `POST` or `PATCH` without one. It stays the same for each repetition.
fn with_key(mut request: Request, sending: &Sending) -> Request {
    if matches!(request.method, Method::POST | Method::PATCH)
        && !request.headers.contains_key(&IDEMPOTENCY_KEY)
        && let Ok(key) = HeaderValue::from_str(&sending.key())
    {
        request.headers.insert(IDEMPOTENCY_KEY, key);
    }
    request
}

/// The outcome of a writing request. If a redirect has turned it into a read, the server has accepted it, and the
/// fetch ends with the outcome of the read.
fn outcome(fetched: &Result<Answer, FetchError>, is_accepted: bool) -> EffectOutcome {
    match fetched {
        Ok(answer) if is_refusal(answer.status) && !is_accepted => EffectOutcome::Refused,
        Ok(answer) if answer.status >= 500 || answer.status == StatusCode::REQUEST_TIMEOUT.as_u16() => {
            EffectOutcome::Unknown(format!("the server answered with status {}", answer.status))
        }
        Ok(answer) => {
            let kept = Kept {
                status: answer.status,
                headers: answer.headers.clone(),
                body: answer.body.clone(),
            };
            match postcard::to_allocvec(&kept) {
                Ok(kept) => EffectOutcome::Done(kept),
                Err(error) => EffectOutcome::Unknown(error.to_string()),
            }
        }
        Err(error) if error.is_unsent() && !is_accepted => EffectOutcome::Refused,
        Err(error) => EffectOutcome::Unknown(error.to_string()),
    }
}

/// Whether a server with this answer has not acted on the request.
fn is_refusal(status: u16) -> bool {
    let refusals = [
        StatusCode::BAD_REQUEST,
        StatusCode::UNAUTHORIZED,
        StatusCode::PAYMENT_REQUIRED,
        StatusCode::FORBIDDEN,
        StatusCode::NOT_FOUND,
        StatusCode::METHOD_NOT_ALLOWED,
        StatusCode::NOT_ACCEPTABLE,
        StatusCode::GONE,
        StatusCode::LENGTH_REQUIRED,
        StatusCode::PRECONDITION_FAILED,
        StatusCode::PAYLOAD_TOO_LARGE,
        StatusCode::URI_TOO_LONG,
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        StatusCode::EXPECTATION_FAILED,
        StatusCode::MISDIRECTED_REQUEST,
        StatusCode::TOO_EARLY,
        StatusCode::UPGRADE_REQUIRED,
        StatusCode::PRECONDITION_REQUIRED,
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS,
    ];
    refusals.iter().any(|refusal| refusal.as_u16() == status)
}

/// The answer in a record. The operator may have given an empty one.
fn answer(kept: &[u8]) -> Result<Answer, FetchError> {
    if kept.is_empty() {
        return Ok(Answer {
            status: OK,
            headers: Vec::new(),
            body: Vec::new(),
        });
    }
    let kept: Kept = postcard::from_bytes(kept).map_err(|_| FetchError::Internal)?;
    Ok(Answer {
        status: kept.status,
        headers: kept.headers,
        body: kept.body,
    })
}
