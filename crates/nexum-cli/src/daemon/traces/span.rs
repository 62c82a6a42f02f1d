//! A span before it is complete: its ids, times and attributes.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use nexum_config::names::Digest;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

/// The name of nexum among the libraries that make spans.
const SCOPE: &str = "nexum";

/// The place of a span in its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    trace: TraceId,
    span: SpanId,
}

impl Place {
    /// The first span of a trace. `trace` and `span` are texts that no other trace, and no other first span of the
    /// trace, has.
    pub(super) fn root(trace: &str, span: &str) -> Self {
        let trace = Self {
            trace: TraceId::from_bytes(id(trace)),
            span: SpanId::INVALID,
        };
        trace.child(span)
    }

    /// A span below this one. `name` is a text that no other child has.
    pub(super) fn child(self, name: &str) -> Self {
        Self {
            span: SpanId::from_bytes(id(&format!("{} {} {name}", self.trace, self.span))),
            ..self
        }
    }
}

/// The first bytes of a text's digest: an id that a restart does not change.
fn id<const N: usize>(text: &str) -> [u8; N] {
    let digest = Digest::of(text.as_bytes());
    digest.as_bytes().first_chunk().copied().unwrap_or([0; N])
}

/// A time span, in microseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) from_us: u64,
    pub(super) to_us: u64,
}

impl Times {
    /// The part of this time span that is within another one.
    pub(super) fn within(self, outer: Self) -> Self {
        Self {
            from_us: self.from_us.clamp(outer.from_us, outer.to_us),
            to_us: self.to_us.clamp(outer.from_us, outer.to_us),
        }
    }
}

/// A span, at this place and below `parent`, if there is one.
pub(super) fn span(
    name: impl Into<Cow<'static, str>>,
    kind: SpanKind,
    (place, parent): (Place, Option<Place>),
    times: Times,
) -> SpanData {
    SpanData {
        span_context: SpanContext::new(
            place.trace,
            place.span,
            TraceFlags::SAMPLED,
            false,
            TraceState::default(),
        ),
        parent_span_id: parent.map_or(SpanId::INVALID, |parent| parent.span),
        parent_span_is_remote: false,
        span_kind: kind,
        name: name.into(),
        start_time: time(times.from_us),
        end_time: time(times.to_us),
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder(SCOPE)
            .with_version(env!("CARGO_PKG_VERSION"))
            .build(),
    }
}

/// The time at this many microseconds since the Unix epoch.
pub(super) fn time(us: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(us)
}

/// Adds attributes to a span.
pub(super) trait Attributes {
    fn set(&mut self, key: impl Into<Cow<'static, str>>, value: impl Into<Value>);

    /// Sets a number. OpenTelemetry has signed ones only.
    fn set_number(&mut self, key: impl Into<Cow<'static, str>>, number: u64) {
        self.set(key, i64::try_from(number).unwrap_or(i64::MAX));
    }

    /// Sets a number that is not 0.
    fn set_positive(&mut self, key: impl Into<Cow<'static, str>>, number: u64) {
        if number > 0 {
            self.set_number(key, number);
        }
    }
}

impl Attributes for SpanData {
    fn set(&mut self, key: impl Into<Cow<'static, str>>, value: impl Into<Value>) {
        self.attributes.push(KeyValue::new(key.into(), value));
    }
}
