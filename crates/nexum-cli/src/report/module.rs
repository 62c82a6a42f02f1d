//! Conversions of the errors of a module that cannot be loaded.

use nexum_core::ChangeError;
use nexum_core::LoadErrors;

use super::{Refusal, Refusals};

impl Refusals {
    /// Writes the errors to the log, where the operator of a daemon sees them.
    pub(crate) fn log(&self) {
        for Refusal { error, hint, .. } in &self.0 {
            tracing::error!(hint, "{error}");
        }
    }
}

impl From<&LoadErrors> for Refusals {
    fn from(errors: &LoadErrors) -> Self {
        let refusal = |(error, hint)| Refusal {
            hint,
            ..Refusal::new(error)
        };
        errors.lines().map(refusal).collect()
    }
}

impl From<ChangeError> for Refusals {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Module(errors) => Self::from(&errors),
            error => Refusal::with_hint_of(&error).into(),
        }
    }
}
