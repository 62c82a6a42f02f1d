//! Modules' reads: equal concurrent reads are sent once, and pinned reads are cached. Callers of
//! one read share the text of its answer.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, WeakShared, join_all};
use parking_lot::{Mutex, MutexGuard};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde_json::value::RawValue;

use crate::error::{AnswerKind, RequestError};
use crate::rpc::endpoint::read::ReadRequest;
use crate::rpc::endpoints::Endpoints;

/// The most bytes of pinned reads and answers that a chain caches: many times the reads of a
/// hundred modules at one block, and little compared with one module's memory.
pub const PINNED_BYTES_MAX: u64 = 32 * 1_024 * 1_024;

/// The most pinned reads that a chain caches, however small they are: each takes more memory than
/// its text.
pub const PINNED_ENTRIES_MAX: u64 = 32 * 1_024;

/// An answer, whose text several callers may share.
pub(crate) type Answer = Result<Arc<RawValue>, RequestError>;

/// The reads of one chain.
pub(crate) struct Reads {
    endpoints: Arc<Endpoints>,
    flights: Arc<Flights>,
    pinned: Cache<Arc<str>, Answer, Weight>,
}

type Flight = Shared<BoxFuture<'static, Answer>>;

/// A weak reference to a flight, and a number that distinguishes it from a later flight with the
/// same key.
type ListedFlight = (u64, WeakShared<BoxFuture<'static, Answer>>);

/// The requests in flight. The map holds only weak references: the callers that wait drive a
/// flight, and it ends when all of them are gone.
#[derive(Default)]
struct Flights {
    by_key: Mutex<HashMap<Arc<str>, ListedFlight>>,
    flown: AtomicU64,
}

impl Reads {
    pub(crate) fn new(endpoints: Arc<Endpoints>) -> Self {
        let items = usize::try_from(PINNED_ENTRIES_MAX).unwrap_or(usize::MAX);
        Self {
            endpoints,
            flights: Arc::default(),
            pinned: Cache::with_weighter(items, PINNED_BYTES_MAX, Weight),
        }
    }

    /// Answers one read: from the cache, through an equal read in flight, or with a request.
    pub(crate) async fn read(&self, read: ReadRequest) -> Answer {
        let read = Arc::new(read);
        let key = read.key();
        let is_pinned = read.is_pinned;
        if let Some(kept) = self.kept(is_pinned, &key) {
            return kept;
        }
        let joined = self.flights.join(&key);
        let flight = match joined {
            Some(flight) => {
                self.endpoints.metrics().shared.increment(1);
                flight
            }
            None => {
                let (endpoints, read) = (Arc::clone(&self.endpoints), Arc::clone(&read));
                self.fly(&key, async move { endpoints.read(&read).await.map(Arc::from) })
            }
        };
        let mut answer = flight.await;
        if matches!(answer, Err(RequestError::OverBudget { .. })) {
            // The exceeded budget belongs to another caller, whose batch contained this read.
            answer = self.endpoints.read(&read).await.map(Arc::from);
        }
        if is_pinned {
            self.keep(key, &answer);
        }
        answer
    }

    /// Answers several reads. Sends the reads that are neither cached nor in flight as one batch.
    /// Stops collecting results above `bytes_max` bytes: see [`RequestError::OverBudget`].
    pub(crate) async fn read_all(&self, reads: Vec<ReadRequest>, bytes_max: u64) -> Vec<Answer> {
        let mut sent = Vec::new();
        let mut keys = HashMap::new();
        let plan: Vec<Plan> = reads
            .into_iter()
            .map(|read| self.plan(read, &mut sent, &mut keys))
            .collect();
        let batch = batch(Arc::clone(&self.endpoints), sent, bytes_max);
        let mut flights = vec![None; keys.len()];
        for (key, index) in keys {
            let flight = self.fly(&key, member(batch.clone(), index));
            if let Some(place) = flights.get_mut(index) {
                *place = Some((flight, key));
            }
        }
        let answers = plan.into_iter().map(|plan| {
            let flight = match plan {
                Plan::Kept(answer) => return std::future::ready(answer).left_future(),
                Plan::Join(flight, read) => Some((flight, None, Some(read))),
                Plan::Send { index, is_pinned } => {
                    let sent = flights.get(index).cloned().flatten();
                    sent.map(|(flight, key)| (flight, Some(key).filter(|_| is_pinned), None))
                }
            };
            async move {
                let Some((flight, key, joined)) = flight else {
                    return Err(RequestError::Internal);
                };
                let answer = flight.await;
                if let (Err(RequestError::OverBudget { .. }), Some(read)) = (&answer, joined) {
                    return self.endpoints.read(&read).await.map(Arc::from);
                }
                if let Some(key) = key {
                    self.keep(key, &answer);
                }
                answer
            }
            .right_future()
        });
        let answers: Vec<_> = answers.collect();
        drop(flights);
        join_all(answers).await
    }

    fn plan(&self, read: ReadRequest, sent: &mut Vec<ReadRequest>, keys: &mut HashMap<Arc<str>, usize>) -> Plan {
        let key = read.key();
        let is_pinned = read.is_pinned;
        if let Some(index) = keys.get(&key) {
            return Plan::Send {
                index: *index,
                is_pinned,
            };
        }
        if let Some(kept) = self.kept(is_pinned, &key) {
            return Plan::Kept(kept);
        }
        if let Some(flight) = self.flights.join(&key) {
            self.endpoints.metrics().shared.increment(1);
            return Plan::Join(flight, Box::new(read));
        }
        let index = sent.len();
        sent.push(read);
        keys.insert(key, index);
        Plan::Send { index, is_pinned }
    }

    fn kept(&self, is_pinned: bool, key: &str) -> Option<Answer> {
        let kept = is_pinned.then(|| self.pinned.get(key)).flatten()?;
        self.endpoints.metrics().pinned_hits.increment(1);
        Some(kept)
    }

    /// Caches an answer of the chain: a result, or a revert. Errors of the endpoint are not cached.
    fn keep(&self, key: Arc<str>, answer: &Answer) {
        match answer {
            Ok(_)
            | Err(RequestError::Answer {
                kind: AnswerKind::Revert,
                ..
            }) => self.pinned.insert(key, answer.clone()),
            Err(_) => {}
        }
    }

    /// Starts a flight that other callers may join. The request is sent when a caller first waits
    /// for it.
    fn fly(&self, key: &Arc<str>, answer: impl Future<Output = Answer> + Send + 'static) -> Flight {
        let id = self.flights.flown.fetch_add(1, Ordering::Relaxed);
        let listed = Listed {
            flights: Arc::clone(&self.flights),
            key: Arc::clone(key),
            id,
        };
        // An async block would reserve the memory of the answer's future twice.
        let flight = answer.map(move |answer| {
            drop(listed);
            answer
        });
        let flight = flight.boxed().shared();
        if let Some(weak) = flight.downgrade() {
            self.flights.by_key().insert(Arc::clone(key), (id, weak));
        }
        flight
    }
}

impl fmt::Debug for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reads")
            .field("endpoints", &self.endpoints)
            .finish_non_exhaustive()
    }
}

/// How one read of several is answered.
enum Plan {
    Kept(Answer),
    Join(Flight, Box<ReadRequest>),
    /// With the batch, at this position.
    Send {
        index: usize,
        is_pinned: bool,
    },
}

/// The answers of a batch. Each is taken once.
type Answers = Arc<Vec<Mutex<Option<Answer>>>>;

/// A batch. It is sent when the first of its callers waits for it.
fn batch(endpoints: Arc<Endpoints>, reads: Vec<ReadRequest>, bytes_max: u64) -> Shared<BoxFuture<'static, Answers>> {
    let batch = async move {
        let answers = endpoints.read_batch(&reads, bytes_max).await.into_iter();
        let answer = |answer: Result<Box<RawValue>, _>| Mutex::new(Some(answer.map(Arc::from)));
        Arc::new(answers.map(answer).collect())
    };
    batch.boxed().shared()
}

/// One answer of a batch.
async fn member(batch: Shared<BoxFuture<'static, Answers>>, index: usize) -> Answer {
    let answers = batch.await;
    let answer = answers.get(index).and_then(|answer| answer.lock().take());
    answer.unwrap_or(Err(RequestError::Internal))
}

impl Flights {
    fn by_key(&self) -> MutexGuard<'_, HashMap<Arc<str>, ListedFlight>> {
        self.by_key.lock()
    }

    fn join(&self, key: &str) -> Option<Flight> {
        self.by_key().get(key).and_then(|(_, flight)| flight.upgrade())
    }
}

/// The entry of a flight. Dropping it removes the entry: when the flight has its answer, or when no
/// caller waits for it.
struct Listed {
    flights: Arc<Flights>,
    key: Arc<str>,
    id: u64,
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut flights = self.flights.by_key();
        // A later flight may have replaced the entry.
        if flights.get(&self.key).is_some_and(|(id, _)| *id == self.id) {
            flights.remove(&self.key);
        }
    }
}

/// The weight of a cached read: its bytes, or more for small ones, so that the number of entries
/// stays within its bound.
#[derive(Clone, Copy)]
struct Weight;

impl Weighter<Arc<str>, Answer> for Weight {
    fn weight(&self, key: &Arc<str>, answer: &Answer) -> u64 {
        let bytes = match answer {
            Ok(result) => result.get().len(),
            Err(error) => error.to_string().len() + error.revert_data().map_or(0, str::len),
        };
        (key.len() as u64 + bytes as u64).max(PINNED_BYTES_MAX / PINNED_ENTRIES_MAX)
    }
}
