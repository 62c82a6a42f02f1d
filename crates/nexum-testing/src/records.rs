//! Catches `tracing` events, so that a test can say what the operator saw.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// One event, as it would be logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The event's target.
    pub target: String,
    /// Its level.
    pub level: Level,
    /// Its message.
    pub message: String,
    /// Its other fields, as text.
    pub fields: BTreeMap<String, String>,
}

/// What has been caught so far. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Records(Arc<Mutex<Vec<Record>>>);

impl Records {
    /// Catches everything that this thread logs until the guard is dropped.
    pub fn capture() -> (Self, tracing::subscriber::DefaultGuard) {
        let records = Self::default();
        let subscriber = tracing_subscriber::registry().with(Capture(records.clone()));
        (records, tracing::subscriber::set_default(subscriber))
    }

    /// Everything caught so far, oldest first.
    pub fn all(&self) -> Vec<Record> {
        self.lock().clone()
    }

    /// The messages that a module logged itself, oldest first.
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(cause) = source {
            text.push_str(&format!(": {cause}"));
            source = cause.source();
        }
        self.0.insert(field.name().to_owned(), text);
    }
}
