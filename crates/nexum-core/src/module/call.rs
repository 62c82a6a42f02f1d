//! A call into a guest within its module's limits, and the reason of a failure.

use std::pin::pin;
use std::sync::Arc;

use nexum_config::causes::Causes;
use nexum_config::engine::Metering;
use nexum_config::limits::{Limit, LimitUsage};
use tokio::time::Instant;
use wasmtime::{Store, Trap, UpdateDeadline};

use super::failure::{Failure, describe};
use crate::capability::HostState;
use crate::capability::effects::EFFECT;
use crate::capability::grant::Grant;
use crate::capability::module_meta::ModuleMeta;
use crate::engine::fair_scheduler::FairScheduler;
use crate::engine::limiter::LimitExceeded;
use crate::event::{EventId, Handler};
use crate::state::scope::journal::{Divergence, EarlierEffects, EffectError};
use crate::state::scope::{BudgetExhausted, EventScope, Pending};
use crate::state::{Change, Changes, DeadLetter, Usage};
use crate::store::StoreError;

/// The situation before a handler runs: the module's usage, and the changes that are not yet in the
/// store.
#[derive(Clone, Debug, Default)]
pub(crate) struct HandlerContext {
    pub(crate) usage: Usage,
    /// Bytes of the module's dead letters.
    pub(crate) letter_bytes: u64,
    pub(crate) pending: Option<Arc<Pending>>,
    /// The number of failed attempts so far.
    pub(crate) failures: u32,
    /// The effects of these attempts, and those that the handler may adopt.
    pub(crate) effects: EarlierEffects,
    /// Whether the ledger gets what the handler sees.
    pub(crate) is_recorded: bool,
}

impl HandlerContext {
    /// Changes that only add, remove or replace a dead letter.
    pub(crate) fn with_letter(&self, id: EventId, old: Option<&DeadLetter>, new: Option<&DeadLetter>) -> Changes {
        let change = Change {
            old: old.map(DeadLetter::encode),
            new: new.map(DeadLetter::encode),
        };
        Changes {
            dead_letters: vec![(id, change)],
            usage: self.usage,
            ..Changes::default()
        }
    }
}

/// Frees a guest. This takes milliseconds for a large memory, so it runs on a thread that no other
/// task waits for.
pub(super) async fn discard(store: Store<HostState>) {
    // A panic of this thread frees the guest as well.
    let _ = tokio::task::spawn_blocking(move || drop(store)).await;
}

/// Creates a wasmtime store for a guest, within the module's limits.
pub(super) fn hold(
    engine: &wasmtime::Engine,
    scheduler: &FairScheduler,
    meta: &Arc<ModuleMeta>,
    grant: &Grant,
    scope: EventScope,
) -> Result<Store<HostState>, Failure> {
    let slots = grant.slots(meta).map_err(|(capability, error)| Failure::Prepare {
        capability,
        reason: error.to_string(),
    })?;
    let mut store = Store::new(engine, HostState::new(meta.clone(), scope, slots));
    store.limiter(|host| &mut host.limiter);
    // A guest that still computes at the end of its slice yields to others, and then continues.
    let scheduler = scheduler.clone();
    store.epoch_deadline_callback(move |mut context| {
        scheduler.has_computed();
        context.data_mut().spend_wasi_work()?;
        Ok(UpdateDeadline::Yield(1))
    });
    Ok(store)
}

/// Starts a handler call now: its transaction, log allowance, fuel and first slice.
pub(super) fn open(
    store: &mut Store<HostState>,
    handler: Handler,
    now: Instant,
    context: HandlerContext,
) -> Result<(), Failure> {
    let host = store.data_mut();
    let attempt = context.failures.saturating_add(1);
    let HandlerContext {
        usage,
        pending,
        effects,
        letter_bytes,
        is_recorded,
        ..
    } = context;
    host.scope.open(handler, now, attempt, usage, pending);
    host.scope.journal().open(attempt, effects);
    host.scope.reserve(letter_bytes);
    if is_recorded {
        host.scope.record();
    }
    host.meta.recorder.open(handler);
    host.meta.activity.open(handler, attempt, now);
    if host.meta.metering == Metering::Fuel {
        let fuel = host.meta.limits[Limit::Fuel];
        store.set_fuel(fuel).map_err(|error| Failure::Trap(error.to_string()))?;
    }
    store.set_epoch_deadline(1);
    Ok(())
}

/// Ends a handler call that returned ok.
pub(super) fn close(store: &mut Store<HostState>) -> Changes {
    store.data_mut().scope.close()
}

/// The end of a failed call into a guest, before the reason is known.
pub(super) enum Stop {
    Deadline,
    Error(wasmtime::Error),
}

/// Runs a call within the deadline. An epoch cannot end a guest that waits in a host call, but the
/// wall clock can.
pub(super) async fn within_deadline<T>(
    store: &mut Store<HostState>,
    scheduler: &FairScheduler,
    call: impl AsyncFnOnce(&mut Store<HostState>) -> wasmtime::Result<T>,
) -> Result<T, Stop> {
    let deadline = store.data().scope.deadline();
    let (handler, began) = (store.data().scope.handler(), store.data().scope.began());
    let called = {
        // The call is pinned here, because each step on its way to the scheduler would otherwise
        // copy it.
        let call = pin!(call(store));
        tokio::time::timeout_at(deadline, scheduler.run(handler, began, call)).await
    };
    let (result, ended) = match called {
        Ok((result, ended)) => (result.map_err(Stop::Error), ended),
        Err(_) => (Err(Stop::Deadline), Instant::now()),
    };
    let host = store.data_mut();
    host.scope.end(ended);
    host.meta.activity.close(ended);
    result
}

/// The use of each limit by the current handler call of a store.
pub(super) fn used(store: &Store<HostState>) -> LimitUsage {
    let host = store.data();
    let limits = &host.meta.limits;
    let mut used = *host.scope.used();
    if let Ok(left) = store.get_fuel() {
        used.add(Limit::Fuel, limits[Limit::Fuel].saturating_sub(left));
    }
    let elapsed_ms = host.scope.elapsed().as_millis();
    used.set(Limit::Deadline, u64::try_from(elapsed_ms).unwrap_or(u64::MAX));
    let state = host.scope.usage();
    used.set(Limit::StateBytes, state.bytes);
    used.set(Limit::StateKeys, state.keys);
    for held in [Limit::Memory, Limit::TableElements] {
        used.set(held, host.limiter.used(held));
    }
    used
}

/// Reports an attempt at an event that makes another host call than an earlier attempt, which has had effects.
fn report_divergence(host: &HostState, handler: Handler, divergence: &Divergence) {
    let Divergence { number, earlier, now } = divergence;
    tracing::warn!(
        target: EFFECT,
        module = host.meta.name.as_str(),
        event = handler.event().map(tracing::field::display),
        host_call = number,
        %earlier,
        now,
        "the module goes another way than at an earlier attempt, so nexum recognises its further effects by their \
         content alone"
    );
}

/// The error of the state store that ended a call.
fn store_error(error: &wasmtime::Error) -> Option<&StoreError> {
    match error.downcast_ref::<EffectError>() {
        Some(EffectError::Store(error)) => Some(error),
        _ => error.downcast_ref::<StoreError>(),
    }
}

/// Turns the end of a call into its result or the reason of its failure, with the first exceeded
/// limit.
pub(super) fn conclude<T>(
    store: &mut Store<HostState>,
    handler: Handler,
    called: Result<T, Stop>,
) -> Result<T, Failure> {
    let refused = store.data_mut().limiter.take_refused();
    let host = store.data();
    host.meta.recorder.close();
    if let Some(divergence) = host.scope.journal().divergence() {
        report_divergence(host, handler, &divergence);
    }
    // A guest may have caught the error of a request beside it.
    if let Some(fault) = host.scope.journal().fault() {
        return Err(Failure::Effect(fault));
    }
    let exceeded = |limit: Limit, used: u64| LimitExceeded {
        limit,
        bound: host.meta.limits[limit],
        used,
        module: host.meta.name.clone(),
        handler,
        attempt: host.scope.attempt(),
    };
    match called {
        Ok(value) => {
            if let Some((limit, used)) = refused {
                tracing::warn!(
                    target: "nexum::event",
                    module = host.meta.name.as_str(),
                    limit = limit.name(),
                    bound = host.meta.limits[limit],
                    used,
                    "the limit refused a request of {handler}, which continued without it"
                );
            }
            Ok(value)
        }
        Err(Stop::Deadline) => {
            let (limit, used) = refused.unwrap_or_else(|| (Limit::Deadline, used(store)[Limit::Deadline]));
            Err(Failure::Limit(exceeded(limit, used)))
        }
        Err(Stop::Error(error)) => {
            let out_of_fuel = matches!(error.downcast_ref::<Trap>(), Some(Trap::OutOfFuel));
            let exhausted = error
                .downcast_ref::<BudgetExhausted>()
                .map(|BudgetExhausted(limit)| *limit);
            let spent = exhausted.or(out_of_fuel.then_some(Limit::Fuel));
            match refused.or_else(|| spent.map(|limit| (limit, used(store)[limit]))) {
                Some((limit, used)) => Err(Failure::Limit(exceeded(limit, used))),
                None => Err(match store_error(&error) {
                    // The guest's backtrace does not help: the store failed, not the guest.
                    Some(error) => Failure::Store(Causes(error).to_string()),
                    None => Failure::Trap(describe(&error)),
                }),
            }
        }
    }
}
