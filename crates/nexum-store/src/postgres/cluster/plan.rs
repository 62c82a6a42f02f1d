//! The next steps of a node, as a function of a snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nexum_config::names::ModuleName;
use nexum_core::membership::Offer;

use super::parties::{Parties, takers};
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
    /// The node of the placement, if it can run the module.
    placed: Option<&'a str>,
}

/// The modules of a snapshot by name, and which of them run together.
struct Placement<'a> {
    entries: BTreeMap<&'a str, Entry<'a>>,
    parties: Parties<'a>,
}

impl<'a> Placement<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        let groups: BTreeMap<_, _> = snapshot.groups.iter().map(|group| (&*group.grp, group)).collect();
        let parties = Parties::new(snapshot);
        let entry = |module: &'a Module| {
            let group = groups.get(&*module.grp).copied()?;
            let seat = parties.seat(&module.name);
            let placed = seat.filter(|seat| takers(snapshot, module).any(|taker| taker == *seat));
            Some((&*module.name, Entry { module, group, placed }))
        };
        Self {
            entries: snapshot.modules.iter().filter_map(entry).collect(),
            parties,
        }
    }

    /// The other modules that run together with a module.
    fn others(&self, name: &str) -> impl Iterator<Item = &Entry<'a>> {
        let others = self.parties.members(name).filter(move |other| *other != name);
        others.filter_map(|other| self.entries.get(other))
    }
}

pub(super) fn plan(snapshot: &Snapshot, own: &Own<'_>) -> Plan {
    let placement = Placement::new(snapshot);
    let entries = &placement.entries;
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
        let is_elsewhere = |other: &Entry<'_>| other.group.node.as_deref().is_some_and(|node| node != own.node);
        let is_free = entry.group.node.is_none() && !placement.others(name.as_str()).any(is_elsewhere);
        if is_free && entry.placed == Some(own.node) && offer.version == *version {
            plan.claims.push(name.clone());
        }
        let reason = elsewhere(snapshot, own, &placement, entry, offer);
        plan.elsewhere.insert(name.clone(), (reason, entry.group.since_ms));
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
    for name in own.owned.keys().filter(|name| own.offers.contains_key(*name)) {
        if let Some(why) = follows(own, &placement, name, &plan.leaving) {
            plan.leaving.entry(name.clone()).or_insert_with(|| why.into());
        }
    }
    let is_settled = plan.leaving.is_empty()
        && entries
            .values()
            .all(|entry| entry.group.node.is_some() || entry.placed.is_none());
    if own.may_rebalance && is_settled {
        let mut moves = own.owned.keys().filter_map(|name| {
            let other = placement.parties.seat(name.as_str()).filter(|node| *node != own.node)?;
            Some((name, format!("the node {other} has fewer modules than its share")))
        });
        if let Some((first, why)) = moves.next() {
            let party = placement.parties.of(first.as_str());
            let is_member = |name: &&ModuleName| placement.parties.of(name.as_str()) == party;
            let members = own.owned.keys().filter(is_member);
            plan.leaving
                .extend(members.map(|name| (name.clone(), why.as_str().into())));
        }
    }
    plan
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

/// Why an owned module has to go with those that run together with it.
fn follows(
    own: &Own<'_>,
    placement: &Placement<'_>,
    name: &ModuleName,
    leaving: &BTreeMap<ModuleName, Arc<str>>,
) -> Option<String> {
    let seat = placement.parties.seat(name.as_str()).filter(|node| *node != own.node)?;
    let goes = |other: &&Entry<'_>| {
        let is_here = other.group.node.as_deref() == Some(own.node);
        other.placed.is_some() && (!is_here || leaving.keys().any(|name| name.as_str() == other.module.name))
    };
    let other = placement.others(name.as_str()).find(goes)?;
    Some(format!(
        "it runs together with the module {}, which goes to the node {seat}",
        other.module.name
    ))
}

/// Why the node does not run an offered module.
fn elsewhere(
    snapshot: &Snapshot,
    own: &Own<'_>,
    placement: &Placement<'_>,
    entry: &Entry<'_>,
    offer: &Offer,
) -> String {
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
        (None, None) => match (
            placement.parties.seat(&entry.module.name),
            placement.others(&entry.module.name).next(),
        ) {
            (Some(node), Some(other)) => format!(
                "the module runs together with the module {}, and the node {node} does not have both",
                other.module.name
            ),
            _ => "no node takes the module, because those that have it are draining".to_owned(),
        },
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
