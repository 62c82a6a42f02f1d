use nexum_config::topic::{ChainTopic, Finality};

use super::*;
use crate::event::EventKind;
use crate::state::EffectClass;
use crate::store::{MemoryStore, StateStore};

const ID: ModuleId = ModuleId(1);

const TOPIC: Topic = Topic::Chain(ChainTopic {
    chain_id: 1,
    finality: Finality::Latest,
});

fn effect(number: u64) -> Effect {
    let position = Position { number, hash: [1; 32] };
    let event = EventId {
        topic: TOPIC,
        position,
        kind: EventKind::Block,
    };
    Effect {
        event,
        number: 1,
        kind: "test".to_owned(),
        target: "receiver".to_owned(),
        digest: Effect::digest_of("test", "receiver", &number.to_be_bytes()),
        class: EffectClass::Once,
        is_strict: true,
        request: Vec::new().into(),
        request_bytes: 0,
        key: [0; 16],
        attempt: 1,
        at_ms: number,
        state: EffectState::Done(Some(Vec::new().into())),
        is_over: true,
        is_stranded: false,
        is_reported: false,
    }
}

/// A log with its store, on a chain whose newest final block has this number.
#[derive(Default)]
struct World {
    store: MemoryStore,
    log: EffectLog,
    settled: u64,
}

impl World {
    /// Changes the log, and removes what nexum does not need. Returns the stranded effects that are lost now.
    fn change(&mut self, change: impl FnOnce(&mut EffectLog, &mut Batch)) -> Vec<Effect> {
        let mut batch = Batch::default();
        change(&mut self.log, &mut batch);
        let settled = self.settled;
        let lost = self
            .log
            .prune(ID, &|event| event.position.number <= settled, 0, &mut batch);
        self.store.write(&batch).expect("a write");
        lost
    }

    fn set(&mut self, effect: &Effect) {
        self.change(|log, batch| log.set(ID, effect, batch));
    }

    /// The numbers of the blocks of the stored records.
    fn stored(&self, prefix: &[u8]) -> Vec<u64> {
        let mut found = Vec::new();
        let view = self.store.view().expect("a view");
        let mut take = |effect: Effect, _| {
            found.push(effect.event.position.number);
            ControlFlow::Continue(())
        };
        scan(&*view, prefix, &mut take).expect("records");
        found.sort_unstable();
        found
    }
}

#[test]
fn the_oldest_records_go_above_the_bound_and_those_that_an_attempt_needs_stay() {
    let mut world = World::default();
    let open = Effect {
        is_over: false,
        ..effect(0)
    };
    world.set(&open);
    world.set(&effect(1));
    world.change(|log, _| log.hold(ID, &rows::event_key(&effect(1).event), true));
    let last = EFFECTS_MAX as u64 + 1;
    for number in 2..=last {
        world.set(&effect(number));
    }
    assert_eq!(world.stored(&rows::effects(ID)).len(), EFFECTS_MAX + 2);
    world.set(&effect(last + 1));
    let stored = world.stored(&rows::effects(ID));
    assert_eq!(stored.len(), EFFECTS_MAX + 2);
    assert_eq!(stored[..3], [0, 1, 3]);
    // A restart finds the same.
    let view = world.store.view().expect("a view");
    let loaded = EffectLog::load(&*view, ID).expect("a log");
    assert_eq!(loaded.marks.len(), world.log.marks.len());
    assert_eq!(loaded.counts.open, 1);
}

/// The answers of one event can have more bytes than all records may.
#[test]
fn the_records_of_the_current_event_stay_whatever_their_size() {
    let mut world = World::default();
    let answer = vec![0; 1 << 20];
    for number in 1..=20 {
        world.set(&Effect {
            number,
            state: EffectState::Done(Some(answer.clone().into())),
            is_over: false,
            ..effect(7)
        });
    }
    assert_eq!(world.stored(&rows::effects(ID)).len(), 20);
    for number in 1..=20 {
        world.set(&Effect {
            number,
            state: EffectState::Done(Some(answer.clone().into())),
            ..effect(7)
        });
    }
    assert_eq!(world.stored(&rows::effects(ID)).len(), 15);
}

#[test]
fn the_oldest_stranded_effects_go_above_the_bound_and_are_reported() {
    let mut world = World::default();
    let max = STRANDED_MAX as u64;
    for number in 1..=max {
        let lost = world.change(|log, batch| log.strand(ID, effect(number), batch));
        assert!(lost.is_empty());
    }
    let lost = world.change(|log, batch| log.strand(ID, effect(max + 1), batch));
    let lost: Vec<u64> = lost.iter().map(|effect| effect.event.position.number).collect();
    assert_eq!(lost, [1]);
    let stored = world.stored(&rows::all_stranded(ID));
    assert_eq!((stored.len(), stored[0]), (STRANDED_MAX, 2));
}

#[test]
fn a_stranded_effect_is_reported_once_when_its_block_is_final() {
    let mut world = World::default();
    assert!(world.change(|log, batch| log.strand(ID, effect(5), batch)).is_empty());
    assert_eq!(world.log.in_doubt(), 0);
    let unknown = Effect {
        state: EffectState::Intent,
        ..effect(6)
    };
    assert!(world.change(|log, batch| log.strand(ID, unknown, batch)).is_empty());
    assert_eq!(world.log.in_doubt(), 1);
    world.settled = 5;
    assert_eq!(world.change(|_, _| ()).len(), 1);
    assert_eq!(world.change(|_, _| ()).len(), 0);
}

#[test]
fn the_effects_of_an_event_that_will_not_come_again_are_abandoned() {
    let mut world = World::default();
    let open = |number| Effect {
        is_over: false,
        ..effect(number)
    };
    for effect in [effect(1), open(2), open(3)] {
        world.set(&effect);
    }
    world.change(|log, _| log.hold(ID, &rows::event_key(&effect(2).event), true));
    assert_eq!(world.log.abandoned(&effect(3).event), [[0; 0]; 0]);
    let keys = world.log.abandoned(&effect(4).event);
    assert_eq!(keys, [open(3).row(ID)]);
    let view = world.store.view().expect("a view");
    let abandoned = read(&*view, &keys).expect("the record");
    drop(view);
    world.change(|log, batch| {
        let abandoned = abandoned.into_iter();
        abandoned.for_each(|effect| log.strand(ID, effect, batch));
    });
    assert_eq!(world.stored(&rows::all_stranded(ID)), [3]);
    assert_eq!(world.stored(&rows::effects(ID)), [1, 2]);
}

#[test]
fn an_effect_that_has_not_happened_is_not_stranded() {
    let mut world = World::default();
    let refused = Effect {
        state: EffectState::Refused,
        ..effect(1)
    };
    world.set(&refused);
    world.change(|log, batch| log.strand(ID, refused, batch));
    assert_eq!(world.stored(&rows::all_stranded(ID)), [0; 0]);
    assert_eq!(world.stored(&rows::effects(ID)), [0; 0]);
}
