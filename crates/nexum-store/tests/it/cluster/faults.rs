//! Failures of nodes, of the database, and of the connections between them.

use std::time::Duration;

use nexum_core::store::{StoreError, blocking};
use nexum_testing::Counts;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::task::{JoinSet, block_in_place};
use tokio::time::{Instant, sleep, timeout};

use super::link::Link;
use super::world::{LEASE_TTL, Node, WAIT_MAX, World, cluster, offers, report, short_lease};
use crate::support::set;

/// The faults of the random test.
const FAULTS: u32 = 12;

#[tokio::test(flavor = "multi_thread")]
async fn a_crashed_node_is_replaced() {
    let world = World::new(12).await;
    let (one, two) = (world.node("one"), world.node("two"));
    world.settled(&[&one, &two]).await;
    one.crash();
    let since = Instant::now();
    world.until(&two, "takeover", |tenure| tenure.owned.len() == 12).await;
    report("takeover after a crash", since);
    world.progress().await;
    // The node comes back, and takes its part again.
    let one = world.node("one");
    world.settled(&[&one, &two]).await;
    world.finish(vec![one, two]).await;
}

/// The server has begun a write, and the client stops before it has sent the end of its message.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_hangs_does_not_keep_the_modules() {
    let world = World::new(4).await;
    let start = |name: &str| world.node_with(&world.config, short_lease(name), offers(0..4, "1"));
    let (one, two) = (start("one"), start("two"));
    world.settled(&[&one, &two]).await;
    let mut settings: tokio_postgres::Config = world.config.url.parse().unwrap();
    let connected = settings
        .password(world.server.password())
        .connect(tokio_postgres::NoTls);
    let (client, connection) = connected.await.unwrap();
    let mut driver = JoinSet::new();
    driver.spawn(async { drop(connection.await) });
    let schema = &world.config.schema;
    let hang = format!("BEGIN; SELECT 1 FROM {schema}.nexum_fence WHERE node = 'one' FOR SHARE");
    client.batch_execute(&hang).await.unwrap();
    one.crash();
    world.until(&two, "takeover", |tenure| tenure.owned.len() == 4).await;
    world.progress().await;
    world.finish(vec![two]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_show_memberships_and_takeovers() {
    let world = World::new(3).await;
    let counts = Counts::default();
    let one = metrics::with_local_recorder(&counts, || world.node("one"));
    world.settled(&[&one]).await;
    let epoch = counts.gauge("nexum_cluster_epoch", &[]).unwrap();
    assert!(epoch >= 1.0, "{epoch}");
    world.until_gauge(&counts, "nexum_cluster_owned_groups", 3.0).await;
    world.until_gauge(&counts, "nexum_cluster_unowned_groups", 0.0).await;
    assert_eq!(counts.sum("nexum_cluster_takeover_seconds", &[]), 3);
    assert_eq!(counts.sum("nexum_cluster_fenced_total", &[]), 0);
    let age = counts.gauge("nexum_cluster_lease_age_seconds", &[]).unwrap();
    assert!((0.0..LEASE_TTL.as_secs_f64()).contains(&age), "{age}");
    let schema = &world.config.schema;
    let fence = format!("UPDATE {schema}.nexum_fence SET epoch = epoch + 1, holder = NULL");
    block_in_place(|| world.sql(&fence));
    let again = async {
        while counts.sum("nexum_cluster_takeover_seconds", &[]) < 6 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(WAIT_MAX, again).await.is_ok(), "the node does not join again");
    assert_eq!(counts.sum("nexum_cluster_fenced_total", &[]), 1);
    world.finish(vec![one]).await;
    assert_eq!(counts.gauge("nexum_cluster_owned_groups", &[]), Some(0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_cut_off_stops_before_another_one_takes_over() {
    let world = World::new(12).await;
    let link = Link::start(&world.config.url);
    let mut over_link = world.config.clone();
    over_link.url = link.url(&world.config.url);
    over_link.wait_max = Duration::from_secs(1);
    let one = world.node_with(&over_link, short_lease("one"), offers(0..12, "1"));
    let two = world.node("two");
    world.settled(&[&one, &two]).await;
    let theirs = one.owned();
    link.cut();
    let since = Instant::now();
    let mut tenure = two.membership.tenure();
    let mut taken = 0;
    while taken < 12 {
        let now = tenure.borrow_and_update().clone();
        if theirs.iter().any(|name| now.owned.contains_key(name)) {
            assert!(one.store.check_lease().is_err(), "two nodes may act for one module");
        }
        taken = now.owned.len();
        sleep(Duration::from_millis(5)).await;
    }
    report("takeover after a partition", since);
    world.until(&one, "the loss", |tenure| tenure.owned.is_empty()).await;
    world.progress().await;
    link.heal();
    world.settled(&[&one, &two]).await;
    world.finish(vec![one, two]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_write_ends_the_membership_and_the_node_joins_again() {
    let world = World::new(4).await;
    let one = world.node("one");
    world.settled(&[&one]).await;
    let first = one.tenure().owned;
    let schema = &world.config.schema;
    let fence = format!("UPDATE {schema}.nexum_fence SET epoch = epoch + 1, holder = NULL");
    block_in_place(|| world.sql(&fence));
    // The workers write meanwhile, and vacate.
    world
        .until(&one, "the node joins again", |tenure| {
            tenure.owned.len() == 4 && tenure.owned.iter().all(|(name, number)| *number > first[name])
        })
        .await;
    world.progress().await;
    world.finish(vec![one]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_has_not_vacated_writes_nothing() {
    let world = World::new(1).await;
    let node = Node::start_idle(&world.config, cluster("one"), offers(0..1, "1"));
    world
        .until(&node, "the node owns", |tenure| tenure.owned.len() == 1)
        .await;
    let write = async || blocking(&node.store, |store| store.write(&set([("x", "1")]))).await;
    write().await.unwrap();
    block_in_place(|| {
        world.sql(&format!(
            "UPDATE {}.nexum_fence SET epoch = epoch + 1, holder = NULL",
            world.config.schema
        ))
    });
    assert!(matches!(write().await, Err(StoreError::Fenced { .. })));
    world.until(&node, "the loss", |tenure| tenure.lost.is_some()).await;
    assert!(node.owned().is_empty() && node.store.check_lease().is_err());
    for _ in 0..5 {
        assert!(matches!(write().await, Err(StoreError::Fenced { .. })));
        sleep(Duration::from_millis(50)).await;
    }
    node.membership.vacate();
    world
        .until(&node, "the node owns again", |tenure| tenure.owned.len() == 1)
        .await;
    write().await.unwrap();
    node.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_modules_go_on_after_a_restart_of_the_database() {
    let world = World::new(6).await;
    let start = |name: &str| world.node_with(&world.config, short_lease(name), offers(0..6, "1"));
    let (one, two) = (start("one"), start("two"));
    world.settled(&[&one, &two]).await;
    for _ in 0..2 {
        block_in_place(|| world.server.crash());
        // Longer than the lease.
        sleep(LEASE_TTL).await;
        block_in_place(|| world.server.restart());
        let since = Instant::now();
        world.progress().await;
        report("all modules go on after a restart of the database", since);
        world.settled(&[&one, &two]).await;
    }
    world.finish(vec![one, two]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_step_is_lost_when_a_synchronous_standby_takes_the_place_of_the_primary() {
    let mut world = World::new(8).await;
    let standby = block_in_place(|| {
        let standby = world.server.replica("standby");
        world.server.configure("synchronous_standby_names", "standby");
        standby
    });
    world.config.url = world.server.url_with(&standby);
    let start = |name: &str| world.node_with(&world.config, short_lease(name), offers(0..8, "1"));
    let (one, two) = (start("one"), start("two"));
    world.settled(&[&one, &two]).await;
    // The primary waits for the standby, and the modules make steps until the crash.
    let state = "SELECT sync_state FROM pg_stat_replication WHERE application_name = 'standby'";
    assert_eq!(block_in_place(|| world.sql(state)), ["sync"]);
    block_in_place(|| world.server.crash());
    let since = Instant::now();
    // The standby refuses writes, and the nodes lose their leases.
    for node in [&one, &two] {
        world.until(node, "the loss", |tenure| tenure.owned.is_empty()).await;
    }
    block_in_place(|| standby.promote());
    world.settled(&[&one, &two]).await;
    report("all modules go on after a failover of the database", since);
    world.finish(vec![one, two]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_step_is_lost_or_made_twice_under_random_faults() {
    let world = World::new(9).await;
    let links: Vec<_> = (0..3).map(|_| Link::start(&world.config.url)).collect();
    let start = |number: usize| {
        let mut over_link = world.config.clone();
        over_link.url = links[number].url(&world.config.url);
        over_link.wait_max = Duration::from_secs(1);
        world.node_with(&over_link, short_lease(&format!("node-{number}")), offers(0..9, "1"))
    };
    let mut nodes: Vec<_> = (0..3).map(|number| Some(start(number))).collect();
    let mut random = SmallRng::seed_from_u64(21);
    for fault in 0..FAULTS {
        let number = random.random_range(0..3_usize);
        match fault % 6 {
            0 => {
                nodes[number].take().unwrap().crash();
                sleep(Duration::from_millis(random.random_range(0..1_500))).await;
                nodes[number] = Some(start(number));
            }
            1 | 4 => {
                links[number].cut();
                sleep(Duration::from_millis(random.random_range(500..5_000))).await;
                links[number].heal();
            }
            2 => block_in_place(|| world.end_a_connection()),
            3 => {
                nodes[number].take().unwrap().leave().await;
                nodes[number] = Some(start(number));
            }
            _ => block_in_place(|| {
                world.server.crash();
                world.server.restart();
            }),
        }
        sleep(Duration::from_millis(random.random_range(0..1_000))).await;
    }
    let nodes: Vec<_> = nodes.into_iter().flatten().collect();
    world.settled(&nodes.iter().collect::<Vec<_>>()).await;
    world.finish(nodes).await;
}

impl World {
    async fn until_gauge(&self, counts: &Counts, name: &str, expected: f64) {
        let reached = timeout(WAIT_MAX, async {
            while counts.gauge(name, &[]) != Some(expected) {
                sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(reached.await.is_ok(), "{name} is {:?}", counts.gauge(name, &[]));
    }

    /// Ends a connection of any node.
    fn end_a_connection(&self) {
        self.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE pid <> pg_backend_pid() AND application_name LIKE 'a test, node%' ORDER BY random() LIMIT 1",
        );
    }
}
