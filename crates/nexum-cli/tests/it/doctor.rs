//! `nexum doctor` and `nexum check --online`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use nexum_testing::{Anvil, guests};
use serde_json::{Value, json};

use crate::running::{Log, RUNNING, address, spawn, terminate};
use crate::{Dir, Ran};

/// The findings of `nexum doctor`, and its exit code.
fn doctor(dir: &Dir) -> (Option<i32>, Vec<Value>) {
    let ran = dir.nexum(&["doctor", "--format", "json"]);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}", ran.stderr));
    (ran.code, report["findings"].as_array().expect("findings").clone())
}

/// The findings of an area whose subject contains a text.
fn of<'a>(findings: &'a [Value], area: &str, subject: &str) -> Vec<&'a Value> {
    let is_wanted =
        |finding: &&Value| finding["area"] == area && finding["subject"].as_str().expect("a subject").contains(subject);
    findings.iter().filter(is_wanted).collect()
}

/// The only finding of [`of`] with a text.
#[track_caller]
fn one<'a>(findings: &'a [Value], area: &str, subject: &str, text: &str) -> &'a Value {
    let mut found = of(findings, area, subject);
    found.retain(|finding| finding["text"].as_str().expect("a text").contains(text));
    assert_eq!(found.len(), 1, "{area} {subject} {text}: {findings:#?}");
    found[0]
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn module(name: &str) -> String {
    format!(
        "[[modules]]\npath = {:?}\n",
        guests::component(name).display().to_string()
    )
}

#[test]
fn a_doctor_without_a_daemon_names_open_rights_and_leaves_no_file() {
    let dir = Dir::new();
    dir.write("engine.toml", module("query-echo"));
    let state = dir.path().join("data");
    fs::create_dir(&state).expect("a directory");
    fs::write(state.join("state.redb"), "").expect("a file");
    fs::set_permissions(&state, Permissions::from_mode(0o755)).expect("a mode");
    fs::set_permissions(state.join("state.redb"), Permissions::from_mode(0o644)).expect("a mode");

    let (code, findings) = doctor(&dir);
    assert_eq!(code, Some(0), "{findings:#?}");
    let open = one(&findings, "rights", "data", "other users");
    assert_eq!(open["state"], "warning");
    assert_eq!(open["text"], "other users have rights to . (0755), state.redb (0644)");
    assert_eq!(open["remedy"], "chmod -R go= './data'");
    let daemon = one(&findings, "daemon", "nexum.sock", "no daemon runs here");
    assert_eq!(
        (&daemon["state"], &daemon["remedy"]),
        (&json!("unknown"), &json!("start it with `nexum run`"))
    );
    let disk = of(&findings, "disk", "data");
    assert_eq!(disk.len(), 2, "{disk:#?}");
    assert!(disk[0]["text"].as_str().expect("a text").ends_with(" free"));
    assert!(
        disk[1]["text"]
            .as_str()
            .expect("a text")
            .starts_with("a durable write takes ")
    );
    assert_eq!(
        one(&findings, "clock", "system clock", "no endpoint")["state"],
        "unknown"
    );
    assert_eq!(one(&findings, "modules", "query-echo", "passes")["state"], "ok");
    assert_eq!(names(&state), ["state.redb"]);

    let remedied = Command::new("sh")
        .current_dir(dir.path())
        .args(["-c", "chmod -R go= './data'"])
        .status();
    assert!(remedied.expect("sh").success());
    let (_, findings) = doctor(&dir);
    assert_eq!(one(&findings, "rights", "data", "only user")["state"], "ok");
}

#[test]
fn a_faulty_configuration_is_a_failure_with_its_hint() {
    let dir = Dir::new();
    dir.write(
        "engine.toml",
        "[engine]\npoling = \"off\"\n[[modules]]\npath = \"missing.wasm\"\n",
    );
    let (code, findings) = doctor(&dir);
    assert_eq!(code, Some(1), "{findings:#?}");
    assert_eq!(
        one(&findings, "configuration", "engine.toml", "engine.poling")["state"],
        "failure"
    );
    let missing = one(&findings, "modules", "missing.wasm", "No such file");
    assert_eq!(missing["state"], "failure");
    // Without a table there is no state directory to look at.
    dir.write("engine.toml", "[engine\n");
    let Ran { code, stderr, .. } = dir.nexum(&["doctor"]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.starts_with("error: engine.toml:1:"), "{stderr}");
}

#[test]
fn a_component_without_its_pinned_digest_is_a_failure_that_names_both() {
    let dir = Dir::new();
    dir.guest("query-echo");
    let pinned = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    dir.write(
        "engine.toml",
        format!("[[modules]]\npath = \"query-echo.wasm\"\ndigest = \"{pinned}\"\n"),
    );
    let (code, findings) = doctor(&dir);
    assert_eq!(code, Some(1), "{findings:#?}");
    let drift = one(&findings, "modules", "query-echo.wasm", "pinned digest");
    let inspected = dir.nexum(&["inspect", "query-echo.wasm", "--format", "json"]).stdout;
    let inspected: Value = serde_json::from_str(&inspected).expect("JSON");
    let actual = inspected["digest"].as_str().expect("a digest");
    let text = format!("the component has the digest {actual}, but the pinned digest is {pinned}");
    assert_eq!(drift["text"], text);
    let remedy = format!(
        "restore the file, or if you trust it, set digest = \"{actual}\" in its [[modules]] or in its manifest"
    );
    assert_eq!(drift["remedy"], remedy);
}

#[test]
fn a_running_daemon_shows_its_socket_and_the_components_that_changed_since() {
    let dir = Dir::new();
    dir.guest("query-echo");
    dir.write("engine.toml", "[[modules]]\npath = \"query-echo.wasm\"\n");
    let mut child = spawn(&dir, &["run"]);
    let log = Log::of(&mut child);
    log.until(|line| line.contains("modules are loaded"));

    let (code, findings) = doctor(&dir);
    assert_eq!(code, Some(0), "{findings:#?}");
    let answers = one(&findings, "daemon", "nexum.sock", "answers");
    let text = answers["text"].as_str().expect("a text");
    assert!(text.starts_with(&format!("process {} of user ", child.id())), "{text}");
    let socket = one(&findings, "rights", "nexum.sock", "0600");
    assert_eq!(socket["state"], "ok");
    assert_eq!(
        one(&findings, "modules", "query-echo", "runs the component in")["state"],
        "ok"
    );

    // A newer build that the daemon has not loaded, and a socket that every user may open.
    let other = fs::read(guests::component("noop")).expect("a guest");
    fs::write(dir.path().join("query-echo.wasm"), other).expect("a file");
    fs::set_permissions(dir.path().join("data/nexum.sock"), Permissions::from_mode(0o666)).expect("a mode");
    let (code, findings) = doctor(&dir);
    assert_eq!(code, Some(1), "{findings:#?}");
    let drift = one(&findings, "modules", "query-echo", " is now sha256:");
    assert_eq!(
        (&drift["state"], &drift["remedy"]),
        (&json!("warning"), &json!("nexum module reload query-echo"))
    );
    let socket = one(&findings, "rights", "nexum.sock", "0666");
    assert_eq!(
        (&socket["state"], &socket["remedy"]),
        (&json!("failure"), &json!("chmod 600 './data/nexum.sock'"))
    );
    terminate(&child);
    assert_eq!(child.wait().expect("an end").code(), Some(0));
}

#[test]
fn the_port_of_a_running_daemon_and_the_rights_to_its_token_are_findings() {
    let dir = Dir::new();
    dir.guest("query-echo");
    let token = dir.write("admin.token", "0123456789abcdef0123456789abcdef");
    let set_mode = |mode| fs::set_permissions(&token, Permissions::from_mode(mode)).expect("a mode");
    set_mode(0o600);
    let configure = |listen: &str| {
        let admin = format!("[admin]\nlisten = {listen:?}\ntoken_file = \"admin.token\"\n");
        dir.write(
            "engine.toml",
            format!("{admin}[[modules]]\npath = \"query-echo.wasm\"\n"),
        );
    };
    configure("127.0.0.1:0");
    let (_, findings) = doctor(&dir);
    let port = one(&findings, "daemon", "admin.listen", "no daemon runs here");
    assert_eq!(port["state"], "unknown");

    let opened = "accepting commands with a token";
    let mut child = spawn(&dir, &["run"]);
    let lines = Log::of(&mut child).until_all(&[opened, "modules are loaded"]);
    let (_, findings) = doctor(&dir);
    let port = one(&findings, "daemon", "admin.listen", "the port is 0");
    assert_eq!(port["state"], "unknown");
    let address = address(&lines, opened);
    configure(&address);
    let (code, findings) = doctor(&dir);
    assert_eq!(code, Some(0), "{findings:#?}");
    let port = one(&findings, "daemon", "admin.listen", "accepts connections");
    assert_eq!(port["text"], format!("{address} accepts connections"));
    let rights = one(&findings, "rights", "admin.token_file", "only user");
    assert_eq!(rights["state"], "ok");

    // Rights that the daemon refuses at its next start, and those that it accepts.
    set_mode(0o644);
    let (code, findings) = doctor(&dir);
    assert_eq!(code, Some(1), "{findings:#?}");
    let rights = one(&findings, "rights", "admin.token_file", "(mode 0644)");
    assert_eq!(rights["state"], "failure");
    let remedy = rights["remedy"].as_str().expect("a remedy");
    assert!(remedy.starts_with("chmod "), "{remedy}");
    let refused = one(&findings, "configuration", "engine.toml", "admin.token_file: ");
    assert_eq!(refused["state"], "failure");
    set_mode(0o640);
    let (code, findings) = doctor(&dir);
    assert_eq!(code, Some(0), "{findings:#?}");
    let rights = one(&findings, "rights", "admin.token_file", ", group ");
    assert_eq!(rights["state"], "ok");

    // A port that the daemon has not opened.
    configure("127.0.0.1:9");
    let (code, findings) = doctor(&dir);
    assert_eq!(code, Some(1), "{findings:#?}");
    let port = one(&findings, "daemon", "admin.listen", "127.0.0.1:9 accepts no connection");
    assert_eq!(port["state"], "failure");
    let remedy = port["remedy"].as_str().expect("a remedy");
    assert!(remedy.starts_with("restart nexum"), "{remedy}");
    terminate(&child);
    assert_eq!(child.wait().expect("an end").code(), Some(0));
}

#[test]
fn a_low_limit_of_open_files_is_a_warning() {
    let dir = Dir::new();
    dir.write("engine.toml", module("query-echo"));
    let mut command = Command::new("sh");
    let script = "ulimit -n 256; exec \"$0\" doctor --format json";
    let command = command.args(["-c", script, env!("CARGO_BIN_EXE_nexum")]);
    let ran = Ran::new(command.current_dir(dir.path()).output().expect("sh"), dir.path());
    let report: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let findings = report["findings"].as_array().expect("findings");
    let limit = one(
        findings,
        "limits",
        "open files",
        "at most 256, and nexum needs up to 512",
    );
    assert_eq!(limit["state"], "warning");
    assert!(limit["remedy"].as_str().expect("a remedy").contains("LimitNOFILE=512"));
}

fn chains(endpoints: &[&str]) -> String {
    let endpoint = |url: &&str| format!("[[chains.11155111.endpoints]]\nurl = {url:?}\n");
    endpoints.iter().map(endpoint).chain([module("noop")]).collect()
}

#[tokio::test]
async fn each_endpoint_has_findings_and_a_dead_one_fails() {
    let anvil = Anvil::start();
    anvil.mine(2).await;
    let (good, dead) = (anvil.http_url(), "http://127.0.0.1:9");
    let dir = Dir::new();
    dir.write("engine.toml", chains(&[&format!("{good}/?key=hunter2"), dead]));
    let (code, findings) = doctor(&dir);
    assert_eq!(code, Some(1), "{findings:#?}");
    assert_eq!(one(&findings, "endpoints", &good, "chain id: 11155111")["state"], "ok");
    assert_eq!(one(&findings, "endpoints", &good, "head: block ")["state"], "ok");
    assert_eq!(one(&findings, "endpoints", &good, "latency: ")["state"], "ok");
    let checks = of(&findings, "endpoints", &good);
    let checks: Vec<_> = checks
        .iter()
        .filter_map(|finding| finding["text"].as_str()?.split(':').next())
        .collect();
    assert_eq!(
        checks,
        [
            "reachable",
            "chain id",
            "latency",
            "head",
            "log range",
            "batches",
            "archive",
            "push"
        ]
    );
    let failure = one(&findings, "endpoints", dead, "reachable: ");
    assert_eq!(failure["state"], "failure");
    assert_eq!(of(&findings, "endpoints", dead).len(), 1, "{findings:#?}");
    let remedy = failure["remedy"].as_str().expect("a remedy");
    assert!(remedy.contains("check host and port in [chains.11155111]"), "{remedy}");
    assert_eq!(one(&findings, "clock", &good, "clock: ")["state"], "ok");
    assert!(!format!("{findings:?}").contains("hunter2"));

    // `check` has the findings that need the network only with `--online`.
    let ran = dir.nexum(&["check", "--format", "json"]);
    let report: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!((ran.code, &report["online"]), (Some(0), &Value::Null), "{}", ran.stderr);
    let ran = dir.nexum(&["check", "--online", "--format", "json"]);
    let report: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let online = report["online"].as_array().expect("findings");
    let areas: Vec<_> = online.iter().map(|finding| finding["area"].as_str()).collect();
    assert!(
        areas.iter().all(|area| matches!(area, Some("endpoints" | "clock"))),
        "{areas:?}"
    );
    assert_eq!(one(online, "endpoints", dead, "reachable: ")["state"], "failure");

    // A place for transactions gets nothing else, so this one, which does not exist, is no failure.
    let place = "[[chains.11155111.submit]]\nurl = \"http://127.0.0.1:1/hunter2\"\nprivate = true\n";
    dir.write(
        "engine.toml",
        format!("[chains.11155111]\nrpc_url = {good:?}\n{place}{}", module("query-echo")),
    );
    let (_, findings) = doctor(&dir);
    let submit = one(&findings, "endpoints", "http://127.0.0.1:1", "submit: not probed");
    assert_eq!((&submit["state"], &submit["remedy"]), (&json!("ok"), &Value::Null));
    assert!(!format!("{findings:?}").contains("hunter2"));

    // An endpoint of another chain.
    dir.write(
        "engine.toml",
        format!("[chains.5]\nrpc_url = {good:?}\n{}", module("query-echo")),
    );
    let (code, findings) = doctor(&dir);
    assert_eq!(code, Some(1));
    assert_eq!(one(&findings, "endpoints", &good, "chain id: ")["state"], "failure");
}

#[tokio::test]
async fn a_block_from_the_future_means_that_the_clock_is_slow() {
    let anvil = Anvil::start();
    anvil.mine(1).await;
    anvil.request("evm_increaseTime", json!([3_600])).await;
    anvil.mine(1).await;
    let dir = Dir::new();
    dir.write("engine.toml", chains(&[&anvil.http_url()]));
    let (code, findings) = doctor(&dir);
    assert_eq!(code, Some(1), "{findings:#?}");
    let clock = one(&findings, "clock", "http://", "ahead of this machine's clock");
    assert_eq!(clock["state"], "failure");
    let remedy = clock["remedy"].as_str().expect("a remedy");
    assert!(remedy.starts_with("synchronise this machine's clock"), "{remedy}");
}

#[tokio::test]
async fn doctor_looks_at_endpoints_while_the_daemon_follows_them() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    dir.write("engine.toml", chains(&[&anvil.ws_url()]));
    let mut child = spawn(&dir, &["run"]);
    Log::of(&mut child).until_all(&RUNNING);
    anvil.mine(1).await;
    let (_, findings) = doctor(&dir);
    assert_eq!(
        one(&findings, "endpoints", "ws://", "chain id: 11155111")["state"],
        "ok"
    );
    terminate(&child);
    assert_eq!(child.wait().expect("an end").code(), Some(0));
}

#[test]
fn a_finding_is_a_whole_line_at_each_width_and_has_no_colours() {
    let dir = Dir::new();
    dir.write("engine.toml", module("query-echo"));
    for columns in [80, 200] {
        let mut command = dir.command(&["doctor"]);
        let command = command.env("COLUMNS", columns.to_string()).env("NO_COLOR", "1");
        let ran = Ran::new(command.output().expect("the binary"), dir.path());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert!(
            ran.stdout.starts_with("ok       build          nexum "),
            "{}",
            ran.stdout
        );
        assert!(!ran.stdout.contains('\u{1b}'));
        assert!(
            ran.stdout.contains("\n  hint: start it with `nexum run`\n"),
            "{}",
            ran.stdout
        );
        let count = ran.stdout.trim_end().lines().last().expect("a count");
        assert!(count.starts_with("0 failures, ") && count.ends_with(" ok"), "{count}");
    }
}

/// `engine.toml` with the state in a database, and a password in its address.
#[cfg(feature = "store-postgres")]
fn in_database(url: &str) -> String {
    let mut config = module("query-echo");
    config +=
        &format!("[store]\nbackend = \"postgres\"\nurl = {url:?}\npassword_file = \"password\"\nschema = \"s\"\n");
    config
}

#[cfg(feature = "store-postgres")]
#[test]
fn a_database_has_findings_about_its_tables_and_durable_commits() {
    use nexum_store::{PostgresConfig, init};
    let server = nexum_testing::Postgres::start();
    let dir = Dir::new();
    dir.write("engine.toml", in_database(&server.url()));
    fs::copy(server.password_file(), dir.path().join("password")).expect("a file");
    let database = |online: &[&str], code| {
        let ran = dir.nexum(online);
        assert_eq!(ran.code, Some(code), "{} {}", ran.stdout, ran.stderr);
        assert!(!ran.stdout.contains(server.password()), "{}", ran.stdout);
        let report: Value = serde_json::from_str(&ran.stdout).expect("a report");
        let findings = report.get("findings").unwrap_or(&report["online"]);
        of(findings.as_array().expect("findings"), "database", "state")
            .into_iter()
            .cloned()
            .collect::<Vec<_>>()
    };
    let commands = [
        ["doctor", "--format", "json"].as_slice(),
        &["check", "--online", "--format", "json"],
    ];
    for command in commands {
        let findings = database(command, 1);
        let missing = one(
            &findings,
            "database",
            "state",
            "does not have nexum's tables in the schema s",
        );
        assert_eq!(missing["state"], "failure");
        assert_eq!(missing["remedy"], "create them with `nexum cluster init`");
    }

    let mut config = PostgresConfig::new(server.url());
    config.password_file = Some(server.password_file().into());
    config.schema = "s".to_owned();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(init(&config)).expect("tables");
    server.configure("fsync", "off");
    server.configure("synchronous_commit", "off");
    for command in commands {
        let findings = database(command, 0);
        assert_eq!(findings.len(), 3, "{findings:#?}");
        for (text, remedy) in [
            ("synchronous_commit = off: a crash", "set `synchronous_commit = on`"),
            ("fsync = off: a power failure", "set `fsync = on`"),
            ("no standby: ", "add a standby"),
        ] {
            let found = one(&findings, "database", "state", text);
            assert_eq!(found["state"], "warning");
            assert!(
                found["remedy"].as_str().expect("a remedy").starts_with(remedy),
                "{found}"
            );
        }
    }

    server.configure("fsync", "on");
    server.configure("synchronous_commit", "on");
    server.configure("synchronous_standby_names", "standby");
    let _standby = server.standby("standby");
    let mut findings = database(commands[0], 0);
    while findings.iter().any(|finding| finding["state"] == "warning") {
        findings = database(commands[0], 0);
    }
    assert_eq!(
        findings[0]["text"],
        "reachable, and its settings keep acknowledged commits"
    );
}

#[cfg(feature = "store-postgres")]
#[test]
fn a_database_that_is_not_reachable_is_a_failure_without_its_password() {
    let dir = Dir::new();
    dir.write(
        "engine.toml",
        in_database("postgres://nexum:in-the-address@127.0.0.1:1/nexum"),
    );
    fs::write(dir.path().join("password"), "in-the-file").expect("a file");
    fs::set_permissions(dir.path().join("password"), Permissions::from_mode(0o600)).expect("a mode");
    for command in [
        ["doctor"].as_slice(),
        &["check", "--online"],
        &["config", "show", "--effective"],
    ] {
        let Ran { stdout, stderr, .. } = dir.nexum(command);
        let said = stdout + &stderr;
        assert!(
            !said.contains("in-the-address") && !said.contains("in-the-file"),
            "{said}"
        );
    }
    let (code, findings) = doctor(&dir);
    assert_eq!(code, Some(1));
    let refused = one(
        &findings,
        "database",
        "state",
        "the database nexum on 127.0.0.1 cannot be reached",
    );
    assert_eq!(refused["state"], "failure");
    assert!(
        refused["remedy"].as_str().expect("a remedy").contains("`[store] url`"),
        "{refused}"
    );
}
