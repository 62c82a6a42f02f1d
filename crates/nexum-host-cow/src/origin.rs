//! A host with order books on it: what goes out to it, and what is done when that fails.

mod http;
mod limit;

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use cowprotocol::HttpRequest;
use nexum_net::wait;
use tokio::time::{Instant, sleep_until};

use self::http::Http;
pub use self::http::RESPONSE_BYTES_MAX;
use self::limit::{RateLimit, Turn};
use crate::error::{RequestError, Retry};
use crate::metrics::RouteMetrics;

/// How often one request is sent at most. With the waits in between this is a minute and more, longer than most events may take: it
/// ends what has a deadline of an hour.
pub const ATTEMPTS_MAX: u32 = 16;

/// How long a host is left alone at most that asks for it: a mistake in a header must not end trading for the day.
pub const PAUSE_MAX: Duration = Duration::from_secs(60);

/// The wait after a first failure: an order book that is replaced by its next version is back within a few of these.
const WAIT_MIN: Duration = Duration::from_millis(250);

/// The longest wait between attempts: less than a block of Ethereum, so that what passes is noticed within one.
const WAIT_MAX: Duration = Duration::from_secs(8);

/// What an attempt has to have of time at least that something was waited for. With less it would mostly be cut off, and nobody would
/// know what became of it; the failure before it says more.
const ATTEMPT_TIME_MIN: Duration = Duration::from_millis(500);

/// What is shared by all modules and chains whose order book is on one host.
pub(crate) struct Origin {
    /// Scheme and host.
    name: String,
    http: Http,
    limit: RateLimit,
}

/// How a request is to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    /// Whether doing it twice does no harm.
    pub(crate) repeatable: bool,
    /// When no answer is of use any more.
    pub(crate) deadline: Instant,
    pub(crate) metrics: RouteMetrics,
}

impl Origin {
    pub(crate) fn new(name: String, per_second: NonZeroU32, timeout: Duration) -> Self {
        Self {
            name,
            http: Http::new(timeout),
            limit: RateLimit::new(per_second),
        }
    }

    /// Sends a request, when its turn comes, and again after a failure that may pass, until there is a success or the deadline is
    /// near. Returns the body of a 2xx answer.
    pub(crate) async fn send(&self, request: &HttpRequest, terms: &Terms) -> Result<String, RequestError> {
        let mut last = None;
        for attempt in 1.. {
            let Some(turn) = self.turn(terms).await else {
                return Err(last.unwrap_or(RequestError::NoTurn));
            };
            let began = Instant::now();
            let result = self.http.attempt(request, terms.deadline).await;
            drop(turn);
            terms.metrics.request(result.as_ref().err(), began.elapsed());
            let failure = match result {
                Ok(body) => return Ok(body),
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
                return Err(failure);
            }
            tracing::debug!(target: "nexum::cow", origin = self.name, %failure, ?wait, "a request is sent again");
            sleep_until(again).await;
            terms.metrics.retry();
            last = Some(failure);
        }
        Err(last.unwrap_or(RequestError::Internal))
    }

    /// Waits for a place under the limit. None if there is none while an attempt has enough time left.
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

    /// Leaves the host alone, whoever asks, if it wants that. Returns for how long.
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
        let (origin, status) = (&self.name, answer.status);
        tracing::warn!(target: "nexum::cow", origin, status, ?pause, "the order book wants fewer requests");
        pause
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Origin").field(&self.name).finish()
    }
}
