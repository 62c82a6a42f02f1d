//! An installation of several processes on one store, whose modules a test distributes.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use nexum_config::names::ModuleName;
use nexum_core::membership::{Membership, Offer, Tenure};
use nexum_core::store::{Batch, Location, StoreError, View};
use nexum_core::{Reason, StateStore};
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// An installation. Its members share the content of one store.
#[derive(Debug)]
pub struct Installation {
    store: Arc<dyn StateStore>,
    /// The number of the last ownership of each module.
    numbers: Mutex<BTreeMap<ModuleName, u64>>,
}

/// A member of an [`Installation`], and its access to the store. Clones are the same member.
#[derive(Clone, Debug)]
pub struct Member {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Arc<dyn StateStore>,
    /// The number of the present epoch, and whether the member may write. A write holds the lock.
    epoch: RwLock<(u64, bool)>,
    tenure: watch::Sender<Tenure>,
    offers: Mutex<BTreeMap<ModuleName, Offer>>,
    promoted: Mutex<Vec<ModuleName>>,
    /// Whether the member has left.
    left: watch::Sender<bool>,
}

impl Installation {
    /// An installation on a store, without members.
    pub fn new(store: Arc<dyn StateStore>) -> Self {
        Self {
            store,
            numbers: Mutex::default(),
        }
    }

    /// A new member, which owns no module.
    pub fn member(&self) -> Member {
        let member = self.outsider();
        member.joins();
        member
    }

    /// A process that has not [joined](Member::joins) yet.
    pub fn outsider(&self) -> Member {
        let inner = Inner {
            store: self.store.clone(),
            epoch: RwLock::new((0, false)),
            tenure: watch::Sender::new(Tenure::default()),
            offers: Mutex::default(),
            promoted: Mutex::default(),
            left: watch::Sender::new(false),
        };
        Member { inner: Arc::new(inner) }
    }

    /// Gives a module without an owner to a member.
    pub fn give(&self, member: &Member, module: &str) {
        let module = name(module);
        let mut numbers = self.numbers.lock();
        let number = numbers.entry(module.clone()).or_default();
        *number += 1;
        member.inner.tenure.send_modify(|tenure| {
            tenure.elsewhere.remove(&module);
            tenure.owned.insert(module, *number);
        });
    }

    /// Moves a module from its owner to another member: returns when the owner has released it.
    pub async fn hand_over(&self, from: &Member, to: &Member, module: &str) {
        from.asks_for(module);
        from.released(module).await;
        self.give(to, module);
    }
}

impl Member {
    /// The member's access to the store, which ends with its epoch.
    pub fn store(&self) -> Arc<dyn StateStore> {
        Arc::new(self.clone())
    }

    /// Begins the next epoch of the process.
    pub fn joins(&self) {
        let epoch = {
            let mut held = self.inner.epoch.write();
            *held = (held.0 + 1, true);
            held.0
        };
        self.inner.tenure.send_modify(|tenure| {
            tenure.lost = None;
            tenure.epoch = Some(epoch);
        });
    }

    /// Asks the member to release a module.
    pub fn asks_for(&self, module: &str) {
        let leaving = |tenure: &mut Tenure| drop(tenure.leaving.insert(name(module), "a test asks for it".into()));
        self.inner.tenure.send_modify(leaving);
    }

    /// Waits until the member has released a module.
    pub async fn released(&self, module: &str) {
        let mut tenure = self.inner.tenure.subscribe();
        let is_released = |tenure: &Tenure| !tenure.owned.contains_key(&name(module));
        // The sender is in `self`.
        let _ = tenure.wait_for(is_released).await;
    }

    /// Ends the member's epoch, as another member does that declares it dead. Waits for a write in
    /// progress. The member does not notice.
    pub fn fence(&self) {
        self.inner.epoch.write().1 = false;
    }

    /// Lets the member notice that it has lost its modules. It joins again after it has vacated them.
    pub fn notices(&self) {
        self.fence();
        let lost = Reason {
            text: "a test has declared the node dead".into(),
            since_ms: 0,
        };
        self.inner.tenure.send_replace(Tenure {
            lost: Some(lost),
            ..Tenure::default()
        });
    }

    /// Waits until the member has vacated its modules and has joined again.
    pub async fn vacated(&self) {
        let mut tenure = self.inner.tenure.subscribe();
        // The sender is in `self`.
        let _ = tenure.wait_for(|tenure| tenure.lost.is_none()).await;
    }

    /// The modules that the member offers.
    pub fn offers(&self) -> BTreeMap<ModuleName, Offer> {
        self.inner.offers.lock().clone()
    }

    /// The modules whose version the member has made the one of the installation, in order.
    pub fn promoted(&self) -> Vec<ModuleName> {
        self.inner.promoted.lock().clone()
    }

    /// Whether the member has left the installation.
    pub fn has_left(&self) -> bool {
        *self.inner.left.borrow()
    }
}

#[async_trait]
impl Membership for Member {
    fn tenure(&self) -> watch::Receiver<Tenure> {
        self.inner.tenure.subscribe()
    }

    fn offer(&self, offers: BTreeMap<ModuleName, Offer>) {
        *self.inner.offers.lock() = offers;
    }

    fn promote(&self, module: &ModuleName) {
        self.inner.promoted.lock().push(module.clone());
    }

    fn release(&self, module: &ModuleName) {
        self.inner.tenure.send_modify(|tenure| {
            tenure.owned.remove(module);
            tenure.leaving.remove(module);
        });
    }

    fn vacate(&self) {
        self.joins();
    }

    async fn run(&self, stop: CancellationToken) {
        stop.cancelled().await;
        self.inner.left.send_replace(true);
    }
}

impl StateStore for Member {
    fn view(&self) -> Result<Box<dyn View>, StoreError> {
        self.inner.store.view()
    }

    fn frozen(&self) -> Result<Box<dyn View>, StoreError> {
        self.inner.store.frozen()
    }

    fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        let epoch = self.inner.epoch.read();
        match *epoch {
            (_, true) => self.inner.store.write(batch),
            (epoch, false) => Err(StoreError::Fenced { epoch }),
        }
    }

    fn check_lease(&self) -> Result<(), StoreError> {
        match *self.inner.epoch.read() {
            (_, true) => Ok(()),
            (epoch, false) => Err(StoreError::Fenced { epoch }),
        }
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn location(&self) -> Option<Location> {
        self.inner.store.location()
    }
}

fn name(module: &str) -> ModuleName {
    module
        .parse()
        .unwrap_or_else(|_| panic!("{module} is no name of a module"))
}
