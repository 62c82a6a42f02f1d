use std::collections::BTreeMap;

use nexum_sdk::testing::Harness;
use nexum_sdk::{Address, ErrorKind, Result, Tick, bail, info, module, store};
use proptest::prelude::*;

const CELL: store::Cell<String> = store::Cell::new("cell");
const COUNTER: store::Counter = store::Counter::new("counter");
const PAIRS: store::Map<(Address, u64), u32> = store::Map::new("pairs");
const NAMES: store::Map<String, u8> = store::Map::new("names");
const QUEUE: store::Queue<String> = store::Queue::new("queue");
const SPANS: store::Map<(u64, u8), ()> = store::Map::new("spans");
const SCHEDULE: store::Schedule<(Address, u8)> = store::Schedule::new("schedule");
/// The name of another map with a key behind it.
const TRAP: store::Cell<u8> = store::Cell::new("names/a");

/// Runs the closure of a test as an event.
struct Runs;

type Step = Box<dyn FnOnce() -> Result>;

thread_local! {
    static STEP: std::cell::RefCell<Option<Step>> = const { std::cell::RefCell::new(None) };
}

#[module]
impl Runs {
    fn init() -> Self {
        Self
    }

    #[on_tick("* * * * *")]
    fn run(&mut self, _: Tick) -> Result {
        STEP.take().map_or(Ok(()), |step| step())
    }
}

fn run(harness: &mut Harness<Runs>, step: impl FnOnce() -> Result + 'static) -> Result {
    STEP.replace(Some(Box::new(step)));
    harness.tick(1_000)
}

fn harness() -> Harness<Runs> {
    Harness::new(&[]).expect("it starts")
}

#[test]
fn a_cell_has_one_value() {
    let step = || {
        assert_eq!(CELL.get()?, None);
        CELL.set(&"a".into())?;
        CELL.update(|text| text.push('b'))?;
        assert_eq!(CELL.take()?.as_deref(), Some("ab"));
        assert_eq!(CELL.get()?, None);
        Ok(())
    };
    run(&mut harness(), step).expect("all hold");
}

#[test]
fn a_counter_counts_from_zero() {
    let step = || {
        assert_eq!(COUNTER.get()?, 0);
        assert_eq!((COUNTER.add(2)?, COUNTER.add(3)?), (2, 5));
        assert_eq!(
            COUNTER.add(u64::MAX).expect_err("too large").message(),
            "the counter overflows"
        );
        COUNTER.reset()?;
        assert_eq!(COUNTER.get()?, 0);
        Ok(())
    };
    run(&mut harness(), step).expect("all hold");
}

#[test]
fn a_map_lists_the_keys_below_a_part() {
    let step = || {
        let (a, b) = (Address::with_last_byte(1), Address::with_last_byte(2));
        for (key, value) in [((b, 1), 4), ((a, 300), 3), ((a, 2), 2), ((a, 1), 1)] {
            PAIRS.set(&key, &value)?;
        }
        let of_a: Vec<_> = PAIRS.under(&a)?.collect::<Result<_>>()?;
        assert_eq!(of_a, [((a, 1), 1), ((a, 2), 2), ((a, 300), 3)]);
        assert_eq!(PAIRS.keys()?, [(a, 1), (a, 2), (a, 300), (b, 1)]);
        PAIRS.remove(&(a, 2))?;
        assert_eq!((PAIRS.contains(&(a, 2))?, PAIRS.get(&(b, 1))?), (false, Some(4)));
        PAIRS.update(&(b, 1), |value| *value += 1)?;
        assert_eq!(
            PAIRS
                .iter()?
                .map(|entry| entry.map(|(_, value)| value))
                .collect::<Result<Vec<_>>>()?,
            [1, 3, 5]
        );
        PAIRS.clear()?;
        assert!(PAIRS.keys()?.is_empty());
        Ok(())
    };
    run(&mut harness(), step).expect("all hold");
}

#[test]
fn a_removed_key_is_skipped_by_a_running_iteration() {
    let step = || {
        for name in ["a", "b", "c"] {
            NAMES.set(&name.into(), &1)?;
        }
        let mut entries = NAMES.iter()?;
        assert_eq!(entries.next().transpose()?, Some(("a".into(), 1)));
        NAMES.remove(&"b".into())?;
        assert_eq!(entries.next().transpose()?, Some(("c".into(), 1)));
        Ok(())
    };
    run(&mut harness(), step).expect("all hold");
}

#[test]
fn names_and_keys_cannot_collide() {
    let mut harness = harness();
    let step = || {
        TRAP.set(&9)?;
        NAMES.set(&"a".into(), &1)?;
        NAMES.set(&"a/b".into(), &2)?;
        NAMES.set(&"50%".into(), &3)?;
        assert_eq!(TRAP.get()?, Some(9));
        let starting = NAMES.starting_with("a")?.collect::<Result<Vec<_>>>()?;
        assert_eq!(starting, [("a".into(), 1), ("a/b".into(), 2)]);
        Ok(())
    };
    run(&mut harness, step).expect("all hold");
    let keys: Vec<_> = harness.host.state.keys().map(String::as_str).collect();
    assert_eq!(keys, ["names%2fa", "names/50%25", "names/a", "names/a%2fb"]);
}

#[test]
fn a_queue_gives_items_by_their_time() {
    let step = || {
        for (due, item) in [(30, "c"), (10, "a"), (10, "b"), (20, "later")] {
            QUEUE.push(due, &item.into())?;
        }
        assert_eq!((QUEUE.next_due()?, QUEUE.len()?), (Some(10), 4));
        assert!(QUEUE.due(9, 10)?.is_empty());
        let due = QUEUE.due(20, 10)?;
        assert_eq!(
            due.iter().map(|due| &due.item[..]).collect::<Vec<_>>(),
            ["a", "b", "later"]
        );
        QUEUE.postpone(&due[2], 40)?;
        let taken = QUEUE.take_due(100, 3)?;
        assert_eq!(
            taken.iter().map(|due| (due.due, &due.item[..])).collect::<Vec<_>>(),
            [(10, "a"), (10, "b"), (30, "c")]
        );
        assert_eq!((QUEUE.next_due()?, QUEUE.is_empty()?), (Some(40), false));
        Ok(())
    };
    run(&mut harness(), step).expect("all hold");
}

#[test]
fn a_value_of_another_type_is_an_error_with_the_key() {
    let step = || {
        store::Cell::<u8>::new("cell").set(&200)?;
        if let Err(error) = CELL.get() {
            info!("{error}");
            bail!(error.kind(); "as expected");
        }
        Ok(())
    };
    let mut harness = harness();
    let error = run(&mut harness, step).expect_err("unreadable");
    assert_eq!((error.kind(), error.message()), (ErrorKind::Internal, "as expected"));
    let logged = harness.host.messages_logged();
    assert!(
        logged[0].starts_with("local-store internal: the value of \"cell\": "),
        "{logged:?}"
    );
}

proptest! {
    /// A map does what a `BTreeMap` does.
    #[test]
    fn a_map_is_a_map(changes in proptest::collection::vec((any::<u8>(), any::<Option<u32>>()), 0..20)) {
        let step = move || {
            let map = store::Map::<u8, u32>::new("map");
            let mut model = BTreeMap::new();
            for (key, value) in changes {
                match value {
                    Some(value) => { map.set(&key, &value)?; model.insert(key, value); }
                    None => { map.remove(&key)?; model.remove(&key); }
                }
            }
            let entries = map.iter()?.collect::<Result<BTreeMap<_, _>>>()?;
            assert_eq!(entries, model);
            Ok(())
        };
        run(&mut harness(), step).expect("all hold");
    }
}

#[test]
fn a_schedule_gives_what_is_due_in_order() {
    let step = || {
        let key = |n| (Address::with_last_byte(n), n);
        assert_eq!(SCHEDULE.due(u64::MAX, 9)?, []);
        for (due, n) in [(0x1_000, 1), (0x12, 2), (0xffff_0000, 3), (u64::MAX, 4), (0x12, 5)] {
            SCHEDULE.add(due, &key(n))?;
        }
        assert_eq!(SCHEDULE.due(0x11, 9)?, []);
        assert_eq!(SCHEDULE.due(0x12, 9)?, [(0x12, key(2)), (0x12, key(5))]);
        assert_eq!(SCHEDULE.due(0x2_000, 2)?, [(0x12, key(2)), (0x12, key(5))]);
        SCHEDULE.remove(0x12, &key(2))?;
        SCHEDULE.remove(0x12, &key(5))?;
        SCHEDULE.remove(0x12, &key(5))?;
        assert_eq!(SCHEDULE.due(0xfff, 9)?, []);
        assert_eq!(SCHEDULE.due(0x1_000, 9)?, [(0x1_000, key(1))]);
        SCHEDULE.remove(0x1_000, &key(1))?;
        SCHEDULE.add(7, &key(6))?;
        let rest = [(7, key(6)), (0xffff_0000, key(3)), (u64::MAX, key(4))];
        assert_eq!(SCHEDULE.due(u64::MAX, 9)?, rest);
        Ok(())
    };
    run(&mut harness(), step).unwrap();
}

proptest! {
    #[test]
    fn a_map_finds_numbers_between_two(numbers: Vec<u16>, far: Vec<u64>, from: u16, to: u64, count in 0..9_usize) {
        let step = move || {
            let all: BTreeMap<u64, ()> =
                numbers.iter().map(|n| (u64::from(*n), ())).chain(far.iter().map(|n| (*n, ()))).collect();
            for number in all.keys() {
                SPANS.set(&(*number, 0), &())?;
            }
            let from = u64::from(from);
            let expected = all.keys().filter(|n| (from..=to).contains(*n)).take(count);
            let found = SPANS.between(from, to, count)?;
            assert_eq!(found, expected.map(|n| (*n, 0)).collect::<Vec<_>>());
            Ok(())
        };
        run(&mut harness(), step).unwrap();
    }
}
