//! Output of a command: results on stdout, errors and notices on stderr.
//!
//! `println!` and `eprintln!` panic if a write fails. A reader may end before a command does
//! (`nexum status | head -1`), and a disk may be full. Neither is a fault of nexum.

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};

use nexum_config::harmless::{harmless, harmless_json};
use serde::Serialize;

use super::Refusal;
use crate::exit_code::{FAILED, STOPPED};

/// Prints a line on stdout. A failed write ends the process, see [`end_on_failed_write`].
macro_rules! outln {
    ($($argument:tt)*) => {
        $crate::report::print::line_on_stdout(format_args!($($argument)*))
    };
}

/// Prints a line on stderr. Ignores a failed write.
macro_rules! errln {
    ($($argument:tt)*) => {
        $crate::report::print::line_on_stderr(format_args!($($argument)*))
    };
}

pub(crate) use {errln, outln};

/// Prints JSON over several lines on stdout. Text in it from a module or a server cannot move the
/// cursor of a terminal.
pub(crate) fn json_on_stdout(value: &(impl Serialize + ?Sized)) -> Result<(), Refusal> {
    let json = serde_json::to_string_pretty(value).map_err(|error| Refusal::of(&error))?;
    outln!("{}", harmless_json(&json));
    Ok(())
}

/// The width of the names in a list of facts: the longest name and a gap.
pub(crate) const FACT_NAME_CHARS: usize = 17;

/// Prints a name and a value, a line for each fact about a file. A table would pad every line to the
/// longest value.
pub(crate) fn fact(name: &str, value: &str) {
    outln!("{name:<FACT_NAME_CHARS$}{}", harmless(value));
}

/// Prints a name and a list below each other.
pub(crate) fn facts(name: &str, values: &[String]) {
    fact(name, values.first().map_or("-", String::as_str));
    values.iter().skip(1).for_each(|value| fact("", value));
}

pub(crate) fn line_on_stdout(line: fmt::Arguments<'_>) {
    if let Err(error) = writeln!(io::stdout(), "{line}") {
        end_on_failed_write(&error);
    }
}

pub(crate) fn line_on_stderr(line: fmt::Arguments<'_>) {
    // There is no other place to report a failure of stderr.
    let _ = writeln!(io::stderr(), "{line}");
}

/// Whether text on stderr has colours: on a terminal, unless the operator sets `NO_COLOR` (<https://no-color.org>).
pub(crate) fn stderr_has_colours() -> bool {
    has_colours(io::stderr().is_terminal(), std::env::var_os("NO_COLOR").as_deref())
}

/// Whether the operator lets a terminal have colours.
#[cfg(feature = "top")]
pub(crate) fn terminal_has_colours() -> bool {
    has_colours(true, std::env::var_os("NO_COLOR").as_deref())
}

/// Whether text has colours, on a terminal or not and with this value of `NO_COLOR`.
pub(crate) fn has_colours(is_terminal: bool, no_color: Option<&OsStr>) -> bool {
    is_terminal && no_color.is_none_or(OsStr::is_empty)
}

/// The width of a table, in columns, if the variable `COLUMNS` has it and stdout is no terminal. A
/// terminal knows its own width.
#[cfg(feature = "runtime")]
pub(crate) fn columns() -> Option<u16> {
    match io::stdout().is_terminal() {
        true => None,
        false => std::env::var_os("COLUMNS")?.to_str()?.parse().ok(),
    }
}

/// Ends the process after a failed write to stdout. The exit code is 0 if the reader has closed the
/// pipe, because the reader needs no more output. Otherwise it is 1, with an error on stderr.
pub(crate) fn end_on_failed_write(error: &io::Error) -> ! {
    if error.kind() == io::ErrorKind::BrokenPipe {
        std::process::exit(STOPPED.into());
    }
    errln!("error: cannot write to stdout: {error}");
    std::process::exit(FAILED.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_has_colours_unless_no_color_is_set() {
        for (is_terminal, no_color, expected) in [
            (true, None, true),
            (true, Some(""), true),
            (true, Some("1"), false),
            (true, Some("0"), false),
            (false, None, false),
            (false, Some(""), false),
        ] {
            assert_eq!(
                has_colours(is_terminal, no_color.map(OsStr::new)),
                expected,
                "{no_color:?}"
            );
        }
    }
}
