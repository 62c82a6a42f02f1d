//! Causes the events of a module's subscriptions.

use std::collections::BTreeSet;
use std::time::Duration;

use nexum_config::manifest::{CatchUp, CronSubscription, Subscription};
use nexum_config::topic::{ChainTopic, Finality};
use nexum_core::clock::{Clock as _, SystemClock};

use crate::author::local::chains::LocalChains;
use crate::author::local::sample::{Emissions, samples};
use crate::report::Refusal;
use crate::report::print::outln;

/// A tick that is due later is not waited for.
const TICK_WAIT_MAX: Duration = Duration::from_secs(10);

/// The blocks that anvil needs on top of a block until it calls the block finalized: two of its
/// epochs.
const FINAL_BLOCKS: u64 = 64;

/// The subscriptions of a module, and the chains that their events come from.
pub(super) struct Causes<'a> {
    pub(super) subscriptions: &'a [Subscription],
    pub(super) chains: &'a LocalChains,
    pub(super) emissions: &'a mut Emissions,
}

impl Causes<'_> {
    /// Causes events of all subscriptions. Returns their ids, without the finality.
    ///
    /// # Errors
    ///
    /// If a node fails.
    pub(super) async fn all(&mut self, blocks: u64) -> Result<Vec<String>, Refusal> {
        let chains: BTreeSet<_> = self.subscriptions.iter().filter_map(Subscription::chain_id).collect();
        let mut expected = Vec::new();
        for chain in chains {
            expected.extend(self.mine(chain, blocks).await?);
        }
        for subscription in self.subscriptions {
            match subscription {
                Subscription::Logs(logs) => {
                    let Some(chain) = self.chains.find(logs.topic.chain_id) else {
                        continue;
                    };
                    let block = self.emissions.emit(&chain.rpc, samples(&logs.filter)).await?;
                    if is_reached(logs.from_block, block, subscription) {
                        expected.push(id(logs.topic, block, "logs"));
                    }
                    self.finish(logs.topic).await?;
                }
                Subscription::Cron(cron) => expected.extend(tick(cron)),
                _ => {}
            }
        }
        Ok(expected)
    }

    /// Mines blocks of a chain. Returns the events that the module gets for them.
    async fn mine(&self, chain_id: u64, blocks: u64) -> Result<Vec<String>, Refusal> {
        let Some(chain) = self.chains.find(chain_id) else {
            return Ok(Vec::new());
        };
        let head = chain.rpc.block_number().await?;
        chain.rpc.mine(blocks).await?;
        let mut expected = Vec::new();
        for subscription in self.subscriptions {
            let Subscription::Block(block) = subscription else {
                continue;
            };
            if block.topic.chain_id != chain_id || !is_reached(block.from_block, head + 1, subscription) {
                continue;
            }
            self.finish(block.topic).await?;
            let first = match block.catch_up {
                CatchUp::All => head + 1,
                CatchUp::Latest => head + blocks,
            };
            expected.extend((first..=head + blocks).map(|number| id(block.topic, number, "block")));
        }
        Ok(expected)
    }

    /// Mines the blocks after which the last one has the finality of a subscription.
    async fn finish(&self, topic: ChainTopic) -> Result<(), Refusal> {
        let more = match topic.finality {
            Finality::Latest => return Ok(()),
            Finality::Confirmations(count) => count.get(),
            Finality::Safe | Finality::Finalized => FINAL_BLOCKS,
        };
        match self.chains.find(topic.chain_id) {
            Some(chain) => chain.rpc.mine(more).await,
            None => Ok(()),
        }
    }
}

/// The tick of a schedule that is due soon. Says so if none is.
fn tick(cron: &CronSubscription) -> Option<String> {
    let now = SystemClock::new().now_ms();
    let next = cron.schedule.next_after(now)?;
    let wait = Duration::from_millis(next.saturating_sub(now));
    if wait > TICK_WAIT_MAX {
        outln!(
            "not tested: the next tick at {} is due in {} s",
            cron.schedule,
            wait.as_secs()
        );
        return None;
    }
    Some(format!("{:016x}:{next}:tick", cron.schedule.id().0))
}

/// Whether a subscription has begun at a block. Says so if not.
fn is_reached(from_block: Option<u64>, number: u64, subscription: &Subscription) -> bool {
    let is_reached = from_block.is_none_or(|from| from <= number);
    if !is_reached {
        outln!("not tested: {subscription} begins above block {number} of the local chain");
    }
    is_reached
}

fn id(topic: ChainTopic, number: u64, kind: &str) -> String {
    format!("{}:{number}:{kind}", topic.chain_id)
}
