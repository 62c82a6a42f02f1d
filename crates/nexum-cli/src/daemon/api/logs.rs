//! The log and what happens: `/v1/logs`, `/v1/events`, `/v1/log-level`, `/v1/notify`.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use futures_util::stream::{self, Stream};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Answer;
use super::error::ApiError;
use super::extract::{JsonOf, QueryOf, name_of};
use super::few::few;
use super::openapi::errors;
use super::shared::ApiState;
use super::sse::{self, Message};
use crate::configure::{Directives, LEVEL_HINT};
use crate::daemon::feed;
use crate::daemon::levels::Following;
use crate::daemon::records::{Batch, Follower, Loss, Record, Selection};
use crate::error_code::ErrorCode;
use crate::protocol::conditions::NotifyResult;
use crate::protocol::events::EventRecord;
use crate::protocol::logs::{Gap, GapReason, Level, LogLevel, LogRecord, SetLogLevel};
use crate::report::Refusal;

/// The records of an answer without `limit`, and the most.
const LIMIT: usize = 200;
const LIMIT_MAX: usize = 10_000;

/// The most concurrent lists. Others wait. Each list can have a copy of all records in memory.
const LISTS_MAX: usize = 4;

/// A list is sent in parts of this size, in bytes.
const PART_BYTES: usize = 64 * 1_024;

/// The places of lists. A list has its place until its last part is sent.
#[derive(Clone)]
struct Lists(Arc<Semaphore>);

/// The routes. Lists and streams have bounds of their own, see [`Lists`] and [`sse::Readers`].
pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let streams = OpenApiRouter::new()
        .routes(routes!(log_list))
        .routes(routes!(event_list))
        .layer(Extension(Lists(Arc::new(Semaphore::new(LISTS_MAX)))));
    let levels = OpenApiRouter::new().routes(routes!(log_level_show, log_level_set));
    let tests = OpenApiRouter::new().routes(routes!(notify_test));
    streams.merge(few(levels)).merge(few(tests))
}

errors!(ListErrors: ModuleNotFound, TooManyReaders);
errors!(NotifyErrors: NotifyUnconfigured);

/// The records that a client wants.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct LogQuery {
    /// Only the records about this module, also those that it writes itself.
    module: Option<String>,
    /// Only records of this level, and more important ones. Default: `info`.
    level: Option<Level>,
    /// Only the records about the event with this id.
    event: Option<String>,
    /// Only the records since this time, in milliseconds since the Unix epoch.
    since_ms: Option<u64>,
    /// The most records so far, the last ones. Default: 200.
    #[param(minimum = 0, maximum = 10000)]
    limit: Option<usize>,
    /// Whether to send the next records too, as server-sent events, as a client requests with
    /// `Accept: text/event-stream`.
    #[serde(default)]
    follow: bool,
}

/// The events that a client wants.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct EventQuery {
    /// Only the events of this module.
    module: Option<String>,
    /// The most events so far, the last ones. Default: 200.
    #[param(minimum = 0, maximum = 10000)]
    limit: Option<usize>,
    /// Whether to send the next events too, as server-sent events, as a client requests with
    /// `Accept: text/event-stream`.
    #[serde(default)]
    follow: bool,
}

/// List the last log records, or follow the log
///
/// A list has the oldest record first. A stream begins with the list, or after the record of
/// `Last-Event-ID`; the data of a message is a record, and the data of an event `gap` says how many
/// records are lost.
#[utoipa::path(
    get, path = "/v1/logs", tag = "logs", params(LogQuery),
    responses(
        (status = 200, content((Vec<LogRecord> = "application/json"), (LogRecord = "text/event-stream"))),
        ListErrors
    )
)]
async fn log_list(
    State(api): State<ApiState>,
    Extension(lists): Extension<Lists>,
    headers: HeaderMap,
    QueryOf(query): QueryOf<LogQuery>,
) -> Result<Response, ApiError> {
    let level = query.level.unwrap_or(Level::Info);
    let (event, since_ms) = (query.event, query.since_ms.unwrap_or(0));
    let wants = move |record: &Record| {
        level_of(record) <= level
            && record.at_ms >= since_ms
            && event
                .as_deref()
                .is_none_or(|event| record.event.as_deref() == Some(event))
    };
    let request = Reading {
        selection: selection(&api, query.module, wants)?,
        limit: limit(query.limit)?,
        follow: query.follow || sse::is_wanted(&headers),
        last_id: sse::last_id(&headers)?,
    };
    match request.follow {
        true => request.stream(&api, |record| Some(log_record(record)), None),
        false => request.list(&api, lists, |record| Some(log_record(record))).await,
    }
}

/// List what happened to modules and chains, or follow it
///
/// A list has the oldest event first. nexum keeps handled events only while a client follows events.
/// A stream is as the one of the log.
#[utoipa::path(
    get, path = "/v1/events", tag = "logs", params(EventQuery),
    responses(
        (status = 200, content((Vec<EventRecord> = "application/json"), (EventRecord = "text/event-stream"))),
        ListErrors
    )
)]
async fn event_list(
    State(api): State<ApiState>,
    Extension(lists): Extension<Lists>,
    headers: HeaderMap,
    QueryOf(query): QueryOf<EventQuery>,
) -> Result<Response, ApiError> {
    let request = Reading {
        selection: selection(&api, query.module, |record| feed::kind_of(record).is_some())?,
        limit: limit(query.limit)?,
        follow: query.follow || sse::is_wanted(&headers),
        last_id: sse::last_id(&headers)?,
    };
    if !request.follow {
        return request.list(&api, lists, feed::event_of).await;
    }
    let following = api.log_level.follow_events(&api.records);
    request.stream(&api, feed::event_of, Some(following))
}

/// A request for records of the rings.
struct Reading {
    selection: Selection,
    limit: usize,
    follow: bool,
    last_id: Option<u64>,
}

impl Reading {
    /// The records so far, each as `convert` makes it.
    async fn list<T: Serialize>(
        self,
        api: &ApiState,
        Lists(places): Lists,
        convert: fn(&Record) -> Option<T>,
    ) -> Result<Response, ApiError> {
        let place = places.acquire_owned().await;
        let text = {
            let (last, _) = api.records.last(&self.selection, self.limit);
            let records: Vec<_> = last.iter().filter_map(|record| convert(record)).collect();
            serde_json::to_vec(&records).map_err(|error| ApiError::of(ErrorCode::InternalError, &error))?
        };
        let head = [
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (header::CONTENT_LENGTH, text.len().into()),
        ];
        let mut rest = Bytes::from(text);
        let parts = std::iter::from_fn(move || {
            // Held until the last part is sent.
            let _ = &place;
            let part = rest.split_to(rest.len().min(PART_BYTES));
            (!part.is_empty()).then_some(Ok::<_, Infallible>(part))
        });
        Ok((head, Body::from_stream(stream::iter(parts))).into_response())
    }

    /// A stream of the records so far and the next ones, each as `convert` makes it.
    fn stream<T: Serialize + Send + 'static>(
        self,
        api: &ApiState,
        convert: fn(&Record) -> Option<T>,
        following: Option<Following>,
    ) -> Result<Response, ApiError> {
        let Self {
            selection,
            limit,
            last_id,
            ..
        } = self;
        let (last, newest) = match last_id {
            Some(_) => (Vec::new(), 0),
            None => api.records.last(&selection, limit),
        };
        let mut waiting = VecDeque::new();
        if let (Some(following), Some(after)) = (&following, last_id)
            && following.misses(after)
        {
            let why = GapReason::NotKept;
            waiting.push_back(Message::Gap(after, Gap { lost: None, why }));
        }
        waiting.extend(messages(&last, convert));
        let reader = Reader {
            follower: api.records.follow(selection, last_id.unwrap_or(newest)),
            waiting,
            _following: following,
        };
        sse::respond(&api.readers, reader.stream(convert))
    }
}

/// A reader of a stream.
struct Reader<T> {
    follower: Follower,
    waiting: VecDeque<Message<T>>,
    _following: Option<Following>,
}

impl<T: Send + 'static> Reader<T> {
    fn stream(self, convert: fn(&Record) -> Option<T>) -> impl Stream<Item = Message<T>> + Send {
        stream::unfold(self, move |mut reader| async move {
            loop {
                if let Some(message) = reader.waiting.pop_front() {
                    return Some((message, reader));
                }
                let Batch { loss, records } = reader.follower.next().await;
                if let Some(loss) = loss {
                    let position = records.first().map(|record| record.seq.saturating_sub(1));
                    let position = position.unwrap_or_else(|| reader.follower.position());
                    reader.waiting.push_back(Message::Gap(position, gap(loss)));
                }
                reader.waiting.extend(messages(&records, convert));
            }
        })
    }
}

fn messages<T>(records: &[Arc<Record>], convert: fn(&Record) -> Option<T>) -> impl Iterator<Item = Message<T>> {
    let message = move |record: &Arc<Record>| Some(Message::Value(record.seq, convert(record)?));
    records.iter().filter_map(message)
}

fn gap(loss: Loss) -> Gap {
    match loss {
        Loss::Dropped(lost) => Gap {
            lost: Some(lost),
            why: GapReason::Dropped,
        },
        Loss::Restarted => Gap {
            lost: None,
            why: GapReason::Restarted,
        },
    }
}

/// The records of a module, or of all.
///
/// # Errors
///
/// If there is neither such a module nor a record about it.
fn selection(
    api: &ApiState,
    module: Option<String>,
    wants: impl Fn(&Record) -> bool + Send + Sync + 'static,
) -> Result<Selection, ApiError> {
    if let Some(module) = &module {
        let name = name_of(module)?;
        if !api.records.know(module) {
            api.running(&name)?;
        }
    }
    Ok(Selection {
        module: module.map(Arc::from),
        wants: Arc::new(wants),
    })
}

fn limit(wanted: Option<usize>) -> Result<usize, ApiError> {
    let limit = wanted.unwrap_or(LIMIT);
    match limit <= LIMIT_MAX {
        true => Ok(limit),
        false => {
            let error = format!("limit: expected a number from 0 to {LIMIT_MAX}");
            Err(ApiError::new(ErrorCode::InvalidRequest, error))
        }
    }
}

fn level_of(record: &Record) -> Level {
    match record.level {
        tracing::Level::ERROR => Level::Error,
        tracing::Level::WARN => Level::Warn,
        tracing::Level::INFO => Level::Info,
        tracing::Level::DEBUG => Level::Debug,
        tracing::Level::TRACE => Level::Trace,
    }
}

fn log_record(record: &Record) -> LogRecord {
    let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
    let fields = record.fields.iter();
    LogRecord {
        seq: record.seq,
        at_ms: record.at_ms,
        level: level_of(record),
        target: record.target.to_string(),
        module: text(&record.module),
        event: text(&record.event),
        message: record.message.clone(),
        fields: fields
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
    }
}

/// Show the level of the log
#[utoipa::path(get, path = "/v1/log-level", tag = "logs", responses((status = 200, body = LogLevel)))]
async fn log_level_show(State(api): State<ApiState>) -> Json<LogLevel> {
    Json(log_level(&api))
}

/// Set the level of the log
///
/// The level lasts until the daemon restarts or reloads its configuration.
#[utoipa::path(
    put, path = "/v1/log-level", tag = "logs",
    request_body = SetLogLevel,
    responses((status = 200, body = LogLevel))
)]
async fn log_level_set(State(api): State<ApiState>, JsonOf(wanted): JsonOf<SetLogLevel>) -> Answer<LogLevel> {
    let directives = wanted.directives.as_deref().map(Directives::parse).transpose();
    let directives = directives.map_err(|error| {
        let refusal = Refusal::new(format!("directives: {error}")).with_hint(LEVEL_HINT);
        ApiError::refused(ErrorCode::InvalidRequest, refusal)
    })?;
    api.log_level.change(directives);
    Ok(Json(log_level(&api)))
}

fn log_level(api: &ApiState) -> LogLevel {
    let state = api.log_level.state();
    LogLevel {
        directives: state.current().as_str().to_owned(),
        origin: match &state.changed {
            Some(_) => "an operator set the level of the log with a command".to_owned(),
            None => state.configured.origin.clone(),
        },
        configured: state.configured.directives.as_str().to_owned(),
        is_temporary: state.changed.is_some(),
    }
}

/// Send a test message to the receivers of notifications
///
/// The response has the result at each receiver.
#[utoipa::path(
    post, path = "/v1/notify/test", tag = "logs",
    responses((status = 200, body = Vec<NotifyResult>), NotifyErrors)
)]
async fn notify_test(State(api): State<ApiState>) -> Answer<Vec<NotifyResult>> {
    let results = api.notifier.test(api.records.now_ms()).await;
    match results.is_empty() {
        false => Ok(Json(results)),
        true => {
            let error = "the configuration names no receiver of notifications";
            Err(ApiError::new(ErrorCode::NotifyUnconfigured, error))
        }
    }
}
