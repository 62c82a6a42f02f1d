//! Logs to stderr, in the configured format.
//!
//! A log that cannot be written never stops the daemon. A separate thread writes the lines. If
//! stderr fails or its reader is too slow, nexum drops lines and counts them.

mod journal;

use std::convert::Infallible;
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use metrics::{Unit, counter, describe_counter};
use nexum_config::harmless::harmless_lines;
use tracing::Subscriber;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::fmt::{FormatFields, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use self::journal::JournalLines;
use super::levels::LogLevel;
use super::records::{Capture, Records};
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
    /// The last records.
    pub(super) records: Records,
    /// The level, which an operator can change.
    pub(super) level: LogLevel,
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
        records: Records::new(),
        level: LogLevel::new(filter),
        _writer: writer,
    };
    let form = match format {
        LogFormat::Json => Form::Json,
        LogFormat::Pretty if journal::is_stderr() => Form::Journal,
        LogFormat::Pretty => Form::Pretty,
    };
    let started = log.subscriber(lines, form).try_init();
    started.map_err(|error| Refusals::from(Refusal::new(format!("cannot start logging: {error}"))))?;
    log.level.bound_foreign_records();
    Ok(log)
}

/// The form of the lines.
enum Form {
    /// Text with a time.
    Pretty,
    /// Text for the journal of systemd, with a priority.
    Journal,
    Json,
}

/// The layer that writes lines.
fn lines<S, W>(writer: W, form: Form) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        // By default, a failed write would be reported on stderr, which panics if that fails too.
        .log_internal_errors(false)
        .with_ansi(stderr_has_colours())
        .with_timer(SystemTime);
    let fields = HarmlessFields(DefaultFields::new());
    match form {
        Form::Pretty => layer.fmt_fields(fields).boxed(),
        Form::Journal => layer.event_format(JournalLines::new()).fmt_fields(fields).boxed(),
        Form::Json => {
            let layer = layer.json().flatten_event(true);
            layer.with_current_span(false).with_span_list(false).boxed()
        }
    }
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
    /// Writes lines of the operator's level, and keeps the last records. Neither ever gets a record
    /// of a target with secrets.
    fn subscriber<W>(&self, writer: W, form: Form) -> impl Subscriber + Send + Sync + use<W>
    where
        W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
    {
        tracing_subscriber::registry()
            .with(self.level.only_shown(lines(writer, form)))
            .with(Capture(self.records.clone()))
            .with(self.level.gate())
            // Not a directive of the level: a more specific directive of the operator would override it.
            .with(filter_fn(|metadata| !is_silenced(metadata.target())))
    }

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
    use super::super::records::Selection;
    use super::*;
    use crate::configure::Directives;

    #[test]
    fn targets_with_secrets_are_silenced_with_all_their_parts() {
        for target in [
            "hyper",
            "hyper::proto::h1",
            "hyper_util::client",
            "alloy_transport_http",
            "notify::inotify",
            "reqsign_core::api",
            "google_cloud_auth",
            "tokio_postgres::query",
        ] {
            assert!(is_silenced(target), "{target}");
        }
        assert!(!is_silenced("nexum::module") && !is_silenced("nexum_host_chain::source"));
    }

    /// The lines of stderr for the records that `work` makes, and the messages in the rings.
    fn logged(directives: &str, work: impl FnOnce(&Log)) -> (Vec<String>, Vec<String>) {
        let filter = Filter {
            directives: Directives::parse(directives).unwrap(),
            ..Filter::default()
        };
        let (nothing, writer) = NonBlockingBuilder::default().finish(io::sink());
        let log = Log {
            lost: Lost {
                failed: Arc::default(),
                dropped: nothing.error_counter(),
            },
            records: Records::new(),
            level: LogLevel::new(filter),
            _writer: writer,
        };
        let file = Arc::new(tempfile::tempfile().unwrap());
        let subscriber = log.subscriber(Arc::clone(&file), Form::Json);
        tracing::subscriber::with_default(subscriber, || work(&log));
        let mut text = String::new();
        io::Seek::rewind(&mut &*file).unwrap();
        io::Read::read_to_string(&mut &*file, &mut text).unwrap();
        let message = |line: &str| {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            record["message"].as_str().unwrap().to_owned()
        };
        let all = Selection {
            module: None,
            wants: Arc::new(|_| true),
        };
        let (kept, _) = log.records.last(&all, usize::MAX);
        let kept = kept.iter().map(|record| record.message.clone()).collect();
        (text.lines().map(message).collect(), kept)
    }

    #[test]
    fn no_record_with_secrets_reaches_the_rings_at_any_level() {
        for level in ["trace", "trace,hyper=trace,alloy_transport_http=trace"] {
            let (shown, kept) = logged(level, |_| {
                tracing::error!(target: "hyper::client", "https://user:key@node");
                tracing::trace!(target: "alloy_transport_http", "https://user:key@node");
                tracing::info!(target: "nexum::log", "harmless");
            });
            assert_eq!(
                (shown, kept),
                (vec!["harmless".to_owned()], vec!["harmless".to_owned()])
            );
        }
    }

    #[test]
    fn the_rings_keep_what_stderr_shows_and_the_reports_of_nexum() {
        let (shown, kept) = logged("warn,library=info", |_| {
            tracing::info!(target: "nexum::event", module = "m", "a report");
            tracing::info!(target: "nexum::module", module = "m", "a line of a module");
            tracing::warn!(target: "nexum::module", module = "m", "a warning of a module");
            tracing::info!(target: "library", "a line of a library");
            tracing::debug!(target: "library", "a detail of a library");
            tracing::debug!(target: "nexum::event", module = "m", "a detail");
            tracing::debug!(target: "nexum::stage", module = "m", "a stage");
        });
        assert_eq!(shown, ["a warning of a module", "a line of a library"]);
        let expected = ["a report", "a warning of a module", "a line of a library", "a stage"];
        assert_eq!(kept, expected);
    }

    #[test]
    fn the_level_changes_at_run_time_until_it_is_reset() {
        let (shown, kept) = logged("warn", |log| {
            let level = &log.level;
            let report = |text: &str| tracing::info!(target: "library", "{text}");
            report("1");
            level.change(Some(Directives::parse("info").unwrap()));
            report("2");
            assert_eq!(level.state().current().as_str(), "info");
            assert_eq!(level.state().configured.directives.as_str(), "warn");
            level.change(None);
            report("3");
            assert_eq!(level.state().current().as_str(), "warn");
        });
        let set = "an operator sets the level of the log, until nexum restarts or reloads its configuration";
        let reset = "an operator resets the level of the log: the log has its default level, info";
        assert_eq!(shown, [set, "2", reset]);
        assert_eq!(kept, [set, "2", reset]);
    }

    #[test]
    fn a_handled_event_is_kept_only_while_a_reader_follows_events() {
        let (shown, kept) = logged("info", |log| {
            let handled = |event: &str| tracing::debug!(target: "nexum::event", module = "m", event, "{event}");
            handled("1:1:block");
            let following = log.level.follow_events(&log.records);
            let other = log.level.follow_events(&log.records);
            handled("1:2:block");
            drop(following);
            handled("1:3:block");
            drop(other);
            handled("1:4:block");
        });
        assert!(shown.is_empty());
        assert_eq!(kept, ["1:2:block", "1:3:block"]);
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
