//! The server's settings on which the promise of durable commits depends.

use tokio::runtime::Handle;
use tokio_postgres::{SimpleQueryMessage, SimpleQueryRow};

use super::connect::{Connector, Session};
use crate::database::{DurabilityWarning, PostgresConfig};
use crate::error::PostgresError;

/// The settings, each with a value that loses acknowledged commits, and the loss.
const SETTINGS: [(&str, &str, &str); 4] = [
    (
        "synchronous_commit",
        "off",
        "a crash of the server loses commits that nexum has acknowledged",
    ),
    (
        "synchronous_commit",
        "local",
        "a failover to a standby loses commits that nexum has acknowledged",
    ),
    ("fsync", "off", "a power failure can destroy the database"),
    (
        "full_page_writes",
        "off",
        "a power failure can destroy a page of the database",
    ),
];

/// Whether the database is reachable and has the tables, and what its settings can lose. Call this in a
/// tokio runtime.
///
/// # Errors
///
/// [`PostgresError`] if the database is not reachable, or has no tables.
pub async fn examine(config: &PostgresConfig) -> Result<Vec<DurabilityWarning>, PostgresError> {
    let connector = Connector::new(config, "nexum doctor", Handle::current())?;
    let session = connector.connect().await?;
    let ask = async |query: &str| first(&connector, &session, query).await;
    ask("SELECT key FROM nexum_rows LIMIT 1").await?;
    let mut warnings = Vec::new();
    for (setting, risky, loss) in SETTINGS {
        let value = ask(&format!("SHOW {setting}")).await?;
        if value.as_deref() == Some(risky) {
            warnings.push(DurabilityWarning {
                text: format!("{setting} = {risky}: {loss}"),
                remedy: format!("set `{setting} = on` in the server's configuration"),
            });
        }
    }
    let standbys = ask("SELECT count(*) FROM pg_stat_replication").await?;
    let synchronous = ask("SHOW synchronous_standby_names").await?;
    warnings.extend(of_standbys(standbys.as_deref(), synchronous.as_deref()));
    Ok(warnings)
}

/// Every user can count the standbys, but not see which of them are synchronous.
fn of_standbys(standbys: Option<&str>, synchronous: Option<&str>) -> Option<DurabilityWarning> {
    let (text, remedy) = match (standbys, synchronous) {
        (None | Some("0"), _) => (
            "no standby: the state is lost with the disk of the server",
            "add a standby, or make backups that you can restore, or replicate the disk",
        ),
        (_, None | Some("")) => (
            "no synchronous standby: a failover can lose commits that nexum has acknowledged",
            "name a standby in `synchronous_standby_names` in the server's configuration",
        ),
        _ => return None,
    };
    Some(DurabilityWarning {
        text: text.to_owned(),
        remedy: remedy.to_owned(),
    })
}

/// The first value of the answer.
async fn first(connector: &Connector, session: &Session, query: &str) -> Result<Option<String>, PostgresError> {
    let messages = connector.ask(session.client.simple_query(query)).await?;
    let value = |row: &SimpleQueryRow| row.get(0).map(str::to_owned);
    Ok(messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => value(row),
        _ => None,
    }))
}
