//! This process as a node of an installation of several processes.
//!
//! # How data flows
//!
//! The node has one connection for its lease. A [`Member`] joins over it, and a [`Service`](service::Service) renews
//! the lease, declares other nodes dead, and claims and releases groups of modules. The [`Grant`] connects it with the
//! writer of the store, which writes in the membership's epoch.
//!
//! # Invariants
//!
//! - Only the fence of the database decides whether a write happens. A wrong placement, a wrong clock or a lost message
//!   costs balance or time.
//! - A group is free only after no commit of its last owner can happen.
//! - Times of two machines are never compared: leases end by the clock of the database, and a node stops by its own
//!   clock that also counts suspended time.

mod admin;
mod held;
mod lease;
mod member;
mod metrics;
mod node;
mod parties;
mod placement;
mod plan;
mod requests;
mod service;
mod sightings;
mod snapshot;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use nexum_config::names::ModuleName;
use nexum_core::membership::{Membership, Offer, Tenure};
use nexum_core::state::{self, RowCache};
use nexum_core::store::StoreError;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use self::admin::{ClusterStatus, GroupStatus, HistoryEntry, NodeStatus, drain, history, move_group, status};
pub use self::metrics::describe_metrics;

use self::lease::{LEASE_PARTS, Lease};
use self::member::Member;
use self::node::Node;
use super::PostgresStore;
use super::connect::Connector;
use super::grant::Grant;
use crate::database::PostgresConfig;
use crate::error::{OpenError, PostgresError};
use crate::node_config::{ClusterConfig, StoreOfNode};

/// A node, for the supervisor.
#[derive(Debug)]
struct PostgresMembership {
    member: Arc<Member>,
    handle: Handle,
}

/// Opens the state in a database as a node of an installation, with a cache of this many bytes for its
/// rows. The store refuses every write until the membership has joined. `purpose` is a few words for
/// other processes, such as `nexum run`.
///
/// # Errors
///
/// [`OpenError`] if the database is not usable, or another version of nexum wrote the state.
pub fn open_cluster(
    config: &PostgresConfig,
    cache_bytes: usize,
    cluster: &ClusterConfig,
    purpose: &str,
) -> Result<StoreOfNode, OpenError> {
    let purpose = format!("{purpose}, node {}", cluster.node);
    let grant = Arc::new(Grant::new(&cluster.node));
    let store = PostgresStore::with(config, &purpose, Some(grant.clone()))?;
    match state::open(&store) {
        // A new installation: the state gets its format after the node has joined.
        Ok(()) | Err(StoreError::Fenced { .. }) => {}
        Err(source) => {
            return Err(OpenError::State {
                path: PathBuf::from(store.shared.connector.database()),
                source,
            });
        }
    }
    let handle = store.shared.handle.clone();
    let mut of_lease = config.clone();
    of_lease.wait_max = cluster.lease_ttl / LEASE_PARTS;
    let connector = Connector::new(&of_lease, &purpose, handle.clone())?;
    let store = Arc::new(RowCache::new(Arc::new(store), cache_bytes));
    let lease = Lease::new(connector, cluster.clone());
    let member = Arc::new(Member::new(Node::new(cluster.clone(), lease, grant), store.clone()));
    Ok((store, Arc::new(PostgresMembership { member, handle })))
}

/// Whether the database has the tables of an installation.
pub(super) async fn check_tables(connector: &Connector) -> Result<(), PostgresError> {
    let session = connector.connect().await?;
    let check = "SELECT 1 FROM nexum_node, nexum_group, nexum_module, nexum_history LIMIT 0";
    connector.ask(session.client.execute(check, &[])).await.map(|_| ())
}

#[async_trait]
impl Membership for PostgresMembership {
    fn tenure(&self) -> watch::Receiver<Tenure> {
        self.member.requests().subscribe()
    }

    fn offer(&self, offers: BTreeMap<ModuleName, Offer>) {
        self.member.requests().offer(offers);
    }

    fn promote(&self, module: &ModuleName) {
        self.member.requests().promote(module);
    }

    fn release(&self, module: &ModuleName) {
        self.member.requests().release(module);
    }

    fn vacate(&self) {
        self.member.requests().vacate();
    }

    /// Works on the thread of the store, which guests do not delay.
    async fn run(&self, stop: CancellationToken) {
        let member = self.member.clone();
        let mut task = Task(self.handle.spawn(async move { member.run(&stop).await }));
        if let Err(error) = (&mut task.0).await {
            tracing::error!(target: "nexum::cluster", %error, "the membership has ended with the store");
        }
    }
}

/// A task that ends when this is dropped.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
