//! A capability that this build lacks. Its section stays unclaimed, and is therefore refused.

use nexum_config::document::ConfigError;
use nexum_config::engine::Config;

use super::Composition;

pub(super) const FEATURES: &[&str] = &[];
pub(super) const DEFAULTS: super::DefaultTables = Vec::new;
pub(super) const SECTIONS: &[&str] = &[];
pub(super) const SILENCED_LOG_TARGETS: &[&str] = &[];
pub(super) const DESCRIBE_METRICS: fn() = || {};

pub(super) fn add(_config: &Config, _composition: &mut Composition, _errors: &mut Vec<ConfigError>) {}
