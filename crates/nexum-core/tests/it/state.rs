//! What a module's store remembers of its events, and what it forgets.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use nexum_core::names::ModuleName;
use nexum_core::runner::Stage;
use nexum_core::state::admin::{self, Import, Row};
use nexum_core::store::{Batch, MemoryStore, StateStore};
use nexum_host_store::{KEY_BYTES_MAX, LISTED_KEYS_MAX, LocalStore};

use crate::support::{Run, Setup};

/// A host whose modules are keepers, each with its scripts.
fn keepers(modules: &[(&str, &[(&str, &str)])]) -> (Setup, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::new());
    let mut setup = Setup::new();
    setup.capabilities = setup.capabilities.with(LocalStore);
    setup.store = store.clone();
    let setup = modules.iter().fold(setup, |setup, (name, scripts)| {
        let scripts: Vec<_> = scripts
            .iter()
            .map(|(when, script)| format!("{when:?} = {}", quoted(script)))
            .collect();
        let keys = format!("name = {name:?}\nconfig = {{ {} }}", scripts.join(", "));
        setup.module_with("keeper", &keys)
    });
    (setup, store)
}

/// A TOML string.
fn quoted(text: &str) -> String {
    let escaped = text.chars().map(|letter| match letter {
        '\0' => "\\u0000".to_owned(),
        letter => letter.to_string(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

fn usage(store: &dyn StateStore, module: &str) -> (u64, u64) {
    let name = module.parse().expect("a name");
    let summary = admin::summary(&*store.view().expect("a view"), &name).expect("a summary");
    summary.map_or((0, 0), |summary| (summary.usage.keys, summary.usage.bytes))
}

/// What a module said of its commands, and which limits tripped.
fn said(run: &Run, module: &str) -> String {
    let mut said = run.records.of_module(module).join("\n");
    for record in run.records.all() {
        if let (Some(limit), Some(bound)) = (record.fields.get("limit"), record.fields.get("bound")) {
            let _ = write!(said, "\ntripped {limit} = {bound}");
        }
    }
    said
}

pub(crate) async fn keeper_sees_what_it_wrote() {
    let (setup, store) = keepers(&[(
        "keeper",
        &[
            ("init", "set from-init 1; get from-init"),
            (
                "0",
                "get from-init; set a 3; get a; set a 5; get a; list -; delete a; get a; list -; delete a; set b -; get b",
            ),
            (
                "1",
                "get a; get b; list -; set c 1; list c; delete b; delete from-init; list -",
            ),
        ],
    )]);
    let run = setup.start().await;
    run.chain.mine(2);
    run.handled("keeper", 2).await;
    insta::assert_snapshot!(said(&run, "keeper"), @r#"
    set from-init 1: done
    get from-init: 1
    get from-init: 1
    set a 3: done
    get a: 3
    set a 5: done
    get a: 5
    list -: 2 from a to from-init
    delete a: done
    get a: none
    list -: 1 from from-init to from-init
    delete a: done
    set b -: done
    get b: 0
    get a: none
    get b: 0
    list -: 2 from b to from-init
    set c 1: done
    list c: 1 from c to c
    delete b: done
    delete from-init: done
    list -: 1 from c to c
    "#);
    assert_eq!(usage(&*store, "keeper"), (1, 2));
}

#[tokio::test]
async fn what_a_failed_handler_wrote_is_gone() {
    let (setup, store) = keepers(&[
        (
            "fails",
            &[
                ("0", "set a 1"),
                ("1", "set a 9; set b 9; delete a; fail"),
                ("2", "get a; get b; list -"),
            ],
        ),
        (
            "traps",
            &[
                ("0", "set a 1"),
                ("1", "set a 9; set b 9; trap"),
                ("2", "get a; get b; list -"),
            ],
        ),
        ("starts", &[("init", "set a 1; fail")]),
        (
            "spends",
            &[
                ("0", "set a 1"),
                ("1", "set b 9; fill x 200 0"),
                ("2", "get a; get b; list -"),
            ],
        ),
    ]);
    let run = setup
        .config("[engine.limits]\nstore_operations_per_event = 200\n")
        .start()
        .await;
    run.chain.mine(3);
    for module in ["fails", "traps", "spends"] {
        run.handled(module, 2).await;
        assert_eq!(
            run.records.of_module(module).last().map(String::as_str),
            Some("list -: 1 from a to a")
        );
        assert_eq!(usage(&*store, module), (1, 2));
    }
    run.stage("starts", Stage::Dead).await;
    assert_eq!(usage(&*store, "starts"), (0, 0));
    let record = run.records.find("a limit tripped").expect("a record");
    assert_eq!(
        (
            record.fields["limit"].as_str(),
            record.fields["bound"].as_str(),
            record.fields["module"].as_str()
        ),
        ("store_operations_per_event", "200", "spends")
    );
}

#[tokio::test]
async fn keys_and_values_over_their_bounds_are_invalid_input() {
    let long = "k".repeat(KEY_BYTES_MAX + 1);
    let longest = "k".repeat(KEY_BYTES_MAX);
    let over =
        format!("set {long} 1; get {long}; list {long}; set big 1048577; set big 1048576; set {longest} 1; list k");
    let (setup, store) = keepers(&[("bounds", &[("0", over.as_str()), ("1", "get big")])]);
    let run = setup
        .config("[engine.limits]\nstore_bytes_written_per_event = 1200000\n")
        .start()
        .await;
    run.chain.mine(2);
    run.handled("bounds", 2).await;
    let brief = said(&run, "bounds").replace(&long, "LONG").replace(&longest, "LONGEST");
    insta::assert_snapshot!(brief, @r#"
    set LONG 1: HostErrorKind::InvalidInput: a key has 1025 bytes, and 1024 at most are allowed
    get LONG: HostErrorKind::InvalidInput: a key has 1025 bytes, and 1024 at most are allowed
    list LONG: HostErrorKind::InvalidInput: a key has 1025 bytes, and 1024 at most are allowed
    set big 1048577: HostErrorKind::InvalidInput: a value has 1048577 bytes, and 1048576 at most are allowed
    set big 1048576: done
    set LONGEST 1: done
    list k: 1 from LONGEST to LONGEST
    get big: 1048576
    "#);
    assert_eq!(usage(&*store, "bounds"), (2, 3 + 1_048_576 + KEY_BYTES_MAX as u64 + 1));
}

#[tokio::test]
async fn a_quota_denies_a_write_and_the_event_goes_on() {
    let (setup, store) = keepers(&[(
        "quota",
        &[
            (
                "0",
                "set a 99; set b 1; set a 100; delete a; set b 98; get b; set b 100",
            ),
            ("1", "get a; get b; set b 10"),
        ],
    )]);
    let run = setup.config("[engine.limits]\nstate_bytes = 100\n").start().await;
    run.chain.mine(2);
    run.handled("quota", 2).await;
    insta::assert_snapshot!(said(&run, "quota"), @r#"
    set a 99: done
    set b 1: HostErrorKind::Denied: the module may keep 100 bytes of keys and values, and this would make it 102
    set a 100: HostErrorKind::Denied: the module may keep 100 bytes of keys and values, and this would make it 101
    delete a: done
    set b 98: done
    get b: 98
    set b 100: HostErrorKind::Denied: the module may keep 100 bytes of keys and values, and this would make it 101
    get a: none
    get b: 98
    set b 10: done
    "#);
    assert_eq!(usage(&*store, "quota"), (1, 11));
}

#[tokio::test]
async fn bytes_written_are_a_budget_of_the_event() {
    let (setup, store) = keepers(&[(
        "writer",
        &[
            ("0", "set a 40; set a 40; set a 40"),
            ("1", "get a; set a 40; set a 40; get a"),
        ],
    )]);
    let run = setup
        .config("[engine.limits]\nstore_bytes_written_per_event = 100\n")
        .start()
        .await;
    run.chain.mine(2);
    run.handled("writer", 1).await;
    insta::assert_snapshot!(said(&run, "writer"), @r#"
    set a 40: done
    set a 40: done
    get a: none
    set a 40: done
    set a 40: done
    get a: 40
    tripped store_bytes_written_per_event = 100
    "#);
    assert_eq!(usage(&*store, "writer"), (1, 41));
}

#[tokio::test]
async fn modules_never_meet() {
    // Names and keys that would meet if either ran into the other, or ended a prefix.
    let longest = "k".repeat(KEY_BYTES_MAX);
    let keys = [
        "-",
        "a",
        "ab",
        "b",
        "a\u{0}",
        "\u{0}",
        "\u{10ffff}",
        "ÿ",
        longest.as_str(),
    ];
    let names = ["a", "aa", "ab", "b", "0", "a0", "a-0", "1"];
    let sets: Vec<String> = (1..=names.len())
        .map(|place| keys.map(|key| format!("set {key} {place}")).join("; "))
        .collect();
    let gets = keys.map(|key| format!("get {key}")).join("; ") + "; list -; list a; list b";
    let scripts: Vec<[(&str, &str); 2]> = sets
        .iter()
        .map(|set| [("0", set.as_str()), ("1", gets.as_str())])
        .collect();
    let modules: Vec<(&str, &[(&str, &str)])> = names
        .iter()
        .zip(&scripts)
        .map(|(name, script)| (*name, &script[..]))
        .collect();
    let (setup, store) = keepers(&modules);
    let run = setup.start().await;
    run.chain.mine(2);
    for (place, name) in names.iter().enumerate() {
        run.handled(name, 2).await;
        let said = run.records.of_module(name);
        let gets: Vec<_> = said.iter().filter(|line| line.starts_with("get")).collect();
        assert_eq!(gets.len(), keys.len());
        assert!(
            gets.iter().all(|line| line.ends_with(&format!(": {}", place + 1))),
            "{name}: {gets:?}"
        );
        let lists: Vec<_> = said.iter().filter(|line| line.starts_with("list")).collect();
        let counts: Vec<_> = lists
            .iter()
            .map(|line| line.split(": ").nth(1).and_then(|rest| rest.split(' ').next()))
            .collect();
        assert_eq!(counts, [Some("9"), Some("3"), Some("1")]);
        let bytes: usize = keys.iter().map(|key| key.trim_matches('-').len() + place + 1).sum();
        assert_eq!(usage(&*store, name), (keys.len() as u64, bytes as u64));
    }
}

#[tokio::test]
async fn many_keys_are_deleted_by_prefix_in_bounded_lists() {
    let (setup, store) = keepers(&[(
        "many",
        &[
            ("0", "fill p 20000 1; set q 1; list p; list -"),
            ("1", "clear p; list -"),
            ("2", "fill p 3 1; list p; list -"),
        ],
    )]);
    let limits = "[engine.limits]\nstore_operations_per_event = 100000\nevent_deadline_ms = 60000\n\
                  store_bytes_written_per_event = 10000000\nfuel_per_event = 100000000000\n";
    let run = setup.config(limits).start().await;
    run.chain.mine(3);
    run.handled("many", 3).await;
    assert_eq!(
        run.records.of_module("many"),
        [
            "fill p 20000 1: done",
            "set q 1: done",
            &format!("list p: {LISTED_KEYS_MAX} from p00000000 to p00001023"),
            &format!("list -: {LISTED_KEYS_MAX} from p00000000 to p00001023"),
            "clear p: 20000 gone",
            "list -: 1 from q to q",
            "fill p 3 1: done",
            "list p: 3 from p00000000 to p00000002",
            "list -: 4 from p00000000 to q",
        ]
    );
    assert_eq!(usage(&*store, "many"), (4, 3 * 10 + 2));
}

#[tokio::test]
async fn a_revert_puts_back_values_keys_and_usage() {
    let (setup, store) = keepers(&[(
        "keeper",
        &[
            ("init", "get a; list -"),
            ("0", "set a 1; set b 2"),
            ("1", "set a 10; delete b; set c 3"),
            ("2", "delete a; set b 20; delete c; set d 4"),
            ("3", "list -"),
        ],
    )]);
    let run = setup.start().await;
    run.chain.mine(1);
    run.handled("keeper", 1).await;
    let before = usage(&*store, "keeper");
    run.chain.mine(3);
    run.handled("keeper", 4).await;
    assert_eq!(usage(&*store, "keeper"), (2, 21 + 5));
    run.chain.reorg(3);
    run.until("the revert", || usage(&*store, "keeper") == before).await;
    run.chain.mine(3);
    run.handled("keeper", 7).await;
    assert_eq!(usage(&*store, "keeper"), (2, 21 + 5));
    let records = run.records.of_module("keeper");
    assert_eq!(
        records.iter().filter(|record| *record == "get a: 1").count(),
        1,
        "{records:#?}"
    );
}

#[tokio::test]
async fn what_is_kept_outlives_the_host() {
    let (setup, store) = keepers(&[("keeper", &[("0", "set a 3")])]);
    let run = setup.start().await;
    run.chain.mine(1);
    run.handled("keeper", 1).await;
    let chain = run.chain.clone();
    assert!(!run.stop().await.failed());
    let (mut setup, _) = keepers(&[("keeper", &[("init", "get a"), ("1", "get a; set a 4")])]);
    setup.store = store.clone();
    let run = setup.start_on(chain, 0).await;
    run.handled("keeper", 1).await;
    assert_eq!(
        run.records.of_module("keeper"),
        ["get a: 3", "get a: 3", "set a 4: done"]
    );
    assert_eq!(usage(&*store, "keeper"), (1, 5));
}

#[test]
fn numbers_of_modules_are_given_once() {
    let store = MemoryStore::new();
    let names = |names: &[&str]| -> Vec<_> { names.iter().map(|name| name.parse().expect("a name")).collect() };
    let ids = |all: &[&str]| -> BTreeMap<String, u32> {
        let ids = nexum_core::state::intern(&store, &names(all)).expect("numbers");
        all.iter()
            .map(|name| (*name).to_owned())
            .zip(ids.into_iter().map(|id| id.0))
            .collect()
    };
    let first = ids(&["b", "a", "b"]);
    assert_eq!(first, BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 0)]));
    let second = ids(&["c", "a"]);
    assert_eq!(second, BTreeMap::from([("a".to_owned(), 1), ("c".to_owned(), 2)]));
}

/// A store of two keepers with some history behind them.
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
    // So that it gets another number there.
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
    assert_eq!(again.to_string(), "the store has a module one already");
}

#[tokio::test]
async fn an_import_that_is_cut_short_leaves_nothing() {
    let store = used().await;
    let one: ModuleName = "one".parse().expect("a name");
    let other = MemoryStore::new();
    let mut import = Import::begin(&other, &one).expect("a beginning");
    // Enough for some of it to have been written.
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
    // What says which format it has.
    assert_eq!(rows(&other), 1);
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
    // A key less, an undo record that is none, one that is missing, a key of nobody, a row of no kind.
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
    the state store is damaged: a row of no kind that is known
    one: it is said to keep 51 keys and 100938 bytes, and keeps 50 and 100919
    1 keys of a module without a name, number 9
    ");
}
