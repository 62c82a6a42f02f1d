//! The messages of a reload of the configuration.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A reload of the configuration.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ReloadRequest {
    /// Whether the daemon only compares the configuration with the running one.
    pub(crate) dry_run: bool,
}

/// The difference of a configuration and the running one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ReloadReport {
    /// Whether the daemon has made no change.
    pub(crate) dry_run: bool,
    /// The keys with other values.
    pub(crate) settings: Vec<SettingChange>,
    /// The modules that start.
    pub(crate) added: Vec<String>,
    /// The modules that continue with other content.
    pub(crate) reloaded: Vec<ReloadedModule>,
    /// The modules that end. Their state stays in the store.
    pub(crate) removed: Vec<String>,
    /// Remarks on the configuration.
    pub(crate) warnings: Vec<String>,
}

/// A key with another value. No value has a secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct SettingChange {
    /// The full path of the key. A module has its name in place of its index.
    pub(crate) key: String,
    /// The running value. Null if the key had none.
    pub(crate) before: Value,
    /// The new value. Null if the key has none.
    pub(crate) after: Value,
    /// Whether a part of the value changed that is a secret, so that both values look alike.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) hidden: bool,
}

/// A module that continues with other content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ReloadedModule {
    pub(crate) name: String,
    /// The properties that change, such as `component`, `configuration` or `limits`.
    pub(crate) changes: Vec<String>,
}

impl ReloadReport {
    /// Whether the configuration is the running one.
    pub(crate) fn is_empty(&self) -> bool {
        self.settings.is_empty() && self.added.is_empty() && self.reloaded.is_empty() && self.removed.is_empty()
    }

    /// The difference, one line for each change.
    pub(crate) fn lines(&self) -> Vec<String> {
        let settings = self.settings.iter().map(SettingChange::line);
        let added = self.added.iter().map(|name| format!("module {name}: starts"));
        let reloaded = self.reloaded.iter().map(|ReloadedModule { name, changes }| {
            format!("module {name}: reloads with another {}", changes.join(", "))
        });
        let removed = self.removed.iter().map(|name| format!("module {name}: ends"));
        settings.chain(added).chain(reloaded).chain(removed).collect()
    }
}

impl SettingChange {
    /// The change as a line.
    pub(crate) fn line(&self) -> String {
        let text = |value: &Value| match value {
            Value::Null => "no value".to_owned(),
            value => value.to_string(),
        };
        let (key, before, after) = (&self.key, text(&self.before), text(&self.after));
        match self.hidden {
            true => format!("{key}: {after}, with another content"),
            false => format!("{key}: {before} -> {after}"),
        }
    }
}
