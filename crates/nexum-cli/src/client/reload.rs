//! The configuration of the running daemon: `nexum reload`, `nexum config show --running`.

use hyper::Method;

use super::Client;
use crate::args::Format;
use crate::exit_code::STOPPED;
use crate::protocol::config::EffectiveConfig;
use crate::protocol::reload::{ReloadReport, ReloadRequest};
use crate::protocol::{CONFIG, RELOAD};
use crate::report::Refusals;
use crate::report::print::{errln, json_on_stdout, outln};

/// Reloads the configuration of the running daemon, and shows what changes.
///
/// # Errors
///
/// The errors of the configuration and of the modules. Nothing was changed.
pub(crate) fn reload(client: &Client<'_>, dry_run: bool, format: Format) -> Result<u8, Refusals> {
    let request = ReloadRequest { dry_run };
    let asked: Result<ReloadReport, _> = client.ask(Method::POST, RELOAD, &request);
    let report = asked.inspect_err(|_| errln!("nothing was changed"))?;
    match format {
        Format::Json => json_on_stdout(&report)?,
        Format::Text => print(&report),
    }
    Ok(STOPPED)
}

/// The configuration of the running daemon.
///
/// # Errors
///
/// If no daemon answers.
pub(crate) fn running(client: &Client<'_>) -> Result<EffectiveConfig, Refusals> {
    client.get(CONFIG)
}

fn print(report: &ReloadReport) {
    for warning in &report.warnings {
        errln!("warning: {warning}");
    }
    outln!(
        "{}",
        match (report.is_empty(), report.dry_run) {
            (true, _) => "the configuration has not changed",
            (false, true) => "a reload would make these changes:",
            (false, false) => "the configuration is reloaded, with these changes:",
        }
    );
    for line in report.lines() {
        outln!("{line}");
    }
}
