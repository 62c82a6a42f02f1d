//! The metrics that the documentation lists.

use std::collections::{BTreeMap, BTreeSet};

const PAGE: &str = include_str!("../../../../../docs/metrics.md");

/// The metrics in the tables of the documentation, by name, with their types.
pub(crate) fn documented() -> BTreeMap<String, String> {
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `nexum_"));
    let row = |row: &str| {
        let (name, rest) = row.split_once("` | ").expect("a type");
        let kind = rest.split(' ').next().expect("a type");
        (format!("nexum_{name}"), kind.to_owned())
    };
    rows.map(row).collect()
}

/// The stages that the documentation of `nexum_module_stage` lists.
pub(super) fn stages() -> BTreeSet<String> {
    let (_, row) = PAGE.split_once("0 for the others: ").expect("the row");
    let (list, _) = row.split_once(" (").expect("an end");
    list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}
