//! Reloads of the module in the running daemon, and the configuration for a restart.

use std::future::pending;

use super::{Event, LOADS, Running, Session};
use crate::author::local::daemon::ask;
use crate::author::local::site::{Draft, Module};
use crate::report::print::outln;
use crate::report::{Refusal, Refusals};

/// The end of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::author::dev) enum Reloaded {
    /// The daemon runs the new version.
    Done,
    /// The daemon refuses the new version, and has printed the reason.
    Refused,
    /// The daemon has no module with the name: it has refused the first version, or the author has renamed
    /// the module.
    Unknown,
}

impl Running {
    /// Waits for the next line, or for the end of the reload.
    pub(super) async fn next(&mut self) -> Event {
        let reloaded = async {
            match self.reload.join_next().await {
                Some(reloaded) => reloaded,
                None => pending().await,
            }
        };
        tokio::select! {
            line = self.daemon.line() => Event::Line(line),
            reloaded = reloaded => {
                Event::Reloaded(reloaded.unwrap_or_else(|error| Err(Refusal::of(&error).into())))
            }
        }
    }
}

impl Session<'_> {
    /// Replaces the running module, or starts the daemon again if the project has more chains.
    pub(super) async fn reload(&mut self) -> Result<(), Refusals> {
        let (Some(built), Some(running)) = (&self.built, &mut self.daemon) else {
            return Ok(());
        };
        let (config, name) = (self.site.config(), built.module.name.to_string());
        let configured = self.site.chains(&built.manifest)?;
        if !configured.iter().all(|chain| self.chains.find(chain.id).is_some()) {
            return self.restart(false).await;
        }
        outln!("{LOADS}");
        running.reload.spawn(async move {
            if !ask(&config, &["limits", &name], false).await? {
                return Ok(Reloaded::Unknown);
            }
            match ask(&config, &["module", "reload", &name], true).await? {
                true => Ok(Reloaded::Done),
                false => Ok(Reloaded::Refused),
            }
        });
        Ok(())
    }

    /// Answers the end of a reload: with another one if the module was built again meanwhile.
    pub(super) async fn reloaded(&mut self, reloaded: Result<Reloaded, Refusals>) -> Result<(), Refusals> {
        let Some(running) = &mut self.daemon else {
            return Ok(());
        };
        let is_outdated = std::mem::take(&mut running.is_outdated);
        match reloaded? {
            Reloaded::Unknown => return self.restart(false).await,
            _ if is_outdated => return self.reload().await,
            Reloaded::Done => {
                if let Some(since) = self.changed_at.take() {
                    outln!("reloaded {:.1} s after the change", since.elapsed().as_secs_f64());
                }
            }
            Reloaded::Refused => self.changed_at = None,
        }
        Ok(())
    }

    /// The configuration for the daemon, checked in another thread.
    pub(super) async fn draft(&self, module: &Module) -> Result<Draft, Refusals> {
        let draft = self.site.draft(module, &self.chains, false)?;
        let original = self.site.original_path();
        let checked = self.reports.spawn(move |_| draft.checked(&original));
        checked.await.map_err(|error| Refusal::of(&error))?
    }

    /// Reports that the project's configuration prevents a restart.
    pub(super) fn not_restarted(&self, refusals: &Refusals) {
        refusals.print();
        outln!(
            "{}",
            match self.daemon {
                Some(_) => "the module keeps running as before",
                None => "the daemon did not start: nexum starts it after a change, or with `r` and Enter",
            }
        );
    }
}
