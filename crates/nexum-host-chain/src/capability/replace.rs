//! Changes of the chains' configuration while they are in use.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use nexum_config::hint::Hint;
use nexum_config::topic::ChainId;
use tokio::sync::OwnedMutexGuard;

use super::chains::Chains;
use crate::config::{ChainConfig, EndpointConfig, SubmitConfig};
use crate::rpc::endpoints::Endpoints;

/// The settings that cannot change while nexum runs. Modules keep their undo records to
/// `reorg_depth_max`, so a larger depth would reach below the records.
const FIXED: [&str; 1] = ["reorg_depth_max"];

/// Why a configuration cannot take effect while nexum runs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplaceError {
    /// The configuration has another chain.
    #[error("chains.{chain_id} cannot be added while nexum runs")]
    Added {
        /// The chain.
        chain_id: ChainId,
    },
    /// The configuration lacks a chain.
    #[error("chains.{chain_id} cannot be removed while nexum runs")]
    Removed {
        /// The chain.
        chain_id: ChainId,
    },
    /// A setting has another value.
    #[error("chains.{chain_id}.{key} cannot change from {before} to {after} while nexum runs")]
    Fixed {
        /// The chain.
        chain_id: ChainId,
        /// The setting.
        key: &'static str,
        /// The value in use.
        before: String,
        /// The value in the new configuration.
        after: String,
    },
    /// Another change has been prepared and not committed.
    #[error("another change of the chains is in progress")]
    Busy,
}

impl Hint for ReplaceError {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Busy => "try again when the other change is complete",
            _ => "restart nexum to apply the change, or restore the value in use",
        };
        Some(hint.to_owned())
    }
}

/// A checked change of the chains. Dropping it changes nothing. Until then, no other change can be
/// prepared.
#[derive(Debug)]
pub struct Replacement {
    chains: Chains,
    /// The chains that change, with their new endpoints.
    changed: Vec<(ChainConfig, Arc<Endpoints>)>,
    changes: Vec<String>,
    _alone: OwnedMutexGuard<()>,
}

impl Replacement {
    /// The changes, one line each, with the key of each setting. Empty if the configuration is equal
    /// to the one in use. No line contains a secret.
    pub fn changes(&self) -> &[String] {
        &self.changes
    }

    /// Makes the change. Requests in flight end at the endpoints at which they began. Each changed
    /// chain continues from the block that nexum has reached, so that no block is lost or repeated.
    /// An endpoint of both configurations keeps its connection, health and counters.
    pub fn commit(self) {
        for (config, endpoints) in self.changed {
            self.chains.continue_with(&config, &endpoints);
        }
    }
}

impl Chains {
    /// Checks whether these configurations can take the place of those in use, and prepares the
    /// change. Does not use the network, and changes nothing before [`Replacement::commit`]. The last
    /// of several configurations of one chain overrides the others.
    ///
    /// # Errors
    ///
    /// All settings that cannot change while nexum runs.
    pub fn replace(&self, configs: impl IntoIterator<Item = ChainConfig>) -> Result<Replacement, Vec<ReplaceError>> {
        let alone = self.begin_change().ok_or_else(|| vec![ReplaceError::Busy])?;
        let mut after: BTreeMap<ChainId, ChainConfig> = BTreeMap::new();
        after.extend(configs.into_iter().map(|config| (config.chain_id, config)));
        let (mut errors, mut changes, mut changed) = (Vec::new(), Vec::new(), Vec::new());
        for chain_id in self.ids() {
            if !after.contains_key(&chain_id) {
                errors.push(ReplaceError::Removed { chain_id });
            }
        }
        for (chain_id, after) in after {
            let Some((before, endpoints)) = self.in_use(chain_id) else {
                errors.push(ReplaceError::Added { chain_id });
                continue;
            };
            errors.extend(fixed(&before, &after));
            let lines = differences(&before, &after);
            if !lines.is_empty() {
                let endpoints = Arc::new(endpoints.continued(&after));
                changed.push((after, endpoints));
                changes.extend(lines);
            }
        }
        match errors.is_empty() {
            true => Ok(Replacement {
                chains: self.clone(),
                changed,
                changes,
                _alone: alone,
            }),
            false => Err(errors),
        }
    }
}

/// The settings of a chain besides its endpoints, with their values as text.
fn settings(config: &ChainConfig) -> [(&'static str, String); 11] {
    let methods: Vec<&str> = config.extra_methods.iter().map(String::as_str).collect();
    [
        ("extra_methods", format!("{methods:?}")),
        ("request_timeout_ms", config.request_timeout_ms.to_string()),
        ("retries", config.retries.to_string()),
        ("response_bytes_max", config.response_bytes_max.to_string()),
        ("poll_interval_ms", config.poll_interval_ms.to_string()),
        ("reorg_depth_max", config.reorg_depth_max.to_string()),
        ("head_stall_seconds", config.head_stall_seconds.to_string()),
        ("startup_timeout_ms", config.startup_timeout_ms.to_string()),
        ("verify_logs", format!("{:?}", config.verify_logs).to_lowercase()),
        ("require_ws", config.require_ws.to_string()),
        ("use_proxy", config.use_proxy.to_string()),
    ]
}

/// The changed settings: key, value before, and value after.
fn changed_settings(before: &ChainConfig, after: &ChainConfig) -> Vec<(&'static str, String, String)> {
    let pairs = settings(before).into_iter().zip(settings(after));
    pairs
        .filter(|((_, before), (_, after))| before != after)
        .map(|((key, before), (_, after))| (key, before, after))
        .collect()
}

fn fixed(before: &ChainConfig, after: &ChainConfig) -> Vec<ReplaceError> {
    let changed = changed_settings(before, after).into_iter();
    changed
        .filter(|(key, ..)| FIXED.contains(key))
        .map(|(key, before, value)| ReplaceError::Fixed {
            chain_id: after.chain_id,
            key,
            before,
            after: value,
        })
        .collect()
}

/// The differences of two configurations of a chain, one line each.
fn differences(before: &ChainConfig, after: &ChainConfig) -> Vec<String> {
    let chain_id = after.chain_id;
    let changed = changed_settings(before, after).into_iter();
    let mut lines: Vec<String> = changed
        .map(|(key, before, after)| format!("chains.{chain_id}.{key}: {before} -> {after}"))
        .collect();
    lines.extend(submit_differences(before, after).map(|text| format!("chains.{chain_id}.submit: {text}")));
    let mut line = |text: fmt::Arguments<'_>| lines.push(format!("chains.{chain_id}.endpoints: {text}"));
    let (before, after) = (before.endpoints(), after.endpoints());
    let find = |endpoints: &[EndpointConfig], url| endpoints.iter().find(|one| one.url == url).cloned();
    for gone in before.iter().filter(|one| find(after, one.url.clone()).is_none()) {
        line(format_args!("{} removed", gone.url));
    }
    for endpoint in after {
        match find(before, endpoint.url.clone()) {
            None => line(format_args!("{} added", endpoint.url)),
            Some(before) => {
                for (key, from, to) in changed_of_endpoint(&before, endpoint) {
                    line(format_args!("{}: {key}: {from} -> {to}", endpoint.url));
                }
            }
        }
    }
    let urls = |endpoints: &[EndpointConfig]| endpoints.iter().map(|one| one.url.clone()).collect::<Vec<_>>();
    let (urls_before, urls_after) = (urls(before), urls(after));
    let are_same = urls_before.len() == urls_after.len() && urls_before.iter().all(|url| urls_after.contains(url));
    if are_same && urls_before != urls_after {
        line(format_args!("in another order"));
    }
    lines
}

/// The differences of the submit places. A transaction goes to all of them, so their order means nothing.
fn submit_differences<'a>(before: &'a ChainConfig, after: &'a ChainConfig) -> impl Iterator<Item = String> + 'a {
    let find = |config: &'a ChainConfig, url| config.submit().iter().find(move |place| place.url == url);
    let gone = before
        .submit()
        .iter()
        .filter(move |place| find(after, place.url.clone()).is_none());
    let gone = gone.map(|place| format!("{} removed", place.url));
    let changed = after
        .submit()
        .iter()
        .filter_map(move |place| match find(before, place.url.clone()) {
            None => Some(format!("{} added", place.url)),
            Some(before) if before == place => None,
            Some(before) if before.relay == place.relay => Some(format!("{}: headers changed", place.url)),
            Some(before) => Some(format!("{}: {} -> {}", place.url, kind(before), kind(place))),
        });
    gone.chain(changed)
}

fn kind(place: &SubmitConfig) -> String {
    match place.relay {
        None => "public".to_owned(),
        Some(relay) => format!("private for {} blocks, fallback = {}", relay.blocks, relay.fallback),
    }
}

/// The changed settings of an endpoint: key, value before, and value after. The values of headers
/// are secrets, so only their names appear.
fn changed_of_endpoint(before: &EndpointConfig, after: &EndpointConfig) -> Vec<(&'static str, String, String)> {
    fn text<T: fmt::Display>(value: Option<T>) -> String {
        value.map_or_else(|| "none".to_owned(), |value| value.to_string())
    }
    let of = |one: &EndpointConfig| {
        [
            ("priority", one.priority.to_string()),
            ("requests_per_second", text(one.requests_per_second)),
            ("max_log_range_blocks", text(one.max_log_range_blocks)),
            ("max_addresses", text(one.max_addresses)),
        ]
    };
    let pairs = of(before).into_iter().zip(of(after));
    let mut changed: Vec<_> = pairs
        .filter(|((_, before), (_, after))| before != after)
        .map(|((key, before), (_, after))| (key, before, after))
        .collect();
    if before.headers != after.headers {
        let names = |one: &EndpointConfig| format!("{:?}", one.headers);
        let (names_before, names_after) = (names(before), names(after));
        let after = match names_before == names_after {
            true => format!("{names_after} with other values"),
            false => names_after,
        };
        changed.push(("headers", names_before, after));
    }
    changed
}
