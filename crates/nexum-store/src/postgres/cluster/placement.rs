//! The node that runs each group, as a function of one snapshot.
//!
//! Every node computes the placement for itself. The arithmetic has integers only, so that all nodes find the
//! same placement on every platform and in every version of nexum.

use std::collections::{BTreeMap, BTreeSet};

/// A node that can take groups.
#[derive(Clone, Debug)]
pub(super) struct Candidate<'a> {
    pub(super) node: &'a str,
    /// The node's part of the groups, relative to the weights of the others. At least 1.
    pub(super) weight: u32,
}

/// Modules that have to run on one node.
#[derive(Clone, Debug)]
pub(super) struct Placed<'a> {
    pub(super) group: &'a str,
    /// The number of its modules.
    pub(super) size: u64,
    /// The groups of one chain run on few nodes. `None` for a group without a chain.
    pub(super) chain: Option<u64>,
    /// The node that an operator has chosen.
    pub(super) wanted: Option<&'a str>,
    /// The nodes that can run it.
    pub(super) nodes: BTreeSet<&'a str>,
}

/// A node gets at most this part of the modules, relative to its share. A group of several modules may exceed it.
const LOAD_MAX: (u64, u64) = (5, 4);

/// Chooses a node for each group that any node can run.
///
/// The chains, and the groups without a chain, choose their nodes by weighted rendezvous hashing. A group
/// follows its chain, unless the node then has more than 1.25 times its share. It follows the node that an
/// operator has chosen always.
pub(super) fn place<'a>(candidates: &[Candidate<'a>], groups: &[Placed<'a>]) -> BTreeMap<&'a str, &'a str> {
    let known: BTreeMap<&str, u64> = candidates
        .iter()
        .map(|candidate| (candidate.node, u64::from(candidate.weight.max(1))))
        .collect();
    let mut placeable: Vec<_> = groups
        .iter()
        .filter(|group| group.nodes.iter().any(|node| known.contains_key(node)))
        .collect();
    let choices = |group: &Placed<'_>| group.nodes.iter().filter(|node| known.contains_key(*node)).count();
    // Groups that few nodes can run come first. Beyond this, the order does not depend on the nodes, so that few
    // groups move when a node joins or leaves.
    placeable.sort_unstable_by_key(|group| (choices(group), hash(&[group.group.as_bytes()]), group.group));
    let count: u64 = placeable.iter().map(|group| group.size).sum();
    let all = known.values().sum::<u64>();
    let load_max = |weight: u64| (count * weight * LOAD_MAX.0).div_ceil((all * LOAD_MAX.1).max(1)).max(1);
    let mut loads: BTreeMap<&str, u64> = BTreeMap::new();
    let mut placement = BTreeMap::new();
    for group in &placeable {
        if let Some(node) = group.wanted.filter(|node| can_run(group, &known, node)) {
            placement.insert(group.group, node);
            *loads.entry(node).or_default() += group.size;
        }
    }
    let mut rankings = BTreeMap::new();
    for group in placeable {
        if placement.contains_key(group.group) {
            continue;
        }
        let key = key(group);
        let ranking = rankings.entry(key.clone()).or_insert_with(|| rank(&known, &key));
        let able = || ranking.iter().copied().filter(|node| can_run(group, &known, node));
        let load = |node: &str| loads.get(node).copied().unwrap_or(0);
        let has_room = |node: &&str| known.get(node).is_some_and(|weight| load(node) < load_max(*weight));
        let parts = |node: &str| load(node) * all / known.get(node).copied().unwrap_or(1);
        // Where no node has room, because few nodes have the group's module, the one with the least load.
        let Some(node) = able().find(has_room).or_else(|| able().min_by_key(|node| parts(node))) else {
            continue;
        };
        placement.insert(group.group, node);
        *loads.entry(node).or_default() += group.size;
    }
    placement
}

fn can_run(group: &Placed<'_>, known: &BTreeMap<&str, u64>, node: &str) -> bool {
    group.nodes.contains(node) && known.contains_key(node)
}

/// The text that chooses the node of a group.
fn key(group: &Placed<'_>) -> Vec<u8> {
    match group.chain {
        Some(chain) => [b"chain".as_slice(), &chain.to_be_bytes()].concat(),
        None => [b"group".as_slice(), group.group.as_bytes()].concat(),
    }
}

/// The nodes for a key, best first. A node draws one number for each unit of its weight, and its largest number
/// decides.
fn rank<'a>(known: &BTreeMap<&'a str, u64>, key: &[u8]) -> Vec<&'a str> {
    let draw = |node: &str, weight: u64| {
        let first = hash(&[node.as_bytes(), key]);
        (0..weight).map(|number| mix(first.wrapping_add(number))).max()
    };
    let mut drawn: Vec<_> = known
        .iter()
        .map(|(node, weight)| (draw(node, *weight), *node))
        .collect();
    drawn.sort_unstable_by(|one, other| other.cmp(one));
    drawn.into_iter().map(|(_, node)| node).collect()
}

/// A hash of texts, which must never change: nodes of two versions have to agree. FNV-1a with the mixer below.
fn hash(texts: &[&[u8]]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for text in texts {
        for byte in (text.len() as u64).to_be_bytes().iter().chain(*text) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    mix(hash)
}

/// The next number of the generator `SplitMix64` after a state: each bit of the state changes half of its bits.
fn mix(state: u64) -> u64 {
    let mut mixed = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests;
