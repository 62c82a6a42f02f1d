//! `wasi:http/outgoing-handler`: a request that runs while the guest continues.

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http_body_util::{BodyExt as _, Full};
use nexum_config::limits::Limit;
use nexum_core::capability::{Asked, BackgroundCall, EffectJournal, HostCallKind, View};
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::component::Resource;
use wasmtime_wasi::runtime::spawn;
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler;
use wasmtime_wasi_http::p2::bindings::http::types::{
    ErrorCode, FutureIncomingResponse, Method, OutgoingRequest, RequestOptions, Scheme,
};
use wasmtime_wasi_http::p2::body::{HyperIncomingBody, HyperOutgoingBody};
use wasmtime_wasi_http::p2::{HttpError, HttpResult};
use wasmtime_wasi_http::{Error, FieldMap};

use super::Guest;
use crate::effect::content;
use crate::error::{FetchError, RequestPart};
use crate::fetch::Fetcher;
use crate::hop::Answer;
use crate::host::received;
use crate::metrics::known;
use crate::request::{REQUEST_BODY_BYTES_MAX, Request, Waits, body_too_large};
use crate::time::Time;

/// The kind of a read in the transcript of an event.
const READ: &str = "wasi-http";

impl outgoing_handler::Host for Guest<'_> {
    fn handle(
        &mut self,
        request: Resource<OutgoingRequest>,
        options: Option<Resource<RequestOptions>>,
    ) -> HttpResult<Resource<FutureIncomingResponse>> {
        let view = &mut self.0;
        view.scope.spend(Limit::HttpFetches, 1).map_err(HttpError::trap)?;
        let outgoing = view.table.delete(request)?;
        let options = options.map(|options| view.table.delete(options)).transpose()?;
        let request = read(&outgoing, options.unwrap_or_default());
        let request = request.map_err(|error| error.to_error_code())?;
        let announced = announced(&outgoing.headers).map_err(|error| error.to_error_code())?;
        let permits = view.state.permits.clone();
        let permit = permits
            .try_acquire_owned()
            .map_err(|_| ErrorCode::ConnectionLimitReached)?;
        let journal = request.has_effect().then(|| view.effect()).transpose();
        let journal = journal.map_err(HttpError::trap)?;
        // The content of an effect is known when the guest has written its body, and a read has none.
        let asked = match &journal {
            Some(_) => None,
            None => {
                let asked = view.ask::<Answer>(READ, &[&content(&request)]);
                Some(asked.map_err(HttpError::trap)?)
            }
        };
        if let Some(Asked::Now(_)) = &asked {
            let noted = view.read_today(HostCallKind::Http, &request.to.to_string());
            noted.map_err(|reason| FetchError::withheld(reason).to_error_code())?;
        }
        let View {
            state,
            scope,
            table,
            meta,
        } = view;
        let to = request.to.to_string();
        let call = meta
            .activity
            .background_call(HostCallKind::Http, known(&request.method), &to);
        let exchange = Exchange {
            time: state.fetcher.time(None, scope.answer_by()),
            fetcher: state.fetcher.clone(),
            request,
            body: outgoing.body,
            announced,
            permit,
            journal,
            asked,
            call,
        };
        let ended = scope.ended();
        // Dropping the resource aborts the task.
        let task = spawn(async move {
            let exchanged = ended.run_until_cancelled(exchange.perform()).await;
            let response = exchanged.unwrap_or(Err(FetchError::Cancelled.into()))?;
            // The whole body is here, so no task has to read it.
            Ok((response, spawn(async {})))
        });
        Ok(table.push(FutureIncomingResponse::Pending(task))?)
    }
}

/// The guest's request without its body.
fn read(outgoing: &OutgoingRequest, options: RequestOptions) -> Result<Request, FetchError> {
    let method = match &outgoing.method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Connect => "CONNECT",
        Method::Options => "OPTIONS",
        Method::Trace => "TRACE",
        Method::Patch => "PATCH",
        Method::Other(method) => method,
    };
    let scheme = match &outgoing.scheme {
        Some(Scheme::Https) | None => "https",
        Some(Scheme::Http) => "http",
        Some(Scheme::Other(scheme)) => scheme,
    };
    // Without an authority, a parser of URLs would take the first part of the path as the host.
    let Some(authority) = outgoing.authority.as_ref().filter(|authority| !authority.is_empty()) else {
        return Err(FetchError::invalid(RequestPart::Url, "the request has no authority"));
    };
    let path = outgoing.path_with_query.as_deref().unwrap_or_default();
    let headers = outgoing.headers.iter().filter(|(name, _)| **name != CONTENT_LENGTH);
    let headers = headers.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
    // The wait for the first byte includes the connection.
    let connection = options.connect_timeout.unwrap_or_default();
    let waits = Waits {
        first_byte: options.first_byte_timeout.map(|wait| wait.saturating_add(connection)),
        between_bytes: options.between_bytes_timeout,
    };
    let request = Request::new(method, &format!("{scheme}://{authority}{path}"))?;
    Ok(request.with_headers(headers.collect())?.with_waits(waits))
}

/// The length of the body that the guest's headers announce.
fn announced(headers: &FieldMap) -> Result<Option<u64>, FetchError> {
    let Some(value) = headers.get(CONTENT_LENGTH) else {
        return Ok(None);
    };
    let length = value.to_str().ok().and_then(|length| length.parse().ok());
    match length {
        Some(length) => Ok(Some(length)),
        None => Err(FetchError::invalid(
            RequestPart::Header,
            "the value of the header content-length is not valid",
        )),
    }
}

/// A request in flight.
struct Exchange {
    fetcher: Fetcher,
    request: Request,
    body: Option<HyperOutgoingBody>,
    announced: Option<u64>,
    time: Time,
    permit: OwnedSemaphorePermit,
    /// The journal of a request that may change something at the server.
    journal: Option<EffectJournal>,
    /// The answer of an earlier attempt, or its place, for a request that only reads.
    asked: Option<Asked<Answer>>,
    call: BackgroundCall,
}

impl Exchange {
    /// Collects the body that the guest writes, and fetches.
    async fn perform(self) -> Result<http::Response<HyperIncomingBody>, Error> {
        let mut request = self.request;
        let body = match self.body {
            Some(body) => Some(self.time.bound(collect(body)).await??),
            None => None,
        };
        let length = body.as_ref().map_or(0, |body| body.len() as u64);
        if self.announced.is_some_and(|announced| announced != length) {
            return Err(Error::HttpRequestBodySize(Some(length)));
        }
        if let Some(body) = body {
            request = request.with_body(body)?;
        }
        let place = match self.asked {
            Some(Asked::Earlier(answer)) => return Ok(respond(answer, self.permit)?),
            Some(Asked::Now(place)) => Some(place),
            None => None,
        };
        let answer = self.fetcher.fetch_once(request, self.time, self.journal).await;
        // A fault of the journal fails the handler, whatever the guest does with this error.
        let answer = answer.unwrap_or(Err(FetchError::Cancelled));
        self.call.ends(received(&answer));
        let answer = answer?;
        if let Some(place) = place {
            place.answered_with(&answer, || answer.without_secrets());
        }
        Ok(respond(answer, self.permit)?)
    }
}

/// Collects a body up to the bound of a request's body. A guest that writes more gets a closed
/// stream.
async fn collect(mut body: HyperOutgoingBody) -> Result<Vec<u8>, Error> {
    let mut collected = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(part) if collected.len() + part.len() > REQUEST_BODY_BYTES_MAX => {
                return Err(body_too_large().into());
            }
            Ok(part) => collected.extend_from_slice(&part),
            Err(frame) if frame.trailers_ref().is_some_and(|trailers| !trailers.is_empty()) => {
                return Err(Error::HttpRequestTrailerSectionSize(Some(0)));
            }
            Err(_) => {}
        }
    }
    Ok(collected)
}

/// The bytes of a response that count against the event's budget.
#[derive(Clone, Copy)]
pub(super) struct AnswerBytes(pub(super) u64);

/// Holds a permit as long as its bytes are in memory.
struct Unread {
    body: Vec<u8>,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Unread {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

fn respond(answer: Answer, permit: OwnedSemaphorePermit) -> Result<http::Response<HyperIncomingBody>, FetchError> {
    let bytes = AnswerBytes(answer.bytes());
    let mut response = http::Response::builder().status(answer.status).extension(bytes);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    let body = Bytes::from_owner(Unread {
        body: answer.body,
        _permit: permit,
    });
    let body = Full::new(body).map_err(Error::from).boxed_unsync();
    response.body(body).map_err(|_| FetchError::Internal)
}
