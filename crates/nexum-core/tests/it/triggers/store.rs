//! The store of trigger modules: pages, counts and batches.

use std::collections::BTreeMap;

use nexum_core::Stage;
use nexum_host_store::{PAGE_BYTES_MAX, PAGE_ENTRIES_MAX, PAGE_SCAN_MAX};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{NAME, results, triggers};

/// The number of histories, each of some blocks with some commands.
const HISTORIES: u32 = 24;

/// An operation on the store.
#[derive(Clone, Debug)]
enum Command {
    Set(&'static str, &'static str),
    Delete(&'static str),
    Apply(Vec<(&'static str, Option<&'static str>)>),
    Keys(&'static str),
    Has(&'static str),
    Len(&'static str),
    Count(&'static str),
    Page {
        prefix: &'static str,
        after: &'static str,
        limit: u32,
        scan: u32,
        filter: Option<(bool, &'static str)>,
    },
}

/// Keys that begin with `k`, unlike those of the journal. Some are prefixes of others.
const KEYS: [&str; 7] = ["k", "ka", "kab", "kabc", "kb", "kz", "kzz"];
const VALUES: [&str; 4] = ["x", "xy", "y", "zz"];

fn key() -> impl Strategy<Value = &'static str> {
    prop::sample::select(KEYS.as_slice())
}

fn value() -> impl Strategy<Value = &'static str> {
    prop::sample::select(VALUES.as_slice())
}

fn command() -> impl Strategy<Value = Command> {
    let after = prop::sample::select(["", "a", "k", "ka", "kaa", "kab", "kz", "z"].as_slice());
    let filter = prop::option::of((any::<bool>(), prop::sample::select(["x", "y", "zzz", ""].as_slice())));
    prop_oneof![
        4 => (key(), value()).prop_map(|(key, value)| Command::Set(key, value)),
        2 => key().prop_map(Command::Delete),
        3 => prop::collection::vec((key(), prop::option::of(value())), 1..5).prop_map(Command::Apply),
        1 => key().prop_map(Command::Keys),
        1 => key().prop_map(Command::Has),
        1 => key().prop_map(Command::Len),
        1 => key().prop_map(Command::Count),
        6 => (key(), after, 0..4_u32, 0..5_u32, filter).prop_map(|(prefix, after, limit, scan, filter)| {
            Command::Page { prefix, after, limit, scan, filter }
        }),
    ]
}

impl Command {
    /// The text for the fixture.
    fn text(&self) -> String {
        let dash = |text: &str| {
            if text.is_empty() {
                "-".to_owned()
            } else {
                text.to_owned()
            }
        };
        match self {
            Self::Set(key, value) => format!("set {key} {value}"),
            Self::Delete(key) => format!("delete {key}"),
            Self::Apply(ops) => {
                let op = |(key, value): &(&str, Option<&str>)| match value {
                    Some(value) => format!("{key}={value}"),
                    None => (*key).to_owned(),
                };
                format!("apply {}", ops.iter().map(op).collect::<Vec<_>>().join(","))
            }
            Self::Keys(prefix) => format!("keys {prefix}"),
            Self::Has(key) => format!("has {key}"),
            Self::Len(key) => format!("len {key}"),
            Self::Count(prefix) => format!("count {prefix}"),
            Self::Page {
                prefix,
                after,
                limit,
                scan,
                filter,
            } => {
                let filter = filter.map_or_else(
                    || "-".to_owned(),
                    |(has, value)| format!("{}:{value}", if has { "has" } else { "lacks" }),
                );
                format!("page {prefix} {} {limit} {scan} {filter}", dash(after))
            }
        }
    }

    /// Carries out the command on a map, and returns its result.
    fn apply_to(&self, model: &mut BTreeMap<&'static str, &'static str>) -> String {
        let mut write = |key, value| match value {
            Some(value) => drop(model.insert(key, value)),
            None => drop(model.remove(key)),
        };
        match self {
            Self::Set(key, value) => write(key, Some(value)),
            Self::Delete(key) => write(key, None),
            Self::Apply(ops) => ops.iter().for_each(|(key, value)| write(key, *value)),
            _ => return self.read(model),
        }
        "done".to_owned()
    }

    fn read(&self, model: &BTreeMap<&'static str, &'static str>) -> String {
        let keys = |prefix: &str| -> Vec<_> { model.keys().filter(|key| key.starts_with(prefix)).copied().collect() };
        match self {
            Self::Keys(prefix) => keys(prefix).join(","),
            Self::Has(key) => model.contains_key(key).to_string(),
            Self::Len(key) => model
                .get(key)
                .map_or_else(|| "none".to_owned(), |value| value.len().to_string()),
            Self::Count(prefix) => keys(prefix).len().to_string(),
            Self::Page {
                prefix,
                after,
                limit,
                scan,
                filter,
            } => {
                let or_all = |bound: u32| if bound == 0 { usize::MAX } else { bound as usize };
                let (limit, scan) = (or_all(*limit), or_all(*scan));
                let mut left = keys(prefix)
                    .into_iter()
                    .filter(|key| after.is_empty() || key > after)
                    .peekable();
                let (mut entries, mut last, mut looked) = (Vec::new(), "none", 0);
                while entries.len() < limit
                    && looked < scan
                    && let Some(key) = left.next()
                {
                    let value = model[key];
                    if filter.is_none_or(|(has, prefix)| value.starts_with(prefix) == has) {
                        entries.push(format!("{key}={value}"));
                    }
                    (last, looked) = (key, looked + 1);
                }
                format!(
                    "[{}] last {last} exhausted {}",
                    entries.join(","),
                    left.peek().is_none()
                )
            }
            Self::Set(..) | Self::Delete(_) | Self::Apply(_) => String::new(),
        }
    }
}

#[test]
fn the_store_is_a_map_with_pages() {
    let histories = prop::collection::vec(prop::collection::vec(command(), 1..12), 1..6);
    let mut runner = TestRunner::new(Config {
        cases: HISTORIES,
        failure_persistence: None,
        ..Config::default()
    });
    // The records of a run are those of its thread.
    let mut host = tokio::runtime::Builder::new_current_thread();
    let host = host.enable_all().build().expect("a runtime");
    let ran = runner.run(&histories, |blocks| {
        host.block_on(async {
            let (setup, ..) = triggers("");
            let run = setup.start().await;
            run.stage(NAME, Stage::Running).await;
            let mut model = BTreeMap::new();
            for commands in blocks {
                let texts: Vec<_> = commands.iter().map(Command::text).collect();
                let said = results(&run, &texts.iter().map(String::as_str).collect::<Vec<_>>()).await;
                let expected: Vec<_> = commands
                    .iter()
                    .map(|command| format!("{}: {}", command.text(), command.apply_to(&mut model)))
                    .collect();
                prop_assert_eq!(said, expected);
            }
            Ok(())
        })
    });
    ran.expect("a map");
}

#[tokio::test]
async fn a_page_has_bounds() {
    let (setup, ..) = triggers("");
    let run = setup
        .config("[engine.limits]\nstore_bytes_written_per_event = 4000000\nresponse_bytes_per_event = 4000000\n")
        .start()
        .await;
    run.stage(NAME, Stage::Running).await;
    let large = PAGE_BYTES_MAX / 2;
    let fill = format!("fill ka {large}; fill kb {large}; fill kc 1; fill kd {PAGE_BYTES_MAX}");
    results(&run, &[&fill]).await;
    let over = [
        format!("page k - {} 0 -", PAGE_ENTRIES_MAX + 1),
        format!("page k - 0 {} -", PAGE_SCAN_MAX + 1),
        format!("page k - {PAGE_ENTRIES_MAX} {PAGE_SCAN_MAX} has:y"),
    ];
    assert_eq!(
        results(&run, &[&over.join("; ")]).await,
        [
            format!(
                "{}: Fault::InvalidInput(\"the limit of a page is 1001, and 1000 at most are allowed\")",
                over[0]
            ),
            format!(
                "{}: Fault::InvalidInput(\"the scan-limit of a page is 10001, and 10000 at most are allowed\")",
                over[1]
            ),
            // The host reads a megabyte and no more, even if the filter rejects all of it.
            format!("{}: [] last kb exhausted false", over[2]),
        ]
    );
    let rest = "page k kb 0 0 has:y";
    assert_eq!(
        results(&run, &[rest]).await,
        [format!("{rest}: [] last kd exhausted true")]
    );
    // The first page ends at the bound on its bytes, and the last one has one larger entry.
    let pages = ["page k - 0 0 -; page k ka 0 0 -; page k kc 0 0 -"];
    assert_eq!(
        results(&run, &pages).await,
        [
            format!("page k - 0 0 -: [ka=<{large}>] last ka exhausted false"),
            format!("page k ka 0 0 -: [kb=<{large}>,kc=x] last kc exhausted false"),
            format!("page k kc 0 0 -: [kd=<{PAGE_BYTES_MAX}>] last kd exhausted true"),
        ]
    );
}

/// The host passes a key that the event has deleted, and a page bounds these looks too.
#[tokio::test]
async fn deleted_keys_are_looked_at() {
    let (setup, ..) = triggers("");
    let run = setup
        .config("[engine.limits]\nstore_operations_per_event = 100000\nfuel_per_event = 100000000000\n")
        .start()
        .await;
    run.stage(NAME, Stage::Running).await;
    let keys: Vec<_> = (0..=PAGE_SCAN_MAX).map(|number| format!("k{number:05}")).collect();
    let set = format!("apply {}", keys.join("=1,"));
    let set = format!("{set}=1,kz=1");
    let delete = format!("apply {}", keys.join(","));
    let pages = ["page k - 0 0 -", "page k k09999 0 0 -", "page k k09998 1 1 -"];
    let said = results(&run, &[&[&set, &delete, &*pages.join("; ")].join("; ")]).await;
    let expected = [
        format!("{}: [] last k09999 exhausted false", pages[0]),
        format!("{}: [kz=1] last kz exhausted true", pages[1]),
        format!("{}: [kz=1] last kz exhausted true", pages[2]),
    ];
    assert_eq!(said[2..], expected);
}

#[tokio::test]
async fn a_batch_is_carried_out_whole_or_not_at_all() {
    let (setup, ..) = triggers("");
    // The journal has five of the keys at the end, and `entries`.
    let run = setup.config("[engine.limits]\nstate_keys = 8\n").start().await;
    run.stage(NAME, Stage::Running).await;
    let long = "k".repeat(1_025);
    let batches = [
        "apply a=1,b=1,a=2,c,b".to_owned(),
        "keys a; keys b; get a".to_owned(),
        format!("apply b=1,{long}=1"),
        // Eight keys are allowed, and one batch may replace a key by another one.
        "apply b=1,c=1,d=1,e=1,f=1".to_owned(),
        "apply b=1,a; apply c=1,b; keys b; keys c".to_owned(),
    ];
    let batches: Vec<_> = batches.iter().map(String::as_str).collect();
    let said = results(&run, &batches).await.join("\n").replace(&long, "LONG");
    insta::assert_snapshot!(said);
}

#[tokio::test]
async fn a_batch_counts_as_its_operations() {
    let (setup, ..) = triggers("");
    let run = setup
        .config("[engine.limits]\nstore_operations_per_event = 10\n")
        .start()
        .await;
    run.stage(NAME, Stage::Running).await;
    // The entry of the log needs three.
    assert_eq!(results(&run, &["apply a=1,b=1,c=1,d=1,e=1,f=1,g=1"]).await.len(), 1);
    run.chain
        .mine_with(super::logs(&["apply a=2,b=1,c=1,d=1,e=1,f=1,g=1,h=1"]));
    run.failed(NAME, 1).await;
    assert_eq!(run.value(NAME, "a"), Some(b"1".to_vec()));
}
