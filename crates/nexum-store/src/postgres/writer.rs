//! The only connection that writes.

use std::collections::BTreeMap;
use std::time::Duration;

use nexum_core::store::{Batch, StoreError};
use tokio::time::{Instant, sleep};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

use super::connect::{Backoff, Connector, Session};
use super::failed;
use super::schema::FENCED;
use crate::error::PostgresError;

/// The node of an installation that runs on one machine.
const NODE: &str = "single";

/// The first number of the advisory lock that the writer holds, so that it differs from the locks of
/// other programs. The second one is a hash of the schema.
const LOCK_CLASS: i32 = 0x6e_65_78;

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
        changes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.deleted.is_empty()
    }
}

/// The connection that writes, and the epoch in which it may.
#[derive(Debug)]
pub(super) struct Writer {
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
    /// Takes the lock, and begins an epoch.
    pub(super) async fn open(connector: &Connector) -> Result<Self, PostgresError> {
        let session = connector.connect().await?;
        let mut writer = Self {
            holder: format!("{:032x}", rand::random::<u128>()),
            epoch: 0,
            is_fenced: false,
            open: None,
            last_pid: 0,
            backoff: Backoff::default(),
        };
        writer.lock(connector, &session).await?;
        writer.epoch = connector
            .ask(async {
                let begun = session.client.query_one(BEGIN, &[&NODE, &writer.holder]).await;
                begun.and_then(|row| row.try_get(0))
            })
            .await?;
        writer.open = Some(writer.prepare(connector, session).await?);
        Ok(writer)
    }

    /// Makes the changes in one transaction. After an error, the next write or the next
    /// [`reopen`](Self::reopen) finds out whether they were made.
    pub(super) async fn write(&mut self, connector: &Connector, changes: &Changes) -> Result<(), StoreError> {
        self.reopen(connector).await?;
        // It stays closed, unless the write succeeds.
        let Some(open) = self.open.take() else {
            return Err(StoreError::backend("the connection is closed"));
        };
        let Changes { keys, values, deleted } = changes;
        let written = connector.within(async {
            let parameters: [&(dyn ToSql + Sync); 5] = [&NODE, &self.epoch, keys, values, deleted];
            let written = open.session.client.execute(&open.write, &parameters).await;
            Ok(written.map_err(|error| (is_fenced(&error), connector.request(error))))
        });
        match written.await.map_err(failed)? {
            Ok(_) => {
                self.open = Some(open);
                Ok(())
            }
            Err((true, _)) => Err(self.fenced()),
            Err((false, error)) => Err(failed(error)),
        }
    }

    /// Opens the connection again if it is closed, and begins a new epoch: afterwards no earlier write
    /// happens.
    pub(super) async fn reopen(&mut self, connector: &Connector) -> Result<(), StoreError> {
        if self.is_fenced {
            return Err(self.fenced());
        }
        if self.open.as_ref().is_some_and(|open| !open.session.client.is_closed()) {
            return Ok(());
        }
        self.open = None;
        let session = self.backoff.connect(connector).await?;
        let begun = connector
            .ask(async {
                let begun = session.client.query_opt(CONTINUE, &[&NODE, &self.holder]).await?;
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

    /// Takes the lock, which shows other processes that the state is in use. Ends the last connection
    /// of this writer if the server still has it.
    async fn lock(&self, connector: &Connector, session: &Session) -> Result<(), PostgresError> {
        let deadline = Instant::now() + LOCK_WAIT;
        loop {
            let locked = connector.ask(async {
                let locked = session
                    .client
                    .query_one(LOCK, &[&LOCK_CLASS, &connector.schema()])
                    .await;
                locked.and_then(|row| row.try_get(0))
            });
            if locked.await? {
                return Ok(());
            }
            let holder = connector.ask(async {
                let holder = session
                    .client
                    .query_opt(HOLDER, &[&LOCK_CLASS, &connector.schema()])
                    .await?;
                let read = |row: Row| Ok::<(i32, String), tokio_postgres::Error>((row.try_get(0)?, row.try_get(1)?));
                holder.map(read).transpose()
            });
            let holder = holder.await?;
            if let Some((pid, _)) = &holder
                && *pid == self.last_pid
            {
                let end = connector.ask(async { session.client.execute(END, &[pid]).await });
                end.await?;
            } else if Instant::now() >= deadline {
                return Err(PostgresError::InUse {
                    database: connector.database().to_owned(),
                    schema: connector.schema().to_owned(),
                    holder: holder.map_or_else(|| "another process".to_owned(), |(_, holder)| holder),
                });
            }
            sleep(LOCK_PAUSE).await;
        }
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
        self.is_fenced = true;
        self.open = None;
        StoreError::Fenced {
            epoch: self.epoch.unsigned_abs(),
        }
    }
}

fn is_fenced(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| code.code() == FENCED)
}

const BEGIN: &str = "INSERT INTO nexum_fence (node, epoch, holder) VALUES ($1, 1, $2) \
                     ON CONFLICT (node) DO UPDATE SET epoch = nexum_fence.epoch + 1, holder = $2 RETURNING epoch";

/// The holder, and not the epoch, identifies this writer: the database may have made an earlier change
/// whose answer was lost.
const CONTINUE: &str = "UPDATE nexum_fence SET epoch = epoch + 1 WHERE node = $1 AND holder = $2 RETURNING epoch";

const WRITE: &str = "SELECT nexum_write($1, $2, $3, $4, $5)";

const LOCK: &str = "SELECT pg_try_advisory_lock($1, hashtext($2))";

const HOLDER: &str = "SELECT a.pid, concat(a.application_name, ' (' || host(a.client_addr) || ')') \
     FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
     WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND a.datname = current_database() \
     AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
     AND l.classid::bigint = $1::int AND l.objid::bigint = hashtext($2)::bigint & 4294967295";

const END: &str = "SELECT pg_terminate_backend($1)";
