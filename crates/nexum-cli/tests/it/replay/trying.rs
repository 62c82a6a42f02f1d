//! `nexum try`.

use std::net::TcpListener;

use nexum_testing::{Anvil, guests};
use serde_json::{Value, json as value};

use super::{PAYEE, configure, module, pay, refused, report, table, until_handled};
use crate::Dir;
use crate::control::{BLOCKS, json, start_logged, until};

/// The lines of the value that `chain-caller` wrote for a block.
fn answers(report: &Value, block: u64) -> Vec<String> {
    let events = report["events"].as_array().expect("events");
    let writes = events
        .iter()
        .flat_map(|event| event["writes"].as_array().expect("writes"));
    let mut writes = writes.filter(|write| write["key"] == format!("done/{block}"));
    let value = writes.next().expect("a write")["value"]["preview"]
        .as_str()
        .expect("text");
    value.lines().map(|line| line.trim_matches('"').to_owned()).collect()
}

fn caller(dir: &Dir, calls: &str, more: &str) {
    let capabilities = "[capabilities]\nrequired = [\"chain\", \"store\"]\n";
    module(
        dir,
        "chain-caller",
        &format!("{capabilities}{BLOCKS}[config]\ncalls = '''{calls}'''\n{more}"),
    );
}

#[tokio::test]
async fn a_trial_reads_the_chain_as_it_was_at_the_block() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    for _ in 0..3 {
        pay(&anvil).await;
    }
    configure(&dir, &anvil, "");
    let calls = format!(
        "eth_getBalance [\"{PAYEE}\",\"latest\"]\neth_getBalance [\"{PAYEE}\"]\neth_blockNumber []\neth_chainId []"
    );
    for more in ["", "batch = \"yes\"\n"] {
        caller(&dir, &calls, more);
        for block in [1, 2, 3] {
            let number = block.to_string();
            let found = report(&dir, &["try", "chain-caller/chain-caller.wasm", "--block", &number], 0);
            let hex = format!("{block:#x}");
            assert_eq!(answers(&found, block), [&hex, &hex, &hex, "0xaa36a7"], "{found:#}");
            assert_eq!(found["events"][1]["not_pinned"], value!([]), "{found:#}");
        }
    }
    assert!(!dir.path().join("data").exists(), "a trial has left files");
}

#[tokio::test]
async fn a_read_that_cannot_be_pinned_is_named_and_can_be_refused() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    pay(&anvil).await;
    configure(&dir, &anvil, "");
    let calls =
        format!("eth_gasPrice []\neth_getBalance [\"{PAYEE}\",\"pending\"]\neth_getBalance [\"{PAYEE}\",\"0x0\"]");
    for more in ["", "batch = \"yes\"\n"] {
        caller(&dir, &calls, more);
        let args = ["try", "chain-caller/chain-caller.wasm", "--block", "1"];
        let found = report(&dir, &args, 0);
        assert_eq!(answers(&found, 1)[1..], ["0x1", "0x0"], "{found:#}");
        let call = |what: &str| value!({ "kind": "chain", "what": what, "count": 1 });
        let expected = value!([call("eth_gasPrice"), call("eth_getBalance")]);
        assert_eq!(found["events"][1]["not_pinned"], expected, "{found:#}");
        let refused = report(&dir, &[&args[..], &["--pinned-only"]].concat(), 0);
        assert_eq!(answers(&refused, 1), ["denied", "denied", "0x0"], "{refused:#}");
        assert_eq!(refused["events"][1]["not_pinned"], expected, "{refused:#}");
    }
}

#[tokio::test]
async fn effects_are_not_sent_but_listed() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    anvil.mine(1).await;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let hosts = format!("allow = [{address:?}]\nallow_http = [{address:?}]\nallow_private = [{address:?}]\n");
    configure(
        &dir,
        &anvil,
        &format!("extra_methods = [\"eth_sendRawTransaction\"]\n[http]\n{hosts}"),
    );
    module(
        &dir,
        "effects",
        &format!(
            "[capabilities]\nrequired = [\"http\", \"store\"]\n[capabilities.http]\nallow = [{address:?}]\n{BLOCKS}\
             [config]\nbase = \"http://{address}\"\nrequests = \"POST /pay/{{n}}\"\n"
        ),
    );
    let args = ["try", "effects/effects.wasm", "--block", "1"];
    for (more, status, answer) in [
        (&[][..], "denied", "denied"),
        (&["--effects", "assume-ok"], "200", "assumed"),
    ] {
        let found = report(&dir, &[&args[..], more].concat(), 0);
        let event = &found["events"][1];
        assert_eq!(answers(&found, 1), [status], "{found:#}");
        let effects = event["effects"].as_array().expect("effects");
        let effect = &effects[0];
        assert_eq!(
            (effects.len(), &effect["kind"], &effect["answer"]),
            (1, &value!("http"), &value!(answer))
        );
        let request = effect["request"]["preview"].as_str().expect("text");
        assert!(request.starts_with(&format!("POST http://{address}")), "{request}");
    }
    listener.set_nonblocking(true).expect("an option");
    assert!(listener.accept().is_err(), "a trial has sent a request");

    let transaction = format!("eth_sendRawTransaction [\"0x{}\"]", "00");
    caller(&dir, &transaction, "");
    let args = ["try", "chain-caller/chain-caller.wasm", "--block", "1"];
    let hash = "0xbc36789e7a1e281436464229828f817d6612f7b477d66591ff96a9e064bcc98a";
    for (more, expected) in [(&[][..], "denied"), (&["--effects", "assume-ok"], hash)] {
        let found = report(&dir, &[&args[..], more].concat(), 0);
        let value = &found["events"][1]["writes"][0]["value"]["preview"];
        let value = value.as_str().expect("text").trim_matches('"').trim_end_matches("..");
        assert!(expected.starts_with(value) && !value.is_empty(), "{found:#}");
        assert_eq!(found["events"][1]["effects"][0]["kind"], "transaction");
    }
    let text = dir.nexum(&args).stdout;
    assert!(
        text.contains("  effects, which nexum does not send\n    transaction to chain 11155111, denied: "),
        "{text}"
    );
}

#[tokio::test]
async fn a_trial_starts_with_the_state_of_a_running_module_and_changes_nothing() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    let built = std::fs::read_to_string(guests::dir("counter").join("nexum.toml")).expect("a manifest");
    let pin = built
        .lines()
        .find(|line| line.starts_with("component = "))
        .expect("a pin");
    module(
        &dir,
        "counter",
        &format!("{pin}\n[capabilities]\nrequired = [\"store\"]\n{BLOCKS}from_block = 1\n"),
    );
    let (child, _log) = start_logged(&dir, &anvil, &table("counter"), &["run"]);
    anvil.mine(3).await;
    until_handled(&dir, "counter", 3).await;
    let scan = ["state", "scan", "counter"];
    let before = dir.nexum(&scan).stdout;
    let args = ["try", "counter/counter.wasm", "--block", "2", "--module", "counter"];
    let expect = |found: &Value, count: u64| {
        let writes = found["events"][1]["writes"].as_array().expect("writes");
        let keys: Vec<_> = writes
            .iter()
            .map(|write| write["key"].as_str().expect("a key"))
            .collect();
        assert_eq!(keys, [format!("block-{count}"), "count".to_owned()], "{found:#}");
    };
    expect(&report(&dir, &args, 0), 4);
    // A new version without a manifest gets that of the module, which pins another digest.
    let component = std::fs::read(dir.path().join("counter/counter.wasm")).expect("a guest");
    dir.write("new.wasm", guests::with_custom_section(&component, "version", b"2"));
    let new = report(&dir, &[&["try", "new.wasm"], &args[2..]].concat(), 0);
    assert_ne!(new["digest"], report(&dir, &args, 0)["digest"]);
    expect(&new, 4);
    expect(&report(&dir, &[&args[..], &["--state", "before"]].concat(), 0), 2);
    expect(&report(&dir, &[&args[..], &["--state", "empty"]].concat(), 0), 1);
    assert_eq!(dir.nexum(&scan).stdout, before);
    drop(child);
    // Without a daemon, the command opens the state itself.
    until(&dir, &["state", "list", "--format", "json"], |list| {
        list[0]["module"] == "counter"
    })
    .await;
    expect(&report(&dir, &args, 0), 4);
    assert_eq!(dir.nexum(&scan).stdout, before);
}

#[tokio::test]
async fn a_failure_is_that_of_the_daemon() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    module(
        &dir,
        "trap-after-writes",
        &format!("[capabilities]\nrequired = [\"store\"]\n{BLOCKS}from_block = 1\n"),
    );
    let (_child, _log) = start_logged(&dir, &anvil, &table("trap-after-writes"), &["run"]);
    anvil.mine(2).await;
    let list = ["dead-letter", "list", "trap-after-writes", "--format", "json"];
    let letters = until(&dir, &list, |letters| letters[1].is_object()).await;
    for (index, block) in ["1", "2"].into_iter().enumerate() {
        let found = report(
            &dir,
            &["try", "trap-after-writes/trap-after-writes.wasm", "--block", block],
            1,
        );
        let event = &found["events"][1];
        assert_eq!(event["failure"], letters[index]["attempts"][0]["reason"], "{found:#}");
        assert_eq!(event["event"], letters[index]["event"]);
        assert_eq!(
            (&event["writes"], &event["log"][1]),
            (&value!([]), &value!(format!("INFO own={block}")))
        );
    }
    let shown = json(
        &dir,
        &[
            "dead-letter",
            "show",
            "trap-after-writes",
            "11155111:1:block",
            "--format",
            "json",
        ],
    );
    assert!(
        shown["attempts"][0]["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("the guest trapped"))
    );
}

#[tokio::test]
async fn an_endless_loop_ends_at_the_limit() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    anvil.mine(1).await;
    configure(&dir, &anvil, "[engine.limits]\nfuel_per_event = 1000000\n");
    module(&dir, "spin", BLOCKS);
    let found = report(&dir, &["try", "spin/spin.wasm", "--block", "1"], 1);
    let failure = found["events"][1]["failure"].as_str().expect("a failure");
    assert!(failure.contains("fuel_per_event = 1000000 exceeded"), "{failure}");
    let ran = dir.nexum(&["try", "spin/spin.wasm", "--block", "1"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.contains("11155111:1:block: failed, "), "{}", ran.stdout);
}

#[tokio::test]
async fn two_trials_are_equal_also_in_time_and_random_numbers() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    anvil.mine(2).await;
    configure(&dir, &anvil, "");
    let address = "127.0.0.1:9";
    dir.write(
        "engine.toml",
        format!(
            "[chains.11155111]\nrpc_url = {:?}\n[http]\nallow = [{address:?}]\nallow_http = [{address:?}]\nallow_private = [{address:?}]\n",
            anvil.http_url()
        ),
    );
    module(
        &dir,
        "effects",
        &format!(
            "[capabilities]\nrequired = [\"http\", \"store\"]\n[capabilities.http]\nallow = [{address:?}]\n{BLOCKS}\
             [config]\nbase = \"http://{address}\"\nrequests = \"POST /{{t}}/{{r}}\"\n"
        ),
    );
    let request = |block: &str| {
        let found = report(&dir, &["try", "effects/effects.wasm", "--block", block], 0);
        found["events"][1]["effects"][0]["request"]["digest"].clone()
    };
    assert_eq!(request("1"), request("1"));
    assert_ne!(request("1"), request("2"));
    let found = report(&dir, &["try", "effects/effects.wasm", "--block", "1"], 0);
    let block = anvil.request("eth_getBlockByNumber", value!(["0x1", false])).await;
    let seconds = block["timestamp"].as_str().expect("a time").trim_start_matches("0x");
    let seconds = u64::from_str_radix(seconds, 16).expect("a number");
    let text = found["events"][1]["effects"][0]["request"]["preview"].to_string();
    assert!(text.contains(&format!("/{}/", seconds * 1_000)), "{text}");
}

#[tokio::test]
async fn mistakes_are_clear_errors() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    anvil.mine(1).await;
    configure(&dir, &anvil, &table("counter"));
    module(
        &dir,
        "counter",
        &format!("[capabilities]\nrequired = [\"store\"]\n{BLOCKS}"),
    );
    let component = "counter/counter.wasm";
    for (args, parts) in [
        (&["try", "absent.wasm", "--block", "1"][..], &["absent.wasm"][..]),
        (
            &["try", component, "--block", "1", "--module", "other"],
            &["the configuration has no module other", "its modules: counter"],
        ),
        (
            &["try", component, "--block", "7"],
            &["chain 11155111", "hint: name blocks that the chain has"],
        ),
        (
            &["try", component, "--block", "1", "--chain", "1"],
            &["the module counter subscribes to nothing on chain 1"],
        ),
        (&["try", component, "--block", "x"], &["invalid value 'x'"]),
        (
            &["replay", "other", "--blocks", "0..1"],
            &["the configuration has no module other"],
        ),
        (
            &["replay", "counter", "--blocks", "1..0"],
            &["the first block 1 is above the last block 0"],
        ),
        (
            &["replay", "counter", "--blocks", "0..10000"],
            &["are more than 10000", "replay a part"],
        ),
        (
            &["replay", "counter", "--blocks", "0..1", "--with", "absent.wasm"],
            &["absent.wasm"],
        ),
    ] {
        refused(&dir.nexum(args), parts);
    }
}
