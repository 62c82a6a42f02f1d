use nexum_sdk::testing::{Harness, Host};
use nexum_sdk::{Block, Chain, ErrorKind, Level, Result, clock, error, info, messaging, module, random, store};

use crate::module::on_host;

const FIRST: store::Counter = store::Counter::new("first");
const SECOND: store::Counter = store::Counter::new("second");

/// Writes two values at each block.
#[derive(Default)]
struct Writes;

#[module]
impl Writes {
    #[on_block]
    fn write(&mut self, block: Block) -> Result {
        FIRST.add(1)?;
        SECOND.add(block.number)?;
        Ok(())
    }
}

/// Each of the four calls of the store can fail, and none leaves half of the event.
#[test]
fn a_store_that_fails_at_the_nth_call_loses_the_whole_event() {
    for trap in [false, true] {
        for n in 1..=4 {
            let mut writes = Harness::<Writes>::new(&[]).expect("it starts");
            writes.block(1).expect("handled");
            let before = writes.host.state.clone();
            match trap {
                true => writes.host.trap_store_at(n),
                false => writes.host.fail_store_at(n),
            }
            let error = writes.block(2).expect_err("it fails");
            assert_eq!(error.domain(), if trap { "trap" } else { "local-store" });
            assert_eq!(writes.host.state, before, "call {n}");
            assert_eq!((writes.starts(), writes.instance().is_none()), (1, true));
            writes.block(2).expect("the retry works");
            assert_eq!(writes.starts(), 2);
        }
    }
}

/// Writes two values at each start.
struct WritesAtStart;

#[module]
impl WritesAtStart {
    fn init() -> Result<Self> {
        FIRST.add(1)?;
        SECOND.add(1)?;
        Ok(Self)
    }

    #[on_block]
    fn ignore(&mut self, _: Block) -> Result {
        Ok(())
    }
}

#[test]
fn a_store_that_fails_at_the_nth_call_loses_the_whole_start() {
    for trap in [false, true] {
        let fail_at = |host: &mut Host, n| match trap {
            true => host.trap_store_at(n),
            false => host.fail_store_at(n),
        };
        for n in 1..=4 {
            let mut host = Host::new();
            fail_at(&mut host, n);
            let error = Harness::<WritesAtStart>::with_host(host, &[]).expect_err("it fails");
            assert_eq!(error.domain(), if trap { "trap" } else { "local-store" });

            let mut writes = Harness::<WritesAtStart>::new(&[]).expect("it starts");
            let before = writes.host.state.clone();
            writes.drop_instance();
            fail_at(&mut writes.host, n);
            writes.block(1).expect_err("it fails");
            assert_eq!(writes.host.state, before, "call {n}");
            writes.block(1).expect("the retry works");
            assert_eq!(writes.starts(), 3);
        }
    }
}

#[test]
fn the_clock_is_the_tests() {
    let mut writes = Harness::<Writes>::new(&[]).expect("it starts");
    let start = writes.host.now_ms;
    writes.block(3).expect("handled");
    assert_eq!(writes.host.now_ms, start + 36_000);
    let (now, monotonic) = on_host(Host::new(), || (clock::now_ms(), clock::monotonic_ns()));
    assert_eq!((now, monotonic), (start, start * 1_000_000));
}

#[test]
fn random_bytes_differ_between_calls_only() {
    let draw = || on_host(Host::new(), || (random::bytes::<40>(), random::number()));
    let (bytes, number) = draw();
    assert_eq!(draw(), (bytes, number));
    assert_ne!(bytes[..8], number.to_le_bytes());
    assert!(bytes[32..].iter().any(|byte| *byte != 0));
}

#[test]
fn messages_are_published_and_found() {
    let mut host = Host::new();
    for timestamp in [1, 2, 3] {
        host.messages.push(nexum_sdk::Message {
            content_topic: "/a".into(),
            payload: vec![],
            timestamp,
            sender: None,
        });
    }
    let found = on_host(host, || {
        messaging::publish("/b", b"text").expect("published");
        let query = messaging::Query::new("/a").from(2).until(3).limit(1);
        let times = |query: &messaging::Query| query.send().map(|found| found.iter().map(|m| m.timestamp).collect());
        (
            times(&query),
            times(&messaging::Query::new("/a")),
            times(&messaging::Query::new("/b")),
        )
    });
    assert_eq!(found, (Ok(vec![2]), Ok(vec![1, 2, 3]), Ok(vec![])));
}

#[test]
fn log_records_have_a_level_and_fields() {
    #[derive(Default)]
    struct Logs;

    #[module]
    impl Logs {
        #[on_block]
        fn log(&mut self, block: Block) -> Result {
            let text = "two words";
            info!("plain {text} {}", block.number);
            error!(
                number = block.number,
                text = text,
                quoted = "a\"b",
                empty = "",
                "with {} fields",
                4,
            );
            Ok(())
        }
    }

    let mut logs = Harness::<Logs>::new(&[]).expect("it starts");
    logs.block(7).expect("handled");
    let expected = [
        (Level::Info, "plain two words 7".into()),
        (
            Level::Error,
            r#"with 4 fields number=7 text="two words" quoted="a\"b" empty="""#.into(),
        ),
    ];
    assert_eq!(logs.host.logs, expected);
}

/// Natively, only a harness has a host.
#[test]
fn a_call_outside_of_a_harness_says_so() {
    let error = nexum_sdk::block_on(Chain::new(1).block_number()).expect_err("no host");
    assert_eq!(
        error.message(),
        "no host: natively, a module runs only in nexum_sdk::testing::Harness"
    );
}

#[derive(Default)]
struct Panics;

#[module]
impl Panics {
    #[on_block(chain_id = 1)]
    fn count(&mut self, block: Block) -> Result {
        PANICS.add(1)?;
        assert_ne!(block.number, 2, "two is bad");
        Ok(())
    }
}

const PANICS: store::Counter = store::Counter::new("panics");

#[test]
fn a_panic_is_an_error_of_the_event_and_loses_its_writes() {
    let mut harness = Harness::<Panics>::new(&[]).expect("it starts");
    harness.block(1).expect("handled");
    let error = harness.block(2).expect_err("a panic");
    assert_eq!((error.kind(), error.domain()), (ErrorKind::Internal, "trap"));
    assert!(error.message().contains("two is bad"), "{error}");
    harness.block(3).expect("handled by a new instance");
    assert_eq!((harness.starts(), harness.host.state.len()), (2, 1));
}
