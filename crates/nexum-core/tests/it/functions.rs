//! Functions of modules: their lists, their arguments and results, and their place among the events.

use std::sync::Arc;
use std::time::Duration;

use nexum_config::causes::Causes;
use nexum_core::bindings::nexum::host::types::HostErrorKind;
use nexum_core::store::{MemoryStore, StateStore};
use nexum_core::{Caller, CommandError, Host, Invocation, ModuleConfig, QueryError, QueryPool, Stage};
use nexum_host_store::LocalStore;
use nexum_testing::{FaultyStore, ScriptedSource, TEST_CHAIN_ID, guests};
use tokio::task::JoinSet;

use crate::support::{Run, Setup, SilentChain, dead_letters};

const FUNCTIONS: &str = "functions";
const TALLY: &str = "tally";

/// A host with the capabilities of the fixtures and this configuration.
fn setup(config: &str) -> Setup {
    let mut setup = Setup::new().config(config);
    setup.capabilities = setup.capabilities.with(LocalStore).with(SilentChain::default());
    setup
}

async fn start(config: &str) -> Run {
    let run = setup(config).module(FUNCTIONS).start().await;
    run.query(FUNCTIONS).await;
    run
}

/// Calls a function as the program that runs the host.
async fn call(run: &Run, module: &str, function: Option<&str>, args: &str) -> Result<String, QueryError> {
    call_as(run, module, function, args, Caller::Host, true).await
}

async fn call_as(
    run: &Run,
    module: &str,
    function: Option<&str>,
    args: &str,
    caller: Caller,
    may_write: bool,
) -> Result<String, QueryError> {
    let module = run.steering.get(&module.parse().expect("a name")).expect("a module");
    let invocation = Invocation {
        function,
        args: args.as_bytes(),
        caller,
        may_write,
    };
    module.invoke(&invocation).await
}

async fn result(run: &Run, module: &str, function: &str, args: &str) -> String {
    let result = call(run, module, Some(function), args).await;
    result.unwrap_or_else(|error| panic!("{function} {args}: {error}"))
}

async fn fails(run: &Run, function: &str, args: &str) -> QueryError {
    call(run, FUNCTIONS, Some(function), args).await.expect_err("no result")
}

pub(crate) async fn functions_are_listed_and_called_by_name() {
    let run = start("").await;
    let pool = run.query(FUNCTIONS).await;
    let listed: Vec<_> = pool.module().functions.iter().map(ToString::to_string).collect();
    assert_eq!(
        listed[..4],
        [
            "sum: func(numbers: list<u32>, scale: option<u32>) -> u64",
            "who: func() -> record { caller: string, request: string }",
            "get: func(key: string) -> option<string>",
            "put: func(key: string, value: string)",
        ]
    );
    let put = pool.module().functions.get("put").expect("a function");
    assert_eq!((put.comment.as_str(), put.is_writeable), ("Writes a key.", true));
    for (function, args, expected) in [
        ("sum", "{\"numbers\": [1, 2, 3]}", "6"),
        ("sum", "[[1, 2, 3], 10]", "60"),
        ("who", "", "{\"caller\":\"host\",\"request\":\"3\"}"),
        ("get", "[\"a\"]", "null"),
        ("put", "[\"a\", \"b\"]", "null"),
        ("get", "{\"key\": \"a\"}", "\"b\""),
    ] {
        assert_eq!(
            result(&run, FUNCTIONS, function, args).await,
            expected,
            "{function} {args}"
        );
    }
    assert_eq!(run.value(FUNCTIONS, "a"), Some(b"b".to_vec()));
    let default = call(&run, FUNCTIONS, None, "{\"any\": [1]}").await;
    assert_eq!(default.as_deref(), Ok("{\"any\":[1]}"));
    for (caller, expected) in [
        (Caller::Uid(7), "{\"caller\":\"uid 7\",\"request\":\"8\"}"),
        (
            Caller::Address("127.0.0.1:1".to_owned()),
            "{\"caller\":\"address 127.0.0.1:1\",\"request\":\"9\"}",
        ),
    ] {
        let who = call_as(&run, FUNCTIONS, Some("who"), "", caller, false).await;
        assert_eq!(who.as_deref(), Ok(expected));
    }
    assert_eq!(
        (pool.handled(), pool.failed(), pool.refused(), pool.started()),
        (9, 0, 0, 1)
    );
    assert!(!run.stop().await.failed());
}

pub(crate) async fn tally_changes_its_total_between_events() {
    let run = setup("").module(TALLY).start().await;
    run.query(TALLY).await;
    run.chain.mine(3);
    run.handled(TALLY, 3).await;
    assert_eq!(result(&run, TALLY, "add", "[10]").await, "13");
    run.chain.mine(1);
    run.handled(TALLY, 4).await;
    let expected = "{\"blocks\":4,\"total\":14}";
    assert_eq!(result(&run, TALLY, "read", "").await, expected);
    assert!(!run.stop().await.failed());
}

pub(crate) async fn bad_functions_is_refused_before_it_starts() {
    let refused = setup("").module("bad-functions").load().await.expect_err("a refusal");
    let text = Causes(&refused.iter().next().expect("an error").error).to_string();
    assert!(
        text.starts_with(
            "`list-functions` failed: the guest trapped: `list-functions` may not call `nexum:host/local-store@0.2.0#get`"
        ),
        "{text}"
    );
}

#[tokio::test]
async fn arguments_that_do_not_fit_reach_no_instance() {
    let run = start("").await;
    let pool = run.query(FUNCTIONS).await;
    for (function, args, kind, expected) in [
        (
            "sum",
            "{\"numbers\": [1, -1]}",
            "arguments",
            "the arguments do not fit the function: $.numbers[1]: expected u32, found the number -1",
        ),
        ("put", "[\"a\"]", "arguments", "the parameter `value` is missing"),
        ("nothing", "", "no-function", "the module has no function `nothing`"),
    ] {
        let error = fails(&run, function, args).await;
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains(expected), "{error}");
    }
    let large = format!("[[{}1]]", "1,".repeat(QueryPool::INPUT_BYTES_MAX / 2));
    assert_eq!(fails(&run, "sum", &large).await.kind(), "input-too-large");
    let error = call_as(&run, FUNCTIONS, Some("put"), "[\"a\", \"b\"]", Caller::Host, false).await;
    assert_eq!(
        error,
        Err(QueryError::ReadOnly {
            function: "put".to_owned()
        })
    );
    assert_eq!(pool.call(b"a question").await, Err(QueryError::NoEvaluate));
    assert_eq!((pool.started(), pool.failed(), pool.refused()), (0, 0, 6));
    assert_eq!(run.value(FUNCTIONS, "a"), None);
}

#[tokio::test]
async fn a_module_without_functions_has_none_to_call() {
    let run = setup("").module("query-echo").module("noop").start().await;
    run.query("query-echo").await;
    for module in ["query-echo", "noop"] {
        let refused = call(&run, module, Some("get"), "").await;
        assert_eq!(refused, Err(QueryError::NoFunctions), "{module}");
    }
}

#[tokio::test]
async fn a_read_only_function_changes_nothing_and_calls_nobody() {
    let run = start("").await;
    for (function, args) in [("sneak", "[\"a\"]"), ("chain", "")] {
        match fails(&run, function, args).await {
            QueryError::Returned(error) => assert_eq!(error.kind, HostErrorKind::Denied, "{function}"),
            error => panic!("{function}: {error}"),
        }
    }
    assert_eq!(run.value(FUNCTIONS, "a"), None);
    let error = fails(&run, "wrong", "").await;
    assert_eq!(error.kind(), "result");
    assert!(
        error
            .to_string()
            .ends_with("does not have the listed type: $: expected u8, found the number 300"),
        "{error}"
    );
    // Each of the three discarded its instance.
    assert_eq!(result(&run, FUNCTIONS, "calls", "").await, "1");
    assert_eq!(result(&run, FUNCTIONS, "calls", "").await, "2");
}

#[tokio::test]
async fn a_writeable_function_that_fails_leaves_nothing() {
    let run = start("[engine.limits]\nfuel_per_event = 20000000\n").await;
    let pool = run.query(FUNCTIONS).await;
    result(&run, FUNCTIONS, "put", "[\"kept\", \"1\"]").await;
    for (end, kind) in [
        ("fail", "returned"),
        ("trap", "trapped"),
        ("spin", "limit"),
        ("wrong", "result"),
    ] {
        let error = fails(&run, "put-and", &format!("[\"lost\", \"{end}\"]")).await;
        assert_eq!(error.kind(), kind, "{end}: {error}");
        assert_eq!(run.value(FUNCTIONS, "lost"), None, "{end}");
    }
    assert_eq!(run.value(FUNCTIONS, "kept"), Some(b"1".to_vec()));
    let status = run.status(FUNCTIONS);
    assert_eq!(
        (status.stage(), status.failed(), status.dead_letters()),
        (Stage::Running, 0, 0)
    );
    assert_eq!((pool.handled(), pool.failed()), (1, 4));
    result(&run, FUNCTIONS, "put", "[\"kept\", \"2\"]").await;
    assert_eq!(run.value(FUNCTIONS, "kept"), Some(b"2".to_vec()));
    assert!(dead_letters(&*run.store, FUNCTIONS).is_empty());
}

#[tokio::test]
async fn a_reorganisation_undoes_the_calls_after_the_removed_blocks() {
    let run = setup("").module(TALLY).start().await;
    run.query(TALLY).await;
    let total = async |run: &Run| result(run, TALLY, "read", "").await;
    let reverted = async |run: &Run, expected: &str| {
        while total(run).await != expected {
            tokio::task::yield_now().await;
        }
    };
    run.chain.mine(3);
    run.handled(TALLY, 3).await;
    assert_eq!(result(&run, TALLY, "add", "[10]").await, "13");
    run.chain.mine(1);
    run.handled(TALLY, 4).await;
    run.chain.reorg(1);
    reverted(&run, "{\"blocks\":3,\"total\":13}").await;
    assert_eq!(run.records.find("undone the changes of a function"), None);
    // The call came after block 2 and may depend on it.
    run.chain.reorg(1);
    reverted(&run, "{\"blocks\":2,\"total\":2}").await;
    run.until("the report", || {
        run.records.find("undone the changes of a function").is_some()
    })
    .await;
    let record = run.records.find("undone the changes of a function").expect("a record");
    assert_eq!(
        (record.fields["function"].as_str(), record.fields["request"].as_str()),
        ("add", "1")
    );
    run.chain.mine(1);
    reverted(&run, "{\"blocks\":3,\"total\":3}").await;
    assert_eq!(result(&run, TALLY, "add", "[10]").await, "13");
}

#[tokio::test]
async fn many_calls_keep_no_event_waiting() {
    let run = setup("[engine.query]\nwait_ms_max = 60000\n")
        .module(TALLY)
        .start()
        .await;
    run.query(TALLY).await;
    let mut calls = JoinSet::new();
    for _ in 0..4 {
        let module = run.steering.get(&TALLY.parse().expect("a name")).expect("a module");
        calls.spawn(async move {
            loop {
                let add = Invocation {
                    function: Some("add"),
                    args: b"[0]",
                    caller: Caller::Host,
                    may_write: true,
                };
                module.invoke(&add).await.expect("a sum");
            }
        });
    }
    run.chain.mine(50);
    run.handled(TALLY, 50).await;
    calls.shutdown().await;
    assert_eq!(result(&run, TALLY, "add", "[0]").await, "50");
    assert!(!run.stop().await.failed());
}

#[tokio::test]
async fn a_module_that_does_not_run_says_so() {
    let run = start("").await;
    let status = run.status(FUNCTIONS);
    status.stop().await.expect("a stop");
    let refused = fails(&run, "put", "[\"a\", \"b\"]").await;
    assert_eq!(refused.to_string(), "the module is stopped");
    assert_eq!(refused.kind(), "not-running");
    // The pool continues.
    assert_eq!(result(&run, FUNCTIONS, "get", "[\"a\"]").await, "null");
    status.start().await.expect("a start");
    assert_eq!(result(&run, FUNCTIONS, "put", "[\"a\", \"b\"]").await, "null");
}

#[tokio::test]
async fn a_call_that_does_not_begin_in_time_never_begins() {
    let limits = "[engine.limits]\nfuel_per_event = 100000000000000\nevent_deadline_ms = 2000\n";
    let run = start(&format!("{limits}[engine.query]\nwait_ms_max = 50\n")).await;
    // The first call takes the turn before the second one asks for it.
    let (spun, refused) = tokio::join!(
        call(&run, FUNCTIONS, Some("put-and"), "[\"a\", \"spin\"]"),
        fails(&run, "put", "[\"a\", \"b\"]")
    );
    assert_eq!(spun.expect_err("no result").kind(), "deadline");
    assert_eq!(
        refused,
        QueryError::NotBegun {
            wait_ms_max: 50,
            stage: Stage::Running
        }
    );
    assert_eq!(result(&run, FUNCTIONS, "put", "[\"c\", \"d\"]").await, "null");
    assert_eq!(
        (run.value(FUNCTIONS, "a"), run.value(FUNCTIONS, "c")),
        (None, Some(b"d".to_vec()))
    );
}

#[tokio::test]
async fn a_call_that_may_not_wait_begins_if_no_other_call_runs() {
    let limits = "[engine.limits]\nfuel_per_event = 100000000000000\nevent_deadline_ms = 500\n";
    let not_begun = QueryError::NotBegun {
        wait_ms_max: 0,
        stage: Stage::Running,
    };
    for (bounds, expected) in [
        ("waiters_max = 0\n", QueryError::Overloaded { waiters_max: 0 }),
        ("wait_ms_max = 0\n", not_begun),
    ] {
        let run = start(&format!("{limits}[engine.query]\n{bounds}")).await;
        let put = ("put", "[\"a\", \"b\"]");
        assert_eq!(result(&run, FUNCTIONS, put.0, put.1).await, "null", "{bounds}");
        let (spun, refused) = tokio::join!(
            call(&run, FUNCTIONS, Some("put-and"), "[\"a\", \"spin\"]"),
            fails(&run, put.0, put.1)
        );
        assert_eq!(spun.expect_err("no result").kind(), "deadline");
        assert_eq!(refused, expected);
        assert_eq!(result(&run, FUNCTIONS, put.0, put.1).await, "null", "{bounds}");
    }
}

#[tokio::test]
async fn writeable_functions_that_fail_suspend_the_calls_of_the_module() {
    let mut setup = setup("").module(FUNCTIONS);
    setup.restart = "[engine.restart]\nbackoff_ms = 10000\nmax_consecutive_failures = 3\n".to_owned();
    let run = setup.start().await;
    let pool = run.query(FUNCTIONS).await;
    for _ in 0..3 {
        assert_eq!(pool.suspension(), None);
        assert_eq!(fails(&run, "put-and", "[\"a\", \"trap\"]").await.kind(), "trapped");
    }
    let suspension = pool.suspension().expect("a suspension");
    assert!(
        suspension
            .reason
            .starts_with("3 failures in a row; the last: the module trapped"),
        "{}",
        suspension.reason
    );
    // The calls of the pool wait too.
    for (function, args) in [("put", "[\"a\", \"b\"]"), ("get", "[\"a\"]")] {
        assert_eq!(fails(&run, function, args).await.kind(), "suspended", "{function}");
    }
    assert_eq!(run.value(FUNCTIONS, "a"), None);
    run.clock.advance(Duration::from_secs(10));
    assert_eq!(result(&run, FUNCTIONS, "put", "[\"a\", \"b\"]").await, "null");
    assert_eq!(pool.suspension(), None);
}

#[tokio::test]
async fn the_context_of_a_call_is_gone_after_the_call() {
    let run = setup("").module(TALLY).start().await;
    run.query(TALLY).await;
    run.chain.mine(1);
    run.handled(TALLY, 1).await;
    assert_eq!(result(&run, TALLY, "keep", "").await, "\"host\"");
    // The event reads the handle that the call has left in the memory of the instance.
    run.chain.mine(1);
    run.failed(TALLY, 1).await;
    let trap = run.records.find("the guest trapped").expect("the record of the trap");
    assert!(trap.message.contains("unknown handle index"), "{trap:?}");
    // The next instance does not have the handle.
    run.chain.mine(1);
    run.handled(TALLY, 2).await;
    assert_eq!(result(&run, TALLY, "read", "").await, "{\"blocks\":2,\"total\":2}");
}

/// The caller can leave while the runner is busy, and the runner still applies the command.
#[tokio::test]
async fn a_reload_whose_caller_leaves_replaces_all_parts_or_none() {
    let limits = "[engine.limits]\nfuel_per_event = 100000000000000\nevent_deadline_ms = 1000\n";
    let run = start(&format!("{limits}[engine.query]\npool_size_max = 2\n")).await;
    let name = FUNCTIONS.parse().expect("a name");
    let metas = || {
        let module = run.steering.get(&name).expect("a module");
        let of_events = module.events.expect("a runner").module().meta.clone();
        (of_events, module.queries.expect("a pool").module().meta.clone())
    };
    let (before, _) = metas();
    let new = run.build_all(FUNCTIONS, "").await;
    let (spun, left) = tokio::join!(
        call(&run, FUNCTIONS, Some("put-and"), "[\"a\", \"spin\"]"),
        tokio::time::timeout(Duration::from_millis(300), run.steering.reload(new))
    );
    assert!(left.is_err(), "the reload ended while the runner was busy");
    assert_eq!(spun.expect_err("no result").kind(), "deadline");
    run.status(FUNCTIONS).restart().await.expect("a restart");
    let (of_events, of_queries) = metas();
    assert!(Arc::ptr_eq(&of_events, &of_queries));
    assert!(!Arc::ptr_eq(&before, &of_events), "the runner did not take the command");
    assert_eq!(result(&run, FUNCTIONS, "put", "[\"a\", \"b\"]").await, "null");
}

/// The first reload still waits for the runner, and its caller has left.
#[tokio::test]
async fn the_last_of_two_reloads_decides() {
    let limits = "[engine.limits]\nfuel_per_event = 100000000000000\nevent_deadline_ms = 1000\n";
    let run = start(&format!("{limits}[engine.query]\npool_size_max = 2\n")).await;
    let first = run.build_all(FUNCTIONS, "").await;
    let last = run.build_all("query-echo", &format!("name = {FUNCTIONS:?}")).await;
    let meta = last.meta.clone();
    let reload = async {
        let left = tokio::time::timeout(Duration::from_millis(300), run.steering.reload(first)).await;
        assert!(left.is_err(), "the reload ended while the runner was busy");
        run.steering.reload(last).await
    };
    let (spun, reloaded) = tokio::join!(call(&run, FUNCTIONS, Some("put-and"), "[\"a\", \"spin\"]"), reload);
    assert_eq!(spun.expect_err("no result").kind(), "deadline");
    reloaded.expect("a reload");
    let module = run.steering.get(&FUNCTIONS.parse().expect("a name")).expect("a module");
    assert!(module.events.is_none());
    assert!(Arc::ptr_eq(&module.queries.expect("a pool").module().meta, &meta));
}

/// The second reload finds the runner that the first one starts, although its caller has left.
#[tokio::test]
async fn a_reload_whose_caller_leaves_starts_one_runner() {
    let run = start("[engine.query]\npool_size_max = 2\n").await;
    let queries = run.build_all("query-echo", &format!("name = {FUNCTIONS:?}")).await;
    run.steering.reload(queries).await.expect("a reload");
    let (first, second) = (run.build_all(FUNCTIONS, "").await, run.build_all(FUNCTIONS, "").await);
    // One poll sends the request to the supervisor.
    tokio::select! {
        biased;
        _ = run.steering.reload(first) => panic!("the supervisor answered at once"),
        () = std::future::ready(()) => {}
    }
    let reloaded = run.steering.reload(second).await.expect("a reload");
    assert_eq!(reloaded.change(), None);
    assert_eq!(result(&run, FUNCTIONS, "put", "[\"a\", \"b\"]").await, "null");
    assert_eq!(run.value(FUNCTIONS, "a"), Some(b"b".to_vec()));
}

#[tokio::test]
async fn a_command_to_a_runner_that_ends_has_no_effect() {
    let limits = "[engine.limits]\nfuel_per_event = 100000000000000\nevent_deadline_ms = 1000\n";
    let run = start(limits).await;
    let (status, name) = (run.status(FUNCTIONS), FUNCTIONS.parse().expect("a name"));
    let new = run.build_all(FUNCTIONS, "").await;
    let end = async {
        let left = tokio::time::timeout(Duration::from_millis(300), run.steering.reload(new)).await;
        assert!(left.is_err(), "the reload ended while the runner was busy");
        tokio::join!(status.restart(), run.steering.remove(&name))
    };
    let (spun, (restarted, removed)) = tokio::join!(call(&run, FUNCTIONS, Some("put-and"), "[\"a\", \"spin\"]"), end);
    assert_eq!(spun.expect_err("no result").kind(), "deadline");
    removed.expect("a removal");
    assert!(matches!(restarted, Err(CommandError::Gone)), "{restarted:?}");
}

/// The commit of `init` fails after the runner has taken the new module.
#[tokio::test]
async fn a_reload_whose_commit_fails_leaves_parts_of_one_module() {
    let store = FaultyStore::new(Arc::new(MemoryStore::new()));
    let mut setup = setup("[engine.query]\npool_size_max = 2\n").module(FUNCTIONS);
    setup.store = Arc::new(store.clone());
    let run = setup.start().await;
    run.query(FUNCTIONS).await;
    run.stage(FUNCTIONS, Stage::Running).await;
    let new = run.build_all(FUNCTIONS, "[modules.config]\nwrite = \"x\"\n").await;
    store.fail_writes(true);
    let reloaded = run.steering.reload(new).await;
    assert!(reloaded.is_err(), "{reloaded:?}");
    let module = run.steering.get(&FUNCTIONS.parse().expect("a name")).expect("a module");
    let of_events = module.events.expect("a runner").module().meta.clone();
    let of_queries = module.queries.expect("a pool").module().meta.clone();
    assert!(Arc::ptr_eq(&of_events, &of_queries));
    store.fail_writes(false);
    run.until("the new `init`", || run.value(FUNCTIONS, "init") == Some(b"x".to_vec()))
        .await;
}

#[tokio::test]
async fn a_store_that_fails_fails_the_call_and_the_module_continues() {
    let store = FaultyStore::new(Arc::new(MemoryStore::new()));
    let mut setup = setup("[engine.query]\nwait_ms_max = 60000\n").module(FUNCTIONS);
    setup.store = Arc::new(store.clone());
    let run = setup.start().await;
    run.query(FUNCTIONS).await;
    assert_eq!(result(&run, FUNCTIONS, "put", "[\"a\", \"1\"]").await, "null");
    store.fail_writes(true);
    assert_eq!(fails(&run, "put", "[\"a\", \"2\"]").await.kind(), "failed");
    run.stage(FUNCTIONS, Stage::Stalled).await;
    store.fail_writes(false);
    assert_eq!(result(&run, FUNCTIONS, "put", "[\"b\", \"3\"]").await, "null");
    assert_eq!(result(&run, FUNCTIONS, "get", "[\"a\"]").await, "\"1\"");
}

#[tokio::test]
async fn calls_outlive_a_restart_and_a_pool_alone_does_not_write() {
    let store: Arc<dyn StateStore> = Arc::new(MemoryStore::new());
    let mut before = setup("").module(TALLY);
    before.store = store.clone();
    let chain = ScriptedSource::new(TEST_CHAIN_ID);
    let run = before.start_at_head(chain.clone()).await;
    run.query(TALLY).await;
    run.chain.mine(1);
    run.handled(TALLY, 1).await;
    assert_eq!(result(&run, TALLY, "add", "[5]").await, "6");
    assert!(!run.stop().await.failed());

    let host = Host::builder()
        .with(LocalStore)
        .with(SilentChain::default())
        .store(store)
        .module(ModuleConfig::new(guests::component(FUNCTIONS)));
    let pools = host.query_pools().await.expect("pools");
    let [pool] = &pools[..] else { panic!("one pool") };
    for (function, args, expected) in [
        ("sum", &b"[[1, 2]]"[..], Ok("3".to_owned())),
        ("put", b"[\"a\", \"b\"]", Err(QueryError::Gone)),
    ] {
        let invocation = Invocation {
            function: Some(function),
            args,
            caller: Caller::Host,
            may_write: true,
        };
        assert_eq!(pool.invoke(&invocation, None).await, expected, "{function}");
    }
}

#[tokio::test]
async fn a_reload_adds_and_removes_functions() {
    let run = setup("[engine.query]\npool_size_max = 2\n")
        .module("noop")
        .start()
        .await;
    let build = async |fixture: &str| run.build_all(fixture, "name = \"noop\"").await;
    let reloaded = run.steering.reload(build(FUNCTIONS).await).await.expect("a reload");
    assert_eq!(
        reloaded.change().as_deref(),
        Some(
            "the module was an event module and is a function module now; \
             it no longer reads events, and keeps its state and cursors; it has functions"
        )
    );
    assert_eq!(result(&run, "noop", "put", "[\"a\", \"b\"]").await, "null");
    run.steering.reload(build(FUNCTIONS).await).await.expect("a reload");
    assert_eq!(result(&run, "noop", "get", "[\"a\"]").await, "\"b\"");
    run.steering.reload(build("noop").await).await.expect("a reload");
    assert_eq!(call(&run, "noop", Some("get"), "").await, Err(QueryError::NoFunctions));
    run.chain.mine(1);
    run.handled("noop", 1).await;
    tokio::time::timeout(
        Duration::from_secs(60),
        run.steering.remove(&"noop".parse().expect("a name")),
    )
    .await
    .expect("an end")
    .expect("a removal");
}
