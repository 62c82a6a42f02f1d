//! A module's log records: bounded `tracing` events with the module and its event as fields.
//!
//! The target is `nexum::module`. The fields are `module`, for an event also `event`, `chain` and
//! `block`, and for a query `request`.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nexum_config::harmless::harmless_lines;
use nexum_config::names::ModuleName;
use parking_lot::{Mutex, MutexGuard};

use crate::clock::Clock;
use crate::event::Handler;
use crate::logged;
use crate::rate::Bucket;

/// The longest record, in bytes. nexum cuts the rest, and reports its size. The bound has room for
/// a stack trace or a JSON document.
pub(crate) const RECORD_BYTES_MAX: usize = 8_192;

/// The most records of the current handler call to keep, and their most bytes: enough for the
/// operator to find the cause of a failure.
const KEPT_RECORDS_MAX: usize = 50;
const KEPT_BYTES_MAX: usize = 16 * 1_024;

/// The first [`RECORD_BYTES_MAX`] bytes of a guest's text, and the size of the rest. As a writer, it
/// stores no more than that, however much a guest makes the host write.
#[derive(Debug)]
pub(crate) struct Excerpt<'a> {
    pub(crate) kept: Cow<'a, str>,
    /// The size of the rest, in bytes.
    pub(crate) cut: usize,
}

/// Writes a module's records, and reports the number of cut records. The rate limit belongs to the
/// module and outlives its instances, so that a failure does not renew it.
#[derive(Debug)]
pub struct Recorder {
    module: ModuleName,
    clock: Arc<dyn Clock>,
    rate: Arc<Mutex<Bucket>>,
    /// The number of cut records of the current handler call.
    cut: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    handler: Handler,
    /// The last records of the current handler call, and their size in bytes.
    kept: VecDeque<String>,
    kept_bytes: usize,
}

impl Recorder {
    pub(crate) fn new(module: ModuleName, clock: Arc<dyn Clock>, records_per_second: u64) -> Self {
        let rate = Bucket::per_second(records_per_second);
        Self::within(module, clock, Arc::new(Mutex::new(rate)))
    }

    /// Creates the recorder of another, concurrent instance of the module. It has a separate
    /// handler call, and shares the module's rate limit.
    pub(crate) fn for_concurrent_instance(&self) -> Self {
        Self::within(self.module.clone(), self.clock.clone(), self.rate.clone())
    }

    fn within(module: ModuleName, clock: Arc<dyn Clock>, rate: Arc<Mutex<Bucket>>) -> Self {
        let state = State {
            handler: Handler::Init,
            kept: VecDeque::new(),
            kept_bytes: 0,
        };
        Self {
            module,
            clock,
            rate,
            cut: AtomicU64::new(0),
            state: Mutex::new(state),
        }
    }

    /// Whether a subscriber receives records of this level. Other records cost nothing.
    pub(crate) fn is_heard(&self, level: tracing::Level) -> bool {
        is_heard(level)
    }

    /// Writes a record of the guest, or counts it as cut if the module exceeds its rate.
    pub fn record(&self, level: tracing::Level, message: &str) {
        self.record_excerpt(level, &Excerpt::of(message));
    }

    /// As [`Recorder::record`], for a text that may be cut.
    pub(crate) fn record_excerpt(&self, level: tracing::Level, excerpt: &Excerpt<'_>) {
        let (handler, message) = {
            let mut state = self.state();
            let mut rate = self.rate.lock();
            if rate.take(self.clock.monotonic_ns()).is_err() {
                self.cut.fetch_add(1, Ordering::Relaxed);
                return;
            }
            let message = excerpt.harmless();
            state.keep(level, &message);
            (state.handler, message)
        };
        emit(&self.module, handler, level, &message);
    }

    /// Starts a handler call.
    pub(crate) fn open(&self, handler: Handler) {
        let mut state = self.state();
        state.handler = handler;
        state.kept.clear();
        state.kept_bytes = 0;
    }

    /// Takes the last records of a finished handler call.
    pub(crate) fn take_records(&self) -> Vec<String> {
        let mut state = self.state();
        state.kept_bytes = 0;
        std::mem::take(&mut state.kept).into()
    }

    /// Reports the number of cut records of a finished handler call.
    pub(crate) fn close(&self) {
        // Almost always no record was cut, and then no lock is necessary.
        if self.cut.load(Ordering::Relaxed) == 0 {
            return;
        }
        let cut = self.cut.swap(0, Ordering::Relaxed);
        let handler = self.state().handler;
        emit(
            &self.module,
            handler,
            tracing::Level::WARN,
            &format!("{cut} more log records were cut"),
        );
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    fn keep(&mut self, level: tracing::Level, message: &str) {
        let record = format!("{level} {message}");
        self.kept_bytes += record.len();
        self.kept.push_back(record);
        while self.kept.len() > KEPT_RECORDS_MAX || self.kept_bytes > KEPT_BYTES_MAX {
            self.kept_bytes -= self.kept.pop_front().map_or(0, |oldest| oldest.len());
        }
    }
}

impl<'a> Excerpt<'a> {
    /// Cuts a text.
    pub(crate) fn of(text: &'a str) -> Self {
        let end = text.floor_char_boundary(RECORD_BYTES_MAX);
        Self {
            kept: Cow::Borrowed(&text[..end]),
            cut: text.len() - end,
        }
    }

    /// The text for the operator, which tells the size of the rest.
    fn harmless(&self) -> Cow<'_, str> {
        let kept = harmless_lines(&self.kept, "");
        match self.cut {
            0 => kept,
            cut => Cow::Owned(format!("{kept} [{cut} bytes cut]")),
        }
    }
}

impl fmt::Write for Excerpt<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let left = match self.cut {
            0 => RECORD_BYTES_MAX.saturating_sub(self.kept.len()),
            _ => 0,
        };
        let end = text.floor_char_boundary(left);
        if end > 0 {
            self.kept.to_mut().push_str(&text[..end]);
        }
        self.cut = self.cut.saturating_add(text.len() - end);
        Ok(())
    }
}

/// Evaluates `$body` with `$constant` as the level, because the macros of tracing need a constant.
macro_rules! at_level {
    ($level:expr, $constant:ident, $body:expr) => {
        at_level!(@ $level, $constant, $body, TRACE, DEBUG, INFO, WARN, ERROR)
    };
    (@ $level:expr, $constant:ident, $body:expr, $($name:ident),+) => {
        match $level {
            $(tracing::Level::$name => {
                const $constant: tracing::Level = tracing::Level::$name;
                $body
            })+
        }
    };
}

/// Whether the operator's filter accepts records of this level.
fn is_heard(level: tracing::Level) -> bool {
    at_level!(level, CONSTANT, tracing::enabled!(target: logged::MODULE, CONSTANT))
}

/// Writes a record, whose text is harmless.
fn emit(module: &ModuleName, handler: Handler, level: tracing::Level, message: &str) {
    let module = module.as_str();
    let event = handler.event();
    let id = event.map(tracing::field::display);
    let request = handler.request().map(|request| request.0);
    let chain = event.and_then(|event| event.topic.chain_id());
    let block = event.and_then(|event| event.block()).map(|block| block.number);
    at_level!(
        level,
        CONSTANT,
        tracing::event!(target: logged::MODULE, CONSTANT, module, event = id, chain, block, request, "{message}")
    )
}
