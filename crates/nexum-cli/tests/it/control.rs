//! The commands that ask a running daemon, such as `nexum status`.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use nexum_testing::{Anvil, guests};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::Dir;
use crate::running::{Log, RUNNING, Started, spawn, terminate};

/// The longest wait for anything: far longer than a slow machine needs.
const WAIT_MAX: Duration = Duration::from_secs(60);

pub(crate) fn json(dir: &Dir, args: &[&str]) -> Value {
    let ran = dir.nexum(args);
    // 1: a module needs the operator.
    assert!(matches!(ran.code, Some(0 | 1)), "{args:?}: {}", ran.stderr);
    serde_json::from_str(&ran.stdout).expect("JSON")
}

/// Repeats the command until its answer satisfies the test.
pub(crate) async fn until(dir: &Dir, args: &[&str], holds: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        let answer = json(dir, args);
        if holds(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{answer:#}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_operator_sees_why_a_module_is_dead_and_has_it_go_on() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    let module = |name: &str| {
        format!(
            "[[modules]]\nname = {name:?}\npath = {:?}\n",
            guests::component(name).display().to_string()
        )
    };
    dir.write(
        "engine.toml",
        format!(
            "[engine.restart]\nattempts_max = 2\nbackoff_ms = 1\nmax_consecutive_failures = 2\n\
             [engine.limits]\nfuel_per_event = 1000000\n[chains.11155111]\nrpc_url = {:?}\n{}{}",
            anvil.ws_url(),
            module("fuel-bomb"),
            module("noop")
        ),
    );
    let nobody = dir.nexum(&["status"]);
    assert_eq!(nobody.code, Some(2));
    assert!(nobody.stderr.contains("no nexum runs"), "{}", nobody.stderr);

    let mut child = spawn(&dir, &["run"]);
    Log::of(&mut child).until_all(&RUNNING);
    let mode = std::fs::metadata(dir.path().join("data/nexum.sock"))
        .expect("the socket")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    anvil.mine(3).await;

    let status = ["status", "--format", "json"];
    let modules = until(&dir, &status, |modules| {
        modules[0]["stage"] == "dead" && modules[1]["handled"].as_u64() >= Some(3)
    })
    .await;
    assert_eq!(
        (&modules[0]["name"], &modules[1]["stage"]),
        (&"fuel-bomb".into(), &"running".into())
    );
    let reason = modules[0]["reason"].as_str().expect("a reason");
    assert!(reason.contains("limit fuel_per_event = 1000000 exceeded"), "{reason}");
    let text = dir.nexum(&["status"]).stdout;
    let row = text.lines().find(|row| row.trim_start().starts_with("fuel-bomb"));
    let row = row.expect("the module");
    assert!(row.contains(" dead ") && row.contains(" 2 failures in a row"), "{text}");

    let limits = json(&dir, &["limits", "fuel-bomb", "--format", "json"]);
    let fuel = limits
        .as_array()
        .expect("a list")
        .iter()
        .find(|usage| usage["limit"] == "fuel_per_event");
    let fuel = fuel.expect("fuel");
    assert_eq!(fuel["bound"], 1_000_000);
    assert!(fuel["most"].as_u64() >= Some(1_000_000), "{fuel}");
    let text = dir.nexum(&["limits", "fuel-bomb"]).stdout;
    let row = |limit: &str| -> Vec<String> {
        let line = text.lines().find(|line| line.trim_start().starts_with(limit));
        line.expect("a row").split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(row("events_per_second")[2..], ["-", "-", "-"], "{text}");
    assert_eq!(row("instances")[2..], ["-", "-", "-"], "{text}");
    assert_ne!(row("event_deadline_ms")[2], "-", "{text}");

    let letters = json(&dir, &["dead-letter", "list", "fuel-bomb", "--format", "json"]);
    let letter = &letters[0];
    assert_eq!(
        (
            letters.as_array().map(Vec::len),
            letter["attempts"].as_array().map(Vec::len)
        ),
        (Some(1), Some(2))
    );
    let event = letter["event"].as_str().expect("an event");
    let listed = dir.nexum(&["dead-letter", "list", "fuel-bomb"]).stdout;
    let (table, reasons) = listed.split_once("\n\n").expect("reasons");
    let row = table.lines().find(|line| line.contains(event)).expect("a row");
    assert!(row.contains("Z "), "{listed}");
    assert!(
        reasons.starts_with(event) && reasons.contains("fuel_per_event"),
        "{listed}"
    );
    let whole = json(&dir, &["dead-letter", "show", "fuel-bomb", event, "--format", "json"]);
    let hash = whole["block_hash"].as_str().expect("a hash");
    assert_eq!((whole["event"].as_str(), hash.len()), (Some(event), 66));
    assert!(whole["content"].to_string().contains(hash), "{whole:#}");
    let shown = dir.nexum(&["dead-letter", "show", "fuel-bomb", event]);
    assert!(
        shown.stdout.contains("attempt 1, at 20") && shown.stdout.contains(hash),
        "{}",
        shown.stdout
    );
    assert!(
        shown.stdout.contains("limit fuel_per_event: 1000000 of 1000000"),
        "{}",
        shown.stdout
    );

    let restarted = dir.nexum(&["module", "restart", "fuel-bomb"]);
    assert_eq!(
        (restarted.code, restarted.stdout.as_str()),
        (
            Some(0),
            "fuel-bomb is restarted, and continues after block 0 of chain 11155111\n"
        ),
        "{}",
        restarted.stderr
    );
    // The module retries the event at which it died, which becomes a dead letter this time.
    until(
        &dir,
        &["dead-letter", "list", "fuel-bomb", "--format", "json"],
        |letters| letters[1].is_object(),
    )
    .await;
    for (args, expected) in [
        (&["limits", "nobody"][..], "there is no module nobody"),
        (
            &["dead-letter", "show", "noop", "1:2:block"],
            "noop has no dead letter 1:2:block",
        ),
    ] {
        let refused = dir.nexum(args);
        assert_eq!(refused.code, Some(2), "{args:?}");
        assert!(refused.stderr.contains(expected), "{}", refused.stderr);
    }
    terminate(&child);
    assert_eq!(child.wait_with_output().expect("an end").status.code(), Some(0));
    assert!(!dir.path().join("data/nexum.sock").exists());
}

/// Starts a daemon with these modules on a chain, and waits until it runs.
pub(crate) fn start(dir: &Dir, anvil: &Anvil, modules: &str, args: &[&str]) -> Started {
    start_logged(dir, anvil, modules, args).0
}

/// Starts a daemon like [`start`]. Returns the rest of its log too.
pub(crate) fn start_logged(dir: &Dir, anvil: &Anvil, modules: &str, args: &[&str]) -> (Started, Log) {
    start_on(dir, &format!("rpc_url = {:?}\n", anvil.ws_url()), modules, args)
}

/// Starts a daemon like [`start_logged`] on a chain with this configuration.
pub(crate) fn start_on(dir: &Dir, chain: &str, modules: &str, args: &[&str]) -> (Started, Log) {
    let restart = "[engine.restart]\nattempts_max = 1\nbackoff_ms = 1\nmax_consecutive_failures = 100\n";
    dir.write("engine.toml", format!("{restart}[chains.11155111]\n{chain}{modules}"));
    let mut child = spawn(dir, args);
    let log = Log::of(&mut child);
    log.until_all(&RUNNING);
    (child, log)
}

pub(crate) fn done(dir: &Dir, args: &[&str], expected: &str) {
    let ran = dir.nexum(args);
    assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.stderr);
    assert!(ran.stdout.contains(expected), "{args:?}: {}", ran.stdout);
}

pub(crate) const BLOCKS: &str = "[[subscription]]\nkind = \"block\"\nchain_id = 11155111\n";
pub(crate) const LIST: [&str; 4] = ["module", "list", "--format", "json"];

#[tokio::test]
async fn modules_are_changed_while_nexum_runs() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    let noop = format!(
        "[[modules]]\npath = {:?}\n",
        guests::component("noop").display().to_string()
    );
    let child = start(&dir, &anvil, &noop, &["run"]);
    dir.guest("keeper");
    let manifest =
        |script: &str| format!("[capabilities]\nrequired = [\"store\"]\n{BLOCKS}[config]\nevery = {script:?}\n");
    dir.write("nexum.toml", manifest("fail"));
    done(&dir, &["module", "load", "keeper.wasm"], "keeper is loaded");
    let refused = dir.nexum(&["module", "load", "keeper.wasm"]);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.stderr.contains("the module keeper already exists"),
        "{}",
        refused.stderr
    );
    let modules = json(&dir, &LIST);
    assert_eq!(
        (&modules[0]["name"], &modules[0]["capabilities"]),
        (&"keeper".into(), &serde_json::json!(["logging", "store"]))
    );
    anvil.mine(2).await;
    let letters = ["dead-letter", "list", "keeper", "--format", "json"];
    let two = until(&dir, &letters, |letters| letters[1].is_object()).await;
    let event = two[0]["event"].as_str().expect("an event");
    // One event and several have the same exit code.
    for events in [&[event][..], &[event, event], &["--all"]] {
        let again = dir.nexum(&[&["dead-letter", "retry", "keeper"], events].concat());
        assert_eq!(again.code, Some(1), "{events:?}");
        assert!(
            again.stderr.contains("the event failed again: the handler returned"),
            "{}",
            again.stderr
        );
    }
    let unknown = dir.nexum(&["dead-letter", "retry", "keeper", "1:2:block"]);
    assert_eq!(unknown.code, Some(1), "{}", unknown.stderr);
    let refused = dir.nexum(&["dead-letter", "retry", "nobody", event, event]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert_eq!(refused.stderr.matches("nobody").count(), 1, "{}", refused.stderr);
    done(&dir, &["dead-letter", "skip", "keeper", event], "is skipped");
    // A refused change has no effect.
    dir.write("nexum.toml", "[capabilities]\nrequired = [\"nothing\"]\n");
    let refused = dir.nexum(&["module", "reload", "keeper"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("nothing"), "{}", refused.stderr);
    dir.write("nexum.toml", manifest("set a 1"));
    done(&dir, &["module", "reload", "keeper"], "keeper is reloaded with sha256:");
    done(&dir, &["dead-letter", "retry", "keeper", "--all"], "is handled");
    assert_eq!(json(&dir, &letters), serde_json::json!([]));

    done(&dir, &["module", "stop", "keeper"], "keeper is stopped\n");
    done(&dir, &["module", "stop", "keeper"], "keeper is stopped already\n");
    done(&dir, &["module", "reload", "keeper"], ", and stays stopped\n");
    assert_eq!(json(&dir, &LIST)[0]["stage"], "stopped");
    anvil.mine(2).await;
    done(
        &dir,
        &["module", "start", "keeper"],
        "keeper is started, and continues after block ",
    );
    done(&dir, &["module", "start", "keeper"], "keeper runs already\n");
    until(&dir, &LIST, |modules| modules[0]["handled"] == 3).await;
    done(&dir, &["module", "list"], "blocks of 11155111");
    done(&dir, &["module", "remove", "keeper"], "its state stays in the store");
    assert_eq!(json(&dir, &LIST).as_array().map(Vec::len), Some(1));
    terminate(&child);
    assert_eq!(child.wait_with_output().expect("an end").status.code(), Some(0));
    done(&dir, &["state", "get", "keeper", "a", "--utf8"], "v");
}

#[tokio::test]
async fn a_module_can_be_loaded_that_is_trusted() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    dir.guest("noop");
    dir.write("nexum.toml", BLOCKS);
    let noop = "[[modules]]\npath = \"noop.wasm\"\nname = \"counted\"\n";
    let child = start(&dir, &anvil, noop, &["run"]);
    let load: Vec<_> = "module load noop.wasm --name trusted --metering epoch"
        .split(' ')
        .collect();
    done(&dir, &load, "trusted is loaded");
    anvil.mine(1).await;
    let fuel = |limits: &Value| {
        let limits = limits.as_array().expect("limits");
        let fuel = limits.iter().find(|usage| usage["limit"] == "fuel_per_event");
        fuel.and_then(|usage| usage["last"].as_u64())
    };
    for (name, is_counted) in [("counted", true), ("trusted", false)] {
        let handled = |modules: &Value| {
            let modules = modules.as_array().expect("modules");
            modules
                .iter()
                .any(|module| module["name"] == name && module["handled"].as_u64() > Some(0))
        };
        until(&dir, &LIST, handled).await;
        let used = fuel(&json(&dir, &["limits", name, "--format", "json"]));
        assert_eq!(used.is_some_and(|used| used > 0), is_counted, "{name}: {used:?}");
    }
    terminate(&child);
    assert_eq!(child.wait_with_output().expect("an end").status.code(), Some(0));
}

#[tokio::test]
async fn a_watched_module_is_reloaded_once_for_each_change_of_its_content() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    dir.write("nexum.toml", format!("[module]\nname = \"module\"\n{BLOCKS}"));
    let path = dir.guest("spin");
    let modules = format!("[[modules]]\npath = {:?}\n", path.display().to_string());
    let (child, log) = start_logged(&dir, &anvil, &modules, &["run", "--watch"]);
    let mut lines = Vec::new();
    let before = json(&dir, &LIST)[0]["digest"].clone();
    // Reading the file, or writing equal bytes, does not change the content.
    let spin = std::fs::read(&path).expect("a component");
    std::fs::write(&path, spin).expect("a write");
    // Replaces the file as a linker does, then as an editor does.
    std::fs::copy(guests::component("noop"), dir.path().join("new.wasm")).expect("a copy");
    std::fs::rename(dir.path().join("new.wasm"), &path).expect("a rename");
    until(&dir, &LIST, |modules| modules[0]["digest"] != before).await;
    // A component that cannot be loaded does not replace the running one.
    let good = std::fs::read(&path).expect("a component");
    std::fs::write(&path, "this is no module").expect("a write");
    lines.extend(log.until(|line| line.contains("ERROR") && line.contains("spin.wasm is not WebAssembly")));
    let handled = |modules: &Value| modules[0]["handled"].as_u64();
    let before = handled(&json(&dir, &LIST));
    anvil.mine(1).await;
    until(&dir, &LIST, |modules| handled(modules) > before).await;
    std::fs::write(&path, good).expect("a write");
    for version in ["2", "3"] {
        // Each change follows the previous reload, which has read the files.
        dir.write(
            "nexum.toml",
            format!("[module]\nname = \"module\"\nversion = {version:?}\n{BLOCKS}"),
        );
        until(&dir, &LIST, |modules| modules[0]["version"] == version).await;
    }
    // A second manifest is refused, and one file is enough under either name.
    let module_toml = format!("[module]\nname = \"module\"\nversion = \"4\"\n{BLOCKS}");
    dir.write("module.toml", module_toml);
    lines.extend(log.until(|line| line.contains("ERROR") && line.contains("module.toml is a manifest too")));
    std::fs::remove_file(dir.path().join("nexum.toml")).expect("a removal");
    until(&dir, &LIST, |modules| modules[0]["version"] == "4").await;
    terminate(&child);
    lines.extend(log.until(|_| false));
    let reloads = lines
        .iter()
        .filter(|line| line.contains("a file of the module has changed"));
    assert_eq!(reloads.count(), 6, "{}", lines.join("\n"));
    assert_eq!(child.wait_with_output().expect("an end").status.code(), Some(0));
}

#[tokio::test]
async fn a_refused_module_keeps_the_others_from_running_only_if_that_is_wanted() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    dir.write("broken.wasm", "this is no module");
    let modules = format!(
        "[[modules]]\npath = \"broken.wasm\"\n[[modules]]\npath = {:?}\n",
        guests::component("noop").display().to_string()
    );
    let child = start(&dir, &anvil, &modules, &["run"]);
    anvil.mine(1).await;
    until(&dir, &LIST, |modules| modules[0]["handled"].as_u64() >= Some(1)).await;
    terminate(&child);
    assert_eq!(child.wait_with_output().expect("an end").status.code(), Some(0));
    let strict = dir.nexum(&["run", "--strict"]);
    assert_eq!(strict.code, Some(2));
    assert!(strict.stderr.contains("broken.wasm"), "{}", strict.stderr);
}

#[tokio::test]
async fn status_answers_while_other_requests_are_slow() {
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;
    let anvil = Anvil::start();
    let dir = Dir::new();
    let module = guests::component("noop").display().to_string();
    let rpc_url = anvil.ws_url();
    dir.write(
        "engine.toml",
        format!("[chains.11155111]\nrpc_url = {rpc_url:?}\n[[modules]]\npath = {module:?}\n"),
    );
    let mut child = spawn(&dir, &["run"]);
    Log::of(&mut child).until_all(&RUNNING);
    // Requests for each kind of work, with bodies that never end.
    let _slow: Vec<_> = [
        "modules/",
        "modules/noop/reload",
        "modules/noop/stop",
        "state",
        "state/import",
        "query/noop",
    ]
    .iter()
    .flat_map(|path| std::iter::repeat_n(path, 16))
    .map(|path| {
        let mut stream = UnixStream::connect(dir.path().join("data/nexum.sock")).expect("a connection");
        let head = format!("POST /v1/{path} HTTP/1.1\r\nhost: nexum\r\ncontent-type: application/json\r\n");
        let request = format!("{head}content-length: 100\r\n\r\n{{");
        stream.write_all(request.as_bytes()).expect("a request");
        stream
    })
    .collect();
    let status = dir.nexum(&["status"]);
    assert_eq!(status.code, Some(0), "{}", status.stderr);
    let stopped = dir.nexum(&["module", "stop", "noop"]);
    assert_eq!(stopped.code, Some(0), "{}", stopped.stderr);
    terminate(&child);
    assert_eq!(child.wait().expect("an end").code(), Some(0));
}

#[tokio::test]
async fn status_lists_what_was_refused_at_the_start_until_it_is_loaded() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    let (good, bad) = (
        guests::component("noop").display().to_string(),
        dir.path().join("bad.wasm"),
    );
    let rpc_url = anvil.ws_url();
    dir.write("bad.wasm", "no component");
    dir.write(
        "engine.toml",
        format!(
            "[chains.11155111]\nrpc_url = {rpc_url:?}\n[[modules]]\npath = {good:?}\n[[modules]]\npath = {bad:?}\n"
        ),
    );
    let mut child = spawn(&dir, &["run"]);
    Log::of(&mut child).until_all(&RUNNING);
    let status = ["status", "--format", "json"];
    let modules = json(&dir, &status);
    let refused = &modules[1];
    assert_eq!(
        (&refused["name"], &refused["stage"]),
        (&"<dir>/bad.wasm".into(), &"refused".into())
    );
    let reason = refused["reason"].as_str().expect("a reason");
    assert!(reason.contains("bad.wasm is not WebAssembly"), "{reason}");
    assert_eq!(modules[0]["name"], "noop");
    // The operator repairs the file, gives it another name in the manifest, and loads it.
    std::fs::copy(guests::component("noop"), &bad).expect("a copy");
    std::fs::copy(
        guests::component("noop").with_file_name("nexum.toml"),
        dir.path().join("nexum.toml"),
    )
    .ok();
    let load = dir.nexum(&["module", "load", "bad.wasm", "--name", "mended"]);
    assert_eq!(load.code, Some(0), "{}", load.stderr);
    let modules = json(&dir, &status);
    let stages: Vec<_> = modules
        .as_array()
        .expect("modules")
        .iter()
        .map(|module| &module["stage"])
        .collect();
    assert!(!stages.contains(&&"refused".into()), "{modules:#}");
    terminate(&child);
    assert_eq!(child.wait().expect("an end").code(), Some(0));
}
