//! The API of the daemon over HTTP, on its socket and on its port.

mod audit;
mod crowds;
mod port;
mod schemathesis;

use std::fmt;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use crate::Dir;
use crate::running::{Log, Started, spawn, terminate};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A body that is larger than any message.
const TEN_MEGABYTES: usize = 10 << 20;

/// A daemon that serves a module for queries, with a port.
struct Running {
    dir: Dir,
    child: Started,
    log: Log,
    port: String,
}

impl Running {
    fn start(engine: &str) -> Self {
        let dir = Dir::new();
        dir.guest("query-echo");
        dir.write(
            "nexum.toml",
            "[module]\nname = \"echo\"\n[capabilities]\nrequired = [\"store\"]\n",
        );
        let token = dir.write("admin.token", format!("{TOKEN}\n"));
        std::fs::set_permissions(token, PermissionsExt::from_mode(0o600)).expect("a private file");
        dir.write(
            "engine.toml",
            format!(
                "[engine]\nlog_format = \"json\"\n{engine}\n[admin]\nlisten = \"127.0.0.1:0\"\n\
                 token_file = \"admin.token\"\n[[modules]]\npath = \"query-echo.wasm\"\n"
            ),
        );
        let mut child = spawn(&dir, &["run"]);
        let log = Log::of(&mut child);
        let lines = log.until_all(&["accepting commands with a token", "modules are loaded"]);
        let line = lines.iter().find(|line| line.contains("accepting commands"));
        let line: Value = serde_json::from_str(line.expect("a record")).expect("JSON");
        let port = line["address"].as_str().expect("an address").to_owned();
        Self { dir, child, log, port }
    }

    fn socket(&self) -> UnixStream {
        UnixStream::connect(self.dir.path().join("data/nexum.sock")).expect("a connection")
    }

    fn tcp(&self) -> TcpStream {
        TcpStream::connect(&self.port).expect("a connection")
    }

    /// Sends a request to the socket.
    fn ask(&self, request: &str, body: &[u8]) -> Answer {
        Answer::to(self.socket(), request, body)
    }

    /// Stops the daemon. Returns the rest of its log.
    fn stop(mut self) -> Vec<Value> {
        terminate(&self.child);
        let lines = self.log.until(|_| false);
        assert_eq!(self.child.wait().expect("an end").code(), Some(0));
        lines
            .iter()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }
}

/// A response.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    /// Sends a request: its first line without the version, and its headers.
    fn to(mut stream: impl Read + Write, request: &str, body: &[u8]) -> Self {
        let (first, headers) = request.split_once('\n').unwrap_or((request, ""));
        let headers: String = headers.lines().map(|header| format!("{header}\r\n")).collect();
        let head = format!(
            "{first} HTTP/1.1\r\nhost: nexum\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
            body.len()
        );
        // The server may refuse the request before it has read all of it.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        let mut answer = Vec::new();
        // A connection that is closed with unread data is reset after the answer.
        let _ = stream.read_to_end(&mut answer);
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Self {
            status: status.expect("a status"),
            head,
            body: answer[end + 4..].to_vec(),
        }
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    fn code(&self) -> Value {
        self.json()["code"].clone()
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.head, String::from_utf8_lossy(&self.body))
    }
}

const JSON: &str = "content-type: application/json";

/// Requests, each with its path in the document and its outcome: the status, and the code of an error.
#[rustfmt::skip]
const REQUESTS: &[(&str, &str, &str, u16, &str)] = &[
    ("GET /v1/errors", "", "/v1/errors", 200, ""),
    ("GET /v1/openapi.json", "", "/v1/openapi.json", 200, ""),
    ("GET /v1/modules", "", "/v1/modules", 200, ""),
    ("GET /v1/accounts", "", "/v1/accounts", 200, ""),
    ("GET /v1/accounts/nobody", "", "/v1/accounts/{account}", 404, "account-not-found"),
    ("POST /v1/accounts/nobody/sync\ncontent-type: application/json", "{}", "/v1/accounts/{account}/sync", 404, "account-not-found"),
    ("POST /v1/accounts/nobody/sync\ncontent-type: application/json", "{\"chain\": 1}", "/v1/accounts/{account}/sync", 400, "invalid-request"),
    ("GET /v1/transactions", "", "/v1/transactions", 200, ""),
    ("GET /v1/transactions?account=nobody", "", "/v1/transactions", 404, "account-not-found"),
    ("GET /v1/transactions?limit=1001", "", "/v1/transactions", 400, "invalid-request"),
    ("GET /v1/chains", "", "/v1/chains", 200, ""),
    ("GET /v1/health", "", "/v1/health", 200, ""),
    ("GET /v1/config", "", "/v1/config", 200, ""),
    ("POST /v1/reload\ncontent-type: application/json", "{\"dry_run\": true}", "/v1/reload", 200, ""),
    ("GET /v1/logs", "", "/v1/logs", 200, ""),
    ("GET /v1/logs?limit=10001", "", "/v1/logs", 400, "invalid-request"),
    ("GET /v1/logs?module=nobody", "", "/v1/logs", 404, "module-not-found"),
    ("GET /v1/logs?follow=true\nlast-event-id: x", "", "/v1/logs", 400, "invalid-request"),
    ("GET /v1/events", "", "/v1/events", 200, ""),
    ("GET /v1/log-level", "", "/v1/log-level", 200, ""),
    ("PUT /v1/log-level\ncontent-type: application/json", "{\"directives\": \"info\"}", "/v1/log-level", 200, ""),
    ("PUT /v1/log-level\ncontent-type: application/json", "{\"directives\": \"nexum=loud\"}", "/v1/log-level", 400, "invalid-request"),
    ("POST /v1/notify/test", "", "/v1/notify/test", 409, "notify-unconfigured"),
    ("GET /v1/modules/echo", "", "/v1/modules/{name}", 200, ""),
    ("GET /v1/modules/nobody", "", "/v1/modules/{name}", 404, "module-not-found"),
    ("GET /v1/modules/No%20Name", "", "/v1/modules/{name}", 400, "invalid-request"),
    ("GET /v1/modules/%ff", "", "/v1/modules/{name}", 400, "invalid-request"),
    ("GET /v1/modules/..%2f..%2fetc%2fpasswd", "", "/v1/modules/{name}", 400, "invalid-request"),
    ("GET /v1/modules/echo/limits", "", "/v1/modules/{name}/limits", 200, ""),
    ("GET /v1/modules/nobody/limits", "", "/v1/modules/{name}/limits", 404, "module-not-found"),
    ("GET /v1/modules/echo/history?limit=500&before=1", "", "/v1/modules/{name}/history", 200, ""),
    ("GET /v1/modules/nobody/history", "", "/v1/modules/{name}/history", 404, "module-not-found"),
    ("GET /v1/modules/echo/history?limit=0", "", "/v1/modules/{name}/history", 400, "invalid-request"),
    ("GET /v1/explain?of=echo@1", "", "/v1/explain", 200, ""),
    ("GET /v1/explain?of=nobody", "", "/v1/explain", 200, ""),
    ("GET /v1/explain?of=echo@latest", "", "/v1/explain", 400, "invalid-request"),
    ("GET /v1/explain", "", "/v1/explain", 400, "invalid-request"),
    ("GET /v1/modules/echo/functions", "", "/v1/modules/{name}/functions", 200, ""),
    ("GET /v1/modules/nobody/functions", "", "/v1/modules/{name}/functions", 404, "module-not-found"),
    ("POST /v1/modules", "{}", "/v1/modules", 415, "unsupported-media-type"),
    ("POST /v1/modules\ncontent-type: application/json", "{", "/v1/modules", 400, "invalid-request"),
    ("POST /v1/modules\ncontent-type: application/json", "{\"path\": 1}", "/v1/modules", 400, "invalid-request"),
    ("POST /v1/modules\ncontent-type: application/json", "{\"path\": \"/a.wasm\", \"more\": 1}", "/v1/modules", 400, "invalid-request"),
    ("POST /v1/modules\ncontent-type: application/json", "{\"path\": \"/a.wasm\", \"name\": \"A!\"}", "/v1/modules", 400, "invalid-request"),
    ("POST /v1/modules\ncontent-type: application/json", "{\"path\": \"/missing.wasm\"}", "/v1/modules", 422, "module-refused"),
    ("POST /v1/modules/nobody/reload", "", "/v1/modules/{name}/reload", 404, "module-not-found"),
    ("POST /v1/modules/echo/reload", "", "/v1/modules/{name}/reload", 200, ""),
    ("POST /v1/modules/echo/stop", "", "/v1/modules/{name}/stop", 409, "module-has-no-events"),
    ("POST /v1/modules/echo/start", "", "/v1/modules/{name}/start", 409, "module-has-no-events"),
    ("POST /v1/modules/echo/restart", "", "/v1/modules/{name}/restart", 409, "module-has-no-events"),
    ("POST /v1/modules/nobody/restart", "", "/v1/modules/{name}/restart", 404, "module-not-found"),
    ("DELETE /v1/modules/nobody", "", "/v1/modules/{name}", 404, "module-not-found"),
    ("GET /v1/modules/echo/dead-letters", "", "/v1/modules/{name}/dead-letters", 200, ""),
    ("GET /v1/modules/nobody/dead-letters?limit=1", "", "/v1/modules/{name}/dead-letters", 404, "module-not-found"),
    ("GET /v1/modules/echo/dead-letters?limit=x", "", "/v1/modules/{name}/dead-letters", 400, "invalid-request"),
    ("GET /v1/modules/echo/dead-letters?more=1", "", "/v1/modules/{name}/dead-letters", 400, "invalid-request"),
    ("GET /v1/modules/nobody/dead-letters/1:2:block", "", "/v1/modules/{name}/dead-letters/{event}", 404, "module-not-found"),
    ("DELETE /v1/modules/nobody/dead-letters/1:2:block", "", "/v1/modules/{name}/dead-letters/{event}", 404, "module-not-found"),
    ("POST /v1/modules/nobody/dead-letters/1:2:block/retry", "", "/v1/modules/{name}/dead-letters/{event}/retry", 404, "module-not-found"),
    ("GET /v1/effects", "", "/v1/effects", 200, ""),
    ("GET /v1/effects?module=echo&state=unknown&limit=1000", "", "/v1/effects", 200, ""),
    ("GET /v1/effects?module=nobody", "", "/v1/effects", 404, "module-not-found"),
    ("GET /v1/effects?limit=1001", "", "/v1/effects", 400, "invalid-request"),
    ("GET /v1/effects?state=lost", "", "/v1/effects", 400, "invalid-request"),
    ("GET /v1/modules/echo/effects/1:2:block/1", "", "/v1/modules/{name}/effects/{event}/{number}", 404, "effect-not-found"),
    ("GET /v1/modules/echo/effects/1:2:block/x", "", "/v1/modules/{name}/effects/{event}/{number}", 400, "invalid-request"),
    ("POST /v1/modules/nobody/effects/1:2:block/1/resolve\ncontent-type: application/json", "{\"as\": \"done\"}", "/v1/modules/{name}/effects/{event}/{number}/resolve", 404, "module-not-found"),
    ("POST /v1/modules/echo/effects/1:2:block/1/resolve\ncontent-type: application/json", "{\"as\": \"maybe\"}", "/v1/modules/{name}/effects/{event}/{number}/resolve", 400, "invalid-request"),
    ("POST /v1/modules/echo/effects/1:2:block/1/resolve\ncontent-type: application/json", "{\"as\": \"not-sent\", \"answer\": {\"text\": \"\"}}", "/v1/modules/{name}/effects/{event}/{number}/resolve", 400, "invalid-request"),
    ("POST /v1/state\ncontent-type: application/json", "{\"list\": {\"format\": \"json\"}}", "/v1/state", 200, ""),
    ("POST /v1/state\ncontent-type: application/json", "\"compact\"", "/v1/state", 409, "state-in-use"),
    ("POST /v1/state\ncontent-type: application/json", "{\"purge\": {\"module\": \"echo\"}}", "/v1/state", 409, "module-loaded"),
    ("POST /v1/state\ncontent-type: application/json", "{\"purge\": {\"module\": \"No Name\"}}", "/v1/state", 400, "invalid-request"),
    ("POST /v1/state\ncontent-type: text/plain", "\"verify\"", "/v1/state", 415, "unsupported-media-type"),
    ("POST /v1/state/import", "no export", "/v1/state/import", 200, ""),
    ("POST /v1/query/echo", "hello", "/v1/query/{module}", 200, ""),
    ("POST /v1/query/echo", "fail", "/v1/query/{module}", 422, "module-returned-error"),
    ("POST /v1/query/echo", "trap", "/v1/query/{module}", 500, "module-trapped"),
    ("POST /v1/query/nobody", "", "/v1/query/{module}", 404, "module-not-found"),
    ("POST /v1/query/echo/", "{}", "/v1/query/{module}/", 404, "function-not-found"),
    ("POST /v1/query/echo/sum", "{}", "/v1/query/{module}/{function}", 404, "function-not-found"),
    ("DELETE /v1/modules/echo", "", "/v1/modules/{name}", 200, ""),
    ("POST /v1/modules/echo/reload", "", "/v1/modules/{name}/reload", 404, "module-not-found"),
];

#[test]
fn each_request_has_an_outcome_that_the_document_describes() {
    let running = Running::start("");
    let document = running.ask("GET /v1/openapi.json", b"").json();
    let mut left: Vec<String> = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        left.extend(
            item.as_object()
                .expect("methods")
                .keys()
                .map(|method| format!("{method} {path}")),
        );
    }
    for (request, body, path, status, code) in REQUESTS {
        let answer = running.ask(request, body.as_bytes());
        assert_eq!(answer.status, *status, "{request} {body}: {answer}");
        let method = request.split(' ').next().expect("a method").to_lowercase();
        let described = &document["paths"][path][&method]["responses"][status.to_string()];
        assert!(described.is_object(), "{request}: {status} is not in the document");
        left.retain(|operation| *operation != format!("{method} {path}"));
        if code.is_empty() {
            continue;
        }
        assert_eq!(answer.code(), json!(code), "{request} {body}: {answer}");
        let description = described["description"].as_str().expect("a description");
        assert!(description.contains(&format!("`{code}`")), "{request}: {description}");
        assert!(answer.head.contains("x-content-type-options: nosniff"), "{answer}");
        let hint = answer.json()["hint"].as_str().expect("a hint").to_owned();
        assert!(
            hint.contains("`nexum ") && !hint.contains("MODULE"),
            "{request}: {hint}"
        );
    }
    assert_eq!(left, Vec::<String>::new(), "operations without a request");
    running.stop();
}

#[test]
fn a_request_that_no_route_takes_has_an_error_of_the_one_shape() {
    let running = Running::start("");
    let large = vec![b'a'; TEN_MEGABYTES];
    for (request, body, status, code) in [
        ("GET /", &b""[..], 404, "path-not-found"),
        ("GET /v1", b"", 404, "path-not-found"),
        ("GET /v1/nothing", b"", 404, "path-not-found"),
        ("GET /v1/modules/a/b/c", b"", 404, "path-not-found"),
        ("PUT /v1/modules", b"", 405, "method-not-allowed"),
        ("PATCH /v1/modules/echo", b"", 405, "method-not-allowed"),
        ("GET /v1/state", b"", 405, "method-not-allowed"),
        ("DELETE /v1/query/echo", b"", 405, "method-not-allowed"),
        ("GET /v1/modules", &large, 413, "body-too-large"),
        (
            "POST /v1/modules\ncontent-type: application/json",
            &large,
            413,
            "body-too-large",
        ),
        ("POST /v1/query/echo", &large, 413, "body-too-large"),
        (
            "POST /v1/modules/echo/stop\nnexum-reason: %zz",
            b"",
            400,
            "invalid-request",
        ),
    ] {
        let answer = running.ask(request, body);
        assert_eq!(answer.status, status, "{request}: {answer}");
        let error = answer.json();
        assert_eq!(error["code"], code, "{request}");
        assert!(
            error["error"].is_string() && error["hint"].is_string(),
            "{request}: {error}"
        );
    }
    let long = format!("GET /v1/modules\ncookie: {}", "a".repeat(64 << 10));
    assert_eq!(running.ask(&long, b"").status, 431);
    let reason = format!("POST /v1/modules/echo/stop\nnexum-reason: {}", "a".repeat(501));
    assert_eq!(running.ask(&reason, b"").code(), "invalid-request");
    // A faulty import of any size is refused in its frames.
    let import = running.ask("POST /v1/state/import", &large);
    assert_eq!(import.status, 200, "{}", import.head);
    let text = String::from_utf8_lossy(&import.body);
    assert!(text.contains("\"code\":\"state-task-failed\""), "{text}");
    assert_eq!(running.ask(&format!("GET /v1/modules\n{JSON}"), b"").status, 200);
    running.stop();
}

#[test]
fn the_command_line_explains_each_code() {
    let dir = Dir::new();
    let listed = dir.nexum(&["errors", "--format", "json"]);
    let listed: Value = serde_json::from_str(&listed.stdout).expect("JSON");
    for code in listed.as_array().expect("codes") {
        let word = code["code"].as_str().expect("a code");
        let explained = dir.nexum(&["errors", word, "--format", "json"]);
        assert_eq!(serde_json::from_str::<Value>(&explained.stdout).expect("JSON"), *code);
    }
    let running = Running::start("");
    assert_eq!(running.ask("GET /v1/errors", b"").json(), listed);
    running.stop();
    insta::assert_snapshot!(dir.nexum(&["errors", "module-not-found"]).stdout);
    insta::assert_snapshot!(dir.nexum(&["errors", "no-such-code"]).stderr, @r"
    error: there is no error code `no-such-code`
      hint: list the codes with `nexum errors`
    ");
}

#[test]
fn a_stream_ends_with_an_event_when_the_daemon_stops() {
    let running = Running::start("");
    let mut stream = running.socket();
    let request = "GET /v1/events HTTP/1.1\r\nhost: nexum\r\naccept: text/event-stream\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("a request");
    let mut begin = Vec::new();
    while !begin.ends_with(b": nexum\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a comment");
        begin.push(byte[0]);
    }
    running.stop();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).expect("the end of the stream");
    assert!(
        rest.contains("event: end\ndata: {\"reason\":\"nexum is stopping\"}\n"),
        "{rest}"
    );
}
