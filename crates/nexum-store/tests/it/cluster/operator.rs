//! Joins, orders of an operator, and versions of modules.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use nexum_core::membership::{Membership, Tenure};
use nexum_store::cluster::{drain, history, move_group, status};
use nexum_store::{PostgresError, PostgresStore};
use tokio::task::{JoinSet, block_in_place};
use tokio::time::{Instant, sleep};

use super::world::{Node, World, cluster, name_of, offers, report, short_lease};

#[tokio::test(flavor = "multi_thread")]
async fn each_module_is_owned_once_while_nodes_come_and_go() {
    let world = World::new(12).await;
    let one = world.node("one");
    world.settled(&[&one]).await;
    let (two, three) = (world.node("two"), world.node("three"));
    let mut checks = JoinSet::new();
    let nodes = [&one, &two, &three].map(|node| (node.store.clone(), node.membership.clone()));
    checks.spawn(async move {
        let owned = |node: &Arc<dyn Membership>| node.tenure().borrow().owned.clone();
        loop {
            for (at, (store, first)) in nodes.iter().enumerate() {
                for (_, second) in nodes.iter().skip(at + 1) {
                    // A module that is still with the first node, after it was seen with the second one, is with both.
                    let (before, between, after) = (owned(first), owned(second), owned(first));
                    let is_kept = |(name, number): &(&_, &u64)| after.get(*name) == Some(*number);
                    let both = before
                        .iter()
                        .filter(is_kept)
                        .find(|(name, _)| between.contains_key(*name));
                    // A node whose lease has ended may not know it yet.
                    assert!(both.is_none() || store.check_lease().is_err(), "two nodes own {both:?}");
                }
            }
            sleep(Duration::from_millis(1)).await;
        }
    });
    world.settled(&[&one, &two, &three]).await;
    // The modules go on to move, one by one, until no node has more than its share.
    for node in [&one, &two, &three] {
        world
            .until(node, "a share", |tenure| (1..=5).contains(&tenure.owned.len()))
            .await;
    }
    let since = Instant::now();
    let gone = two.owned();
    two.leave().await;
    world.until_all(&[&one, &three], 12).await;
    report(
        &format!("takeover of {} modules after a node has left", gone.len()),
        since,
    );
    world.progress().await;
    let failed = checks.try_join_next();
    assert!(failed.is_none(), "{failed:?}");
    world.finish(vec![one, three]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stops_hands_its_modules_over() {
    let world = World::new(100).await;
    let start = |name: &str| {
        let mut cluster = cluster(name);
        cluster.rebalance_after = Duration::from_secs(3_600);
        world.node_with(&world.config, cluster, offers(0..100, "1"))
    };
    let one = start("one");
    world.until_all(&[&one], 100).await;
    let two = start("two");
    world
        .until(&two, "the second joins", |tenure| all_on(tenure, "one", 100))
        .await;
    let since = Instant::now();
    one.leave().await;
    world.until_all(&[&two], 100).await;
    report("takeover of 100 modules after a node has left", since);
    world.progress().await;
    world.finish(vec![two]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_drains_a_node_and_moves_a_module() {
    let world = World::new(6).await;
    let (one, two) = (world.node("one"), world.node("two"));
    world.settled(&[&one, &two]).await;
    assert!(drain(&world.config, "one", true).await.unwrap());
    assert!(!drain(&world.config, "none", true).await.unwrap());
    world
        .until(&two, "the drained modules", |tenure| tenure.owned.len() == 6)
        .await;
    world
        .until(&one, "the reasons", |tenure| all_on(tenure, "two", 6))
        .await;
    let found = status(&world.config).await.unwrap();
    let shown: Vec<_> = found
        .nodes
        .iter()
        .map(|node| (&*node.node, node.is_live, node.draining, node.owned, node.loaded))
        .collect();
    assert_eq!(shown, [("one", true, true, 0, 6), ("two", true, false, 6, 6)]);
    assert!(
        found
            .groups
            .iter()
            .all(|group| group.node.as_deref() == Some("two") && group.modules.len() == 1)
    );
    // A drained node takes nothing, even by order.
    assert!(drain(&world.config, "one", false).await.unwrap());
    world.settled(&[&one, &two]).await;
    let moved = two.owned().into_iter().next().unwrap();
    assert!(move_group(&world.config, moved.as_str(), Some("one")).await.unwrap());
    assert!(!move_group(&world.config, moved.as_str(), Some("none")).await.unwrap());
    world
        .until(&one, "the moved module", |tenure| tenure.owned.contains_key(&moved))
        .await;
    world.progress().await;
    let entries = history(&world.config, None, 1_000).await.unwrap();
    let why = |why: &str| entries.iter().filter(|entry| entry.why.contains(why)).count();
    assert!(why("the node one is draining") > 0, "{entries:#?}");
    assert_eq!(
        why("an operator has moved the module to the node one"),
        1,
        "{entries:#?}"
    );
    let of_moved: Vec<_> = entries.iter().filter(|entry| entry.group == moved.as_str()).collect();
    assert!(
        of_moved.is_sorted_by(|one, other| one.epoch > other.epoch),
        "{of_moved:#?}"
    );
    assert_eq!(of_moved[0].to_node.as_deref(), Some("one"));
    assert!(move_group(&world.config, moved.as_str(), None).await.unwrap());
    world.finish(vec![one, two]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_of_a_node_waits_for_the_end_of_the_first() {
    let world = World::new(4).await;
    let first = world.node("one");
    world.settled(&[&first]).await;
    let second = world.node("one");
    let holder = format!(
        "another process is the node one: a test, node one, process {}",
        std::process::id()
    );
    world
        .until(&second, "the second waits", |tenure| {
            tenure.elsewhere.len() == 4 && tenure.elsewhere.values().all(|reason| reason.text.starts_with(&holder))
        })
        .await;
    assert!(second.store.check_lease().is_err());
    first.crash();
    world.settled(&[&second]).await;
    world.finish(vec![second]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_without_session_locks_depend_on_their_leases() {
    let world = World::new(4).await;
    let start = |name: &str| {
        let mut cluster = short_lease(name);
        cluster.session_lock = false;
        world.node_with(&world.config, cluster, offers(0..4, "1"))
    };
    let (first, second) = (start("one"), start("one"));
    world.until_all(&[&first, &second], 4).await;
    let (owner, waits) = match first.owned().is_empty() {
        false => (first, second),
        true => (second, first),
    };
    let expected = "the lease of another process that is the node one has not ended";
    let is_waiting = |tenure: &Tenure| {
        let mut reasons = tenure.elsewhere.values();
        tenure.elsewhere.len() == 4 && reasons.all(|reason| &*reason.text == expected)
    };
    world.until(&waits, "the second waits", is_waiting).await;
    owner.crash();
    world.settled(&[&waits]).await;
    let other = start("two");
    world.settled(&[&waits, &other]).await;
    waits.crash();
    let since = Instant::now();
    world.until_all(&[&other], 4).await;
    report("takeover after a crash without session locks", since);
    world.finish(vec![other]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_without_cluster_and_nodes_exclude_each_other() {
    let world = World::new(2).await;
    let single = block_in_place(|| PostgresStore::open(&world.config, "a single process")).unwrap();
    let node = world.node("one");
    world
        .until(&node, "the node waits", |tenure| {
            tenure.elsewhere.values().any(|reason| {
                reason
                    .text
                    .starts_with("a process without [cluster] uses the state: a single")
            })
        })
        .await;
    block_in_place(|| drop(single));
    world.settled(&[&node]).await;
    let refused = block_in_place(|| PostgresStore::open(&world.config, "a single process"));
    let Err(PostgresError::InUse { holder, .. }) = refused else {
        panic!("two owners: {refused:?}");
    };
    assert!(holder.starts_with("a test, node one, process "), "{holder}");
    world.finish(vec![node]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_without_cluster_waits_for_the_leases_of_nodes_without_session_locks() {
    let world = World::new(4).await;
    let start = |name: &str| {
        let mut cluster = short_lease(name);
        cluster.session_lock = false;
        world.node_with(&world.config, cluster, offers(0..4, "1"))
    };
    let (one, two) = (start("one"), start("two"));
    world.settled(&[&one, &two]).await;
    let open = || block_in_place(|| PostgresStore::open(&world.config, "a single process"));
    let Err(PostgresError::LiveNodes { nodes, ends_in, .. }) = open() else {
        panic!("the nodes have lost their rights");
    };
    assert_eq!(nodes, "one, two");
    assert!(ends_in <= super::world::LEASE_TTL, "{ends_in:?}");
    // The refusal has taken nothing from the nodes.
    world.progress().await;
    two.leave().await;
    world.settled(&[&one]).await;
    one.crash();
    let single = loop {
        match open() {
            Ok(single) => break single,
            Err(PostgresError::LiveNodes { nodes, .. }) => assert_eq!(nodes, "one"),
            Err(error) => panic!("{error:?}"),
        }
        sleep(super::world::ROUND).await;
    };
    block_in_place(|| drop(single));
    world.finish(Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_arrives_node_by_node() {
    let world = World::new(6).await;
    let (one, two) = (world.node("one"), world.node("two"));
    world.settled(&[&one, &two]).await;
    // A node that restarts with the new version waits while the other node has the old one.
    one.leave().await;
    let one = world.node_with(&world.config, cluster("one"), offers(0..6, "2"));
    world
        .until(&one, "the new node waits", |tenure| all_on(tenure, "two", 6))
        .await;
    world.until_all(&[&two], 6).await;
    // No node is left with the old version.
    two.leave().await;
    world.until_all(&[&one], 6).await;
    let two = world.node_with(&world.config, cluster("two"), offers(0..6, "2"));
    world.settled(&[&one, &two]).await;
    let found = status(&world.config).await.unwrap();
    assert!(found.groups.iter().all(|group| group.modules[0].1 == "2"), "{found:#?}");
    world.finish(vec![one, two]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_version_takes_the_module_over() {
    let world = World::new(3).await;
    let one = world.node("one");
    world.settled(&[&one]).await;
    let two = world.node_with(&world.config, cluster("two"), offers(0..3, "2"));
    world
        .until(&two, "the node waits", |tenure| all_on(tenure, "one", 3))
        .await;
    two.membership.promote(&name_of(1));
    world
        .until(&two, "the promoted module", |tenure| {
            tenure.owned.contains_key(&name_of(1))
        })
        .await;
    let expected = BTreeSet::from([name_of(0), name_of(2)]);
    assert_eq!(one.owned(), expected);
    // The owner has the new file too, and nothing moves: only its version counts.
    let mut both = offers(0..3, "1");
    both.extend(offers(0..1, "2"));
    one.membership.offer(both);
    one.membership.promote(&name_of(0));
    world.progress().await;
    let found = status(&world.config).await.unwrap();
    let versions: Vec<_> = found.groups.iter().map(|group| &*group.modules[0].1).collect();
    assert_eq!(versions, ["2", "2", "1"]);
    world.finish(vec![one, two]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_forgets_what_has_been_gone_for_long() {
    let world = World::new(6).await;
    let one = world.node_with(&world.config, cluster("one"), offers(0..6, "1"));
    let (two, three) = (world.node("two"), world.node("three"));
    world.settled(&[&one, &two, &three]).await;
    assert!(move_group(&world.config, "module-4", Some("two")).await.unwrap());
    assert!(drain(&world.config, "three", true).await.unwrap());
    two.leave().await;
    three.leave().await;
    one.membership.offer(offers(0..5, "1"));
    world.until_all(&[&one], 5).await;
    let seen = async || {
        let found = status(&world.config).await.unwrap();
        let nodes: Vec<_> = found.nodes.into_iter().map(|node| node.node).collect();
        let groups: Vec<_> = found
            .groups
            .into_iter()
            .map(|group| (group.group, group.wanted))
            .collect();
        (nodes, groups)
    };
    let age = |days: u32, node: &str| {
        let schema = &world.config.schema;
        let statement = format!(
            "UPDATE {schema}.nexum_node SET gone_at = gone_at - interval '{days} days' WHERE node = '{node}'; \
             UPDATE {schema}.nexum_group SET since = since - interval '31 days' WHERE node IS NULL"
        );
        block_in_place(|| world.sql(&statement));
    };
    age(29, "two");
    age(29, "three");
    let four = world.node_with(&world.config, cluster("four"), offers(0..5, "1"));
    world.settled_of(&[&one, &four], 5).await;
    let (nodes, groups) = seen().await;
    assert_eq!(nodes, ["four", "one", "three", "two"]);
    // A node that is not forgotten has the module in its configuration.
    assert_eq!(groups.len(), 6);
    age(2, "two");
    age(2, "three");
    four.leave().await;
    let four = world.node_with(&world.config, cluster("four"), offers(0..5, "1"));
    world.settled_of(&[&one, &four], 5).await;
    let (nodes, groups) = seen().await;
    assert_eq!(nodes, ["four", "one"]);
    let expected: Vec<_> = (0..5).map(|module| (name_of(module).to_string(), None)).collect();
    assert_eq!(groups, expected);
    // A node that comes back joins with its next epoch.
    let two = world.node("two");
    world.settled_of(&[&one, &two, &four], 6).await;
    let found = status(&world.config).await.unwrap();
    let epoch = found
        .nodes
        .iter()
        .find(|node| node.node == "two")
        .map(|node| node.epoch);
    assert!(epoch > Some(1), "{epoch:?}");
    world.finish(vec![one, two, four]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_few_nodes_have_runs_there() {
    let world = World::new(6).await;
    let one = world.node_with(&world.config, cluster("one"), offers(0..6, "1"));
    let two = world.node_with(&world.config, cluster("two"), offers(0..2, "1"));
    world.settled(&[&one, &two]).await;
    assert!(two.owned().iter().all(|name| [name_of(0), name_of(1)].contains(name)));
    // The node drops its modules, also those that it owns.
    two.membership.offer(BTreeMap::new());
    world.until_all(&[&one], 6).await;
    assert!(two.owned().is_empty());
    world.progress().await;
    world.finish(vec![one, two]).await;
}

/// Whether all modules run on a node.
fn all_on(tenure: &Tenure, node: &str, count: usize) -> bool {
    let text = format!("runs on the node {node}");
    tenure
        .elsewhere
        .values()
        .filter(|reason| reason.text.starts_with(&text))
        .count()
        == count
}

impl World {
    /// Waits until nodes own so many modules together.
    async fn until_all(&self, nodes: &[&Node], count: usize) {
        let owned = || nodes.iter().map(|node| node.owned().len()).sum::<usize>();
        let reached = tokio::time::timeout(super::world::WAIT_MAX, async {
            while owned() != count {
                sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(reached.await.is_ok(), "only {} of {count} modules", owned());
    }
}
