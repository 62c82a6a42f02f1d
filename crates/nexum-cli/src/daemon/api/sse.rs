//! Server-sent events: streams that a reader can resume.
//!
//! Each message has an id. A reader that reconnects sends the last one in the header `Last-Event-ID`.
//! If messages are lost, the reader gets an event `gap` before the next message, never silence. The last
//! event of a stream is `end`, when nexum stops.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::{self, Stream, StreamExt as _};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::error::ApiError;
use crate::error_code::ErrorCode;
use crate::protocol::logs::Gap;
use crate::protocol::{END, GAP};

/// The most readers of streams at a time: a few terminals and log collectors. A reader can stay for
/// days, so nexum refuses further ones instead of making them wait.
const READERS_MAX: usize = 32;

/// The interval of comments in a stream without messages: short enough for the usual timeout of a
/// proxy, a minute.
const COMMENT_EVERY: Duration = Duration::from_secs(15);

/// The longest wait for readers to get the end of their streams when nexum stops: a reader that takes its
/// messages needs milliseconds.
const END_TIME_MAX: Duration = Duration::from_secs(1);

/// The header with the id of the last message that a reader has.
const LAST_EVENT_ID: &str = "last-event-id";

/// The bound on readers of streams, and the end of their streams. A clone shares it.
#[derive(Clone)]
pub(crate) struct Readers {
    places: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Readers {
    /// No readers. Every stream ends when `stop` is cancelled.
    pub(crate) fn new(stop: &CancellationToken) -> Self {
        let places = Arc::new(Semaphore::new(READERS_MAX));
        let stop = stop.child_token();
        Self { places, stop }
    }

    /// Ends the streams, and waits until their last events are sent, or until the readers are too slow. The
    /// caller serves their connections meanwhile.
    pub(crate) async fn end(&self) {
        self.stop.cancel();
        let all = u32::try_from(READERS_MAX).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        let _ = tokio::time::timeout(END_TIME_MAX, self.places.acquire_many(all)).await;
    }

    /// Admits a reader until the value is dropped.
    ///
    /// # Errors
    ///
    /// If there are too many.
    fn admit(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            let error = format!("{READERS_MAX} readers follow logs or events already");
            ApiError::new(ErrorCode::TooManyReaders, error)
        })
    }
}

/// A message of a stream.
pub(super) enum Message<T> {
    /// A value with its id.
    Value(u64, T),
    /// Values are lost. The id is the one of the last value before the next one.
    Gap(u64, Gap),
}

/// Whether a client wants a stream.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter();
    let mut accepted = accepted.filter_map(|value| value.to_str().ok());
    accepted.any(|value| value.contains("text/event-stream"))
}

/// The id of the last message that a client has.
///
/// # Errors
///
/// If the header has another form.
pub(super) fn last_id(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get(LAST_EVENT_ID) else {
        return Ok(None);
    };
    let id = value.to_str().ok().and_then(|text| text.parse().ok());
    let error = || ApiError::new(ErrorCode::InvalidRequest, "Last-Event-ID: expected the id of a message");
    id.map(Some).ok_or_else(error)
}

/// A response that sends messages as they arrive, until the client leaves or nexum stops.
///
/// # Errors
///
/// If there are too many readers.
pub(super) fn respond<T: Serialize + 'static>(
    readers: &Readers,
    messages: impl Stream<Item = Message<T>> + Send + 'static,
) -> Result<Response, ApiError> {
    let place = readers.admit()?;
    let events = messages.map(|message| Ok::<_, Infallible>(event(message)));
    let keep_alive = KeepAlive::new().interval(COMMENT_EVERY);
    // A comment at once, so that a client has the response before the first message.
    let opened = stream::once(async { Ok(Event::default().comment("nexum")) });
    let events = events.take_until(readers.stop.clone().cancelled_owned());
    let end = stream::once(async { Ok(Event::default().event(END).data("{\"reason\":\"nexum is stopping\"}")) });
    let events = opened.chain(events).chain(end).inspect(move |_| {
        // Held until the connection has the last event.
        let _ = &place;
    });
    Ok(Sse::new(events).keep_alive(keep_alive).into_response())
}

fn event<T: Serialize>(message: Message<T>) -> Event {
    let (id, event) = match message {
        Message::Value(id, value) => (id, Event::default().json_data(value)),
        Message::Gap(id, gap) => (id, Event::default().event(GAP).json_data(gap)),
    };
    // Our messages are JSON without other values than text, numbers and truth values.
    event.unwrap_or_default().id(id.to_string())
}
