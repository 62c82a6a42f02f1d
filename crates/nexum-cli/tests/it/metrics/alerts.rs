//! The alerts and the dashboard of `packaging/monitoring`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use super::page::documented;
use super::prometheus::{PROMTOOL, spawn};
use crate::Dir;

/// The title of the section with a runbook for each alert.
const RUNBOOKS: &str = "## Alerts and what to do";

/// The variable of Grafana for the window of a rate, and a window that Prometheus can parse.
const RATE_INTERVAL: (&str, &str) = ("$__rate_interval", "5m");

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/monitoring")
}

fn read(name: &str) -> String {
    let path = directory().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Runs promtool, which must succeed.
fn promtool(directory: &Path, args: &[&str]) {
    let promtool = spawn(PROMTOOL, |promtool| {
        promtool.args(args).current_dir(directory).stdout(Stdio::piped())
    });
    let output = promtool.wait_with_output().expect("an end");
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{args:?}: {out}{err}");
}

/// The rest of each line that begins with `prefix`, after spaces.
fn values<'a>(text: &'a str, prefix: &str) -> Vec<&'a str> {
    text.lines()
        .filter_map(|line| line.trim_start().strip_prefix(prefix))
        .collect()
}

/// The names of the alerts, in the order of their file.
fn alerts(rules: &str) -> Vec<&str> {
    values(rules, "- alert: ")
}

/// The names of metrics in a text, without the suffixes of a histogram's series.
fn metrics(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let word = |from: &str| from.chars().take_while(|c| is_name(*c)).collect::<String>();
    let found = text.match_indices("nexum_").map(|(at, _)| word(&text[at..]));
    found
        .map(|name| {
            let suffixes = ["_bucket", "_sum", "_count"].iter();
            let family = suffixes.filter_map(|suffix| name.strip_suffix(suffix)).next();
            family.unwrap_or(&name).to_owned()
        })
        .collect()
}

/// Every text of the dashboard that Grafana sends to Prometheus.
fn queries(dashboard: &Value) -> Vec<String> {
    match dashboard {
        Value::Object(fields) => {
            let own = fields.get("expr").and_then(Value::as_str).map(str::to_owned);
            own.into_iter().chain(fields.values().flat_map(queries)).collect()
        }
        Value::Array(values) => values.iter().flat_map(queries).collect(),
        _ => Vec::new(),
    }
}

fn dashboard() -> Value {
    serde_json::from_str(&read("grafana-dashboard.json")).expect("JSON")
}

#[test]
fn prometheus_accepts_the_alerts_and_each_passes_its_test() {
    promtool(&directory(), &["check", "rules", "alerts.yml"]);
    promtool(&directory(), &["test", "rules", "alerts.test.yml"]);
}

#[test]
fn every_alert_fires_in_a_test_and_stays_silent_in_one() {
    let (rules, tests) = (read("alerts.yml"), read("alerts.test.yml"));
    let mut fires = BTreeSet::new();
    let mut silent = BTreeSet::new();
    let mut alert = "";
    for line in tests.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("alertname: ") {
            alert = name;
        }
        match line {
            "exp_alerts:" => fires.insert(alert),
            "exp_alerts: []" => silent.insert(alert),
            _ => false,
        };
    }
    let all: BTreeSet<&str> = alerts(&rules).into_iter().collect();
    assert!(all.len() > 10, "{all:?}");
    assert_eq!(fires, all);
    assert_eq!(silent, all);
}

#[test]
fn every_alert_has_a_section_that_says_what_to_do() {
    let rules = read("alerts.yml");
    let page = include_str!("../../../../../docs/operating.md");
    let (_, section) = page.split_once(RUNBOOKS).expect("the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    assert_eq!(values(section, "### "), alerts(&rules));
    let runbooks: Vec<String> = alerts(&rules)
        .iter()
        .map(|name| format!("docs/operating.md#{}", name.to_lowercase()))
        .collect();
    assert_eq!(values(&rules, "runbook: "), runbooks);
}

#[test]
fn alerts_and_dashboard_name_metrics_that_exist_and_the_dashboard_shows_all() {
    let documented: BTreeSet<String> = documented().into_keys().collect();
    let missing = |text: &str| -> Vec<String> { metrics(text).difference(&documented).cloned().collect() };
    assert_eq!(missing(&read("alerts.yml")), [""; 0], "alerts.yml");
    assert_eq!(missing(&dashboard().to_string()), [""; 0], "grafana-dashboard.json");
    let shown = metrics(&queries(&dashboard()).join("\n"));
    let hidden: Vec<_> = documented.difference(&shown).collect();
    assert_eq!(
        hidden, [""; 0],
        "add a panel to packaging/monitoring/grafana-dashboard.json"
    );
}

#[test]
fn prometheus_can_parse_every_query_of_the_dashboard() {
    let queries = queries(&dashboard());
    assert!(queries.len() > 50, "{queries:#?}");
    let rule = |(number, query): (usize, &String)| {
        let query = query.replace(RATE_INTERVAL.0, RATE_INTERVAL.1);
        format!("- record: query:{number}\n  expr: {query:?}\n")
    };
    let rules: String = queries.iter().enumerate().map(rule).collect();
    let dir = Dir::new();
    let rules = rules.lines().map(|line| format!("    {line}\n")).collect::<String>();
    dir.write("rules.yml", format!("groups:\n- name: dashboard\n  rules:\n{rules}"));
    promtool(dir.path(), &["check", "rules", "--lint=none", "rules.yml"]);
}
