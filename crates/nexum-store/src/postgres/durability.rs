//! The server's settings on which the promise of durable commits depends.

use tokio::runtime::Handle;
use tokio_postgres::SimpleQueryMessage;

use super::connect::Connector;
use crate::database::PostgresConfig;
use crate::error::PostgresError;

/// The settings, each with the values that lose acknowledged commits, and the loss.
const SETTINGS: [(&str, &[&str], &str); 3] = [
    (
        "synchronous_commit",
        &["off"],
        "a crash of the server loses commits that nexum has acknowledged",
    ),
    ("fsync", &["off"], "a power failure can destroy the database"),
    (
        "full_page_writes",
        &["off"],
        "a power failure can leave a page of the database in part",
    ),
];

/// The settings of the server with which an acknowledged commit can be lost: one line each. Call this in
/// a tokio runtime.
///
/// # Errors
///
/// [`PostgresError`] if the database is not reachable.
pub async fn durability_warnings(config: &PostgresConfig) -> Result<Vec<String>, PostgresError> {
    let connector = Connector::new(config, "nexum check", Handle::current())?;
    let session = connector.connect().await?;
    let mut warnings = Vec::new();
    for (setting, risky, loss) in SETTINGS {
        let query = format!("SHOW {setting}");
        for message in connector.ask(session.client.simple_query(&query)).await? {
            if let SimpleQueryMessage::Row(row) = message
                && let Some(value) = row.get(0)
                && risky.contains(&value)
            {
                warnings.push(format!("the database has {setting} = {value}: {loss}"));
            }
        }
    }
    Ok(warnings)
}
