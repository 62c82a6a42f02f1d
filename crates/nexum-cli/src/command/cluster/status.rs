//! `nexum cluster status`.

use std::time::Duration;

use comfy_table::Table;
use nexum_config::harmless::harmless;
use nexum_store::cluster::{ClusterStatus, GroupStatus, NodeStatus};
use serde::Serialize;

use crate::exit_code::{FAILED, STOPPED};
use crate::report::print::outln;
use crate::report::{list, span, table};

/// The state of an installation, as the command shows it.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    /// The time, by the database's clock, in milliseconds since the Unix epoch.
    now_ms: u64,
    nodes: Vec<NodeStatus>,
    modules: Vec<ModuleRow>,
    /// The problems that need the operator, a sentence each.
    problems: Vec<String>,
}

/// A module of the installation.
#[derive(Debug, Serialize)]
pub(super) struct ModuleRow {
    module: String,
    /// The version that the installation runs.
    version: Option<String>,
    /// The node that runs the module.
    node: Option<String>,
    /// The number of the ownership, which grows with each change of the node.
    epoch: i64,
    /// The time of the last change, by the database's clock, in milliseconds since the Unix epoch.
    since_ms: u64,
    /// The node that an operator has chosen.
    wanted: Option<String>,
    /// The other modules that run on one node together with the module, because they use one account.
    together: Vec<String>,
    /// The live nodes that have the version.
    able: Vec<String>,
    /// Whether the configuration of any node has the module, also of a node that does not live.
    is_offered: bool,
}

impl From<GroupStatus> for ModuleRow {
    fn from(group: GroupStatus) -> Self {
        Self {
            version: group.modules.into_iter().next().map(|(_, version)| version),
            module: group.group,
            node: group.node,
            epoch: group.epoch,
            since_ms: group.since_ms,
            wanted: group.wanted,
            together: group.together,
            able: group.able,
            is_offered: group.is_offered,
        }
    }
}

impl Shown {
    /// `lease_ttl` is the time of the leases.
    pub(super) fn new(found: ClusterStatus, lease_ttl: Duration) -> Self {
        let ClusterStatus { nodes, groups, now_ms } = found;
        let modules: Vec<_> = groups.into_iter().map(ModuleRow::from).collect();
        let ttl_ms = u64::try_from(lease_ttl.as_millis()).unwrap_or(u64::MAX);
        let mut problems = Vec::new();
        if nodes.iter().all(|node| !node.is_live) {
            problems.push("no node is live: start nexum on one".to_owned());
        }
        problems.extend(nodes.iter().filter_map(|node| old_lease(node, ttl_ms)));
        let free = modules.iter().filter_map(|module| long_free(module, now_ms, ttl_ms));
        problems.extend(free);
        Self {
            now_ms,
            nodes,
            modules,
            problems,
        }
    }

    pub(super) fn exit_code(&self) -> u8 {
        if self.problems.is_empty() { STOPPED } else { FAILED }
    }

    pub(super) fn print(&self) {
        outln!("{}\n\n{}", self.node_table(), self.module_table());
        let problems = self.problems.iter().map(|problem| harmless(problem));
        problems.for_each(|problem| outln!("\n{problem}"));
    }

    fn node_table(&self) -> Table {
        let mut rows = table(&[
            "NODE", "STATE", "EPOCH", "LEASE", "MODULES", "WEIGHT", "VERSION", "ADDRESS",
        ]);
        for node in &self.nodes {
            let lease = node.expires_in_ms.and_then(|ms| u64::try_from(ms).ok());
            rows.add_row([
                harmless(&node.node).into_owned(),
                state(node).to_owned(),
                node.epoch.to_string(),
                lease.map_or_else(|| "-".to_owned(), span),
                format!("{} of {}", node.owned, node.loaded),
                node.weight.to_string(),
                or_dash(node.version.as_deref()),
                or_dash(node.address.as_deref()),
            ]);
        }
        rows
    }

    fn module_table(&self) -> Table {
        let mut rows = table(&["MODULE", "NODE", "SINCE", "EPOCH", "WANTED", "CAN RUN ON"]);
        for module in &self.modules {
            rows.add_row([
                harmless(&module.module).into_owned(),
                or_dash(module.node.as_deref()),
                span(self.now_ms.saturating_sub(module.since_ms)),
                module.epoch.to_string(),
                or_dash(module.wanted.as_deref()),
                harmless(&list(&module.able)).into_owned(),
            ]);
        }
        rows
    }
}

fn or_dash(text: Option<&str>) -> String {
    text.map_or_else(|| "-".to_owned(), |text| harmless(text).into_owned())
}

/// The state of a node in a word.
fn state(node: &NodeStatus) -> &'static str {
    match (node.is_live, node.expires_in_ms, node.draining) {
        (true, _, false) => "live",
        (true, _, true) => "draining",
        (false, Some(_), _) => "expired",
        (false, None, false) => "gone",
        (false, None, true) => "gone, draining",
    }
}

/// The problem of a node that has not renewed its lease for half of the lease's time.
fn old_lease(node: &NodeStatus, ttl_ms: u64) -> Option<String> {
    let name = &node.node;
    let left_ms = node.expires_in_ms?;
    let Ok(left_ms) = u64::try_from(left_ms) else {
        let ended = span(left_ms.unsigned_abs());
        return Some(format!(
            "the lease of the node {name} ended {ended} ago, and no other node has taken its modules"
        ));
    };
    (left_ms < ttl_ms / 2).then(|| {
        let age = span(ttl_ms.saturating_sub(left_ms));
        format!("the node {name} has not renewed its lease for {age}, over half of its {ttl_ms} ms")
    })
}

/// The problem of a module that no node has run for more than two times of a lease.
fn long_free(module: &ModuleRow, now_ms: u64, ttl_ms: u64) -> Option<String> {
    let free_ms = now_ms.saturating_sub(module.since_ms);
    let is_long = module.node.is_none() && module.is_offered && free_ms > 2 * ttl_ms;
    is_long.then(|| {
        let name = &module.module;
        let able = match module.able.is_empty() {
            true => "no live node has its version".to_owned(),
            false => format!("{} can", list(&module.able)),
        };
        let together = match module.together.is_empty() {
            true => String::new(),
            false => format!(", and it runs only together with {}", list(&module.together)),
        };
        format!(
            "no node has run the module {name} for {}: {able}{together}",
            span(free_ms)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_767_225_600_000;
    const TTL: Duration = Duration::from_secs(5);

    fn node(name: &str, expires_in_ms: Option<i64>) -> NodeStatus {
        NodeStatus {
            node: name.to_owned(),
            is_live: expires_in_ms.is_some_and(|ms| ms > 0),
            expires_in_ms,
            epoch: 7,
            address: Some("10.0.0.21:9466".to_owned()),
            version: Some("0.1.0".to_owned()),
            weight: 1,
            draining: false,
            loaded: 3,
            owned: 2,
        }
    }

    fn group(name: &str, node: Option<&str>, for_ms: u64) -> GroupStatus {
        GroupStatus {
            group: name.to_owned(),
            node: node.map(str::to_owned),
            epoch: 4,
            since_ms: NOW_MS - for_ms,
            wanted: None,
            modules: vec![(name.to_owned(), "sha256:01".to_owned())],
            together: Vec::new(),
            able: vec!["node-a".to_owned(), "node-b".to_owned()],
            is_offered: true,
        }
    }

    fn shown(nodes: Vec<NodeStatus>, groups: Vec<GroupStatus>) -> Shown {
        let found = ClusterStatus {
            nodes,
            groups,
            now_ms: NOW_MS,
        };
        Shown::new(found, TTL)
    }

    #[test]
    fn the_tables_fit_80_columns() {
        let mut moved = group("conditional-orders", Some("node-b"), 7_500_000);
        moved.wanted = Some("node-b".to_owned());
        let shown = shown(
            vec![
                node("node-a", Some(4_210)),
                node("node-b", Some(900)),
                node("node-c", None),
            ],
            vec![
                group("keeper", Some("node-a"), 65_000),
                moved,
                group("watch", None, 11_000),
            ],
        );
        let lines = |mut table: Table| {
            table.set_width(80);
            let lines: Vec<_> = table.lines().map(|line| line.trim_end().to_owned()).collect();
            assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
            lines.join("\n")
        };
        let text = [
            lines(shown.node_table()),
            lines(shown.module_table()),
            shown.problems.join("\n"),
        ];
        insta::assert_snapshot!("status_80", text.join("\n\n"));
    }

    #[test]
    fn only_what_needs_the_operator_is_a_problem() {
        let live = || vec![node("node-a", Some(4_000)), node("node-b", None)];
        let check = |nodes, groups, expected: &[&str]| {
            let shown = shown(nodes, groups);
            assert_eq!(shown.problems, expected);
            assert_eq!(shown.exit_code() == STOPPED, expected.is_empty());
        };
        check(
            live(),
            vec![group("m", Some("node-a"), 99_000), group("n", None, 10_000)],
            &[],
        );
        let mut forgotten = group("m", None, 99_000);
        forgotten.is_offered = false;
        check(live(), vec![forgotten], &[]);
        let mut unable = group("m", None, 99_000);
        unable.able.clear();
        check(
            live(),
            vec![group("k", None, 11_000), unable],
            &[
                "no node has run the module k for 11 s: node-a, node-b can",
                "no node has run the module m for 99 s: no live node has its version",
            ],
        );
        check(vec![], vec![], &["no node is live: start nexum on one"]);
        check(
            vec![node("node-a", Some(2_400)), node("node-b", Some(-3_000))],
            vec![],
            &[
                "the node node-a has not renewed its lease for 2 s, over half of its 5000 ms",
                "the lease of the node node-b ended 3 s ago, and no other node has taken its modules",
            ],
        );
    }
}
