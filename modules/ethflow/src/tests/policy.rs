//! The contracts that the module follows.

use nexum_sdk::sol_types::SolEvent;
use nexum_sdk::{Address, B256, Event, Module, address, hex};
use serde_json::{Value, json};

use super::{CHAIN, ETHFLOW, Placing, START, World};
use crate::EthFlow;
use crate::abi::IEthFlow::{OrderInvalidation, OrderPlacement, OrderRefund};
use crate::contracts::{CHAINS, DEPLOYMENTS, STAGING_SETTLEMENT};

const VALID_TO: u64 = START + 1_800;
const EVENTS: [B256; 3] = [
    OrderPlacement::SIGNATURE_HASH,
    OrderInvalidation::SIGNATURE_HASH,
    OrderRefund::SIGNATURE_HASH,
];
const OWN: Address = Address::repeat_byte(0x77);

impl Placing {
    pub(super) fn event_topic(&self) -> &'static [u8; 32] {
        &OrderPlacement::SIGNATURE_HASH.0
    }
}

/// The number of orders that the module follows after a placement at a contract.
fn followed(world: &mut World, chain_id: u64, order: &Placing) -> usize {
    let mut log = world.log(order);
    log.chain_id = chain_id;
    world.harness.deliver(Event::Logs(vec![log])).expect("handled");
    let open = world.ask(&json!({ "state": "open", "chain_id": chain_id }));
    open["orders"].as_array().expect("orders").len()
}

#[test]
fn follows_each_contract_on_its_chains() {
    for deployment in &DEPLOYMENTS {
        for chain_id in CHAINS.into_iter().chain([57_073]) {
            let order = Placing {
                contract: deployment.address,
                settlement: deployment.settlement,
                ..Placing::until(VALID_TO)
            };
            let expected = usize::from(deployment.chains.contains(&chain_id));
            let found = followed(&mut World::new(), chain_id, &order);
            assert_eq!(found, expected, "{} on {chain_id}", deployment.address);
        }
    }
}

#[test]
fn the_orders_of_staging_have_the_domain_of_staging() {
    let staging = Placing {
        contract: address!("b37aDD6AC288BD3825a901Cba6ec65A89f31B8CC"),
        settlement: STAGING_SETTLEMENT,
        ..Placing::until(VALID_TO)
    };
    let mut world = World::new();
    let (uid, production) = (world.place(&staging), world.place(&Placing::until(VALID_TO)));
    assert_eq!(
        (world.state(&uid).as_str(), world.state(&production).as_str()),
        ("open", "open")
    );
    assert_ne!(uid[..32], production[..32]);
}

#[test]
fn the_operator_adds_contracts() {
    let order = Placing {
        contract: OWN,
        settlement: STAGING_SETTLEMENT,
        ..Placing::until(VALID_TO)
    };
    assert_eq!(followed(&mut World::new(), CHAIN, &order), 0);
    let contracts = format!("[\"{OWN}\"]");
    let settlement = STAGING_SETTLEMENT.to_string();
    let mut world = World::with(&[("contracts", &contracts), ("settlement", &settlement)]);
    assert_eq!(followed(&mut world, CHAIN, &order), 1);
    let uid = world.place(&order);
    assert_eq!(world.state(&uid), "open");
    // The contracts of CoW Protocol keep their settlement.
    let production = world.place(&Placing::until(VALID_TO));
    world.block(VALID_TO + 1).expect("handled");
    assert_eq!(
        (world.state(&uid).as_str(), world.state(&production).as_str()),
        ("due", "due")
    );
    assert_ne!(OWN, ETHFLOW);
}

#[test]
fn an_order_of_a_removed_contract_has_a_reason() {
    let order = Placing {
        contract: OWN,
        ..Placing::until(VALID_TO)
    };
    let mut world = World::with(&[("contracts", &OWN.to_string())]);
    let uid = world.place(&order);
    let state = world.harness.host.state.clone();
    let mut world = World::new();
    world.harness.host.state = state;
    world.block(VALID_TO + 1).expect("handled");
    let order = world.order(&uid);
    let reason = format!("the configuration does not have the contract {OWN}");
    assert_eq!((&order["state"], &order["reason"]), (&json!("expired"), &json!(reason)));
}

#[test]
fn small_orders_are_left_out() {
    for (least, expected) in [("1000000000000000000", 1), ("1000000000000000001", 0)] {
        let mut world = World::with(&[("least", least)]);
        assert_eq!(
            followed(&mut world, CHAIN, &Placing::until(VALID_TO)),
            expected,
            "{least}"
        );
    }
}

#[test]
fn a_wrong_key_of_the_configuration_is_an_error() {
    for (key, value, error) in [
        (
            "contract",
            "",
            "config: contract is unknown; known are contracts, settlement, least, keep_days, refund, account, \
             batch_max",
        ),
        ("keep_days", "-1", "config: keep_days: \"-1\" is not a u32"),
    ] {
        let result = nexum_sdk::testing::Harness::<EthFlow>::new(&[(key, value)]);
        assert_eq!(result.expect_err("an error").message(), error);
    }
}

/// The selectors of selectors.json.
#[test]
fn the_interfaces_have_the_selectors_of_the_contracts() {
    use crate::abi::{IEthFlow, ISettlement};
    use nexum_sdk::sol_types::{SolCall, SolError};
    let selectors = [
        (IEthFlow::EthTransferFailed::SELECTOR, "6d963f88"),
        (IEthFlow::invalidateOrdersIgnoringNotAllowedCall::SELECTOR, "4cb76498"),
        (ISettlement::filledAmountCall::SELECTOR, "2479fb6e"),
    ];
    for (selector, expected) in selectors {
        assert_eq!(hex::encode(selector), expected);
    }
}

/// The code selects the three events, for the subscriptions of each chain.
#[test]
fn the_code_has_the_topics_of_the_events() {
    let code: Value = serde_json::from_str(<EthFlow as Module>::MANIFEST).expect("JSON");
    let subscriptions = code["subscription"].as_array().expect("a list");
    let logs: Vec<_> = subscriptions.iter().filter(|each| each["kind"] == "log").collect();
    let events = EVENTS.map(|event| event.to_string());
    assert_eq!(logs, [&json!({ "kind": "log", "topics": [events] })]);
}

/// The manifest has a subscription to blocks and one to logs for each chain, with the contracts of
/// the table.
#[test]
fn the_manifest_has_the_contracts_of_each_chain() {
    let manifest = include_str!("../../nexum.toml");
    let tables: Vec<_> = manifest.split("[[subscription]]").skip(1).collect();
    assert_eq!(tables.len(), 2 * CHAINS.len());
    for chain_id in CHAINS {
        let of_chain = |kind: &str| {
            let is_wanted = |table: &&&str| {
                let mut lines = table.lines().map(str::trim);
                let kind = format!("kind = \"{kind}\"");
                lines.clone().any(|line| line == kind) && lines.any(|line| line == format!("chain_id = {chain_id}"))
            };
            tables
                .iter()
                .find(is_wanted)
                .unwrap_or_else(|| panic!("{kind} of {chain_id}"))
        };
        of_chain("block");
        let texts: Vec<_> = of_chain("log").split('"').collect();
        let mut listed: Vec<Address> = texts.iter().filter_map(|text| text.parse().ok()).collect();
        let on_chain = DEPLOYMENTS
            .iter()
            .filter(|deployment| deployment.chains.contains(&chain_id));
        let mut expected: Vec<_> = on_chain.map(|deployment| deployment.address).collect();
        listed.sort();
        expected.sort();
        assert_eq!(listed, expected, "chain {chain_id}");
    }
}
