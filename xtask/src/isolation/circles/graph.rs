//! The references between modules, and their circles.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Module;

/// For each parent: two of its children, and an example of a name of the second in the first.
#[derive(Debug, Default)]
pub(super) struct Graph(BTreeMap<Module, Edges>);

/// The children that a child refers to, each with an example.
type Edges = BTreeMap<String, BTreeMap<String, String>>;

impl Graph {
    /// Adds that the file of `from` names an item of the file of `to`. The reference counts for the
    /// two children of their nearest common parent. It does not count if one of the modules is
    /// inside the other.
    pub(super) fn add(&mut self, from: &Module, to: &Module, name: &str) {
        let common = from.iter().zip(to).take_while(|(from, to)| from == to).count();
        let (Some(from_child), Some(to_child)) = (from.get(common), to.get(common)) else {
            return;
        };
        let edges = self.0.entry(from[..common].to_vec()).or_default();
        let example = || format!("{} names {name}", from.join("::"));
        edges
            .entry(from_child.clone())
            .or_default()
            .entry(to_child.clone())
            .or_insert_with(example);
    }

    /// The shortest circle through each module that no earlier line names, a line for each.
    pub(super) fn circles(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (parent, edges) in &self.0 {
            let mut seen = BTreeSet::new();
            for start in edges.keys() {
                if seen.contains(start) {
                    continue;
                }
                if let Some(circle) = shortest_circle(edges, start) {
                    lines.push(line(parent, edges, &circle));
                    seen.extend(circle);
                }
            }
        }
        lines
    }
}

/// The shortest path from a child back to itself, which is named once.
fn shortest_circle(edges: &Edges, start: &str) -> Option<Vec<String>> {
    let mut ways = VecDeque::from([vec![start.to_owned()]]);
    let mut reached = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        for next in way
            .last()
            .and_then(|last| edges.get(last))
            .into_iter()
            .flat_map(BTreeMap::keys)
        {
            if next == start {
                return Some(way);
            }
            if reached.insert(next) {
                ways.push_back([&way[..], std::slice::from_ref(next)].concat());
            }
        }
    }
    None
}

fn line(parent: &Module, edges: &Edges, circle: &[String]) -> String {
    let path = |child: &String| [&parent[..], std::slice::from_ref(child)].concat().join("::");
    let steps = circle.iter().zip(circle.iter().cycle().skip(1));
    let examples: Vec<&str> = steps
        .filter_map(|(from, to)| Some(edges.get(from)?.get(to)?.as_str()))
        .collect();
    let modules: Vec<String> = circle.iter().chain(circle.first()).map(path).collect();
    format!("{} ({})", modules.join(" -> "), examples.join("; "))
}
