//! A runner's wait for the chains that its module requires, before the first `init`.

use nexum_config::causes::Causes;

use super::{Dead, Runner, Stage};
use crate::outage::Extent;

impl Runner {
    /// Waits until the required chains are readable, or until a command arrives. Each source bounds
    /// one wait.
    pub(super) async fn await_chains(&mut self) {
        while let Some(source) = self.awaited.last().cloned() {
            self.status.waits_for(source.chain_id());
            let ready = tokio::select! {
                biased;
                () = self.mailbox.interrupted() => return,
                ready = source.ready() => ready,
            };
            match ready {
                Ok(()) => drop(self.awaited.pop()),
                Err(error) if self.is_strict => {
                    self.status.refuse();
                    return self.enter_dead(&Dead::NotReady(error)).await;
                }
                Err(error) => {
                    self.status.waits(&error);
                    if let Some(Extent { seconds, attempts }) = self.awaited_outage.failed(self.monotonic()) {
                        tracing::error!(
                            target: "nexum::event",
                            module = self.module.meta.name.as_str(),
                            error = %Causes(&error),
                            seconds,
                            attempts,
                            "the module waits for a chain that it requires"
                        );
                    }
                }
            }
        }
        self.status.enter(Stage::Starting);
        if let Some(Extent { seconds, attempts }) = self.awaited_outage.ended(self.monotonic()) {
            tracing::info!(
                target: "nexum::event",
                module = self.module.meta.name.as_str(),
                seconds,
                attempts,
                "the chains that the module requires can be read, and the module starts"
            );
        }
    }
}
