//! The tender: watches sent transactions until the chain has settled them.
//!
//! It looks at each account and chain with open transactions whenever the chain has a new block. Every change of a
//! transaction is durable before its new bytes leave.

mod decide;
mod lane;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::join_all;
use nexum_core::capability::CapabilityRows;
use nexum_core::service::{Service, ServiceContext};
use nexum_core::store::StoreError;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use self::lane::LaneTender;
use crate::metrics;
use crate::rows::{Lane, ROWS, key};
use crate::transactions::{Shared, Transactions};

/// The most accounts times chains.
const LANES_MAX: usize = 10_000;

/// The looks that the pause after a failure of the store takes.
const STORE_PAUSE_LOOKS: u32 = 5;

#[async_trait]
impl Service for Transactions {
    async fn run(&self, context: ServiceContext, stop: CancellationToken) {
        *self.shared.context.lock() = Some(context.clone());
        let mut tender = Tender {
            shared: Arc::clone(&self.shared),
            rows: CapabilityRows::new(Arc::clone(&context.store), ROWS),
            context,
            lanes: HashMap::new(),
        };
        let work = async {
            loop {
                let pause = match tender.look().await {
                    Ok(()) => self.shared.config.look_every,
                    Err(error) => {
                        tracing::warn!(
                            target: crate::send::TARGET,
                            error = %nexum_config::causes::Causes(&error),
                            "nexum cannot look after its transactions: the state store failed"
                        );
                        tender.shared.config.look_every * STORE_PAUSE_LOOKS
                    }
                };
                sleep(pause).await;
            }
        };
        stop.run_until_cancelled(work).await;
    }
}

/// The work of the service.
struct Tender {
    shared: Arc<Shared>,
    rows: CapabilityRows,
    context: ServiceContext,
    lanes: HashMap<Lane, LaneTender>,
}

impl Tender {
    /// Looks at every account on every chain, once.
    async fn look(&mut self) -> Result<(), StoreError> {
        let known = self.rows.scan(&key::nonces(), None, LANES_MAX).await?;
        let chains = self.shared.chains.chains();
        let lanes = known.iter().filter_map(|(key, _)| key::lane_of(key));
        let lanes: Vec<_> = lanes.filter(|lane| chains.contains(&lane.chain)).collect();
        let mut looks = Vec::new();
        for lane in lanes {
            let Some(account) = self.shared.account(lane.account).cloned() else {
                continue;
            };
            if !self.shared.owns(&self.context, &account) {
                // Another process changes the rows meanwhile.
                if self.lanes.remove(&lane).is_some() {
                    self.shared.statuses.lock().remove(&lane);
                    metrics::lane(lane.chain, account.name(), 0, 0, false);
                }
                continue;
            }
            let state = self.lanes.remove(&lane).unwrap_or_default();
            let (shared, rows, context) = (&self.shared, &self.rows, &self.context);
            looks.push(async move {
                let mut state = state;
                let looked = state.look(shared, rows, context, lane, &account).await;
                (lane, state, looked)
            });
        }
        let mut result = Ok(());
        for (lane, state, looked) in join_all(looks).await {
            self.lanes.insert(lane, state);
            result = result.and(looked);
        }
        result
    }
}
