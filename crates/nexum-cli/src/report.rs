//! Prints errors and tables.

#[cfg(feature = "runtime")]
pub(crate) mod bars;
#[cfg(feature = "runtime")]
pub(crate) mod findings;
pub(crate) mod functions;
#[cfg(feature = "runtime")]
mod module;
#[cfg(feature = "runtime")]
pub(crate) mod preview;
pub(crate) mod print;

use std::borrow::Cow;
use std::error::Error;
#[cfg(feature = "runtime")]
use std::path::Path;

#[cfg(feature = "runtime")]
use chrono::{DateTime, SecondsFormat};
#[cfg(feature = "runtime")]
use comfy_table::{ContentArrangement, Table, presets};
use nexum_config::causes::Causes;
use nexum_config::document::{ConfigError, ConfigErrors};
use nexum_config::harmless::harmless;
use nexum_config::hint::Hint;
#[cfg(feature = "runtime")]
use nexum_config::regular_file::FileError;
use serde::Serialize;

use print::{errln, stderr_has_colours};

#[cfg(feature = "runtime")]
use crate::error_code::ErrorCode;

/// One error, and a hint on a line of its own if there is one.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Refusal {
    /// The word of an [`ErrorCode`], or of a code that a newer daemon knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<Cow<'static, str>>,
    pub(crate) error: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
}

impl Refusal {
    pub(crate) fn new(error: impl Into<String>) -> Self {
        Self {
            code: None,
            error: error.into(),
            hint: None,
        }
    }

    /// Adds the code for programs.
    #[cfg(feature = "runtime")]
    pub(crate) fn with_code(mut self, code: ErrorCode) -> Self {
        self.code = Some(Cow::Borrowed(code.word()));
        self
    }

    /// An error with all of its sources.
    pub(crate) fn of(error: &(dyn Error + 'static)) -> Self {
        Self::new(Causes(error).to_string().replace('\n', " "))
    }

    /// The error of a file that a command reads in place of stdin.
    #[cfg(feature = "runtime")]
    pub(crate) fn of_input(path: &Path, error: &FileError) -> Self {
        let reason = match error {
            FileError::Io(error) => error.to_string(),
            error => error.to_string(),
        };
        let refusal = Self::new(format!("{}: {reason}", path.display()));
        match error {
            FileError::NotRegular => refusal.with_hint("give the content on stdin"),
            _ => refusal,
        }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the subject of the error.
    pub(crate) fn about(mut self, subject: &str) -> Self {
        self.error = format!("{subject}: {}", self.error);
        self
    }

    /// An error with all of its sources, and its hint.
    pub(crate) fn with_hint_of<E: Hint + 'static>(error: &E) -> Self {
        Self {
            hint: error.hint(),
            ..Self::of(error)
        }
    }
}

/// For a test: one line, with the hint in parentheses.
#[cfg(test)]
impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.error, self.hint.as_deref().unwrap_or("-"))
    }
}

impl From<&ConfigError> for Refusal {
    fn from(error: &ConfigError) -> Self {
        Self::with_hint_of(error)
    }
}

/// All errors of one operation.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct Refusals(Vec<Refusal>);

impl Refusals {
    /// Adds the subject of the errors.
    #[cfg(feature = "runtime")]
    pub(crate) fn about(self, subject: &str) -> Self {
        Self(self.0.into_iter().map(|refusal| refusal.about(subject)).collect())
    }

    pub(crate) fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether one of the errors has this code.
    #[cfg(feature = "runtime")]
    pub(crate) fn has(&self, code: ErrorCode) -> bool {
        self.0
            .iter()
            .any(|refusal| refusal.code.as_deref() == Some(code.word()))
    }

    /// The text of each error, without its hint.
    #[cfg(feature = "runtime")]
    pub(crate) fn errors(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|refusal| &*refusal.error)
    }

    /// Prints each error as one line on stderr, with its hint below. Both can contain text from guests, files and servers.
    pub(crate) fn print(&self) {
        let colour = stderr_has_colours();
        let paint = |text: &str, code: &str| {
            if colour {
                format!("\x1b[{code}m{text}\x1b[0m")
            } else {
                text.to_owned()
            }
        };
        for Refusal { code, error, hint } in &self.0 {
            let label = code
                .as_ref()
                .map_or_else(|| "error:".to_owned(), |code| format!("error[{}]:", harmless(code)));
            errln!("{} {}", paint(&label, "1;31"), harmless(error));
            if let Some(hint) = hint {
                errln!("  {} {}", paint("hint:", "1;36"), harmless(hint));
            }
        }
    }
}

impl FromIterator<Refusal> for Refusals {
    fn from_iter<T: IntoIterator<Item = Refusal>>(refusals: T) -> Self {
        Self(refusals.into_iter().collect())
    }
}

#[cfg(feature = "runtime")]
impl IntoIterator for Refusals {
    type Item = Refusal;
    type IntoIter = std::vec::IntoIter<Refusal>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl From<Refusal> for Refusals {
    fn from(refusal: Refusal) -> Self {
        Self(vec![refusal])
    }
}

impl From<ConfigErrors> for Refusals {
    fn from(errors: ConfigErrors) -> Self {
        Self(errors.iter().map(Refusal::from).collect())
    }
}

/// An error with all of its sources, in one line.
#[cfg(feature = "runtime")]
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
    Causes(error).to_string().replace('\n', " ")
}

/// A table with aligned columns that fits into the terminal. Without a header, it lists keys and
/// values.
#[cfg(feature = "runtime")]
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    if let Some(columns) = print::columns() {
        table.set_width(columns);
    }
    if !header.is_empty() {
        table.set_header(header);
    }
    table
}

/// Bytes as 0x and hexadecimal digits.
#[cfg(feature = "runtime")]
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("0x{digits}")
}

/// The bytes of pairs of hexadecimal digits, with or without 0x before them.
#[cfg(feature = "runtime")]
pub(crate) fn of_hex(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.strip_prefix("0x").unwrap_or(digits);
    let nibble = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .and_then(|nibble| u8::try_from(nibble).ok())
    };
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| match *pair {
            [high, low] => Some(nibble(high)? << 4 | nibble(low)?),
            _ => None,
        })
        .collect()
}

/// A time in milliseconds since the Unix epoch, as RFC 3339 in UTC.
#[cfg(feature = "runtime")]
pub(crate) fn time(at_ms: u64) -> String {
    let time = i64::try_from(at_ms).ok().and_then(DateTime::from_timestamp_millis);
    time.map_or_else(
        || format!("{at_ms} ms"),
        |time| time.to_rfc3339_opts(SecondsFormat::Millis, true),
    )
}

/// A span of time in the largest units that matter: `310 ms`, `64 s`, `12 min`, `3 h 20 min`, `5 d 2 h`.
#[cfg(feature = "runtime")]
pub(crate) fn span(ms: u64) -> String {
    const SECOND: u64 = 1_000;
    const MINUTE: u64 = 60 * SECOND;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let two = |large: u64, word: &str, rest: u64, small: &str| match rest {
        0 => format!("{large} {word}"),
        rest => format!("{large} {word} {rest} {small}"),
    };
    if ms < SECOND {
        format!("{ms} ms")
    } else if ms < 2 * MINUTE {
        format!("{} s", ms / SECOND)
    } else if ms < HOUR {
        format!("{} min", ms / MINUTE)
    } else if ms < DAY {
        two(ms / HOUR, "h", ms % HOUR / MINUTE, "min")
    } else {
        two(ms / DAY, "d", ms % DAY / HOUR, "h")
    }
}

/// A number with its noun, which has an `s` unless the number is 1.
pub(crate) fn count(number: impl ToString, noun: &str) -> String {
    match number.to_string() {
        one if one == "1" => format!("{one} {noun}"),
        other => format!("{other} {noun}s"),
    }
}

/// A list in one cell.
pub(crate) fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() {
        "-".to_owned()
    } else {
        items.join(", ")
    }
}

#[cfg(all(test, feature = "runtime"))]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_come_in_pairs() {
        for (digits, expected) in [
            ("0x00fF", Some(vec![0, 255])),
            ("7f", Some(vec![127])),
            ("0x", Some(vec![])),
            ("0x1", None),
            ("0xgg", None),
            ("0x+1", None),
            ("0xä", None),
        ] {
            assert_eq!(of_hex(digits), expected, "{digits}");
        }
    }
}
