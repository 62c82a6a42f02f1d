//! The transactions of modules.

use std::sync::Arc;

use nexum_config::document::ConfigError;
use nexum_config::engine::Config;
use nexum_host_chain::Chains;
use nexum_host_tx::{Transactions, TxConfig};

use super::Composition;
use crate::contract::TX_SECTION;

pub(super) const FEATURES: &[&str] = &["tx"];
pub(super) const DEFAULTS: super::DefaultTables = TxConfig::defaults;
pub(super) const SECTIONS: &[&str] = &[TX_SECTION];
pub(super) const DESCRIBE_METRICS: fn() = nexum_host_tx::metrics::describe;

/// Adds the method that sends transactions to the chains, and the service that watches them.
pub(super) fn add(
    config: &Config,
    composition: &mut Composition,
    chains: Chains,
    errors: &mut Vec<ConfigError>,
) -> Chains {
    let settings = TxConfig {
        keep: composition.store.policy.effects_keep,
        ..super::read(config, TX_SECTION, TxConfig::from_section, errors)
    };
    let transactions = Transactions::new(Arc::clone(&composition.accounts), Arc::new(chains.clone()), settings);
    composition.add(transactions.clone());
    chains.with_methods(Arc::new(transactions))
}
