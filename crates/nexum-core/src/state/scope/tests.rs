//! The snapshot that a query reads.

use std::ops::ControlFlow;

use super::*;
use crate::state::intern;
use crate::state::rows;
use crate::store::{Batch, MemoryStore, wait};

/// A store with two modules, in which the first has the rows `a` and `b`.
fn store() -> (Arc<MemoryStore>, ModuleName, [ModuleId; 2]) {
    let store = MemoryStore::new();
    let names = ["one", "other"].map(|name| name.parse::<ModuleName>().expect("a name"));
    let ids = intern(&store, &names).expect("numbers");
    let ids = [ids[0], ids[1]];
    write(&store, ids[0], [("a", Some("1")), ("b", Some("1"))]);
    let [one, _] = names;
    (Arc::new(store), one, ids)
}

fn write<const N: usize>(store: &dyn StateStore, id: ModuleId, changes: [(&str, Option<&str>); N]) {
    let mut batch = Batch::default();
    for (key, value) in changes {
        batch.put(
            rows::state(id, key.as_bytes()),
            value.map(|value| value.as_bytes().to_vec()),
        );
    }
    store.write(&batch).expect("a write");
}

fn query(store: &Arc<MemoryStore>, id: ModuleId, reads: Option<ModuleName>) -> EventScope {
    let mut scope = EventScope::new(id, store.clone(), Limits::default()).read_only(reads);
    begin(&mut scope);
    scope
}

fn begin(scope: &mut EventScope) {
    scope.open(Handler::Init, Instant::now(), 1, Usage::default(), None);
}

fn keys(scope: &mut EventScope) -> Vec<String> {
    let mut keys = Vec::new();
    let mut take = |key: &[u8]| {
        keys.push(String::from_utf8_lossy(key).into_owned());
        ControlFlow::Continue(())
    };
    wait(scope.keys(b"", &mut take)).expect("the keys");
    keys
}

#[test]
fn all_reads_of_a_query_see_one_commit() {
    let (store, one, [id, other]) = store();
    for (own, reads) in [(id, None), (other, Some(one))] {
        write(&*store, id, [("a", Some("1")), ("b", Some("1")), ("c", None)]);
        let mut scope = query(&store, own, reads);
        assert_eq!(wait(scope.get(b"a")).expect("a read"), Some(b"1".to_vec()));
        write(&*store, id, [("a", Some("2")), ("b", None), ("c", Some("2"))]);
        assert_eq!(wait(scope.get(b"a")).expect("a read"), Some(b"1".to_vec()));
        assert_eq!(wait(scope.get(b"b")).expect("a read"), Some(b"1".to_vec()));
        assert_eq!(wait(scope.get(b"c")).expect("a read"), None);
        assert_eq!(keys(&mut scope), ["a", "b"]);
        scope.close();
        // The next call of the instance.
        begin(&mut scope);
        assert_eq!(keys(&mut scope), ["a", "c"]);
        assert_eq!(wait(scope.get(b"a")).expect("a read"), Some(b"2".to_vec()));
    }
}

#[test]
fn a_query_looks_the_other_module_up_at_each_call() {
    let (store, _, [id, _]) = store();
    let late: ModuleName = "late".parse().expect("a name");
    let mut scope = query(&store, id, Some(late.clone()));
    assert_eq!(wait(scope.get(b"a")).expect("a read"), None);
    assert_eq!(keys(&mut scope), [""; 0]);
    scope.close();
    let late = intern(&*store, &[late]).expect("a number")[0];
    write(&*store, late, [("a", Some("late"))]);
    begin(&mut scope);
    assert_eq!(wait(scope.get(b"a")).expect("a read"), Some(b"late".to_vec()));
    assert!(matches!(
        wait(scope.set(b"a".to_vec(), Vec::new())),
        Err(SetError::ReadOnly)
    ));
}

mod entries {
    //! Entries of a handler over those of earlier events over those in the store.

    use proptest::prelude::*;

    use super::*;

    type Rows = Vec<(u8, Option<u8>)>;

    /// A short key: the number's bits as `a` and `b`, without the first one.
    fn name(number: u8) -> Vec<u8> {
        let bits = format!("{:b}", u16::from(number) + 1);
        bits[1..].bytes().map(|bit| bit + (b'a' - b'0')).collect()
    }

    fn rows() -> impl Strategy<Value = Rows> {
        prop::collection::vec((0..30_u8, prop::option::of(any::<u8>())), 0..20)
    }

    fn named(rows: Rows) -> impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)> {
        rows.into_iter()
            .map(|(key, value)| (name(key), value.map(|value| vec![value; 2])))
    }

    proptest! {
        #[test]
        fn are_those_of_a_map(
            stored in rows(),
            pending in rows(),
            changed in rows(),
            batch in rows(),
            prefix in 0..30_u8,
            after in prop::option::of(0..30_u8),
        ) {
            let mut model = BTreeMap::new();
            let mut apply = |rows: &Rows| named(rows.clone()).for_each(|(key, value)| match value {
                Some(value) => drop(model.insert(key, value)),
                None => drop(model.remove(&key)),
            });
            [&stored, &pending, &changed, &batch].into_iter().for_each(&mut apply);
            let store = MemoryStore::new();
            let id = ModuleId(0);
            let mut rows_of_store = Batch::default();
            named(stored).for_each(|(key, value)| rows_of_store.put(rows::state(id, &key), value));
            store.write(&rows_of_store).expect("a write");
            let mut scope = EventScope::new(id, Arc::new(store), Limits::default());
            let before: BTreeMap<_, _> = named(pending).collect();
            scope.open(Handler::Init, Instant::now(), 1, Usage::default(), Some(Arc::new(before)));
            for (key, value) in named(changed) {
                match value {
                    Some(value) => wait(scope.set(key, value)).expect("a write"),
                    None => wait(scope.delete(&key)).expect("a write"),
                }
            }
            wait(scope.apply(named(batch))).expect("a batch");
            let (prefix, after) = (name(prefix), after.map(name));
            let (mut found, mut deleted) = (Vec::new(), Vec::new());
            let mut visit = |key: &[u8], value: Option<&[u8]>| {
                match value {
                    Some(value) => found.push((key.to_vec(), value.to_vec())),
                    None => deleted.push(key.to_vec()),
                }
                ControlFlow::Continue(())
            };
            wait(scope.entries(&prefix, after.as_deref(), &mut visit)).expect("the entries");
            let is_next = |key: &&Vec<u8>| key.starts_with(&prefix) && after.as_ref().is_none_or(|after| *key > after);
            let expected: Vec<_> = model.iter().filter(|(key, _)| is_next(key)).map(|(key, value)| (key.clone(), value.clone())).collect();
            prop_assert_eq!(found, expected);
            let is_deleted = |key: &Vec<u8>| wait(scope.get(key)).is_ok_and(|value| value.is_none());
            prop_assert!(deleted.is_sorted_by(|one, next| one < next) && deleted.iter().all(is_deleted));
        }
    }

    #[test]
    fn a_deleted_key_has_no_value() {
        let (store, _, [id, _]) = store();
        let mut scope = EventScope::new(id, store, Limits::default());
        let pending = BTreeMap::from([(b"b".to_vec(), None), (b"c".to_vec(), Some(b"1".to_vec()))]);
        scope.open(
            Handler::Init,
            Instant::now(),
            1,
            Usage::default(),
            Some(Arc::new(pending)),
        );
        wait(scope.set(b"d".to_vec(), b"1".to_vec())).expect("a write");
        for key in [b"a", b"d"] {
            wait(scope.delete(key)).expect("a write");
        }
        let mut found = Vec::new();
        let mut visit = |key: &[u8], value: Option<&[u8]>| {
            found.push((key[0], value.is_some()));
            ControlFlow::Continue(())
        };
        wait(scope.entries(b"", None, &mut visit)).expect("the entries");
        assert_eq!(found, [(b'a', false), (b'b', false), (b'c', true), (b'd', false)]);
        assert_eq!(keys(&mut scope), ["c"]);
    }

    #[test]
    fn a_batch_has_the_size_of_its_result() {
        let limits = Limits::default().with(Limit::StateBytes, 6).with(Limit::StateKeys, 2);
        let mut scope = EventScope::new(ModuleId(0), Arc::new(MemoryStore::new()), limits);
        begin(&mut scope);
        let row =
            |key: &str, value: Option<&str>| (key.as_bytes().to_vec(), value.map(|value| value.as_bytes().to_vec()));
        wait(scope.apply([row("a", Some("1")), row("b", Some("1"))])).expect("a batch");
        assert_eq!(scope.usage(), Usage { keys: 2, bytes: 4 });
        let too_many = wait(scope.apply([row("a", Some("1")), row("c", Some("1"))]));
        assert!(
            matches!(too_many, Err(SetError::Keys { keys_max: 2, wanted: 3 })),
            "{too_many:?}"
        );
        let too_large = wait(scope.apply([row("a", Some("4444")), row("b", Some("1"))]));
        assert!(
            matches!(too_large, Err(SetError::Quota { quota: 6, wanted: 7 })),
            "{too_large:?}"
        );
        assert_eq!(
            (scope.usage(), wait(scope.get(b"a")).expect("a read")),
            (Usage { keys: 2, bytes: 4 }, Some(b"1".to_vec()))
        );
        // A batch may set what a write may not, if it deletes as much.
        wait(scope.apply([row("c", Some("333")), row("b", None), row("d", None)])).expect("a batch");
        assert_eq!(scope.usage(), Usage { keys: 2, bytes: 6 });
    }
}
