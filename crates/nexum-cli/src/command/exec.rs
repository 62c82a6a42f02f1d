//! `nexum exec`: one command, as a shell or systemd starts it.

use std::io::{self, Write as _};
use std::num::NonZeroU64;
use std::str::FromStr;
use std::time::Duration;

use nexum_exec::{Command, Limits, Stopped};
use sd_notify::NotifyState;

use crate::args::Exec;
use crate::exit_code::TRAPPED;
use crate::process::Termination;
use crate::report::print::errln;
use crate::report::{Refusal, Refusals};

/// What is told to whoever waits for the command on stdout, on a line of its own, before the command can print anything.
const READY: &str = "READY";

/// Runs a command to its end, and returns its exit code.
///
/// # Errors
///
/// Everything that kept it from being entered.
pub(crate) fn exec(args: &Exec) -> Result<u8, Refusals> {
    let command = command(args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Refusal::of(&error))?;
    let ended = runtime.block_on(run(command));
    // A thread that still reads or writes for the command must not keep the process.
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

/// The error does not repeat the text: what is in a variable may be a secret.
fn variable(text: &str) -> Result<(String, String), Refusal> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(Refusal::new("--env: a variable is given as NAME=VALUE")),
    }
}

async fn run(command: Command) -> Result<u8, Refusal> {
    let mut signals = Termination::new().map_err(|error| Refusal::of(&error))?;
    let ready = tokio::select! {
        loaded = command.load() => loaded.map_err(|error| Refusal::with_hint_of(&error))?,
        code = signals.received() => return Ok(code),
    };
    announce().map_err(|error| Refusal::new(format!("cannot say {READY}: {error}")))?;
    // A signal that is there when the command ends is why it ended, as far as anybody can tell: a shell sends it to a whole
    // pipeline, and the end of the others is what this one read.
    tokio::select! {
        biased;
        code = signals.received() => Ok(code),
        ended = ready.run() => Ok(ended.unwrap_or_else(|stopped| report(&stopped))),
    }
}

/// Says that the command is about to be entered.
fn announce() -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{READY}")?;
    stdout.flush()?;
    // Without systemd there is nobody to tell, which is no error.
    sd_notify::notify(&[NotifyState::Ready]).unwrap_or_else(|error| errln!("warning: cannot tell systemd: {error}"));
    Ok(())
}

fn report(stopped: &Stopped) -> u8 {
    Refusals::from(Refusal::of(stopped)).print();
    if let Some(backtrace) = &stopped.backtrace {
        errln!("backtrace:\n{backtrace}");
    }
    TRAPPED
}
