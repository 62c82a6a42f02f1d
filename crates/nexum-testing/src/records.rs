//! Captures `tracing` events, so that a test can check what an operator sees.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use nexum_config::causes::Causes;
use parking_lot::{Mutex, MutexGuard};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// One log event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The event's target.
    pub target: String,
    /// The event's level.
    pub level: Level,
    /// The event's message.
    pub message: String,
    /// The event's other fields, as text.
    pub fields: BTreeMap<String, String>,
}

/// The captured events. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Records(Arc<Mutex<Vec<Record>>>);

impl Records {
    /// Captures everything that this thread logs until the guard is dropped.
    pub fn capture() -> (Self, tracing::subscriber::DefaultGuard) {
        let records = Self::default();
        let subscriber = tracing_subscriber::registry().with(Capture(records.clone()));
        (records, tracing::subscriber::set_default(subscriber))
    }

    /// All captured events, oldest first.
    pub fn all(&self) -> Vec<Record> {
        self.lock().clone()
    }

    /// The messages that a module logged, oldest first.
    pub fn of_module(&self, module: &str) -> Vec<String> {
        let by = |record: &&Record| {
            record.target == "nexum::module" && record.fields.get("module").is_some_and(|name| name == module)
        };
        self.lock()
            .iter()
            .filter(by)
            .map(|record| record.message.clone())
            .collect()
    }

    /// The first record whose message contains `part`.
    pub fn find(&self, part: &str) -> Option<Record> {
        self.lock().iter().find(|record| record.message.contains(part)).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Record>> {
        self.0.lock()
    }
}

struct Capture(Records);

impl<S: Subscriber> Layer<S> for Capture {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let message = fields.0.remove("message").unwrap_or_default();
        let metadata = event.metadata();
        let (target, level) = (metadata.target().to_owned(), *metadata.level());
        self.0.lock().push(Record {
            target,
            level,
            message,
            fields: fields.0,
        });
    }
}

#[derive(Default)]
struct Fields(BTreeMap<String, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.0.insert(field.name().to_owned(), Causes(value).to_string());
    }
}
