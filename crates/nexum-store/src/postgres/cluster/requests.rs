//! The requests of the supervisor, and the tenure that it reads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nexum_config::names::ModuleName;
use nexum_core::Reason;
use nexum_core::clock::{Clock, SystemClock};
use nexum_core::membership::{Offer, Tenure};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

/// The requests of the supervisor that the membership has not carried out, and the tenure.
#[derive(Debug)]
pub(super) struct Requests {
    pending: Mutex<Pending>,
    /// Wakes the membership.
    pub(super) woken: Notify,
    tenure: watch::Sender<Tenure>,
    clock: SystemClock,
}

#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) offers: Arc<BTreeMap<ModuleName, Offer>>,
    /// Whether the database does not have the offers yet.
    pub(super) has_new_offers: bool,
    pub(super) promoted: BTreeSet<ModuleName>,
    /// The modules to give up, with the reasons.
    pub(super) released: BTreeMap<ModuleName, Arc<str>>,
}

impl Requests {
    pub(super) fn new() -> Self {
        Self {
            pending: Mutex::default(),
            woken: Notify::new(),
            tenure: watch::Sender::default(),
            clock: SystemClock::new(),
        }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Tenure> {
        self.tenure.subscribe()
    }

    pub(super) fn owned(&self) -> BTreeMap<ModuleName, u64> {
        self.tenure.borrow().owned.clone()
    }

    pub(super) fn offers(&self) -> Arc<BTreeMap<ModuleName, Offer>> {
        self.pending.lock().offers.clone()
    }

    pub(super) fn pending<T>(&self, read: impl FnOnce(&mut Pending) -> T) -> T {
        read(&mut self.pending.lock())
    }

    pub(super) fn offer(&self, offers: BTreeMap<ModuleName, Offer>) {
        let mut pending = self.pending.lock();
        if *pending.offers != offers {
            pending.offers = Arc::new(offers);
            pending.has_new_offers = true;
            self.woken.notify_one();
        }
    }

    pub(super) fn promote(&self, module: &ModuleName) {
        self.pending.lock().promoted.insert(module.clone());
        self.woken.notify_one();
    }

    pub(super) fn release(&self, module: &ModuleName) {
        // The lock is held, so that the membership cannot find the module owned and not released.
        let mut pending = self.pending.lock();
        self.tenure.send_if_modified(|tenure| {
            let Some(_) = tenure.owned.remove(module) else {
                return false;
            };
            let why = tenure.leaving.remove(module);
            let why = why.unwrap_or_else(|| "the node does not run the module any more".into());
            pending.released.insert(module.clone(), why);
            true
        });
        self.woken.notify_one();
    }

    /// Ends a loss.
    pub(super) fn vacate(&self) {
        self.tenure.send_if_modified(|tenure| tenure.lost.take().is_some());
    }

    /// Waits for the end of a loss.
    pub(super) async fn vacated(&self) {
        // The sender lives as long as this.
        let _ = self.tenure.subscribe().wait_for(|tenure| tenure.lost.is_none()).await;
    }

    /// Notes that the database has these offers.
    pub(super) fn offered(&self, offers: &Arc<BTreeMap<ModuleName, Offer>>) {
        let mut pending = self.pending.lock();
        pending.has_new_offers &= !Arc::ptr_eq(&pending.offers, offers);
    }

    /// Adds groups that the node has got. Leaves out those that the supervisor has just released.
    pub(super) fn gain(&self, gained: impl IntoIterator<Item = (ModuleName, u64)>) {
        let pending = self.pending.lock();
        let gained = gained
            .into_iter()
            .filter(|(name, _)| !pending.released.contains_key(name));
        let gained: Vec<_> = gained.collect();
        if gained.is_empty() {
            return;
        }
        self.tenure.send_modify(|tenure| {
            for (name, number) in gained {
                tenure.elsewhere.remove(&name);
                tenure.owned.insert(name, number);
            }
        });
    }

    /// Begins a membership with this epoch.
    pub(super) fn join(&self, epoch: u64) {
        self.tenure.send_modify(|tenure| tenure.epoch = Some(epoch));
    }

    /// Replaces the modules that have to go, the reasons of the modules that run elsewhere, and the owners.
    pub(super) fn explain(
        &self,
        leaving: BTreeMap<ModuleName, Arc<str>>,
        elsewhere: BTreeMap<ModuleName, (String, u64)>,
        owners: BTreeMap<ModuleName, Arc<str>>,
    ) {
        self.tenure.send_if_modified(|tenure| {
            let mut leaving = leaving;
            leaving.retain(|name, _| tenure.owned.contains_key(name));
            let reason = |(text, since_ms): (String, u64)| Reason {
                text: text.into(),
                since_ms,
            };
            let elsewhere = elsewhere
                .into_iter()
                .filter(|(name, _)| !tenure.owned.contains_key(name));
            let elsewhere: BTreeMap<_, _> = elsewhere.map(|(name, found)| (name, reason(found))).collect();
            let is_new = tenure.leaving != leaving || tenure.elsewhere != elsewhere || tenure.owners != owners;
            tenure.leaving = leaving;
            tenure.elsewhere = elsewhere;
            tenure.owners = owners;
            is_new
        });
    }

    /// Gives one reason to all offered modules, because the node is not a member.
    pub(super) fn explain_all(&self, text: &str) {
        let offers = self.offers();
        let now_ms = self.clock.now_ms();
        self.tenure.send_if_modified(|tenure| {
            let known = tenure.elsewhere.values().find(|reason| *reason.text == *text).cloned();
            let reason = known.unwrap_or_else(|| Reason {
                text: text.into(),
                since_ms: now_ms,
            });
            let elsewhere: BTreeMap<_, _> = offers.keys().map(|name| (name.clone(), reason.clone())).collect();
            let is_new = tenure.elsewhere != elsewhere;
            tenure.elsewhere = elsewhere;
            is_new
        });
    }

    /// Ends the ownership of all modules. `is_lost` is false if the supervisor has ended it.
    pub(super) fn end(&self, text: &str, is_lost: bool) {
        self.pending.lock().released.clear();
        let reason = Reason {
            text: text.into(),
            since_ms: self.clock.now_ms(),
        };
        let offers = self.offers();
        self.tenure.send_modify(|tenure| {
            *tenure = Tenure {
                elsewhere: offers.keys().map(|name| (name.clone(), reason.clone())).collect(),
                lost: is_lost.then_some(reason),
                ..Tenure::default()
            };
        });
    }
}
