//! Which log records stderr and the rings get, and the level that an operator changes at run time.
//!
//! One global filter decides whether a record is made at all. Filters of single layers would make
//! `tracing::enabled!`, which the records of modules use, unreliable.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nexum_core::logged;
use parking_lot::{Mutex, RwLock};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record as SpanRecord};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_log::AsLog as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Context, Layer};

use super::records::Records;
use crate::configure::{Directives, Filter, LEVEL_TARGET};

/// The level of the log, which can change at run time. A clone shares it.
#[derive(Clone)]
pub(crate) struct LogLevel(Arc<Shared>);

struct Shared {
    /// The operator's filter: the records for stderr.
    filter: RwLock<EnvFilter>,
    followers: Mutex<Followers>,
    /// Whether there are followers.
    is_followed: AtomicBool,
    state: Mutex<State>,
}

/// The readers that follow each handled event.
#[derive(Default)]
struct Followers {
    count: usize,
    /// The number of the last record before the first of them.
    since: u64,
}

/// The level and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// The level that the configuration or the environment sets.
    pub(super) configured: Filter,
    /// The level that an operator has set since.
    pub(super) changed: Option<Directives>,
}

impl State {
    /// The directives that apply now.
    pub(super) fn current(&self) -> &Directives {
        self.changed.as_ref().unwrap_or(&self.configured.directives)
    }
}

impl LogLevel {
    pub(super) fn new(configured: Filter) -> Self {
        Self(Arc::new(Shared {
            filter: RwLock::new(configured.directives.filter()),
            followers: Mutex::default(),
            is_followed: AtomicBool::new(false),
            state: Mutex::new(State {
                configured,
                changed: None,
            }),
        }))
    }

    /// The level and where it comes from.
    pub(super) fn state(&self) -> State {
        self.0.state.lock().clone()
    }

    /// Sets the level until the next restart, [`configure`](Self::configure) or reset. `None` resets
    /// it to the configured one.
    pub(super) fn change(&self, directives: Option<Directives>) {
        let mut state = self.0.state.lock();
        state.changed = directives;
        self.apply(state.current());
        match &state.changed {
            Some(directives) => tracing::info!(
                target: LEVEL_TARGET,
                level = directives.as_str(),
                "an operator sets the level of the log, until nexum restarts or reloads its configuration"
            ),
            None => tracing::info!(
                target: LEVEL_TARGET,
                level = state.configured.directives.as_str(),
                "an operator resets the level of the log: {}",
                state.configured.origin
            ),
        }
    }

    /// Sets the level of a configuration that nexum has read again. It replaces a level that an
    /// operator has set.
    pub(super) fn configure(&self, configured: Filter) {
        let mut state = self.0.state.lock();
        let origin = configured.origin.clone();
        *state = State {
            configured,
            changed: None,
        };
        self.apply(state.current());
        tracing::info!(target: LEVEL_TARGET, level = state.current().as_str(), "{origin}");
    }

    fn apply(&self, directives: &Directives) {
        let filter = directives.filter();
        let most_detailed = filter.max_level_hint();
        *self.0.filter.write() = filter;
        tracing::callsite::rebuild_interest_cache();
        bound_foreign_records(most_detailed);
    }

    /// Makes the rings keep a record for each handled event, until the value is dropped.
    pub(super) fn follow_events(&self, records: &Records) -> Following {
        let were_kept = tracing::enabled!(target: logged::EVENT, Level::DEBUG);
        let mut followers = self.0.followers.lock();
        followers.count += 1;
        if followers.count == 1 {
            followers.since = records.newest();
            self.0.is_followed.store(true, Ordering::Relaxed);
            tracing::callsite::rebuild_interest_cache();
        }
        Following {
            level: self.clone(),
            since: if were_kept { 0 } else { followers.since },
        }
    }

    /// The global filter of all layers.
    pub(super) fn gate(&self) -> Gate {
        Gate(self.clone())
    }

    /// Wraps the layer of stderr, which gets only the records of the operator's filter.
    pub(super) fn only_shown<L>(&self, layer: L) -> OnlyShown<L> {
        OnlyShown {
            layer,
            level: self.clone(),
        }
    }

    /// Bounds the records of the crate `log` to the operator's level. Call it after the start of the
    /// log, which has set the bound of [`Gate`].
    pub(super) fn bound_foreign_records(&self) {
        bound_foreign_records(self.0.filter.read().max_level_hint());
    }

    /// Whether the rings keep these records whatever the operator's level is. nexum's own records
    /// from INFO on are few. Records of modules count towards the limits on log records, so the
    /// operator's level decides alone.
    fn keeps(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        let finest = match target {
            logged::MODULE => return false,
            logged::STAGE | CONDITION => Level::DEBUG,
            logged::EVENT if self.0.is_followed.load(Ordering::Relaxed) => Level::DEBUG,
            _ if target.starts_with("nexum") => Level::INFO,
            _ => return false,
        };
        *metadata.level() <= finest
    }
}

/// The target of records about [conditions](super::conditions) that begin and end.
pub(super) const CONDITION: &str = "nexum::condition";

/// The macros of the crate `log` would otherwise ask the filter for each record below INFO: they keep
/// no answers. The rings want none of these records.
fn bound_foreign_records(most_detailed: Option<LevelFilter>) {
    tracing_log::log::set_max_level(most_detailed.unwrap_or(LevelFilter::TRACE).as_log());
}

/// A reader that follows each handled event. The rings keep no record of a handled event otherwise,
/// because each event would pay for a record that no client reads.
pub(super) struct Following {
    level: LogLevel,
    /// The number of the last record before the rings kept each handled event.
    since: u64,
}

impl Following {
    /// Whether handled events after the record with this number may be missing.
    pub(super) fn misses(&self, after: u64) -> bool {
        after < self.since
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let mut followers = self.level.0.followers.lock();
        followers.count -= 1;
        if followers.count == 0 {
            self.level.0.is_followed.store(false, Ordering::Relaxed);
            tracing::callsite::rebuild_interest_cache();
        }
    }
}

/// The filter of all layers: the records of the operator's level, and those that the rings keep.
pub(super) struct Gate(LogLevel);

impl<S: Subscriber> Layer<S> for Gate {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        match self.0.keeps(metadata) {
            true => Interest::always(),
            false => Layer::<S>::register_callsite(&*self.0.0.filter.read(), metadata),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, context: Context<'_, S>) -> bool {
        self.0.keeps(metadata) || self.0.0.filter.read().enabled(metadata, context)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.0.filter.read().max_level_hint()?.max(LevelFilter::DEBUG))
    }

    // A directive of the operator can name a span.

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        self.0.0.filter.read().on_new_span(attributes, id, context);
    }

    fn on_record(&self, id: &Id, values: &SpanRecord<'_>, context: Context<'_, S>) {
        self.0.0.filter.read().on_record(id, values, context);
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        self.0.0.filter.read().on_enter(id, context);
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        self.0.0.filter.read().on_exit(id, context);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        self.0.0.filter.read().on_close(id, context);
    }
}

/// A layer that gets only the records of the operator's level.
pub(super) struct OnlyShown<L> {
    layer: L,
    level: LogLevel,
}

impl<S: Subscriber, L: Layer<S>> Layer<S> for OnlyShown<L> {
    fn on_layer(&mut self, subscriber: &mut S) {
        self.layer.on_layer(subscriber);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        // The gate lets no other record pass that the operator's filter does not.
        let is_kept = self.level.keeps(event.metadata());
        if !is_kept || self.level.0.filter.read().enabled(event.metadata(), context.clone()) {
            self.layer.on_event(event, context);
        }
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        self.layer.on_new_span(attributes, id, context);
    }

    fn on_record(&self, id: &Id, values: &SpanRecord<'_>, context: Context<'_, S>) {
        self.layer.on_record(id, values, context);
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        self.layer.on_enter(id, context);
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        self.layer.on_exit(id, context);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        self.layer.on_close(id, context);
    }
}
