//! The examples in JavaScript, Python and C, which are one module in three languages.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{self, Receiver};

use nexum_testing::{Answer, LogSpec, Node, guests};
use serde_json::{Value, json};

use crate::Dir;
use crate::control::until;
use crate::running::{Log, RUNNING, Started, spawn, terminate};

pub(crate) const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
pub(crate) const TOKEN: &str = "0x1111111111111111111111111111111111111111";

/// The price of gas on the node: 60 gwei.
const PRICE: &str = "0xdf8475800";

/// The blocks of the first run: the head at the start, and three new ones.
const BLOCKS: u64 = 4;

/// The log of one module after the run that [`run`] makes.
struct Expected {
    name: &'static str,
    /// Records that appear when the node refuses to tell the price: with file and line of the
    /// handler where the language has them.
    failure: &'static [&'static str],
    /// Records that appear when the configuration has a limit that is no number.
    refusal: &'static [&'static str],
    /// Whether the module sends its report over HTTP.
    reports: bool,
}

/// A module with its node, and with a server for its reports.
struct Site {
    dir: Dir,
    node: Node,
    name: &'static str,
    reports: Receiver<(String, Value)>,
}

impl Site {
    async fn new(name: &'static str, reports: bool) -> Self {
        let node = Node::start().await;
        node.on("eth_gasPrice", |_| Answer::Result(PRICE.into()));
        node.set_logs(|number, _| match number {
            2 => vec![transfer(), transfer()],
            _ => Vec::new(),
        });
        let (port, received) = serve("ok");
        let dir = Dir::new();
        dir.guest(name);
        let manifest = std::fs::read_to_string(guests::dir(name).join("nexum.toml")).expect("a manifest");
        let manifest = match reports {
            true => manifest
                .replace("allow = [\"example.org\"]", &format!("allow = [\"127.0.0.1:{port}\"]"))
                .replace(
                    "warn_above_gwei",
                    &format!("report_url = \"http://127.0.0.1:{port}/reports\"\nwarn_above_gwei"),
                ),
            false => manifest,
        };
        dir.write("nexum.toml", manifest);
        let http = if reports {
            let host = format!("[\"127.0.0.1:{port}\"]");
            format!("[http]\nallow = {host}\nallow_http = {host}\nallow_private = {host}\n")
        } else {
            String::new()
        };
        dir.write(
            "engine.toml",
            format!(
                "[engine.restart]\nbackoff_ms = 1\n[chains.11155111]\nrpc_url = {:?}\n{http}\
                 [[modules]]\npath = \"{name}.wasm\"\n",
                node.ws_url()
            ),
        );
        Self {
            dir,
            node,
            name,
            reports: received,
        }
    }

    /// Starts the daemon. The records of the module before it follows the chain belong to the rest of the
    /// log, too.
    fn start(&self) -> (Started, Log) {
        let mut child = spawn(&self.dir, &["run"]);
        let log = Log::of(&mut child);
        log.until_all(&RUNNING);
        (child, log)
    }

    /// The module's answer to a query, when it satisfies the test.
    async fn summary(&self, holds: impl Fn(&Value) -> bool) -> Value {
        until(
            &self.dir,
            &["query", self.name, "--input", "", "--format", "text"],
            holds,
        )
        .await
    }
}

fn transfer() -> LogSpec {
    LogSpec {
        address: TOKEN.parse().expect("an address"),
        topics: vec![TRANSFER.parse().expect("a topic")],
        ..LogSpec::default()
    }
}

/// A server that answers every request with 200 and a text. Returns its port, and the request lines with
/// the bodies, which are JSON.
pub(crate) fn serve(text: &'static str) -> (u16, Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.expect("a connection"));
            let mut head = Vec::new();
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).expect("a line");
                match line.trim_end() {
                    "" => break,
                    line => head.push(line.to_ascii_lowercase()),
                }
            }
            let length = head.iter().find_map(|line| line.strip_prefix("content-length: "));
            let mut body = vec![0; length.expect("a length").parse().expect("a number")];
            stream.read_exact(&mut body).expect("a body");
            let body = serde_json::from_slice(&body).expect("JSON");
            let length = text.len();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{text}");
            stream.get_mut().write_all(answer.as_bytes()).expect("an answer");
            // The test may have ended.
            let _ = sender.send((head.swap_remove(0), body));
        }
    });
    (port, receiver)
}

/// Runs a module on blocks, logs and ticks, with a failure, a restart and a wrong configuration.
async fn run(expected: &Expected) {
    let site = Site::new(expected.name, expected.reports).await;
    let (child, log) = site.start();
    site.node.once("eth_gasPrice", Answer::error(-32_602, "no price today"));
    site.node.mine(3);

    let records = log.until(|line| line.contains("block 3: gas costs 60 gwei"));
    let seen = |text: &str| records.iter().any(|line| line.contains(text));
    for part in expected.failure {
        assert!(seen(part), "{part}: {records:#?}");
    }
    assert!(
        seen("the handler returned an error: chain ") && seen("attempt=1"),
        "{records:#?}"
    );
    assert!(!seen("attempt=2") && !seen("dead letter"), "{records:#?}");
    assert!(seen(&format!("block 2: a transfer of {TOKEN}")), "{records:#?}");
    let summary = site.summary(|summary| summary["blocks"] == BLOCKS).await;
    assert_eq!(
        summary,
        json!({"blocks": BLOCKS, "highest": summary["highest"], "transfers": 2})
    );
    assert_eq!(summary["highest"].as_f64(), Some(60.0), "{summary}");

    log.until(|line| {
        line.contains(&format!("\"blocks\":{BLOCKS},")) || line.contains(&format!("\"blocks\": {BLOCKS},"))
    });
    if expected.reports {
        let is_last = |body: &Value| body["blocks"] == BLOCKS;
        let (line, body) = site.reports.iter().find(|(_, body)| is_last(body)).expect("a report");
        assert_eq!((line.as_str(), body), ("post /reports http/1.1", summary));
    }
    terminate(&child);
    assert_eq!(child.wait_with_output().expect("an end").status.code(), Some(0));

    // The state outlives the process.
    let (child, _log) = site.start();
    site.node.mine(1);
    let summary = site.summary(|summary| summary["blocks"].as_u64() > Some(BLOCKS)).await;
    assert_eq!(
        (&summary["blocks"], &summary["transfers"]),
        (&(BLOCKS + 1).into(), &2.into())
    );
    terminate(&child);
    assert_eq!(child.wait_with_output().expect("an end").status.code(), Some(0));

    let path = site.dir.path().join("nexum.toml");
    let manifest = std::fs::read_to_string(&path).expect("a manifest");
    site.dir.write(
        "nexum.toml",
        manifest.replace("warn_above_gwei = 50", "warn_above_gwei = \"high\""),
    );
    let mut child = spawn(&site.dir, &["run"]);
    let log = Log::of(&mut child);
    let records = log.until(|line| line.contains("handler=\"init\""));
    for part in expected.refusal {
        assert!(records.iter().any(|line| line.contains(part)), "{part}: {records:#?}");
    }
    terminate(&child);
    child.wait().expect("an end");
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript_handles_every_kind_of_event() {
    run(&Expected {
        name: "gas-watch-js",
        failure: &[
            "onBlock failed: HostError: ",
            "no price today",
            "at onBlock (/src/module.js:18:",
        ],
        refusal: &[
            "init failed: Error: warn_above_gwei is no number: high",
            "at init (/src/module.js:13:",
        ],
        reports: true,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_handles_every_kind_of_event() {
    run(&Expected {
        name: "gas-watch-python",
        failure: &[
            "on_block failed: Traceback",
            "File \"app.py\", line 22, in on_block",
            "no price today",
        ],
        refusal: &[
            "File \"app.py\", line 17, in init",
            "ValueError: could not convert string to float: 'high'",
        ],
        reports: true,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c_handles_every_kind_of_event() {
    run(&Expected {
        name: "gas-watch-c",
        failure: &["on_block failed: chain: ", "no price today"],
        refusal: &["on_init failed: module: [config] warn_above_gwei is no whole number: high"],
        reports: false,
    })
    .await;
}
