use std::path::Path;

use nexum_config::hint::Hint;
use proptest::prelude::*;

use super::*;
use crate::error::SECTION;

mod topics;

const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
const APPROVAL: &str = "0x8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925";

/// An event module with these imports, and with the section if there is one.
fn component(code: Option<&str>, imports: &[&str]) -> ComponentFile {
    let section = code.map(|code| format!("(@custom \"{SECTION}\" \"{}\")", code.replace('"', "\\\"")));
    let imports: String = imports
        .iter()
        .map(|name| format!("(import \"{name}\" (instance))"))
        .collect();
    let text = format!(
        "(component {imports}
            (core module $m (func (export \"f\")) {})
            (core instance $i (instantiate $m))
            (func $f (canon lift (core func $i \"f\")))
            (export \"init\" (func $f))
            (export \"on-event\" (func $f)))",
        section.unwrap_or_default()
    );
    let bytes = wat::parse_str(text).expect("a component");
    ComponentFile::parse(Path::new("watch.wasm"), bytes).expect("a component")
}

/// The completed manifest without its digest and its first line, with the warnings below. Else the
/// errors with their hints.
fn merge(written: &str, code: Option<&str>, imports: &[&str]) -> Result<String, String> {
    let component = component(code, imports);
    let name = "watch".parse().expect("a name");
    match complete(written.as_bytes(), &name, Some("0.1.0"), &component) {
        Ok(Complete { text, warnings, .. }) => {
            let digest = format!("component = \"{}\"\n", component.digest);
            assert!(text.contains(&digest), "{text}");
            let (first, rest) = text.split_once('\n').expect("lines");
            assert!(first.starts_with("# `nexum build` made this file from"), "{first}");
            let warnings: String = warnings.iter().map(|warning| format!("\nwarning: {warning}")).collect();
            Ok(rest.replace(&digest, "") + &warnings)
        }
        Err(Error::Manifest(errors)) => {
            let lines = errors.iter().map(|error| match error.hint() {
                Some(hint) => format!("{error} ({hint})"),
                None => error.to_string(),
            });
            Err(lines.collect::<Vec<_>>().join("\n"))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// The code of a module with a handler for blocks and one for transfers.
fn code() -> String {
    format!(
        "{{\"subscription\":[{{\"kind\":\"block\",\"chain_id\":1}},\
         {{\"kind\":\"log\",\"event_signature\":\"{TRANSFER}\",\"chain_id\":1,\"confirmations\":2}}]}}"
    )
}

#[track_caller]
fn check(written: &str, code: Option<&str>, imports: &[&str], expected: &str) {
    let completed = merge(written, code, imports).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(completed, expected, "{written}");
}

#[track_caller]
fn check_errors(written: &str, code: &str, imports: &[&str], expected: &[&str]) {
    let errors = merge(written, Some(code), imports).expect_err("errors");
    assert_eq!(errors.lines().collect::<Vec<_>>(), expected, "{written}");
}

#[test]
fn everything_can_come_from_the_code() {
    let code = "{\"capabilities\":{\"optional\":[\"http\"]},\"subscription\":[{\"kind\":\"block\",\"chain_id\":5},\
                {\"kind\":\"cron\",\"schedule\":\"*/5 * * * *\"},{\"kind\":\"log\",\"chain_id\":1,\"addresses\":[\
                \"0x0000000000000000000000000000000000000001\"],\"topics\":[\"\",[]]}]}";
    check(
        "",
        Some(code),
        &[
            "nexum:host/types@0.2.0",
            "nexum:host/chain@0.2.0",
            "nexum:host/http@0.2.0",
            "nexum:host/local-store@0.2.0",
            "nexum:host/logging@0.2.0",
            "wasi:clocks/wall-clock@0.2.6",
        ],
        "[module]
name = \"watch\"
version = \"0.1.0\"

[capabilities]
required = [\"chain\", \"store\"]
optional = [\"http\"]

[chains]
required = [1, 5]

[[subscription]]
kind = \"block\"
chain_id = 5

[[subscription]]
kind = \"cron\"
schedule = \"*/5 * * * *\"

[[subscription]]
kind = \"log\"
chain_id = 1
addresses = [\"0x0000000000000000000000000000000000000001\"]
topics = [\"\", []]
",
    );
}

#[test]
fn the_authors_file_is_the_base_and_overrides_the_code() {
    let written = "# Mine.
[module]
name = \"watch\"
description = \"Watches.\"

[config]
key = \"$${NOT_A_VARIABLE}\" # stays as it is

# Sepolia, not mainnet.
[[subscription]]
kind = \"log\"
event_signature = \"Transfer(address,address,uint256)\"
chain_id = 11155111
finality = \"safe\"
address = \"0x0000000000000000000000000000000000000001\"

[module.resources]
max_fuel_per_event = 1000000
";
    check(
        written,
        Some(&code()),
        &["nexum:host/chain@0.2.0"],
        "# Mine.
[module]
name = \"watch\"
description = \"Watches.\"
version = \"0.1.0\"

[config]
key = \"$${NOT_A_VARIABLE}\" # stays as it is

[capabilities]
required = [\"chain\"]

[chains]
required = [1, 11155111]

# Sepolia, not mainnet.
[[subscription]]
kind = \"log\"
event_signature = \"Transfer(address,address,uint256)\"
chain_id = 11155111
finality = \"safe\"
address = \"0x0000000000000000000000000000000000000001\"

[[subscription]]
kind = \"block\"
chain_id = 1

[module.resources]
max_fuel_per_event = 1000000
",
    );
}

#[test]
fn a_table_that_leaves_keys_out_gets_those_of_the_code() {
    let expected = format!(
        "[module]
name = \"watch\"
version = \"0.1.0\"

[capabilities]

[chains]
required = [1]

[[subscription]]
kind = \"log\"
address = \"0x0000000000000000000000000000000000000001\"
chain_id = 1
event_signature = \"{TRANSFER}\"
confirmations = 2

[[subscription]]
kind = \"block\"
chain_id = 1
"
    );
    // The signature of the only event may be left out, too.
    let written = "subscription = [{ kind = \"log\", address = \"0x0000000000000000000000000000000000000001\" }]\n";
    check(written, Some(&code()), &[], &expected);
}

#[test]
fn an_event_is_selected_by_its_signature_or_by_the_first_topic() {
    let code = format!(
        "{{\"subscription\":[{{\"kind\":\"log\",\"event_signature\":\"{TRANSFER}\",\"chain_id\":1}},\
         {{\"kind\":\"log\",\"event_signature\":\"{APPROVAL}\",\"chain_id\":1}}]}}"
    );
    let subscription = |code: &str, keys: &str| {
        let completed = merge(&format!("[[subscription]]\nkind = \"log\"\n{keys}"), Some(code), &[]);
        let completed = completed.unwrap_or_else(|errors| panic!("{errors}"));
        completed
            .split("kind = \"log\"\n")
            .skip(1)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let one = format!("chain_id = 1\nevent_signature = \"{APPROVAL}\"\n");
    let both = format!("topics = [[\"{TRANSFER}\", \"{APPROVAL}\"]]\nchain_id = 2\n");
    assert_eq!(subscription(&code, &both), [both.as_str()]);
    let first = format!("topics = [\"{TRANSFER}\"]\n");
    assert_eq!(
        subscription(&code, &first),
        [format!("{first}chain_id = 1\n\n[[subscription]]\n"), one]
    );
    // The first position is open, so the only event of the code fills it.
    let only = format!("{{\"subscription\":[{{\"kind\":\"log\",\"event_signature\":\"{TRANSFER}\",\"chain_id\":1}}]}}");
    let account = "topics = [\"\", \"0x9008D19f58AAbD9eD0D60971565AA8510560ab41\"]\n";
    assert_eq!(
        subscription(&only, account),
        [format!("{account}chain_id = 1\nevent_signature = \"{TRANSFER}\"\n")]
    );
}

#[test]
fn schedules_and_chains_are_the_authors() {
    let code = "{\"subscription\":[{\"kind\":\"cron\",\"schedule\":\"0 * * * *\"},{\"kind\":\"block\"}]}";
    let written = "[[subscription]]
kind = \"cron\"
schedule = \"30 * * * *\"

[[subscription]]
kind = \"block\"
chain_id = 1

[[subscription]]
kind = \"block\"
chain_id = 2
";
    let module = "[module]\nname = \"watch\"\nversion = \"0.1.0\"\n";
    let expected = format!("{module}\n[capabilities]\n\n[chains]\nrequired = [1, 2]\n\n{written}");
    check(written, Some(code), &[], &expected);
}

#[test]
fn a_component_without_the_section_has_the_authors_subscriptions() {
    let written = "[[subscription]]\nkind = \"block\"\nchain_id = 1\n";
    let module = "[module]\nname = \"watch\"\nversion = \"0.1.0\"\n";
    let rest = "[capabilities]\nrequired = [\"chain\"]\n\n[chains]\nrequired = [1]\n";
    check(
        written,
        None,
        &["nexum:host/chain@0.2.0"],
        &format!("{module}\n{rest}\n{written}"),
    );
    let idle = "warning: the module subscribes to nothing and gets no event: add [[subscription]] to nexum.toml";
    check("", None, &[], &format!("{module}\n[capabilities]\n\n{idle}"));
}

#[test]
fn a_listed_capability_that_is_not_imported_is_a_warning() {
    let written = "[module]
name = \"watch\"
version = \"2\"

[capabilities]
required = [\"local-store\", \"prices\", \"logging\"]
optional = [\"cow\"]
";
    check(
        written,
        Some("{\"subscription\":[{\"kind\":\"message\"}]}"),
        &["nexum:host/local-store@0.2.0", "embed:prices/prices@0.1.0"],
        &format!(
            "{written}
[[subscription]]
kind = \"message\"

warning: nexum.toml:7:13: capabilities.optional[0]: is listed, but the code does not import it, found \"cow\"
warning: the code imports embed:prices/prices@0.1.0, which is not in nexum's contract"
        ),
    );
}

#[test]
fn a_subscription_without_a_handler_is_an_error_that_names_both() {
    let written = format!(
        "[[subscription]]
kind = \"cron\"
schedule = \"0 * * * *\"

[[subscription]]
kind = \"log\"
event_signature = \"{APPROVAL}\"
chain_id = 1

[[subscription]]
kind = \"log\"
topics = [[\"{TRANSFER}\", \"{APPROVAL}\"]]
chain_id = 1
"
    );
    let handled = format!("but the code handles blocks and logs with the event signature {TRANSFER}");
    let hint = "(remove the subscription, or add a handler for its events to the code)";
    let approval = format!("logs with the event signature {APPROVAL}");
    check_errors(
        &written,
        &code(),
        &[],
        &[
            &format!("nexum.toml:1:1: subscription[0]: subscribes to ticks, {handled} {hint}"),
            &format!("nexum.toml:5:1: subscription[1]: subscribes to {approval}, {handled} {hint}"),
            &format!("nexum.toml:10:1: subscription[2]: subscribes to {approval}, {handled} {hint}"),
        ],
    );
}

#[test]
fn a_handler_without_a_chain_is_an_error() {
    let code = format!(
        "{{\"subscription\":[{{\"kind\":\"block\"}},{{\"kind\":\"log\",\"event_signature\":\"{TRANSFER}\"}}]}}"
    );
    let hint = |key: &str| {
        format!(
            "(add `chain_id = ...` to the attribute of the handler, or a [[subscription]] with kind = {key} and chain_id to \
             this file)"
        )
    };
    let none = "in the code names no chain, and neither does this file";
    check_errors(
        "",
        &code,
        &[],
        &[
            &format!(
                "nexum.toml:1:1: subscription: `#[on_block]` {none} {}",
                hint("\"block\"")
            ),
            &format!(
                "nexum.toml:1:1: subscription: `#[on_event]` with the event signature {TRANSFER} {none} {}",
                hint("\"log\", event_signature")
            ),
        ],
    );
    // A table of the author's without the chain is no answer.
    check_errors(
        "[[subscription]]\nkind = \"block\"\n\n[[subscription]]\nkind = \"log\"\nchain_id = 1\n",
        &code,
        &[],
        &["nexum.toml:1:1: subscription[0].chain_id: missing key"],
    );
}

#[test]
fn an_error_of_the_completed_manifest_is_at_the_authors_table_or_names_the_handler() {
    let code = format!(
        "{{\"subscription\":[{{\"kind\":\"block\",\"chain_id\":5}},\
         {{\"kind\":\"log\",\"event_signature\":\"{TRANSFER}\",\"chain_id\":6}}]}}"
    );
    let written = "[module]\nname = \"watch\"\n\n[chains]\nrequired = [1]\n\n[[subscription]]\nkind = \"log\"\n";
    check_errors(
        written,
        &code,
        &[],
        &[
            "nexum.toml:4:1: chains: chain_id of `#[on_block]` in the code: is not listed in [chains], found 5 (add 5 to \
             chains.required or chains.optional)",
            &format!(
                "nexum.toml:7:1: subscription[0].chain_id: is not listed in [chains], found 6 from `#[on_event]` with the event \
                 signature {TRANSFER} in the code (add 6 to chains.required or chains.optional)"
            ),
        ],
    );
    let twice = "{\"subscription\":[{\"kind\":\"block\",\"chain_id\":5},{\"kind\":\"block\",\"chain_id\":5}]}";
    check_errors(
        "",
        twice,
        &[],
        &["nexum.toml:1:1: subscription: `#[on_block]` in the code: repeats an earlier subscription"],
    );
    let faulty = "{\"subscription\":[{\"kind\":\"block\",\"chain_id\":1,\"finality\":\"soon\"}]}";
    let errors = merge("", Some(faulty), &[]).expect_err("errors");
    let expected = "nexum.toml:1:1: subscription: finality of `#[on_block]` in the code: ";
    assert!(
        errors.starts_with(expected) && errors.contains(", found \"soon\""),
        "{errors}"
    );
}

#[test]
fn contradictions_about_capabilities_and_the_name_are_errors() {
    check_errors(
        "[module]\nname = \"other\"\n\n[capabilities]\nrequired = [\"store\"]\ndenied = [\"http\"]\n",
        "{\"subscription\":[]}",
        &["nexum:host/chain@0.2.0", "nexum:host/http@0.2.0"],
        &[
            "nexum.toml:2:8: module.name: is not the module's name, watch, found \"other\"",
            "nexum.toml:4:1: capabilities: `required` and `optional` lack `chain`, but the code imports it (add \"chain\" to one \
             of the lists, or remove `required`: `nexum build` then writes it)",
            "nexum.toml:6:11: capabilities.denied[0]: is denied, but the code imports it, found \"http\" (remove the name from `denied`, \
             or the calls from the code)",
        ],
    );
}

#[test]
fn faults_of_the_file_have_their_place_in_it() {
    check_errors(
        "[module]\nnames = \"a\"\n\n[[subscription]]\nkind = \"blocks\"\n",
        &code(),
        &[],
        &[
            "nexum.toml:2:1: module.names: unknown key, the nearest known one is name (known keys: name, version, description, \
             authors, component, files, resources, restart, query)",
            "nexum.toml:5:8: subscription[0].kind: unknown kind of subscription, found \"blocks\", the nearest known one is \
             block (supported kinds: block, log, cron)",
        ],
    );
    check_errors(
        "[module\n",
        &code(),
        &[],
        &["nexum.toml:1:8: unclosed table, expected `]`"],
    );
}

#[test]
fn a_subscription_of_the_code_must_be_one() {
    let error = merge("", Some("{\"subscription\":[{\"kind\":\"dream\"}]}"), &[]);
    let expected = "the section `nexum:manifest` has an unknown subscription: {\"kind\":\"dream\"}";
    assert_eq!(error, Err(expected.to_owned()));
}

/// Keys and values of subscriptions, right and wrong ones.
fn any_subscription() -> impl Strategy<Value = String> {
    let key = prop::sample::select(
        &[
            "kind",
            "chain_id",
            "event_signature",
            "address",
            "topics",
            "schedule",
            "odd",
        ][..],
    );
    let value = prop::sample::select(
        &[
            "block",
            "log",
            "cron",
            "message",
            TRANSFER,
            "Transfer(address,address,uint256)",
            "0 * * * *",
            "",
        ][..],
    );
    let value = prop_oneof![
        value.prop_map(|text| format!("\"{text}\"")),
        prop::sample::select(&["1", "-1", "1e999", "[]", "[[\"\"], []]", "true"][..]).prop_map(str::to_owned),
    ];
    let keys = prop::collection::btree_map(key, value, 0..6);
    keys.prop_map(|keys| {
        let keys: Vec<_> = keys
            .iter()
            .map(|(key, value)| format!("\"{key}\" SEPARATOR {value}"))
            .collect();
        keys.join(", ")
    })
}

proptest! {
    /// Hostile code and a faulty file are errors, never a panic, and a result is a valid manifest.
    #[test]
    fn completes_to_a_valid_manifest_or_fails(
        coded in prop::collection::vec(any_subscription(), 0..4),
        written in prop::collection::vec(any_subscription(), 0..4),
    ) {
        let tables = |list: &[String], separator: &str| {
            let tables: Vec<_> = list.iter().map(|keys| format!("{{{}}}", keys.replace("SEPARATOR", separator))).collect();
            tables.join(", ")
        };
        let code = format!("{{\"subscription\":[{}]}}", tables(&coded, ":"));
        let written = format!("subscription = [{}]", tables(&written, "="));
        let name = "watch".parse().expect("a name");
        if let Ok(complete) = complete(written.as_bytes(), &name, None, &component(Some(&code), &[])) {
            let manifest = Manifest::parse(Path::new("nexum.toml"), complete.text.as_bytes()).expect("a manifest");
            prop_assert_eq!(manifest.name, Some(name));
        }
    }
}
