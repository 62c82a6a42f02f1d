//! Watches the conditional orders of CoW Protocol, and posts each discrete order when it is due.
//!
//! # How data flows
//!
//! Logs of ComposableCoW become stored orders ([`index`], [`state`]). Each order has one place in the index
//! of what is due: by block, by time, or at every block ([`agenda`]). A block reads the orders that are due,
//! polls them ([`watch`], [`poll`]), reads the answers ([`verdict`]), and places the discrete orders
//! ([`submit`]).
//!
//! # Invariants
//!
//! - All decisions follow from the event, the state and the chain at the event's block: an event that is
//!   retried submits identical orders.
//! - No data of a log or of an answer makes an event fail.
//! - Each stored order has a reason ([`state::Reason`]).

mod agenda;
mod answers;
mod contracts;
mod index;
mod leaves;
mod offer;
mod policy;
mod poll;
mod quote;
mod schedule;
mod state;
mod submit;
#[cfg(test)]
mod tests;
mod verdict;
mod watch;

use nexum_sdk::cow::Domain;
use nexum_sdk::{Block, ErrorKind, Json, Log, Result, bail, module};

use answers::{Answer, Question};
use index::Indexer;
use policy::{ORDERS_PER_OWNER_MAX, Settings};

struct Tower {
    settings: Settings,
    domain: Domain,
}

#[module]
impl Tower {
    fn init(settings: Settings) -> Result<Self> {
        if settings.orders_per_owner_max > ORDERS_PER_OWNER_MAX {
            bail!(ErrorKind::InvalidInput; "config: orders_per_owner_max is at most {ORDERS_PER_OWNER_MAX}");
        }
        let domain = Domain::new(settings.chain_id, settings.settlement);
        Ok(Self { settings, domain })
    }

    #[on_logs]
    async fn index(&mut self, mut logs: Vec<Log>) -> Result {
        logs.retain(|log| log.chain_id == self.settings.chain_id && log.address == self.settings.composable_cow);
        if logs.is_empty() {
            return Ok(());
        }
        Indexer::new(&self.settings)?.logs(&logs).await
    }

    #[on_block]
    async fn watch(&mut self, block: Block) -> Result {
        if block.chain_id != self.settings.chain_id {
            return Ok(());
        }
        watch::block(&self.settings, self.domain, block).await
    }

    #[query]
    fn answer(&self, Json(question): Json<Question>) -> Result<Json<Answer>> {
        question.answer().map(Json)
    }
}
