//! The handlers that logs go to.

use nexum_sdk::testing::Harness;
use nexum_sdk::{Address, Decoded, Event, Log, Result, U256, info, module, sol};

sol! {
    event Transfer(address indexed from, address indexed to, uint256 value);
}

mod weth {
    nexum_sdk::sol! {
        event Transfer(address indexed from, address indexed to, uint256 value);
    }
}

const FIRST: Address = Address::repeat_byte(0xaa);
const SECOND: Address = Address::repeat_byte(0xbb);
const OTHER: Address = Address::repeat_byte(0xcc);

fn transfer(value: u64) -> Transfer {
    Transfer {
        from: Address::ZERO,
        to: Address::ZERO,
        value: U256::from(value),
    }
}

/// Delivers a transfer of each contract of chain 1, and one of each of chain 5. The values count up.
fn deliver<M: nexum_sdk::Module>() -> Vec<String> {
    let mut harness = Harness::<M>::new(&[]).expect("it starts");
    let mut logs = Vec::new();
    for chain_id in [1, 5] {
        for contract in [FIRST, SECOND, OTHER] {
            let log = harness.log(contract, &transfer(logs.len() as u64));
            logs.push(Log { chain_id, ..log });
        }
    }
    harness.deliver(Event::Logs(logs)).expect("handled");
    harness.host.logs.into_iter().map(|(_, text)| text).collect()
}

#[derive(Default)]
struct Selects;

#[module]
impl Selects {
    #[on_event(Transfer, chain_id = 1, address = "0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]
    #[on_event(Transfer, chain_id = 5, addresses = ["0xAAaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"])]
    fn first(&mut self, transfer: Decoded<Transfer>) -> Result {
        info!("first {}", transfer.event.value);
        Ok(())
    }

    #[on_event(weth::Transfer, address = "0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")]
    fn second(&mut self, transfer: Decoded<weth::Transfer>) -> Result {
        info!("second {}", transfer.event.value);
        Ok(())
    }

    #[on_logs]
    fn others(&mut self, logs: Vec<Log>) -> Result {
        info!(
            "others {:?}",
            logs.iter()
                .map(|log| (log.chain_id, log.address == OTHER))
                .collect::<Vec<_>>()
        );
        Ok(())
    }
}

#[test]
fn a_log_goes_to_the_handler_of_its_chain_and_address() {
    let expected = [
        "first 0",
        "second 1",
        "first 3",
        "first 4",
        "others [(1, true), (5, true)]",
    ];
    assert_eq!(deliver::<Selects>(), expected);
}

#[derive(Default)]
struct Narrows;

#[module]
impl Narrows {
    #[on_event(Transfer, address = "0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]
    fn narrow(&mut self, transfer: Decoded<Transfer>) -> Result {
        info!("narrow {}", transfer.event.value);
        Ok(())
    }

    #[on_event(Transfer, chain_id = 1)]
    fn wide(&mut self, transfer: Decoded<Transfer>) -> Result {
        info!("wide {}", transfer.event.value);
        Ok(())
    }
}

#[test]
fn an_event_has_two_handlers_if_the_second_has_logs_of_its_own() {
    assert_eq!(deliver::<Narrows>(), ["narrow 0", "wide 1", "wide 2", "narrow 3"]);
}

#[derive(Default)]
struct ByTopics;

#[module]
impl ByTopics {
    // The topics of the positions: the signature, the sender, the receiver.
    #[on_event(Transfer, topics = ["", "0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"])]
    fn sent(&mut self, transfer: Decoded<Transfer>) -> Result {
        info!("from first {}", transfer.event.value);
        Ok(())
    }

    #[on_event(Transfer, topics = ["", "", ["0x000000000000000000000000bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "0xcccccccccccccccccccccccccccccccccccccccc"]])]
    fn received(&mut self, transfer: Decoded<Transfer>) -> Result {
        info!("to others {}", transfer.event.value);
        Ok(())
    }

    #[on_logs]
    fn rest(&mut self, logs: Vec<Log>) -> Result {
        info!("rest {}", logs.len());
        Ok(())
    }
}

#[test]
fn a_log_goes_to_the_handler_of_its_topics() {
    let mut harness = Harness::<ByTopics>::new(&[]).expect("it starts");
    let pairs = [(FIRST, SECOND), (SECOND, OTHER), (OTHER, SECOND), (OTHER, FIRST)];
    let logs = pairs.iter().enumerate().map(|(at, (from, to))| {
        let event = Transfer {
            from: *from,
            to: *to,
            value: U256::from(at),
        };
        harness.log(Address::ZERO, &event)
    });
    let logs = logs.collect();
    harness.deliver(Event::Logs(logs)).expect("handled");
    let lines: Vec<_> = harness.host.logs.into_iter().map(|(_, text)| text).collect();
    assert_eq!(lines, ["from first 0", "to others 1", "to others 2", "rest 1"]);
}

#[derive(Default)]
struct NamedAsTheTrait;

/// The names and receivers that a function of `nexum_sdk::Module` has, too.
#[module]
impl NamedAsTheTrait {
    #[on_tick("* * * * *")]
    fn handle(&self) -> Result {
        info!("handled");
        Ok(())
    }

    #[query]
    fn evaluate(&self) -> Result<String> {
        Ok("evaluated".to_owned())
    }
}

#[test]
fn a_handler_may_have_the_name_of_a_function_of_the_trait() {
    let mut harness = Harness::<NamedAsTheTrait>::new(&[]).expect("it starts");
    harness.tick(60_000).expect("handled");
    assert_eq!(harness.host.messages_logged(), ["handled"]);
    assert_eq!(harness.query("").expect("answered"), b"evaluated");
}
