use proptest::prelude::*;

use super::*;

/// Nodes and groups with their own texts.
#[derive(Clone, Debug)]
struct World {
    nodes: Vec<(String, u32)>,
    groups: Vec<Group>,
}

#[derive(Clone, Debug)]
struct Group {
    name: String,
    chain: Option<u64>,
    wanted: Option<String>,
    /// The nodes that cannot run it.
    absent: BTreeSet<String>,
}

impl World {
    fn place(&self) -> BTreeMap<String, String> {
        let candidates: Vec<_> = self
            .nodes
            .iter()
            .map(|(node, weight)| Candidate { node, weight: *weight })
            .collect();
        let groups: Vec<_> = self
            .groups
            .iter()
            .map(|group| Placed {
                group: &group.name,
                size: 1,
                chain: group.chain,
                wanted: group.wanted.as_deref(),
                nodes: self
                    .nodes
                    .iter()
                    .map(|(node, _)| &**node)
                    .filter(|node| !group.absent.contains(*node))
                    .collect(),
            })
            .collect();
        let placement = place(&candidates, &groups).into_iter();
        placement
            .map(|(group, node)| (group.to_owned(), node.to_owned()))
            .collect()
    }

    fn loads(&self) -> BTreeMap<String, u64> {
        let mut loads = BTreeMap::new();
        self.place()
            .into_values()
            .for_each(|node| *loads.entry(node).or_default() += 1);
        loads
    }
}

/// Nodes of weight 1 to 4, and groups on a few chains or on none.
fn worlds(has_pins: bool) -> impl Strategy<Value = World> {
    let node = prop::collection::btree_map("[a-z]{1,8}", 1..=4_u32, 1..7);
    let group = (
        prop::option::of(0..5_u64),
        prop::option::weighted(if has_pins { 0.2 } else { f64::MIN_POSITIVE }, 0..8_usize),
        prop::collection::btree_set(0..8_usize, 0..if has_pins { 4 } else { 1 }),
    );
    (node, prop::collection::vec(group, 0..80)).prop_map(|(nodes, groups)| {
        let nodes: Vec<_> = nodes.into_iter().collect();
        let name = |at: usize| nodes.get(at).map(|(node, _)| node.clone());
        let groups = groups
            .into_iter()
            .enumerate()
            .map(|(number, (chain, wanted, absent))| Group {
                name: format!("group-{number}"),
                chain,
                wanted: wanted.and_then(name),
                absent: absent.into_iter().filter_map(name).collect(),
            });
        let groups = groups.collect();
        World { nodes, groups }
    })
}

proptest! {
    #[test]
    fn every_node_finds_the_same_placement(world in worlds(true), seed in any::<u64>()) {
        let placement = world.place();
        let mut other = world.clone();
        let len = other.nodes.len();
        other.nodes.rotate_left(seed as usize % len);
        if !other.groups.is_empty() {
            let len = other.groups.len();
            other.groups.rotate_left(seed as usize % len);
            other.groups.reverse();
        }
        prop_assert_eq!(placement, other.place());
    }

    #[test]
    fn a_group_runs_only_where_its_module_is(world in worlds(true)) {
        let placement = world.place();
        for group in &world.groups {
            let able: BTreeSet<_> = world.nodes.iter().map(|(node, _)| node).filter(|node| !group.absent.contains(*node)).collect();
            match placement.get(&group.name) {
                None => prop_assert!(able.is_empty()),
                Some(node) => {
                    prop_assert!(able.contains(node));
                    if let Some(wanted) = group.wanted.as_ref().filter(|wanted| able.contains(wanted)) {
                        prop_assert_eq!(node, wanted);
                    }
                }
            }
        }
    }

    #[test]
    fn no_node_has_much_more_than_its_share(world in worlds(false)) {
        let all: u64 = world.nodes.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let loads = world.loads();
        for (node, weight) in &world.nodes {
            let load = loads.get(node).copied().unwrap_or(0);
            let most = (world.groups.len() as u64 * u64::from(*weight) * 5).div_ceil(all * 4).max(1);
            prop_assert!(load <= most, "{node} has {load} of {most}");
        }
    }

    /// Groups that move between two other nodes fill the room that the change has made there, or leave a node whose
    /// share has become smaller.
    #[test]
    fn few_groups_move_between_the_nodes_that_stay(world in worlds(false), gone in any::<prop::sample::Index>()) {
        prop_assume!(world.nodes.len() > 1);
        let before = world.place();
        let mut fewer = world.clone();
        let (gone, _) = fewer.nodes.remove(gone.index(world.nodes.len()));
        let after = fewer.place();
        let moved = before.iter().filter(|(group, node)| **node != gone && after.get(*group) != Some(node)).count();
        let left = before.values().filter(|node| **node == gone).count();
        let total = world.groups.len();
        prop_assert!(moved <= left + total / 4 + 1, "{moved} moved, {left} of {total} had to");
    }

    #[test]
    fn only_groups_of_the_node_move_while_all_have_room(nodes in prop::collection::btree_set("[a-z]{1,8}", 2..6), key in any::<[u8; 8]>(), gone in any::<prop::sample::Index>()) {
        let known: BTreeMap<_, _> = nodes.iter().map(|node| (&**node, 1)).collect();
        let before = rank(&known, &key);
        let gone = before[gone.index(before.len())];
        let fewer: BTreeMap<_, _> = known.into_iter().filter(|(node, _)| *node != gone).collect();
        let expected: Vec<_> = before.into_iter().filter(|node| *node != gone).collect();
        prop_assert_eq!(expected, rank(&fewer, &key));
    }
}

#[test]
fn the_groups_of_a_chain_share_few_nodes() {
    let nodes = ["a", "b", "c", "d"].map(|node| (node.to_owned(), 1)).to_vec();
    let groups = (0..40).map(|number| Group {
        name: format!("group-{number}"),
        chain: Some(number % 20),
        wanted: None,
        absent: BTreeSet::new(),
    });
    let world = World {
        nodes,
        groups: groups.collect(),
    };
    let placement = world.place();
    let of_chain = |chain: u64| {
        let on = [chain, chain + 20].map(|number| &placement[&format!("group-{number}")]);
        on[0] == on[1]
    };
    let together = (0..20).filter(|chain| of_chain(*chain)).count();
    assert!(together >= 15, "only {together} of 20 chains are on one node");
}

#[test]
fn a_weight_is_a_part_of_the_groups() {
    let nodes = vec![("large".to_owned(), 3), ("small".to_owned(), 1)];
    let groups = (0..400).map(|number| Group {
        name: format!("group-{number}"),
        chain: None,
        wanted: None,
        absent: BTreeSet::new(),
    });
    let world = World {
        nodes,
        groups: groups.collect(),
    };
    let loads = world.loads();
    assert!((75..=125).contains(&loads["small"]), "{loads:?}");
}

/// The placement is a part of the agreement between nodes of several versions.
#[test]
fn the_hash_never_changes() {
    assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
    assert_eq!(hash(&[b"node", b"chain"]), GOLDEN);
}

const GOLDEN: u64 = 12_127_498_755_320_832_730;
