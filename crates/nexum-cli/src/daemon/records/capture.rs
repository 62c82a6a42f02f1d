//! The layer that puts log records into the rings.

use std::error::Error;
use std::fmt;

use nexum_config::causes::Causes;
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::layer::{Context, Layer};

use super::Records;
use super::record::Draft;

/// Keeps each record that it receives. A filter before it decides which ones it receives.
pub(in crate::daemon) struct Capture(pub(in crate::daemon) Records);

impl<S: Subscriber> Layer<S> for Capture {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        // Records of the crate `log` have their own target as a field.
        let target = match event.normalized_metadata() {
            Some(normalized) => normalized.target().to_owned().into(),
            None => metadata.target().into(),
        };
        let mut draft = Draft::new(*metadata.level(), target, metadata.name());
        event.record(&mut Fields(&mut draft));
        self.0.push(draft);
    }
}

struct Fields<'a>(&'a mut Draft);

impl Fields<'_> {
    fn add_value(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.add_value(field.name(), value.into());
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // The source code's place of a record of the crate `log`.
        if !field.name().starts_with("log.") {
            self.0.add(field.name(), format_args!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if !field.name().starts_with("log.") {
            self.0.add(field.name(), value);
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.0.add(field.name(), Causes(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() != "log.line" {
            self.add_value(field, value);
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add_value(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add_value(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add_value(field, value);
    }
}
