//! A component that occupies the compiler delays nothing else, and its compiler ends with the process that waits for it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nexum_testing::{Anvil, guests};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::Dir;
use crate::control::{json, until};
use crate::metrics::Exporting;
use crate::processes::{children, gone, send};
use crate::running::{Log, RUNNING, Start as _, Started, spawn};
use crate::state::EXPORT;

/// How long something is waited for: far longer than a slow machine needs, and shorter than the compilation of [`endless`] may take.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// A pause between two looks at the processes.
const PAUSE: Duration = Duration::from_millis(20);

/// Levels of [`endless`], each of which doubles the work.
const LEVELS: usize = 60;

const STATUS: [&str; 3] = ["status", "--format", "json"];

/// A component whose compilation takes longer than nexum waits. Each level makes two instances of the level below. The component of
/// a level is an argument and an export, so nexum does not count these instances.
fn endless() -> Vec<u8> {
    let mut text = String::from(
        "(component
            (component $twice
                (import \"x\" (component $x))
                (component $y (instance (instantiate $x)) (instance (instantiate $x)))
                (export \"y\" (component $y)))
            (component $level0)",
    );
    for (level, below) in (1..=LEVELS).zip(0..) {
        text += &format!(
            "(instance $made{level} (instantiate $twice (with \"x\" (component $level{below}))))
            (alias export $made{level} \"y\" (component $level{level}))"
        );
    }
    text += &format!(
        "(instance (instantiate $level{LEVELS}))
        (core module $code (func (export \"f\")))
        (core instance $instance (instantiate $code))
        (func $f (canon lift (core func $instance \"f\")))
        (export \"init\" (func $f))
        (export \"on-event\" (func $f)))"
    );
    wat::parse_str(text).expect("a component")
}

/// Waits for the compiler of a process, and returns its id.
async fn compiler_of(parent: u32) -> u32 {
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        let compiler = children(parent)
            .into_iter()
            .find(|child| child.argument(1) == Some("compile"));
        if let Some(compiler) = compiler {
            return compiler.id;
        }
        assert!(Instant::now() < deadline, "no compiler");
        sleep(PAUSE).await;
    }
}

/// Waits for the end of a child of this process, and returns the code or the signal that ended it.
async fn ended(mut child: Started) -> (Option<i32>, Option<i32>) {
    use std::os::unix::process::ExitStatusExt as _;
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            return (status.code(), status.signal());
        }
        assert!(Instant::now() < deadline, "the process goes on");
        sleep(PAUSE).await;
    }
}

/// A configuration with the modules at these paths.
fn config<'a>(anvil: &Anvil, paths: impl IntoIterator<Item = &'a Path>) -> String {
    let module = |path: &Path| format!("[[modules]]\npath = {:?}\n", path.display().to_string());
    let modules: String = paths.into_iter().map(module).collect();
    format!("[chains.11155111]\nrpc_url = {:?}\n{modules}", anvil.ws_url())
}

/// The module of this name in the answer to `nexum status`.
fn find<'a>(modules: &'a Value, name: &str) -> Option<&'a Value> {
    modules.as_array()?.iter().find(|module| module["name"] == name)
}

fn handles(modules: &Value, name: &str) -> bool {
    find(modules, name).is_some_and(|module| module["handled"].as_u64() >= Some(1))
}

#[tokio::test]
async fn the_other_modules_run_while_one_is_compiled() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    let endless = dir.write("endless.wasm", endless());
    let (noop, echo) = (guests::component("noop"), guests::component("query-echo"));
    let config = config(&anvil, [&*endless, &noop, &echo]);
    // The module has state, which a command could remove.
    dir.write("engine.toml", "");
    dir.write("state.jsonl", EXPORT.replace("my-module", "endless"));
    let imported = dir.nexum(&["state", "import", "state.jsonl"]);
    assert_eq!(imported.code, Some(0), "{}", imported.stderr);
    let records = ["metrics can be read", "following the chain"];
    let running = Exporting::start_until(&dir, &config, &records);
    anvil.mine(1).await;
    let modules = until(&dir, &STATUS, |modules| handles(modules, "noop")).await;
    until(&dir, &STATUS, |modules| {
        find(modules, "query-echo").is_some_and(|module| module["stage"] == "serving")
    })
    .await;
    let answer = dir.nexum(&["query", "query-echo", "--input", "hello"]);
    assert_eq!((answer.code, &*answer.stdout), (Some(0), "hello"), "{}", answer.stderr);

    let loading = find(&modules, "endless").expect("the module");
    assert_eq!(loading["stage"], "loading");
    let size = std::fs::metadata(&endless).expect("the file").len();
    let reason = loading["reason"].as_str().expect("a reason");
    let (since, rest) = reason.split_once(", ").expect("a time");
    assert!(since.starts_with("since 20") && since.ends_with('Z'), "{reason}");
    assert_eq!(rest, format!("component of {size} bytes not compiled yet"));
    let text = dir.nexum(&["status"]).stdout;
    assert!(text.contains(reason), "{text}");

    let (status, body) = running.get("/readyz");
    let found: Value = serde_json::from_str(&body).expect("JSON");
    let begun_ms = &found[0]["since_ms"];
    assert!(begun_ms.is_u64(), "{found}");
    let starting = serde_json::json!({ "reason": "modules are being loaded", "since_ms": begun_ms });
    let since_ms = &loading["reason_since_ms"];
    let named =
        serde_json::json!({ "module": "endless", "reason": format!("loading: {reason}"), "since_ms": since_ms });
    assert_eq!((status, found), (503, serde_json::json!([starting, named])));

    for refused in [
        &["module", "stop", "endless"][..],
        &["module", "reload", "endless"],
        &["limits", "endless"],
        &["state", "purge", "endless", "--yes"],
        &["query", "endless", "--input", ""],
    ] {
        let ran = dir.nexum(refused);
        assert_eq!(ran.code, Some(2), "{refused:?}: {}", ran.stdout);
        assert!(ran.stderr.contains("is being loaded"), "{refused:?}: {}", ran.stderr);
    }
    let compiler = compiler_of(running.id()).await;
    let removed = dir.nexum(&["module", "remove", "endless"]);
    assert_eq!(removed.code, Some(0), "{}", removed.stderr);
    gone(compiler).await;
    running.stop();
}

#[tokio::test]
async fn a_signal_ends_a_run_that_compiles_and_its_compiler() {
    let anvil = Anvil::start();
    for (signal, expected) in [
        ("-TERM", (Some(0), None)),
        ("-INT", (Some(0), None)),
        ("-KILL", (None, Some(9))),
    ] {
        let dir = Dir::new();
        let endless = dir.write("endless.wasm", endless());
        dir.write("engine.toml", config(&anvil, [&*endless]));
        for args in [&["run"][..], &["run", "--strict"]] {
            let child = spawn(&dir, args);
            let compiler = compiler_of(child.id()).await;
            send(signal, child.id());
            assert_eq!(ended(child).await, expected, "{signal} {args:?}");
            gone(compiler).await;
        }
    }
}

#[tokio::test]
async fn a_signal_ends_a_check_that_compiles_and_its_compiler() {
    let anvil = Anvil::start();
    for (signal, expected) in [
        ("-TERM", (Some(143), None)),
        ("-INT", (Some(130), None)),
        ("-KILL", (None, Some(9))),
    ] {
        let dir = Dir::new();
        let endless = dir.write("endless.wasm", endless());
        dir.write("engine.toml", config(&anvil, [&*endless]));
        let scratch = dir.path().join("scratch");
        std::fs::create_dir(&scratch).expect("a directory");
        let mut command = dir.command(&["check"]);
        let command = command.env("TMPDIR", &scratch).stdout(Stdio::null());
        let child = command.start();
        let compiler = compiler_of(child.id()).await;
        send(signal, child.id());
        assert_eq!(ended(child).await, expected, "{signal}");
        gone(compiler).await;
        if signal != "-KILL" {
            assert_eq!(std::fs::read_dir(&scratch).expect("a directory").count(), 0, "{signal}");
        }
    }
}

#[tokio::test]
async fn ctrl_c_ends_the_load_of_a_module_and_its_compiler() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    dir.write("endless.wasm", endless());
    dir.write("engine.toml", config(&anvil, [&*guests::component("noop")]));
    let mut daemon = spawn(&dir, &["run"]);
    Log::of(&mut daemon).until_all(&RUNNING);
    anvil.mine(1).await;
    until(&dir, &STATUS, |modules| handles(modules, "noop")).await;
    let client = spawn(&dir, &["module", "load", "endless.wasm"]);
    let compiler = compiler_of(daemon.id()).await;
    let modules = json(&dir, &STATUS);
    assert_eq!(find(&modules, "endless").expect("the module")["stage"], "loading");
    send("-INT", client.id());
    assert_eq!(ended(client).await, (None, Some(2)));
    gone(compiler).await;
    until(&dir, &STATUS, |modules| find(modules, "endless").is_none()).await;
    send("-TERM", daemon.id());
    assert_eq!(ended(daemon).await, (Some(0), None));
}
