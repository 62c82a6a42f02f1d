//! A host with order books: its requests, its rate limit and its retries.

mod http;
mod limit;

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use cowprotocol::HttpRequest;
use nexum_config::backoff::wait;
use nexum_core::source::{Extent, Outage};
use nexum_net::HttpHeaders;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

use self::http::Http;
pub use self::http::RESPONSE_BYTES_MAX;
use self::limit::{RateLimit, Turn};
use crate::error::{RequestError, Retry};
use crate::metrics::RouteMetrics;

/// The most attempts at one request. With the waits between them they take over a minute, longer
/// than most events may take. The bound matters for events with a deadline of an hour.
pub const ATTEMPTS_MAX: u32 = 16;

/// The longest pause that a host can request: a mistake in a header must not stop trading for a
/// day.
pub const PAUSE_MAX: Duration = Duration::from_secs(60);

/// The wait after the first failure: an order book that restarts for an upgrade is back after a few
/// such waits.
const WAIT_MIN: Duration = Duration::from_millis(250);

/// The longest wait between attempts: less than a block of Ethereum, so that nexum notices a
/// recovery within one block.
const WAIT_MAX: Duration = Duration::from_secs(8);

/// The least time for an attempt after a wait. A shorter attempt would mostly time out with an
/// unknown outcome, and the previous failure says more.
const ATTEMPT_TIME_MIN: Duration = Duration::from_millis(500);

/// The state that all modules and chains with an order book on one host share.
pub(crate) struct Origin {
    /// Scheme, host and port.
    name: String,
    http: Http,
    limit: RateLimit,
    /// The refusals by the host's rate limit since its last success.
    refusals: Mutex<Outage>,
    /// The time from which the times of the refusals count.
    begun: Instant,
}

/// The terms of a request.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    /// Whether a repetition is harmless.
    pub(crate) repeatable: bool,
    /// The time after which a response is useless.
    pub(crate) deadline: Instant,
    pub(crate) metrics: RouteMetrics,
}

/// A request without a success.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: RequestError,
    /// Whether the host may have processed an attempt before the last one.
    pub(crate) may_have_arrived: bool,
}

/// The failure of the first attempt.
impl From<RequestError> for Failed {
    fn from(error: RequestError) -> Self {
        Self {
            error,
            may_have_arrived: false,
        }
    }
}

impl From<Failed> for RequestError {
    fn from(failed: Failed) -> Self {
        failed.error
    }
}

impl Origin {
    pub(crate) fn new(name: String, per_second: NonZeroU32, timeout: Duration, use_proxy: bool) -> Self {
        Self {
            name,
            http: Http::new(timeout, use_proxy),
            limit: RateLimit::new(per_second),
            refusals: Mutex::default(),
            begun: Instant::now(),
        }
    }

    /// Scheme, host and port.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Sends a request within the rate limit. Retries after a temporary failure, until a success or
    /// shortly before the deadline. Returns the body of a 2xx response.
    pub(crate) async fn send(
        &self,
        request: &HttpRequest,
        headers: &HttpHeaders,
        terms: &Terms,
    ) -> Result<String, Failed> {
        let mut last = None;
        let mut may_have_arrived = false;
        let failed = |error, may_have_arrived| Failed {
            error,
            may_have_arrived,
        };
        for attempt in 1.. {
            let Some(turn) = self.turn(terms).await else {
                return Err(failed(last.unwrap_or(RequestError::NoTurn), may_have_arrived));
            };
            let began = Instant::now();
            let result = self.http.attempt(request, headers, terms.deadline).await;
            drop(turn);
            terms.metrics.request(result.as_ref().err(), began.elapsed());
            let failure = match result {
                Ok(body) => {
                    self.report_success();
                    return Ok(body);
                }
                Err(failure) => failure,
            };
            let wait = wait(WAIT_MIN, WAIT_MAX, attempt).max(self.pause(&failure, attempt));
            let may_repeat = match failure.retry() {
                Retry::Never => false,
                Retry::IfRepeatable => terms.repeatable,
                Retry::Always => true,
            };
            let again = Instant::now() + wait;
            if !may_repeat || attempt >= ATTEMPTS_MAX || again + ATTEMPT_TIME_MIN > terms.deadline {
                return Err(failed(failure, may_have_arrived));
            }
            may_have_arrived |= failure.retry() == Retry::IfRepeatable;
            tracing::debug!(target: "nexum::cow", origin = self.name, %failure, ?wait, "retrying a request");
            sleep_until(again).await;
            terms.metrics.retry();
            last = Some(failure);
        }
        Err(failed(last.unwrap_or(RequestError::Internal), may_have_arrived))
    }

    /// Waits for a turn under the rate limit. None if no turn leaves enough time for an attempt.
    async fn turn(&self, terms: &Terms) -> Option<Turn<'_>> {
        let turn = self.limit.turn_now();
        if turn.is_some() {
            return turn;
        }
        let began = Instant::now();
        let until = terms.deadline.checked_sub(ATTEMPT_TIME_MIN).unwrap_or(began);
        let turn = self.limit.turn(until).await;
        terms.metrics.wait(began.elapsed());
        turn
    }

    /// Pauses all requests to the host if its response requests a pause. Returns the length of the
    /// pause.
    fn pause(&self, failure: &RequestError, attempt: u32) -> Duration {
        let RequestError::Answer(answer) = failure else {
            return Duration::ZERO;
        };
        let pause = match (answer.status, answer.retry_after) {
            (429 | 503, Some(asked)) => asked.min(PAUSE_MAX),
            (429, None) => wait(WAIT_MIN, WAIT_MAX, attempt),
            _ => return Duration::ZERO,
        };
        self.limit.pause(pause);
        self.report_refusal(answer.status, pause);
        pause
    }

    /// Logs a refusal by the host's rate limit, and the next ones of an outage once a minute.
    fn report_refusal(&self, status: u16, pause: Duration) {
        let origin = &self.name;
        let extent = self.refusals.lock().failed(self.begun.elapsed());
        match extent {
            Some(Extent { seconds, attempts }) => tracing::warn!(
                target: "nexum::cow",
                origin,
                status,
                ?pause,
                seconds,
                attempts,
                "the order book limits the request rate; pausing"
            ),
            None => tracing::debug!(target: "nexum::cow", origin, status, ?pause, "pausing again"),
        }
    }

    /// Logs the end of the refusals, if the log has one of them.
    fn report_success(&self) {
        let extent = self.refusals.lock().ended(self.begun.elapsed());
        if let Some(Extent { seconds, attempts }) = extent {
            let origin = &self.name;
            tracing::info!(target: "nexum::cow", origin, seconds, attempts, "the order book answers again");
        }
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Origin").field(&self.name).finish()
    }
}
