//! The WIT implementation.

use nexum_config::limits::Limit;
use nexum_core::bindings::nexum::host::types::{HostError, HostErrorKind};
use nexum_core::capability::{Asked, HostCallKind, View};

use crate::bindings::nexum::host::http;
use crate::effect::{KIND, content};
use crate::error::FetchError;
use crate::hop::Answer;
use crate::metrics::known;
use crate::request::Request;
use crate::state::HttpState;

impl http::Host for View<'_, HttpState> {
    async fn fetch(&mut self, req: http::Request) -> wasmtime::Result<Result<http::Response, HostError>> {
        self.scope.spend(Limit::HttpFetches, 1)?;
        let answer = match Request::try_from(req) {
            Ok(request) => fetch(self, request).await?,
            Err(error) => Err(error.to_host_error()),
        };
        let bytes = answer.as_ref().map_or(0, Answer::bytes);
        self.scope.spend(Limit::ResponseBytes, bytes)?;
        Ok(answer.map(http::Response::from))
    }
}

async fn fetch(view: &mut View<'_, HttpState>, request: Request) -> wasmtime::Result<Result<Answer, HostError>> {
    if request.has_effect() {
        let answer = send(view, request).await?;
        return Ok(answer.map_err(|error| error.to_host_error()));
    }
    let place = match view.ask(KIND, &[&content(&request)])? {
        Asked::Earlier(answer) => return Ok(answer),
        Asked::Now(place) => place,
    };
    let answer = send(view, request).await?;
    let answer = answer.map_err(|error| error.to_host_error());
    place.answered_with(&answer, || answer.as_ref().ok()?.without_secrets().map(Ok));
    Ok(answer)
}

async fn send(view: &mut View<'_, HttpState>, request: Request) -> wasmtime::Result<Result<Answer, FetchError>> {
    let journal = request.has_effect().then(|| view.effect()).transpose()?;
    let call = view.host_call(HostCallKind::Http, known(&request.method));
    call.endpoint(&request.to.to_string());
    if journal.is_none()
        && let Err(reason) = view.read_today(HostCallKind::Http, &request.to.to_string())
    {
        return Ok(Err(FetchError::withheld(reason)));
    }
    let fetcher = &view.state.fetcher;
    let time = fetcher.time(request.timeout, view.scope.answer_by());
    let answer = fetcher.fetch_once(request, time, journal.clone()).await?;
    if let (Some(journal), Err(error)) = (&journal, &answer) {
        journal.told(|| Err(error.to_host_error()));
    }
    call.ends(received(&answer));
    Ok(answer)
}

/// The length of an answer's body, or the kind of its error for the guest.
pub(crate) fn received(answer: &Result<Answer, FetchError>) -> Result<usize, HostErrorKind> {
    let length = answer.as_ref().map(|answer| answer.body.len());
    length.map_err(|error| error.to_host_error().kind)
}

impl TryFrom<http::Request> for Request {
    type Error = FetchError;

    fn try_from(req: http::Request) -> Result<Self, FetchError> {
        let headers = req.headers.into_iter().map(|header| (header.name, header.value));
        let mut request = Self::new(&req.method, &req.url)?.with_headers(headers.collect())?;
        if let Some(body) = req.body {
            request = request.with_body(body)?;
        }
        if let Some(timeout_ms) = req.timeout_ms {
            request = request.with_timeout_ms(timeout_ms)?;
        }
        Ok(request)
    }
}

impl From<Answer> for http::Response {
    fn from(answer: Answer) -> Self {
        let headers = answer
            .headers
            .into_iter()
            .map(|(name, value)| http::Header { name, value });
        Self {
            status: answer.status,
            headers: headers.collect(),
            body: answer.body,
        }
    }
}
