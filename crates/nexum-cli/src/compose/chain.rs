//! The capability `chain`, with the sources of blocks and their probes.

use nexum_config::document::ConfigError;
use nexum_config::engine::Config;
use nexum_host_chain::probe::{self, Check, EndpointProbe};
use nexum_host_chain::{ChainConfig, Chains, Replacement, SubmitConfig};

use super::Composition;
use crate::report::findings::{Area, Finding, Verdict};
use crate::report::{Refusal, Refusals};

pub(super) const FEATURES: &[&str] = &["chain"];
pub(super) const DEFAULTS: super::DefaultTables = nexum_host_chain::ChainConfig::defaults;
pub(super) const SILENCED_LOG_TARGETS: &[&str] = nexum_host_chain::SILENCED_LOG_TARGETS;
pub(super) const DESCRIBE_METRICS: fn() = nexum_host_chain::metrics::describe;

/// Reads the chains, which other capabilities may need.
pub(super) fn read(config: &Config, composition: &mut Composition, errors: &mut Vec<ConfigError>) {
    let chains = Chains::from_sections(&config.chains).unwrap_or_else(|found| {
        errors.extend(found);
        Chains::default()
    });
    composition.warnings.extend(chains.warnings());
    composition.chains = InUse(chains);
}

/// Adds the capability, with the methods of the other capabilities.
pub(super) fn add(composition: &mut Composition) {
    let methods = std::mem::take(&mut composition.methods);
    let chains = composition.chains.0.clone();
    composition.add(methods.into_iter().fold(chains, Chains::with_methods));
}

pub(super) async fn probe(config: &Config) -> Vec<Finding> {
    // A faulty table has no endpoints. Its errors are findings of their own.
    let chains = config.chains.iter().filter_map(|(chain_id, section)| {
        let chain = ChainConfig::from_section(*chain_id, section);
        chain.ok()
    });
    let chains: Vec<_> = chains.collect();
    let probed = probe::probe(&chains).await;
    let not_probed = chains.iter().flat_map(not_probed);
    probed.iter().flat_map(findings).chain(not_probed).collect()
}

/// A finding for each place that takes transactions alone: the only probe would be a transaction.
fn not_probed(chain: &ChainConfig) -> impl Iterator<Item = Finding> {
    let subject = |place: &SubmitConfig| format!("{} {}", chain.chain_id, place.url);
    let text = "submit: not probed, because nexum sends it nothing but transactions";
    chain
        .submit()
        .iter()
        .map(move |place| Area::Endpoints.ok(subject(place), text))
}

/// The findings about one endpoint. After a failure to connect, only that.
fn findings(probed: &EndpointProbe) -> impl Iterator<Item = Finding> {
    let is_failed = probed.findings.iter().any(|found| {
        matches!(found.check, Check::Reachable | Check::ChainId) && found.verdict == probe::Verdict::Failure
    });
    let told = probed.findings.iter();
    let told = told.filter(move |found| !(is_failed && found.verdict == probe::Verdict::Unknown));
    told.map(|found| Finding {
        area: match found.check {
            Check::Clock => Area::Clock,
            _ => Area::Endpoints,
        },
        subject: format!("{} {}", probed.chain_id, probed.endpoint),
        state: match found.verdict {
            probe::Verdict::Ok => Verdict::Ok,
            probe::Verdict::Unknown => Verdict::Unknown,
            probe::Verdict::Warning => Verdict::Warning,
            probe::Verdict::Failure => Verdict::Failure,
        },
        text: format!("{}: {}", found.check, found.text),
        remedy: found.remedy.clone().or_else(|| {
            let is_unknown = found.verdict == probe::Verdict::Unknown;
            is_unknown.then(|| "run `nexum doctor` again, or look at the log of the endpoint".to_owned())
        }),
    })
}

/// The chains of a running daemon.
#[derive(Clone, Default)]
pub(crate) struct InUse(Chains);

/// A checked change of the chains. Dropping it changes nothing.
#[derive(Default)]
pub(crate) struct Prepared(Option<Replacement>);

impl InUse {
    /// The chains.
    #[cfg(feature = "tx")]
    pub(super) fn get(&self) -> Chains {
        self.0.clone()
    }

    /// Checks whether the chains of a valid configuration can take the place of those in use.
    ///
    /// # Errors
    ///
    /// All settings that need a restart.
    pub(crate) fn prepare(&self, config: &Config) -> Result<Prepared, Refusals> {
        let replaced = self.0.replace(Chains::configs(&config.chains)?);
        match replaced {
            Ok(replacement) => Ok(Prepared(Some(replacement))),
            Err(errors) => Err(errors.iter().map(Refusal::with_hint_of).collect()),
        }
    }
}

impl Prepared {
    /// Makes the change. No block is lost.
    pub(crate) fn commit(self) {
        if let Some(replacement) = self.0 {
            replacement.commit();
        }
    }
}
