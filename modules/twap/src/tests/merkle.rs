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
    assert_eq!(counts, [333, 666, 999, 1_000]);
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
        (twap(1, START), json!("posted")),
        (twap(2, START + 6_000), json!(null)),
        (twap(3, START + 6_000), json!("new")),
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
    let skipped = &answer["skipped"];
    assert_eq!(
        (&skipped[0]["reason"], &skipped[0]["location"], &skipped[0]["id"]),
        (&json!("leaves_elsewhere"), &json!("ipfs"), &json!(B256::repeat_byte(1)))
    );
    let roots = &answer["totals"]["roots"];
    assert_eq!(roots, &json!({ "private": 1, "swarm": 1, "ipfs": 1, "unknown": 1 }));
    // These roots are cheap, and leave no records of owners.
    assert_eq!(tower.owner_records(), 0);
}

#[test]
fn a_new_root_has_the_room_of_the_old_one() {
    let mut tower = Tower::new(&[("orders_per_owner_max", "10")]);
    let leaves = |from| {
        (from..from + 10)
            .map(|salt| twap(salt, START + 9_000))
            .collect::<Vec<_>>()
    };
    tower.emit(&root(1, &leaves(0)));
    tower.emit(&root(2, &leaves(5)));
    let answer = tower.ask(&json!({ "owner": OWNER }));
    assert_eq!(
        (&answer["owner"]["live"], &answer["totals"]["skipped"]),
        (&json!(10), &json!({}))
    );
    tower.block(START);
    for salt in 5..15 {
        assert_eq!(tower.order(id(&twap(salt, START + 9_000)))["reason"], "new", "{salt}");
    }
}

#[test]
fn an_equal_root_reads_no_leaves() {
    let mut tower = Tower::new(&[]);
    let leaves: Vec<_> = (0..300).map(|salt| twap(salt, START + 9_000)).collect();
    tower.emit(&root(1, &leaves));
    tower.harness.host.trap_store_at(20);
    tower.emit(&root(1, &[]));
    tower.harness.host.trap_store_at(usize::MAX);
    assert_eq!(tower.ask(&json!({}))["totals"]["live"], 300);
}

#[test]
fn leaves_that_overlap_are_refused() {
    let word = |number: usize| U256::from(number).to_be_bytes::<32>();
    let list = |count: usize, leaf: &[u8]| {
        let mut data = [word(32), word(count)].concat();
        data.extend(vec![word(32 * count); count].concat());
        data.extend(word(leaf.len()));
        data.extend(leaf);
        MerkleRootSet {
            owner: OWNER,
            root: B256::repeat_byte(1),
            proof: Proof {
                location: U256::from(1),
                data: data.into(),
            },
        }
    };
    let mut tower = Tower::new(&[]);
    tower.emit(&list(1_600, &[0; 60_000]));
    let skipped = json!({ "input_too_large": 1, "undecodable": 1 });
    assert_eq!(tower.ask(&json!({}))["totals"]["skipped"], skipped);
    // The first leaf is good, and all others are the first one.
    let leaf = (vec![B256::repeat_byte(7)], twap(1, START)).abi_encode_params();
    tower.emit(&list(10, &leaf));
    let totals = &tower.ask(&json!({}))["totals"];
    assert_eq!(
        (&totals["orders"], &totals["skipped"]["undecodable"]),
        (&json!(1), &json!(2))
    );
}

#[test]
fn an_old_root_from_the_backlog_replaces_no_newer_one() {
    let mut tower = Tower::new(&[]);
    let leaves: Vec<_> = (0..600).map(|salt| twap(salt, START + 90_000)).collect();
    let old = tower.log(&root(1, &leaves), 0);
    tower.deliver_logs(vec![old.clone()]);
    // The node does not have the block yet.
    tower.block(START);
    tower.emit(&root(2, &leaves[..2]));
    tower.world.borrow_mut().logs = vec![old];
    for now in [START + 60, START + 120] {
        tower.block(now);
    }
    let answer = tower.ask(&json!({ "owner": OWNER }));
    assert_eq!(
        (&answer["owner"]["root"], &answer["owner"]["live"]),
        (&json!(B256::repeat_byte(2)), &json!(2))
    );
}
