//! The capability `cow`.

use nexum_config::document::ConfigError;
use nexum_config::engine::Config;
use nexum_host_cow::{Cow, CowConfig, Facts};

use super::{Composition, Fact};

pub(super) const FEATURES: &[&str] = &["cow"];
pub(super) const DEFAULTS: super::DefaultTables = CowConfig::defaults;
pub(super) const SECTIONS: &[&str] = &["cow"];
pub(super) const SILENCED_LOG_TARGETS: &[&str] = nexum_host_cow::SILENCED_LOG_TARGETS;
pub(super) const DESCRIBE_METRICS: fn() = nexum_host_cow::metrics::describe;

pub(super) fn add(config: &Config, composition: &mut Composition, errors: &mut Vec<ConfigError>) {
    let settings = super::read(config, "cow", CowConfig::from_section, errors);
    let cow = Cow::new(&settings);
    let is_configured = |facts: &Facts| {
        let chain_id = facts.chain_id;
        config.chains.contains_key(&chain_id) || settings.chains.contains_key(&chain_id)
    };
    let facts = cow.order_books().facts().filter(is_configured);
    composition.facts.extend(facts.map(|facts| Fact {
        capability: "cow",
        module: None,
        text: facts.to_string(),
    }));
    composition.add(cow);
}
