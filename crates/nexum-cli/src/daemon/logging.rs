//! Logs to stderr, in the configured format.
//!
//! A log that cannot be written never stops the daemon. A separate thread writes the lines. If
//! stderr fails or its reader is too slow, nexum drops lines and counts them.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use metrics::{Unit, counter, describe_counter};
use nexum_config::document::{ConfigError, Section};
use nexum_config::harmless::harmless_lines;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::compose;
use crate::configure::{LogConfig, LogFormat};
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

/// The target of the first record, which says where the log level comes from.
const LEVEL_TARGET: &str = "nexum::log";

/// The variable that overrides `log_level`.
pub(crate) const LEVEL_VARIABLE: &str = "RUST_LOG";

/// The level without `log_level` and [`LEVEL_VARIABLE`].
const DEFAULT_LEVEL: &str = "info";

/// How many characters of a faulty [`LEVEL_VARIABLE`] an error shows: a few directives.
const SHOWN_CHARS_MAX: usize = 100;

/// The records that the log shows.
#[derive(Debug)]
pub(crate) struct Filter {
    filter: EnvFilter,
    /// Where the level comes from: the text of the log's first record.
    origin: &'static str,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            filter: EnvFilter::new(with_first_record(DEFAULT_LEVEL)),
            origin: "the log has its default level, info",
        }
    }
}

impl Filter {
    /// The filter of `variable`, the value of [`LEVEL_VARIABLE`], or else of `config`. `engine` is
    /// the table that `config` comes from. A blank variable sets no level. Adds an error of
    /// `log_level` to `errors`.
    ///
    /// # Errors
    ///
    /// If the variable is not a filter.
    pub(crate) fn of(
        variable: Option<&OsStr>,
        config: &LogConfig,
        engine: Option<&Section>,
        errors: &mut Vec<ConfigError>,
    ) -> Result<Self, Refusal> {
        let configured = config.level.as_deref().and_then(|level| {
            let error = |error: String| engine.map(|engine| engine.error("log_level", error).with_hint(LEVEL_HINT));
            // The error shows the value as the operator wrote it.
            let filter = parse(level).map_err(|found| errors.extend(error(found)));
            Some((filter.ok()?, "log_level of the configuration sets the level of the log"))
        });
        let is_blank = |variable: &&OsStr| variable.to_str().is_some_and(|text| text.trim().is_empty());
        let Some(variable) = variable.filter(|variable| !is_blank(variable)) else {
            return Ok(configured.map_or_else(Self::default, |(filter, origin)| Self { filter, origin }));
        };
        let text = variable.to_string_lossy();
        let filter = parse(&text).map_err(|error| {
            let shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
            Refusal::new(format!("{LEVEL_VARIABLE}: {error}, found {shown:?}")).with_hint(LEVEL_HINT)
        })?;
        let origin = match config.level {
            Some(_) => "RUST_LOG sets the level of the log, and overrides log_level of the configuration",
            None => "RUST_LOG sets the level of the log",
        };
        Ok(Self { filter, origin })
    }
}

const LEVEL_HINT: &str = "name a level (`info`) or directives (`info,nexum=debug`)";

fn parse(level: &str) -> Result<EnvFilter, String> {
    let filter = EnvFilter::try_new(level).map_err(|error| error.to_string())?;
    match filter.max_level_hint() {
        Some(LevelFilter::OFF) => Ok(filter),
        _ => EnvFilter::try_new(with_first_record(level)).map_err(|error| error.to_string()),
    }
}

/// Adds the first record to what `level` shows. A later directive overrides an earlier one, so that
/// `level` may turn the record off.
fn with_first_record(level: &str) -> String {
    format!("{LEVEL_TARGET}=info,{level}")
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
    let Filter { filter, origin } = filter;
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
    tracing::info!(target: LEVEL_TARGET, "{origin}");
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

    /// The filter of a variable and of `log_level`, or the errors.
    fn filter(variable: Option<&str>, level: Option<&str>) -> Result<Filter, String> {
        let config = LogConfig {
            level: level.map(str::to_owned),
            ..LogConfig::default()
        };
        let mut errors = Vec::new();
        let filter = Filter::of(variable.map(OsStr::new), &config, None, &mut errors);
        filter.map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn the_variable_overrides_the_configuration_unless_it_is_blank() {
        for (variable, level, text, origin) in [
            (
                None,
                None,
                "nexum::log=info,info",
                "the log has its default level, info",
            ),
            (
                Some(" "),
                Some("warn"),
                "nexum::log=info,warn",
                "log_level of the configuration sets the level of the log",
            ),
            (
                Some("debug"),
                None,
                "nexum::log=info,debug",
                "RUST_LOG sets the level of the log",
            ),
            (
                Some("debug,nexum::log=off"),
                Some("warn"),
                "nexum::log=off,debug",
                "RUST_LOG sets the level of the log, and overrides log_level of the configuration",
            ),
            (Some("off"), None, "off", "RUST_LOG sets the level of the log"),
        ] {
            let filter = filter(variable, level).unwrap();
            assert_eq!((filter.filter.to_string().as_str(), filter.origin), (text, origin));
        }
    }

    #[test]
    fn a_variable_that_is_no_filter_is_refused_with_its_text() {
        let long = "=".repeat(SHOWN_CHARS_MAX + 1);
        for (variable, shown) in [("nexum=loud", "nexum=loud"), (&long, &long[1..])] {
            let error = filter(Some(variable), Some("warn")).unwrap_err();
            assert!(error.starts_with("RUST_LOG: "), "{error}");
            let expected = format!(", found {shown:?} (name a level (`info`) or directives (`info,nexum=debug`))");
            assert!(error.ends_with(&expected), "{error}");
        }
    }

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
