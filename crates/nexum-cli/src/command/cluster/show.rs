//! Prints what the commands of an installation did and found.

use comfy_table::Table;
use nexum_config::harmless::harmless;
use nexum_store::Initialised;
use nexum_store::cluster::{ClusterStatus, GroupStatus, HistoryEntry};
use serde::Serialize;

use crate::report::print::outln;
use crate::report::{list, table, time};

/// A change of the node or of the version of a module.
#[derive(Debug, Serialize)]
pub(super) struct Change {
    at_ms: u64,
    module: String,
    from_node: Option<String>,
    to_node: Option<String>,
    epoch: i64,
    why: String,
}

pub(super) fn initialised(made: &Initialised) {
    let Initialised {
        database,
        schema,
        existing,
        created,
    } = made;
    let place = format!("in the schema {schema} of the database {database}");
    match created.is_empty() {
        true => outln!("all tables exist {place}"),
        false => outln!("created {} {place}", list(created)),
    }
    if !existing.is_empty() && !created.is_empty() {
        outln!("these existed: {}", list(existing));
    }
    outln!("the functions are those of nexum {}", env!("CARGO_PKG_VERSION"));
}

/// Says when a module moves to a node.
pub(super) fn moved(group: &GroupStatus, node: Option<&str>, found: &ClusterStatus) {
    let name = &group.group;
    let Some(node) = node else {
        outln!("the nodes choose where {name} runs");
        return;
    };
    if group.node.as_deref() == Some(node) {
        outln!("{name} stays on {node} while {node} can run it");
        return;
    }
    let target = found.nodes.iter().find(|found| found.node == node);
    let is_able = group.able.iter().any(|able| able == node);
    let obstacle = match target {
        Some(target) if !target.is_live => Some(format!("when {node} has joined again")),
        Some(target) if target.draining => Some(format!("after `nexum cluster drain {node} --undo`")),
        _ if !is_able => Some(format!(
            "when {node} has the version of {name} that the installation runs"
        )),
        _ => None,
    };
    match obstacle {
        Some(obstacle) => outln!("{name} moves to {node} {obstacle}"),
        None => outln!("{name} moves to {node}: see `nexum cluster status`"),
    }
    if !group.together.is_empty() {
        outln!("these run together with it, and move too: {}", list(&group.together));
    }
}

pub(super) fn changes(entries: Vec<HistoryEntry>) -> Vec<Change> {
    let change = |entry: HistoryEntry| Change {
        at_ms: entry.at_ms,
        module: entry.group,
        from_node: entry.from_node,
        to_node: entry.to_node,
        epoch: entry.epoch,
        why: entry.why,
    };
    entries.into_iter().map(change).collect()
}

pub(super) fn history(changes: &[Change]) {
    outln!("{}", history_table(changes));
}

fn history_table(changes: &[Change]) -> Table {
    let mut rows = table(&["TIME", "MODULE", "FROM", "TO", "WHY"]);
    for change in changes {
        let node = |node: &Option<String>| {
            node.as_deref()
                .map_or_else(|| "-".to_owned(), |node| harmless(node).into())
        };
        rows.add_row([
            time(change.at_ms),
            harmless(&change.module).into_owned(),
            node(&change.from_node),
            node(&change.to_node),
            harmless(&change.why).into_owned(),
        ]);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_history_fits_80_columns() {
        let entry = |from: Option<&str>, to: Option<&str>, why: &str| HistoryEntry {
            at_ms: 1_767_225_600_000,
            group: "keeper".to_owned(),
            from_node: from.map(str::to_owned),
            to_node: to.map(str::to_owned),
            epoch: 3,
            why: why.to_owned(),
        };
        let entries = vec![
            entry(None, Some("node-b"), "the node has claimed it"),
            entry(
                Some("node-a"),
                None,
                "the node node-a is dead: its connection has ended",
            ),
        ];
        let mut table = history_table(&changes(entries));
        table.set_width(80);
        let lines: Vec<_> = table.lines().map(|line| line.trim_end().to_owned()).collect();
        assert!(lines.iter().all(|line| line.chars().count() <= 80));
        insta::assert_snapshot!("history_80", lines.join("\n"));
    }
}
