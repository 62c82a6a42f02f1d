//! Roots and their leaves.

use nexum_sdk::sol_types::SolValue;
use nexum_sdk::{Address, B256, Bytes, U256};
use serde_json::json;

use crate::contracts::{ConditionalOrderParams, MerkleRootSet, Proof};
use crate::index::id;
use crate::tests::world::{OWNER, START, Tower, twap, twap_of};

fn root(root: u8, leaves: &[ConditionalOrderParams]) -> MerkleRootSet {
    let proof = vec![B256::repeat_byte(7); 10];
    let leaves: Vec<Bytes> = leaves
        .iter()
        .map(|params| (proof.clone(), params.clone()).abi_encode_params().into())
        .collect();
    MerkleRootSet {
        owner: OWNER,
        root: B256::repeat_byte(root),
        proof: Proof {
            location: U256::from(1),
            data: leaves.abi_encode().into(),
        },
    }
}

#[test]
fn leaves_are_polled_with_their_proofs() {
    let mut tower = Tower::new(&[]);
    tower.emit(&root(1, &[twap(1, START), twap_of(2, 0, 3, 600, 120)]));
    // All leaves of an owner share one cabinet.
    tower.world.borrow_mut().cabinets.insert((OWNER, B256::ZERO), START);
    tower.block(START + 130);
    assert_eq!(tower.posted(), [START + 599]);
    let second = tower.order(id(&twap_of(2, 0, 3, 600, 120)));
    assert_eq!(second["due"], json!({ "time": START + 600 }));
}

#[test]
fn a_root_of_a_thousand_leaves_arrives_over_several_events() {
    let mut tower = Tower::new(&[]);
    let leaves: Vec<_> = (0..1_000).map(|salt| twap(salt, START + 90_000)).collect();
    let log = tower.log(&root(1, &leaves), 5);
    tower.world.borrow_mut().logs = vec![log.clone()];
    tower.deliver_logs(vec![log]);
    let mut counts = vec![tower.ask(&json!({}))["totals"]["orders"].as_u64().expect("a number")];
    while counts.last() < Some(&1_000) && counts.len() < 9 {
        tower.block(START + 12 * counts.len() as u64);
        counts.push(tower.ask(&json!({}))["totals"]["orders"].as_u64().expect("a number"));
    }
    assert_eq!(counts, [400, 800, 1_000]);
    let requests = tower.requests();
    tower.block(START + 120);
    assert_eq!(tower.requests(), requests);
    assert_eq!(tower.ask(&json!({ "owner": OWNER }))["owner"]["live"], 1_000);
}

#[test]
fn another_root_replaces_the_leaves_and_remembers_their_parts() {
    let mut tower = Tower::new(&[]);
    tower.emit(&root(1, &[twap(1, START), twap(2, START + 6_000)]));
    tower.block(START);
    assert_eq!(tower.posted().len(), 1);
    tower.emit(&root(2, &[twap(1, START), twap(3, START + 6_000)]));
    tower.block(START + 12);
    assert_eq!(tower.posted().len(), 1);
    assert_eq!(tower.ask(&json!({ "owner": OWNER }))["owner"]["live"], 2);
    for (params, reason) in [
        (twap(1, START), "posted"),
        (twap(2, START + 6_000), "root_replaced"),
        (twap(3, START + 6_000), "new"),
    ] {
        assert_eq!(tower.order(id(&params))["reason"], reason);
    }

    tower.emit(&MerkleRootSet {
        owner: OWNER,
        root: B256::ZERO,
        proof: Proof {
            location: U256::ZERO,
            data: Bytes::new(),
        },
    });
    assert_eq!(tower.ask(&json!({}))["totals"]["live"], 0);
}

#[test]
fn later_logs_wait_behind_a_large_root() {
    let mut tower = Tower::new(&[]);
    let leaves: Vec<_> = (0..600).map(|salt| twap(salt, START + 90_000)).collect();
    let large = tower.log(&root(1, &leaves), 0);
    let small = tower.log(&root(2, &leaves[..2]), 1);
    tower.world.borrow_mut().logs = vec![large.clone(), small.clone()];
    tower.deliver_logs(vec![large, small]);
    for block in 1..9 {
        tower.block(START + 12 * block);
    }
    let answer = tower.ask(&json!({ "owner": OWNER }));
    assert_eq!(
        (&answer["owner"]["root"], &answer["owner"]["live"]),
        (&json!(B256::repeat_byte(2)), &json!(2))
    );
}

#[test]
fn unreachable_leaves_are_counted_and_shown() {
    let mut tower = Tower::new(&[]);
    for (number, owner) in [(0, 1), (2, 2), (5, 3), (77, 4)] {
        tower.emit(&MerkleRootSet {
            owner: Address::with_last_byte(owner),
            root: B256::repeat_byte(1),
            proof: Proof {
                location: U256::from(number),
                data: Bytes::new(),
            },
        });
    }
    let answer = tower.ask(&json!({ "owner": Address::with_last_byte(3) }));
    assert_eq!(answer["owner"]["location"], "ipfs");
    let roots = &answer["totals"]["roots"];
    assert_eq!(roots, &json!({ "private": 1, "swarm": 1, "ipfs": 1, "unknown": 1 }));
}
