//! The database of the state.

use nexum_config::engine::Config;
use nexum_config::hint::Hint;
use nexum_store::{PostgresError, cluster, durability_warnings};

use crate::compose;
use crate::report::causes;
use crate::report::findings::{Area, Finding};

/// The key with the address of the database.
const SUBJECT: &str = "store.url";

/// Connects to the database, and looks at its settings and tables. None without a database, or if its table
/// of the configuration is faulty.
pub(super) async fn findings(config: &Config) -> Vec<Finding> {
    let Some(database) = compose::store_config(config).ok().and_then(|store| store.postgres) else {
        return Vec::new();
    };
    let area = Area::Database;
    let warnings = match durability_warnings(&database).await {
        Ok(warnings) => warnings,
        Err(error) => return vec![failure(&error)],
    };
    let mut findings = vec![area.ok(SUBJECT, "the database accepts connections and writes")];
    findings.extend(warnings.into_iter().map(|warning| {
        let finding = area.warning(SUBJECT, warning);
        finding.with_remedy("change the setting of the server")
    }));
    if let Err(error) = cluster::status(&database).await {
        findings.push(failure(&error));
    }
    findings
}

fn failure(error: &PostgresError) -> Finding {
    let finding = Area::Database.failure(SUBJECT, causes(error));
    match error.hint() {
        Some(hint) => finding.with_remedy(hint),
        None => finding,
    }
}
