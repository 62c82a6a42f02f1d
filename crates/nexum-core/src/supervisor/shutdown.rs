//! The end of a run: modules finish their events, up to a deadline.

use std::collections::BTreeSet;
use std::time::Duration;

use nexum_config::engine::SHUTDOWN_DEADLINE_MS;
use nexum_config::names::ModuleName;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::Run;
use crate::runner::ModuleStatus;

/// How long an abandoned runner, and then the store, may take after the deadline. An abandoned runner
/// ends at its next wait, at the latest after a time slice of its guest. A disk writes the commits that
/// wait in less.
const ABANDON_WAIT: Duration = Duration::from_secs(1);

/// The bounds on the end of a run.
#[derive(Clone, Debug)]
pub struct Shutdown {
    /// The time for events in progress, from the stop on. The run then abandons them. Default:
    /// [`SHUTDOWN_DEADLINE_MS`].
    pub deadline: Duration,
    /// Abandons the events in progress at once, before the deadline.
    pub now: CancellationToken,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            deadline: Duration::from_millis(SHUTDOWN_DEADLINE_MS),
            now: CancellationToken::new(),
        }
    }
}

/// The deadline of a shutdown in progress.
pub(super) struct Deadline {
    at: Instant,
    now: CancellationToken,
}

impl Shutdown {
    /// The deadline of a shutdown that begins now.
    pub(super) fn begin(self) -> Deadline {
        Deadline {
            at: Instant::now() + self.deadline,
            now: self.now,
        }
    }
}

impl Deadline {
    /// Waits until the run must not wait any longer.
    pub(super) async fn passed(&self) {
        tokio::select! {
            () = sleep_until(self.at) => {}
            () = self.now.cancelled() => {}
        }
    }

    /// Waits for the end of `work` until the deadline, and a little longer if the deadline has passed
    /// already. Returns whether the work has ended.
    pub(super) async fn bound(&self, work: impl Future<Output = ()>) -> bool {
        let late = async {
            self.passed().await;
            tokio::time::sleep(ABANDON_WAIT).await;
        };
        tokio::select! {
            biased;
            () = work => true,
            () = late => false,
        }
    }
}

/// A module whose event a shutdown abandoned. nexum handles the event again after the next start, unless
/// its commit [is durable](Self::is_durable).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abandoned {
    /// The module.
    pub module: ModuleName,
}

impl Run {
    /// Ends the sources, and then every runner after its current event. Returns the modules whose events
    /// are abandoned at the deadline.
    pub(super) async fn end_all(&mut self, deadline: &Deadline) -> Vec<Abandoned> {
        self.modules.all_events().iter().for_each(|status| status.end());
        let is_finished = tokio::select! {
            biased;
            () = self.finish_all() => true,
            () = deadline.passed() => false,
        };
        if is_finished {
            return Vec::new();
        }
        let left: BTreeSet<_> = self.names.values().cloned().collect();
        let statuses = self.modules.all_events();
        let abandoned = statuses.iter().filter(|status| left.contains(status.name()));
        let abandoned: Vec<_> = abandoned.map(|status| abandon(status)).collect();
        self.runners.abort_all();
        let aborted = async { while self.runners.join_next().await.is_some() {} };
        if timeout(ABANDON_WAIT, aborted).await.is_err() {
            tracing::error!("a module does not let its thread go: it ends with the process");
        }
        abandoned
    }

    async fn finish_all(&mut self) {
        let lost = self.chains.finish().await;
        self.lost.extend(lost);
        while let Some(ended) = self.runners.join_next_with_id().await {
            let id = match &ended {
                Ok((id, ())) => *id,
                Err(panic) => panic.id(),
            };
            self.names.remove(&id);
        }
    }
}

/// Records that the event of a module is abandoned.
fn abandon(status: &ModuleStatus) -> Abandoned {
    Abandoned {
        module: status.name().clone(),
    }
}
