//! The daemon of a component that is being checked: its log, and the events that it has handled.

use std::collections::BTreeSet;
use std::time::Duration;

use nexum_config::harmless::harmless;
use nexum_config::names::ModuleName;
use tokio::time::{Instant, timeout_at};

use super::expected::Expected;
use crate::author::local::builds::Built;
use crate::author::local::daemon::{Daemon, ask};
use crate::author::local::log::Log;
use crate::author::local::record::{Kind, Ready, Record};
use crate::author::local::reports::Reports;
use crate::author::local::site::Site;
use crate::client::Client;
use crate::protocol::modules;
use crate::report::print::outln;
use crate::report::{Refusal, Refusals};

/// The longest wait for a step of the daemon's start: a component of 18 MB takes about a minute to
/// compile, and several on a slow machine.
const START_MAX: Duration = Duration::from_secs(300);

/// The time without a line after which the test asks the daemon for its counters. A daemon that handles
/// events writes lines far more often.
const QUIET: Duration = Duration::from_secs(5);

/// The daemon, and the events that its log has shown.
pub(super) struct Watch<'a> {
    site: &'a Site,
    reports: &'a Reports,
    module: &'a ModuleName,
    daemon: Daemon,
    log: Log,
    ready: Ready,
    /// The ids of the module's handled events, without the finality.
    handled: BTreeSet<String>,
    /// The lines of the module's handled events.
    lines: u64,
}

impl<'a> Watch<'a> {
    /// Starts the daemon.
    ///
    /// # Errors
    ///
    /// If it cannot start.
    pub(super) fn start(site: &'a Site, built: &'a Built, reports: &'a Reports) -> Result<Self, Refusal> {
        Ok(Self {
            site,
            reports,
            module: &built.module.name,
            daemon: Daemon::start(&site.config(), &["--strict"])?,
            log: Log::default(),
            ready: Ready::of(&built.module.name, &built.manifest),
            handled: BTreeSet::new(),
            lines: 0,
        })
    }

    /// The number of different events that the module has handled.
    pub(super) fn handled(&self) -> usize {
        self.handled.len()
    }

    /// Waits until the module gets events.
    ///
    /// # Errors
    ///
    /// If the daemon ends, or if a step of its start takes too long.
    pub(super) async fn until_ready(&mut self) -> Result<(), Refusal> {
        let mut deadline = Instant::now() + START_MAX;
        while let Some(awaited) = self.ready.awaited() {
            let before = self.ready.clone();
            if let Ok(line) = timeout_at(deadline, self.daemon.line()).await {
                self.take(line)?;
            }
            if self.ready != before {
                deadline = Instant::now() + START_MAX;
            }
            // Lines without progress do not move the deadline.
            if Instant::now() >= deadline {
                let seconds = START_MAX.as_secs();
                return Err(Refusal::new(format!("nexum waited {seconds} s until {awaited}")));
            }
        }
        Ok(())
    }

    /// Does some work, and reads the log meanwhile: the daemon drops lines that wait too long.
    ///
    /// # Errors
    ///
    /// The error of the work, or a failure of the module.
    pub(super) async fn during<T>(&mut self, work: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                line = self.daemon.line() => drop(self.take(line)?),
            }
        }
    }

    /// Waits until the module has handled all of these events.
    ///
    /// # Errors
    ///
    /// If the module fails at an event or the daemon ends, or if an event is overdue.
    pub(super) async fn until_handled(&mut self, events: Vec<String>) -> Result<(), Refusals> {
        let mut expected = Expected::new(events, &self.handled, Instant::now());
        while !expected.is_complete() {
            let quiet = (Instant::now() + QUIET).min(expected.deadline());
            match timeout_at(quiet, self.daemon.line()).await {
                Ok(line) => {
                    if let Some(id) = self.take(line)? {
                        expected.handled(&id, Instant::now());
                    }
                }
                Err(_) if self.are_handled_without_lines(&expected).await? => {
                    outln!("the daemon dropped some lines of handled events, because nexum read them too slowly");
                    return Ok(());
                }
                Err(_) => {}
            }
            if let Some(overdue) = expected.overdue(Instant::now()) {
                return Err(overdue.into());
            }
        }
        Ok(())
    }

    /// Does some work until its end, and shows the log meanwhile. The work may cause failures of the
    /// module on purpose.
    pub(super) async fn beside<T>(&mut self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                line = self.daemon.line() => match line {
                    Some(line) => drop(self.note(&line)),
                    None => return work.await,
                },
            }
        }
    }

    /// Stops the daemon.
    pub(super) async fn stop(self) {
        self.daemon.stop().await;
    }

    /// Compares the counters of the daemon with the lines, and prints the dead letters of a failure
    /// without a line.
    async fn are_handled_without_lines(&self, expected: &Expected) -> Result<bool, Refusals> {
        let Some(module) = self.status().await? else {
            return Ok(false);
        };
        let are_handled = expected.are_handled_without_lines(&module, self.lines);
        if are_handled.is_err() {
            ask(
                &self.site.config(),
                &["dead-letter", "list", self.module.as_str()],
                true,
            )
            .await?;
        }
        Ok(are_handled?)
    }

    /// The counters of the module. `None` if the daemon has no module with the name.
    async fn status(&self) -> Result<Option<modules::Module>, Refusals> {
        let (directory, name) = (self.site.state_dir().into(), self.module.to_string());
        let modules = self.reports.spawn(move |_| Client::of(&directory).modules());
        let modules = modules.await.map_err(|error| Refusal::of(&error))??;
        Ok(modules.into_iter().find(|module| module.name == name))
    }

    /// Notes a line. Returns the id of an event that the module has handled.
    fn take(&mut self, line: Option<String>) -> Result<Option<String>, Refusal> {
        match line {
            Some(line) => self.note(&line),
            None => Err(Refusal::new("the daemon ended, for the reason above")),
        }
    }

    /// Shows a line of the daemon, and remembers its content.
    fn note(&mut self, line: &str) -> Result<Option<String>, Refusal> {
        let Some(record) = Record::parse(line) else {
            outln!("{}", harmless(line));
            return Ok(None);
        };
        self.log.show(&record);
        self.ready.note(&record);
        match (record.kind(), &record.event) {
            (Kind::Handled, Some(event)) if record.module() == Some(self.module.as_str()) => {
                let id = without_finality(event);
                self.lines += 1;
                self.handled.insert(id.clone());
                Ok(Some(id))
            }
            (Kind::Failed, _) => Err(Refusal::new(record.to_string())),
            _ => Ok(None),
        }
    }
}

/// An event id without the finality of its topic: `1:7:block` for `1@12:7:block`.
fn without_finality(id: &str) -> String {
    match id.split_once(':') {
        Some((topic, rest)) => format!("{}:{rest}", topic.split('@').next().unwrap_or(topic)),
        None => id.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_any_finality_is_that_of_its_block() {
        for (id, expected) in [
            ("1:7:block", "1:7:block"),
            ("1@12:7:logs", "1:7:logs"),
            ("1@finalized:7:logs", "1:7:logs"),
            ("00ff:1:tick", "00ff:1:tick"),
        ] {
            assert_eq!(without_finality(id), expected);
        }
    }
}
