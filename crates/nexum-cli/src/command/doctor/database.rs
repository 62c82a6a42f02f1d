//! The database of the state: whether it is reachable, and which settings can lose commits.

use nexum_config::engine::Config;

use crate::compose;
use crate::report::Refusal;
use crate::report::findings::{Area, Finding};

/// Looks at the database, if the state is in one.
pub(super) async fn findings(config: &Config) -> Vec<Finding> {
    // The errors of a faulty section are findings of their own.
    let Ok(store) = compose::store_config(config) else {
        return Vec::new();
    };
    let (area, subject) = (Area::Database, "state");
    match store.examine().await {
        None => Vec::new(),
        Some(Ok(warnings)) if warnings.is_empty() => {
            vec![area.ok(subject, "reachable, and its settings keep acknowledged commits")]
        }
        Some(Ok(warnings)) => {
            let finding = |warning: nexum_store::DurabilityWarning| {
                area.warning(subject, warning.text).with_remedy(warning.remedy)
            };
            warnings.into_iter().map(finding).collect()
        }
        Some(Err(error)) => vec![Refusal::with_hint_of(&error).finding(area, subject)],
    }
}
