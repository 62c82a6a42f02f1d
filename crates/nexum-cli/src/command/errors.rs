//! `nexum errors`: the codes of errors.

use crate::args::Format;
use crate::error_code::{ErrorCode, Explained, explained};
use crate::exit_code::STOPPED;
use crate::report::print::{fact, json_on_stdout, outln};
use crate::report::{Refusal, Refusals};

/// Prints all codes, or the description of one.
///
/// # Errors
///
/// If there is no such code.
pub(super) fn errors(code: Option<&str>, format: Format) -> Result<u8, Refusals> {
    match (code, format) {
        (None, Format::Json) => json_on_stdout(&explained())?,
        (None, Format::Text) => list(),
        (Some(word), format) => {
            let code = ErrorCode::of(word).ok_or_else(|| {
                let refusal = Refusal::new(format!("there is no error code `{word}`"));
                refusal.with_hint("list the codes with `nexum errors`")
            })?;
            let code = Explained::of(code);
            match format {
                Format::Json => json_on_stdout(&code)?,
                Format::Text => show(&code),
            }
        }
    }
    Ok(STOPPED)
}

fn list() {
    let all = explained();
    let width = all.iter().map(|code| code.code.len()).max().unwrap_or_default();
    for Explained { code, meaning, .. } in &all {
        outln!("{code:<width$}  {meaning}");
    }
}

fn show(code: &Explained) {
    fact("code", code.code);
    fact("HTTP status", &code.status.to_string());
    fact("meaning", code.meaning);
    fact("cause", code.cause);
    fact("remedy", code.remedy);
}

#[cfg(all(test, feature = "runtime"))]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::kept::is_kept;

    #[test]
    fn the_codes_are_in_docs() {
        let mut page = "# Codes of errors\n\n\
             Each error of the [API](operating.md#the-api) has a code. Programs can rely on it: nexum adds codes, and\n\
             never changes the meaning of one. `nexum errors CODE` prints one row of this table.\n\n\
             | code | status | meaning | usual cause | what to do |\n|---|--:|---|---|---|\n"
            .to_owned();
        for code in explained() {
            let Explained {
                code,
                status,
                meaning,
                cause,
                remedy,
            } = code;
            writeln!(page, "| `{code}` | {status} | {meaning} | {cause} | {remedy} |").unwrap();
        }
        is_kept("errors.md", &page);
    }
}
