//! The operator's view of an installation, and the operator's orders. Each needs only a connection to the
//! database, so that they work while nodes do not.

use serde::Serialize;
use tokio::runtime::Handle;

use super::parties::Parties;
use super::snapshot::{Group, Module, Node, Snapshot};
use crate::database::PostgresConfig;
use crate::error::PostgresError;
use crate::postgres::connect::{Connector, Session};
use nexum_core::BoxError;

/// An installation at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ClusterStatus {
    /// All nodes that have ever joined, by name.
    pub nodes: Vec<NodeStatus>,
    /// All groups of modules, by name.
    pub groups: Vec<GroupStatus>,
    /// The time of the status, in milliseconds since the Unix epoch, by the database's clock.
    pub now_ms: u64,
}

/// A node of an installation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeStatus {
    /// The name.
    pub node: String,
    /// Whether the node has a lease that has not ended.
    pub is_live: bool,
    /// The time until the lease ends, in milliseconds. Negative if the lease has ended, and `None` if the node
    /// has left or was declared dead.
    pub expires_in_ms: Option<i64>,
    /// The number with which the node joined last. It grows with each join.
    pub epoch: i64,
    /// The address of the node's API, if its configuration has one.
    pub address: Option<String>,
    /// The version of nexum.
    pub version: Option<String>,
    /// The part of the modules that the node takes, relative to other nodes.
    pub weight: i32,
    /// Whether the node gives its modules to other nodes, and takes no more.
    pub draining: bool,
    /// The number of modules that the node can run.
    pub loaded: usize,
    /// The number of groups that the node owns.
    pub owned: usize,
}

/// A group of modules, which run on one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupStatus {
    /// The name.
    pub group: String,
    /// The node that owns the group.
    pub node: Option<String>,
    /// The number of the ownership. It grows with each change.
    pub epoch: i64,
    /// The time of the last change, in milliseconds since the Unix epoch, by the database's clock.
    pub since_ms: u64,
    /// The node that an operator has chosen.
    pub wanted: Option<String>,
    /// The modules of the group, each with the version that the installation runs.
    pub modules: Vec<(String, String)>,
    /// The other modules that run on one node together with the group, because they use one account.
    pub together: Vec<String>,
    /// The live nodes that can run the group: they have the version of each module.
    pub able: Vec<String>,
    /// Whether any node, also one that does not live, has a module of the group in its configuration.
    pub is_offered: bool,
}

/// A change of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HistoryEntry {
    /// The time, in milliseconds since the Unix epoch, by the database's clock.
    pub at_ms: u64,
    /// The group.
    pub group: String,
    /// The node that owned the group before.
    pub from_node: Option<String>,
    /// The node that owned the group afterwards.
    pub to_node: Option<String>,
    /// The number of the ownership after the change.
    pub epoch: i64,
    /// The reason.
    pub why: String,
}

/// The nodes and groups of an installation. Call this in a tokio runtime.
///
/// # Errors
///
/// [`PostgresError`] if the database is not reachable, or does not have the tables.
pub async fn status(config: &PostgresConfig) -> Result<ClusterStatus, PostgresError> {
    let (connector, session) = connect(config, "status").await?;
    let snapshot = snapshot(&connector, &session).await?;
    let parties = Parties::new(&snapshot);
    let owned = |node: &str| {
        let mut owners = snapshot.groups.iter().map(|group| group.node.as_deref());
        owners.by_ref().filter(|owner| *owner == Some(node)).count()
    };
    let group = |group: &Group| {
        let of_group = snapshot.modules.iter().filter(|module| module.grp == group.grp);
        let modules: Vec<_> = of_group.collect();
        let has = |node: &Node, module: &Module| node.loaded.get(&module.name) == Some(&module.version);
        let is_able = |node: &&Node| node.is_live && modules.iter().all(|module| has(node, module));
        let is_offered = |module: &&Module| {
            let mut nodes = snapshot.nodes.iter();
            nodes.any(|node| node.loaded.contains_key(&module.name))
        };
        let able = snapshot.nodes.iter().filter(is_able);
        GroupStatus {
            group: group.grp.clone(),
            node: group.node.clone(),
            epoch: group.epoch,
            since_ms: group.since_ms,
            wanted: group.wanted.clone(),
            together: parties
                .members(&group.grp)
                .filter(|other| *other != group.grp)
                .map(str::to_owned)
                .collect(),
            able: able.map(|node| node.node.clone()).collect(),
            is_offered: modules.iter().any(is_offered),
            modules: modules
                .iter()
                .map(|module| (module.name.clone(), module.version.clone()))
                .collect(),
        }
    };
    Ok(ClusterStatus {
        now_ms: snapshot.now_ms,
        nodes: snapshot
            .nodes
            .iter()
            .map(|node| NodeStatus {
                node: node.node.clone(),
                is_live: node.is_live,
                expires_in_ms: node.expires_in_ms,
                epoch: node.epoch,
                address: node.address.clone(),
                version: node.version.clone(),
                weight: node.weight,
                draining: node.draining,
                loaded: node.loaded.len(),
                owned: owned(&node.node),
            })
            .collect(),
        groups: snapshot.groups.iter().map(group).collect(),
    })
}

/// Lets a node give its modules to other nodes and take no more, or ends this. The order outlasts a restart of the
/// node. Returns whether the installation has the node. Call this in a tokio runtime.
///
/// # Errors
///
/// [`PostgresError`] if the database is not reachable, or does not have the tables.
pub async fn drain(config: &PostgresConfig, node: &str, draining: bool) -> Result<bool, PostgresError> {
    let (connector, session) = connect(config, "drain").await?;
    let drain = "UPDATE nexum_node SET draining = $2 WHERE node = $1 AND epoch > 0";
    let changed = connector
        .ask(session.client.execute(drain, &[&node, &draining]))
        .await?;
    hint(&connector, &session).await?;
    Ok(changed > 0)
}

/// Moves a group to a node, where it stays while the node can run it, with the modules that run together with it. `None`
/// lets the nodes choose again. Returns whether the installation has the group and the node. Call this in a tokio runtime.
///
/// # Errors
///
/// [`PostgresError`] if the database is not reachable, or does not have the tables.
pub async fn move_group(config: &PostgresConfig, group: &str, node: Option<&str>) -> Result<bool, PostgresError> {
    let (connector, session) = connect(config, "move").await?;
    let moved = "UPDATE nexum_group SET wanted = $2 \
         WHERE grp = ANY ($1) AND ($2::text IS NULL OR EXISTS (SELECT FROM nexum_node WHERE node = $2 AND epoch > 0))";
    let snapshot = snapshot(&connector, &session).await?;
    let parties = Parties::new(&snapshot);
    // A group has the name of its module.
    let groups: Vec<_> = parties.members(group).collect();
    let changed = connector.ask(session.client.execute(moved, &[&groups, &node])).await?;
    hint(&connector, &session).await?;
    Ok(changed > 0)
}

/// The last changes of groups, or of one group, newest first. Call this in a tokio runtime.
///
/// # Errors
///
/// [`PostgresError`] if the database is not reachable, or does not have the tables.
pub async fn history(
    config: &PostgresConfig,
    group: Option<&str>,
    limit: u32,
) -> Result<Vec<HistoryEntry>, PostgresError> {
    let (connector, session) = connect(config, "history").await?;
    let history = "SELECT (extract(epoch FROM at) * 1000)::bigint, grp, from_node, to_node, epoch, why \
         FROM nexum_history WHERE $2::text IS NULL OR grp = $2 ORDER BY at DESC, grp, epoch DESC LIMIT $1";
    connector
        .ask(async {
            let rows = session.client.query(history, &[&i64::from(limit), &group]).await?;
            let entry = |row: &tokio_postgres::Row| {
                Ok(HistoryEntry {
                    at_ms: row.try_get::<_, i64>(0)?.unsigned_abs(),
                    group: row.try_get(1)?,
                    from_node: row.try_get(2)?,
                    to_node: row.try_get(3)?,
                    epoch: row.try_get(4)?,
                    why: row.try_get(5)?,
                })
            };
            rows.iter().map(entry).collect()
        })
        .await
}

async fn snapshot(connector: &Connector, session: &Session) -> Result<Snapshot, PostgresError> {
    let text: String = connector
        .ask(async { session.client.query_one(Snapshot::QUERY, &[]).await?.try_get(0) })
        .await?;
    serde_json::from_str(&text).map_err(|error| connector.request(BoxError::from(error)))
}

async fn connect(config: &PostgresConfig, order: &str) -> Result<(Connector, Session), PostgresError> {
    let connector = Connector::new(config, &format!("nexum cluster {order}"), Handle::current())?;
    let session = connector.connect().await?;
    Ok((connector, session))
}

/// Wakes the nodes.
async fn hint(connector: &Connector, session: &Session) -> Result<(), PostgresError> {
    let notify = "SELECT pg_notify('nexum', current_schema())";
    connector.ask(session.client.execute(notify, &[])).await.map(|_| ())
}
