//! How errors and tables look.

#[cfg(feature = "runtime")]
pub(crate) mod bars;
#[cfg(feature = "runtime")]
mod module;
pub(crate) mod print;

use std::error::Error;
use std::io::IsTerminal;

#[cfg(feature = "runtime")]
use chrono::{DateTime, SecondsFormat};
use comfy_table::{ContentArrangement, Table, presets};
use nexum_config::causes::Causes;
use nexum_config::document::{ConfigError, ConfigErrors};
use nexum_config::harmless::harmless;
use nexum_config::hint::Hint;
use serde::{Deserialize, Serialize};

use print::errln;

/// One reason not to start: a line, and what may help on a line of its own.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Refusal {
    error: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Refusal {
    pub(crate) fn new(error: impl Into<String>) -> Self {
        Self {
            error: error.into(),
            hint: None,
        }
    }

    /// An error with everything that it came from.
    pub(crate) fn of(error: &(dyn Error + 'static)) -> Self {
        Self::new(Causes(error).to_string().replace('\n', " "))
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The error with its subject.
    pub(crate) fn about(mut self, subject: &str) -> Self {
        self.error = format!("{subject}: {}", self.error);
        self
    }

    /// An error with everything that it came from, and its hint.
    pub(crate) fn with_hint_of<E: Hint + 'static>(error: &E) -> Self {
        Self {
            hint: error.hint(),
            ..Self::of(error)
        }
    }
}

impl From<&ConfigError> for Refusal {
    fn from(error: &ConfigError) -> Self {
        Self::with_hint_of(error)
    }
}

/// Everything that kept something from starting.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Refusals(Vec<Refusal>);

impl Refusals {
    /// The errors with their subject.
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

    /// Prints each error as one line on stderr, with its hint below. Both can contain text from guests, files and servers.
    pub(crate) fn print(&self) {
        let colour = std::io::stderr().is_terminal();
        let paint = |text: &str, code: &str| {
            if colour {
                format!("\x1b[{code}m{text}\x1b[0m")
            } else {
                text.to_owned()
            }
        };
        for Refusal { error, hint } in &self.0 {
            errln!("{} {}", paint("error:", "1;31"), harmless(error));
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

/// A table whose columns line up and which keeps within the terminal. Without a header it lists keys and values.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
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

/// A time in milliseconds since the Unix epoch, as RFC 3339 in UTC.
#[cfg(feature = "runtime")]
pub(crate) fn time(at_ms: u64) -> String {
    let time = i64::try_from(at_ms).ok().and_then(DateTime::from_timestamp_millis);
    time.map_or_else(
        || format!("{at_ms} ms"),
        |time| time.to_rfc3339_opts(SecondsFormat::Millis, true),
    )
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
