use nexum_core::logged;
use nexum_testing::FakeClock;
use tracing::Level;

use super::follow::Loss;
use super::*;

/// The time of the first record.
const START_MS: u64 = 1_767_225_600_000;

fn records() -> Records {
    Records::on_clock(Arc::new(FakeClock::at(START_MS)))
}

fn push(records: &Records, module: Option<&str>, target: &'static str, level: Level, message: &str) {
    let mut draft = Draft::new(level, target.into(), "");
    if let Some(module) = module {
        draft.add("module", module);
    }
    draft.add("message", message);
    records.push(draft);
}

fn write(records: &Records, module: &str, message: &str) {
    push(records, Some(module), logged::MODULE, Level::INFO, message);
}

fn all() -> Selection {
    Selection {
        module: None,
        wants: Arc::new(|_| true),
    }
}

fn of(module: &str) -> Selection {
    Selection {
        module: Some(module.into()),
        ..all()
    }
}

fn messages(found: &[Arc<Record>]) -> Vec<&str> {
    found.iter().map(|record| record.message.as_str()).collect()
}

#[test]
fn numbers_are_of_one_sequence_that_grows_over_restarts() {
    let records = records();
    write(&records, "one", "a");
    push(&records, None, "nexum::log", Level::INFO, "b");
    write(&records, "two", "c");
    let (found, newest) = records.last(&all(), 10);
    let numbers: Vec<_> = found.iter().map(|record| record.seq - START_MS * 1_000).collect();
    assert_eq!((messages(&found), numbers), (vec!["a", "b", "c"], vec![1, 2, 3]));
    assert_eq!((newest, found[0].at_ms), (found[2].seq, START_MS));
    assert_eq!(messages(&records.last(&all(), 2).0), ["b", "c"]);
    assert_eq!(messages(&records.last(&of("two"), 10).0), ["c"]);
    assert!(records.last(&of("three"), 10).0.is_empty());
}

#[test]
fn a_talkative_module_pushes_out_only_its_own_lines() {
    let records = records();
    write(&records, "quiet", "once");
    push(&records, Some("loud"), logged::EVENT, Level::ERROR, "an error");
    push(&records, Some("loud"), logged::EVENT, Level::DEBUG, "a detail");
    for number in 0..5_000 {
        write(&records, "loud", &format!("line {number}"));
    }
    assert_eq!(messages(&records.last(&of("quiet"), 10).0), ["once"]);
    let (found, _) = records.last(&of("loud"), usize::MAX);
    assert_eq!(found.len(), 2 + 2_000);
    assert_eq!(messages(&found[..3]), ["an error", "a detail", "line 3000"]);
}

#[test]
fn the_bytes_of_a_ring_and_of_all_rings_are_bounded() {
    let records = records();
    let line = "x".repeat(8_192);
    for _ in 0..1_000 {
        write(&records, "one", &line);
    }
    let kept = |records: &Records| records.0.kept.lock().bytes;
    let of_one = kept(&records);
    assert!((900 << 10..=1 << 20).contains(&of_one), "{of_one}");
    for module in 0..100 {
        for _ in 0..128 {
            write(&records, &format!("module {module}"), &line);
        }
    }
    assert!((BYTES_MAX / 2..=BYTES_MAX).contains(&kept(&records)));
    let sum = |rings: &[Ring]| rings.iter().map(Ring::bytes).sum::<usize>();
    assert_eq!(kept(&records), sum(&records.0.kept.lock().rings));
    // Each module has some of its records.
    assert!((0..100).all(|module| !records.last(&of(&format!("module {module}")), 1).0.is_empty()));
}

#[test]
fn a_long_text_is_cut() {
    let records = records();
    write(&records, "one", &"é".repeat(16 * 1_024));
    let (found, _) = records.last(&all(), 1);
    let (text, rest) = found[0].message.split_at(16 * 1_024);
    assert_eq!((text, rest), ("é".repeat(8 * 1_024).as_str(), " [16384 bytes cut]"));
}

#[test]
fn modules_beyond_the_bound_share_rings() {
    let records = records();
    for module in 0..=MODULES_MAX {
        write(&records, &format!("module {module}"), "a");
    }
    let last = format!("module {MODULES_MAX}");
    assert_eq!(records.0.kept.lock().modules.len(), MODULES_MAX);
    let (found, _) = records.last(&of(&last), 10);
    assert_eq!(found[0].module.as_deref(), Some(last.as_str()));
}

#[tokio::test]
async fn a_follower_gets_the_next_records_in_order() {
    let records = records();
    write(&records, "one", "before");
    let mut follower = records.follow(all(), records.newest());
    let mut of_two = records.follow(of("two"), records.newest());
    for number in 0..600 {
        let module = if number % 2 == 0 { "one" } else { "two" };
        write(&records, module, &number.to_string());
    }
    let mut found = Vec::new();
    while found.len() < 600 {
        let batch = follower.next().await;
        assert_eq!(batch.loss, None);
        found.extend(batch.records.iter().map(|record| record.message.clone()));
    }
    let expected: Vec<_> = (0..600).map(|number: u32| number.to_string()).collect();
    assert_eq!(found, expected);
    assert_eq!(messages(&of_two.next().await.records)[..2], ["1", "3"]);
}

#[tokio::test]
async fn a_follower_waits_for_a_record_that_it_wants() {
    let records = records();
    let selection = Selection {
        wants: Arc::new(|record| record.level == Level::WARN),
        ..all()
    };
    let mut follower = records.follow(selection, records.newest());
    let late = async {
        for _ in 0..1_000 {
            write(&records, "one", "no");
            tokio::task::yield_now().await;
        }
        push(&records, Some("one"), "nexum::event", Level::WARN, "yes");
    };
    let (batch, ()) = tokio::join!(follower.next(), late);
    assert_eq!(messages(&batch.records), ["yes"]);
    assert_eq!(follower.position(), batch.records[0].seq);
}

#[tokio::test]
async fn a_slow_follower_learns_how_many_records_are_lost() {
    let records = records();
    write(&records, "one", "before");
    let mut follower = records.follow(of("one"), records.newest());
    let after = follower.position();
    for number in 0..2_500 {
        write(&records, "one", &number.to_string());
        write(&records, "two", "x");
    }
    let batch = follower.next().await;
    assert_eq!(batch.loss, Some(Loss::Dropped(500)));
    assert_eq!(messages(&batch.records[..1]), ["500"]);
    // After a reconnection, the numbers of other modules count too: the bound is the number of dropped records.
    let batch = records.follow(of("one"), after).next().await;
    assert_eq!(batch.loss, Some(Loss::Dropped(501)));
    // Nothing is lost for one that has seen the last dropped record.
    let (oldest, _) = records.last(&of("one"), usize::MAX);
    let batch = records.follow(of("one"), oldest[0].seq - 1).next().await;
    assert_eq!((batch.loss, batch.records[0].seq), (None, oldest[0].seq));
}

#[tokio::test]
async fn a_follower_of_an_earlier_run_learns_of_the_restart() {
    let records = records();
    write(&records, "one", "a");
    let batch = records.follow(all(), START_MS * 1_000 - 5).next().await;
    assert_eq!(
        (batch.loss, messages(&batch.records)),
        (Some(Loss::Restarted), vec!["a"])
    );
}
