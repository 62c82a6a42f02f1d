//! Trigger modules of `nexum:host@0.1.0`: each event becomes triggers in one transaction.

mod store;

use std::sync::Arc;
use std::time::Duration;

use nexum_core::Stage;
use nexum_core::bindings::trigger::nexum::host::types::Fault;
use nexum_core::source::Log;
use nexum_core::store::StateStore;
use nexum_host_store::LocalStore;
use nexum_testing::{GENESIS_MS, TEST_CHAIN_ID, guests, journal};
use tracing::Level;

use crate::loading::module_dir;
use crate::support::trigger_chain::{ChainError, RpcError};
use crate::support::{Run, Setup, TriggerChain, dead_letters, module_at, with_the_contract};

const NAME: &str = "triggers";

/// The fixture with the capabilities of its `component.toml`, and these keys of its `[[modules]]`
/// table.
fn triggers(keys: &str) -> (Setup, TriggerChain, Arc<dyn StateStore>) {
    let mut setup = Setup::new().module_with(NAME, &format!("name = {NAME:?}\n{keys}"));
    let chain = TriggerChain::default();
    let http = &["wasi:http/outgoing-handler@0.2.0", "wasi:http/types@0.2.0"];
    let capabilities = setup.capabilities.with(LocalStore).with(chain.clone());
    setup.capabilities = capabilities.unserved("http", http, &[]);
    let store = setup.store.clone();
    (setup, chain, store)
}

/// Logs of the contract that the fixture follows, with these commands.
fn logs(commands: &[&str]) -> Vec<Log> {
    let log = |(index, command): (u32, &&str)| Log {
        chain_id: TEST_CHAIN_ID,
        address: vec![0xaa; 20],
        topics: Vec::new(),
        data: command.as_bytes().to_vec(),
        block_number: 9,
        transaction_hash: vec![index as u8; 32],
        log_index: index,
    };
    (0..).zip(commands).map(log).collect()
}

/// The entries of the module's journal, without hashes.
fn entries(store: &dyn StateStore) -> Vec<String> {
    let brief = |entry: String| {
        let words: Vec<_> = entry.split(' ').take(2).collect();
        words.join(" ")
    };
    journal(store, NAME).into_iter().map(brief).collect()
}

/// The results of the commands in these logs of one block.
async fn results(run: &Run, commands: &[&str]) -> Vec<String> {
    let (said, handled) = (run.records.of_module(NAME).len(), run.status(NAME).handled());
    run.chain.mine_with(logs(commands));
    run.handled(NAME, handled + 2).await;
    run.records.of_module(NAME).split_off(said)
}

#[test]
fn the_form_of_the_manifest_names_the_missing_table() {
    let bytes = std::fs::read(guests::component(NAME)).expect("a fixture");
    let dependencies =
        "[dependencies]\nchain = {}\nlocal-store = {}\nlogging = {}\nhttp = { hosts = [\"a.example\"] }\n";
    for (name, manifest, table) in [
        ("module", "[module]\nname = \"a\"\n", "[[subscription]]"),
        (
            "component",
            &format!("[component]\nname = \"a\"\n{dependencies}"),
            "[[trigger]]",
        ),
    ] {
        let path = module_dir(&format!("triggers-{name}"), &bytes, Some(manifest));
        let (setup, ..) = triggers("");
        let config = setup.parse_config();
        let candidate = setup
            .loader(&config)
            .inspect(&module_at(&path, ""))
            .expect("a candidate");
        let expected = format!("the manifest has no {table}, so the module gets no events");
        assert!(candidate.warnings.contains(&expected), "{:?}", candidate.warnings);
    }
}

pub(crate) async fn triggers_come_one_by_one() {
    let (setup, _, store) = triggers("");
    let run = setup.start().await;
    run.stage(NAME, Stage::Running).await;
    run.chain.mine(1);
    run.handled(NAME, 1).await;
    run.chain.mine_with(logs(&["", "set a 1"]));
    run.handled(NAME, 3).await;
    run.clock.advance(Duration::from_secs(300));
    run.handled(NAME, 4).await;
    let hash = |byte: &str| byte.repeat(32);
    let block = |number: u64| format!("{number:016x}{}", "0".repeat(48));
    let expected = [
        format!("block 0 {}", block(0)),
        format!("log 9/0 of {} in {}, at - in -, removed false", hash("00"), block(1)),
        format!("log 9/1 of {} in {}, at - in -, removed false", hash("01"), block(1)),
        format!("block 1 {}", block(1)),
        format!("schedule {}", (GENESIS_MS / 300_000 + 1) * 300_000),
    ];
    assert_eq!(journal(&*store, NAME), expected);
    assert_eq!(run.value(NAME, "a"), Some(b"1".to_vec()));
    assert!(!run.stop().await.failed());
}

#[tokio::test]
async fn the_logs_of_a_block_are_one_transaction() {
    let (setup, chain, store) = triggers("");
    let run = setup.start().await;
    run.stage(NAME, Stage::Running).await;
    chain.answer(Ok("\"trap\""));
    run.chain
        .mine_with(logs(&["set a 1", "set b 1", "trap-if trap", "set c 1"]));
    // The logs are a dead letter, and the block follows.
    run.handled(NAME, 1).await;
    assert_eq!(entries(&*store), ["block 0"]);
    for key in ["a", "b", "c"] {
        assert_eq!(run.value(NAME, key), None, "{key}");
    }
    let letters = dead_letters(&*store, NAME);
    assert_eq!(letters.len(), 1);
    assert!(letters[0].attempts[0].reason.contains("trap"), "{letters:?}");

    // The retry delivers all of them, from the first one on.
    run.status(NAME).retry(letters[0].id).await.expect("a success");
    assert_eq!(
        entries(&*store),
        ["block 0", "log 9/0", "log 9/1", "log 9/2", "log 9/3"]
    );
    assert_eq!(run.value(NAME, "c"), Some(b"1".to_vec()));
    assert_eq!(dead_letters(&*store, NAME), []);
}

#[tokio::test]
async fn a_failed_event_is_delivered_whole_until_it_succeeds() {
    let (mut setup, chain, store) = triggers("");
    setup.restart = "[engine.restart]\nattempts_max = 4\nbackoff_ms = 1\n".to_owned();
    for _ in 0..3 {
        chain.answer(Ok("\"trap\""));
    }
    let run = setup.start().await;
    run.stage(NAME, Stage::Running).await;
    run.chain.mine_with(logs(&["set a 1", "", "trap-if trap"]));
    run.handled(NAME, 2).await;
    assert_eq!(run.status(NAME).failed(), 3);
    assert_eq!(entries(&*store), ["log 9/0", "log 9/1", "log 9/2", "block 0"]);
}

#[tokio::test]
async fn a_fault_fails_the_event_with_its_kind_and_text() {
    let kinds = [
        ("unsupported", "as it was told"),
        ("unavailable", "as it was told"),
        ("denied", "as it was told"),
        ("rate-limited", "the fault has no text"),
        ("timeout", "the fault has no text"),
        ("invalid-input", "as it was told"),
        ("internal", "as it was told"),
    ];
    let (setup, _, store) = triggers("");
    let run = setup.start().await;
    run.stage(NAME, Stage::Running).await;
    for (kind, _) in kinds {
        run.chain
            .mine_with(logs(&["set a 1", &format!("fault {kind}"), "set b 1"]));
    }
    run.handled(NAME, kinds.len() as u64).await;
    let letters = dead_letters(&*store, NAME);
    let reasons: Vec<_> = letters.iter().map(|letter| letter.attempts[0].reason.clone()).collect();
    let expected = kinds.map(|(kind, text)| format!("the handler returned an error: on-trigger {kind}: {text}"));
    assert_eq!(reasons, expected);
    assert_eq!((run.value(NAME, "a"), run.value(NAME, "b")), (None, None));
}

#[tokio::test]
async fn init_gets_the_configuration_and_may_fail() {
    let config = "config = { url = \"http://a\", tries = 3, init = \"set from-init 1\" }";
    let (setup, ..) = triggers(config);
    let run = setup.start().await;
    run.stage(NAME, Stage::Running).await;
    assert_eq!(
        run.records.of_module(NAME),
        ["url = http://a", "tries = 3", "set from-init 1: done"]
    );
    run.chain.mine(1);
    run.handled(NAME, 1).await;
    assert_eq!(run.value(NAME, "from-init"), Some(b"1".to_vec()));

    let (mut setup, ..) = triggers("config = { fail = \"denied\" }");
    setup.restart.push_str("max_consecutive_failures = 2\n");
    let run = setup.start().await;
    run.stage(NAME, Stage::Dead).await;
    let death = run.records.find("the module is dead").expect("the reason");
    let error = "the handler returned an error: init denied: as it was told";
    assert!(death.fields["error"].contains(error), "{}", death.fields["error"]);
}

#[tokio::test]
async fn a_reorganisation_reverts_the_triggers_of_its_blocks() {
    let (setup, _, store) = triggers("");
    let run = setup.start().await;
    run.stage(NAME, Stage::Running).await;
    run.chain.mine(1);
    run.chain.mine_with(logs(&["set a old", "set b old"]));
    run.handled(NAME, 3).await;
    run.chain.reorg(1);
    run.chain.mine_with(logs(&["set a new"]));
    run.handled(NAME, 5).await;
    assert_eq!(entries(&*store), ["block 0", "log 9/0", "block 1"]);
    assert_eq!(
        (run.value(NAME, "a"), run.value(NAME, "b")),
        (Some(b"new".to_vec()), None)
    );
    // The module sees the hash of the new block.
    assert!(
        journal(&*store, NAME)[1].contains("in 00000000000000010101"),
        "{:?}",
        journal(&*store, NAME)
    );
}

#[tokio::test]
async fn the_budgets_of_an_event_count_for_all_of_its_triggers() {
    // Each log needs three operations for its entry, and one for its command.
    let (setup, _, store) = triggers("");
    let run = setup
        .config("[engine.limits]\nstore_operations_per_event = 11\n")
        .start()
        .await;
    run.stage(NAME, Stage::Running).await;
    assert_eq!(results(&run, &["set a 1", "set b 1"]).await.len(), 2);
    run.chain.mine_with(logs(&["set c 1", "set d 1", "set e 1"]));
    run.handled(NAME, 3).await;
    let limit = run
        .records
        .find("a limit was exceeded")
        .expect("the record of the limit");
    assert_eq!(limit.fields["limit"], "store_operations_per_event");
    assert_eq!(dead_letters(&*store, NAME).len(), 1);
    assert_eq!(
        (run.value(NAME, "b"), run.value(NAME, "c")),
        (Some(b"1".to_vec()), None)
    );
}

#[tokio::test]
async fn the_fuel_and_the_deadline_of_an_event_end_a_trigger() {
    for (limit, name) in [
        ("fuel_per_event = 1000000", "fuel_per_event"),
        ("event_deadline_ms = 50", "event_deadline_ms"),
    ] {
        let (setup, _, store) = triggers("");
        let run = setup.config(&format!("[engine.limits]\n{limit}\n")).start().await;
        run.stage(NAME, Stage::Running).await;
        run.chain.mine_with(logs(&["set a 1", "spin"]));
        run.handled(NAME, 1).await;
        let exceeded = run
            .records
            .find("a limit was exceeded")
            .expect("the record of the limit");
        assert_eq!(exceeded.fields["limit"], name);
        assert_eq!(entries(&*store), ["block 0"]);
    }
}

#[tokio::test]
async fn a_record_has_its_fields_and_is_harmless() {
    let (setup, ..) = triggers("");
    let run = setup.start().await;
    run.stage(NAME, Stage::Running).await;
    results(&run, &["event"]).await;
    let record = run.records.find("an event").expect("a record");
    let expected = r#"an event text="a \u{1b}[2J\nb" unsigned=18446744073709551615 signed=-1 float=0.5 boolean=true (triggers src/lib.rs:7)"#;
    assert_eq!((record.level, record.message.as_str()), (Level::WARN, expected));
}

#[tokio::test]
async fn wasi_gives_the_time_and_entropy_of_the_host() {
    let (setup, ..) = triggers("");
    let run = setup.start().await;
    run.stage(NAME, Stage::Running).await;
    run.clock.advance(Duration::from_millis(1_234));
    assert_eq!(
        results(&run, &["clock; random"]).await,
        [
            format!("clock: {} ms, steps back false", GENESIS_MS + 1_234),
            "random: 16 bytes, other ones true".to_owned()
        ]
    );
}

#[tokio::test]
async fn a_chain_answers_with_a_result_a_fault_or_an_error_of_the_endpoint() {
    let (setup, chain, _) = triggers("");
    let run = setup.start().await;
    run.stage(NAME, Stage::Running).await;
    chain.answer(Ok("\"0x5\""));
    chain.answer(Err(ChainError::Fault(Fault::RateLimited)));
    chain.answer(Err(ChainError::Fault(Fault::Unavailable("down".to_owned()))));
    chain.answer(Err(ChainError::Rpc(RpcError {
        code: 3,
        message: "execution reverted".to_owned(),
        data: Some(vec![8, 0xc3]),
    })));
    let commands = ["chain a []; chain b []; chain c []; chain d []"];
    insta::assert_snapshot!(results(&run, &commands).await.join("\n"), @r#"
    chain a []: "0x5"
    chain b []: Fault::RateLimited
    chain c []: Fault::Unavailable("down")
    chain d []: rpc 3 08c3 execution reverted
    "#);
}

#[tokio::test]
async fn an_optional_capability_that_is_not_in_the_build_is_a_fault() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("nexum.toml");
    let manifest = "[capabilities]\noptional = [\"chain\", \"store\", \"http\"]\n\
                    [[subscription]]\nkind = \"cron\"\nschedule = \"* * * * *\"\n";
    std::fs::write(&path, manifest).expect("a manifest");
    let commands = "get a; count -; page - - 0 0 -; apply a=1; chain eth_chainId []";
    let keys = format!("name = {NAME:?}\nmanifest = {path:?}\nconfig = {{ init = {commands:?} }}");
    let mut setup = Setup::new().module_with(NAME, &keys);
    setup.capabilities = with_the_contract(setup.capabilities);
    let run = setup.start().await;
    run.stage(NAME, Stage::Running).await;
    insta::assert_snapshot!(run.records.of_module(NAME).join("\n"), @r#"
    get a: Fault::Unsupported("local-store is not in this build of the host")
    count -: Fault::Unsupported("local-store is not in this build of the host")
    page - - 0 0 -: Fault::Unsupported("local-store is not in this build of the host")
    apply a=1: Fault::Unsupported("local-store is not in this build of the host")
    chain eth_chainId []: Fault::Unsupported("chain is not in this build of the host")
    "#);
}
