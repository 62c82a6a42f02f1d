//! The instances of one query module.

mod suspend;

use std::sync::Arc;
use std::time::Duration;

use nexum_config::limits::LimitUsage;
use nexum_config::names::ModuleName;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

use self::suspend::Trial;
use super::QueryError;
use super::breaker::{Breaker, Pass, Verdict};
use super::metrics::QueryMetrics;
use super::question::{self, Question, check_size};
use crate::event::{Handler, RequestId};
use crate::module::consumption::Consumption;
use crate::module::failure::Failure;
use crate::module::instance::Instance;
use crate::module::query::QueryModule;
use crate::state::{self, ModuleId};
use crate::store::{self, StateStore, StoreError};

/// Answers the queries of one module, with as many instances as the concurrent calls need. Any task
/// can call it.
#[derive(Debug)]
pub struct QueryPool {
    module: QueryModule,
    id: ModuleId,
    state: Arc<dyn StateStore>,
    /// One permit for each possible instance.
    places: Semaphore,
    /// One permit for each call that may wait for a place.
    waits: Semaphore,
    /// The shared state has one lock, which a call takes once before the guest and once after it.
    /// Callers on other threads would notice further locks.
    shared: Mutex<Shared>,
    metrics: QueryMetrics,
}

/// The state that all calls share.
#[derive(Debug, Default)]
struct Shared {
    breaker: Breaker,
    /// The time since which no suspension interrupts the answers, in milliseconds since the Unix epoch.
    serving_since_ms: u64,
    /// Idle instances, in the order of their last use.
    idle: Vec<Idle>,
    requests: u64,
    handled: u64,
    failed: u64,
    refused: u64,
    started: u64,
    used: Consumption,
}

impl Shared {
    fn next_request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId(self.requests)
    }
}

/// A call's right to one instance.
struct Admission<'a> {
    _place: SemaphorePermit<'a>,
    asked: Instant,
    admitted: Instant,
}

/// An idle instance.
struct Idle {
    instance: Instance,
    since: Instant,
}

impl std::fmt::Debug for Idle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Idle")
            .field("since", &self.since)
            .finish_non_exhaustive()
    }
}

impl QueryPool {
    /// The largest question, in bytes: the largest value of the local store. Each question is in
    /// memory twice.
    pub const INPUT_BYTES_MAX: usize = question::INPUT_BYTES_MAX;

    /// The largest answer, in bytes: several times the largest question, and a small part of a
    /// guest's default memory.
    pub const OUTPUT_BYTES_MAX: usize = question::OUTPUT_BYTES_MAX;

    /// How long the pool keeps an idle instance. This is far longer than the creation of an
    /// instance takes, and short enough that the memory of a load peak is free again before the
    /// next one.
    pub const IDLE_MAX: Duration = Duration::from_secs(60);

    /// A pool without instances, for the module with the number `id` in this store.
    pub(crate) fn new(module: QueryModule, id: ModuleId, state: Arc<dyn StateStore>) -> Self {
        let bounds = module.bounds;
        let permits = |count: u32| usize::try_from(count).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            metrics: QueryMetrics::new(&module.meta.name),
            shared: Mutex::new(Shared {
                breaker: Breaker::new(module.restart),
                serving_since_ms: module.meta.clock.now_ms(),
                ..Shared::default()
            }),
            module,
            id,
            state,
            places: Semaphore::new(permits(bounds.pool_size_max)),
            waits: Semaphore::new(permits(bounds.waiters_max)),
        }
    }

    /// A pool for a module whose state is in `store`, for a program that asks without a supervisor.
    ///
    /// # Errors
    ///
    /// When the store cannot be used.
    pub async fn open(module: QueryModule, store: Arc<dyn StateStore>) -> Result<Self, StoreError> {
        let name = module.meta.name.clone();
        let intern = move |store: &dyn StateStore| {
            state::open(store)?;
            state::intern(store, std::slice::from_ref(&name))
        };
        let ids = store::blocking(&store, intern).await?;
        // Each name has an id.
        let id = ids.first().copied().ok_or_else(|| StoreError::backend("no id"))?;
        Ok(Self::new(module, id, store))
    }

    /// Calls the module with a question. If the caller drops the future, the pool discards the
    /// instance, and another call gets the place.
    ///
    /// # Errors
    ///
    /// Returns the reason why there is no answer. It is an [overload](QueryError::is_overload) or a
    /// [suspension](QueryError::Suspended) if no instance received the question, although its size
    /// is within the bound.
    pub async fn call(&self, input: &[u8]) -> Result<Vec<u8>, QueryError> {
        let checked = match self.module.exports.answers_queries() {
            true => check_size(input),
            false => Err(QueryError::NoEvaluate),
        };
        if let Err(error) = checked {
            self.note_refusal(&error);
            return Err(error);
        }
        self.ask(&Question::Bytes(input)).await
    }

    /// Asks an idle or a new instance.
    pub(super) async fn ask(&self, question: &Question<'_>) -> Result<Vec<u8>, QueryError> {
        // A caller that never waits would otherwise keep its thread from others.
        tokio::task::coop::consume_budget().await;
        // This is dropped after the instance, so there are never more instances than places.
        let taken = self.admit().await.and_then(|admission| Ok((admission, self.take()?)));
        let (admission, (request, pass, idle)) = taken.inspect_err(|error| self.note_refusal(error))?;
        let mut trial = Trial {
            pool: self,
            pass: pass.is_trial.then_some(pass),
        };
        let answer = self.answer(&admission, request, pass, idle, question).await;
        trial.pass = None;
        if let Err(error) = &answer {
            self.note_failure(question.handler(request), error);
            self.end(&mut self.shared(), pass, Verdict::of(error), || error.to_string());
        }
        answer
    }

    async fn admit(&self) -> Result<Admission<'_>, QueryError> {
        let asked = Instant::now();
        let (place, admitted) = match self.places.try_acquire() {
            Ok(place) => (place, asked),
            Err(_) => (self.wait().await?, Instant::now()),
        };
        Ok(Admission {
            _place: place,
            asked,
            admitted,
        })
    }

    /// Waits for a place, if the bound on waiting calls allows one more.
    async fn wait(&self) -> Result<SemaphorePermit<'_>, QueryError> {
        let bounds = self.module.bounds;
        let _wait = self.may_wait()?;
        let wait = Duration::from_millis(bounds.wait_ms_max);
        match timeout(wait, self.places.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            // No code closes the semaphore.
            Ok(Err(_)) | Err(_) => Err(QueryError::TimedOut {
                wait_ms_max: bounds.wait_ms_max,
            }),
        }
    }

    /// Returns the permit to wait, if the bound on waiting calls allows one more.
    pub(super) fn may_wait(&self) -> Result<SemaphorePermit<'_>, QueryError> {
        let waiters_max = self.module.bounds.waiters_max;
        self.waits
            .try_acquire()
            .map_err(|_| QueryError::Overloaded { waiters_max })
    }

    /// Returns a number for the call, the breaker's permission, and the most recently used idle
    /// instance. Its data is still in the processor's caches, and the others can expire.
    fn take(&self) -> Result<(RequestId, Pass, Option<Instance>), QueryError> {
        let mut shared = self.shared();
        let pass = shared.breaker.admit(&*self.module.meta.clock)?;
        let idle = shared.idle.pop().map(|idle| idle.instance);
        Ok((shared.next_request(), pass, idle))
    }

    async fn answer(
        &self,
        admission: &Admission<'_>,
        request: RequestId,
        pass: Pass,
        idle: Option<Instance>,
        question: &Question<'_>,
    ) -> Result<Vec<u8>, QueryError> {
        let (mut instance, now) = match idle {
            Some(instance) => (instance, admission.admitted),
            None => (self.start().await?, Instant::now()),
        };
        let answer = question.put_to(&mut instance, request, now).await;
        let ended = instance.began() + instance.took();
        self.metrics.asked(ended.duration_since(admission.asked));
        let used = instance.used();
        let error = match answer {
            Ok(answer) => {
                self.put_back(instance, pass, &used, ended);
                return Ok(answer);
            }
            Err(error) => error,
        };
        self.shared().used.note(&used, ended);
        instance.discard().await;
        Err(error)
    }

    /// Counts an answer, and keeps its instance for the next call.
    fn put_back(&self, instance: Instance, pass: Pass, used: &LimitUsage, ended: Instant) {
        self.metrics.answered();
        let mut shared = self.shared();
        self.end(&mut shared, pass, Verdict::Works, String::new);
        shared.handled += 1;
        shared.used.note(used, ended);
        shared.idle.push(Idle { instance, since: ended });
    }

    async fn start(&self) -> Result<Instance, QueryError> {
        let started = Instance::start_query(&self.module, self.id, self.state.clone()).await;
        self.shared().started += 1;
        started.map_err(|failure| QueryError::Start {
            failure: Box::new(failure),
        })
    }

    /// Discards the instances that have been idle for [`Self::IDLE_MAX`] at `now`. The supervisor
    /// calls this regularly, inside a tokio runtime.
    pub fn discard_old(&self, now: Instant) {
        let is_old = |idle: &Idle| now.saturating_duration_since(idle.since) >= Self::IDLE_MAX;
        let mut shared = self.shared();
        let old_end = shared.idle.partition_point(is_old);
        let old: Vec<_> = shared.idle.drain(..old_end).collect();
        drop(shared);
        discard(old);
    }

    /// The module.
    pub fn module(&self) -> &QueryModule {
        &self.module
    }

    /// The module's name.
    pub fn name(&self) -> &ModuleName {
        &self.module.meta.name
    }

    /// The number of calls with an answer.
    pub fn handled(&self) -> u64 {
        self.shared().handled
    }

    /// The number of calls that an instance failed to answer, including failures of `init`.
    pub fn failed(&self) -> u64 {
        self.shared().failed
    }

    /// The number of refused calls: their input was too large, or the module was overloaded or
    /// suspended.
    pub fn refused(&self) -> u64 {
        self.shared().refused
    }

    /// The number of instances created, including failed attempts.
    pub fn started(&self) -> u64 {
        self.shared().started
    }

    /// The number of calls that have an instance now.
    pub fn in_flight(&self) -> usize {
        let places = usize::try_from(self.module.bounds.pool_size_max).unwrap_or(usize::MAX);
        places.saturating_sub(self.places.available_permits())
    }

    /// The number of calls that wait now.
    pub fn waiting(&self) -> usize {
        let waits = usize::try_from(self.module.bounds.waiters_max).unwrap_or(usize::MAX);
        waits.saturating_sub(self.waits.available_permits())
    }

    /// The number of idle instances.
    pub fn idle(&self) -> usize {
        self.shared().idle.len()
    }

    /// The size of the linear memories of the idle instances, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.shared().idle.iter().map(|idle| idle.instance.memory_bytes()).sum()
    }

    /// The calls' use of the module's limits.
    pub fn consumption(&self) -> Consumption {
        self.shared().used
    }

    pub(super) fn note_refusal(&self, error: &QueryError) {
        self.shared().refused += 1;
        self.metrics.failed(error.kind());
        // The level is `debug`, because a line for each refused call would add load to an overload.
        tracing::debug!(target: "nexum::query", module = self.name().as_str(), "nexum refuses a query: {error}");
    }

    /// Counts a call that another part of the module has answered.
    pub(super) fn note_answer(&self, took: Duration) {
        self.metrics.answered();
        self.metrics.asked(took);
        self.shared().handled += 1;
    }

    /// Returns a number for a call that another part of the module answers.
    pub(super) fn next_request(&self) -> RequestId {
        self.shared().next_request()
    }

    /// Logs a failure of a handler. The record of an exceeded limit has all its fields.
    pub(super) fn note_failure(&self, handler: Handler, error: &QueryError) {
        self.shared().failed += 1;
        self.metrics.failed(error.kind());
        let (module, kind) = (self.name().as_str(), error.kind());
        let exceeded = match error {
            QueryError::Limit(exceeded) => Some(exceeded),
            QueryError::Start { failure } => match &**failure {
                Failure::Limit(exceeded) => Some(exceeded),
                _ => None,
            },
            _ => None,
        };
        if let Some(exceeded) = exceeded {
            self.metrics.tripped(exceeded.limit);
        }
        let request = handler.request().map(|request| request.0);
        let handler = match error {
            QueryError::Start { .. } => Handler::Init.name(),
            _ => handler.name(),
        };
        let (limit, bound, used) = match exceeded {
            Some(exceeded) => (Some(exceeded.limit.name()), Some(exceeded.bound), Some(exceeded.used)),
            None => (None, None, None),
        };
        tracing::warn!(
            target: "nexum::query",
            module, handler, request, kind, limit, bound, used, "a query failed: {error}"
        );
    }

    /// Ignores a panic of another thread, because no thread leaves the state half changed.
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock()
    }
}

/// Frees guests on a thread that no call waits for.
fn discard(idle: Vec<Idle>) {
    if !idle.is_empty() {
        tokio::task::spawn_blocking(move || drop(idle));
    }
}
