//! A build without the capability `chain`. It refuses each configured chain.

use nexum_config::document::ConfigError;
use nexum_config::engine::Config;

use super::Composition;
use crate::report::findings::Finding;

pub(super) const FEATURES: &[&str] = &[];
pub(super) const DEFAULTS: super::DefaultTables = Vec::new;
pub(super) const SILENCED_LOG_TARGETS: &[&str] = &[];
pub(super) const DESCRIBE_METRICS: fn() = || {};

pub(super) fn read(config: &Config, _composition: &mut Composition, errors: &mut Vec<ConfigError>) {
    let error = |section: &nexum_config::document::Section| {
        let error = section.location("").error("this build cannot connect to a chain");
        error.with_hint("build nexum with `--features chain`")
    };
    errors.extend(config.chains.values().map(error));
}

/// Without the capability, nothing asks for the methods of the others.
pub(super) fn add(composition: &mut Composition) {
    composition.methods.clear();
}

pub(super) async fn probe(_config: &Config) -> Vec<Finding> {
    Vec::new()
}

/// The chains of a running daemon: none.
#[derive(Clone, Default)]
pub(crate) struct InUse {}

/// A checked change of the chains: none.
#[derive(Default)]
pub(crate) struct Prepared {}

impl InUse {
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "another build has chains")]
    pub(crate) fn prepare(&self, _config: &Config) -> Result<Prepared, crate::report::Refusals> {
        Ok(Prepared {})
    }
}

impl Prepared {
    #[expect(clippy::unused_self, reason = "another build has chains")]
    pub(crate) fn commit(self) {}
}
