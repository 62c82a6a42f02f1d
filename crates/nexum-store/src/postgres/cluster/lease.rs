//! The connection of the lease, and its requests. Each is one statement.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nexum_config::names::ModuleName;
use nexum_core::BoxError;
use nexum_core::membership::Offer;
use nexum_core::store::StoreError;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_postgres::types::ToSql;

use super::grant::{Grant, Incarnation, now_ns};
use super::snapshot::Snapshot;
use crate::cluster::{ClusterConfig, SINGLE};
use crate::error::PostgresError;
use crate::postgres::connect::{Connector, Session};
use crate::postgres::locks::{Lock, Mode};
use crate::postgres::writer::new_holder;

/// A renewal happens after this part of the lease, and takes this part at most. The node acts for its modules
/// until this part before the end.
pub(super) const LEASE_PARTS: u32 = 5;

/// The requests of a node to the tables of the installation.
#[derive(Debug)]
pub(super) struct Lease {
    connector: Connector,
    config: ClusterConfig,
}

/// A connection that holds the locks of the node.
#[derive(Debug)]
pub(super) struct Held {
    session: Session,
    class: i32,
    pid: i32,
}

/// Why a connection has not got the locks.
#[derive(Debug)]
pub(super) enum Refusal {
    Failed(PostgresError),
    /// Another process has a lock. The text says which.
    Waiting(String),
}

/// Another node, as a look at the locks shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sighting {
    pub(super) node: String,
    pub(super) epoch: i64,
    /// The end of the lease, in microseconds.
    pub(super) expires_us: i64,
    pub(super) is_expired: bool,
    pub(super) has_lock: bool,
}

/// A group that the node has got.
#[derive(Clone, Debug)]
pub(super) struct Claimed {
    pub(super) group: String,
    pub(super) epoch: i64,
    /// The time in which no node had it.
    pub(super) waited: Duration,
}

impl From<PostgresError> for Refusal {
    fn from(error: PostgresError) -> Self {
        Self::Failed(error)
    }
}

impl Held {
    /// Receives the hints of other nodes.
    pub(super) fn heard(&self) -> &Arc<Notify> {
        &self.session.heard
    }

    pub(super) fn is_closed(&self) -> bool {
        self.session.client.is_closed()
    }

    /// The server's process of the connection.
    pub(super) fn pid(&self) -> i32 {
        self.pid
    }
}

impl Lease {
    /// `connector` has to end a request after the time between two renewals.
    pub(super) fn new(connector: Connector, config: ClusterConfig) -> Self {
        Self { connector, config }
    }

    /// Opens a connection, and takes the locks of the node. `last_pid` is the process of its last connection,
    /// which the server may still have.
    pub(super) async fn hold(&self, last_pid: i32) -> Result<Held, Refusal> {
        let session = self.connector.connect().await?;
        let connector = &self.connector;
        let node = &self.config.node;
        let (pid, number): (i32, i32) = connector
            .ask(async {
                session.client.batch_execute("LISTEN nexum").await?;
                session.client.execute(ADD_NODE, &[node]).await?;
                let found = session.client.query_one(NUMBER, &[node]).await?;
                Ok((found.try_get(0)?, found.try_get(1)?))
            })
            .await?;
        let class = Lock::class_of_nodes(connector, &session).await?;
        let held = Held { session, class, pid };
        if self.config.session_lock {
            let schema = Lock::of_schema(connector, &held.session).await?;
            self.take(&held, schema, Mode::Shared, last_pid).await?;
            self.take(&held, Lock { class, object: number }, Mode::Exclusive, last_pid)
                .await?;
        }
        Ok(held)
    }

    async fn take(&self, held: &Held, lock: Lock, mode: Mode, last_pid: i32) -> Result<(), Refusal> {
        let (connector, session) = (&self.connector, &held.session);
        if lock.take(connector, session, mode).await? {
            return Ok(());
        }
        let Some(holder) = lock.holder(connector, session).await? else {
            return Err(Refusal::Waiting(
                "another process has just had the node's lock".to_owned(),
            ));
        };
        let node = &self.config.node;
        // A process that was paused or cut off for longer than its lease keeps its connection.
        let is_over = mode == Mode::Exclusive
            && connector
                .ask(async {
                    let over = session
                        .client
                        .query_one(IS_OVER, &[node, &holder.pid, &self.ttl_ms()])
                        .await?;
                    over.try_get(0)
                })
                .await?;
        if holder.pid == last_pid || is_over {
            holder.end(connector, session).await?;
        }
        Err(Refusal::Waiting(match mode {
            Mode::Exclusive => format!("another process is the node {node}: {}", holder.name),
            Mode::Shared => format!("a process without [cluster] uses the state: {}", holder.name),
        }))
    }

    /// Begins a membership, and a right to act as the node.
    pub(super) async fn join(
        &self,
        held: &Held,
        grant: &Grant,
        offers: &BTreeMap<ModuleName, Offer>,
    ) -> Result<Incarnation, Refusal> {
        let sent_at = now_ns();
        let ClusterConfig {
            node, address, weight, ..
        } = &self.config;
        let (holder, loaded) = (new_holder(), loaded(offers));
        let weight = i32::try_from(*weight).unwrap_or(i32::MAX);
        let parameters: [&(dyn ToSql + Sync); 9] = [
            node,
            &holder,
            &self.config.session_lock,
            &self.ttl_ms(),
            address,
            &env!("CARGO_PKG_VERSION"),
            &weight,
            &loaded,
            &SINGLE,
        ];
        let joined = self
            .connector
            .ask(async { held.session.client.query_one(JOIN, &parameters).await?.try_get(0) });
        let joined: Option<i64> = joined.await?;
        let Some(epoch) = joined else {
            return Err(Refusal::Waiting(format!(
                "the lease of another process that is the node {node} has not ended"
            )));
        };
        let incarnation = Incarnation { holder, epoch };
        grant.begin(incarnation.clone(), self.until_ns(sent_at));
        Ok(incarnation)
    }

    /// Renews the membership. Returns false if it has ended.
    pub(super) async fn renew(
        &self,
        held: &Held,
        grant: &Grant,
        epoch: i64,
        offers: Option<&BTreeMap<ModuleName, Offer>>,
    ) -> Result<bool, PostgresError> {
        let sent_at = now_ns();
        let loaded = offers.map(loaded);
        let parameters: [&(dyn ToSql + Sync); 4] = [&self.config.node, &epoch, &self.ttl_ms(), &loaded];
        let renewed = self
            .connector
            .ask(held.session.client.execute(RENEW, &parameters))
            .await?;
        if renewed > 0 {
            grant.extend(self.until_ns(sent_at));
        }
        Ok(renewed > 0)
    }

    /// Looks at the other nodes, and at their locks.
    pub(super) async fn look(&self, held: &Held) -> Result<Vec<Sighting>, PostgresError> {
        self.connector
            .ask(async {
                let rows = held
                    .session
                    .client
                    .query(LOOK, &[&self.config.node, &held.class])
                    .await?;
                let sighting = |row: &tokio_postgres::Row| {
                    Ok(Sighting {
                        node: row.try_get(0)?,
                        epoch: row.try_get(1)?,
                        expires_us: row.try_get(2)?,
                        is_expired: row.try_get(3)?,
                        has_lock: row.try_get(4)?,
                    })
                };
                rows.iter().map(sighting).collect()
            })
            .await
    }

    /// Declares a node dead, unless it has renewed its lease meanwhile.
    pub(super) async fn bury(&self, held: &Held, gone: &Sighting, why: &str) -> Result<bool, PostgresError> {
        let seen = gone.expires_us;
        self.connector
            .ask(async {
                let bury = "SELECT nexum_bury($1, $2, $3, $4)";
                let parameters: [&(dyn ToSql + Sync); 4] = [&gone.node, &gone.epoch, &seen, &why];
                held.session.client.query_one(bury, &parameters).await?.try_get(0)
            })
            .await
    }

    pub(super) async fn leave(&self, held: &Held, incarnation: &Incarnation) -> Result<(), PostgresError> {
        let leave = "SELECT nexum_leave($1, $2)";
        self.call(held, leave, &[&self.config.node, &incarnation.holder]).await
    }

    /// The installation at one moment.
    pub(super) async fn snapshot(&self, held: &Held) -> Result<Snapshot, PostgresError> {
        let text: String = self
            .connector
            .ask(async { held.session.client.query_one(Snapshot::QUERY, &[]).await?.try_get(0) })
            .await?;
        serde_json::from_str(&text).map_err(|error| self.connector.request(BoxError::from(error)))
    }

    /// Adds modules that the installation does not know.
    pub(super) async fn offer(&self, held: &Held, offers: &[(&ModuleName, &Offer)]) -> Result<(), PostgresError> {
        let offered = changes(offers.iter().map(|(name, offer)| (*name, *offer, None)));
        self.call(held, "SELECT nexum_offer($1)", &[&offered]).await
    }

    /// Makes the offered versions those of the installation, in place of these or of any.
    pub(super) async fn set_versions(
        &self,
        held: &Held,
        offers: &[(&ModuleName, &Offer, Option<&str>)],
        why: &str,
    ) -> Result<(), PostgresError> {
        let changes = changes(offers.iter().copied());
        let change = "SELECT nexum_version($1, $2, $3)";
        self.call(held, change, &[&self.config.node, &changes, &why]).await
    }

    /// Takes free groups.
    pub(super) async fn claim(
        &self,
        held: &Held,
        incarnation: &Incarnation,
        groups: &[&str],
        why: &str,
    ) -> Result<Vec<Claimed>, PostgresError> {
        self.connector
            .ask(async {
                let claim = "SELECT taken, taken_epoch, waited FROM nexum_claim($1, $2, $3, $4)";
                let parameters: [&(dyn ToSql + Sync); 4] = [&self.config.node, &incarnation.holder, &groups, &why];
                let rows = held.session.client.query(claim, &parameters).await?;
                let claimed = |row: &tokio_postgres::Row| {
                    Ok(Claimed {
                        group: row.try_get(0)?,
                        epoch: row.try_get(1)?,
                        waited: Duration::from_secs_f64(row.try_get::<_, f64>(2)?.max(0.0)),
                    })
                };
                rows.iter().map(claimed).collect()
            })
            .await
    }

    /// Gives up groups, each with a reason.
    pub(super) async fn release(
        &self,
        held: &Held,
        incarnation: &Incarnation,
        groups: &[&str],
        reasons: &[&str],
    ) -> Result<(), PostgresError> {
        let release = "SELECT nexum_release($1, $2, $3, $4)";
        let parameters: [&(dyn ToSql + Sync); 4] = [&self.config.node, &incarnation.holder, &groups, &reasons];
        self.call(held, release, &parameters).await
    }

    /// Calls a function that returns nothing.
    async fn call(
        &self,
        held: &Held,
        statement: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<(), PostgresError> {
        let called = self.connector.ask(held.session.client.execute(statement, parameters));
        called.await.map(|_| ())
    }

    /// The time since the node sent the last confirmed renewal.
    pub(super) fn age(&self, grant: &Grant) -> Duration {
        let sent_at = grant.until_ns().saturating_sub(self.until_ns(0));
        Duration::from_nanos(now_ns().saturating_sub(sent_at))
    }

    /// An error of the store as one of the database.
    pub(super) fn failed(&self, error: StoreError) -> PostgresError {
        self.connector.request(BoxError::from(error))
    }

    fn ttl_ms(&self) -> i64 {
        i64::try_from(self.config.lease_ttl.as_millis()).unwrap_or(i64::MAX)
    }

    /// The end of the right to act after a request that was sent at this time.
    fn until_ns(&self, sent_at: u64) -> u64 {
        let ttl = self.config.lease_ttl;
        let acts = ttl - ttl / LEASE_PARTS;
        sent_at.saturating_add(u64::try_from(acts.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// The version of each offered module, in JSON.
fn loaded(offers: &BTreeMap<ModuleName, Offer>) -> String {
    let versions = offers
        .iter()
        .map(|(name, offer)| (name.as_str().to_owned(), json!(offer.version)));
    Value::Object(versions.collect()).to_string()
}

/// Modules with their versions and chains, in JSON.
fn changes<'a>(offers: impl Iterator<Item = (&'a ModuleName, &'a Offer, Option<&'a str>)>) -> String {
    let change = |(name, offer, from): (&ModuleName, &Offer, Option<&str>)| {
        let chains: Vec<_> = offer.chains.iter().map(|chain| chain.cast_signed()).collect();
        let change = json!({ "version": offer.version, "chains": chains, "from": from });
        (name.as_str().to_owned(), change)
    };
    Value::Object(offers.map(change).collect()).to_string()
}

const ADD_NODE: &str = "INSERT INTO nexum_node (node) VALUES ($1) ON CONFLICT DO NOTHING";

const NUMBER: &str = "SELECT pg_backend_pid(), number FROM nexum_node WHERE node = $1";

/// A process that has just connected has no lease yet.
const IS_OVER: &str = "SELECT EXISTS (\
         SELECT FROM nexum_node n, pg_stat_activity a WHERE n.node = $1 AND n.expires < clock_timestamp() \
         AND a.pid = $2 AND a.backend_start < clock_timestamp() - $3::bigint * interval '1 millisecond'\
     )";

const JOIN: &str = "SELECT nexum_join($1, $2, $3, $4, $5, $6, $7, $8, $9)";

const RENEW: &str = "UPDATE nexum_node SET expires = clock_timestamp() + $3::bigint * interval '1 millisecond', \
     loaded = coalesce($4::text::jsonb, loaded) WHERE node = $1 AND epoch = $2 AND expires > '-infinity'";

const LOOK: &str = "SELECT n.node, n.epoch, (extract(epoch FROM n.expires) * 1000000)::bigint, \
         n.expires < clock_timestamp(), EXISTS (\
             SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 \
             AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
             AND l.classid::bigint = $2::int::bigint & 4294967295 AND l.objid::bigint = n.number\
         ) \
     FROM nexum_node n WHERE n.node <> $1 AND n.expires > '-infinity' ORDER BY n.node";
