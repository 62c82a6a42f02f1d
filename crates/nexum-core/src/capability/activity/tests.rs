use nexum_config::topic::{ScheduleId, Topic};

use super::*;
use crate::event::{EventId, EventKind, Position};

/// The activity of a module, at a time that a test moves.
struct Timed {
    state: State,
    now: Instant,
}

impl Timed {
    fn new() -> Self {
        Self {
            state: State::default(),
            now: Instant::now(),
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }

    fn open(&mut self) {
        self.state.open(handler(), 3, self.now);
    }

    fn begin(&mut self, kind: HostCallKind, label: &str) {
        self.state.begin(kind, "method", self.now);
        self.state.waits_for(label);
    }

    /// A handler call that computes, and then waits for a host call.
    fn handle(&mut self, kind: HostCallKind, label: &str, guest_ms: u64, host_ms: u64) {
        self.open();
        self.pass(guest_ms);
        self.begin(kind, label);
        self.pass(host_ms);
        self.state.end(CallEnd::Answered(1), self.now);
        self.state.close(self.now);
    }

    fn largest(&mut self) -> Option<String> {
        let largest = self.state.time_use(self.now).largest();
        largest.map(|share| share.to_string())
    }

    fn current(&self) -> Option<CurrentCall> {
        self.state.handling(self.now)?.host_call
    }
}

fn handler() -> Handler {
    Handler::OnEvent(EventId {
        topic: Topic::Schedule(ScheduleId(1)),
        position: Position::at_ms(7),
        kind: EventKind::Tick,
    })
}

#[test]
fn the_largest_share_names_its_slowest_endpoint() {
    let mut timed = Timed::new();
    assert_eq!(timed.largest(), None);
    for _ in 0..10 {
        timed.handle(HostCallKind::Chain, "http://127.0.0.1:28547", 1, 310);
    }
    timed.handle(HostCallKind::Chain, "http://127.0.0.1:28548", 1, 20);
    timed.handle(HostCallKind::Store, "", 0, 7);
    timed
        .state
        .times
        .at(timed.now, WINDOW)
        .add(TimeKind::Commit, Duration::from_millis(10));
    let found = timed.state.time_use(timed.now);
    let times = TimeKind::ALL.map(|kind| found.of(kind).as_millis());
    assert_eq!(times, [11, 3_120, 0, 0, 7, 0, 10, 0]);
    let largest = found.largest().expect("a share");
    assert_eq!(largest.to_string(), "chain 99 %: http://127.0.0.1:28547 310 ms");
    assert_eq!(largest.endpoint.expect("an endpoint").calls, 10);
    // Two windows later nothing of this counts.
    timed.pass(2 * 60_000);
    assert_eq!(timed.largest(), None);
}

#[test]
fn the_call_in_progress_is_shown_and_counts() {
    let mut timed = Timed::new();
    assert!(timed.state.handling(timed.now).is_none());
    timed.open();
    timed.pass(5);
    let shown = timed.state.handling(timed.now).expect("a handler call");
    assert_eq!((shown.handler, shown.attempt, shown.host_call), (handler(), 3, None));
    timed.begin(HostCallKind::OrderBook, "http://127.0.0.1:8080");
    timed.pass(90);
    let shown = timed.state.handling(timed.now).expect("a handler call");
    let expected = CurrentCall {
        kind: HostCallKind::OrderBook,
        method: "method",
        endpoint: Some("http://127.0.0.1:8080".into()),
        elapsed: Duration::from_millis(90),
    };
    assert_eq!((shown.elapsed.as_millis(), shown.host_call), (95, Some(expected)));
    let expected = "order book 94 %: http://127.0.0.1:8080 90 ms";
    assert_eq!(timed.largest().as_deref(), Some(expected));
    timed.state.end(CallEnd::Cut, timed.now);
    assert_eq!(timed.current(), None);
    timed.state.close(timed.now);
    assert!(timed.state.handling(timed.now).is_none());
}

#[test]
fn a_call_in_the_background_is_shown_while_the_guest_continues() {
    let mut timed = Timed::new();
    timed.open();
    let begin = |timed: &mut Timed, label| {
        let now = timed.now;
        timed.state.begin_in_background(HostCallKind::Http, "GET", label, now)
    };
    let calls = [begin(&mut timed, "a.example"), begin(&mut timed, "b.example")];
    timed.pass(40);
    timed.begin(HostCallKind::Store, "");
    timed.state.end(CallEnd::Cut, timed.now);
    assert_eq!(
        timed.current().and_then(|call| call.endpoint).as_deref(),
        Some("b.example")
    );
    for call in calls {
        timed.state.end_in_background(call, CallEnd::Cut, timed.now);
    }
    assert_eq!(timed.current(), None);
    timed.state.close(timed.now);
    let found = timed.state.time_use(timed.now);
    assert_eq!(found.of(TimeKind::Host(HostCallKind::Http)).as_millis(), 80);
    assert_eq!(found.of(TimeKind::Guest), Duration::ZERO);
}

#[test]
fn the_endpoints_and_their_labels_are_bounded() {
    let mut timed = Timed::new();
    timed.handle(HostCallKind::Http, "kept", 0, 50);
    for index in 0..100 {
        let label = format!("{index}{}", "x".repeat(10_000));
        timed.handle(HostCallKind::Http, &label, 0, 1);
    }
    let endpoints = timed.state.time_use(timed.now).endpoints;
    assert_eq!(endpoints.len(), ENDPOINTS_MAX);
    assert!(endpoints.iter().any(|known| &*known.endpoint == "kept"));
    assert!(endpoints.iter().all(|known| known.endpoint.len() <= LABEL_BYTES_MAX));
}
