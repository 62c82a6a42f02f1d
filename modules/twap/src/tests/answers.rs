//! Queries and the operator's policy.

use nexum_sdk::{Address, B256};
use serde_json::json;

use crate::tests::world::{OWNER, START, Tower, twap};

#[test]
fn answers_by_owner_id_and_reason() {
    let mut tower = Tower::new(&[]);
    let other = Address::with_last_byte(0xbb);
    let posted = tower.create(OWNER, twap(1, START));
    let waiting = tower.create(OWNER, twap(2, START + 600));
    let foreign = tower.create(other, twap(3, START));
    tower.block(START);
    let mut ids = |question: serde_json::Value| {
        let answer = tower.ask(&question);
        let orders = answer["orders"].as_array().expect("orders").clone();
        let mut ids: Vec<B256> = orders
            .iter()
            .map(|order| serde_json::from_value(order["id"].clone()).expect("an id"))
            .collect();
        ids.sort_unstable();
        ids
    };
    let sorted = |mut ids: Vec<B256>| {
        ids.sort_unstable();
        ids
    };
    assert_eq!(ids(json!({ "owner": OWNER })), sorted(vec![posted, waiting]));
    assert_eq!(ids(json!({ "id": foreign })), [foreign]);
    assert_eq!(ids(json!({ "reason": "posted" })), sorted(vec![posted, foreign]));
    assert_eq!(ids(json!({ "reason": "new", "owner": OWNER })), [waiting]);
    assert!(ids(json!({ "owner": Address::ZERO })).is_empty());
    let error = tower.harness.query(r#"{"owners":[]}"#).expect_err("an unknown key");
    assert!(error.message().starts_with("unknown field `owners`"), "{error}");
}

#[test]
fn pages_have_each_order_once() {
    let mut tower = Tower::new(&[]);
    for salt in 0..7 {
        tower.create(OWNER, twap(salt, START));
    }
    let mut question = json!({ "limit": 3 });
    let mut sizes = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    loop {
        let answer = tower.ask(&question);
        let orders = answer["orders"].as_array().expect("orders");
        sizes.push(orders.len());
        seen.extend(orders.iter().map(|order| order["id"].to_string()));
        if answer["next"].is_null() {
            break;
        }
        question["after"] = answer["next"].clone();
    }
    assert_eq!((sizes, seen.len()), (vec![3, 3, 1], 7));
}

#[test]
fn the_first_rule_that_matches_decides() {
    let owner = OWNER.to_string();
    let id = crate::index::id(&twap(1, START)).to_string();
    let lower = owner.to_lowercase();
    for (config, posted, reason, skipped) in [
        (vec![("owners", format!("drop {lower}"))], 0, None, 1),
        (
            vec![("owners", format!("DROP {owner}")), ("ids", format!("accept {id}"))],
            1,
            Some("posted"),
            0,
        ),
        (vec![("owners", format!("skip {owner}"))], 0, Some("policy"), 0),
        (vec![("default_action", "drop".into())], 0, None, 1),
        (
            vec![("default_action", "drop".into()), ("owners", format!("accept {owner}"))],
            1,
            Some("posted"),
            0,
        ),
        (
            vec![("handlers", format!("drop {}", crate::tests::world::TWAP))],
            0,
            None,
            1,
        ),
        (
            vec![(
                "transactions",
                format!("drop {}", nexum_sdk::keccak256(0_u32.to_be_bytes())),
            )],
            0,
            None,
            1,
        ),
    ] {
        let config: Vec<_> = config.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let mut tower = Tower::new(&config);
        let id = tower.create(OWNER, twap(1, START));
        tower.block(START);
        assert_eq!(tower.posted().len(), posted, "{config:?}");
        assert_eq!(tower.order(id)["reason"].as_str(), reason, "{config:?}");
        let count = tower.ask(&json!({}))["totals"]["skipped"]["policy"].as_u64();
        assert_eq!(count.unwrap_or_default(), skipped, "{config:?}");
    }
}

#[test]
fn a_wrong_rule_is_an_error_at_the_start() {
    let error = nexum_sdk::testing::Harness::<crate::Tower>::new(&[("chain_id", "1"), ("owners", "ban 0x00")]);
    let error = error.expect_err("a wrong rule");
    assert_eq!(
        error.message(),
        "config: owners: \"ban 0x00\" is no rule such as \"drop 0x...\""
    );
}
