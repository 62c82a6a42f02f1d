//! `nexum query`: sends a query to a module of the running daemon.

use std::io::{self, Read, Write};
use std::path::Path;

use nexum_config::harmless::harmless;
use nexum_config::names::ModuleName;
use nexum_config::regular_file::{self, FileError};
use nexum_core::QueryPool;

use super::{Client, show};
use crate::args::{Answer, Arguments, Input, Question};
use crate::error_code::ErrorCode;
use crate::exit_code::{FAILED, STOPPED};
use crate::protocol::error::ErrorBody;
use crate::protocol::{MODULES, QUERY};
use crate::report::functions::Function;
use crate::report::print::{json_on_stdout, outln};
use crate::report::{Refusal, Refusals, hex, of_hex};

/// The file name that means stdin.
const STDIN: &str = "-";

/// Sends a query or calls a function, and prints the answer. Or lists the functions.
///
/// # Errors
///
/// If the module did not receive the query, or its answer does not have the requested format.
pub(crate) fn query(
    client: &Client<'_>,
    module: &ModuleName,
    question: &Question,
    form: Option<Answer>,
) -> Result<u8, Refusals> {
    if question.list {
        let functions: Vec<Function> = client.get(&format!("{MODULES}/{module}/functions"))?;
        show::functions(&functions, form)?;
        return Ok(STOPPED);
    }
    let Question {
        function, input, args, ..
    } = question;
    let input = read(input)?;
    let args = arguments(args)?;
    let form = form.unwrap_or(if input.is_some() { Answer::Raw } else { Answer::Json });
    let (path, body) = match (function, input) {
        (Some(function), _) => (
            format!("{QUERY}/{module}/{}", in_path(function)?),
            args.unwrap_or_default(),
        ),
        (None, Some(input)) => (format!("{QUERY}/{module}"), input),
        // The command line requires arguments for the default function.
        (None, None) => (format!("{QUERY}/{module}/"), args.unwrap_or_default()),
    };
    let (is_answer, body) = client.post_bytes(&path, body.into())?;
    if is_answer {
        print(&body, form)?;
        return Ok(STOPPED);
    }
    let error: ErrorBody =
        serde_json::from_slice(&body).map_err(|error| Refusal::new(format!("the answer cannot be read: {error}")))?;
    // A newer daemon may have other codes, of calls that the module received.
    let was_asked = ErrorCode::of(&error.code).is_none_or(ErrorCode::is_of_a_begun_call);
    let refusals = Refusals::from(error);
    if was_asked {
        refusals.print();
        return Ok(FAILED);
    }
    Err(refusals)
}

/// A function's name as a part of a path. Other names than valid ones could form another path.
fn in_path(function: &str) -> Result<&str, Refusal> {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    match !function.is_empty() && function.bytes().all(is_valid) {
        true => Ok(function),
        false => Err(Refusal::new(format!(
            "`{}` is not the name of a function",
            harmless(function)
        ))),
    }
}

/// The question for `evaluate`, if there is one.
fn read(input: &Input) -> Result<Option<Vec<u8>>, Refusal> {
    match (&input.input, &input.input_hex, &input.input_file) {
        (Some(text), ..) => Ok(Some(text.clone().into_bytes())),
        (_, Some(digits), _) => match of_hex(digits) {
            Some(bytes) => Ok(Some(bytes)),
            None => Err(Refusal::new(
                "--input-hex: expected pairs of hexadecimal digits, 0x before them",
            )),
        },
        (.., Some(path)) => content(path).map(Some),
        (None, None, None) => Ok(None),
    }
}

/// The arguments of a function, if there are any.
fn arguments(arguments: &Arguments) -> Result<Option<Vec<u8>>, Refusal> {
    match (&arguments.args, &arguments.args_file) {
        (Some(json), _) => Ok(Some(json.clone().into_bytes())),
        (None, Some(path)) => content(path).map(Some),
        (None, None) => Ok(None),
    }
}

fn content(path: &Path) -> Result<Vec<u8>, Refusal> {
    file(path).map_err(|error| Refusal::of_input(path, &error))
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
