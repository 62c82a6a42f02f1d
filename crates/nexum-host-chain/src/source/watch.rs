//! Shows the state of a chain while its source runs: in metrics and, for a chain that no module
//! follows, in the log.

use std::convert::Infallible;
use std::time::Duration;

use nexum_core::source::{Extent, Outage};
use tokio::time::Instant;

use super::Reader;

/// The interval at which the gauges follow the state: an alert on them waits for longer, and a look
/// costs some microseconds.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Reader {
    /// Looks at the chain's state without end.
    pub(super) async fn watch(&self, is_followed: bool) -> Infallible {
        let begun = Instant::now();
        let mut outage = Outage::default();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            self.show();
            // The follower reports the outages of a followed chain.
            if !is_followed {
                self.log_outage(&mut outage, begun.elapsed());
            }
        }
    }

    /// Sets the gauges.
    pub(super) fn show(&self) {
        let followed = self.condition.followed();
        self.endpoints
            .show(followed.as_ref().map(|followed| &*followed.endpoint));
        self.trouble();
    }

    fn log_outage(&self, outage: &mut Outage, now: Duration) {
        let chain = self.chain_id;
        match self.trouble() {
            Some(trouble) => {
                if outage.failed(now).is_some() {
                    tracing::warn!(
                        chain,
                        reason = &*trouble.text,
                        "the chain cannot be read: nexum retries until it can"
                    );
                }
            }
            None => {
                if let Some(Extent { seconds, .. }) = outage.ended(now) {
                    tracing::info!(chain, seconds, "the chain can be read again: the outage is over");
                }
            }
        }
    }
}
