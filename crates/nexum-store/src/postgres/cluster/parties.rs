//! The modules that run together, and their nodes.
//!
//! Modules that have a name of [`Offer::together`](nexum_core::membership::Offer::together) in common, directly or over
//! other modules, are a party. Every other module is a party of its own. A party runs on one node: one that can run
//! the most of its modules. The modules that this node cannot run wait.

use std::collections::{BTreeMap, BTreeSet};

use super::placement::{Candidate, Placed, place};
use super::snapshot::{Module, Node, Snapshot};

/// The parties of an installation.
#[derive(Debug)]
pub(super) struct Parties<'a> {
    /// The first module, by name, of the party of each module. It names the party.
    of: BTreeMap<&'a str, &'a str>,
    /// The node of each party.
    seats: BTreeMap<&'a str, &'a str>,
}

impl<'a> Parties<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        let of = parties(&snapshot.modules);
        let seats = seats(snapshot, &of);
        Self { of, seats }
    }

    /// The name of the party of a module.
    pub(super) fn of(&self, module: &str) -> Option<&'a str> {
        self.of.get(module).copied()
    }

    /// The node of the party of a module. It need not have the module.
    pub(super) fn seat(&self, module: &str) -> Option<&'a str> {
        self.seats.get(self.of(module)?).copied()
    }

    /// The modules of the party of a module, by name.
    pub(super) fn members(&self, module: &str) -> impl Iterator<Item = &'a str> {
        let party = self.of(module);
        let members = self.of.iter().filter(move |(_, of)| party == Some(**of));
        members.map(|(module, _)| *module)
    }
}

/// The nodes that take the version of a module that the installation runs.
pub(super) fn takers<'a>(snapshot: &'a Snapshot, module: &Module) -> impl Iterator<Item = &'a str> {
    let nodes = snapshot.nodes.iter().filter(|node| node.is_taking());
    let has = |node: &&Node| node.loaded.get(&module.name) == Some(&module.version);
    nodes.filter(has).map(|node| &*node.node)
}

/// The party of each module. Each round gives the modules with a common name the first party of them, until nothing
/// changes.
fn parties(modules: &[Module]) -> BTreeMap<&str, &str> {
    let mut of: BTreeMap<&str, &str> = modules.iter().map(|module| (&*module.name, &*module.name)).collect();
    let tied: Vec<_> = modules.iter().filter(|module| !module.together.is_empty()).collect();
    loop {
        let mut first: BTreeMap<&str, &str> = BTreeMap::new();
        for module in &tied {
            let party = of.get(&*module.name).copied().unwrap_or(&module.name);
            for name in &module.together {
                let first = first.entry(name).or_insert(party);
                *first = party.min(*first);
            }
        }
        let mut is_changed = false;
        for module in &tied {
            let least = module.together.iter().filter_map(|name| first.get(&**name)).min();
            if let (Some(least), Some(party)) = (least, of.get_mut(&*module.name))
                && *least < *party
            {
                *party = *least;
                is_changed = true;
            }
        }
        if !is_changed {
            return of;
        }
    }
}

/// The node of each party.
fn seats<'a>(snapshot: &'a Snapshot, of: &BTreeMap<&'a str, &'a str>) -> BTreeMap<&'a str, &'a str> {
    let taking = snapshot.nodes.iter().filter(|node| node.is_taking());
    let candidates = taking.map(|node| Candidate {
        node: &node.node,
        weight: u32::try_from(node.weight).unwrap_or(1),
    });
    let wanted: BTreeMap<&str, &str> = snapshot
        .groups
        .iter()
        .filter_map(|group| Some((&*group.grp, group.wanted.as_deref()?)))
        .collect();
    let mut placed: BTreeMap<&str, Placed<'_>> = BTreeMap::new();
    // The number of modules that each node can run, by party.
    let mut runnable: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for module in &snapshot.modules {
        let Some(party) = of.get(&*module.name).copied() else {
            continue;
        };
        let first = module.chains.iter().min().map(|chain| chain.cast_unsigned());
        let of_party = placed.entry(party).or_insert_with(|| Placed {
            group: party,
            size: 0,
            chain: None,
            wanted: None,
            nodes: BTreeSet::new(),
        });
        of_party.size += 1;
        of_party.chain = of_party.chain.into_iter().chain(first).min();
        of_party.wanted = of_party.wanted.or(wanted.get(&*module.grp).copied());
        let counts = runnable.entry(party).or_default();
        takers(snapshot, module).for_each(|node| *counts.entry(node).or_default() += 1);
    }
    for (party, counts) in runnable {
        let most = counts.values().max().copied();
        let nodes = counts.into_iter().filter(|(_, count)| Some(*count) == most);
        if let Some(of_party) = placed.get_mut(party) {
            of_party.nodes = nodes.map(|(node, _)| node).collect();
        }
    }
    let placed: Vec<_> = placed.into_values().collect();
    place(&candidates.collect::<Vec<_>>(), &placed)
}

#[cfg(test)]
mod tests;
