use nexum_config::names::ModuleName;
use nexum_core::membership::Offer;
use proptest::prelude::*;

use super::super::plan::{Own, plan};
use super::super::snapshot::Group;
use super::*;

/// The most rounds until nothing changes: a few for each module, because balance moves one party at a time.
const ROUNDS_MAX: usize = 100;

fn module(number: usize, together: &BTreeSet<String>) -> Module {
    Module {
        name: format!("m{number}"),
        grp: format!("m{number}"),
        version: "1".to_owned(),
        chains: vec![i64::try_from(number % 3).unwrap()],
        together: together.iter().cloned().collect(),
    }
}

fn node(number: usize, modules: &BTreeSet<usize>) -> Node {
    let version = |module: &usize| (format!("m{module}"), "1".to_owned());
    Node {
        node: format!("n{number}"),
        epoch: 1,
        is_live: true,
        expires_in_ms: Some(1),
        address: None,
        version: None,
        weight: 1,
        draining: false,
        loaded: modules.iter().map(version).collect(),
    }
}

/// Installations of a few nodes, each with a part of the modules, that any nodes own.
fn installations() -> impl Strategy<Value = Snapshot> {
    let together = prop::collection::btree_set("[a-d]", 0..3);
    let modules = prop::collection::vec(
        (together, prop::option::of(0..4_usize), prop::option::of(0..4_usize)),
        1..8,
    );
    let nodes = prop::collection::vec(prop::collection::btree_set(0..8_usize, 0..8), 1..4);
    (modules, nodes).prop_map(|(modules, nodes)| {
        let name = |number: usize| format!("n{number}");
        let group = |(number, (_, owner, wanted)): (usize, &(_, Option<usize>, Option<usize>))| Group {
            grp: format!("m{number}"),
            node: owner.filter(|owner| *owner < nodes.len()).map(name),
            epoch: 1,
            since_ms: 1,
            wanted: wanted.map(name),
        };
        Snapshot {
            groups: modules.iter().enumerate().map(group).collect(),
            modules: modules
                .iter()
                .enumerate()
                .map(|(number, (together, ..))| module(number, together))
                .collect(),
            nodes: nodes
                .iter()
                .enumerate()
                .map(|(number, modules)| node(number, modules))
                .collect(),
            now_ms: 1,
        }
    })
}

fn owner<'a>(snapshot: &'a Snapshot, module: &Module) -> Option<&'a str> {
    snapshot
        .groups
        .iter()
        .find(|group| group.grp == module.grp)?
        .node
        .as_deref()
}

fn shares(one: &Module, other: &Module) -> bool {
    one.together.iter().any(|name| other.together.contains(name))
}

/// Two modules that share a name, and that two nodes own.
fn split(snapshot: &Snapshot) -> Option<(&Module, &Module)> {
    let modules = || snapshot.modules.iter();
    let mut pairs = modules().flat_map(|one| modules().map(move |other| (one, other)));
    pairs.find(|(one, other)| {
        let owners = (owner(snapshot, one), owner(snapshot, other));
        shares(one, other) && matches!(owners, (Some(one), Some(other)) if one != other)
    })
}

/// Lets each node take the next steps that it finds in one snapshot, one node after another, as the database does.
fn step(snapshot: &Snapshot, may_rebalance: bool) -> Snapshot {
    let mut next = snapshot.clone();
    for node in &snapshot.nodes {
        let name = |text: &str| text.parse::<ModuleName>().unwrap();
        let offer = |module: &Module| Offer {
            version: module.version.clone(),
            chains: module.chains.iter().map(|chain| chain.cast_unsigned()).collect(),
            together: module.together.iter().cloned().collect(),
        };
        let offered = snapshot
            .modules
            .iter()
            .filter(|module| node.loaded.contains_key(&module.name));
        let owned = snapshot
            .modules
            .iter()
            .filter(|module| owner(snapshot, module) == Some(&*node.node));
        let own = Own {
            node: &node.node,
            offers: &offered.map(|module| (name(&module.name), offer(module))).collect(),
            owned: &owned.map(|module| (name(&module.name), 1)).collect(),
            may_rebalance,
        };
        let plan = plan(snapshot, &own);
        for left in plan.leaving.keys() {
            let group = next.groups.iter_mut().find(|group| group.grp == left.as_str()).unwrap();
            group.node = None;
        }
        for claimed in &plan.claims {
            let module = next
                .modules
                .iter()
                .find(|module| module.name == claimed.as_str())
                .unwrap();
            let is_refused = next
                .modules
                .iter()
                .any(|other| shares(module, other) && owner(&next, other).is_some_and(|owner| owner != node.node));
            if !is_refused && owner(&next, module).is_none() {
                let group = next
                    .groups
                    .iter_mut()
                    .find(|group| group.grp == claimed.as_str())
                    .unwrap();
                group.node = Some(node.node.clone());
            }
        }
    }
    next
}

fn owners(snapshot: &Snapshot) -> Vec<Option<String>> {
    snapshot.groups.iter().map(|group| group.node.clone()).collect()
}

proptest! {
    #[test]
    fn a_party_has_all_modules_that_names_connect(snapshot in installations()) {
        let found = parties(&snapshot.modules);
        for module in &snapshot.modules {
            // All that a search reaches.
            let mut reached = vec![module];
            let mut at = 0;
            while let Some(one) = reached.get(at).copied() {
                at += 1;
                let others = snapshot.modules.iter().filter(|other| shares(one, other));
                let new: Vec<_> = others.filter(|other| reached.iter().all(|known| known.name != other.name)).collect();
                reached.extend(new);
            }
            let names: BTreeSet<_> = reached.iter().map(|module| &*module.name).collect();
            let expected = *names.iter().next().unwrap();
            prop_assert!(names.iter().all(|name| found[name] == expected), "{names:?} {found:?}");
            prop_assert_eq!(found.values().filter(|party| **party == expected).count(), names.len());
        }
    }

    /// Whatever nodes own at first, each party ends on one node, which runs as many of its modules as any node can.
    #[test]
    fn the_modules_of_a_party_come_together_and_stay_on_one_node(start in installations(), may_rebalance in any::<bool>()) {
        let (mut snapshot, mut rounds) = (start, 0);
        let was_split = split(&snapshot).is_some();
        loop {
            let next = step(&snapshot, may_rebalance);
            if !was_split {
                prop_assert!(split(&next).is_none(), "{:?} in {next:#?}", split(&next));
            }
            if owners(&next) == owners(&snapshot) {
                break;
            }
            snapshot = next;
            rounds += 1;
            prop_assert!(rounds < ROUNDS_MAX, "the modules move for ever: {snapshot:#?}");
        }
        let found = Parties::new(&snapshot);
        for module in &snapshot.modules {
            let of_party = |other: &&Module| found.of(&other.name) == found.of(&module.name);
            let members: Vec<_> = snapshot.modules.iter().filter(of_party).collect();
            let on: BTreeSet<_> = members.iter().filter_map(|member| owner(&snapshot, member)).collect();
            let runs = members.iter().filter(|member| owner(&snapshot, member).is_some()).count();
            let can_run = |node: &Node| members.iter().filter(|member| node.loaded.contains_key(&member.name)).count();
            let most = snapshot.nodes.iter().map(can_run).max().unwrap_or(0);
            prop_assert!(on.len() <= 1, "{on:?} of {snapshot:#?}");
            prop_assert_eq!(runs, most, "{:?} of {:#?}", module.name, snapshot);
        }
    }
}

#[test]
fn a_party_is_as_large_as_its_modules() {
    let together = BTreeSet::from(["account".to_owned()]);
    let none = BTreeSet::new();
    let all: BTreeSet<_> = (0..8).collect();
    let of = |number: usize| if number < 4 { &together } else { &none };
    let modules: Vec<_> = (0..8).map(|number| module(number, of(number))).collect();
    let snapshot = Snapshot {
        groups: Vec::new(),
        nodes: vec![node(0, &all), node(1, &all)],
        now_ms: 1,
        modules,
    };
    let found = Parties::new(&snapshot);
    let seats: BTreeSet<_> = (0..4).map(|number| found.seat(&format!("m{number}"))).collect();
    assert_eq!(seats.len(), 1);
    assert_eq!(found.members("m2").collect::<Vec<_>>(), ["m0", "m1", "m2", "m3"]);
    // No node has more than 1.25 times its share of eight modules.
    let with = |seat| {
        (0..8)
            .filter(|number| found.seat(&format!("m{number}")) == seat)
            .count()
    };
    assert!((3..=5).contains(&with(Some("n0"))), "{}", with(Some("n0")));
}
