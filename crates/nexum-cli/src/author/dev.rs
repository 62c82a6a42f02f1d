//! `nexum dev`: builds a project on each change, and runs it on local chains.

mod command;
mod session;

use tokio::time::interval;

use self::session::Session;
use super::local::chains;
use super::local::reports::Reports;
use crate::exit_code::STOPPED;
use crate::process::Termination;
use crate::report::{Refusal, Refusals};
use crate::{args, process};

/// Runs until a signal, or until the author quits.
///
/// # Errors
///
/// Errors that prevent the start.
pub(crate) fn dev(args: &args::Dev) -> Result<u8, Refusals> {
    process::block_on(run(args))?
}

/// Runs on the main thread, which starts all child processes ([`super::local::leash`]).
async fn run(args: &args::Dev) -> Result<u8, Refusals> {
    let mut signals = Termination::with_hangup().map_err(|error| Refusal::of(&error))?;
    let reports = Reports::default();
    tokio::select! {
        biased;
        _ = signals.received() => return Ok(STOPPED),
        checked = chains::check(&args.chains) => checked?,
    }
    let mut session = Session::open(args, &reports)?;
    let mut looks = interval(session::LOOK_EVERY);
    loop {
        let step = async {
            let event = session.next(&mut looks).await;
            session.handle(event).await
        };
        tokio::select! {
            biased;
            _ = signals.received() => break,
            goes_on = step => if !goes_on {
                break;
            },
        }
    }
    reports.interrupt().await;
    session.close().await;
    Ok(STOPPED)
}
