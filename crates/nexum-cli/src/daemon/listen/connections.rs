//! The connections of a listener: their number, and which one a new connection replaces.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The open connections. Each is busy while a request is handled, and idle otherwise.
pub(super) struct Connections(Arc<Shared>);

struct Shared {
    max: usize,
    open: Mutex<Open>,
    /// Notifies that a connection has ended or become idle.
    changed: Notify,
}

#[derive(Default)]
struct Open {
    /// The number of the last change.
    turn: u64,
    /// Idle connections, by the turn in which each became idle: the first has been idle for the longest time.
    idle: BTreeMap<u64, CancellationToken>,
    busy: usize,
}

impl Open {
    fn add_idle(&mut self, replaced: &CancellationToken) -> u64 {
        self.turn += 1;
        self.idle.insert(self.turn, replaced.clone());
        self.turn
    }
}

/// Not a turn: turns begin at 1.
const BUSY: u64 = 0;

/// One connection. Dropping it, and each [`Busy`] of it, makes room for another.
pub(super) struct Connection(Arc<Place>);

/// The place of a connection.
struct Place {
    shared: Arc<Shared>,
    replaced: CancellationToken,
    /// The turn in which the connection became idle, or [`BUSY`].
    idle_since: AtomicU64,
}

/// A request in progress.
pub(super) struct Busy {
    place: Arc<Place>,
    /// Whether this request is the one that made the connection busy.
    is_counted: bool,
}

impl Connections {
    /// At most `max` concurrent connections.
    pub(super) fn new(max: usize) -> Self {
        Self(Arc::new(Shared {
            max,
            open: Mutex::default(),
            changed: Notify::new(),
        }))
    }

    /// Adds an idle connection. Waits while there are `max` connections and all are busy. If there
    /// are `max` and one is idle, replaces the one that has been idle for the longest time.
    pub(super) async fn add(&self) -> Connection {
        loop {
            let changed = self.0.changed.notified();
            if let Some(connection) = self.try_add() {
                return connection;
            }
            changed.await;
        }
    }

    fn try_add(&self) -> Option<Connection> {
        let replaced = CancellationToken::new();
        let mut open = self.0.open.lock();
        if open.idle.len() + open.busy >= self.0.max {
            let (_, longest) = open.idle.pop_first()?;
            longest.cancel();
        }
        let since = open.add_idle(&replaced);
        drop(open);
        Some(Connection(Arc::new(Place {
            shared: Arc::clone(&self.0),
            replaced,
            idle_since: AtomicU64::new(since),
        })))
    }
}

impl Connection {
    /// Marks the connection as busy until the result is dropped.
    pub(super) fn busy(&self) -> Busy {
        let mut open = self.0.shared.open.lock();
        // A replaced connection is no longer counted, and is about to end.
        let since = self.0.idle_since.swap(BUSY, Ordering::Relaxed);
        let is_counted = open.idle.remove(&since).is_some();
        if is_counted {
            open.busy += 1;
        }
        Busy {
            place: Arc::clone(&self.0),
            is_counted,
        }
    }

    /// Waits until another connection replaces this one.
    pub(super) async fn is_replaced(&self) {
        self.0.replaced.cancelled().await;
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let Place {
            shared,
            replaced,
            idle_since,
        } = &*self.place;
        if !self.is_counted {
            return;
        }
        let mut open = shared.open.lock();
        open.busy -= 1;
        idle_since.store(open.add_idle(replaced), Ordering::Relaxed);
        drop(open);
        shared.changed.notify_waiters();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let since = self.idle_since.load(Ordering::Relaxed);
        self.shared.open.lock().idle.remove(&since);
        self.shared.changed.notify_waiters();
    }
}
