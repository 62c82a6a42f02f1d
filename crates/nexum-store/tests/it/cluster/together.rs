//! Modules that share an account.

use std::collections::{BTreeMap, BTreeSet};

use nexum_config::names::ModuleName;
use nexum_core::membership::Offer;
use nexum_store::cluster::{history, move_group, status};
use tokio::task::block_in_place;
use tokio::time::{sleep, timeout};

use super::world::{Node, ROUND, WAIT_MAX, World, cluster, name_of, offers, short_lease};

/// The first modules share an account in pairs: 0 and 1, and 1 and 2. The others share none.
const SHARING: u32 = 3;

/// All modules of a world.
const MODULES: u32 = 6;

fn sharing() -> BTreeMap<ModuleName, Offer> {
    let mut offers = offers(0..MODULES, "1");
    for (module, accounts) in [(0, &["a"][..]), (1, &["a", "b"]), (2, &["b"])] {
        let offer = offers.get_mut(&name_of(module)).unwrap();
        offer.together = accounts.iter().map(|account| format!("account {account}")).collect();
    }
    offers
}

/// The modules among the first ones that a node owns.
fn shared(node: &Node) -> usize {
    let sharing: BTreeSet<_> = (0..SHARING).map(name_of).collect();
    node.owned().intersection(&sharing).count()
}

/// Waits until one node has all modules that share an account, and the others have none.
async fn together(on: &Node, nodes: &[&Node]) {
    let reached = timeout(WAIT_MAX, async {
        while shared(on) != SHARING as usize {
            sleep(ROUND).await;
        }
    });
    let is_reached = reached.await.is_ok();
    let tenures: Vec<_> = nodes.iter().map(|node| (&node.name, node.tenure())).collect();
    assert!(is_reached, "{} does not have the modules: {tenures:#?}", on.name);
    let others = nodes.iter().filter(|node| node.name != on.name);
    assert!(others.into_iter().all(|node| shared(node) == 0), "{tenures:#?}");
}

/// Follows the history, and asserts that at no time two nodes owned modules that share an account.
async fn never_apart(world: &World) -> usize {
    let mut changes = history(&world.config, None, 10_000).await.unwrap();
    changes.reverse();
    let mut owners: BTreeMap<String, Option<String>> = BTreeMap::new();
    for change in &changes {
        owners.insert(change.group.clone(), change.to_node.clone());
        for (one, other) in [("module-0", "module-1"), ("module-1", "module-2")] {
            let owner = |module: &str| owners.get(module).cloned().flatten();
            if let (Some(first), Some(second)) = (owner(one), owner(other)) {
                assert_eq!(first, second, "{one} and {other}, after {change:?}");
            }
        }
    }
    changes.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn modules_that_share_an_account_move_together() {
    let world = World::new(MODULES).await;
    let start = |name: &str| world.node_with(&world.config, short_lease(name), sharing());
    let (one, two) = (start("one"), start("two"));
    world.settled(&[&one, &two]).await;
    // By order of one of them, also while the nodes change.
    for (order, to) in [(0, &one), (2, &two), (1, &one)] {
        assert!(
            move_group(&world.config, name_of(order).as_str(), Some(&to.name))
                .await
                .unwrap()
        );
        together(to, &[&one, &two]).await;
    }
    let found = status(&world.config).await.unwrap();
    let of = |module: u32| {
        found
            .groups
            .iter()
            .find(|group| group.group == name_of(module).as_str())
            .unwrap()
    };
    assert_eq!(of(0).together, ["module-1", "module-2"]);
    assert!(of(3).together.is_empty());
    assert!((0..SHARING).all(|module| of(module).wanted.as_deref() == Some("one")));
    world.progress().await;
    // After a crash.
    one.crash();
    together(&two, &[&two]).await;
    world.progress().await;
    assert!(never_apart(&world).await > 4 * SHARING as usize);
    world.finish(vec![two]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_some_of_the_modules_leaves_them_to_one_with_all() {
    let world = World::new(MODULES).await;
    let mut some = sharing();
    some.remove(&name_of(1));
    let few = world.node_with(&world.config, cluster("few"), some);
    // Modules 0 and 2 share nothing without module 1.
    world
        .until(&few, "it owns its modules", |tenure| {
            tenure.owned.len() == MODULES as usize - 1
        })
        .await;
    let all = world.node_with(&world.config, cluster("all"), sharing());
    together(&all, &[&few, &all]).await;
    // The node with all of them ends. The other one runs its modules.
    all.leave().await;
    world
        .until(&few, "it takes over", |tenure| {
            tenure.owned.len() == MODULES as usize - 1
        })
        .await;
    never_apart(&world).await;
    world.finish(vec![few]).await;
}

/// Two nodes that claim at the same time, each another module: the database lets one of them wait.
#[tokio::test(flavor = "multi_thread")]
async fn the_database_gives_modules_that_share_an_account_to_one_node() {
    let world = World::new(2).await;
    block_in_place(|| {
        let schema = &world.config.schema;
        let sql = |statement: &str| world.sql(&format!("SET search_path = {schema}; {statement}"));
        sql(
            "INSERT INTO nexum_fence (node, epoch, holder) VALUES ('a', 1, 'ha'), ('b', 1, 'hb'); \
             SELECT nexum_offer('{\"x\": {\"version\": \"1\", \"chains\": [], \"together\": [\"k\"]}, \
                                  \"y\": {\"version\": \"1\", \"chains\": [], \"together\": [\"k\", \"l\"]}, \
                                  \"z\": {\"version\": \"1\", \"chains\": []}}')",
        );
        let claim = |node: &str, module: &str| {
            sql(&format!(
                "SELECT taken FROM nexum_claim('{node}', 'h{node}', ARRAY['{module}', 'z'], 'a test')"
            ))
        };
        let release = |node: &str| {
            sql(&format!(
                "SELECT nexum_release('{node}', 'h{node}', ARRAY['x', 'y', 'z'], ARRAY['', '', ''])"
            ))
        };
        for _ in 0..40 {
            let (of_a, of_b) = std::thread::scope(|scope| {
                let of_a = scope.spawn(|| claim("a", "x"));
                let of_b = scope.spawn(|| claim("b", "y"));
                (of_a.join().unwrap(), of_b.join().unwrap())
            });
            let all = [&of_a[..], &of_b[..]].concat();
            let with = |module: &str| all.iter().filter(|taken| *taken == module).count();
            assert_eq!((with("x") + with("y"), with("z")), (1, 1), "{of_a:?} {of_b:?}");
            // The owner may take the other one too.
            let owner = if with("x") == 1 { "a" } else { "b" };
            let rest = if owner == "a" { "y" } else { "x" };
            assert_eq!(claim(owner, rest), [rest]);
            release("a");
            release("b");
        }
    });
}
