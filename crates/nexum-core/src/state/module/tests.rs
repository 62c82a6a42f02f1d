//! Random histories of a module: its counts agree with its rows.

use std::sync::Arc;

use nexum_config::limits::{Limit, Limits};
use nexum_config::topic::{ChainTopic, Finality, ScheduleId};
use proptest::prelude::*;
use tokio::time::Instant;

use super::*;
use crate::event::{EventKind, Handler};
use crate::state::scope::EventScope;
use crate::state::{Cursor, EffectClass, EffectState, Progress, intern};
use crate::store::{MemoryStore, wait};

const TOPIC: Topic = Topic::Chain(ChainTopic {
    chain_id: 1,
    finality: Finality::Latest,
});

/// The lowest block: no revert goes below it.
const FIRST: u64 = 1;

/// The limit on the module's keys, below the number of different keys in `writes`.
const KEYS_MAX: u64 = 3;

#[derive(Clone, Debug)]
enum Step {
    /// A block, whose event becomes a dead letter where it fails. A crash loses its commit.
    Block {
        fails: bool,
        crashes: bool,
        /// Keys with the lengths of their new values. `None` deletes the key.
        writes: Vec<(u8, Option<usize>)>,
    },
    /// The operator retries a dead letter.
    Retry {
        which: usize,
        fails: bool,
    },
    Revert {
        depth: u64,
    },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (any::<bool>(), prop::bool::weighted(0.2), writes())
            .prop_map(|(fails, crashes, writes)| Step::Block { fails, crashes, writes }),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(which, fails)| Step::Retry { which, fails }),
        1 => (0..6_u64).prop_map(|depth| Step::Revert { depth }),
        1 => Just(Step::Restart),
    ]
}

fn writes() -> impl Strategy<Value = Vec<(u8, Option<usize>)>> {
    prop::collection::vec((0..6_u8, prop::option::weighted(0.7, 0..4_usize)), 0..8)
}

struct World {
    store: Arc<MemoryStore>,
    state: ModuleState,
    head: u64,
}

impl World {
    fn take(&mut self, step: Step) {
        match step {
            Step::Block { fails, crashes, writes } => {
                let number = self.head + 1;
                let mut changes = self.written(&writes, fails);
                if fails {
                    let (old, new) = (None, Some(b"once".to_vec()));
                    changes.dead_letters.push((id(number), Change { old, new }));
                }
                let position = position(number);
                let done = EventKind::Block;
                let cursor = Cursor {
                    topic: TOPIC,
                    live_from: 0,
                    last: Some(Progress { position, done }),
                };
                let batch = self.batch(changes, Some((TOPIC, position)), Some(cursor));
                if crashes {
                    return self.take(Step::Restart);
                }
                self.store.write(&batch).expect("a write");
                self.head = number;
            }
            Step::Retry { which, fails } => {
                let view = self.view();
                let there = (1..=self.head).map(|number| (id(number), rows::dead_letter(self.state.id, &id(number))));
                let letters = there.filter_map(|(id, row)| Some((id, view.get(&row).expect("a view")?)));
                let letters: Vec<_> = letters.collect();
                if letters.is_empty() {
                    return;
                }
                let (id, old) = letters[which % letters.len()].clone();
                let new = fails.then(|| b"again".to_vec());
                let mut changes = self.written(&[], false);
                changes.dead_letters.push((id, Change { old: Some(old), new }));
                let batch = self.batch(changes, None, None);
                self.store.write(&batch).expect("a write");
            }
            Step::Revert { depth } => {
                self.head = self.head.saturating_sub(depth).max(FIRST);
                let view = self.view();
                let batch = self.state.revert(&*view, TOPIC, position(self.head)).expect("a revert");
                self.store.write(&batch).expect("a write");
            }
            Step::Restart => self.state = ModuleState::load(&*self.view(), self.state.id).expect("a state"),
        }
    }

    fn view(&self) -> Box<dyn View> {
        self.store.view().expect("a view")
    }

    /// The changes of a handler that makes these writes, and then perhaps fails.
    fn written(&self, writes: &[(u8, Option<usize>)], fails: bool) -> Changes {
        let limits = Limits::default().with(Limit::StateKeys, KEYS_MAX);
        let mut scope = EventScope::new(self.state.id, self.store.clone(), limits);
        let open = |scope: &mut EventScope| scope.open(Handler::Init, Instant::now(), 1, self.state.usage(), None);
        open(&mut scope);
        for (key, value) in writes {
            let keys = scope.usage().keys;
            let is_new = wait(scope.get(&[*key])).expect("a view").is_none();
            let done = match value {
                Some(length) => wait(scope.set(vec![*key], vec![0; *length])),
                None => wait(scope.delete(&[*key])),
            };
            let denied = value.is_some() && is_new && keys == KEYS_MAX;
            assert_eq!(done.is_err(), denied, "key {key} of {keys}");
        }
        if fails {
            open(&mut scope);
        }
        scope.close()
    }

    fn batch(&mut self, changes: Changes, event: Option<(Topic, Position)>, cursor: Option<Cursor>) -> Batch {
        let settled = |_| Some(FIRST);
        let mut batch = Batch::default();
        self.state.record(changes, event, &settled, &mut batch);
        cursor
            .into_iter()
            .for_each(|cursor| self.state.cursors_mut().set(cursor));
        self.state.seal(&settled, 0, &mut batch);
        batch
    }
}

fn position(number: u64) -> Position {
    let hash = [0; 32];
    Position { number, hash }
}

fn id(number: u64) -> EventId {
    EventId {
        topic: TOPIC,
        position: position(number),
        kind: EventKind::Block,
    }
}

/// The usage according to the rows.
fn found(view: &dyn View, id: ModuleId) -> Usage {
    let mut usage = Usage::default();
    rows::scan(view, &rows::states(id), &mut |key, value| {
        usage.keys += 1;
        usage.bytes += (rows::guest_key(key).len() + value.len()) as u64;
        std::ops::ControlFlow::Continue(())
    })
    .expect("a scan");
    usage
}

proptest! {
    #[test]
    fn dead_letters_and_usage_are_as_many_as_there_are_rows(steps in prop::collection::vec(step(), 1..60)) {
        let store = Arc::new(MemoryStore::new());
        let name = "module".parse().expect("a name");
        let id = intern(&*store, &[name]).expect("a number")[0];
        let mut world = World { store, state: ModuleState::empty(id), head: 0 };
        world.take(Step::Block { fails: false, crashes: false, writes: Vec::new() });
        for step in steps {
            let after = format!("{step:?}");
            world.take(step);
            let rows = count_dead_letters(&*world.view(), id).expect("a count");
            prop_assert_eq!(world.state.dead_letters(), rows, "after {}", after);
            let usage = ProgressRow::read(&*world.view(), id).expect("a row").usage;
            prop_assert_eq!(world.state.usage(), usage, "after {}", after);
            prop_assert!(usage.keys <= KEYS_MAX, "{} keys after {}", usage.keys, after);
            prop_assert_eq!(found(&*world.view(), id), usage, "after {}", after);
        }
    }
}

const SCHEDULE: Topic = Topic::Schedule(ScheduleId(7));

fn event_of(topic: Topic, number: u64) -> EventId {
    EventId {
        topic,
        position: position(number),
        kind: EventKind::Block,
    }
}

fn record_of(event: EventId) -> Effect {
    Effect {
        event,
        number: 1,
        kind: "test".to_owned(),
        target: "receiver".to_owned(),
        digest: Effect::digest_of("test", "receiver", &event.position.number.to_be_bytes()),
        class: EffectClass::Once,
        is_strict: true,
        request: Vec::new().into(),
        request_bytes: 0,
        key: [0; 16],
        attempt: 1,
        at_ms: 0,
        state: EffectState::Done(Some(Vec::new().into())),
        is_over: true,
        is_stranded: false,
        is_reported: false,
    }
}

/// A module that follows a chain and a schedule, and keeps the records of effects no longer than it needs them.
struct Scheduled {
    store: Arc<MemoryStore>,
    state: ModuleState,
    /// The newest final block of the chain.
    settled: u64,
}

impl Scheduled {
    fn start() -> Self {
        let store = Arc::new(MemoryStore::new());
        let id = intern(&*store, &["module".parse().expect("a name")]).expect("a number")[0];
        Self {
            store,
            state: ModuleState::empty(id),
            settled: 0,
        }
    }

    fn write(&mut self, change: impl FnOnce(&mut ModuleState, &Settled<'_>, &mut Batch)) {
        let number = self.settled;
        let settled = move |topic| (topic == TOPIC).then_some(number);
        let mut batch = Batch::default();
        change(&mut self.state, &settled, &mut batch);
        self.state.seal(&settled, u64::MAX, &mut batch);
        self.store.write(&batch).expect("a write");
    }

    /// Handles an event that has one effect.
    fn handle(&mut self, topic: Topic, number: u64) {
        let event = event_of(topic, number);
        self.write(|state, settled, batch| {
            let changes = Changes {
                effects: Some(Box::new(EffectChanges {
                    set: vec![record_of(event)],
                    ..EffectChanges::default()
                })),
                ..Changes::default()
            };
            state.record(changes, Some((topic, event.position)), settled, batch);
            let done = EventKind::Block;
            state.cursors_mut().set(Cursor {
                topic,
                live_from: 0,
                last: Some(Progress {
                    position: event.position,
                    done,
                }),
            });
        });
    }

    /// Adds or removes the dead letter of a tick. `retried` also has its effect.
    fn letter(&mut self, number: u64, (old, new): (Option<&[u8]>, Option<&[u8]>), retried: bool) {
        let event = event_of(SCHEDULE, number);
        self.write(|state, settled, batch| {
            let set = vec![record_of(event)];
            let effects = EffectChanges {
                set,
                ..EffectChanges::default()
            };
            let (old, new) = (old.map(<[u8]>::to_vec), new.map(<[u8]>::to_vec));
            let changes = Changes {
                dead_letters: vec![(event, Change { old, new })],
                effects: retried.then(|| Box::new(effects)),
                ..Changes::default()
            };
            let about = (!retried).then_some((SCHEDULE, event.position));
            state.record(changes, about, settled, batch);
        });
    }

    fn revert(&mut self, to: u64) {
        let view = self.store.view().expect("a view");
        let batch = self.state.revert(&*view, TOPIC, position(to)).expect("a revert");
        drop(view);
        self.store.write(&batch).expect("a write");
    }

    /// The ticks with records, and whether they are over.
    fn ticks(&self) -> Vec<(u64, bool)> {
        let mut ticks = Vec::new();
        let view = self.store.view().expect("a view");
        crate::state::effect::effects(&*view, self.state.id, &mut |effect| {
            assert!(!effect.is_stranded || effect.event.topic == TOPIC, "{effect:?}");
            if effect.event.topic == SCHEDULE {
                ticks.push((effect.event.position.number, effect.is_over));
            }
            std::ops::ControlFlow::Continue(())
        })
        .expect("effects");
        ticks
    }

    fn restart(&mut self) {
        let view = self.store.view().expect("a view");
        self.state = ModuleState::load(&*view, self.state.id).expect("a state");
    }
}

#[test]
fn the_record_of_a_tick_stays_as_long_as_a_reorganisation_of_a_chain_can_deliver_the_tick_again() {
    for restarts in [false, true] {
        let mut module = Scheduled::start();
        module.handle(TOPIC, 1);
        module.handle(SCHEDULE, 10);
        module.handle(SCHEDULE, 11);
        module.handle(TOPIC, 2);
        if restarts {
            module.restart();
        }
        module.write(|_, _, _| ());
        assert_eq!(module.ticks(), [(10, true), (11, true)]);
        module.revert(0);
        // The attempts at both ticks are still to come, whatever the module commits before.
        module.write(|_, _, _| ());
        assert_eq!(module.ticks(), [(10, false), (11, false)]);
        if restarts {
            module.restart();
        }
        assert!(module.state.effects().abandoned(&event_of(SCHEDULE, 10)).is_empty());
        module.handle(TOPIC, 1);
        module.handle(SCHEDULE, 10);
        assert_eq!(module.ticks(), [(10, true), (11, false)]);
        module.handle(SCHEDULE, 11);
        module.settled = 2;
        for _ in 0..2 {
            module.write(|_, _, _| ());
        }
        assert_eq!(module.ticks(), []);
    }
}

#[test]
fn the_record_of_a_retried_tick_stays_as_long_as_a_reorganisation_can_restore_its_dead_letter() {
    let mut module = Scheduled::start();
    module.letter(10, (None, Some(b"letter")), false);
    module.handle(TOPIC, 1);
    module.letter(10, (Some(b"letter"), None), true);
    assert_eq!(module.ticks(), [(10, true)]);
    module.revert(0);
    module.restart();
    module.write(|_, _, _| ());
    assert_eq!(module.ticks(), [(10, false)]);
    module.letter(10, (Some(b"letter"), None), true);
    assert_eq!(module.ticks(), []);
}
