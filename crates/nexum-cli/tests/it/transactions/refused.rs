//! Transactions that nexum does not send.

use nexum_testing::TEST_CHAIN_ID;
use serde_json::json;

use super::{Module, SHOP, WIDE, World};

const LIMITS: &str = "limits = { max_fee_gwei = 1000, fee_per_day = \"1\", value_per_day = \"1\" }\n";

/// A contract that reverts with four bytes: `PUSH4 deadbeef PUSH0 MSTORE PUSH1 4 PUSH1 28 REVERT`.
const REVERTS: &str = "0x63deadbeef5f526004601cfd";

/// The answer that the module gets to its first transaction.
async fn heard(config: &str, rules: &str) -> String {
    let world = World::new(vec![Module::with_rules(config, rules)], &["--no-mining"]);
    world
        .anvil
        .request(
            "anvil_setCode",
            json!(["0x00000000000000000000000000000000000000cc", REVERTS]),
        )
        .await;
    world.anvil.mine(1).await;
    let (_child, log) = world.start();
    let lines = log.until(|line| line.contains("(chain: ") || line.contains("ok "));
    assert_eq!(world.paid(0).await, []);
    lines.last().expect("a record").clone()
}

fn send(rule: &str) -> String {
    format!("send = [{{ chain = {TEST_CHAIN_ID}, {rule} }}]\n{LIMITS}")
}

#[tokio::test]
async fn a_module_sends_nothing_that_its_rules_do_not_name() {
    for (config, rules, expected) in [
        ("", "messages = { prefixes = [\"x\"] }\n".to_owned(), "denied"),
        (
            "",
            send("to = \"0x00000000000000000000000000000000000000bb\""),
            "the rule does not name the receiver",
        ),
        (
            "value = \"0xde0b6b3a7640001\"\n",
            send("to = \"*\", max_value = \"1\""),
            "max_value is 1.0",
        ),
        (
            "data = \"0xa9059cbb\"\n",
            send("to = \"*\", max_value = \"1\""),
            "transfers without data alone",
        ),
        (
            "gas = \"0xf4241\"\n",
            send("to = \"*\", max_value = \"1\""),
            "max_gas is 1000000",
        ),
    ] {
        let said = heard(config, &rules).await;
        assert!(said.contains("denied") && said.contains(expected), "{expected}: {said}");
    }
}

#[tokio::test]
async fn an_instance_sends_nothing_when_it_starts() {
    let said = heard("at = \"init\"\nfirst = 100\n", &send("to = \"*\", max_value = \"1\"")).await;
    assert!(
        said.contains("denied") && said.contains("`init` may not send"),
        "{said}"
    );
}

#[tokio::test]
async fn a_transaction_that_would_revert_is_not_sent_and_the_module_gets_the_data() {
    let to = "0x00000000000000000000000000000000000000cc";
    let config = format!(
        "params = '[{{\"from\":\"{}\",\"to\":\"{to}\"}}]'\n",
        nexum_testing::accounts::ACCOUNTS[0].address
    );
    let said = heard(&config, &send("to = \"*\"")).await;
    assert!(said.contains("denied") && said.contains("0xdeadbeef"), "{said}");
}

#[tokio::test]
async fn a_transaction_above_a_limit_is_not_sent() {
    let limits = "limits = { max_fee_gwei = 1, fee_per_day = \"1\", value_per_day = \"1\" }\n";
    let rules = format!("send = [{{ chain = {TEST_CHAIN_ID}, to = \"*\", max_value = \"1\" }}]\n{limits}");
    let world = World::new(
        vec![Module::with_rules("", &rules)],
        &["--no-mining", "--base-fee", "2000000000"],
    );
    world.anvil.mine(1).await;
    let (_child, log) = world.start();
    let lines = log.until(|line| line.contains("(chain: "));
    let said = lines.last().expect("a record");
    assert!(said.contains("rate-limited") && said.contains("wei per gas"), "{said}");

    let limits = "limits = { max_fee_gwei = 1000, fee_per_day = \"1\", value_per_day = \"1\", in_flight = 2 }\n";
    let rules = format!("send = [{{ chain = {TEST_CHAIN_ID}, to = \"*\", max_value = \"1\" }}]\n{limits}");
    let world = World::new(vec![Module::with_rules("count = 3\n", &rules)], &["--no-mining"]);
    world.anvil.mine(1).await;
    let (_child, log) = world.start();
    let lines = log.until(|line| line.contains("(chain: "));
    let heard: Vec<_> = lines.iter().filter(|line| line.contains("ok ")).collect();
    assert_eq!(heard.len(), 2, "{lines:#?}");
    let said = lines.last().expect("a record");
    assert!(said.contains("`in_flight` allows 2"), "{said}");
}

#[tokio::test]
async fn a_module_hears_why_its_parameters_are_none() {
    let rules = format!("send = [{{ chain = {TEST_CHAIN_ID}, to = \"{SHOP}\", max_value = \"1\" }}]\n{WIDE}");
    for (params, expected) in [
        ("[]", "no transaction"),
        ("[{}]", "missing field `from`"),
        (
            "[{\"from\":\"0x00000000000000000000000000000000000000aa\",\"nonce\":\"0x1\"}]",
            "leave `nonce` out",
        ),
    ] {
        let said = heard(&format!("params = '{params}'\n"), &rules).await;
        assert!(said.contains("invalid-input") && said.contains(expected), "{said}");
    }
    let said = heard(
        "params = '[{\"from\":\"0x00000000000000000000000000000000000000aa\"}]'\n",
        &rules,
    )
    .await;
    assert!(
        said.contains("denied") && said.contains("does not allow the module to use the account"),
        "{said}"
    );
}
