use super::*;

/// A node with the version of its only module, and whether it is draining.
fn node(name: &str, version: Option<&str>, draining: bool) -> Node {
    Node {
        node: name.to_owned(),
        epoch: 1,
        is_live: true,
        expires_in_ms: Some(1),
        address: Some(format!("http://{name}")),
        version: None,
        weight: 1,
        draining,
        loaded: version
            .map(|version| ("module".to_owned(), version.to_owned()))
            .into_iter()
            .collect(),
    }
}

/// A module of version 1 that a node owns.
fn snapshot(nodes: Vec<Node>, owner: Option<&str>, wanted: Option<&str>) -> Snapshot {
    Snapshot {
        now_ms: 9,
        nodes,
        groups: vec![Group {
            grp: "module".to_owned(),
            node: owner.map(str::to_owned),
            epoch: 7,
            since_ms: 5,
            wanted: wanted.map(str::to_owned),
        }],
        modules: vec![Module {
            name: "module".to_owned(),
            grp: "module".to_owned(),
            version: "1".to_owned(),
            chains: vec![1],
            together: Vec::new(),
        }],
    }
}

/// The plan of the node `me` with a version of the module.
fn planned(snapshot: &Snapshot, version: &str) -> Plan {
    let name: ModuleName = "module".parse().unwrap();
    let offer = Offer {
        version: version.to_owned(),
        chains: BTreeSet::from([1]),
        together: BTreeSet::new(),
    };
    let is_owner = snapshot.groups.iter().any(|group| group.node.as_deref() == Some("me"));
    let own = Own {
        node: "me",
        offers: &BTreeMap::from([(name.clone(), offer)]),
        owned: &is_owner.then_some((name, 7)).into_iter().collect(),
        may_rebalance: false,
    };
    plan(snapshot, &own)
}

fn elsewhere(plan: &Plan) -> &str {
    plan.elsewhere
        .values()
        .map(|(text, _)| &**text)
        .next()
        .unwrap_or_default()
}

fn leaving(plan: &Plan) -> &str {
    plan.leaving.values().map(|text| &**text).next().unwrap_or_default()
}

#[test]
fn a_free_module_is_claimed_by_the_node_that_has_its_version() {
    let found = planned(&snapshot(vec![node("me", Some("1"), false)], None, None), "1");
    assert_eq!((found.claims.len(), found.unowned), (1, 1));
    assert_eq!(elsewhere(&found), "this node takes the module");
    let nodes = vec![node("me", Some("2"), false), node("other", Some("1"), false)];
    let found = planned(&snapshot(nodes, None, None), "2");
    assert!(found.claims.is_empty() && found.adopted.is_empty());
    let expected = "the node other takes the module; this node has version 2, and the installation runs 1";
    assert_eq!(elsewhere(&found), expected);
}

#[test]
fn a_version_that_no_node_runs_is_replaced() {
    let nodes = vec![node("me", Some("2"), false), node("other", Some("1"), true)];
    let found = planned(&snapshot(nodes, Some("other"), None), "2");
    assert_eq!(found.adopted.values().collect::<Vec<_>>(), ["1"]);
    assert!(found.claims.is_empty());
    // A node that is draining leaves the choice to the others.
    let nodes = vec![node("me", Some("2"), true), node("other", Some("1"), true)];
    assert!(planned(&snapshot(nodes, Some("other"), None), "2").adopted.is_empty());
}

#[test]
fn a_module_leaves_a_draining_node_only_for_another_one() {
    let alone = snapshot(vec![node("me", Some("1"), true)], Some("me"), None);
    assert_eq!(leaving(&planned(&alone, "1")), "");
    let nodes = vec![node("me", Some("1"), true), node("other", Some("1"), false)];
    let both = snapshot(nodes, Some("me"), None);
    assert_eq!(leaving(&planned(&both, "1")), "the node me is draining");
}

#[test]
fn a_module_leaves_by_order_or_for_its_version() {
    let nodes = vec![node("me", Some("1"), false), node("other", Some("1"), false)];
    let moved = snapshot(nodes, Some("me"), Some("other"));
    assert_eq!(
        leaving(&planned(&moved, "1")),
        "an operator has moved the module to the node other"
    );
    let nodes = vec![node("me", Some("2"), false), node("other", Some("1"), false)];
    let old = snapshot(nodes, Some("me"), None);
    assert_eq!(
        leaving(&planned(&old, "2")),
        "the installation runs version 1 of the module"
    );
}

#[test]
fn a_module_follows_those_that_run_together_with_it() {
    let nodes = vec![node("me", Some("1"), false), node("other", Some("1"), false)];
    let mut found = snapshot(nodes, Some("me"), Some("other"));
    let mut second = found.modules[0].clone();
    (second.name, second.grp) = ("second".to_owned(), "second".to_owned());
    let mut of_second = found.groups[0].clone();
    of_second.grp = "second".to_owned();
    // Only the first module has the operator's order.
    of_second.wanted = None;
    found.groups.push(of_second);
    found.modules.push(second);
    for node in &mut found.nodes {
        node.loaded.insert("second".to_owned(), "1".to_owned());
    }
    let offer = Offer {
        version: "1".to_owned(),
        chains: BTreeSet::from([1]),
        together: BTreeSet::new(),
    };
    let names: [ModuleName; 2] = ["module", "second"].map(|name| name.parse().unwrap());
    let own = Own {
        node: "me",
        offers: &names.iter().map(|name| (name.clone(), offer.clone())).collect(),
        owned: &names.iter().map(|name| (name.clone(), 7)).collect(),
        may_rebalance: false,
    };
    assert_eq!(plan(&found, &own).leaving.len(), 1);
    for module in &mut found.modules {
        module.together = vec!["account".to_owned()];
    }
    let leaving = plan(&found, &own).leaving;
    assert_eq!(
        leaving.values().map(|why| &**why).collect::<Vec<_>>(),
        [
            "an operator has moved the module to the node other",
            "it runs together with the module module, which goes to the node other",
        ]
    );
}

#[test]
fn the_reason_names_the_owner() {
    let nodes = vec![node("me", Some("1"), false), node("other", Some("1"), false)];
    let mut found = snapshot(nodes, Some("other"), None);
    assert_eq!(
        elsewhere(&planned(&found, "1")),
        "runs on the node other (http://other)"
    );
    found.nodes[1].is_live = false;
    let expected = "the node other, which has the module, does not renew its lease";
    assert_eq!(elsewhere(&planned(&found, "1")), expected);
}
