//! Views that show the rows of one moment.

use std::ops::{Bound, ControlFlow};
use std::sync::mpsc;

use super::value_of;
use crate::support::{ALL, Fixture, remove, rows, scan, set};

pub(super) fn a_view_shows_a_batch_whole(fixture: &Fixture) {
    let store = fixture.open();
    let key = |number: u32| number.to_be_bytes();
    let write = |round: u32| {
        let keys: Vec<_> = (0..100).map(key).collect();
        let round = round.to_be_bytes();
        store.write(&set(keys.iter().map(|key| (key, round)))).unwrap();
    };
    write(0);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| (1..50).for_each(write));
        while !writer.is_finished() {
            let view = store.frozen().unwrap();
            let found = scan(&*view, ALL);
            assert_eq!(found.len(), 100);
            assert!(found.iter().all(|row| row.1 == found[0].1), "{found:?}");
        }
    });
}

pub(super) fn a_frozen_view_does_not_change(fixture: &Fixture) {
    let store = fixture.open();
    store.write(&set([("a", "1")])).unwrap();
    let frozen = store.frozen().unwrap();
    let before = rows(&*frozen);
    let (begin, has_begun) = mpsc::channel();
    std::thread::scope(|scope| {
        let store = &store;
        scope.spawn(move || {
            begin.send(()).unwrap();
            store.write(&set([("a", "2"), ("b", "2")])).unwrap();
        });
        has_begun.recv().unwrap();
        // The write happens meanwhile, or waits for the view.
        for _ in 0..1_000 {
            assert_eq!(rows(&*frozen), before);
            assert_eq!(value_of(&*frozen, b"a").unwrap(), b"1");
            assert_eq!(value_of(&*frozen, b"b"), None);
        }
        drop(frozen);
    });
    assert_eq!(value_of(&*store.view().unwrap(), b"b").unwrap(), b"2");
}

pub(super) fn a_frozen_view_delays_no_write(fixture: &Fixture) {
    let store = fixture.open();
    let keys: Vec<_> = (0..300_u32).map(u32::to_be_bytes).collect();
    let large = vec![b'x'; 100_000];
    store.write(&set(keys.iter().map(|key| (key, "old")))).unwrap();
    store.write(&set([("large", &large), ("removed", &large)])).unwrap();
    let frozen = store.frozen().unwrap();
    let before = rows(&*frozen);
    // Rows that are removed, changed and new, more than a scan copies at a time.
    store.write(&remove(keys.iter().skip(70).take(150))).unwrap();
    store
        .write(&set(keys.iter().step_by(3).map(|key| (key, "new"))))
        .unwrap();
    let later = store.frozen().unwrap();
    let between = rows(&*later);
    store.write(&remove(keys.iter().take(10))).unwrap();
    let more: Vec<_> = (300..600_u32).map(u32::to_be_bytes).collect();
    store.write(&set(more.iter().map(|key| (key, "new")))).unwrap();
    store.write(&set([("large", "small")])).unwrap();
    store.write(&remove(["removed"])).unwrap();
    for (view, expected) in [(&frozen, &before), (&later, &between)] {
        assert_eq!(rows(&**view), *expected);
        for key in keys.iter().chain(&more) {
            assert_eq!(value_of(&**view, key), expected.get(&key[..]).cloned());
        }
        assert_eq!(value_of(&**view, b"removed").unwrap(), large);
        for (from, to) in [(5, 100), (65, 66), (75, 80), (250, 350), (80, 75)] {
            let [from, to] = [from, to].map(u32::to_be_bytes);
            let found = scan(&**view, (Bound::Excluded(&from[..]), Bound::Included(&to[..])));
            let bounds = from < to;
            let expected = expected
                .iter()
                .filter(|(key, _)| bounds && key[..] > from[..] && key[..] <= to[..]);
            let expected: Vec<_> = expected.map(|(key, value)| (key.clone(), value.clone())).collect();
            assert_eq!(found, expected);
        }
        let mut first = None;
        let mut visit = |key: &[u8], _: &[u8]| {
            first = Some(key.to_vec());
            ControlFlow::Break(())
        };
        view.scan(ALL, &mut visit).unwrap();
        assert_eq!(first.as_ref(), expected.keys().next());
    }
    drop((frozen, later));
    let now = store.view().unwrap();
    assert_eq!(value_of(&*now, b"large").unwrap(), b"small");
    assert_eq!(value_of(&*now, &more[0]).unwrap(), b"new");
    assert_eq!(rows(&*store.frozen().unwrap()), rows(&*now));
}

pub(super) fn many_frozen_views_may_be_held(fixture: &Fixture) {
    let store = fixture.open();
    store.write(&set([("a", "1")])).unwrap();
    let views: Vec<_> = (0..10).map(|_| store.frozen().unwrap()).collect();
    assert!(views.iter().all(|view| rows(&**view).len() == 1));
    drop(views);
    store.write(&remove(["a"])).unwrap();
}
