//! Metrics and probes of the daemon, for Prometheus and an orchestrator.

mod alerts;
mod conditions;
mod page;
mod prometheus;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

use nexum_testing::{Answer, Anvil, Block, Node, guests};
use serde_json::Value;
use tokio::time::{Instant, sleep};

pub(crate) use page::documented;

use crate::Dir;
use crate::running::{Log, RUNNING, Start as _, Started, terminate};

/// The longest wait for anything: far longer than a slow machine needs.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(60);

/// The pause between two attempts of a wait.
pub(crate) const PAUSE: Duration = Duration::from_millis(20);

/// A daemon that exports metrics.
pub(crate) struct Exporting {
    child: Started,
    log: Log,
    address: String,
}

/// The status and the body of the response to a minimal request, with an HTTP version without
/// chunks.
pub(crate) fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let request = format!("GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).expect("a status");
    (status.parse().expect("a number"), body.to_owned())
}

impl Exporting {
    /// Starts a daemon with this configuration, and waits until its modules run and follow the chain.
    pub(crate) fn start(dir: &Dir, config: &str) -> Self {
        let [follows, loaded] = RUNNING;
        Self::start_until(dir, config, &["metrics can be read", follows, loaded])
    }

    /// Starts a daemon with this configuration, and waits for each of these log records. The first
    /// record contains the address.
    pub(crate) fn start_until(dir: &Dir, config: &str, records: &[&str]) -> Self {
        Self::start_with(dir, "", config, records)
    }

    /// As [`Self::start_until`], with more keys of `[metrics]`.
    pub(crate) fn start_with(dir: &Dir, keys: &str, config: &str, records: &[&str]) -> Self {
        let metrics = format!("[metrics]\nlisten = \"127.0.0.1:0\"\n{keys}[engine]\nlog_format = \"json\"\n");
        dir.write("engine.toml", format!("{metrics}{config}"));
        let mut command = dir.command(&["run"]);
        let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.start();
        let log = Log::of(&mut child);
        let lines = log.until_all(records);
        let line = lines.iter().find(|line| line.contains(records[0]));
        let record: Value = serde_json::from_str(line.expect("the record")).expect("JSON");
        let address = record["address"].as_str().expect("an address").to_owned();
        Self { child, log, address }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        get(&self.address, path)
    }

    fn metrics(&self) -> Exposition {
        let (status, text) = self.get("/metrics");
        assert_eq!(status, 200);
        Exposition::parse(&text)
    }

    pub(crate) async fn until(&self, path: &str, holds: impl Fn(u16, &str) -> bool) -> String {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            let (status, body) = self.get(path);
            if holds(status, &body) {
                return body;
            }
            assert!(Instant::now() < deadline, "{status}: {body}");
            sleep(PAUSE).await;
        }
    }

    pub(crate) fn stop(self) {
        terminate(&self.child);
        assert_eq!(self.child.wait_with_output().expect("an end").status.code(), Some(0));
    }
}

/// A page in the text format of Prometheus, parsed strictly.
struct Exposition {
    /// The type of each family.
    types: BTreeMap<String, String>,
    /// By name and labels, as in the page.
    samples: BTreeMap<String, f64>,
}

impl Exposition {
    fn parse(text: &str) -> Self {
        let (mut types, mut helps, mut samples) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (family, text) = help.split_once(' ').expect("a help text");
                assert!(!text.is_empty() && helps.insert(family.to_owned()), "{line}");
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (family, kind) = kind.split_once(' ').expect("a type");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert!(helps.contains(family), "no help text before: {line}");
                assert!(types.insert(family.to_owned(), kind.to_owned()).is_none(), "{line}");
            } else {
                let (series, value) = line.rsplit_once(' ').expect("a value");
                let name = series.split('{').next().unwrap_or_default();
                let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
                assert!(name.starts_with("nexum_") && name.chars().all(is_name), "{line}");
                let family = ["_bucket", "_sum", "_count"]
                    .iter()
                    .filter_map(|suffix| name.strip_suffix(suffix))
                    .find(|family| types.get(*family).is_some_and(|kind| kind == "histogram"));
                assert!(types.contains_key(family.unwrap_or(name)), "no type before: {line}");
                let value = value.parse().expect("a number");
                assert!(samples.insert(series.to_owned(), value).is_none(), "twice: {line}");
            }
        }
        Self { types, samples }
    }

    /// The value of a series. The labels of `series` must be in the order of the page.
    fn value(&self, series: &str) -> f64 {
        let found = self.samples.get(series);
        *found.unwrap_or_else(|| panic!("no {series} in {:#?}", self.samples.keys()))
    }
}

/// The stages for which a module has a gauge.
fn stages_of(metrics: &Exposition, module: &str) -> BTreeSet<String> {
    let prefix = format!("nexum_module_stage{{module=\"{module}\",stage=\"");
    let series = metrics.samples.keys();
    let stages = series.filter_map(|series| series.strip_prefix(&prefix)?.strip_suffix("\"}"));
    stages.map(str::to_owned).collect()
}

/// A guest that handles blocks.
pub(crate) fn module(name: &str) -> String {
    let path = guests::component(name).display().to_string();
    format!("[[modules]]\nname = {name:?}\npath = {path:?}\n")
}

/// A module that runs `script` on its store at every block.
fn write_keeper(dir: &Dir, script: &str) {
    dir.write(
        "nexum.toml",
        format!(
            "[capabilities]\nrequired = [\"store\"]\n[[subscription]]\nkind = \"block\"\nchain_id = 11155111\n\
             [config]\nevery = {script:?}\n"
        ),
    );
}

const KEEPER: &str = "[[modules]]\nname = \"keeper\"\npath = \"keeper.wasm\"\n";

const RESTART: &str = "[engine.restart]\nattempts_max = 2\nbackoff_ms = 1\nmax_consecutive_failures = 2\n\
                       [engine.limits]\nfuel_per_event = 1000000\n";

fn last_success(module: &str) -> String {
    format!("nexum_module_last_success_timestamp_seconds{{module=\"{module}\"}}")
}

#[tokio::test]
async fn everything_that_happens_moves_its_metric() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    dir.guest("keeper");
    write_keeper(&dir, "set a 100");
    let chain = format!(
        "[chains.11155111]\nrpc_url = \"{}/?key=very-secret-key\"\n",
        anvil.http_url()
    );
    let modules = ["fuel-bomb", "panic", "noop", "query-echo"].map(module).concat();
    let modules = format!("{modules}{KEEPER}");
    let running = Exporting::start(&dir, &format!("{RESTART}{chain}{modules}"));
    anvil.mine(3).await;
    running
        .until("/metrics", |_, text| {
            let metrics = Exposition::parse(text);
            let handled = |module: &str| {
                metrics.value(&format!(
                    "nexum_events_handled_total{{module=\"{module}\",kind=\"block\"}}"
                )) >= 3.0
            };
            let is_dead = |module: &str| {
                metrics.value(&format!("nexum_module_stage{{module=\"{module}\",stage=\"dead\"}}")) == 1.0
            };
            let traps = metrics.value("nexum_failures_total{module=\"panic\",reason=\"trap\"}");
            is_dead("fuel-bomb") && traps >= 1.0 && handled("noop") && handled("keeper")
        })
        .await;
    // The second failure in a row suspends the module.
    for (question, code) in [("hello", 0), ("spin", 1), ("spin", 1)] {
        let asked = dir.nexum(&["query", "query-echo", "--input", question]);
        assert_eq!(asked.code, Some(code), "{}", asked.stderr);
    }
    let text = running.get("/metrics").1;
    let metrics = Exposition::parse(&text);
    for (series, expected) in [
        ("nexum_queries_total{module=\"query-echo\",outcome=\"answered\"}", 1.0),
        ("nexum_queries_total{module=\"query-echo\",outcome=\"limit\"}", 2.0),
        ("nexum_query_seconds_count{module=\"query-echo\"}", 3.0),
        ("nexum_query_suspended{module=\"query-echo\"}", 1.0),
        (
            "nexum_limit_trips_total{module=\"query-echo\",limit=\"fuel_per_event\"}",
            2.0,
        ),
        ("nexum_failures_total{module=\"fuel-bomb\",reason=\"limit\"}", 4.0),
        ("nexum_failures_total{module=\"fuel-bomb\",reason=\"trap\"}", 0.0),
        (
            "nexum_limit_trips_total{module=\"fuel-bomb\",limit=\"fuel_per_event\"}",
            4.0,
        ),
        (
            "nexum_limit_trips_total{module=\"panic\",limit=\"fuel_per_event\"}",
            0.0,
        ),
        ("nexum_instance_restarts_total{module=\"fuel-bomb\"}", 3.0),
        ("nexum_instance_restarts_total{module=\"noop\"}", 0.0),
        ("nexum_dead_letters{module=\"fuel-bomb\"}", 1.0),
        ("nexum_dead_letters{module=\"noop\"}", 0.0),
        ("nexum_effects_unknown{module=\"noop\"}", 0.0),
        ("nexum_effects_stranded_total{module=\"noop\"}", 0.0),
        ("nexum_event_handler_seconds_count{module=\"fuel-bomb\"}", 4.0),
        ("nexum_module_stored_bytes{module=\"keeper\"}", 101.0),
        ("nexum_module_memory_bytes{module=\"fuel-bomb\"}", 0.0),
        ("nexum_module_stage{module=\"noop\",stage=\"running\"}", 1.0),
        ("nexum_module_stage{module=\"fuel-bomb\",stage=\"running\"}", 0.0),
    ] {
        assert_eq!(metrics.value(series), expected, "{series}");
    }
    for series in [
        "nexum_module_memory_bytes{module=\"keeper\"}",
        "nexum_fuel_used_total{module=\"keeper\"}",
        "nexum_event_handler_seconds_count{module=\"noop\"}",
        "nexum_event_handler_seconds_bucket{module=\"noop\",le=\"+Inf\"}",
        "nexum_event_seconds_count{module=\"keeper\"}",
        "nexum_store_commits_total",
        "nexum_store_transactions_total{outcome=\"made\"}",
        "nexum_chain_head_number{chain=\"11155111\"}",
    ] {
        assert!(metrics.value(series) > 0.0, "{series}");
    }
    metrics.value("nexum_blocks_behind{module=\"noop\",chain=\"11155111\"}");
    // The last success is a time of this run, and absent for a module without one.
    assert!(metrics.value(&last_success("noop")) > 1.7e9);
    assert!(!metrics.samples.contains_key(&last_success("fuel-bomb")));
    // The last attempt of each of the two events used all of its fuel.
    assert!(metrics.value("nexum_fuel_used_total{module=\"fuel-bomb\"}") >= 4e6);
    let info = metrics
        .samples
        .keys()
        .find(|series| series.starts_with("nexum_build_info{"));
    let info = info.expect("what is running");
    assert!(
        info.contains(env!("CARGO_PKG_VERSION")) && info.contains("runtime"),
        "{info}"
    );
    assert!(!text.contains("very-secret-key"), "{text}");
    for kind in ["counter", "gauge", "histogram"] {
        assert!(metrics.types.values().any(|known| known == kind), "{:?}", metrics.types);
    }
    assert_eq!(stages_of(&metrics, "noop"), page::stages());
    let documented = documented();
    for (family, kind) in &metrics.types {
        assert_eq!(documented.get(family), Some(kind), "{family} in docs/metrics.md");
    }
    prometheus::check(&text);

    let removed = ["fuel-bomb", "query-echo", "noop"];
    for module in removed {
        let removed = dir.nexum(&["module", "remove", module]);
        assert_eq!(removed.code, Some(0), "{}", removed.stderr);
    }
    let metrics = running.metrics();
    for (series, value) in metrics
        .samples
        .iter()
        .filter(|(series, _)| removed.iter().any(|module| series.contains(&format!("\"{module}\""))))
    {
        let is_gauge = metrics.types.get(series.split('{').next().unwrap_or_default()) == Some(&"gauge".to_owned());
        // A removed module is not at the head.
        let is_unknown = *series == last_success("noop") || series.starts_with("nexum_blocks_behind");
        let is_cleared = if is_unknown { value.is_nan() } else { *value == 0.0 };
        assert!(!is_gauge || is_cleared, "{series} {value}");
    }
    running.stop();
}

#[tokio::test]
async fn is_ready_when_every_module_that_is_wanted_runs() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    dir.guest("keeper");
    write_keeper(&dir, "fail");
    dir.write("broken.wasm", "this is no module");
    let chain = format!("[chains.11155111]\nrpc_url = {:?}\n", anvil.ws_url());
    let modules = format!("{}{KEEPER}[[modules]]\npath = \"broken.wasm\"\n", module("noop"));
    let running = Exporting::start(&dir, &format!("{RESTART}{chain}{modules}"));
    assert_eq!(running.get("/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(running.get("/nothing").0, 404);
    anvil.mine(2).await;
    let body = running
        .until("/readyz", |status, body| status == 503 && body.contains("dead"))
        .await;
    let found: Value = serde_json::from_str(&body).expect("JSON");
    let broken = dir.path().join("broken.wasm").display().to_string();
    assert_eq!(found[0]["module"], Value::from(broken), "{found}");
    assert_eq!(found[1]["module"], "keeper", "{found}");
    let reason = found[1]["reason"].as_str().expect("a reason");
    assert!(reason.contains("dead: 2 failures in a row"), "{reason}");
    assert_eq!(found.as_array().map(Vec::len), Some(2), "{found}");

    // A refused module counts as not ready until it is loaded.
    std::fs::copy(guests::component("noop"), dir.path().join("broken.wasm")).expect("a copy");
    let loaded = dir.nexum(&["module", "load", "broken.wasm"]);
    assert_eq!(loaded.code, Some(0), "{}", loaded.stderr);
    write_keeper(&dir, "set a 1");
    let reloaded = dir.nexum(&["module", "reload", "keeper"]);
    assert_eq!(reloaded.code, Some(0), "{}", reloaded.stderr);
    assert_eq!(running.until("/readyz", |status, _| status == 200).await, "[]");
    // A module that the operator has stopped counts as ready.
    assert_eq!(dir.nexum(&["module", "stop", "keeper"]).code, Some(0));
    assert_eq!(running.get("/readyz").0, 200);
    running.stop();
}

#[tokio::test]
async fn a_chain_that_was_never_followed_has_metrics_without_a_head_and_holds_up_no_module_of_another() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    // No server listens at this port.
    let chains = format!(
        "[chains.5]\nrpc_url = \"http://127.0.0.1:1\"\n[chains.11155111]\nrpc_url = {:?}\n",
        anvil.ws_url()
    );
    let running = Exporting::start(&dir, &format!("{chains}{}", module("noop")));
    running.until("/readyz", |status, _| status == 200).await;
    let text = running.get("/metrics").1;
    for series in [
        "nexum_chain_head_timestamp_seconds{chain=\"5\"} NaN",
        "nexum_chain_head_number{chain=\"5\"} NaN",
    ] {
        assert!(text.contains(series), "{text}");
    }
    running.stop();
}

/// As with a node whose operator removed its database.
#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_was_reset_is_reported_with_both_heads_and_is_not_ready() {
    let node = Node::start().await;
    let old = node.mine(103).pop().expect("a block");
    let dir = Dir::new();
    let chain = format!(
        "[chains.11155111]\nrpc_url = {:?}\npoll_interval_ms = 50\nhead_stall_seconds = 1\n",
        node.http_url()
    );
    let running = Exporting::start(&dir, &format!("{chain}{}", module("noop")));
    running.until("/readyz", |status, _| status == 200).await;

    // Another fork from the first block on.
    let other = Node::start_on(node.chain().up_to(0)).await;
    let new = other.mine(5).pop().expect("a block");
    assert_ne!(
        other.chain().by_number(1).map(|block| block.hash),
        node.chain().by_number(1).map(|block| block.hash)
    );
    node.on("eth_getBlockByNumber", move |params| {
        let (id, _) = serde_json::from_str::<(String, bool)>(params.get()).expect("a block's number or tag");
        let digits = id.strip_prefix("0x");
        let number = digits.map(|digits| u64::from_str_radix(digits, 16).expect("a number"));
        let chain = other.chain();
        let block = number.map_or(Some(chain.head()), |number| chain.by_number(number));
        Answer::Result(block.map_or(Value::Null, Block::to_json))
    });
    let heads = [&old, &new].map(|block| format!("block {} 0x{}", block.number, hex(&block.hash)));
    // nexum looks at the chains of modules once a second.
    let waits = |status: u16, body: &str| status == 503 && body.contains("\"waiting\"");
    let body = running.until("/readyz", waits).await;
    let found: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(
        (
            &found[0]["waiting"][0],
            &found[0]["chain"],
            found.as_array().map(Vec::len)
        ),
        (&"noop".into(), &11_155_111.into(), Some(1))
    );
    let status: Value = serde_json::from_str(&dir.nexum(&["status", "--format", "json"]).stdout).expect("JSON");
    let text = dir.nexum(&["status"]).stdout;
    let warned = running.log.until(|line| line.contains("far below block"));
    let warning: Value = serde_json::from_str(warned.last().expect("a record")).expect("JSON");
    assert_eq!(
        (&warning["level"], &warning["chain"]),
        (&"WARN".into(), &11_155_111.into())
    );
    for head in heads {
        for said in [&found[0]["reason"], &status[0]["reason"], &warning["error"]] {
            assert!(said.as_str().is_some_and(|said| said.contains(&head)), "{head}: {said}");
        }
        assert!(
            text.contains("noop is waiting for chain since 20") && text.contains(&head),
            "{text}"
        );
    }

    assert_eq!(status[0]["stage"], "waiting_for_chain");

    // The old chain again.
    node.restore("eth_getBlockByNumber");
    node.mine(1);
    running.until("/readyz", |status, _| status == 200).await;
    running.stop();
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn is_not_ready_before_every_module_is_loaded() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    let chain = format!("[chains.11155111]\nrpc_url = {:?}\n", anvil.ws_url());
    // No module fails at the chain's first block, which can arrive before the test reads the
    // status.
    let names = ["noop", "panic", "query-echo", "block-logger"];
    let modules = names.map(module).concat();
    let running = Exporting::start_until(&dir, &format!("{chain}{modules}"), &["metrics can be read"]);
    running.until("/readyz", |status, _| status == 200).await;
    let status = dir.nexum(&["status", "--format", "json"]);
    let status: Value = serde_json::from_str(&status.stdout).expect("JSON");
    let stages = status
        .as_array()
        .expect("modules")
        .iter()
        .map(|module| &module["stage"]);
    assert_eq!(
        stages.collect::<Vec<_>>(),
        ["running", "running", "running", "serving"],
        "{status}"
    );
    running.stop();
}

#[test]
fn an_address_that_cannot_be_had_is_refused() {
    let dir = Dir::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address");
    let module = module("noop");
    let chain = "[chains.11155111]\nrpc_url = \"http://127.0.0.1:9\"\n";
    for (listen, expected) in [
        (address.to_string(), "metrics.listen: cannot listen on 127.0.0.1:"),
        (
            "localhost".to_owned(),
            "metrics.listen: expected an IP address and a port",
        ),
    ] {
        dir.write(
            "engine.toml",
            format!("[metrics]\nlisten = {listen:?}\n{chain}{module}"),
        );
        let ran = dir.nexum(&["run"]);
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    }
}

#[tokio::test]
async fn silent_connections_and_pages_in_a_browser_do_not_keep_others_from_the_metrics() {
    let dir = Dir::new();
    let anvil = Anvil::start();
    let module = guests::component("noop").display().to_string();
    let rpc_url = anvil.ws_url();
    let config = format!("[chains.11155111]\nrpc_url = {rpc_url:?}\n[[modules]]\npath = {module:?}\n");
    let running = Exporting::start(&dir, &config);
    let address = &running.address;
    let status = |head: &str| {
        let mut stream = TcpStream::connect(address).expect("a connection");
        let request = format!("GET /metrics HTTP/1.1\r\n{head}connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer.split(' ').nth(1).expect("a status").to_owned()
    };
    for (head, wanted) in [
        (format!("host: {address}\r\n"), "200"),
        ("host: LOCALHOST:9464\r\n".to_owned(), "200"),
        ("host: [::1]:9464\r\n".to_owned(), "200"),
        ("host: rebound.example.org:9464\r\n".to_owned(), "403"),
        ("host: 127.0.0.1.example.org\r\n".to_owned(), "403"),
        (format!("host: {address}\r\norigin: http://{address}\r\n"), "403"),
    ] {
        assert_eq!(status(&head), wanted, "{head}");
    }
    // Each client has sent one request, and keeps its connection.
    let _kept: Vec<_> = (0..80)
        .map(|_| {
            let mut stream = TcpStream::connect(address).expect("a connection");
            let request = format!("GET /healthz HTTP/1.1\r\nhost: {address}\r\n\r\n");
            stream.write_all(request.as_bytes()).expect("a request");
            stream
        })
        .collect();
    assert_eq!(get(address, "/metrics").0, 200);
    running.stop();
}

#[test]
fn a_host_name_that_is_none_is_refused() {
    let dir = Dir::new();
    dir.write("engine.toml", "[metrics]\nallowed_hosts = [\"http://example.org\"]\n");
    let refused = dir.nexum(&["check"]);
    assert_eq!(refused.code, Some(2));
    let said = "engine.toml:2:18: metrics.allowed_hosts[0]: is not a host name, found \"http://example.org\"";
    assert!(refused.stderr.contains(said), "{}", refused.stderr);
}
