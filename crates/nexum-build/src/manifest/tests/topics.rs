//! `#[on_logs]` with several events in the first position of `topics`.

use super::*;

/// Any first topic of another event.
const MINT: &str = "0x0f6798a560793a54c3bcfe86a93cde1e73087d944c0ea20544137d4121396885";

/// A handler for transfers and approvals, with further keys.
fn on_logs(keys: &str) -> String {
    format!("{{\"kind\":\"log\",\"topics\":[[\"{TRANSFER}\",\"{APPROVAL}\"]]{keys}}}")
}

fn code_of(subscriptions: &[String]) -> String {
    format!("{{\"subscription\":[{}]}}", subscriptions.join(","))
}

/// The subscriptions of the completed manifest.
#[track_caller]
fn check_subscriptions(written: &str, code: &str, expected: &str) {
    let completed = merge(written, Some(code), &[]).unwrap_or_else(|errors| panic!("{errors}"));
    let (_, subscriptions) = completed.split_once("[[subscription]]\n").expect("a subscription");
    assert_eq!(subscriptions, expected);
}

#[test]
fn the_code_can_select_several_events() {
    let expected = format!("kind = \"log\"\nchain_id = 1\ntopics = [[\"{TRANSFER}\", \"{APPROVAL}\"]]\n");
    check_subscriptions("", &code_of(&[on_logs(",\"chain_id\":1")]), &expected);
}

#[test]
fn a_table_of_the_author_gets_the_topics() {
    let written = "[[subscription]]\nkind = \"log\"\nchain_id = 2\n\n[[subscription]]\nkind = \"log\"\nchain_id = 3\n";
    let topics = format!("topics = [[\"{TRANSFER}\", \"{APPROVAL}\"]]\n");
    let expected =
        format!("kind = \"log\"\nchain_id = 2\n{topics}\n[[subscription]]\nkind = \"log\"\nchain_id = 3\n{topics}");
    check_subscriptions(written, &code_of(&[on_logs("")]), &expected);
    // Two attributes of one handler have the topics in common.
    let both = code_of(&[on_logs(",\"chain_id\":1"), on_logs(",\"chain_id\":4")]);
    check_subscriptions(written, &both, &expected);
}

#[test]
fn a_table_of_the_author_can_select_fewer_events_and_no_others() {
    let code = code_of(&[on_logs(",\"chain_id\":1")]);
    for topics in [
        format!("[\"{APPROVAL}\"]"),
        format!("[[\"{APPROVAL}\", \"{TRANSFER}\"]]"),
    ] {
        let written = format!("[[subscription]]\nkind = \"log\"\ntopics = {topics}\n");
        let expected = format!("kind = \"log\"\ntopics = {topics}\nchain_id = 1\n");
        check_subscriptions(&written, &code, &expected);
    }
    check_errors(
        &format!("[[subscription]]\nkind = \"log\"\ntopics = [[\"{APPROVAL}\", \"{MINT}\"]]\n"),
        &code,
        &[],
        &[&format!(
            "nexum.toml:1:1: subscription[0]: subscribes to logs with the event signature {MINT}, but the code handles \
             logs with the event signatures {TRANSFER}, {APPROVAL} (remove the subscription, or add a handler for its \
             events to the code)"
        )],
    );
}

#[test]
fn errors_name_the_handler() {
    check_errors(
        "",
        &code_of(&[on_logs("")]),
        &[],
        &[&format!(
            "nexum.toml:1:1: subscription: `#[on_logs]` with the event signatures {TRANSFER}, {APPROVAL} in the code \
             names no chain, and neither does this file (add `chain_id = ...` to the attribute of the handler, or a \
             [[subscription]] with kind = \"log\", topics and chain_id to this file)"
        )],
    );
    let short = "{\"kind\":\"log\",\"chain_id\":1,\"topics\":[\"0x12\"]}".to_owned();
    let errors = merge("", Some(&code_of(&[short])), &[]).expect_err("errors");
    let expected = "nexum.toml:1:1: subscription: topics[0] of `#[on_logs]` in the code: ";
    assert!(
        errors.starts_with(expected) && errors.contains(", found \"0x12\""),
        "{errors}"
    );
}
