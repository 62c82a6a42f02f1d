//! Events that the ledger has.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use super::{Site, module, newest};
use crate::Dir;
use crate::control::until;

const ALL_CALLS: &str = "[ledger]\ncalls = \"all\"\n";

#[tokio::test]
async fn a_handled_event_has_its_source_calls_writes_and_commit() {
    let site = Site::start(&format!("{ALL_CALLS}{}", module("counter", "counter", &[])));
    let block = site.mine().await;
    let of = format!("counter@{block}");
    let answer = site.outcome(&of, "handled").await;
    let one = newest(&answer);
    assert_eq!(one["event"], format!("11155111:{block}:block"), "{answer:#}");
    assert_eq!(
        (&one["endpoint"], &one["pushed"]),
        (&site.anvil.ws_url().trim_end_matches('/').into(), &true.into())
    );
    assert_eq!(one["matched"], serde_json::json!(["blocks of 11155111"]));
    let times = ["seen_ms", "begun_ms", "ended_ms", "committed_ms"].map(|time| one[time].as_u64().expect(time));
    assert!(times.is_sorted(), "{times:?}");
    let [run] = &**one["runs"].as_array().expect("runs") else {
        panic!("{one:#}");
    };
    let calls: Vec<_> = run["calls"]
        .as_array()
        .expect("calls")
        .iter()
        .map(|call| &call["method"])
        .collect();
    assert_eq!(calls, ["get", "set"]);
    assert_eq!(run["calls"][1]["count"], 2, "equal calls are one entry: {run:#}");
    let writes = serde_json::json!([{"key": format!("block-{}", block + 1), "bytes": 1}, {"key": "count", "bytes": 8}]);
    assert_eq!(run["writes"], writes);
    let fuel = run["limits"]
        .as_array()
        .expect("limits")
        .iter()
        .find(|limit| limit["limit"] == "fuel_per_event");
    assert!(
        fuel.is_some_and(|fuel| fuel["used"].as_u64() > Some(0) && fuel["bound"] == 1_000_000_000),
        "{run:#}"
    );
    assert!(
        run["time"]
            .as_array()
            .is_some_and(|time| time.iter().any(|part| part["kind"] == "guest"))
    );
    assert_eq!(one["commit"]["group"], 1);
    assert_eq!(one["settled"], false);
    assert_eq!(one["digest"].as_str().map(str::len), Some(64));

    let text = site.text(&of);
    for line in [
        "counter handled 11155111:",
        "seen:",
        "(pushed)",
        "waited:",
        "matched:  blocks of 11155111",
        "1. +",
        "store set x2",
        "time:",
        "wrote:    count = 8 bytes",
        "in a transaction of 1 commit",
        "a reorganisation can still revert it",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let by_event = site.until(&format!("11155111:{block}:block"), |_| true).await;
    assert_eq!(newest(&by_event)["module"], "counter");
    let last = site.until("counter", |_| true).await;
    assert_eq!(newest(&last)["block"], block);
}

#[tokio::test]
async fn an_event_that_failed_first_has_each_attempt() {
    let failing = module("keeper", "keeper", &[("every", "set a 1; fail")]);
    let patient = "[engine.limits]\nfuel_per_event = 1000000000\n";
    let site = Site::start(&format!("{patient}{failing}"));
    let block = site.mine().await;
    let of = format!("keeper@{block}");
    let retrying = |answer: &Value| newest(answer)["runs"].as_array().is_some_and(|runs| !runs.is_empty());
    site.until(&of, retrying).await;
    site.outcome(&of, "dead_letter").await;
    site.reload(&format!(
        "{patient}{}",
        module("keeper", "keeper", &[("every", "set a 2")])
    ));
    let event = format!("11155111:{block}:block");
    let ran = site.dir.nexum(&["dead-letter", "retry", "keeper", &event]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let answer = site.outcome(&of, "handled").await;
    let one = newest(&answer);
    let runs = one["runs"].as_array().expect("runs");
    assert_eq!((runs.len(), &one["attempts"]), (4, &4.into()), "{one:#}");
    let errors: Vec<_> = runs.iter().map(|run| run["error"].is_string()).collect();
    assert_eq!(errors, [true, true, true, false]);
    assert_eq!(
        runs[0]["calls"][0]["method"], "set",
        "the calls of a failed attempt are listed: {:#}",
        runs[0]
    );
    assert_eq!(
        runs[0]["writes"],
        serde_json::json!([]),
        "a failed attempt keeps nothing"
    );
    assert!(runs[0]["pause_ms"].as_u64() > Some(0) && runs[2]["pause_ms"].is_null());
    let text = site.text(&of);
    assert!(
        text.contains("kept:     nothing: the attempt failed") && text.contains("retry:    after a pause of"),
        "{text}"
    );
}

#[tokio::test]
async fn a_dead_letter_names_the_error_the_log_and_the_next_command() {
    let site = Site::start(&module("trap-after-writes", "trapping", &[]));
    // Odd blocks trap.
    let mut block = site.mine().await;
    if block % 2 == 0 {
        block = site.mine().await;
    }
    let of = format!("trapping@{block}");
    let answer = site.outcome(&of, "dead_letter").await;
    let one = newest(&answer);
    assert!(
        one["error"]
            .as_str()
            .is_some_and(|error| error.contains("is odd") || error.contains("unreachable")),
        "{one:#}"
    );
    let records = one["runs"][2]["records"].as_array().expect("records");
    assert!(
        records
            .iter()
            .any(|record| record.as_str().is_some_and(|record| record.contains("own="))),
        "{one:#}"
    );
    let event = format!("11155111:{block}:block");
    let summary = answer["summary"].as_str().expect("a summary");
    assert!(
        summary.contains("after 3 attempts") && summary.contains(&format!("nexum dead-letter show trapping {event}")),
        "{summary}"
    );
    assert_eq!(site.dir.nexum(&["explain", &of]).code, Some(1));

    let ran = site.dir.nexum(&["dead-letter", "skip", "trapping", &event]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let answer = site.outcome(&of, "dropped").await;
    assert!(
        answer["summary"]
            .as_str()
            .is_some_and(|summary| summary.ends_with("the operator dropped it"))
    );
}

#[tokio::test]
async fn an_exceeded_limit_is_named_with_its_bound_and_a_hint() {
    let limits = "[engine.limits]\nfuel_per_event = 1000000\n";
    let site = Site::start(&format!("{limits}{}", module("fuel-bomb", "bomb", &[])));
    let block = site.mine().await;
    let answer = site.outcome(&format!("bomb@{block}"), "dead_letter").await;
    let exceeded = newest(&answer)["runs"][0]["exceeded"]
        .as_str()
        .expect("a limit")
        .to_owned();
    assert!(
        exceeded.starts_with("fuel_per_event: ") && exceeded.ends_with(" of 1000000"),
        "{exceeded}"
    );
    let hints = answer["hints"].as_array().expect("hints");
    assert!(
        hints.iter().any(|hint| hint
            .as_str()
            .is_some_and(|hint| hint.contains("100 % of fuel_per_event"))),
        "{hints:?}"
    );
    let text = site.text(&format!("bomb@{block}"));
    assert!(
        text.contains("limit:    fuel_per_event") && text.contains("hint:"),
        "{text}"
    );
}

#[tokio::test]
async fn a_reverted_event_and_its_successor_are_two_handlings() {
    let site = Site::start(&module("counter", "counter", &[]));
    let block = site.mine().await;
    let of = format!("counter@{block}");
    let hash = newest(&site.outcome(&of, "handled").await)["hash"].clone();
    site.anvil.reorg(1).await;
    site.anvil.mine(1).await;
    let both = |answer: &Value| {
        let outcomes: Vec<_> = answer["handlings"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| one["outcome"].clone())
            .collect();
        outcomes == ["reverted", "handled"]
    };
    let answer = site.until(&of, both).await;
    let [old, new] = &**answer["handlings"].as_array().expect("handlings") else {
        panic!("{answer:#}");
    };
    assert_eq!(old["hash"], hash);
    assert_ne!(new["hash"], hash);
    assert!(old["reverted_ms"].as_u64() >= old["committed_ms"].as_u64(), "{old:#}");
    let text = site.text(&of);
    assert!(text.contains("later:    reverted by a reorganisation at"), "{text}");
}

#[tokio::test]
async fn a_wait_names_the_event_before_it() {
    let rate = "[engine.limits]\nevents_per_second = 1\n";
    let site = Site::start(&format!("{rate}{}", module("noop", "slow", &[])));
    let first = site.mine().await;
    site.anvil.mine(4).await;
    let last = site.head().await;
    let of = format!("slow@{last}");
    let answer = site.outcome(&of, "handled").await;
    let one = newest(&answer);
    let waits = one["waits"].as_array().expect("waits");
    let behind = format!("earlier events of the module, the last one 11155111:{}:block", last - 1);
    assert!(waits.iter().any(|wait| wait["for"] == behind), "{waits:?}");
    let rate = waits
        .iter()
        .find(|wait| wait["for"] == "`events_per_second`")
        .expect("a wait for the rate");
    assert!(rate["took_us"].as_u64() > Some(100_000), "{waits:?}");
    let text = site.text(&of);
    assert!(text.contains("<--") && text.contains(&behind), "{text}");
    assert!(first < last);
}

/// A part of a module's history, as the daemon answers on its socket.
fn history(dir: &Dir, query: &str) -> Vec<Value> {
    let mut stream = UnixStream::connect(dir.path().join("data/nexum.sock")).expect("a connection");
    let request =
        format!("GET /v1/modules/counter/history?{query} HTTP/1.1\r\nhost: nexum\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    let mut answer: Value = serde_json::from_str(body).expect("JSON");
    match answer["handlings"].take() {
        Value::Array(handlings) => handlings,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_history_goes_back_page_by_page() {
    let site = Site::start(&module("counter", "counter", &[]));
    for _ in 0..5 {
        let block = site.mine().await;
        site.outcome(&format!("counter@{block}"), "handled").await;
    }
    let last = site.head().await;
    let all = history(&site.dir, "limit=50");
    let blocks: Vec<_> = all.iter().map(|one| one["block"].as_u64().expect("a block")).collect();
    assert!(
        blocks.iter().copied().eq((1..=last).rev()) || blocks.iter().copied().eq((0..=last).rev()),
        "{blocks:?}"
    );
    let mut pages = history(&site.dir, "limit=2");
    while let Some(number) = pages.last().map(|one| one["number"].clone()) {
        let page = history(&site.dir, &format!("limit=2&before={number}"));
        if page.is_empty() {
            break;
        }
        pages.extend(page);
    }
    assert_eq!(pages, all);
    let hash = all[0]["hash"].as_str().expect("a hash");
    let block = site
        .anvil
        .request("eth_getBlockByNumber", json!(["latest", false]))
        .await;
    assert_eq!(block["hash"], hash);
}

#[tokio::test]
async fn an_event_is_explained_without_a_daemon() {
    let site = Site::start(&module("counter", "counter", &[]));
    site.anvil.mine(5).await;
    let last = site.head().await;
    site.outcome(&format!("counter@{last}"), "handled").await;
    // The offline answer is of the same folder.
    let Site { dir, mut child, .. } = site;
    crate::running::terminate(&child);
    child.wait().expect("an end");
    let answer = until(
        &dir,
        &["explain", &format!("counter@{last}"), "--format", "json"],
        |_| true,
    )
    .await;
    assert_eq!(newest(&answer)["outcome"], "handled");
    let absent = until(&dir, &["explain", "counter@999999", "--format", "json"], |_| true).await;
    assert_eq!(absent["answer"], "not_in_ledger");
    assert!(
        absent["summary"]
            .as_str()
            .is_some_and(|summary| summary.contains("start it with `nexum run`"))
    );
}
