//! A module's state after its events.

mod admin;
mod bounds;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use nexum_core::Stage;
use nexum_core::state::admin::summary;
use nexum_core::store::{MemoryStore, StateStore};
use nexum_host_store::{KEY_BYTES_MAX, LocalStore};

use crate::support::{Run, Setup};

/// A host with keepers, each with its scripts.
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
    let summary = summary(&*store.view().expect("a view"), &name).expect("a summary");
    summary.map_or((0, 0), |summary| (summary.usage.keys, summary.usage.bytes))
}

/// A module's log, and the exceeded limits.
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
    let record = run.records.find("a limit was exceeded").expect("a record");
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
async fn modules_never_meet() {
    // Names and keys that would collide if either extended into the other, or ended a prefix.
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
