use nexum_config::limits::Limits;

use crate::host::{ADDRESS, Host, sections, with_account};
use crate::signatures::{ORDER, ORDER_RULE};

const LOGIN: &str = "messages = { prefixes = [\"login: \"] }";

/// Asserts the line of the module, and the rule and the reason in the log.
async fn check(sections: &str, config: &[(&str, &str)], said: &str, rule: Option<&str>) {
    let host = Host::start(sections, config, Limits::default()).await;
    let lines = host.said_of_next().await;
    assert_eq!(lines[1], said);
    assert_eq!(host.records.find("signed"), None);
    let record = host.records.find("refused to sign").expect("the record");
    assert_eq!(record.fields["module"], "signer");
    assert_eq!(record.fields["event"], "11155111:0:block");
    assert_eq!(record.fields.get("rule").map(|rule| &**rule), rule);
    assert!(said.contains(&*record.fields["reason"]), "{record:?}");
    assert_eq!(record.fields.contains_key("hint"), rule.is_some(), "{record:?}");
}

#[tokio::test]
async fn a_module_without_a_grant_signs_nothing() {
    let denied = format!("denied 0 (identity: the operator does not allow the module to use the account {ADDRESS})");
    let config = with_account(&[("message", "login: 7")]);
    let others = sections(LOGIN).replace("identity.signer", "identity.other");
    for sections in ["", &others] {
        let host = Host::start(sections, &config, Limits::default()).await;
        assert_eq!(host.said_of_next().await, ["accounts: ", &denied]);
    }
    check(&others, &config, &denied, None).await;
}

#[tokio::test]
async fn a_message_outside_the_rules_is_denied() {
    let messages = Some("identity.signer.keeper.messages");
    for (rules, config, said, rule) in [
        (
            "",
            ("message", "login: 7"),
            "denied 0 (identity: no rule allows messages (identity.signer.keeper))",
            Some("identity.signer.keeper"),
        ),
        (
            LOGIN,
            ("message", "logout"),
            "denied 0 (identity: the message begins with none of the prefixes (identity.signer.keeper.messages))",
            messages,
        ),
        (
            LOGIN,
            ("zeros", "32"),
            "denied 0 (identity: a message of 32 bytes can be the hash of anything (identity.signer.keeper.messages))",
            messages,
        ),
        (
            LOGIN,
            ("zeros", "1000000"),
            "denied 0 (identity: the message has 1000000 bytes, and max_bytes is 256 (identity.signer.keeper.messages))",
            messages,
        ),
    ] {
        check(&sections(rules), &with_account(&[config]), said, rule).await;
    }
}

#[tokio::test]
async fn typed_data_outside_the_rules_is_denied() {
    let order = [("typed_data", ORDER)];
    let said = "denied 0 (identity: no rule allows typed data of the type Order (identity.signer.keeper))";
    check(
        &sections(LOGIN),
        &with_account(&order),
        said,
        Some("identity.signer.keeper"),
    )
    .await;
    let other = ORDER_RULE.replace("chain = 1", "chain = 100");
    let said = "denied 0 (identity: the domain's chainId is 1 (identity.signer.keeper.typed_data[0]))";
    check(
        &sections(&other),
        &with_account(&order),
        said,
        Some("identity.signer.keeper.typed_data[0]"),
    )
    .await;
}

#[tokio::test]
async fn malformed_arguments_are_invalid_input() {
    let invalid = "invalid-input 0 (identity: the typed data is not JSON, at line 1 and column 1)";
    check(
        &sections(ORDER_RULE),
        &with_account(&[("typed_data", "Order")]),
        invalid,
        None,
    )
    .await;
    let invalid = "invalid-input 0 (identity: the account has 2 bytes, and an address has 20)";
    check(
        &sections(LOGIN),
        &[("account", "2c75"), ("message", "login: 7")],
        invalid,
        None,
    )
    .await;
}
