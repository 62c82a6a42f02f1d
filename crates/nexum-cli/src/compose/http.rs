//! The capability `http`.

use nexum_config::document::ConfigError;
use nexum_config::engine::Config;
use nexum_host_http::{Http, HttpConfig};

use super::Composition;

pub(super) const FEATURES: &[&str] = &["http"];
pub(super) const DEFAULTS: super::DefaultTables = HttpConfig::defaults;
pub(super) const SECTIONS: &[&str] = &["http"];
pub(super) const SILENCED_LOG_TARGETS: &[&str] = nexum_host_http::SILENCED_LOG_TARGETS;
pub(super) const DESCRIBE_METRICS: fn() = nexum_host_http::metrics::describe;

pub(super) fn add(config: &Config, composition: &mut Composition, errors: &mut Vec<ConfigError>) {
    let http = super::read(config, "http", HttpConfig::from_section, errors);
    composition.add(Http::new(http));
}
