//! Server-sent events: a sequence of numbered messages as a response that lasts.
//!
//! The source is a bounded buffer whose messages have increasing numbers, as a [`Stream`] of [`Item`]s
//! after the number that [`LastEventId`] has. The source must not wait for a reader: a reader that is too
//! slow finds a gap. The response has these parts (<https://html.spec.whatwg.org/multipage/server-sent-events.html>):
//!
//! - a message: `id`, `event` if it has a name, and `data`, which is JSON in one line;
//! - the event `gap`, with `{"lost": 12}`: messages that are no longer kept. `null` is an unknown number;
//! - the event `end`, with `{"reason": ".."}`, before nexum stops;
//! - a comment every [`KEEP_ALIVE`], so that a client and a proxy see that the connection lives.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use futures_util::stream::{self, Stream};
use serde_json::json;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::error::ApiError;
use crate::error_code::ErrorCode;

/// The interval of the comments: shorter than the shortest idle time of common proxies, 30 seconds.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The header with which a client continues a stream.
const LAST_EVENT_ID: &str = "last-event-id";

/// The media type of a stream.
pub(crate) const EVENT_STREAM: &str = "text/event-stream";

/// A part of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// A message. The next one has a higher number.
    Message {
        id: u64,
        /// The name of the event, a constant word. `None` is the name `message`.
        event: Option<&'static str>,
        /// The message as JSON in one line, as `serde_json::to_string` writes it.
        data: String,
    },
    /// Messages are lost between the last one and the next one.
    Gap {
        /// The number of lost messages, if it is known.
        lost: Option<u64>,
    },
}

/// The number of the last message that a client of an interrupted stream has: an argument of a
/// handler. `None` without the header `Last-Event-ID`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LastEventId(pub(crate) Option<u64>);

impl<S: Send + Sync> FromRequestParts<S> for LastEventId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let Some(value) = parts.headers.get(LAST_EVENT_ID) else {
            return Ok(Self(None));
        };
        let id = value.to_str().ok().and_then(|id| id.parse().ok());
        let id: u64 = id.ok_or_else(|| {
            ApiError::new(
                ErrorCode::InvalidRequest,
                "Last-Event-ID: expected the id of a message, a number",
            )
        })?;
        Ok(Self(Some(id)))
    }
}

/// The response that sends these items, and ends with `stop`.
pub(crate) fn respond(items: impl Stream<Item = Item> + Send + 'static, stop: CancellationToken) -> Response {
    respond_every(KEEP_ALIVE, items, stop)
}

/// As [`respond`], with this interval of the comments.
fn respond_every(
    keep_alive: Duration,
    items: impl Stream<Item = Item> + Send + 'static,
    stop: CancellationToken,
) -> Response {
    let state = Some((Box::pin(items), stop));
    let parts = stream::unfold(
        state,
        move |state: Option<(Pin<Box<_>>, CancellationToken)>| async move {
            let (mut items, stop) = state?;
            let next = tokio::select! {
                biased;
                () = stop.cancelled() => return Some((end("nexum is stopping"), None)),
                next = timeout(keep_alive, items.next()) => next,
            };
            match next {
                Ok(Some(item)) => Some((text(&item), Some((items, stop)))),
                Ok(None) => None,
                Err(_) => Some((": alive\n\n".to_owned(), Some((items, stop)))),
            }
        },
    );
    let body = Body::from_stream(parts.map(|part| Ok::<_, Infallible>(Bytes::from(part))));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, body).into_response()
}

/// An item as the stream has it.
fn text(item: &Item) -> String {
    match item {
        Item::Message { id, event, data } => {
            let event = event.map_or_else(String::new, |event| format!("event: {event}\n"));
            format!("id: {id}\n{event}{}\n", lines(data))
        }
        Item::Gap { lost } => format!("event: gap\n{}\n", lines(&json!({ "lost": lost }).to_string())),
    }
}

fn end(reason: &str) -> String {
    format!("event: end\n{}\n", lines(&json!({ "reason": reason }).to_string()))
}

/// The data of an event. A line break in it would otherwise begin another field.
fn lines(data: &str) -> String {
    let lines = data.split(['\n', '\r']);
    lines.map(|line| format!("data: {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use http_body_util::BodyExt as _;

    use super::*;

    fn message(id: u64, event: Option<&'static str>, data: &str) -> Item {
        Item::Message {
            id,
            event,
            data: data.to_owned(),
        }
    }

    /// The next part of a response.
    async fn part(body: &mut Body) -> Option<String> {
        let frame = body.frame().await?.expect("no error");
        let bytes = frame.into_data().expect("data");
        Some(String::from_utf8(bytes.to_vec()).expect("text"))
    }

    #[tokio::test]
    async fn a_stream_has_messages_gaps_and_an_end() {
        let items = [
            message(7, None, r#"{"a":1}"#),
            Item::Gap { lost: Some(12) },
            message(20, Some("record"), "one\ntwo\r\nid: 1"),
            Item::Gap { lost: None },
        ];
        let response = respond(stream::iter(items), CancellationToken::new());
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let whole = response.into_body().collect().await.expect("a body").to_bytes();
        assert_eq!(
            String::from_utf8_lossy(&whole),
            "id: 7\ndata: {\"a\":1}\n\n\
             event: gap\ndata: {\"lost\":12}\n\n\
             id: 20\nevent: record\ndata: one\ndata: two\ndata: \ndata: id: 1\n\n\
             event: gap\ndata: {\"lost\":null}\n\n"
        );
    }

    #[tokio::test]
    async fn a_quiet_stream_shows_that_it_lives_and_ends_when_nexum_stops() {
        let stop = CancellationToken::new();
        let mut body = respond_every(Duration::from_millis(1), stream::pending(), stop.clone()).into_body();
        for _ in 0..3 {
            assert_eq!(part(&mut body).await.as_deref(), Some(": alive\n\n"));
        }
        stop.cancel();
        // A comment may be due at this moment too, and the stop comes first.
        let end = "event: end\ndata: {\"reason\":\"nexum is stopping\"}\n\n";
        assert_eq!(part(&mut body).await.as_deref(), Some(end));
        assert_eq!(part(&mut body).await, None);
    }

    #[tokio::test]
    async fn a_client_continues_after_the_last_message_that_it_has() {
        for (header, expected) in [
            (None, Some(None)),
            (Some("12"), Some(Some(12))),
            (Some("18446744073709551616"), None),
            (Some("x"), None),
            (Some(""), None),
        ] {
            let mut request = Request::builder();
            if let Some(header) = header {
                request = request.header(LAST_EVENT_ID, header);
            }
            let (mut parts, ()) = request.body(()).expect("a request").into_parts();
            let id = LastEventId::from_request_parts(&mut parts, &()).await;
            assert_eq!(id.ok().map(|LastEventId(id)| id), expected, "{header:?}");
        }
    }
}
