//! `nexum exec`: one command, as a shell or systemd starts it.

use std::io::{self, Write as _};
use std::num::NonZeroU64;
use std::str::FromStr;
use std::time::Duration;

use nexum_exec::{Command, Limits, LoadError, Stopped};
use sd_notify::NotifyState;

use crate::args::Exec;
use crate::exit_code::{REFUSED, TRAPPED};
use crate::process::Termination;
use crate::report::print::errln;
use crate::report::{Refusal, Refusals};

/// The line on stdout that tells a supervisor that the command starts. It precedes all output of
/// the command, except that of its `weft_ready`.
const READY: &str = "READY";

/// Runs a command to its end. Returns its exit code.
///
/// # Errors
///
/// Errors that prevent the start of the command.
pub(crate) fn exec(args: &Exec) -> Result<u8, Refusals> {
    let command = command(args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Refusal::of(&error))?;
    let ended = runtime.block_on(run(command));
    // A thread that still reads or writes for the command must not delay the end of the process.
    runtime.shutdown_background();
    Ok(ended?)
}

fn command(args: &Exec) -> Result<Command, Refusal> {
    let limits = Limits {
        fuel: args.fuel.and_then(NonZeroU64::new),
        memory_bytes: args
            .memory_mib
            .map_or(Limits::default().memory_bytes, |mebibytes| mebibytes << 20),
        deadline: args.deadline.map(Duration::from_secs),
    };
    Ok(Command::new(&args.package)
        .args(args.args.iter().cloned())
        .env(
            args.env
                .iter()
                .map(|text| variable(text))
                .collect::<Result<Vec<_>, _>>()?,
        )
        .dirs(parse_all("--dir", &args.dirs)?)
        .destinations(parse_all("--allow-net", &args.allow_net)?)
        .limits(limits))
}

fn parse_all<T: FromStr<Err: std::error::Error>>(option: &str, texts: &[String]) -> Result<Vec<T>, Refusal> {
    let parse = |text: &String| {
        let parsed = text.parse();
        parsed.map_err(|error| Refusal::new(format!("{option} {text}: {error}")))
    };
    texts.iter().map(parse).collect()
}

/// Parses `NAME=VALUE`. The error does not contain the text, because a value may be a secret.
fn variable(text: &str) -> Result<(String, String), Refusal> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(Refusal::new("--env: a variable is given as NAME=VALUE")),
    }
}

async fn run(command: Command) -> Result<u8, Refusal> {
    let mut signals = Termination::new().map_err(|error| Refusal::of(&error))?;
    let ready = tokio::select! {
        loaded = command.load() => match loaded {
            Ok(ready) => ready,
            Err(error) => return Ok(refuse(&error)),
        },
        code = signals.received() => return Ok(code),
    };
    announce().map_err(|error| Refusal::new(format!("cannot print {READY}: {error}")))?;
    // A signal that is pending when the command ends counts as the cause of the end. A shell sends
    // a signal to a whole pipeline, and the command may have read the end of another program's
    // output first.
    tokio::select! {
        biased;
        code = signals.received() => Ok(code),
        ended = ready.run() => Ok(ended.unwrap_or_else(|stopped| report(&stopped))),
    }
}

/// Announces that the command starts.
fn announce() -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{READY}")?;
    stdout.flush()?;
    // Without systemd there is nothing to notify, which is not an error.
    sd_notify::notify(&[NotifyState::Ready]).unwrap_or_else(|error| errln!("warning: cannot tell systemd: {error}"));
    Ok(())
}

fn refuse(error: &LoadError) -> u8 {
    Refusals::from(Refusal::with_hint_of(error)).print();
    if let LoadError::NotReady { stopped, .. } = error {
        print_backtrace(stopped);
    }
    REFUSED
}

fn report(stopped: &Stopped) -> u8 {
    Refusals::from(Refusal::of(stopped)).print();
    print_backtrace(stopped);
    TRAPPED
}

fn print_backtrace(stopped: &Stopped) {
    if let Some(backtrace) = &stopped.backtrace {
        errln!("backtrace:\n{backtrace}");
    }
}
