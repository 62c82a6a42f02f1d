//! The task that stores the entries of a run.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nexum_config::causes::Causes;
use nexum_core::clock::Clock;
use nexum_core::ledger::{Entry, Ledger, Lost};
use nexum_core::service::{Service, ServiceContext};
use nexum_core::source::{Extent, Outage};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::error::LedgerError;
use crate::observer::{Observer, TAKE_EVERY};
use crate::reader::Reader;
use crate::writer::{Keep, Writer};

/// Stores the entries of a run in a folder.
#[derive(Debug)]
pub struct Keeper {
    shared: Arc<Shared>,
    observer: Option<Arc<dyn Observer>>,
    /// The requests to store now. Taken by the only run.
    requests: Mutex<Option<mpsc::Receiver<oneshot::Sender<()>>>>,
}

/// The ledger of a running daemon, for its API. A clone is cheap.
#[derive(Clone, Debug)]
pub struct Handle {
    shared: Arc<Shared>,
    requests: mpsc::Sender<oneshot::Sender<()>>,
}

struct Shared {
    ledger: Ledger,
    folder: PathBuf,
    keep: Mutex<Keep>,
    trouble: Mutex<Option<Trouble>>,
}

/// `Debug` omits the folder, because the content of a variable can be a part of it.
impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("trouble", &self.trouble)
            .finish_non_exhaustive()
    }
}

/// The reason why entries are not stored now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The reason.
    pub text: String,
    /// The first failure, in milliseconds since the Unix epoch.
    pub since_ms: u64,
}

impl Keeper {
    /// A keeper of this ledger, and its handle.
    pub fn new(ledger: Ledger, folder: PathBuf, keep: Keep) -> (Self, Handle) {
        let shared = Arc::new(Shared {
            ledger,
            folder,
            keep: Mutex::new(keep),
            trouble: Mutex::default(),
        });
        let (sender, requests) = mpsc::channel(1);
        let handle = Handle {
            shared: shared.clone(),
            requests: sender,
        };
        let requests = Mutex::new(Some(requests));
        let keeper = Self {
            shared,
            observer: None,
            requests,
        };
        (keeper, handle)
    }

    /// Shows the entries to an observer too, whether or not they can be stored. Default: none.
    #[must_use]
    pub fn observer(self, observer: Option<Arc<dyn Observer>>) -> Self {
        Self { observer, ..self }
    }
}

impl Handle {
    /// Waits until the entries so far are stored. Returns at once if the keeper does not run.
    pub async fn flush(&self) {
        let (done, stored) = oneshot::channel();
        if self.requests.send(done).await.is_ok() {
            let _ = stored.await;
        }
    }

    /// The reader of the folder.
    pub fn reader(&self) -> Reader {
        Reader::new(&self.shared.folder)
    }

    /// The ledger that the runners fill.
    pub fn ledger(&self) -> &Ledger {
        &self.shared.ledger
    }

    /// Changes how much is kept.
    pub fn set_keep(&self, keep: Keep) {
        *self.shared.keep.lock() = keep;
    }

    /// The reason why entries are not stored now.
    pub fn trouble(&self) -> Option<Trouble> {
        self.shared.trouble.lock().clone()
    }
}

#[async_trait]
impl Service for Keeper {
    async fn run(&self, context: ServiceContext, stop: CancellationToken) {
        let Some(mut requests) = self.requests.lock().take() else {
            return;
        };
        let mut storing = Storing {
            shared: self.shared.clone(),
            observer: self.observer.clone(),
            clock: context.clock,
            writer: None,
            outage: Outage::default(),
        };
        let mut ticks = tokio::time::interval(TAKE_EVERY);
        while !stop.is_cancelled() {
            let request = tokio::select! {
                _ = ticks.tick() => None,
                request = requests.recv() => request,
                () = stop.cancelled() => None,
            };
            storing.store().await;
            // The caller may have left.
            let _ = request.map(|done| done.send(()));
        }
    }
}

struct Storing {
    shared: Arc<Shared>,
    observer: Option<Arc<dyn Observer>>,
    clock: Arc<dyn Clock>,
    /// `None` before the folder is open.
    writer: Option<Writer>,
    outage: Outage,
}

impl Storing {
    /// Stores what waits.
    async fn store(&mut self) {
        let entries = self.shared.ledger.take();
        if entries.is_empty() && self.writer.is_some() {
            return;
        }
        if let Some(observer) = &self.observer {
            observer.observe(&entries);
        }
        let lost = lost(&entries);
        let (folder, keep) = (self.shared.folder.clone(), *self.shared.keep.lock());
        let (writer, now_ms) = (self.writer.take(), self.clock.now_ms());
        let stored = spawn_blocking(move || -> (Option<Writer>, Result<(), LedgerError>) {
            let mut writer = match writer.map_or_else(|| Writer::open(&folder, keep, now_ms), Ok) {
                Ok(writer) => writer,
                Err(error) => return (None, Err(error)),
            };
            writer.set_keep(keep);
            let written = writer.write(entries, now_ms);
            (Some(writer), written)
        });
        let result = match stored.await {
            Ok((writer, result)) => {
                self.writer = writer;
                result.map_err(|error| Causes(&error).to_string())
            }
            Err(panic) => Err(format!("{panic}: this is a fault of nexum")),
        };
        if let (Err(_), Some(lost)) = (&result, lost) {
            self.shared.ledger.lose(lost);
        }
        self.report(result);
    }

    fn report(&mut self, result: Result<(), String>) {
        let now = Duration::from_nanos(self.clock.monotonic_ns());
        let mut trouble = self.shared.trouble.lock();
        match result {
            Ok(()) => {
                if trouble.take().is_some() {
                    self.outage.ended(now);
                    tracing::info!("nexum stores the event ledger again");
                }
            }
            Err(text) => {
                let extent = self.outage.failed(now);
                if let (None, Some(Extent { .. })) = (&*trouble, extent) {
                    tracing::warn!(
                        error = text,
                        "nexum cannot store the event ledger: events go on, and `nexum explain` will lack them"
                    );
                }
                let since_ms = trouble
                    .as_ref()
                    .map_or_else(|| self.clock.now_ms(), |known| known.since_ms);
                *trouble = Some(Trouble { text, since_ms });
            }
        }
    }
}

/// The loss if these entries are not stored.
fn lost(entries: &[(u64, Entry)]) -> Option<Lost> {
    let each = entries.iter().map(|(at_ms, entry)| match entry {
        Entry::Lost(lost) => *lost,
        _ => Lost::at(*at_ms, 1),
    });
    each.reduce(Lost::and)
}
