//! The capability `store`.

use nexum_config::document::ConfigError;
use nexum_config::engine::Config;
use nexum_host_store::LocalStore;

use super::Composition;

pub(super) const FEATURES: &[&str] = &["store"];

pub(super) fn add(_config: &Config, composition: &mut Composition, _errors: &mut Vec<ConfigError>) {
    composition.add(LocalStore);
}
