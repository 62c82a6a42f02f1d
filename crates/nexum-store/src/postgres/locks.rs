//! The locks of sessions, which show other processes that this one runs. The server releases them at
//! the end of the connection.

use tokio_postgres::Row;

use super::connect::{Connector, Session};
use crate::error::PostgresError;

/// The first number of the lock on a schema, so that it differs from the locks of other programs. The
/// second one is a hash of the schema.
const SCHEMA_CLASS: i32 = 0x6e_65_78;

/// A lock, by its two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lock {
    pub(super) class: i32,
    pub(super) object: i32,
}

/// Whether other sessions can have the lock too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Exclusive,
    Shared,
}

/// A session that has a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    /// The process of the server.
    pub(super) pid: i32,
    /// The name of the program, with its address.
    pub(super) name: String,
}

impl Lock {
    /// The lock of the processes that write a schema: a single one exclusively, or shared by the nodes
    /// of an installation.
    pub(super) async fn of_schema(connector: &Connector, session: &Session) -> Result<Self, PostgresError> {
        let object = hash(connector, session, connector.schema()).await?;
        Ok(Self {
            class: SCHEMA_CLASS,
            object,
        })
    }

    /// The first number of the locks of the schema's nodes.
    pub(super) async fn class_of_nodes(connector: &Connector, session: &Session) -> Result<i32, PostgresError> {
        hash(connector, session, &format!("nexum node {}", connector.schema())).await
    }

    /// Takes the lock if it is free.
    pub(super) async fn take(
        self,
        connector: &Connector,
        session: &Session,
        mode: Mode,
    ) -> Result<bool, PostgresError> {
        let take = match mode {
            Mode::Exclusive => "SELECT pg_try_advisory_lock($1, $2)",
            Mode::Shared => "SELECT pg_try_advisory_lock_shared($1, $2)",
        };
        connector
            .ask(async {
                let taken = session.client.query_one(take, &[&self.class, &self.object]).await;
                taken.and_then(|row| row.try_get(0))
            })
            .await
    }

    /// A session that has the lock.
    pub(super) async fn holder(
        self,
        connector: &Connector,
        session: &Session,
    ) -> Result<Option<Holder>, PostgresError> {
        connector
            .ask(async {
                let found = session.client.query_opt(HOLDER, &[&self.class, &self.object]).await?;
                found.map(holder_of).transpose()
            })
            .await
    }
}

impl Holder {
    /// Closes the session.
    pub(super) async fn end(&self, connector: &Connector, session: &Session) -> Result<(), PostgresError> {
        let end = "SELECT pg_terminate_backend($1)";
        let ended = connector.ask(session.client.execute(end, &[&self.pid])).await;
        ended.map(|_| ())
    }
}

fn holder_of(row: Row) -> Result<Holder, tokio_postgres::Error> {
    let (pid, name) = (row.try_get(0)?, row.try_get(1)?);
    Ok(Holder { pid, name })
}

async fn hash(connector: &Connector, session: &Session, text: &str) -> Result<i32, PostgresError> {
    connector
        .ask(async {
            let hashed = session.client.query_one("SELECT hashtext($1)", &[&text]).await;
            hashed.and_then(|row| row.try_get(0))
        })
        .await
}

const HOLDER: &str = "SELECT a.pid, concat(a.application_name, ' (' || host(a.client_addr) || ')') \
     FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
     WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND a.datname = current_database() \
     AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
     AND l.classid::bigint = $1::int::bigint & 4294967295 AND l.objid::bigint = $2::int::bigint & 4294967295 \
     ORDER BY a.pid LIMIT 1";
