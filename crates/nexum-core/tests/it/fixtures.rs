//! Each fixture guest, and its effect on the host.

mod limits;

use std::time::Duration;

use nexum_core::Stage;
use nexum_core::source::Log;
use nexum_host_store::LocalStore;
use nexum_testing::{TEST_CHAIN_ID, journal, kept};
use tracing::Level;

use self::limits::{
    fuel_bomb_trips_the_fuel_limit, log_bomb_trips_its_budget, memory_bomb_many_trips_the_limit_of_the_sum,
    memory_bomb_trips_the_memory_limit, slow_host_is_ended_by_the_deadline, table_bomb_trips_the_table_limit,
};
use crate::files::files_reader_reads_its_files_and_nothing_else;
use crate::functions::{
    bad_functions_is_refused_before_it_starts, functions_are_listed_and_called_by_name,
    tally_changes_its_total_between_events,
};
use crate::queries::both::both_handles_events_and_answers_queries;
use crate::queries::query_echo_answers_what_it_is_asked;
use crate::state::keeper_sees_what_it_wrote;
use crate::support::{Setup, SilentChain, reasons, with_the_contract};
use crate::triggers::triggers_come_one_by_one;

/// Runs a test for each fixture, and lists the fixtures with a test.
macro_rules! fixtures {
    ($($fixture:literal => $test:ident),* $(,)?) => {
        const COVERED: &[&str] = &[$($fixture),*];

        mod each {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test().await;
                }
            )*
        }
    };
}

fixtures! {
    "all-imports" => all_imports_answer_or_say_unsupported,
    "all-wasi" => all_wasi_finds_every_interface_closed,
    "bad-functions" => bad_functions_is_refused_before_it_starts,
    "bad-init" => bad_init_is_tried_again_and_dead_before_its_first_event,
    "both" => both_handles_events_and_answers_queries,
    "calls" => calls_reach_the_host_each_time,
    "chain-caller" => chain_caller_is_refused_without_a_chain,
    "counter" => counter_counts_blocks,
    "cow-submitter" => cow_submitter_is_refused_without_an_order_book,
    "effects" => effects_is_refused_without_http,
    "fetcher" => fetcher_is_refused_without_http,
    "files-reader" => files_reader_reads_its_files_and_nothing_else,
    "fuel-bomb" => fuel_bomb_trips_the_fuel_limit,
    "functions" => functions_are_listed_and_called_by_name,
    "glutton" => glutton_is_refused_what_is_not_there,
    "journal" => journal_keeps_what_it_was_told,
    "keeper" => keeper_sees_what_it_wrote,
    "log-bomb" => log_bomb_trips_its_budget,
    "log-sum" => log_sum_adds_up_logs,
    "memory-bomb" => memory_bomb_trips_the_memory_limit,
    "memory-bomb-many" => memory_bomb_many_trips_the_limit_of_the_sum,
    "noop" => noop_handles_every_block,
    "panic" => panic_loses_only_its_own_event,
    "payer" => payer_asks_for_a_transaction_for_each_block,
    "query-echo" => query_echo_answers_what_it_is_asked,
    "recorder" => recorder_gets_what_happened,
    "requests" => requests_asks_for_each_balance,
    "rpc" => rpc_sends_what_it_is_told,
    "sdk-alloy" => sdk_alloy_reads_ten_balances_in_one_batch,
    "signer" => signer_is_refused_without_accounts,
    "slow-host" => slow_host_is_ended_by_the_deadline,
    "spin" => spin_lets_others_run,
    "table-bomb" => table_bomb_trips_the_table_limit,
    "tally" => tally_changes_its_total_between_events,
    "trap-after-writes" => trap_after_writes_leaves_nothing,
    "triggers" => triggers_come_one_by_one,
    "wasi-effects" => wasi_effects_is_refused_without_http,
    "wasi-fetcher" => wasi_fetcher_is_refused_without_http,
    "wasi-functions" => wasi_functions_is_refused_without_http,
    "wasi-importer" => wasi_importer_finds_everything_closed,
    "workload" => workload_does_what_it_is_told,
}

#[test]
fn every_fixture_has_a_test() {
    assert_eq!(nexum_testing::guests::names(), COVERED);
}

async fn noop_handles_every_block() {
    let run = Setup::new().module("noop").start().await;
    run.chain.mine(100);
    run.handled("noop", 100).await;
    assert!(!run.stop().await.failed());
}

async fn journal_keeps_what_it_was_told() {
    let mut setup = Setup::new().module("journal");
    setup.capabilities = setup.capabilities.with(LocalStore);
    let store = setup.store.clone();
    let run = setup.start().await;
    run.chain.mine(2);
    run.handled("journal", 2).await;
    insta::assert_snapshot!(journal(&*store, "journal").join("\n"), @r"
    block 0 0000000000000000000000000000000000000000000000000000000000000000
    block 1 0000000000000001000000000000000000000000000000000000000000000000
    ");
}

async fn counter_counts_blocks() {
    let mut setup = Setup::new().module("counter");
    setup.capabilities = setup.capabilities.with(LocalStore);
    let store = setup.store.clone();
    let run = setup.start().await;
    run.chain.mine(3);
    run.handled("counter", 3).await;
    let value = |key: &str| kept(&*store, "counter", key);
    assert_eq!(value("count"), Some(3_u64.to_le_bytes().to_vec()));
    assert_eq!(value("block-3"), Some(b"2".to_vec()));
}

async fn log_sum_adds_up_logs() {
    let mut setup = Setup::new().module("log-sum");
    setup.capabilities = setup.capabilities.with(LocalStore);
    let store = setup.store.clone();
    let run = setup.start().await;
    run.chain.mine_with(vec![log(1, 5), log(2, 7)]);
    run.chain.mine_with(vec![log(3, 30)]);
    run.handled("log-sum", 2).await;
    let value = |key: &str| kept(&*store, "log-sum", key);
    assert_eq!(
        (value("count"), value("sum")),
        (Some(3_u64.to_le_bytes().to_vec()), Some(42_u64.to_le_bytes().to_vec()))
    );
}

/// A log of the contract that `log-sum` follows, with a number as its data.
fn log(index: u32, number: u64) -> Log {
    Log {
        chain_id: TEST_CHAIN_ID,
        address: vec![0xaa; 20],
        topics: Vec::new(),
        data: [[0; 24].as_slice(), &number.to_be_bytes()].concat(),
        block_number: 0,
        transaction_hash: vec![0; 32],
        log_index: index,
    }
}

async fn recorder_gets_what_happened() {
    let run = Setup::new()
        .module_with(
            "recorder",
            "name = \"recorder\"\nconfig = { greeting = \"hello\", n = 3 }",
        )
        .start()
        .await;
    run.chain.mine(2);
    run.handled("recorder", 2).await;
    insta::assert_snapshot!(run.records.of_module("recorder").join("\n"), @r"
    init greeting=hello n=3
    block chain=11155111 number=0 hash=0x0000000000000000000000000000000000000000000000000000000000000000 timestamp=1700000000000
    block chain=11155111 number=1 hash=0x0000000000000001000000000000000000000000000000000000000000000000 timestamp=1700000012000
    ");
    let record = run.records.find("number=1").expect("the second block's record");
    let field = |name: &str| record.fields.get(name).map(String::as_str);
    assert_eq!(
        (field("module"), field("event")),
        (Some("recorder"), Some("11155111:1:block"))
    );
    assert_eq!((field("chain"), field("block")), (Some("11155111"), Some("1")));
}

async fn calls_reach_the_host_each_time() {
    let run = Setup::new()
        .module_with("calls", "name = \"calls\"\nconfig = { call = \"log\" }")
        .start()
        .await;
    run.chain.mine(4);
    run.handled("calls", 4).await;
    assert_eq!(run.records.of_module("calls").len(), 1 + 2 + 3);

    let run = Setup::new()
        .module_with("calls", "name = \"calls\"\nconfig = { call = \"log\", count = 1 }")
        .start()
        .await;
    run.chain.mine(4);
    run.handled("calls", 4).await;
    assert_eq!(run.records.of_module("calls").len(), 4);
}

async fn requests_asks_for_each_balance() {
    let chain = SilentChain::default();
    chain.open();
    let mut setup = Setup::new().module("requests");
    setup.capabilities = setup.capabilities.with(chain.clone());
    let run = setup.start().await;
    run.chain.mine(4);
    run.handled("requests", 4).await;
    assert_eq!(chain.asked(), 1 + 2 + 3);
}

async fn rpc_sends_what_it_is_told() {
    for (batch, asked) in [("", 2), (", batch = \"yes\"", 1)] {
        let chain = SilentChain::default();
        chain.open();
        let config = format!("name = \"rpc\"\nconfig = {{ requests = \"eth_chainId\\neth_call [{{n}}]\"{batch} }}");
        let mut setup = Setup::new().module_with("rpc", &config);
        setup.capabilities = setup.capabilities.with(chain.clone());
        let run = setup.start().await;
        run.chain.mine(1);
        run.handled("rpc", 1).await;
        assert_eq!(chain.asked(), asked);
        assert_eq!(run.records.of_module("rpc").len(), 2);
    }
}

async fn sdk_alloy_reads_ten_balances_in_one_batch() {
    let chain = SilentChain::default();
    chain.open();
    let mut setup = Setup::new().module("sdk-alloy");
    setup.capabilities = setup.capabilities.with(chain.clone());
    let run = setup.start().await;
    run.chain.mine(2);
    run.handled("sdk-alloy", 2).await;
    assert_eq!(run.records.of_module("sdk-alloy"), ["total 10", "total 10"]);
    assert_eq!(chain.asked(), 2);
}

async fn workload_does_what_it_is_told() {
    let chain = SilentChain::default();
    chain.open();
    let config = "config = { requests = 2, reads = 1, writes = 3, bytes = 9 }";
    let mut setup = Setup::new().module_with("workload", &format!("name = \"workload\"\n{config}"));
    setup.capabilities = setup.capabilities.with(chain.clone()).with(LocalStore);
    let store = setup.store.clone();
    let run = setup.start().await;
    run.chain.mine(2);
    run.handled("workload", 2).await;
    assert_eq!(chain.asked(), 2 + 2);
    for key in ["0", "1", "2"] {
        assert_eq!(kept(&*store, "workload", key), Some(vec![1, 0, 0, 0, 0, 0, 0, 0, 0]));
    }
    assert_eq!(kept(&*store, "workload", "3"), None);
}

async fn glutton_is_refused_what_is_not_there() {
    // The tests of the binary cover its behaviour with all capabilities.
    let refused = Setup::new().module("glutton").load().await.expect_err("a refusal");
    let missing = [
        "nexum:host/chain",
        "nexum:host/http",
        "nexum:host/local-store",
        "shepherd:cow/cow-api",
    ];
    for interface in missing {
        assert!(refused.to_string().contains(interface), "{interface}: {refused:?}");
    }
}

async fn spin_lets_others_run() {
    let limits = "[engine.limits]\nfuel_per_event = 100000000000000\nevent_deadline_ms = 1500\n";
    let run = Setup::new().config(limits).module("spin").module("noop").start().await;
    run.chain.mine(2);
    run.handled("spin", 1).await;
    // Both share one thread: while `spin` computes, `noop` handles a hundred more blocks.
    run.chain.mine(100);
    run.handled("noop", 102).await;
    assert_eq!(run.status("spin").failed(), 0, "still spinning");
    run.failed("spin", 1).await;
    let trip = run
        .records
        .find("a limit was exceeded")
        .expect("the record of the limit");
    assert_eq!(trip.fields["limit"], "event_deadline_ms");
}

async fn panic_loses_only_its_own_event() {
    let run = Setup::new().module("panic").start().await;
    run.chain.mine(6);
    run.handled("panic", 3).await;
    run.failed("panic", 3).await;
    assert!(run.records.find("the guest trapped").is_some());
    assert_eq!(run.status("panic").stage(), Stage::Running);
}

async fn bad_init_is_tried_again_and_dead_before_its_first_event() {
    let mut setup = Setup::new().module("bad-init").module("noop");
    setup.restart.push_str("max_consecutive_failures = 3\n");
    let run = setup.start().await;
    run.stage("bad-init", Stage::Dead).await;
    run.chain.mine(1);
    run.handled("noop", 1).await;
    let death = run.records.find("the module is dead").expect("the reason");
    assert!(
        death.fields["error"].contains("3 failures in a row"),
        "{}",
        death.fields["error"]
    );
}

async fn trap_after_writes_leaves_nothing() {
    let mut setup = Setup::new().module("trap-after-writes");
    setup.capabilities = setup.capabilities.with(LocalStore);
    let run = setup.start().await;
    run.chain.mine(9);
    // 0, 4 and 8 succeed; 2 and 6 return an error; the odd ones trap.
    run.handled("trap-after-writes", 3).await;
    let expected = "before=0 own=0 before=0 own=1 before=0 own=2 before=0 own=3 before=0 own=4 \
                    before=4 own=5 before=4 own=6 before=4 own=7 before=4 own=8";
    assert_eq!(run.records.of_module("trap-after-writes").join(" "), expected);
    assert_eq!(run.status("trap-after-writes").failed(), 6);
}

async fn all_imports_answer_or_say_unsupported() {
    let mut setup = Setup::new();
    // The manifest requires `chain`. Its other capabilities are optional, and not in this build.
    setup.capabilities = with_the_contract(setup.capabilities.with(SilentChain::default()));
    let run = setup
        .config("[engine.limits]\nevent_deadline_ms = 50\n")
        .module("all-imports")
        .start()
        .await;
    run.chain.mine(1);
    run.failed("all-imports", 1).await;
    let before_chain = run.records.of_module("all-imports").join(", ");
    assert_eq!(
        before_chain,
        "logging.log: ok, clock.now-ms: ok, clock.monotonic-ns: ok, random.fill: ok"
    );

    // Every capability is optional.
    let optional = "[capabilities]\noptional = [\"chain\", \"cow\", \"http\", \"identity\", \"messaging\", \"remote-store\", \"store\"]\n";
    let mut setup = Setup::new();
    setup.capabilities = with_the_contract(setup.capabilities);
    insta::assert_snapshot!(answers_of_all_imports(setup, "all-optional", optional).await, @r"
    logging.log: ok
    clock.now-ms: ok
    clock.monotonic-ns: ok
    random.fill: ok
    chain.request: unsupported
    chain.request-batch: unsupported
    local-store.set: unsupported
    local-store.get: unsupported
    local-store.list-keys: unsupported
    local-store.delete: unsupported
    remote-store.upload: unsupported
    remote-store.download: unsupported
    remote-store.read-feed: unsupported
    remote-store.write-feed: unsupported
    messaging.publish: unsupported
    messaging.query: unsupported
    http.fetch: unsupported
    identity.accounts: unsupported
    identity.sign: unsupported
    identity.sign-typed-data: unsupported
    cow-api.request: unsupported
    cow-api.submit-order: unsupported
    ");

    // A manifest without [capabilities]: every import is required.
    let chain = SilentChain::default();
    chain.open();
    let mut setup = Setup::new();
    let capabilities = setup.capabilities.with(chain).with(LocalStore);
    let capabilities = capabilities.unserved("http", &["nexum:host/http@0.2.0"], &[]);
    let capabilities = capabilities.unserved("identity", &["nexum:host/identity@0.2.0"], &["accounts"]);
    setup.capabilities = with_the_contract(capabilities.unserved("cow", &["shepherd:cow/cow-api@0.2.0"], &[]));
    insta::assert_snapshot!(answers_of_all_imports(setup, "no-table", "").await, @r"
    logging.log: ok
    clock.now-ms: ok
    clock.monotonic-ns: ok
    random.fill: ok
    chain.request: ok
    chain.request-batch: ok
    local-store.set: ok
    local-store.get: ok
    local-store.list-keys: ok
    local-store.delete: ok
    remote-store.upload: unsupported
    remote-store.download: unsupported
    remote-store.read-feed: unsupported
    remote-store.write-feed: unsupported
    messaging.publish: unsupported
    messaging.query: unsupported
    http.fetch: unsupported
    identity.accounts: ok
    identity.sign: unsupported
    identity.sign-typed-data: unsupported
    cow-api.request: unsupported
    cow-api.submit-order: unsupported
    ");
}

/// The records of `all-imports` for one block, with this part of a manifest.
async fn answers_of_all_imports(setup: Setup, name: &str, capabilities: &str) -> String {
    let manifest = format!("{capabilities}[[subscription]]\nkind = \"block\"\nchain_id = 11155111\n");
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.toml"));
    std::fs::write(&path, manifest).expect("a manifest");
    let keys = format!("name = \"all-imports\"\nmanifest = {:?}", path.display().to_string());
    let run = setup.module_with("all-imports", &keys).start().await;
    run.chain.mine(1);
    run.handled("all-imports", 1).await;
    run.records.of_module("all-imports").join("\n")
}

async fn cow_submitter_is_refused_without_an_order_book() {
    let mut setup = Setup::new().module("cow-submitter");
    setup.capabilities = with_the_contract(setup.capabilities);
    let refused = setup.load().await.expect_err("a refusal");
    let said: Vec<_> = reasons(&refused).iter().map(ToString::to_string).collect();
    assert!(said.iter().any(|error| error.contains("`cow`")), "{said:?}");
}

async fn chain_caller_is_refused_without_a_chain() {
    let mut setup = Setup::new().module("chain-caller");
    setup.capabilities = with_the_contract(setup.capabilities);
    let refused = setup.load().await.expect_err("a refusal");
    let said: Vec<_> = reasons(&refused).iter().map(ToString::to_string).collect();
    assert!(said.iter().any(|error| error.contains("`chain`")), "{said:?}");
}

async fn effects_is_refused_without_http() {
    is_refused_without_http("effects").await;
}

async fn payer_asks_for_a_transaction_for_each_block() {
    let chain = SilentChain::default();
    chain.open();
    let mut setup = Setup::new().module("payer");
    setup.capabilities = setup.capabilities.with(chain.clone());
    let run = setup.start().await;
    // The module leaves block 0 out.
    run.chain.mine(3);
    run.handled("payer", 3).await;
    assert_eq!(chain.asked(), 2);
}

async fn wasi_effects_is_refused_without_http() {
    is_refused_without_http("wasi-effects").await;
}

async fn signer_is_refused_without_accounts() {
    let mut setup = Setup::new().module("signer");
    setup.capabilities = with_the_contract(setup.capabilities);
    let refused = setup.load().await.expect_err("a refusal");
    let said: Vec<_> = reasons(&refused).iter().map(ToString::to_string).collect();
    assert!(said.iter().any(|error| error.contains("`identity`")), "{said:?}");
}

async fn fetcher_is_refused_without_http() {
    is_refused_without_http("fetcher").await;
}

async fn wasi_fetcher_is_refused_without_http() {
    is_refused_without_http("wasi-fetcher").await;
}

async fn wasi_functions_is_refused_without_http() {
    is_refused_without_http("wasi-functions").await;
}

#[tokio::test]
async fn a_module_runs_without_an_optional_interface_that_has_resources() {
    let manifest = "[capabilities]\noptional = [\"http\", \"store\"]\n\
                    [[subscription]]\nkind = \"block\"\nchain_id = 11155111\n";
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("optional-wasi-http.toml");
    std::fs::write(&path, manifest).expect("a manifest");
    let keys = |config: &str| format!("manifest = {:?}\nconfig = {{ {config} }}", path.display().to_string());
    let mut setup = Setup::new();
    setup.capabilities = with_the_contract(setup.capabilities);
    // The first module calls nothing of the interface.
    let run = setup
        .module_with("wasi-fetcher", &format!("name = \"quiet\"\n{}", keys("count = 0")))
        .module_with("wasi-fetcher", &format!("name = \"calling\"\n{}", keys("count = 1")))
        .start()
        .await;
    run.chain.mine(1);
    run.handled("quiet", 1).await;
    run.failed("calling", 1).await;
    let trap = run.records.find("the guest trapped").expect("the record of the trap");
    assert!(trap.message.contains("is not in this build"), "{trap:?}");
}

/// The manifest requires `http`, and the build does not have it.
async fn is_refused_without_http(module: &str) {
    let mut setup = Setup::new().module(module);
    setup.capabilities = with_the_contract(setup.capabilities);
    let refused = setup.load().await.expect_err("a refusal");
    let said = refused.to_string();
    assert!(said.contains("the capability `http` is not in this build"), "{said}");
    assert!(said.contains("build nexum with `--features http`"), "{said}");
}

async fn all_wasi_finds_every_interface_closed() {
    let run = Setup::new().module("all-wasi").start().await;
    run.chain.mine(1);
    run.handled("all-wasi", 1).await;
    insta::assert_snapshot!(run.records.of_module("all-wasi").join("\n"), @r"
    variables: 0, directories: 0
    through 0.2.10
    ");
}

async fn wasi_importer_finds_everything_closed() {
    let run = Setup::new().module("wasi-importer").start().await;
    run.chain.mine(1);
    run.handled("wasi-importer", 1).await;
    run.clock.advance(Duration::from_secs(1));
    insta::assert_snapshot!(run.records.of_module("wasi-importer").join("\n"), @r"
    arguments: 0
    variables: 0
    wall clock after 1970: true
    monotonic clock steps back: false
    hash map: 1
    file: refused
    socket: refused
    a line on stderr
    ");
    assert_eq!(
        run.records.find("a line on stderr").map(|record| record.level),
        Some(Level::WARN)
    );
}
