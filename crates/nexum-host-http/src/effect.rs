//! The effects of writing requests, which nexum has once.

use http::StatusCode;
use nexum_core::capability::{EffectCall, EffectClass, EffectError, EffectJournal, EffectOutcome, EffectPlan, Sending};
use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};

use crate::error::FetchError;
use crate::fetch::Fetcher;
use crate::hop::Answer;
use crate::request::Request;
use crate::time::Time;

/// The kind of this capability's effects, and of its reads in the transcript of an event.
pub(crate) const KIND: &str = "http";

/// The header with which a server can recognise a repeated request.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The status of an answer for which the operator has given only a body.
const OK: u16 = 200;

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
            // An empty answer with status 200.
            stand_in: Some(&[]),
            // A second order of goods is not the first one.
            is_strict: matches!(request.method, Method::POST | Method::PATCH),
        };
        match journal.begin(&call).await? {
            EffectPlan::Answered(message) => Ok(Ok(answer(message))),
            EffectPlan::Denied(reason) => Ok(Err(FetchError::withheld(reason))),
            EffectPlan::Failed(error) => Ok(Err(FetchError::Recorded(Box::new(error)))),
            EffectPlan::Send(sending) => {
                let request = with_key(request, &sending);
                let mut last_method = request.method.clone();
                let is_read = |method: &Method| *method == Method::GET;
                let fetched = self.follow(request, time, &mut last_method).await;
                if let Ok(answer) = &fetched {
                    // Also the answer of a server that refuses the request.
                    match answer.without_secrets() {
                        Some(shown) => journal.told_in_part(|| Ok(message(&shown))),
                        None => journal.told(|| Ok(message(answer))),
                    }
                }
                journal.settle(sending, outcome(&fetched, is_read(&last_method)));
                Ok(fetched)
            }
        }
    }

    /// The class of a writing request.
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
pub(crate) fn content(request: &Request) -> Vec<u8> {
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
        Ok(answer) => EffectOutcome::Done(message(answer)),
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

/// An answer in the record of an effect: the text of an HTTP response, with line feeds. An operator can read it.
fn message(answer: &Answer) -> Vec<u8> {
    let header = |(name, value): &(String, String)| format!("{name}: {value}\n");
    let headers: String = answer.headers.iter().map(header).collect();
    let head = format!("HTTP {}\n{headers}\n", answer.status);
    [head.as_bytes(), &answer.body].concat()
}

/// The answer in a record. The operator may have given the output of `curl --include`, or only a body.
fn answer(message: Vec<u8>) -> Answer {
    read(&message).unwrap_or(Answer {
        status: OK,
        headers: Vec::new(),
        body: message,
    })
}

/// Reads the text of an HTTP response, whose lines end with line feeds or with CR LF.
fn read(message: &[u8]) -> Option<Answer> {
    let mut rest = message;
    let mut line = || {
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let (line, after) = rest.split_at(end);
        rest = after.get(1..)?;
        std::str::from_utf8(line.strip_suffix(b"\r").unwrap_or(line)).ok()
    };
    let mut words = line()?.split(' ');
    let is_http = words
        .next()
        .is_some_and(|word| word == "HTTP" || word.starts_with("HTTP/"));
    let status = words.next().filter(|_| is_http)?.parse().ok()?;
    StatusCode::from_u16(status).ok()?;
    let mut headers = Vec::new();
    loop {
        match line()? {
            "" => break,
            header => {
                let (name, value) = header.split_once(':')?;
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
    }
    let body = rest.to_vec();
    Some(Answer { status, headers, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_in_a_record_is_the_server_s() {
        for (headers, body) in [
            (&[][..], &b""[..]),
            (&[("content-type", "text/plain"), ("x-empty", "")], b"a\n\nb\r\n"),
            (&[("set-cookie", "a=b: c"), ("set-cookie", "d")], &[0, 0xff, b'\n']),
        ] {
            let expected = Answer {
                status: 201,
                headers: headers
                    .iter()
                    .map(|(name, value)| (name.to_string(), value.to_string()))
                    .collect(),
                body: body.to_vec(),
            };
            assert_eq!(answer(message(&expected)), expected);
        }
    }

    #[test]
    fn an_operator_gives_a_response_or_only_a_body() {
        let response = answer(b"HTTP/1.1 202 Accepted\r\nContent-Type: text/plain\r\n\r\nlater".to_vec());
        let content_type = ("content-type".to_owned(), "text/plain".to_owned());
        assert_eq!((response.status, response.headers), (202, vec![content_type]));
        assert_eq!(response.body, b"later");
        for body in [
            &b""[..],
            b"{\"id\": 7}",
            b"HTTP is fine\n\n",
            b"HTTP 200",
            b"HTTP 200\nno header\n\n",
            &[0xff],
        ] {
            let answer = answer(body.to_vec());
            assert_eq!((answer.status, &*answer.body), (200, body));
            assert!(answer.headers.is_empty());
        }
    }
}
