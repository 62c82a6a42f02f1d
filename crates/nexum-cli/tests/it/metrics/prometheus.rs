//! Prometheus' own checker and server accept the exported metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use nexum_testing::Anvil;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{Exporting, Exposition, KEEPER, PAUSE, WAIT_MAX, get, module, write_keeper};
use crate::Dir;
use crate::control::json;
use crate::running::Log;

/// The environment variables that name the programs. Without them, `PATH` is searched.
pub(super) const PROMTOOL: (&str, &str) = ("NEXUM_PROMTOOL", "promtool");
const PROMETHEUS: (&str, &str) = ("NEXUM_PROMETHEUS", "prometheus");

pub(super) fn spawn((variable, program): (&str, &str), configure: impl FnOnce(&mut Command) -> &mut Command) -> Child {
    let binary = std::env::var_os(variable).unwrap_or_else(|| OsString::from(program));
    let mut command = Command::new(&binary);
    let spawned = configure(&mut command).stderr(Stdio::piped()).spawn();
    spawned
        .unwrap_or_else(|error| panic!("{binary:?}: {error}; `cargo xtask test` fetches Prometheus, or set {variable}"))
}

/// Checks that promtool reports no problem.
pub(super) fn check(text: &str) {
    let mut promtool = spawn(PROMTOOL, |promtool| {
        promtool
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
    });
    let mut stdin = promtool.stdin.take().expect("a pipe");
    stdin.write_all(text.as_bytes()).expect("promtool reads");
    drop(stdin);
    let checked = promtool.wait_with_output().expect("an end");
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success() && said.is_empty(), "{said}");
}

/// A server that scrapes one address.
struct Prometheus {
    child: Child,
    address: String,
}

impl Prometheus {
    fn start(dir: &Dir, target: &str) -> Self {
        Self::start_with_rules(dir, target, "groups: []\n")
    }

    /// Starts a server that also evaluates rules.
    fn start_with_rules(dir: &Dir, target: &str, rules: &str) -> Self {
        dir.write("rules.yml", rules);
        // The default timeout of a scrape is the interval: a busy machine may need all of it.
        let config = format!(
            "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\nrule_files: [rules.yml]\n\
             scrape_configs:\n  - job_name: nexum\n    static_configs:\n      - targets: [\"{target}\"]\n"
        );
        dir.write("prometheus.yml", config);
        let mut child = spawn(PROMETHEUS, |prometheus| {
            prometheus
                .current_dir(dir.path())
                .args(["--config.file=prometheus.yml", "--storage.tsdb.path=prometheus"])
                .arg("--web.listen-address=127.0.0.1:0")
                .stdout(Stdio::null())
        });
        let lines = Log::of(&mut child).until(|line| line.contains("Listening on"));
        let address = lines.last().and_then(|line| line.split_once("address="));
        let (_, address) = address.unwrap_or_else(|| panic!("it does not listen: {lines:#?}"));
        let address = address.split(' ').next().unwrap_or_default().to_owned();
        Self { child, address }
    }

    /// The server's answer at a path of its API. Null while the server is not ready.
    fn ask(&self, path: &str) -> Value {
        match get(&self.address, &format!("/api/v1/{path}")) {
            (200, body) => serde_json::from_str::<Value>(&body).expect("JSON")["data"].take(),
            (503, _) => Value::Null,
            (status, body) => panic!("{path}: {status} {body}"),
        }
    }

    /// The value of each series of a query's result, by labels.
    fn query(&self, query: &str) -> Series {
        let found = self.ask(&format!("query?query={query}"));
        let found = found["result"].as_array().cloned().unwrap_or_default();
        let series = |mut sample: Value| {
            let labels: BTreeMap<String, String> = serde_json::from_value(sample["metric"].take()).expect("labels");
            let labels = labels
                .into_iter()
                .filter(|(label, _)| !OWN_LABELS.contains(&label.as_str()));
            let value = sample["value"][1].as_str().and_then(|value| value.parse().ok());
            (labels.collect(), value.expect("a number"))
        };
        found.into_iter().map(series).collect()
    }

    /// Repeats `look` until its result satisfies the test.
    async fn until<T: std::fmt::Debug>(&self, look: impl Fn() -> T, holds: impl Fn(&T) -> bool) -> T {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            let found = look();
            if holds(&found) {
                return found;
            }
            assert!(Instant::now() < deadline, "{found:#?}");
            sleep(PAUSE).await;
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // The server has nothing to save.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Values, by labels.
type Series = BTreeMap<BTreeMap<String, String>, f64>;

/// The labels that Prometheus adds.
const OWN_LABELS: [&str; 3] = ["__name__", "instance", "job"];

/// The series of one name in the metrics that nexum exports.
fn exported(metrics: &Exposition, name: &str) -> Series {
    let labels = |text: &str| -> BTreeMap<String, String> {
        let text = text.trim_start_matches('{').trim_end_matches("\"}");
        let labels = text.split("\",").filter_map(|label| label.split_once("=\""));
        labels
            .map(|(label, value)| (label.to_owned(), value.to_owned()))
            .collect()
    };
    let of_name = |series: &str| {
        let rest = series.strip_prefix(name)?;
        (rest.is_empty() || rest.starts_with('{')).then(|| labels(rest))
    };
    let samples = metrics.samples.iter();
    samples
        .filter_map(|(series, value)| Some((of_name(series)?, *value)))
        .collect()
}

#[tokio::test]
async fn prometheus_takes_in_what_is_exported() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    dir.guest("keeper");
    write_keeper(&dir, "set a 100");
    let chain = format!("[chains.11155111]\nrpc_url = {:?}\n", anvil.ws_url());
    let running = Exporting::start(&dir, &format!("{chain}{}{KEEPER}", module("noop")));
    let prometheus = Prometheus::start(&dir, &running.address);
    let target = || prometheus.ask("targets")["activeTargets"][0].clone();
    let is_up = |target: &Value| target["health"] == "up" && target["lastError"] == "";
    prometheus.until(target, is_up).await;

    anvil.mine(3).await;
    let handled = || {
        let status = json(&dir, &["status", "--format", "json"]);
        let module = |module: &Value| {
            let labels = [("module", module["name"].as_str().expect("a name")), ("kind", "block")];
            let labels = labels.map(|(label, value)| (label.to_owned(), value.to_owned()));
            (labels.into(), module["handled"].as_f64().expect("a number"))
        };
        let status: Series = status.as_array().expect("modules").iter().map(module).collect();
        (prometheus.query("nexum_events_handled_total{kind=\"block\"}"), status)
    };
    prometheus
        .until(handled, |(taken_in, status)| {
            taken_in == status && taken_in.len() == 2 && taken_in.values().all(|events| *events >= 3.0)
        })
        .await;
    for name in [
        "nexum_build_info",
        "nexum_events_handled_total",
        "nexum_failures_total",
        "nexum_module_stage",
        "nexum_module_stored_bytes",
        "nexum_fuel_used_total",
        "nexum_event_handler_seconds_bucket",
        "nexum_event_seconds_count",
        "nexum_store_commits_total",
        "nexum_chain_head_number",
    ] {
        let both = || (prometheus.query(name), exported(&running.metrics(), name));
        prometheus
            .until(both, |(taken_in, exported)| {
                taken_in == exported && !exported.is_empty()
            })
            .await;
    }
    // The server takes in every sample.
    let counts = || {
        let taken_in = prometheus.query("scrape_samples_scraped").into_values().next();
        (taken_in, running.metrics().samples.len() as f64)
    };
    prometheus
        .until(counts, |(taken_in, exported)| *taken_in == Some(*exported))
        .await;
    let quantiles = prometheus.query("histogram_quantile(0.5,nexum_event_handler_seconds_bucket)");
    assert!(
        quantiles.len() == 2 && quantiles.values().all(|seconds| *seconds > 0.0),
        "{quantiles:?}"
    );
    prometheus.until(target, is_up).await;
    running.stop();
}

/// The alerts that fire, by name.
fn firing(prometheus: &Prometheus) -> BTreeSet<String> {
    let alerts = prometheus.query("ALERTS{alertstate=\"firing\"}");
    let name = |labels: &BTreeMap<String, String>| labels.get("alertname").cloned();
    alerts.keys().filter_map(name).collect()
}

#[tokio::test]
async fn the_alerts_of_a_chain_fire_when_its_endpoint_ends() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    let chain = format!("[chains.11155111]\nrpc_url = {:?}\n", anvil.ws_url());
    let running = Exporting::start(&dir, &format!("{chain}{}", module("noop")));
    // The alerts of the package, without the time for which a condition must last.
    let rules = include_str!("../../../../../packaging/monitoring/alerts.yml");
    let rules = rules.lines().filter(|line| !line.trim_start().starts_with("for: "));
    let rules = rules.collect::<Vec<_>>().join("\n");
    let prometheus = Prometheus::start_with_rules(&dir, &running.address, &rules);
    anvil.mine(2).await;
    let handled = || prometheus.query("nexum_events_handled_total{kind=\"block\"}");
    prometheus
        .until(handled, |series| series.values().any(|events| *events >= 2.0))
        .await;
    let up = || prometheus.query("nexum_chain_up");
    prometheus.until(up, |series| series.values().eq([&1.0])).await;
    assert_eq!(firing(&prometheus), BTreeSet::new());

    drop(anvil);
    let expected: BTreeSet<_> = ["NexumChainDown", "NexumEndpointDown"].map(str::to_owned).into();
    prometheus
        .until(|| firing(&prometheus), |alerts| alerts.is_superset(&expected))
        .await;
    running.stop();
}
