//! After any operations, a store has the content of a map.

use std::ops::Bound;

use nexum_core::store::Batch;
use nexum_store::Backend;
use nexum_testing::Postgres;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::support::{ALL, Fixture, Rows, rows, scan};

/// The number of histories for each back-end: each history opens a database several times.
const HISTORIES: u32 = 48;

#[derive(Clone, Debug)]
enum Step {
    Write(Vec<(Vec<u8>, Option<Vec<u8>>)>),
    Get(Vec<u8>),
    Scan(Bound<Vec<u8>>, Bound<Vec<u8>>),
    Compact,
    Reopen,
}

/// Few different keys, so that operations collide, and some that share prefixes.
fn key() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(0), Just(b'a'), Just(0xff)];
    vec(byte, 0..5)
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => vec(any::<u8>(), 0..20),
        2 => (any::<u8>(), 0..3_000usize).prop_map(|(byte, size)| vec![byte; size]),
        1 => (any::<u8>(), 0..60_000usize).prop_map(|(byte, size)| vec![byte; size]),
    ]
}

fn bound() -> impl Strategy<Value = Bound<Vec<u8>>> {
    prop_oneof![
        key().prop_map(Bound::Included),
        key().prop_map(Bound::Excluded),
        Just(Bound::Unbounded),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => vec((key(), prop::option::weighted(0.7, value())), 0..20).prop_map(Step::Write),
        5 => key().prop_map(Step::Get),
        5 => (bound(), bound()).prop_map(|(from, to)| Step::Scan(from, to)),
        1 => Just(Step::Compact),
        2 => Just(Step::Reopen),
    ]
}

fn check(fixture: &Fixture, steps: Vec<Step>) {
    let mut store = fixture.open();
    let mut model = Rows::new();
    for step in steps {
        match step {
            Step::Write(changes) => {
                let mut batch = Batch::default();
                for (key, value) in changes {
                    batch.put(key.clone(), value.clone());
                    match value {
                        Some(value) => model.insert(key, value),
                        None => model.remove(&key),
                    };
                }
                store.write(&batch).unwrap();
            }
            Step::Get(key) => {
                let found = store.view().unwrap().get(&key).unwrap();
                assert!(found.as_ref() == model.get(&key), "{key:?}");
            }
            Step::Scan(from, to) => {
                let found = scan(
                    &*store.view().unwrap(),
                    (from.as_ref().map(|key| &key[..]), to.as_ref().map(|key| &key[..])),
                );
                let is_after = |key: &Vec<u8>| match &from {
                    Bound::Included(from) => key >= from,
                    Bound::Excluded(from) => key > from,
                    Bound::Unbounded => true,
                };
                let is_before = |key: &Vec<u8>| match &to {
                    Bound::Included(to) => key <= to,
                    Bound::Excluded(to) => key < to,
                    Bound::Unbounded => true,
                };
                let wanted = model.iter().filter(|(key, _)| is_after(key) && is_before(key));
                assert!(
                    found.iter().map(|(key, value)| (key, value)).eq(wanted),
                    "{from:?} {to:?}"
                );
            }
            Step::Compact => store.compact().unwrap(),
            Step::Reopen => {
                drop(store);
                store = fixture.open();
            }
        }
    }
    assert!(rows(&*store.view().unwrap()) == model);
    drop(store);
    let reopened = fixture.open();
    assert!(scan(&*reopened.view().unwrap(), ALL).into_iter().eq(model));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: HISTORIES, ..ProptestConfig::default() })]

    #[test]
    fn memory_holds_what_a_map_would(steps in vec(step(), 0..40)) {
        check(&Fixture::new(Backend::Memory), steps);
    }

    #[test]
    fn redb_holds_what_a_map_would(steps in vec(step(), 0..40)) {
        check(&Fixture::new(Backend::Redb), steps);
    }

    #[test]
    fn sled_holds_what_a_map_would(steps in vec(step(), 0..40)) {
        check(&Fixture::new(Backend::Sled), steps);
    }

    #[test]
    fn fjall_holds_what_a_map_would(steps in vec(step(), 0..40)) {
        check(&Fixture::new(Backend::Fjall), steps);
    }
}

#[test]
fn postgres_holds_what_a_map_would() {
    let server = Postgres::start();
    let config = ProptestConfig {
        cases: HISTORIES,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let checked = TestRunner::new(config).run(&vec(step(), 0..40), |steps| {
        check(&Fixture::in_database(&server), steps);
        Ok(())
    });
    checked.unwrap();
}
