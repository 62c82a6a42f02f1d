//! The requirements of the port, on every back-end.

mod frozen;

use std::ops::{Bound, ControlFlow};

use nexum_core::store::{Batch, KEY_BYTES_MAX, StoreError, View};
use nexum_store::Backend;
use nexum_testing::Postgres;

use self::frozen::{
    a_frozen_view_delays_no_write, a_frozen_view_does_not_change, a_view_shows_a_batch_whole,
    many_frozen_views_may_be_held,
};
use crate::support::{ALL, FORMAT, Fixture, remove, rows, scan, set};

/// Each test, on each back-end.
macro_rules! on_every_backend {
    ($($test:ident)*) => {
        on_every_backend!(@ memory Memory $($test)*);
        on_every_backend!(@ redb Redb $($test)*);
        on_every_backend!(@ sled Sled $($test)*);
        on_every_backend!(@ fjall Fjall $($test)*);

        /// A test for each would start a server for each.
        #[test]
        fn postgres() {
            let server = Postgres::start();
            $(eprintln!("{}", stringify!($test));
            $test(&Fixture::in_database(&server));)*
        }
    };
    (@ $module:ident $backend:ident $($test:ident)*) => {
        mod $module {
            $(#[test]
            fn $test() {
                super::$test(&super::Fixture::new(super::Backend::$backend));
            })*
        }
    };
}

on_every_backend! {
    reads_what_was_written
    has_nothing_where_nothing_was_written
    makes_changes_in_their_order
    takes_any_bytes_as_a_key
    keeps_values_of_any_size
    keeps_the_rest_of_a_value_from_nobody
    scans_between_any_bounds
    a_scan_breaks_off_where_it_is_told
    a_scan_may_use_the_store
    a_view_shows_a_batch_whole
    a_frozen_view_does_not_change
    a_frozen_view_delays_no_write
    many_frozen_views_may_be_held
    keeps_everything_when_it_is_opened_again
    makes_large_batches
    a_batch_depends_on_what_it_requires
    an_empty_batch_changes_nothing
    goes_on_after_it_was_compacted
}

fn value_of(view: &dyn View, key: &[u8]) -> Option<Vec<u8>> {
    view.get(key).unwrap()
}

fn reads_what_was_written(fixture: &Fixture) {
    let store = fixture.open();
    store.write(&set([("a", "1"), ("b", "2")])).unwrap();
    assert_eq!(value_of(&*store.view().unwrap(), b"a").unwrap(), b"1");
    let mut changes = remove(["a"]);
    changes.append(set([("b", "3")]));
    store.write(&changes).unwrap();
    let view = store.view().unwrap();
    assert_eq!(value_of(&*view, b"a"), None);
    assert_eq!(value_of(&*view, b"b").unwrap(), b"3");
}

fn has_nothing_where_nothing_was_written(fixture: &Fixture) {
    let store = fixture.open();
    let view = store.view().unwrap();
    assert_eq!(value_of(&*view, b"a"), None);
    assert_eq!(value_of(&*view, b""), None);
    assert!(rows(&*view).is_empty());
    store.write(&set([("ab", "1")])).unwrap();
    store.write(&remove(["b"])).unwrap();
    let view = store.frozen().unwrap();
    for absent in [&b"a"[..], b"abc", b"ab\0", b"b", b""] {
        assert_eq!(value_of(&*view, absent), None, "{absent:?}");
    }
}

fn makes_changes_in_their_order(fixture: &Fixture) {
    let store = fixture.open();
    let mut changes = set([("set", "1"), ("removed", "1")]);
    changes.append(remove(["set"]));
    changes.append(set([("removed", "2"), ("set", "3")]));
    changes.append(remove(["removed"]));
    store.write(&changes).unwrap();
    let view = store.view().unwrap();
    assert_eq!(scan(&*view, ALL), [(b"set".to_vec(), b"3".to_vec())]);
}

/// Keys that share prefixes, contain NUL and 0xff, are empty, or have the greatest length.
fn strange_keys() -> Vec<Vec<u8>> {
    let mut keys: Vec<Vec<u8>> = [
        &b""[..],
        b"\0",
        b"\0\0",
        b"\0\xff",
        b"a",
        b"a\0",
        b"a\0\0",
        b"a\0\0\0\0",
        b"a\xff",
        b"a\xff\xff",
        b"aa",
        b"b",
        b"c",
        b"c\0\0\0\x01a\0\0\0\0",
        b"r",
        b"ra",
        b"s",
        b"\xff",
        b"\xff\0",
        b"\xff\xff",
    ]
    .map(<[u8]>::to_vec)
    .into();
    for byte in [0, b'k', 0xff] {
        keys.push(vec![byte; KEY_BYTES_MAX - 1]);
        keys.push(vec![byte; KEY_BYTES_MAX]);
    }
    keys.sort();
    keys
}

fn takes_any_bytes_as_a_key(fixture: &Fixture) {
    let store = fixture.open();
    let keys = strange_keys();
    let numbered = |keys: &[Vec<u8>]| -> Vec<(Vec<u8>, Vec<u8>)> {
        let number = |(number, key): (usize, &Vec<u8>)| (key.clone(), number.to_be_bytes().to_vec());
        keys.iter().enumerate().map(number).collect()
    };
    let rows = numbered(&keys);
    store.write(&set(rows.iter().cloned())).unwrap();
    let view = store.view().unwrap();
    assert_eq!(scan(&*view, ALL), rows);
    for (key, value) in &rows {
        assert_eq!(value_of(&*view, key).as_ref(), Some(value), "{key:?}");
    }
    for (key, _) in &rows {
        store.write(&remove([key])).unwrap();
        let left = scan(&*store.view().unwrap(), ALL);
        assert_eq!(
            left,
            rows.iter().filter(|row| row.0 > *key).cloned().collect::<Vec<_>>()
        );
    }
}

fn keeps_values_of_any_size(fixture: &Fixture) {
    let sizes: [usize; 12] = [
        0,
        1,
        4_095,
        4_096,
        16_383,
        16_384,
        16_385,
        32_768,
        100_000,
        131_072,
        1 << 20,
        5_000_000,
    ];
    let value = |size: usize| (0..size).map(|at| (at % 251) as u8).collect::<Vec<u8>>();
    let store = fixture.open();
    for size in sizes {
        let key = size.to_be_bytes();
        store.write(&set([(key, value(size))])).unwrap();
    }
    drop(store);
    let store = fixture.open();
    let view = store.view().unwrap();
    let all = scan(&*view, ALL);
    assert_eq!(all.len(), sizes.len());
    for ((key, found), size) in all.into_iter().zip(sizes) {
        assert!(key == size.to_be_bytes() && found == value(size), "{size}");
        assert!(value_of(&*view, &key).unwrap() == value(size), "{size}");
    }
}

fn keeps_the_rest_of_a_value_from_nobody(fixture: &Fixture) {
    let store = fixture.open();
    let large = |byte: u8, size: usize| vec![byte; size];
    let history = [
        Some(large(1, 100_000)),
        Some(large(2, 20_000)),
        Some(large(3, 200_000)),
        Some(large(4, 3)),
        None,
        Some(large(5, 50_000)),
        Some(large(6, 16_384)),
        None,
    ];
    for value in history {
        let mut changes = Batch::default();
        changes.set(b"key".to_vec(), large(9, 70_000));
        changes.put(b"key".to_vec(), value.clone());
        store.write(&changes).unwrap();
        let view = store.view().unwrap();
        assert!(value_of(&*view, b"key") == value);
        assert!(
            scan(&*view, ALL)
                == value
                    .into_iter()
                    .map(|value| (b"key".to_vec(), value))
                    .collect::<Vec<_>>()
        );
    }
}

fn scans_between_any_bounds(fixture: &Fixture) {
    let store = fixture.open();
    let keys = strange_keys();
    store.write(&set(keys.iter().map(|key| (key, key)))).unwrap();
    let view = store.frozen().unwrap();
    let mut ends = keys.clone();
    ends.extend([b"a\0\x01".to_vec(), b"ab".to_vec(), b"\xfe".to_vec()]);
    let bounds = ends
        .iter()
        .flat_map(|end| [Bound::Included(&end[..]), Bound::Excluded(&end[..])]);
    let bounds: Vec<_> = bounds.chain([Bound::Unbounded]).collect();
    for &from in &bounds {
        for &to in &bounds {
            let after = |key: &&Vec<u8>| match from {
                Bound::Included(from) => &key[..] >= from,
                Bound::Excluded(from) => &key[..] > from,
                Bound::Unbounded => true,
            };
            let before = |key: &&Vec<u8>| match to {
                Bound::Included(to) => &key[..] <= to,
                Bound::Excluded(to) => &key[..] < to,
                Bound::Unbounded => true,
            };
            let between = keys.iter().filter(after).filter(before).filter(|key| *key != FORMAT);
            let found = scan(&*view, (from, to));
            assert!(found.iter().map(|row| &row.0).eq(between), "{from:?} to {to:?}");
        }
    }
}

fn a_scan_breaks_off_where_it_is_told(fixture: &Fixture) {
    let store = fixture.open();
    let keys: Vec<_> = (0..1_000u32).map(u32::to_be_bytes).collect();
    store.write(&set(keys.iter().map(|key| (key, "")))).unwrap();
    let view = store.view().unwrap();
    for wanted in [1, 2, 63, 64, 65, 500, 1_000] {
        let mut seen = 0;
        let mut visit = |key: &[u8], _: &[u8]| {
            assert_eq!(key, keys[seen]);
            seen += 1;
            if seen == wanted {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        view.scan((Bound::Included(&keys[0]), Bound::Unbounded), &mut visit)
            .unwrap();
        assert_eq!(seen, wanted);
    }
}

fn a_scan_may_use_the_store(fixture: &Fixture) {
    let store = fixture.open();
    store.write(&set([("a", "1"), ("b", "2"), ("c", "3")])).unwrap();
    let view = store.view().unwrap();
    let mut visit = |key: &[u8], value: &[u8]| {
        assert_eq!(value_of(&*view, key).unwrap(), value);
        store.write(&remove([key])).unwrap();
        ControlFlow::Continue(())
    };
    view.scan((Bound::Included(b"a"), Bound::Included(b"c")), &mut visit)
        .unwrap();
    assert!(rows(&*store.view().unwrap()).is_empty());
}

fn keeps_everything_when_it_is_opened_again(fixture: &Fixture) {
    for round in 0..10u32 {
        let store = fixture.open();
        let view = store.view().unwrap();
        assert_eq!(scan(&*view, ALL).len(), round as usize * 3);
        drop(view);
        for number in 0..3u32 {
            let key = [round.to_be_bytes(), number.to_be_bytes()].concat();
            store.write(&set([(&key, "value")])).unwrap();
        }
    }
}

fn makes_large_batches(fixture: &Fixture) {
    let store = fixture.open();
    let keys: Vec<_> = (0..10_000u32)
        .map(|number| number.reverse_bits().to_be_bytes())
        .collect();
    let value = [7; 300];
    store.write(&set(keys.iter().map(|key| (key, value)))).unwrap();
    let kept = rows(&*store.view().unwrap());
    assert_eq!(kept.len(), keys.len());
    assert!(kept.values().all(|kept| kept == &value));
    store.write(&remove(keys.iter().skip(1))).unwrap();
    drop(store);
    assert_eq!(rows(&*fixture.open().view().unwrap()).len(), 1);
}

fn a_batch_depends_on_what_it_requires(fixture: &Fixture) {
    let store = fixture.open();
    let mut batch = set([("a", "1")]);
    batch.require(b"a".to_vec(), None);
    store.write(&batch).unwrap();
    for required in [None, Some(b"0".to_vec()), Some(b"10".to_vec())] {
        let mut batch = set([("b", "2")]);
        batch.append(remove(["a"]));
        batch.require(b"a".to_vec(), required.clone());
        let refused = store.write(&batch);
        assert!(
            matches!(refused, Err(StoreError::Conflict)),
            "{required:?}: {refused:?}"
        );
    }
    let view = store.view().unwrap();
    assert_eq!(scan(&*view, ALL), [(b"a".to_vec(), b"1".to_vec())]);
    let mut batch = remove(["a"]);
    batch.require(b"a".to_vec(), Some(b"1".to_vec()));
    batch.require(b"b".to_vec(), None);
    store.write(&batch).unwrap();
    assert!(rows(&*store.view().unwrap()).is_empty());
}

fn an_empty_batch_changes_nothing(fixture: &Fixture) {
    let store = fixture.open();
    store.write(&Batch::default()).unwrap();
    store.write(&set([("a", "1")])).unwrap();
    store.write(&Batch::default()).unwrap();
    assert_eq!(rows(&*store.view().unwrap()).len(), 1);
}

fn goes_on_after_it_was_compacted(fixture: &Fixture) {
    let store = fixture.open();
    let keys: Vec<_> = (0..2_000u32).map(u32::to_be_bytes).collect();
    let value = [7; 1_000];
    store.write(&set(keys.iter().map(|key| (key, value)))).unwrap();
    store.write(&remove(keys.iter().skip(10))).unwrap();
    let before = rows(&*store.view().unwrap());
    store.compact().unwrap();
    assert_eq!(rows(&*store.view().unwrap()), before);
    store.write(&set([("a", "1")])).unwrap();
    drop(store);
    assert_eq!(rows(&*fixture.open().view().unwrap()).len(), before.len() + 1);
}
