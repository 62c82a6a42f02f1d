//! The next steps of a node, as a function of a snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nexum_config::names::ModuleName;
use nexum_core::membership::Offer;

use super::placement::{Candidate, Placed, place};
use super::snapshot::{Group, Module, Node, Snapshot};

/// The knowledge of a node beside the snapshot.
#[derive(Debug)]
pub(super) struct Own<'a> {
    pub(super) node: &'a str,
    pub(super) offers: &'a BTreeMap<ModuleName, Offer>,
    pub(super) owned: &'a BTreeMap<ModuleName, u64>,
    /// Whether the nodes have been the same for long enough to move a module for balance.
    pub(super) may_rebalance: bool,
}

/// The next steps of a node.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Modules that the installation does not know.
    pub(super) unknown: BTreeSet<ModuleName>,
    /// Modules whose version no node has that takes modules, with the version. The node's own version replaces it.
    pub(super) adopted: BTreeMap<ModuleName, String>,
    /// Free groups for the node.
    pub(super) claims: Vec<ModuleName>,
    /// Owned modules that have to go to another node.
    pub(super) leaving: BTreeMap<ModuleName, Arc<str>>,
    /// Offered modules that the node does not own, with the reason and its time in milliseconds since the Unix epoch.
    pub(super) elsewhere: BTreeMap<ModuleName, (String, u64)>,
    /// The node that owns each offered module.
    pub(super) owners: BTreeMap<ModuleName, Arc<str>>,
    /// The groups that no node owns, and that a live node has.
    pub(super) unowned: usize,
}

/// A module with its group.
#[derive(Debug)]
struct Entry<'a> {
    module: &'a Module,
    group: &'a Group,
    /// The node of the placement.
    placed: Option<&'a str>,
}

pub(super) fn plan(snapshot: &Snapshot, own: &Own<'_>) -> Plan {
    let groups: BTreeMap<_, _> = snapshot.groups.iter().map(|group| (&*group.grp, group)).collect();
    let placement = placement(snapshot, &groups);
    let entries: BTreeMap<&str, Entry<'_>> = snapshot
        .modules
        .iter()
        .filter_map(|module| {
            let group = groups.get(&*module.grp).copied()?;
            let placed = placement.get(&*module.grp).copied();
            Some((&*module.name, Entry { module, group, placed }))
        })
        .collect();
    let is_offered = |name: &str| {
        let mut live = snapshot.nodes.iter().filter(|node| node.is_live);
        live.any(|node| node.loaded.contains_key(name))
    };
    let free = entries.values().filter(|entry| entry.group.node.is_none());
    let mut plan = Plan {
        unowned: free.filter(|entry| is_offered(&entry.module.name)).count(),
        ..Plan::default()
    };
    let is_taking = snapshot.node(own.node).is_some_and(Node::is_taking);
    for (name, offer) in own.offers {
        let Some(entry) = entries.get(name.as_str()) else {
            plan.unknown.insert(name.clone());
            continue;
        };
        let version = &entry.module.version;
        if is_taking && offer.version != *version && takers(snapshot, entry.module).next().is_none() {
            plan.adopted.insert(name.clone(), version.clone());
        }
        if let Some(node) = &entry.group.node {
            plan.owners.insert(name.clone(), node.as_str().into());
        }
        if own.owned.contains_key(name) {
            continue;
        }
        if entry.group.node.is_none() && entry.placed == Some(own.node) && offer.version == *version {
            plan.claims.push(name.clone());
        }
        plan.elsewhere.insert(
            name.clone(),
            (elsewhere(snapshot, own, entry, offer), entry.group.since_ms),
        );
    }
    for name in own.owned.keys() {
        let Some(offer) = own.offers.get(name) else {
            plan.leaving
                .insert(name.clone(), "this node no longer has the module".into());
            continue;
        };
        let entry = entries.get(name.as_str());
        if let Some(why) = entry.and_then(|entry| due(snapshot, own, entry, offer)) {
            plan.leaving.insert(name.clone(), why.into());
        }
    }
    let is_settled = plan.leaving.is_empty()
        && entries
            .values()
            .all(|entry| entry.group.node.is_some() || entry.placed.is_none());
    if own.may_rebalance && is_settled {
        let mut moves = own.owned.keys().filter_map(|name| {
            let other = entries.get(name.as_str())?.placed.filter(|node| *node != own.node)?;
            Some((
                name.clone(),
                format!("the node {other} has fewer modules than its share").into(),
            ))
        });
        plan.leaving.extend(moves.next());
    }
    plan
}

/// The nodes that take the version of a module that the installation runs.
fn takers<'a>(snapshot: &'a Snapshot, module: &Module) -> impl Iterator<Item = &'a str> {
    let nodes = snapshot.nodes.iter().filter(|node| node.is_taking());
    let has = |node: &&Node| node.loaded.get(&module.name) == Some(&module.version);
    nodes.filter(has).map(|node| &*node.node)
}

/// The node of each group. A node can run a group if it can run all of its modules.
fn placement<'a>(snapshot: &'a Snapshot, groups: &BTreeMap<&'a str, &'a Group>) -> BTreeMap<&'a str, &'a str> {
    let taking = snapshot.nodes.iter().filter(|node| node.is_taking());
    let candidates = taking.map(|node| Candidate {
        node: &node.node,
        weight: u32::try_from(node.weight).unwrap_or(1),
    });
    let mut placed: BTreeMap<&str, Placed<'_>> = BTreeMap::new();
    for module in &snapshot.modules {
        let Some(group) = groups.get(&*module.grp) else {
            continue;
        };
        let nodes: BTreeSet<_> = takers(snapshot, module).collect();
        let first = module.chains.iter().min().map(|chain| chain.cast_unsigned());
        placed
            .entry(&group.grp)
            .and_modify(|known| {
                known.nodes.retain(|node| nodes.contains(node));
                known.chain = known.chain.into_iter().chain(first).min();
            })
            .or_insert_with(|| Placed {
                group: &group.grp,
                chain: first,
                wanted: group.wanted.as_deref(),
                nodes,
            });
    }
    let placed: Vec<_> = placed.into_values().collect();
    place(&candidates.collect::<Vec<_>>(), &placed)
}

/// Why an owned module has to go to another node at once.
fn due(snapshot: &Snapshot, own: &Own<'_>, entry: &Entry<'_>, offer: &Offer) -> Option<String> {
    let other = entry.placed.filter(|node| *node != own.node)?;
    let is_draining = snapshot.node(own.node).is_some_and(|node| node.draining);
    if is_draining {
        return Some(format!("the node {} is draining", own.node));
    }
    if offer.version != entry.module.version {
        return Some(format!(
            "the installation runs version {} of the module",
            entry.module.version
        ));
    }
    (entry.group.wanted.as_deref() == Some(other))
        .then(|| format!("an operator has moved the module to the node {other}"))
}

/// Why the node does not run an offered module.
fn elsewhere(snapshot: &Snapshot, own: &Own<'_>, entry: &Entry<'_>, offer: &Offer) -> String {
    let address = |node: &Node| {
        node.address
            .as_ref()
            .map_or(String::new(), |address| format!(" ({address})"))
    };
    let mut text = match (&entry.group.node, entry.placed) {
        (Some(node), _) if node == own.node => "this node gives the module up".to_owned(),
        (Some(node), _) => match snapshot.node(node) {
            Some(found) if found.is_live => format!("runs on the node {node}{}", address(found)),
            _ => format!("the node {node}, which has the module, does not renew its lease"),
        },
        (None, Some(node)) if node == own.node => "this node takes the module".to_owned(),
        (None, Some(node)) => format!("the node {node} takes the module"),
        (None, None) => "no node takes the module, because those that have it are draining".to_owned(),
    };
    if offer.version != entry.module.version {
        text.push_str(&format!(
            "; this node has version {}, and the installation runs {}",
            offer.version, entry.module.version
        ));
    }
    text
}

#[cfg(test)]
mod tests;
