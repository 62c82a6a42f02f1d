//! The requests of a node over the connection of its lease. Each is one statement.

use std::collections::BTreeMap;
use std::time::Duration;

use nexum_config::names::ModuleName;
use nexum_core::BoxError;
use nexum_core::membership::Offer;
use nexum_core::store::StoreError;
use serde_json::{Value, json};
use tokio_postgres::types::ToSql;

use super::held::{Held, Refusal, ttl_ms};
use super::snapshot::Snapshot;
use crate::error::PostgresError;
use crate::node_config::{ClusterConfig, SINGLE};
use crate::postgres::connect::Connector;
use crate::postgres::grant::{Grant, Incarnation, now_ns};
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

impl Lease {
    /// `connector` has to end a request after the time between two renewals.
    pub(super) fn new(connector: Connector, config: ClusterConfig) -> Self {
        Self { connector, config }
    }

    /// Opens a connection with the locks of the node. `last_pid` is the process of its last connection, which the
    /// server may still have.
    pub(super) async fn hold(&self, last_pid: i32) -> Result<Held, Refusal> {
        Held::open(&self.connector, &self.config, last_pid).await
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
            &ttl_ms(&self.config),
            address,
            &env!("CARGO_PKG_VERSION"),
            &weight,
            &loaded,
            &SINGLE,
        ];
        let joined = self
            .connector
            .ask(async { held.client().query_one(JOIN, &parameters).await?.try_get(0) });
        let joined: Result<Option<i64>, _> = joined.await;
        self.end_stalled(held, joined.is_err()).await?;
        let joined = joined?;
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
        let parameters: [&(dyn ToSql + Sync); 4] = [&self.config.node, &epoch, &ttl_ms(&self.config), &loaded];
        let renewed = self.connector.ask(held.client().execute(RENEW, &parameters)).await?;
        if renewed > 0 {
            grant.extend(self.until_ns(sent_at));
        }
        Ok(renewed > 0)
    }

    /// Looks at the other nodes, and at their locks.
    pub(super) async fn look(&self, held: &Held) -> Result<Vec<Sighting>, PostgresError> {
        self.connector
            .ask(async {
                let parameters: [&(dyn ToSql + Sync); 2] = [&self.config.node, &held.class()];
                let rows = held.client().query(LOOK, &parameters).await?;
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
        let buried = self.connector.ask(async {
            let bury = "SELECT nexum_bury($1, $2, $3, $4)";
            let parameters: [&(dyn ToSql + Sync); 4] = [&gone.node, &gone.epoch, &seen, &why];
            held.client().query_one(bury, &parameters).await?.try_get(0)
        });
        let buried = buried.await;
        self.end_stalled(held, buried.is_err()).await?;
        buried
    }

    /// Ends writes that hang, after a request that may have waited for them.
    async fn end_stalled(&self, held: &Held, has_failed: bool) -> Result<(), PostgresError> {
        match has_failed {
            true => self.call(held, END_STALLED, &[&ttl_ms(&self.config)]).await,
            false => Ok(()),
        }
    }

    pub(super) async fn leave(&self, held: &Held, incarnation: &Incarnation) -> Result<(), PostgresError> {
        let leave = "SELECT nexum_leave($1, $2)";
        self.call(held, leave, &[&self.config.node, &incarnation.holder]).await
    }

    /// The installation at one moment.
    pub(super) async fn snapshot(&self, held: &Held) -> Result<Snapshot, PostgresError> {
        let text: String = self
            .connector
            .ask(async { held.client().query_one(Snapshot::QUERY, &[]).await?.try_get(0) })
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
                let rows = held.client().query(claim, &parameters).await?;
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
        let called = self.connector.ask(held.client().execute(statement, parameters));
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

/// Modules with their versions, their chains and what they share, in JSON.
fn changes<'a>(offers: impl Iterator<Item = (&'a ModuleName, &'a Offer, Option<&'a str>)>) -> String {
    let change = |(name, offer, from): (&ModuleName, &Offer, Option<&str>)| {
        let chains: Vec<_> = offer.chains.iter().map(|chain| chain.cast_signed()).collect();
        let change = json!({ "version": offer.version, "chains": chains, "together": offer.together, "from": from });
        (name.as_str().to_owned(), change)
    };
    Value::Object(offers.map(change).collect()).to_string()
}

const JOIN: &str = "SELECT nexum_join($1, $2, $3, $4, $5, $6, $7, $8, $9)";

const RENEW: &str = "UPDATE nexum_node SET expires = clock_timestamp() + $3::bigint * interval '1 millisecond', \
     loaded = coalesce($4::text::jsonb, loaded) WHERE node = $1 AND epoch = $2 AND expires > '-infinity'";

/// A write whose last bytes do not arrive holds the lock on its fence row, also when its client is paused for ever.
const END_STALLED: &str = "SELECT pg_terminate_backend(a.pid) FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
     WHERE l.relation = 'nexum_fence'::regclass AND l.mode = 'RowShareLock' AND l.granted \
     AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
     AND a.wait_event = 'ClientRead' AND a.xact_start < clock_timestamp() - $1::bigint * interval '1 millisecond'";

const LOOK: &str = "SELECT n.node, n.epoch, (extract(epoch FROM n.expires) * 1000000)::bigint, \
         n.expires < clock_timestamp(), EXISTS (\
             SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 \
             AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
             AND l.classid::bigint = $2::int::bigint & 4294967295 AND l.objid::bigint = n.number\
         ) \
     FROM nexum_node n WHERE n.node <> $1 AND n.expires > '-infinity' ORDER BY n.node";
