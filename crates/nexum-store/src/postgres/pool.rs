//! The connections that read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::FutureExt as _;
use nexum_core::store::StoreError;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::Statement;

use super::connect::{Backoff, Connector, Session};
use super::failed;
use super::page::Page;
use crate::error::PostgresError;

/// The connections of current views. Each carries many requests at a time, so that two use the server's
/// processors while one waits for its answers.
const READERS: usize = 2;

/// The most frozen views at a time: queries run in far fewer threads. A further one waits.
const FROZEN_MAX: usize = 16;

/// A connection with the statements of a view.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) session: Session,
    pub(super) get: Statement,
    /// A page of a scan with an upper bound, and of one without.
    pub(super) page: Statement,
    pub(super) page_to_end: Statement,
}

impl Reader {
    async fn prepare(connector: &Connector, session: Session) -> Result<Self, PostgresError> {
        let [page, page_to_end] = [Page::statement("AND key < $3"), Page::statement("")];
        let client = &session.client;
        let prepared = connector.ask(async {
            tokio::try_join!(
                client.prepare("SELECT value FROM nexum_rows WHERE key = $1"),
                client.prepare(&page),
                client.prepare(&page_to_end),
            )
        });
        let (get, page, page_to_end) = prepared.await?;
        Ok(Self {
            session,
            get,
            page,
            page_to_end,
        })
    }

    fn is_closed(&self) -> bool {
        self.session.client.is_closed()
    }
}

/// The shared connections of current views.
#[derive(Debug, Default)]
pub(super) struct Readers {
    slots: [tokio::sync::Mutex<Slot>; READERS],
    next: AtomicUsize,
}

#[derive(Debug, Default)]
struct Slot {
    reader: Option<Arc<Reader>>,
    backoff: Backoff,
}

impl Readers {
    /// An open connection.
    pub(super) async fn get(&self, connector: &Connector) -> Result<Arc<Reader>, StoreError> {
        let slot = &self.slots[self.next.fetch_add(1, Ordering::Relaxed) % READERS];
        let mut slot = slot.lock().await;
        if let Some(reader) = slot.reader.as_ref().filter(|reader| !reader.is_closed()) {
            return Ok(reader.clone());
        }
        slot.reader = None;
        let session = slot.backoff.connect(connector).await?;
        let reader = Arc::new(Reader::prepare(connector, session).await.map_err(failed)?);
        slot.reader = Some(reader.clone());
        Ok(reader)
    }

    /// Forgets a connection that does not answer.
    pub(super) async fn discard(&self, stalled: &Arc<Reader>) {
        for slot in &self.slots {
            slot.lock().await.reader.take_if(|reader| Arc::ptr_eq(reader, stalled));
        }
    }
}

/// The connections of frozen views.
#[derive(Debug)]
pub(super) struct FrozenPool {
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Reader>>,
    backoff: tokio::sync::Mutex<Backoff>,
}

/// A connection in a transaction that shows the rows of its start. Dropping it ends the transaction.
#[derive(Debug)]
pub(super) struct Frozen {
    /// `None` after the drop.
    reader: Option<Reader>,
    has_stalled: AtomicBool,
    pool: Arc<FrozenPool>,
    _permit: OwnedSemaphorePermit,
}

impl Default for FrozenPool {
    fn default() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(FROZEN_MAX)),
            idle: Mutex::default(),
            backoff: tokio::sync::Mutex::default(),
        }
    }
}

impl FrozenPool {
    /// Begins a transaction on a free connection.
    pub(super) async fn take(pool: &Arc<Self>, connector: &Connector) -> Result<Frozen, StoreError> {
        let permit = connector.within(async { Ok(pool.permits.clone().acquire_owned().await) });
        let permit = permit.await.map_err(failed)?.map_err(StoreError::backend)?;
        // An idle connection may be gone since its last use.
        while let Some(reader) = { pool.idle.lock().pop() } {
            if begin(connector, &reader).await.is_ok() {
                return Ok(pool.frozen(reader, permit));
            }
        }
        let session = pool.backoff.lock().await.connect(connector).await?;
        let reader = Reader::prepare(connector, session).await.map_err(failed)?;
        begin(connector, &reader).await.map_err(failed)?;
        Ok(pool.frozen(reader, permit))
    }

    fn frozen(self: &Arc<Self>, reader: Reader, permit: OwnedSemaphorePermit) -> Frozen {
        Frozen {
            reader: Some(reader),
            has_stalled: AtomicBool::new(false),
            pool: self.clone(),
            _permit: permit,
        }
    }
}

/// The first statement after `BEGIN` fixes the rows that the transaction shows.
async fn begin(connector: &Connector, reader: &Reader) -> Result<(), PostgresError> {
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SELECT 1";
    connector.ask(reader.session.client.batch_execute(begin)).await
}

impl Frozen {
    pub(super) fn reader(&self) -> Result<&Reader, StoreError> {
        let closed = || StoreError::backend("the connection is closed");
        self.reader.as_ref().ok_or_else(closed)
    }

    /// Closes the connection at the drop: it does not answer.
    pub(super) fn give_up(&self) {
        self.has_stalled.store(true, Ordering::Relaxed);
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let Some(reader) = self.reader.take().filter(|_| !*self.has_stalled.get_mut()) else {
            return;
        };
        // The first poll sends the request. The server carries it out before the next one.
        let sent = reader.session.client.batch_execute("ROLLBACK").now_or_never();
        if sent.is_none_or(|done| done.is_ok()) {
            self.pool.idle.lock().push(reader);
        }
    }
}
