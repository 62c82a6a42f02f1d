//! A runner's waits for the state store.

use std::error::Error;
use std::time::Duration;

use super::lifecycle::Life;
use super::{Feed, RETRY_DELAY_MS, RETRY_DELAY_MS_MAX, Runner, Stage};

/// The store's failures since the module last had no event to handle. The handler of an event whose
/// commit fails runs again after each wait, so the waits grow until the module has caught up, and
/// not only until the store is readable.
#[derive(Debug)]
pub(super) struct Stall {
    /// The time of the first failure, in milliseconds since the Unix epoch.
    since_ms: u64,
    /// The next wait, in milliseconds.
    delay_ms: u64,
    /// Whether a read failed, and no step of the runner has succeeded since.
    has_failed_read: bool,
}

impl Stall {
    /// Returns the next wait. Each wait doubles the following one.
    fn next_delay(&mut self) -> Duration {
        let delay = Duration::from_millis(self.delay_ms);
        self.delay_ms = self.delay_ms.saturating_mul(2).min(RETRY_DELAY_MS_MAX);
        delay
    }
}

impl Runner {
    /// Loads the stored state, and continues from it.
    pub(super) async fn load_state(&mut self) {
        let was_off = self.life.was_off();
        self.life = Life::Starting { was_off };
        self.status.enter_for(Stage::Starting, "nexum loads the module's state");
        match self.transaction.reload().await {
            Ok(()) => self.begin_again(),
            Err(error) => self.stall_at_read(&error).await,
        }
    }

    /// Reports a failed read, and waits as [`Self::stall`] does.
    pub(super) async fn stall_at_read(&mut self, error: &(dyn Error + Send + Sync + 'static)) {
        self.report_read(error).await;
        self.stall(error).await;
    }

    /// Waits until the store is readable or a command arrives, and continues from the stored state.
    /// The failure has been reported.
    pub(super) async fn stall(&mut self, error: &(dyn Error + Send + Sync + 'static)) {
        self.discard_instance().await;
        let was_off = self.life.was_off();
        self.life = Life::Stalled { was_off };
        self.show_stall(error);
        while !self.mailbox.is_interrupted() {
            let delay = self.stalled().next_delay();
            tracing::debug!(
                target: "nexum::event",
                module = self.module.meta.name.as_str(),
                ?delay,
                "the module waits for the state store, and will continue from the stored state"
            );
            self.pause(delay).await;
            match self.transaction.reload().await {
                Ok(()) => return self.begin_again(),
                Err(error) => {
                    self.report_read(&error).await;
                    self.show_stall(&error);
                }
            }
        }
    }

    /// Records a successful step. `is_idle` tells that there is no further event now.
    pub(super) async fn end_stall(&mut self, is_idle: bool) {
        let Some(stall) = &mut self.stall else {
            return;
        };
        if std::mem::take(&mut stall.has_failed_read) {
            self.transaction.reads().ended().await;
        }
        if is_idle {
            self.stall = None;
        }
    }

    /// Continues from the stored state with a clean record, because a fault of the store may have
    /// caused the recorded failures.
    pub(super) fn begin_again(&mut self) {
        self.failures = super::Failures::default();
        self.feeds.iter_mut().for_each(Feed::resume);
        if self.life.was_off() {
            self.feeds.iter_mut().for_each(Feed::was_off);
        }
        self.life = Life::Live { instance: None };
        self.show_dead_letters();
        self.show_places();
    }

    async fn report_read(&mut self, error: &(dyn Error + Send + Sync + 'static)) {
        self.stalled().has_failed_read = true;
        self.transaction.reads().failed(error).await;
    }

    fn show_stall(&mut self, error: &(dyn Error + Send + Sync + 'static)) {
        let since_ms = self.stalled().since_ms;
        self.status.stall(error, since_ms);
    }

    /// The current stall, which begins now if there is none.
    fn stalled(&mut self) -> &mut Stall {
        let clock = &self.module.meta.clock;
        self.stall.get_or_insert_with(|| Stall {
            since_ms: clock.now_ms(),
            delay_ms: RETRY_DELAY_MS,
            has_failed_read: false,
        })
    }
}
