//! The only connection that writes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nexum_core::store::{Batch, StoreError};
use tokio::time::{Instant, sleep};
use tokio_postgres::Statement;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;

use super::connect::{Backoff, Connector, Session};
use super::failed;
use super::grant::Grant;
use super::locks::{Lock, Mode};
use super::schema::{FENCED, LIVE_NODES, UNMET};
use crate::error::PostgresError;
use crate::node_config::SINGLE;

/// How long a new writer waits for the lock: the server releases it some milliseconds after the end of
/// its holder.
const LOCK_WAIT: Duration = Duration::from_secs(1);
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// The last changes of a batch to its keys, in the order of the keys.
#[derive(Debug, Default)]
pub(super) struct Changes {
    keys: Vec<Vec<u8>>,
    values: Vec<Vec<u8>>,
    deleted: Vec<Vec<u8>>,
    /// The keys that must have the expected values before the changes.
    required: Vec<Vec<u8>>,
    expected: Vec<Option<Vec<u8>>>,
}

impl Changes {
    pub(super) fn of(batch: &Batch) -> Self {
        let last: BTreeMap<_, _> = batch.changes().collect();
        let mut changes = Self::default();
        for (key, value) in last {
            match value {
                Some(value) => {
                    changes.keys.push(key.to_vec());
                    changes.values.push(value.to_vec());
                }
                None => changes.deleted.push(key.to_vec()),
            }
        }
        let required = batch
            .required()
            .map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec)));
        (changes.required, changes.expected) = required.unzip();
        changes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.deleted.is_empty() && self.required.is_empty()
    }
}

/// The connection that writes, and the epoch in which it may.
#[derive(Debug)]
pub(super) struct Writer {
    node: String,
    /// Where the right to write comes from. `None` in a process that is the only one, and holds the lock
    /// of the schema.
    grant: Option<Arc<Grant>>,
    /// Distinguishes this writer from all others.
    holder: String,
    epoch: i64,
    is_fenced: bool,
    open: Option<Open>,
    /// The server's process of the last connection.
    last_pid: i32,
    backoff: Backoff,
}

#[derive(Debug)]
struct Open {
    session: Session,
    write: Statement,
}

impl Writer {
    /// Takes the lock of the schema, and begins an epoch. The rights of the nodes of an installation end. Fails
    /// while the lease of a node lasts: a node without a session lock does not have the lock of the schema.
    pub(super) async fn open(connector: &Connector) -> Result<Self, PostgresError> {
        let session = connector.connect().await?;
        let mut writer = Self::new(SINGLE, None);
        writer.holder = new_holder();
        writer.lock(connector, &session).await?;
        connector
            .within(async { Ok(session.client.execute(ALONE, &[&writer.node]).await) })
            .await?
            .map_err(|error| live_nodes(connector, error))?;
        writer.epoch = connector
            .ask(async {
                let begun = session.client.query_one(BEGIN, &[&writer.node, &writer.holder]).await;
                begun.and_then(|row| row.try_get(0))
            })
            .await?;
        writer.open = Some(writer.prepare(connector, session).await?);
        Ok(writer)
    }

    /// The writer of a node. Every write is refused while there is no right to write.
    pub(super) fn of_node(grant: Arc<Grant>) -> Self {
        Self::new(grant.node(), Some(grant.clone()))
    }

    fn new(node: &str, grant: Option<Arc<Grant>>) -> Self {
        Self {
            node: node.to_owned(),
            grant,
            holder: String::new(),
            epoch: 0,
            is_fenced: false,
            open: None,
            last_pid: 0,
            backoff: Backoff::default(),
        }
    }

    /// Whether the right of this writer's last write goes on. Without it, a failed write cannot happen after
    /// the process has the right again.
    pub(super) fn is_current(&self) -> bool {
        let granted = |grant: &Arc<Grant>| grant.incarnation().is_ok_and(|found| found.holder == self.holder);
        self.grant.as_ref().is_none_or(granted)
    }

    /// Makes the changes in one transaction. After an error, the next write or the next
    /// [`reopen`](Self::reopen) finds out whether they were made.
    pub(super) async fn write(&mut self, connector: &Connector, changes: &Changes) -> Result<(), StoreError> {
        self.reopen(connector).await?;
        // It stays closed, unless the write succeeds.
        let Some(open) = self.open.take() else {
            return Err(StoreError::backend("the connection is closed"));
        };
        let Changes {
            keys,
            values,
            deleted,
            required,
            expected,
        } = changes;
        let written = connector.within(async {
            let parameters: [&(dyn ToSql + Sync); 7] =
                [&self.node, &self.epoch, keys, values, deleted, required, expected];
            let client = &open.session.client;
            Ok(match required.is_empty() {
                true => client.execute(&open.write, &parameters[..5]).await,
                false => client.execute(WRITE_IF, &parameters).await,
            })
        });
        let Err(error) = written.await.map_err(failed)? else {
            self.open = Some(open);
            return Ok(());
        };
        match error.code().map(SqlState::code) {
            Some(FENCED) => Err(self.fenced()),
            Some(UNMET) => {
                self.open = Some(open);
                Err(StoreError::Conflict)
            }
            _ => Err(failed(connector.request(error))),
        }
    }

    /// Opens the connection again if it is closed, and begins a new epoch: afterwards no earlier write
    /// happens.
    pub(super) async fn reopen(&mut self, connector: &Connector) -> Result<(), StoreError> {
        if self.is_fenced {
            return Err(self.fenced());
        }
        self.follow()?;
        if self.open.as_ref().is_some_and(|open| !open.session.client.is_closed()) {
            return Ok(());
        }
        self.open = None;
        let session = self.backoff.connect(connector).await?;
        let begun = connector
            .ask(async {
                let begun = session.client.query_opt(CONTINUE, &[&self.node, &self.holder]).await?;
                begun.map(|row| row.try_get(0)).transpose()
            })
            .await;
        match begun.map_err(failed)? {
            Some(epoch) => self.epoch = epoch,
            None => return Err(self.fenced()),
        }
        self.lock(connector, &session).await.map_err(failed)?;
        self.open = Some(self.prepare(connector, session).await.map_err(failed)?);
        tracing::info!(
            target: "nexum::store",
            database = connector.database(),
            epoch = self.epoch,
            "the state store has a new connection to the database"
        );
        Ok(())
    }

    /// Writes in the membership that the process has now.
    fn follow(&mut self) -> Result<(), StoreError> {
        let Some(grant) = &self.grant else { return Ok(()) };
        let found = grant.incarnation().map_err(|epoch| StoreError::Fenced { epoch })?;
        if found.holder != self.holder {
            self.open = None;
            self.holder = found.holder;
            self.epoch = found.epoch;
        }
        Ok(())
    }

    /// Takes the lock of the schema, which shows other processes that the state is in use. Ends the last
    /// connection of this writer if the server still has it. The membership of a node has the lock itself.
    async fn lock(&self, connector: &Connector, session: &Session) -> Result<(), PostgresError> {
        if self.grant.is_some() {
            return Ok(());
        }
        let lock = Lock::of_schema(connector, session).await?;
        let deadline = Instant::now() + LOCK_WAIT;
        while !lock.take(connector, session, Mode::Exclusive).await? {
            match lock.holder(connector, session).await? {
                Some(holder) if holder.pid == self.last_pid => holder.end(connector, session).await?,
                holder if Instant::now() >= deadline => {
                    return Err(PostgresError::InUse {
                        database: connector.database().to_owned(),
                        schema: connector.schema().to_owned(),
                        holder: holder.map_or_else(|| "another process".to_owned(), |holder| holder.name),
                    });
                }
                _ => {}
            }
            sleep(LOCK_PAUSE).await;
        }
        Ok(())
    }

    async fn prepare(&mut self, connector: &Connector, session: Session) -> Result<Open, PostgresError> {
        let (write, pid) = connector
            .ask(async {
                let write = session.client.prepare(WRITE).await?;
                let pid = session.client.query_one("SELECT pg_backend_pid()", &[]).await?;
                Ok((write, pid.try_get(0)?))
            })
            .await?;
        self.last_pid = pid;
        Ok(Open { session, write })
    }

    fn fenced(&mut self) -> StoreError {
        match &self.grant {
            Some(grant) => grant.fence(&self.holder),
            None => self.is_fenced = true,
        }
        self.open = None;
        StoreError::Fenced {
            epoch: self.epoch.unsigned_abs(),
        }
    }
}

/// The error of a process that cannot be the only one.
fn live_nodes(connector: &Connector, error: tokio_postgres::Error) -> PostgresError {
    let refusal = error
        .as_db_error()
        .filter(|refusal| refusal.code().code() == LIVE_NODES);
    let Some(refusal) = refusal else {
        return connector.request(error);
    };
    let left_ms = refusal.detail().and_then(|detail| detail.parse().ok());
    PostgresError::LiveNodes {
        database: connector.database().to_owned(),
        schema: connector.schema().to_owned(),
        nodes: refusal.message().to_owned(),
        ends_in: Duration::from_millis(left_ms.unwrap_or_default()),
    }
}

/// A text that distinguishes a writer from all others.
pub(super) fn new_holder() -> String {
    format!("{:032x}", rand::random::<u128>())
}

const BEGIN: &str = "INSERT INTO nexum_fence (node, epoch, holder) VALUES ($1, 1, $2) \
                     ON CONFLICT (node) DO UPDATE SET epoch = nexum_fence.epoch + 1, holder = $2 RETURNING epoch";

/// The holder, and not the epoch, identifies this writer: the database may have made an earlier change
/// whose answer was lost.
const CONTINUE: &str = "UPDATE nexum_fence SET epoch = epoch + 1 WHERE node = $1 AND holder = $2 RETURNING epoch";

/// Ends the rights of all other writers, after their writes in progress.
const ALONE: &str = "SELECT nexum_alone($1)";

const WRITE: &str = "SELECT nexum_write($1, $2, $3, $4, $5)";

const WRITE_IF: &str = "SELECT nexum_write_if($1, $2, $3, $4, $5, $6, $7)";
