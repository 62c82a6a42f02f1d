//! The end of a run: modules finish their events, up to a deadline.

use std::collections::BTreeSet;
use std::time::Duration;

use nexum_config::engine::SHUTDOWN_DEADLINE_MS;
use nexum_config::names::ModuleName;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::Run;
use crate::capability::Handling;
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

/// A module whose work a shutdown abandoned.
#[derive(Clone, Debug)]
pub struct Abandoned {
    /// The module.
    pub module: ModuleName,
    /// The handler call that was in progress. Nothing of it is in the store, and nexum handles its event
    /// again after the next start. `None` if the module waited for a commit.
    pub handling: Option<Handling>,
    /// Whether every commit that the module waited for is durable. `None` if the store did not finish it,
    /// so that only the store knows.
    pub is_durable: Option<bool>,
}

impl Abandoned {
    /// Logs what is abandoned, after the end of the committer.
    pub(super) fn report(&mut self, has_committed: bool) {
        let module = self.module.as_str();
        let Some(handling) = &self.handling else {
            self.is_durable = has_committed.then_some(true);
            match has_committed {
                true => tracing::warn!(
                    target: "nexum::event",
                    module,
                    "nexum abandons the module while it waits for a commit, which is durable now"
                ),
                false => tracing::error!(
                    target: "nexum::event",
                    module,
                    "nexum abandons the module while it waits for a commit, which the state store does not finish: \
                     the next start continues after the commit if it is in the store, and otherwise handles its \
                     events again"
                ),
            }
            return;
        };
        self.is_durable = Some(false);
        let call = handling.host_call.as_ref();
        tracing::warn!(
            target: "nexum::event",
            module,
            handler = %handling.handler,
            attempt = handling.attempt,
            elapsed_ms = millis(handling.elapsed),
            host_call = call.map(|call| format!("{} {}", call.kind.name(), call.method)),
            endpoint = call.and_then(|call| call.endpoint.as_deref()),
            host_call_ms = call.map(|call| millis(call.elapsed)),
            "nexum abandons the event: nothing of it is committed, and the next start handles it again"
        );
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
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

/// The work of a module at the moment at which nexum abandons it.
fn abandon(status: &ModuleStatus) -> Abandoned {
    let handling = status.handling();
    Abandoned {
        module: status.name().clone(),
        is_durable: None,
        handling,
    }
}
