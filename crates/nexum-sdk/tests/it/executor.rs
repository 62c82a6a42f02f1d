use std::cell::RefCell;
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::Poll;

use nexum_sdk::chain::CallRequest;
use nexum_sdk::testing::Harness;
use nexum_sdk::{Block, Chain, Result, U256, info, join, join_all, module, try_join_all};
use serde_json::{Value, json};

/// Does at each block what its number says.
#[derive(Default)]
struct Asks;

#[module]
impl Asks {
    #[on_block]
    async fn ask(&mut self, block: Block) -> Result {
        let chain = Chain::new(block.chain_id);
        let balance = |n: u8| chain.balance(nexum_sdk::Address::with_last_byte(n));
        match block.number {
            1 => drop(try_join_all((0..10).map(balance)).await?),
            2 => {
                balance(1).await?;
                balance(2).await?;
            }
            3 => drop(join!(
                balance(1),
                Chain::new(5).balance(nexum_sdk::Address::ZERO),
                balance(2)
            )),
            // The function of `futures_util` polls only the futures that were woken.
            4 => info!(
                "{}",
                futures_util::future::join_all((0..250).map(balance))
                    .await
                    .into_iter()
                    .map(Result::unwrap)
                    .sum::<U256>()
            ),
            5 => {
                let mut dropped = Box::pin(balance(1));
                let polled = poll_fn(|context| Poll::Ready(dropped.as_mut().poll(context).is_pending()));
                assert!(polled.await);
                drop(dropped);
                balance(2).await?;
            }
            6 => pending::<()>().await,
            8 => {
                let results = join_all([1, 0xff, 2].map(balance)).await;
                info!("{:?}", results.iter().map(Result::is_ok).collect::<Vec<_>>());
                let twice = async |n| Ok::<_, nexum_sdk::Error>(balance(n).await? + balance(n).await?);
                info!("{:?}", try_join_all([2, 1].map(twice)).await?);
                try_join_all([1, 0xff, 2].map(balance)).await?;
            }
            10 => {
                let ask = |bytes: usize| {
                    chain.call_raw(&CallRequest {
                        data: vec![7; bytes].into(),
                        ..Default::default()
                    })
                };
                // In hex, five of these have 1.95 MiB, and no three fit into 1 MiB.
                drop(try_join_all([200_000; 5].map(ask)).await?);
                let (large, small) = join!(ask(600_000), ask(1));
                info!("{} {:?}", large.unwrap_err(), small?);
            }
            7 => drop(nexum_sdk::block_on(async { balance(1).await })?),
            _ => {
                let (fails, works) = join!(balance(0xff), balance(1));
                info!("{} {}", fails.unwrap_err(), works?);
            }
        }
        Ok(())
    }
}

fn harness() -> Harness<Asks> {
    let mut harness = Harness::<Asks>::new(&[]).expect("it starts");
    harness.host.on_rpc(|_, method, params| {
        assert_eq!(method, "eth_getBalance");
        let account = params[0].as_str().expect("an account");
        let last = u64::from_str_radix(&account[40..], 16).expect("hex");
        match last {
            0xff => None,
            last => Some(Ok(json!(format!("{last:#x}")))),
        }
    });
    harness
}

#[test]
fn ten_joined_calls_are_one_batch() {
    let mut harness = harness();
    harness.block(1).expect("answered");
    assert_eq!(harness.host.batches, [10]);
    assert_eq!(harness.host.requests.len(), 10);
}

#[test]
fn joined_futures_keep_their_order_and_the_first_failure_is_the_result() {
    let mut harness = harness();
    let error = harness.block(8).expect_err("one of three has no answer");
    assert!(error.message().contains("no script of the test"), "{error}");
    assert_eq!(harness.host.messages_logged(), ["[true, false, true]", "[4, 2]"]);
    assert_eq!(harness.host.batches, [3, 2, 2, 3]);
}

#[test]
fn calls_that_depend_on_each_other_are_sent_alone() {
    let mut harness = harness();
    harness.block(2).expect("answered");
    assert_eq!(harness.host.batches, [0; 0]);
    assert_eq!(harness.host.requests.len(), 2);
}

#[test]
fn each_chain_has_its_own_batch() {
    let chains = Rc::new(RefCell::new(Vec::new()));
    let mut harness = harness();
    let seen = chains.clone();
    harness.host.on_rpc(move |chain, _, _| {
        seen.borrow_mut().push(chain);
        None
    });
    harness.block(3).expect("answered");
    assert_eq!(harness.host.batches, [2]);
    assert_eq!(*chains.borrow(), [1, 1, 5]);
}

#[test]
fn a_batch_has_at_most_a_hundred_requests() {
    let mut harness = harness();
    harness.block(4).expect("answered");
    assert_eq!(harness.host.batches, [100, 100, 50]);
    assert_eq!(
        harness.host.messages_logged(),
        [(0..250).filter(|n| *n != 255).sum::<u32>().to_string()]
    );
}

/// The host refuses a batch with more.
#[test]
fn a_batch_has_at_most_a_mebibyte_of_parameters() {
    let mut harness = Harness::<Asks>::new(&[]).expect("it starts");
    harness.host.on_rpc(|_, _, _| Some(Ok(json!("0x01"))));
    harness.block(10).expect("answered");
    assert_eq!(harness.host.batches, [2, 2]);
    assert_eq!(harness.host.requests.len(), 6);
    let refused = "chain invalid-input: the parameters take at most 1048576 bytes 0x01";
    assert_eq!(harness.host.messages_logged(), [refused]);
}

#[test]
fn a_dropped_future_sends_nothing() {
    let mut harness = harness();
    harness.block(5).expect("answered");
    let accounts: Vec<_> = harness
        .host
        .requests
        .iter()
        .map(|(_, params)| params[0].clone())
        .collect();
    assert_eq!(accounts, [Value::from("0x0000000000000000000000000000000000000002")]);
}

#[test]
fn a_handler_that_waits_for_nothing_fails_and_says_so() {
    let error = harness().block(6).expect_err("it never ends");
    assert_eq!(
        error.to_string(),
        "internal: the handler waits for something that no call of the host brings, such as a timer or a channel"
    );
}

#[test]
fn runs_inside_of_itself() {
    let mut harness = harness();
    harness.block(7).expect("answered");
    assert_eq!(harness.host.requests.len(), 1);
}

#[test]
fn an_error_reaches_its_own_call() {
    let mut harness = harness();
    harness.block(9).expect("one of two is answered");
    let logged = harness.host.messages_logged();
    let start = "chain unsupported: no script of the test answers eth_getBalance";
    assert!(logged[0].starts_with(start) && logged[0].ends_with(" 1"), "{logged:?}");
}
