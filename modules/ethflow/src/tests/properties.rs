//! No bytes make the module fail.

use nexum_sdk::{Address, Event, Log};
use proptest::prelude::*;
use serde_json::json;

use super::{CHAIN, ETHFLOW, Placing, START, World};
use crate::abi::IEthFlow::{OrderInvalidation, OrderRefund};
use crate::contracts::DEPLOYMENTS;

const VALID_TO: u64 = START + 1_800;

/// Delivers a log and a block, and asks for the counts.
fn check(log: Log) {
    let mut world = World::new();
    world.harness.deliver(Event::Logs(vec![log])).expect("handled");
    world.block(VALID_TO + 1).expect("handled");
    world.ask(&json!({}));
}

/// The real logs: a placement, a cancellation and a refund.
fn logs(world: &mut World) -> [Log; 3] {
    let order = Placing::until(VALID_TO);
    let placement = world.log(&order);
    let uid = world.record(&order, &placement);
    let cancellation = world.harness.log(ETHFLOW, &OrderInvalidation { orderUid: uid.clone() });
    let refund = OrderRefund {
        orderUid: uid,
        refunder: Address::ZERO,
    };
    [placement, cancellation, world.harness.log(ETHFLOW, &refund)]
}

proptest! {
    #[test]
    fn any_log_is_handled(
        contract in 0..DEPLOYMENTS.len() + 1,
        event in 0..4_usize,
        others: Vec<[u8; 32]>,
        data: Vec<u8>,
    ) {
        let mut world = World::new();
        let first = logs(&mut world).get(event).map(|log| log.topics[0]);
        let topics = first.into_iter().chain(others.into_iter().take(3).map(Into::into));
        check(Log {
            chain_id: CHAIN,
            address: DEPLOYMENTS.get(contract).map_or(Address::ZERO, |deployment| deployment.address),
            topics: topics.collect(),
            data: data.into(),
            ..Log::default()
        });
    }

    #[test]
    fn any_change_of_a_real_log_is_handled(
        event in 0..3_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        is_cut: bool,
    ) {
        let mut world = World::new();
        let [placement, ..] = logs(&mut world);
        let mut log = logs(&mut world)[event].clone();
        let mut data = log.data.to_vec();
        for (at, byte) in changes {
            let at = at.index(data.len());
            data[at] = byte;
        }
        if is_cut {
            data.truncate(cut.index(data.len()));
        }
        log.data = data.into();
        world.harness.deliver(Event::Logs(vec![placement, log])).expect("handled");
        world.block(VALID_TO + 1).expect("handled");
        world.ask(&json!({ "state": "due" }));
    }

    #[test]
    fn any_question_is_answered_or_refused(question: Vec<u8>, text: String) {
        let mut world = World::new();
        world.place(&Placing::until(VALID_TO));
        let _ = world.harness.query(question);
        let _ = world.harness.query(json!({ "state": "open", "after": text }).to_string());
    }
}
