//! Random histories of a module: its counts agree with its rows.

use std::sync::Arc;

use nexum_config::limits::{Limit, Limits};
use nexum_config::topic::{ChainTopic, Finality};
use proptest::prelude::*;
use tokio::time::Instant;

use super::*;
use crate::event::{EventKind, Handler};
use crate::state::scope::EventScope;
use crate::state::{Cursor, Progress, intern};
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
