use nexum_config::topic::ChainTopic;

use super::*;
use crate::event::EventKind;
use crate::store::{MemoryStore, StateStore};

const ID: ModuleId = ModuleId(1);

fn event(number: u64) -> EventId {
    EventId {
        topic: Topic::Chain(ChainTopic::latest(1)),
        position: Position { number, hash: [1; 32] },
        kind: EventKind::Block,
    }
}

fn entry(kind: &'static str, bytes: usize) -> Entry {
    Entry {
        kind: Cow::Borrowed(kind),
        content: [0; 32],
        answer: Some(vec![7; bytes].into()),
    }
}

fn part(number_of_block: u64, number: u32, start: u32, entries: Vec<Entry>) -> Part {
    Part {
        event: event(number_of_block),
        number,
        start,
        entries,
    }
}

#[derive(Default)]
struct World {
    store: MemoryStore,
    log: TranscriptLog,
    passed: u64,
}

impl World {
    fn change(&mut self, change: impl FnOnce(&mut TranscriptLog, &mut Batch)) {
        let mut batch = Batch::default();
        change(&mut self.log, &mut batch);
        let passed = self.passed;
        self.log.prune(ID, &|event| event.position.number <= passed, &mut batch);
        self.store.write(&batch).expect("a write");
    }

    fn add(&mut self, part: &Part) {
        self.change(|log, batch| log.add(ID, part, batch));
    }

    fn kinds(&self, number: u64) -> Vec<String> {
        let view = self.store.view().expect("a view");
        let stored = Stored::read(&*view, ID, event(number)).expect("a transcript");
        stored.entries.iter().map(|entry| entry.kind.to_string()).collect()
    }

    fn rows(&self) -> usize {
        let mut rows = 0;
        let view = self.store.view().expect("a view");
        scan(&*view, &rows::transcripts(ID), &mut |_, _| rows += 1).expect("a scan");
        rows
    }
}

#[test]
fn a_part_continues_or_replaces_those_before_it() {
    let mut world = World::default();
    world.add(&part(1, 0, 0, vec![entry("a", 1), entry("b", 1)]));
    world.add(&part(1, 1, 2, vec![entry("c", 1)]));
    assert_eq!(world.kinds(1), ["a", "b", "c"]);
    world.add(&part(1, 2, 1, vec![entry("d", 1)]));
    assert_eq!(world.kinds(1), ["a", "d"]);
    let view = world.store.view().expect("a view");
    assert_eq!(Stored::read(&*view, ID, event(1)).expect("a transcript").next, 3);
    drop(view);
    // A part is missing.
    world.add(&part(1, 3, 7, vec![entry("e", 1)]));
    assert_eq!(world.kinds(1), [""; 0]);
}

#[test]
fn a_transcript_goes_when_no_attempt_at_its_event_can_come() {
    let mut world = World::default();
    for number in 1..=4 {
        world.add(&part(number, 0, 0, vec![entry("a", 1)]));
        world.add(&part(number, 1, 1, vec![entry("b", 1)]));
    }
    world.change(|log, _| log.hold(&rows::event_key(&event(1)), true));
    world.passed = 2;
    world.change(|_, _| ());
    assert_eq!([1, 2, 3, 4].map(|number| world.kinds(number).len()), [2, 0, 2, 2]);
    // A restart finds the same.
    let view = world.store.view().expect("a view");
    world.log = TranscriptLog::load(&*view, ID).expect("transcripts");
    drop(view);
    assert!(!world.log.has(&event(2)) && world.log.has(&event(3)));
    let to = event(3);
    world.change(|log, batch| log.revert(ID, (to.topic, to.position), batch));
    assert_eq!(world.kinds(4).len(), 0);
    world.passed = 3;
    world.change(|log, _| log.hold(&rows::event_key(&event(1)), false));
    world.change(|_, _| ());
    assert_eq!((world.rows(), world.log.bytes), (0, 0));
}

#[test]
fn the_oldest_transcripts_go_above_the_bound() {
    let mut world = World::default();
    for number in 1..=40 {
        world.add(&part(number, 0, 0, vec![entry("a", 1 << 20)]));
    }
    assert!(world.log.bytes <= TRANSCRIPT_BYTES_MAX);
    assert_eq!((world.kinds(9).len(), world.kinds(40).len()), (0, 1));
}
