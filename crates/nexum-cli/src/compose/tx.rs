//! The transactions of modules.

use std::sync::Arc;

use nexum_config::document::ConfigError;
use nexum_config::engine::Config;
use nexum_host_tx::{Transactions, TxConfig};

use super::Composition;
use crate::contract::TX_SECTION;

pub(super) const FEATURES: &[&str] = &["tx"];
pub(super) const DEFAULTS: super::DefaultTables = TxConfig::defaults;
pub(super) const SECTIONS: &[&str] = &[TX_SECTION];
pub(super) const DESCRIBE_METRICS: fn() = nexum_host_tx::metrics::describe;

/// Adds the method that sends transactions, and the service that watches them.
pub(super) fn add(config: &Config, composition: &mut Composition, errors: &mut Vec<ConfigError>) {
    let settings = TxConfig {
        keep: composition.store.policy.effects_keep,
        ..super::read(config, TX_SECTION, TxConfig::from_section, errors)
    };
    let chains = Arc::new(composition.chains.get());
    let transactions = Transactions::new(Arc::clone(&composition.accounts), chains, settings);
    composition.methods.push(Arc::new(transactions.clone()));
    composition.add(transactions);
}
