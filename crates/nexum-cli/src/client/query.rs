//! `nexum query`: sends a query to a module of the running daemon.

use std::io::{self, Read, Write};
use std::path::Path;

use nexum_config::names::ModuleName;
use nexum_config::regular_file::{self, FileError};
use nexum_core::QueryPool;

use super::Client;
use crate::args::{Answer, Input};
use crate::exit_code::{FAILED, STOPPED};
use crate::protocol::QUERY;
use crate::protocol::query::Fault;
use crate::report::print::{json_on_stdout, outln};
use crate::report::{Refusal, Refusals, hex};

/// The file name that means stdin.
const STDIN: &str = "-";

/// Sends a query, and prints the answer.
///
/// # Errors
///
/// If the module did not receive the query, or its answer does not have the requested format.
pub(crate) fn query(client: &Client<'_>, module: &ModuleName, input: &Input, form: Answer) -> Result<u8, Refusals> {
    let (is_answer, body) = client.post_bytes(&format!("{QUERY}/{module}"), read(input)?.into())?;
    if is_answer {
        print(&body, form)?;
        return Ok(STOPPED);
    }
    let fault: Fault =
        serde_json::from_slice(&body).map_err(|error| Refusal::new(format!("the answer cannot be read: {error}")))?;
    let was_asked = !matches!(
        fault.kind.as_str(),
        "no-module" | "loading" | "input-too-large" | "overloaded" | "timed-out" | "suspended" | "body"
    );
    let refusals = Refusals::from(Refusal::new(fault.error));
    if was_asked {
        refusals.print();
        return Ok(FAILED);
    }
    Err(refusals)
}

fn read(input: &Input) -> Result<Vec<u8>, Refusal> {
    match (&input.input, &input.input_hex, &input.input_file) {
        (Some(text), ..) => Ok(text.clone().into_bytes()),
        (_, Some(digits), _) => bytes(digits)
            .ok_or_else(|| Refusal::new("--input-hex: expected pairs of hexadecimal digits, 0x before them")),
        (.., Some(path)) => file(path).map_err(|error| Refusal::of_input(path, &error)),
        // The command line requires one of them.
        (None, None, None) => Ok(Vec::new()),
    }
}

/// Reads at most one byte more than the daemon accepts. The daemon refuses a longer input.
fn file(path: &Path) -> Result<Vec<u8>, FileError> {
    let source: &mut dyn Read = match path.to_str() {
        Some(STDIN) => &mut io::stdin(),
        _ => &mut regular_file::open(path)?,
    };
    let mut bytes = Vec::new();
    source
        .take(QueryPool::INPUT_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
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

fn print(answer: &[u8], form: Answer) -> Result<(), Refusal> {
    match form {
        Answer::Raw => {
            let written = io::stdout().write_all(answer).and_then(|()| io::stdout().flush());
            return written.map_err(|error| Refusal::of(&error));
        }
        Answer::Hex => outln!("{}", hex(answer)),
        Answer::Text => {
            let text = std::str::from_utf8(answer);
            let text = text.map_err(|_| Refusal::new("the answer is not text").with_hint("use `--format hex`"))?;
            outln!("{text}");
        }
        Answer::Json => {
            let json: Result<serde_json::Value, _> = serde_json::from_slice(answer);
            let json = json.map_err(|_| Refusal::new("the answer is not JSON").with_hint("use `--format hex`"))?;
            json_on_stdout(&json)?;
        }
    }
    Ok(())
}

#[cfg(test)]
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
            assert_eq!(bytes(digits), expected, "{digits}");
        }
    }
}
