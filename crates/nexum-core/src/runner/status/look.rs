//! The conditions of a module that its runner does not notice: the trouble of its chains, and the
//! distance to their heads.

use std::collections::BTreeMap;

use nexum_config::topic::{ChainId, ChainTopic};

use super::ModuleStatus;
use crate::bus::report::Trouble;
use crate::outage::Extent;
use crate::runner::place::Place;
use crate::runner::stage::Stage;

impl ModuleStatus {
    /// Looks at the module's chains, about once a second: whether one of them has `troubles`, and
    /// whether the module is behind. While a chain has trouble, nexum does not know the latter.
    pub(crate) fn look(&self, troubles: &BTreeMap<ChainId, Trouble>) {
        let module = self.module();
        let required = module.required_chains.iter().copied();
        let followed = module
            .subscriptions
            .iter()
            .filter_map(|subscription| subscription.chain_id());
        let trouble = required.chain(followed).find_map(|chain_id| {
            let trouble = troubles.get(&chain_id)?;
            Some(Trouble {
                text: format!("chain {chain_id}: {}", trouble.text).into(),
                ..trouble.clone()
            })
        });
        for place in &*self.places.lock() {
            if let Place::Chain(place) = place {
                place.set_trouble(troubles.contains_key(&place.topic().chain_id));
            }
        }
        let has_trouble = trouble.is_some();
        self.show_if(|shown, _| shown.set_trouble(trouble));
        if has_trouble {
            return;
        }
        let behind = self.most_behind();
        let why = behind.map(|(topic, blocks)| match self.time_use().largest() {
            Some(share) => share.to_string(),
            None => format!("chain {topic}: {blocks} blocks behind"),
        });
        self.report_behind(behind, why.as_deref());
        self.show_if(|shown, now_ms| shown.set_behind(why.map(Into::into), now_ms));
    }

    /// The topic in which the module is furthest behind, and by how many blocks. `None` if the module
    /// keeps up, or replays. A module that has been behind catches up to half of the bound first, so
    /// that it does not seem to recover with each block.
    fn most_behind(&self) -> Option<(ChainTopic, u64)> {
        let (is_live, was_behind) = {
            let shown = self.shown.borrow();
            (shown.is_live(), shown.is_behind())
        };
        let most = match was_behind {
            true => Stage::BEHIND_BLOCKS_MAX / 2,
            false => Stage::BEHIND_BLOCKS_MAX,
        };
        let places = self.places.lock();
        let chains = places.iter().filter_map(|place| match place {
            Place::Chain(place) => Some((place.topic(), place.behind()?)),
            Place::Schedule(_) => None,
        });
        let furthest = chains.max_by_key(|(_, blocks)| *blocks);
        furthest.filter(|(_, blocks)| is_live && *blocks > most)
    }

    /// Logs that the module is behind although it runs, and later that it no longer is.
    fn report_behind(&self, behind: Option<(ChainTopic, u64)>, why: Option<&str>) {
        let (now, module) = (self.monotonic(), self.name.as_str());
        let is_running = self.shown.borrow().is_running();
        let mut reports = self.behind.lock();
        match behind {
            Some(_) if !is_running => {}
            Some((chain, blocks)) => {
                if let Some(Extent { seconds, .. }) = reports.failed(now) {
                    tracing::warn!(
                        target: "nexum::event",
                        module, %chain, blocks, why, seconds,
                        "the module is behind the head"
                    );
                }
            }
            None => {
                if let Some(Extent { seconds, .. }) = reports.ended(now) {
                    tracing::info!(target: "nexum::event", module, seconds, "the module is no longer behind the head");
                }
            }
        }
    }
}
