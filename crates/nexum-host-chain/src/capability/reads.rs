//! Modules' reads: equal ones in flight are sent once, and what is pinned to a block is kept. Those who get one answer share
//! its text.

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

/// How many bytes of pinned reads and their answers a chain keeps: the reads of a hundred modules at one block, many times
/// over, and little beside one module's memory.
pub const PINNED_BYTES_MAX: u64 = 32 * 1_024 * 1_024;

/// How many pinned reads a chain keeps at most, however small they are, as each takes more than its text.
pub const PINNED_ENTRIES_MAX: u64 = 32 * 1_024;

/// An answer, whose text several may hold.
pub(crate) type Answer = Result<Arc<RawValue>, RequestError>;

/// The reads of one chain.
pub(crate) struct Reads {
    endpoints: Arc<Endpoints>,
    flights: Arc<Flights>,
    pinned: Cache<Arc<str>, Answer, Weight>,
}

type Flight = Shared<BoxFuture<'static, Answer>>;

/// A flight, without keeping it in the air, and what tells it from a later one with the same key.
type ListedFlight = (u64, WeakShared<BoxFuture<'static, Answer>>);

/// The requests in flight. None is held here: a flight is flown by those who wait for it, and ends when all have gone.
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

    /// Answers one read: from what is kept, with an equal one in flight, or with one request.
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
            // The budget was that of another caller, whose batch had this read.
            answer = self.endpoints.read(&read).await.map(Arc::from);
        }
        if is_pinned {
            self.keep(key, &answer);
        }
        answer
    }

    /// Answers several reads. Those that are neither kept nor in flight are sent as one batch, of which no more is collected when
    /// the results have more than `bytes_max` bytes: see [`RequestError::OverBudget`].
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

    /// Keeps what the chain has said: a result, or a revert. What an endpoint has said is not kept.
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

    /// Begins a flight that others may join. The answer comes when somebody waits for it.
    fn fly(&self, key: &Arc<str>, answer: impl Future<Output = Answer> + Send + 'static) -> Flight {
        let id = self.flights.flown.fetch_add(1, Ordering::Relaxed);
        let listed = Listed {
            flights: Arc::clone(&self.flights),
            key: Arc::clone(key),
            id,
        };
        // An async block would have room for the answer's future twice.
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

/// How a read of several is answered.
enum Plan {
    Kept(Answer),
    Join(Flight, Box<ReadRequest>),
    /// With the batch, at this place in it.
    Send {
        index: usize,
        is_pinned: bool,
    },
}

/// The answers of a batch, each of which is taken once.
type Answers = Arc<Vec<Mutex<Option<Answer>>>>;

/// Sends a batch when the first of those who share it waits for it.
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

/// The entry of a flight, which goes when the flight has its answer, or when nobody waits for it any more.
struct Listed {
    flights: Arc<Flights>,
    key: Arc<str>,
    id: u64,
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut flights = self.flights.by_key();
        // A later flight may have taken its place.
        if flights.get(&self.key).is_some_and(|(id, _)| *id == self.id) {
            flights.remove(&self.key);
        }
    }
}

/// What a kept read weighs: its bytes, but at least what keeps the number of entries within its bound.
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
