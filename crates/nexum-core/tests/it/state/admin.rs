//! The operator's actions on the store.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use nexum_config::names::ModuleName;
use nexum_core::state::admin::{self, Import, Row};
use nexum_core::store::{Batch, MemoryStore, StateStore};

use super::{keepers, usage};

/// A store of two keepers with some history.
async fn used() -> Arc<MemoryStore> {
    let (setup, store) = keepers(&[
        (
            "one",
            &[
                ("every", "fill a 50 10; delete a00000007"),
                ("2", "set big 100000"),
                ("3", "set c 1"),
                ("4", "set c 2"),
                ("5", "set c 3"),
            ],
        ),
        ("two", &[("every", "set a 5; get a")]),
    ]);
    let run = setup.start().await;
    run.chain.mine(6);
    run.handled("one", 6).await;
    run.handled("two", 6).await;
    assert!(!run.stop().await.failed());
    store
}

fn export(store: &dyn StateStore, name: &ModuleName) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut take = |row| {
        rows.push(row);
        ControlFlow::Continue(())
    };
    admin::export(&*store.frozen().expect("a view"), name, &mut take).expect("an export");
    rows
}

fn faults(store: &dyn StateStore) -> Vec<String> {
    let view = store.frozen().expect("a view");
    let faults = admin::verify(&*view, &mut |_| {}).expect("a check");
    faults.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn what_is_exported_can_be_imported_elsewhere() {
    let store = used().await;
    let one: ModuleName = "one".parse().expect("a name");
    let rows = export(&*store, &one);
    let other = MemoryStore::new();
    // The other module gets the first number, so that the import gets another one.
    nexum_core::state::intern(&other, &["zero".parse().expect("a name")]).expect("a number");
    let mut import = Import::begin(&other, &one).expect("a beginning");
    for row in rows.clone() {
        import.take(row).expect("a row");
    }
    import.finish().expect("an end");
    assert_eq!(export(&other, &one), rows);
    let summary = |store: &dyn StateStore| admin::summary(&*store.view().expect("a view"), &one).expect("a summary");
    assert_eq!(summary(&other), summary(&*store));
    assert_eq!(usage(&other, "one"), (51, 49 * 19 + 3 + 100_000 + 4));
    assert_eq!(faults(&other), Vec::<String>::new());
    let again = Import::begin(&other, &one).expect_err("a module that is there");
    assert_eq!(again.to_string(), "the store already has a module one");
}

#[tokio::test]
async fn an_import_that_is_cut_short_leaves_nothing() {
    let store = used().await;
    let one: ModuleName = "one".parse().expect("a name");
    let other = MemoryStore::new();
    let mut import = Import::begin(&other, &one).expect("a beginning");
    // Enough rows that some are written early.
    let filler = |index: u32| Row::State {
        key: index.to_be_bytes().to_vec(),
        value: vec![0; 100_000],
    };
    for row in (0..60).map(filler).chain(export(&*store, &one)) {
        import.take(row).expect("a row");
    }
    drop(import);
    assert_eq!(usage(&other, "one"), (0, 0));
    nexum_core::state::open(&other).expect("a store");
    let rows = |store: &dyn StateStore| {
        let mut rows = 0;
        let mut count = |_: &[u8], _: &[u8]| {
            rows += 1;
            ControlFlow::Continue(())
        };
        let all = (Bound::Unbounded, Bound::Unbounded);
        store.view().expect("a view").scan(all, &mut count).expect("a scan");
        rows
    };
    // The row of the format, and that of the next number.
    assert_eq!(rows(&other), 2);
}

#[tokio::test]
async fn a_purged_module_is_gone_and_others_are_as_they_were() {
    let store = used().await;
    let (one, two): (ModuleName, ModuleName) = ("one".parse().expect("a name"), "two".parse().expect("a name"));
    let before = export(&*store, &two);
    assert!(admin::purge(&*store, &one).expect("a removal"));
    assert!(!admin::purge(&*store, &one).expect("a removal"));
    assert_eq!(export(&*store, &one), Vec::new());
    assert_eq!(export(&*store, &two), before);
    let names: Vec<_> = admin::list(&*store.view().expect("a view"))
        .expect("a list")
        .into_iter()
        .map(|one| one.name)
        .collect();
    assert_eq!(names, [two]);
    assert_eq!(faults(&*store), Vec::<String>::new());
}

#[tokio::test]
async fn verify_names_what_does_not_fit() {
    let store = used().await;
    assert_eq!(faults(&*store), Vec::<String>::new());
    let row = |prefix: &[u8]| {
        let mut found = None;
        let mut first = |key: &[u8], value: &[u8]| {
            found = Some((key.to_vec(), value.to_vec()));
            ControlFlow::Break(())
        };
        let range = (Bound::Included(prefix), Bound::Unbounded);
        store.view().expect("a view").scan(range, &mut first).expect("a scan");
        found.expect("a row")
    };
    let mut damage = Batch::default();
    // A missing key, a malformed undo record, a missing undo record, a key of an unknown module, a
    // row of an unknown kind.
    damage.remove(row(b"s\0\0\0\0").0);
    let (undo, _) = row(b"u\0\0\0\0");
    damage.set(undo, vec![0xff; 3]);
    damage.remove(b"u\0\0\0\0\0\0\0\0\0\0\0\x02".to_vec());
    damage.set(b"s\0\0\0\x09key".to_vec(), vec![1]);
    damage.set(b"what".to_vec(), vec![1]);
    store.write(&damage).expect("a write");
    insta::assert_snapshot!(faults(&*store).join("\n"), @"
    one: the state store is damaged: an undo record: Found an Option discriminant that wasn't 0 or 1
    one: its undo records jump from 1 to 3
    the state store is damaged: a row of unknown kind
    one: its recorded usage is 51 keys and 100938 bytes, but its state has 50 and 100919
    1 keys of a module without a name, number 9
    ");
}
