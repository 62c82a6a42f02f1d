//! Queries for a module of the running daemon: `nexum query`, and HTTP.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

use serde_json::Value;

use crate::Dir;
use crate::running::{Start as _, Started, read_until, spawn, terminate};

/// The largest query, equal to the core's bound.
const INPUT_BYTES_MAX: usize = 1 << 20;

/// A daemon that serves only the fixture.
struct Running {
    dir: Dir,
    child: Started,
    address: String,
}

impl Running {
    fn start(config: &str) -> Self {
        let dir = Dir::new();
        dir.guest("query-echo");
        dir.write(
            "nexum.toml",
            "[module]\nname = \"echo\"\n[capabilities]\nrequired = [\"store\"]\n",
        );
        dir.write(
            "engine.toml",
            format!(
                "[engine]\nlog_format = \"json\"\n{config}\n[query]\nlisten = \"127.0.0.1:0\"\n\
                 [[modules]]\npath = \"query-echo.wasm\"\n"
            ),
        );
        let mut child = spawn(&dir, &["run"]);
        let lines = read_until(&mut child, |line| line.contains("accepting queries"));
        let line: Value = serde_json::from_str(lines.last().expect("a line")).expect("JSON");
        let address = line["address"].as_str().expect("an address").to_owned();
        let running = Self { dir, child, address };
        let serves = |status: &Value| status[0]["stage"] == "serving";
        while !serves(&running.json(&["module", "list", "--format", "json"])) {}
        running
    }

    fn json(&self, args: &[&str]) -> Value {
        let ran = self.dir.nexum(args);
        serde_json::from_str(&ran.stdout).unwrap_or_default()
    }

    fn connect(&self, head: &str, body: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).expect("a connection");
        let head = format!(
            "{head}\r\nhost: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            self.address,
            body.len()
        );
        // The server may refuse the request before it has read all of it.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        stream
    }

    /// The status, the head and the body of a response.
    fn post(&self, head: &str, body: &[u8]) -> (u16, String, Vec<u8>) {
        let mut answer = Vec::new();
        self.connect(head, body).read_to_end(&mut answer).expect("an answer");
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("a status"), head, answer[end + 4..].to_vec())
    }

    fn ask(&self, question: &str) -> (u16, String, Vec<u8>) {
        self.post("POST /v1/query/echo HTTP/1.1", question.as_bytes())
    }

    fn stop(mut self) {
        terminate(&self.child);
        assert_eq!(self.child.wait().expect("an end").code(), Some(0));
    }
}

#[test]
fn each_outcome_has_its_status() {
    let running = Running::start("[engine.limits]\nfuel_per_event = 10000000\n");
    let (status, head, body) = running.ask("hello");
    assert_eq!((status, body.as_slice()), (200, &b"hello"[..]), "{head}");
    assert!(head.contains("content-type: application/octet-stream"), "{head}");
    for (question, status, code, error) in [
        ("fail", 422, "module-returned-error", "the module returned an error"),
        ("trap", 500, "module-trapped", "the log says where, at request 3"),
        (
            "spin",
            500,
            "limit-exceeded",
            "limit fuel_per_event = 10000000 exceeded",
        ),
        ("answer 5000000", 500, "answer-too-large", "has 5000000 bytes"),
    ] {
        let (found, head, body) = running.ask(question);
        let fault: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!((found, &fault["code"]), (status, &code.into()), "{question}: {head}");
        let text = fault["error"].as_str().expect("a text");
        assert!(text.contains(error), "{question}: {text}");
        assert_eq!(fault["host_error"].is_object(), question == "fail", "{fault}");
    }
    let (_, _, body) = running.ask("fail");
    let fault: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(
        (&fault["host_error"]["kind"], &fault["host_error"]["code"]),
        (&"invalid-input".into(), &7.into())
    );
    for (head, status) in [
        ("POST /v1/query/nobody HTTP/1.1", 404),
        ("POST /v1/query/No%20Name HTTP/1.1", 400),
        ("POST /v1/modules/echo/stop HTTP/1.1", 404),
        ("GET /v1/query/echo HTTP/1.1", 405),
        ("POST /v1/query/echo HTTP/1.1\r\norigin: http://example.com", 403),
    ] {
        assert_eq!(running.post(head, b"hello").0, status, "{head}");
    }
    let largest = vec![0xff; INPUT_BYTES_MAX];
    let (status, _, body) = running.post("POST /v1/query/echo HTTP/1.1", &largest);
    assert_eq!((status, body.len()), (200, INPUT_BYTES_MAX));
    let mut stream = TcpStream::connect(&running.address).expect("a connection");
    let head = format!(
        "POST /v1/query/echo HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n",
        INPUT_BYTES_MAX + 1
    );
    stream.write_all(head.as_bytes()).expect("a head");
    stream.write_all(&largest).expect("a body");
    stream.write_all(&[0]).expect("a body");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 413");
    running.stop();
}

#[test]
fn a_rush_is_turned_away_and_told_when_to_come_back() {
    let running = Running::start(
        "[engine.limits]\nfuel_per_event = 100000000000000\nevent_deadline_ms = 3000\n\
         [engine.query]\npool_size_max = 1\nwaiters_max = 1\nwait_ms_max = 200\n",
    );
    let mut spinning = running.connect("POST /v1/query/echo HTTP/1.1", b"spin");
    let queries = |key: &str| running.json(&["status", "--format", "json"])[0]["queries"][key].clone();
    while queries("in_flight") != 1 {}
    let (status, head, body) = running.ask("hello");
    let fault: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!((status, &fault["code"]), (503, &"query-not-begun".into()), "{head}");
    assert!(head.contains("retry-after: 1"), "{head}");
    // Of two concurrent queries, one waits and the other finds no room to wait.
    let calls: Vec<_> = (0..2)
        .map(|_| running.connect("POST /v1/query/echo HTTP/1.1", b"hello"))
        .collect();
    let mut statuses: Vec<_> = calls
        .into_iter()
        .map(|mut call| {
            let mut answer = String::new();
            call.read_to_string(&mut answer).expect("an answer");
            assert!(answer.contains("retry-after: 1"), "{answer}");
            answer[9..12].to_owned()
        })
        .collect();
    statuses.sort();
    assert_eq!(statuses, ["429", "503"]);
    let mut answer = String::new();
    spinning.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 504"), "{answer}");
    assert_eq!(running.ask("count").2, b"1");
    running.stop();
}

#[test]
fn a_module_that_keeps_failing_is_suspended_and_a_reload_ends_that() {
    let running = Running::start(
        "[engine.restart]\nbackoff_ms = 3600000\nbackoff_max_ms = 3600000\nmax_consecutive_failures = 2\n",
    );
    for _ in 0..2 {
        assert_eq!(running.ask("trap").0, 500);
    }
    let (status, head, body) = running.ask("hello");
    let fault: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!((status, &fault["code"]), (503, &"module-suspended".into()), "{head}");
    let after = head.lines().find_map(|line| line.strip_prefix("retry-after: "));
    let after: u64 = after.and_then(|seconds| seconds.parse().ok()).expect("a number");
    assert!((1_790..=3_600).contains(&after), "{after}");
    let expected = "the module is suspended, because it failed too often; ask again in ";
    assert!(
        fault["error"].as_str().is_some_and(|text| text.starts_with(expected)),
        "{fault}"
    );
    let asked = running.dir.nexum(&["query", "echo", "--input", "hello"]);
    assert_eq!(asked.code, Some(2), "{}", asked.stderr);
    assert!(asked.stderr.contains(expected), "{}", asked.stderr);

    let status = running.json(&["status", "--format", "json"]);
    let module = &status[0];
    assert_eq!(module["stage"], "suspended", "{module}");
    let ms = |key: &str| module["queries"]["suspension"][key].as_u64().expect("a time");
    let pause_ms = ms("until_ms") - ms("since_ms");
    assert!((1_800_000..=3_600_000).contains(&pause_ms), "{pause_ms}");
    let shown = running.dir.nexum(&["status"]).stdout;
    let line = shown.lines().find(|line| line.starts_with("echo is suspended since "));
    let line = line.unwrap_or_else(|| panic!("{shown}"));
    assert!(
        line.contains(" until ") && line.contains(": 2 failures in a row; the last: the module trapped at request 2:"),
        "{line}"
    );

    let health = running.dir.nexum(&["health", "--format", "json"]);
    let problems: Value = serde_json::from_str(&health.stdout).expect("JSON");
    let problem = &problems["problems"][0];
    assert_eq!(
        (health.code, &problem["module"]),
        (Some(1), &"echo".into()),
        "{problem}"
    );
    let reason = problem["reason"].as_str().unwrap_or_default();
    assert!(reason.starts_with("queries suspended: 2 failures in a row"), "{reason}");
    assert!(problem["since_ms"].is_u64(), "{problem}");

    let reloaded = running.dir.nexum(&["module", "reload", "echo"]);
    assert_eq!(reloaded.code, Some(0), "{}", reloaded.stderr);
    assert_eq!(running.ask("hello").2, b"hello");
    assert_eq!(running.dir.nexum(&["health"]).code, Some(0));
    let serving = &running.json(&["status", "--format", "json"])[0];
    assert_eq!(
        (&serving["stage"], &serving["reason"]),
        (&"serving".into(), &"the module answers queries".into())
    );
    assert!(serving["reason_since_ms"].is_u64(), "{serving}");
    running.stop();
}

#[test]
fn an_operator_asks_and_sees_what_was_asked() {
    let running = Running::start("");
    let dir = &running.dir;
    dir.write("question", [0xff, 0]);
    for (args, expected) in [
        (&["--input", "hello"][..], "hello"),
        (&["--input", "hello", "--format", "text"], "hello\n"),
        (&["--input-hex", "0x00ff", "--format", "hex"], "0x00ff\n"),
        (&["--input-file", "question", "--format", "hex"], "0xff00\n"),
        (&["--input", "{\"a\":1}", "--format", "json"], "{\n  \"a\": 1\n}\n"),
    ] {
        let ran = dir.nexum(&[&["query", "echo"], args].concat());
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (Some(0), expected),
            "{args:?}: {}",
            ran.stderr
        );
    }
    let mut piped = dir.command(&["query", "echo", "--input-file", "-"]);
    let mut piped = piped.stdin(Stdio::piped()).stdout(Stdio::piped()).start();
    piped
        .stdin
        .take()
        .expect("a pipe")
        .write_all(b"from a pipe")
        .expect("a question");
    assert_eq!(piped.wait_with_output().expect("an end").stdout, b"from a pipe");
    for (args, code, expected) in [
        (
            &["echo", "--input", "fail"][..],
            1,
            "error[module-returned-error]: the module returned an error: query-echo invalid-input: it was told to",
        ),
        (
            &["echo", "--input-hex", "0xff", "--format", "text"],
            2,
            "use `--format hex`",
        ),
        (&["echo", "--input-hex", "0xf"], 2, "pairs of hexadecimal digits"),
        (&["nobody", "--input", "hello"], 2, "there is no module nobody"),
        (&["echo"], 2, "--input"),
    ] {
        let ran = dir.nexum(&[&["query"], args].concat());
        assert_eq!(ran.code, Some(code), "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(expected), "{args:?}: {}", ran.stderr);
    }
    let status = running.json(&["status", "--format", "json"]);
    assert_eq!(
        (
            &status[0]["handled"],
            &status[0]["failed"],
            &status[0]["queries"]["idle"]
        ),
        (&7.into(), &1.into(), &1.into()),
        "{status:#}"
    );
    let limits = running.json(&["limits", "echo", "--format", "json"]);
    assert!(limits[0]["most"].as_u64() > Some(0), "{limits:#}");
    running.stop();
}

#[test]
fn a_module_that_answers_queries_is_loaded_reloaded_and_removed() {
    let running = Running::start("");
    let dir = &running.dir;
    for (args, code, expected) in [
        (&["list"][..], 0, "queries, 8 at a time"),
        (&["load", "query-echo.wasm"], 2, "the module echo already exists"),
        (&["load", "query-echo.wasm", "--name", "other"], 0, "other is loaded"),
        (&["reload", "other"], 0, "other is reloaded with sha256:"),
        (&["remove", "other"], 0, "other is removed"),
        (&["reload", "other"], 2, "there is no module other"),
        (
            &["stop", "echo"],
            2,
            "the module echo answers queries and has no events",
        ),
    ] {
        let ran = dir.nexum(&[&["module"], args].concat());
        assert_eq!(ran.code, Some(code), "{args:?}: {}", ran.stderr);
        assert!(
            ran.stdout.contains(expected) || ran.stderr.contains(expected),
            "{args:?}: {}{}",
            ran.stdout,
            ran.stderr
        );
    }
    running.stop();
}

#[test]
fn check_and_inspect_know_the_world() {
    let dir = Dir::new();
    dir.guest("query-echo");
    let found = dir.nexum(&["inspect", "query-echo.wasm"]);
    assert!(
        found.stdout.contains("nexum:host/query-module@0.2.0"),
        "{}",
        found.stdout
    );
    let found = dir.nexum(&["check", "query-echo.wasm"]);
    assert_eq!(found.code, Some(0), "{}", found.stderr);
    for part in ["nexum:host/query-module@0.2.0", "1 module can run, 0 errors"] {
        assert!(found.stdout.contains(part), "{part}: {}", found.stdout);
    }
}

#[test]
fn nobody_else_is_listened_to_unless_that_is_wanted() {
    let dir = Dir::new();
    dir.guest("query-echo");
    for (table, code, expected) in [
        ("listen = \"0.0.0.0:8600\"", 2, "other machines can reach this address"),
        ("listen = \"0.0.0.0:8600\"\nallow_remote = true", 0, ""),
        ("listen = \"[::1]:8600\"", 0, ""),
        ("listen = \"localhost\"", 2, "engine.toml:2"),
        ("port = 1", 2, "unknown key"),
    ] {
        dir.write("engine.toml", format!("[query]\n{table}\n"));
        let ran = dir.nexum(&["check", "query-echo.wasm"]);
        assert_eq!(ran.code, Some(code), "{table}: {}", ran.stderr);
        assert!(ran.stderr.contains(expected), "{table}: {}", ran.stderr);
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    dir.write("engine.toml", format!("[query]\nlisten = \"{address}\"\n"));
    let ran = dir.nexum(&["run", "query-echo.wasm"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(
        ran.stderr.contains(&format!("cannot listen on {address}")),
        "{}",
        ran.stderr
    );
}
