//! Logs to stderr, in the configured format.
//!
//! A log that cannot be written never stops the daemon. A separate thread writes the lines. If
//! stderr fails or its reader is too slow, nexum drops lines and counts them.

use std::convert::Infallible;
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use metrics::{Unit, counter, describe_counter};
use nexum_config::harmless::harmless_lines;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::compose;
use crate::configure::{Filter, LogFormat};
use crate::report::bars::StderrAboveBars;
use crate::report::print::stderr_has_colours;
use crate::report::{Refusal, Refusals};

/// The most lines that wait for stderr: a burst of a few seconds. A guest's record has at most 8
/// KiB, so the lines take at most 32 MiB.
const WAITING_LINES_MAX: usize = 4_096;

/// The beginning of a record's second and further lines. The first begins with the time.
const INDENT: &str = "    ";

/// The interval at which nexum looks for lost lines. It reports a full disk about six times a
/// minute.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Counter: lines of the log that were not written to stderr.
const LINES_LOST: &str = "nexum_log_lines_lost_total";

/// The running log. Dropping it writes the waiting lines, for at most a second.
pub(super) struct Log {
    lost: Lost,
    _writer: WorkerGuard,
}

/// Whether records of a target may contain secrets.
fn is_silenced(target: &str) -> bool {
    compose::silenced_log_targets().any(|silenced| target.starts_with(silenced))
}

/// Starts logging. Call it once.
///
/// # Errors
///
/// If the process logs already.
pub(super) fn start(filter: Filter, format: LogFormat) -> Result<Log, Refusals> {
    let Filter { filter, origin: _ } = filter;
    let failed = Arc::default();
    let (lines, writer) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(WAITING_LINES_MAX)
        .thread_name("log")
        .finish(CountingFailures(Arc::clone(&failed)));
    let log = Log {
        lost: Lost {
            failed,
            dropped: lines.error_counter(),
        },
        _writer: writer,
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(lines)
        // By default, a failed write would be reported on stderr, which panics if that fails too.
        .log_internal_errors(false)
        .with_ansi(stderr_has_colours())
        .with_timer(SystemTime);
    // Not a directive of `filter`: a more specific directive of the operator would override it.
    let silence = filter_fn(|metadata| !is_silenced(metadata.target()));
    let started = match format {
        LogFormat::Pretty => {
            let builder = builder.fmt_fields(HarmlessFields(DefaultFields::new()));
            builder.finish().with(silence).try_init()
        }
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true);
            let builder = builder.with_current_span(false).with_span_list(false);
            builder.finish().with(silence).try_init()
        }
    };
    started.map_err(|error| Refusals::from(Refusal::new(format!("cannot start logging: {error}"))))?;
    Ok(log)
}

/// The fields of a record. Text from guests and servers in them cannot start a line, and cannot
/// control the terminal.
struct HarmlessFields(DefaultFields);

impl<'writer> FormatFields<'writer> for HarmlessFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut text = String::new();
        self.0.format_fields(Writer::new(&mut text), fields)?;
        writer.write_str(&harmless_lines(&text, INDENT))
    }
}

/// The number of lost lines.
struct Lost {
    /// Lines whose write failed.
    failed: Arc<AtomicUsize>,
    /// Lines that were dropped because [`WAITING_LINES_MAX`] lines were waiting.
    dropped: ErrorCounter,
}

impl Lost {
    fn lines(&self) -> usize {
        self.failed.load(Ordering::Relaxed) + self.dropped.dropped_lines()
    }
}

impl Log {
    /// Reports lost lines, in the log and as a metric. Never returns. Repeats a report that is lost
    /// itself.
    pub(super) async fn report_lost(&self) -> Infallible {
        describe_counter!(LINES_LOST, Unit::Count, "lines of the log that stderr did not take");
        let metric = counter!(LINES_LOST);
        let mut turns = tokio::time::interval(LOOK_EVERY);
        let mut reported = 0;
        loop {
            turns.tick().await;
            let lines = self.lost.lines();
            metric.absolute(lines as u64);
            if lines > reported {
                tracing::warn!(
                    lines = lines - reported,
                    total = lines,
                    "log lines were lost: stderr failed, or its reader is too slow"
                );
                reported = lines;
            }
        }
    }
}

/// Stderr. Counts a failed write, and returns success.
struct CountingFailures(Arc<AtomicUsize>);

impl Write for CountingFailures {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if StderrAboveBars.write_all(bytes).is_err() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_with_secrets_are_silenced_with_all_their_parts() {
        for target in [
            "hyper",
            "hyper::proto::h1",
            "hyper_util::client",
            "alloy_transport_http",
            "notify::inotify",
        ] {
            assert!(is_silenced(target), "{target}");
        }
        assert!(!is_silenced("nexum::module") && !is_silenced("nexum_host_chain::source"));
    }

    #[test]
    fn text_of_others_begins_no_line_and_moves_no_cursor() {
        let mut text = String::new();
        let subscriber = tracing_subscriber::fmt().fmt_fields(HarmlessFields(DefaultFields::new()));
        let lines = tempfile::tempfile().unwrap();
        let subscriber = subscriber
            .with_ansi(false)
            .without_time()
            .with_writer(lines.try_clone().unwrap());
        tracing::subscriber::with_default(subscriber.finish(), || {
            let forged = "x\n2026-11-28T00:00:00Z ERROR nexum::module: forged\u{1b}[2J";
            tracing::info!(target: "test", error = %forged, "{forged}");
        });
        io::Seek::rewind(&mut &lines).unwrap();
        io::Read::read_to_string(&mut &lines, &mut text).unwrap();
        let forged = "x\n    2026-11-28T00:00:00Z ERROR nexum::module: forged\\u{1b}[2J";
        // Newer versions of the subscriber escape the terminal's sequences themselves, in their own form.
        let text = text.replace("\\x1b", "\\u{1b}");
        assert_eq!(text, format!(" INFO test: {forged} error={forged}\n"));
    }
}
