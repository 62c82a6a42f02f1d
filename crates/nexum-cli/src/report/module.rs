//! How the errors of a module that cannot be loaded look.

use nexum_core::module::error::LoadError;

use super::{Refusal, Refusals};

impl Refusals {
    /// Writes them where the operator of a running nexum sees them.
    pub(crate) fn log(&self) {
        for Refusal { error, hint } in &self.0 {
            tracing::error!(hint, "{error}");
        }
    }

    /// What is wrong with a module; errors of a file name it themselves.
    pub(crate) fn of_module(subject: &str, errors: &[LoadError]) -> Self {
        let refusals = |error: &LoadError| match error {
            LoadError::Manifest(errors) => errors.iter().map(Refusal::from).collect(),
            LoadError::Component(_) => vec![Refusal::of(error).with_hint_of(error.hint())],
            error => vec![Refusal::of(error).with_hint_of(error.hint()).about(subject)],
        };
        Self(errors.iter().flat_map(refusals).collect())
    }
}
