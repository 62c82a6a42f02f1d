//! Functions of a module of the running daemon: `nexum query`, HTTP and `nexum inspect`.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::Dir;
use crate::running::{Started, read_until, spawn, terminate};

/// A daemon that serves the fixture.
struct Running {
    dir: Dir,
    child: Started,
    address: String,
}

impl Running {
    /// `query` has further keys of `[query]`.
    fn start(query: &str) -> Self {
        let dir = Dir::new();
        dir.guest("functions");
        dir.write(
            "nexum.toml",
            "[capabilities]\nrequired = [\"store\"]\noptional = [\"chain\"]\n",
        );
        dir.write(
            "engine.toml",
            format!(
                "[engine]\nlog_format = \"json\"\n[query]\nlisten = \"127.0.0.1:0\"\n{query}\
                 [[modules]]\npath = \"functions.wasm\"\n"
            ),
        );
        let mut child = spawn(&dir, &["run"]);
        let lines = read_until(&mut child, |line| line.contains("accepting queries"));
        let line: Value = serde_json::from_str(lines.last().expect("a line")).expect("JSON");
        let address = line["address"].as_str().expect("an address").to_owned();
        let running = Self { dir, child, address };
        let runs = |status: &Value| status[0]["stage"] == "running";
        while !runs(&running.json(&["status", "--format", "json"])) {}
        running
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.dir.nexum(args).stdout).unwrap_or_default()
    }

    /// The status, the content type and the body of a response.
    fn post(&self, path: &str, body: &str) -> (u16, String, Value) {
        let mut stream = TcpStream::connect(&self.address).expect("a connection");
        let request = format!(
            "POST /v1/query/{path} HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
        let status = head[9..12].parse().expect("a status");
        let kind = field("content-type: ").unwrap_or_default().to_owned();
        (status, kind, serde_json::from_str(body).expect("JSON"))
    }

    fn stop(mut self) {
        terminate(&self.child);
        assert_eq!(self.child.wait().expect("an end").code(), Some(0));
    }
}

#[test]
fn an_operator_lists_and_calls_functions() {
    let running = Running::start("");
    let dir = &running.dir;
    dir.write("args.json", "[[4, 5]]");
    // The test and the daemon have one user.
    let uid = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(dir.path()).expect("a directory"));
    let who = format!("{{\n  \"caller\": \"uid {uid}\",\n  \"request\": \"4\"\n}}\n");
    for (args, expected) in [
        (&["sum", "--args", "{\"numbers\": [1, 2], \"scale\": 2}"][..], "6\n"),
        (&["sum", "--args", "[[1, 2]]", "--format", "raw"], "3"),
        (&["sum", "--args-file", "args.json"], "9\n"),
        (&["who"], &who),
        (&["put", "--args", "[\"a\", \"b\"]"], "null\n"),
        (&["get", "--args", "[\"a\"]", "--format", "text"], "\"b\"\n"),
        (&["--args", "[1]"], "[\n  1\n]\n"),
    ] {
        let ran = dir.nexum(&[&["query", "functions"], args].concat());
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (Some(0), expected),
            "{args:?}: {}",
            ran.stderr
        );
    }
    for (args, code, expected) in [
        (
            &["sum", "--args", "[[-1]]"][..],
            2,
            "error[invalid-arguments]: the arguments do not fit the function: $.numbers[0]: expected u32, found the number -1",
        ),
        (
            &["nothing"],
            2,
            "hint: list the functions with `nexum query functions --list`",
        ),
        (&["../sum"], 2, "is not the name of a function"),
        (
            &["put-and", "--args", "[\"a\", \"fail\"]"],
            1,
            "functions invalid-input: it was told to",
        ),
        (
            &["wrong"],
            1,
            "does not have the listed type: $: expected u8, found the number 300",
        ),
        (
            &["--input", "hello"],
            2,
            "the module answers only calls of its functions",
        ),
        (&["sum", "--input", "hello"], 2, "cannot be used with"),
        (&["--args", "1", "--input", "hello"], 2, "cannot be used with"),
        (&["--list", "--args", "1"], 2, "cannot be used with"),
        (&[], 2, "required arguments were not provided"),
    ] {
        let ran = dir.nexum(&[&["query", "functions"], args].concat());
        assert_eq!(ran.code, Some(code), "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(expected), "{args:?}: {}", ran.stderr);
    }
    let listed = dir.nexum(&["query", "functions", "--list"]).stdout;
    assert!(
        listed.contains("put: func(key: string, value: string) (writeable)\n  Writes a key.\n"),
        "{listed}"
    );
    let listed = running.json(&["query", "functions", "--list", "--format", "json"]);
    assert_eq!(
        listed[2],
        json!({
            "name": "get",
            "parameters": [{ "name": "key", "type": "string" }],
            "result": "option<string>",
            "comment": "Reads a key.",
            "writeable": false,
        })
    );
    let stopped = dir.nexum(&["module", "stop", "functions"]);
    assert_eq!(stopped.code, Some(0), "{}", stopped.stderr);
    let refused = dir.nexum(&["query", "functions", "put", "--args", "[\"a\", \"c\"]"]);
    assert_eq!(refused.code, Some(2));
    insta::assert_snapshot!(refused.stderr, @r"
    error[module-not-running]: the module is stopped
      hint: see its stage and the reason with `nexum status`, then use `nexum module start functions` or `nexum module restart functions`
    ");
    running.stop();
}

#[test]
fn a_client_of_the_port_calls_functions_and_writes_only_where_it_may() {
    let running = Running::start("");
    for (path, body, status, expected) in [
        ("functions/sum", "[[1, 2]]", 200, json!(3)),
        ("functions/get", "{\"key\": \"a\"}", 200, json!(null)),
        ("functions/", "{\"a\": 1}", 200, json!({ "a": 1 })),
        ("functions/sum", "[]", 400, json!("invalid-arguments")),
        ("functions/nothing", "", 404, json!("function-not-found")),
        ("nobody/sum", "", 404, json!("module-not-found")),
        ("functions", "hello", 404, json!("no-evaluate")),
        ("functions/put", "[\"a\", \"b\"]", 403, json!("function-read-only")),
        ("functions/sneak", "[\"a\"]", 422, json!("module-returned-error")),
        ("functions/wrong", "", 500, json!("invalid-result")),
    ] {
        let (found, kind, mut value) = running.post(path, body);
        assert_eq!(kind, "application/json", "{path}");
        if found != 200 {
            value = value["code"].take();
        }
        assert_eq!((found, value), (status, expected), "{path} {body}");
    }
    let (_, _, who) = running.post("functions/who", "");
    let caller = who["caller"].as_str().expect("a caller");
    assert!(caller.starts_with("address 127.0.0.1:"), "{caller}");
    running.stop();

    let running = Running::start("writeable = true\n");
    let (status, _, value) = running.post("functions/put", "[\"a\", \"b\"]");
    assert_eq!((status, value), (200, json!(null)));
    let (status, _, value) = running.post("functions/get", "[\"a\"]");
    assert_eq!((status, value), (200, json!("b")));
    running.stop();
}

#[test]
fn inspect_and_check_read_the_list_in_a_sandbox() {
    let dir = Dir::new();
    dir.guest("functions");
    dir.write(
        "nexum.toml",
        "[capabilities]\nrequired = [\"store\"]\noptional = [\"chain\"]\n",
    );
    let found = dir.nexum(&["inspect", "functions.wasm"]);
    assert_eq!(found.code, Some(0), "{}", found.stderr);
    for part in [
        "nexum:functions/function-module@0.1.0",
        "functions\nsum: func(numbers: list<u32>, scale: option<u32>) -> u64\n    Adds numbers, and multiplies the sum.\n",
    ] {
        assert!(found.stdout.contains(part), "{part}: {}", found.stdout);
    }
    let found = dir.nexum(&["inspect", "--format", "json", "functions.wasm"]);
    let found: Value = serde_json::from_str(&found.stdout).expect("JSON");
    assert_eq!(found["functions"][3]["writeable"], true, "{found:#}");
    let found = dir.nexum(&["check", "functions.wasm"]);
    assert_eq!(found.code, Some(0), "{}", found.stderr);

    dir.guest("bad-functions");
    for command in ["inspect", "check"] {
        let found = dir.nexum(&[command, "bad-functions.wasm"]);
        assert_eq!(found.code, Some(2), "{command}: {}", found.stderr);
        assert!(
            found
                .stderr
                .contains("`list-functions` may not call `nexum:host/local-store@0.2.0#get`"),
            "{command}: {}",
            found.stderr
        );
    }
    // The rest of the component is shown.
    assert!(
        dir.nexum(&["inspect", "bad-functions.wasm"])
            .stdout
            .contains("core instances")
    );
}
