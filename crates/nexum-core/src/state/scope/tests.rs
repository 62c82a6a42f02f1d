//! The snapshot that a query reads.

use super::*;
use crate::state::intern;
use crate::store::{Batch, MemoryStore};

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
    scope.keys(b"", &mut take).expect("the keys");
    keys
}

#[test]
fn all_reads_of_a_query_see_one_commit() {
    let (store, one, [id, other]) = store();
    for (own, reads) in [(id, None), (other, Some(one))] {
        write(&*store, id, [("a", Some("1")), ("b", Some("1")), ("c", None)]);
        let mut scope = query(&store, own, reads);
        assert_eq!(scope.get(b"a").expect("a read"), Some(b"1".to_vec()));
        write(&*store, id, [("a", Some("2")), ("b", None), ("c", Some("2"))]);
        assert_eq!(scope.get(b"a").expect("a read"), Some(b"1".to_vec()));
        assert_eq!(scope.get(b"b").expect("a read"), Some(b"1".to_vec()));
        assert_eq!(scope.get(b"c").expect("a read"), None);
        assert_eq!(keys(&mut scope), ["a", "b"]);
        scope.close();
        // The next call of the instance.
        begin(&mut scope);
        assert_eq!(keys(&mut scope), ["a", "c"]);
        assert_eq!(scope.get(b"a").expect("a read"), Some(b"2".to_vec()));
    }
}

#[test]
fn a_query_looks_the_other_module_up_at_each_call() {
    let (store, _, [id, _]) = store();
    let late: ModuleName = "late".parse().expect("a name");
    let mut scope = query(&store, id, Some(late.clone()));
    assert_eq!(scope.get(b"a").expect("a read"), None);
    assert_eq!(keys(&mut scope), [""; 0]);
    scope.close();
    let late = intern(&*store, &[late]).expect("a number")[0];
    write(&*store, late, [("a", Some("late"))]);
    begin(&mut scope);
    assert_eq!(scope.get(b"a").expect("a read"), Some(b"late".to_vec()));
    assert!(matches!(scope.set(b"a".to_vec(), Vec::new()), Err(SetError::ReadOnly)));
}
