//! The connection of a node's lease, which holds the locks of the node.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_postgres::Client;

use crate::error::PostgresError;
use crate::node_config::ClusterConfig;
use crate::postgres::connect::{Connector, Session};
use crate::postgres::locks::{Lock, Mode};

/// The attempts to take a lock from a connection that ends, and the pause between two: the server takes some
/// milliseconds.
const TAKE_TRIES: u32 = 20;
const TAKE_PAUSE: Duration = Duration::from_millis(20);

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

impl From<PostgresError> for Refusal {
    fn from(error: PostgresError) -> Self {
        Self::Failed(error)
    }
}

impl Held {
    /// Opens a connection, and takes the locks of the node. `last_pid` is the process of its last connection,
    /// which the server may still have.
    pub(super) async fn open(connector: &Connector, config: &ClusterConfig, last_pid: i32) -> Result<Self, Refusal> {
        let session = connector.connect().await?;
        let node = &config.node;
        let (pid, number): (i32, i32) = connector
            .ask(async {
                session.client.batch_execute("LISTEN nexum").await?;
                session.client.execute(ADD_NODE, &[node]).await?;
                let found = session.client.query_one(NUMBER, &[node]).await?;
                Ok((found.try_get(0)?, found.try_get(1)?))
            })
            .await?;
        let class = Lock::class_of_nodes(connector, &session).await?;
        let held = Self { session, class, pid };
        if config.session_lock {
            let schema = Lock::of_schema(connector, &held.session).await?;
            held.take(connector, config, schema, Mode::Shared, last_pid).await?;
            let of_node = Lock { class, object: number };
            held.take(connector, config, of_node, Mode::Exclusive, last_pid).await?;
        }
        Ok(held)
    }

    async fn take(
        &self,
        connector: &Connector,
        config: &ClusterConfig,
        lock: Lock,
        mode: Mode,
        last_pid: i32,
    ) -> Result<(), Refusal> {
        let (session, node) = (&self.session, &config.node);
        for _ in 0..TAKE_TRIES {
            if lock.take(connector, session, mode).await? {
                return Ok(());
            }
            // It may have ended since.
            let Some(holder) = lock.holder(connector, session).await? else {
                continue;
            };
            // A process that was paused or cut off for longer than its lease keeps its connection.
            let is_over = mode == Mode::Exclusive
                && connector
                    .ask(async {
                        let over = session
                            .client
                            .query_one(IS_OVER, &[node, &holder.pid, &ttl_ms(config)])
                            .await?;
                        over.try_get(0)
                    })
                    .await?;
            if holder.pid != last_pid && !is_over {
                return Err(Refusal::Waiting(match mode {
                    Mode::Exclusive => format!("another process is the node {node}: {}", holder.name),
                    Mode::Shared => format!("a process without [cluster] uses the state: {}", holder.name),
                }));
            }
            holder.end(connector, session).await?;
            sleep(TAKE_PAUSE).await;
        }
        Err(Refusal::Waiting(format!(
            "the database still has an ended connection of the node {node}"
        )))
    }

    pub(super) fn client(&self) -> &Client {
        &self.session.client
    }

    /// The first number of the locks of nodes.
    pub(super) fn class(&self) -> i32 {
        self.class
    }

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

/// The duration of a node's lease, in milliseconds.
pub(super) fn ttl_ms(config: &ClusterConfig) -> i64 {
    i64::try_from(config.lease_ttl.as_millis()).unwrap_or(i64::MAX)
}

const ADD_NODE: &str = "INSERT INTO nexum_node (node) VALUES ($1) ON CONFLICT DO NOTHING";

const NUMBER: &str = "SELECT pg_backend_pid(), number FROM nexum_node WHERE node = $1";

/// A process that has just connected has no lease yet.
const IS_OVER: &str = "SELECT EXISTS (\
         SELECT FROM nexum_node n, pg_stat_activity a WHERE n.node = $1 AND n.expires < clock_timestamp() \
         AND a.pid = $2 AND a.backend_start < clock_timestamp() - $3::bigint * interval '1 millisecond'\
     )";
