//! Lines for the journal of systemd.
//!
//! The journal stores each line of a service's stderr as an entry with a time. A line begins with the
//! priority of its entry (`sd-daemon(3)`), so that `journalctl --priority warning` finds it.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;

use rustix::fs::fstat;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{self, Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// The variable in which systemd gives the device and the inode of the stream to the journal, as
/// `DEVICE:INODE` (`systemd.exec(5)`).
const STREAM_VARIABLE: &str = "JOURNAL_STREAM";

/// Whether the journal reads stderr.
pub(super) fn is_stderr() -> bool {
    let named = std::env::var_os(STREAM_VARIABLE);
    fstat(io::stderr()).is_ok_and(|stderr| is_stream(named.as_deref(), stderr.st_dev, stderr.st_ino))
}

/// Whether the variable names this file. A service's child inherits the variable, but may have another
/// stderr.
fn is_stream(named: Option<&OsStr>, device: u64, inode: u64) -> bool {
    named.is_some_and(|named| named == OsString::from(format!("{device}:{inode}")))
}

/// Writes a record as lines without a time. Each line begins with the priority, because a record can
/// have several.
pub(super) struct JournalLines(Format<Full, ()>);

impl JournalLines {
    pub(super) fn new() -> Self {
        Self(format::format().without_time())
    }
}

impl<S, N> FormatEvent<S, N> for JournalLines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut text = String::new();
        self.0.format_event(context, Writer::new(&mut text), event)?;
        let priority = priority(*event.metadata().level());
        text.lines().try_for_each(|line| writeln!(writer, "<{priority}>{line}"))
    }
}

/// The priority of a level, as `syslog(3)` numbers it.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read as _, Seek as _};
    use std::sync::Arc;

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::super::{Form, lines};
    use super::*;

    #[test]
    fn only_the_stream_that_systemd_names_is_the_journal() {
        let is_stream = |named: &str| is_stream(Some(named.as_ref()), 9, 1234);
        assert!(is_stream("9:1234"));
        for other in [
            "", "9", "9:", "9:12345", "8:1234", "1234:9", "9:1234:0", "09:1234", "9:1234 ",
        ] {
            assert!(!is_stream(other), "{other}");
        }
        assert!(!super::is_stream(None, 9, 1234));
    }

    #[test]
    fn each_line_begins_with_the_priority_and_has_no_time() {
        let file: Arc<File> = Arc::new(tempfile::tempfile().unwrap());
        let subscriber = tracing_subscriber::registry().with(lines(Arc::clone(&file), Form::Journal));
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!(target: "t", module = "m", "one\n<0>forged");
            tracing::warn!(target: "t", "two");
            tracing::info!(target: "t", "three");
            tracing::debug!(target: "t", "four");
            tracing::trace!(target: "t", "five");
        });
        (&*file).rewind().unwrap();
        let mut text = String::new();
        (&*file).read_to_string(&mut text).unwrap();
        let expected = "<3>ERROR t: one\n<3>    <0>forged module=\"m\"\n<4> WARN t: two\n<6> INFO t: three\n\
                        <7>DEBUG t: four\n<7>TRACE t: five\n";
        assert_eq!(text, expected);
    }
}
