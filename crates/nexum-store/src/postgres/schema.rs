//! The tables, and the function that writes.

use serde::Serialize;
mod tables;

use tokio::runtime::Handle;

use self::tables::{FUNCTIONS, TABLES};
use super::connect::{Connector, Session};
use crate::database::PostgresConfig;
use crate::error::PostgresError;

/// The SQL state of a write whose epoch has ended.
pub(super) const FENCED: &str = "NX001";

/// The SQL state of a write whose requirements are not met.
pub(super) const UNMET: &str = "NX002";

/// The SQL state of a single process that begins while nodes of an installation are live.
pub(super) const LIVE_NODES: &str = "NX003";

/// Creates what is missing.
///
/// The fence row of a node has the epoch in which it may write, and the process that began the epoch.
/// A write holds a shared lock on the row, so that a new epoch waits for the writes of the old one. The
/// lock has to conflict with a change of the epoch, which `FOR KEY SHARE` does not. A write in a
/// transaction of several statements would hold the lock while its client is stopped.
///
/// `nexum_write_if` also compares rows before the write. The advisory lock lets only one such write of an
/// installation happen at a time. They are rare: each adds modules.
const DDL: &str = "
CREATE TABLE IF NOT EXISTS nexum_rows (key bytea PRIMARY KEY, value bytea NOT NULL);

CREATE TABLE IF NOT EXISTS nexum_fence (node text PRIMARY KEY, epoch bigint NOT NULL, holder text);

CREATE OR REPLACE FUNCTION nexum_write(
    writer text, writer_epoch bigint, keys bytea[], new_values bytea[], deleted bytea[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM nexum_fence WHERE node = writer AND epoch = writer_epoch FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'epoch % of node % has ended', writer_epoch, writer USING ERRCODE = 'NX001';
    END IF;
    IF cardinality(keys) > 0 THEN
        INSERT INTO nexum_rows (key, value) SELECT * FROM unnest(keys, new_values)
            ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value;
    END IF;
    IF cardinality(deleted) > 0 THEN
        DELETE FROM nexum_rows WHERE key = ANY (deleted);
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION nexum_write_if(
    writer text, writer_epoch bigint, keys bytea[], new_values bytea[], deleted bytea[], required bytea[],
    expected bytea[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('nexum write if'), hashtext(current_schema()));
    PERFORM 1 FROM unnest(required, expected) AS r (key, value) LEFT JOIN nexum_rows USING (key)
        WHERE r.value IS DISTINCT FROM nexum_rows.value;
    IF FOUND THEN
        RAISE EXCEPTION 'a row has another value' USING ERRCODE = 'NX002';
    END IF;
    PERFORM nexum_write(writer, writer_epoch, keys, new_values, deleted);
END
$$;
";

/// The tables of nexum in a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Initialised {
    /// The hosts and the name of the database.
    pub database: String,
    /// The schema of the tables.
    pub schema: String,
    /// The tables that existed before.
    pub existing: Vec<String>,
    /// The tables that [`init`] has created.
    pub created: Vec<String>,
}

/// Creates the schema and the tables, as far as they are missing, and replaces the functions. The user
/// needs the right to create them. Call this in a tokio runtime.
///
/// # Errors
///
/// [`PostgresError`] if the database is not reachable, or refuses the user.
pub async fn init(config: &PostgresConfig) -> Result<Initialised, PostgresError> {
    let connector = Connector::new(config, "nexum cluster init", Handle::current())?;
    let session = connector.connect().await?;
    let schema = connector.schema();
    // One transaction, so that two processes cannot create parts. The lock lets one wait for the other.
    let all = format!(
        "BEGIN; SELECT pg_advisory_xact_lock(hashtext('nexum init')); \
         CREATE SCHEMA IF NOT EXISTS {schema}; {DDL} {TABLES} {FUNCTIONS} COMMIT"
    );
    let existing = tables(&connector, &session).await?;
    connector.ask(session.client.batch_execute(&all)).await?;
    let mut created = tables(&connector, &session).await?;
    created.retain(|table| !existing.contains(table));
    Ok(Initialised {
        database: connector.database().to_owned(),
        schema: schema.to_owned(),
        existing,
        created,
    })
}

/// The names of nexum's tables that exist.
async fn tables(connector: &Connector, session: &Session) -> Result<Vec<String>, PostgresError> {
    let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = $1 AND tablename ^@ 'nexum_' ORDER BY 1";
    connector
        .ask(async {
            let rows = session.client.query(tables, &[&connector.schema()]).await?;
            rows.iter().map(|row| row.try_get(0)).collect()
        })
        .await
}
