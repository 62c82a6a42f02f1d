//! A build without the capability `identity`. It has no accounts.

use nexum_core::store::{StoreError, View};

use crate::protocol::accounts::{Account, Transaction};

pub(super) use super::absent::{DEFAULTS, DESCRIBE_METRICS, FEATURES, SECTIONS, SILENCED_LOG_TARGETS, add};

/// The accounts of the configuration: none.
#[derive(Clone, Default)]
pub(crate) struct Known {}

#[expect(
    clippy::unused_self,
    clippy::unnecessary_wraps,
    reason = "another build has accounts"
)]
impl Known {
    pub(crate) fn report(
        &self,
        _view: &dyn View,
        _name: Option<&str>,
        _now_ms: u64,
    ) -> Result<Vec<Account>, StoreError> {
        Ok(Vec::new())
    }

    pub(crate) fn transactions(
        &self,
        _view: &dyn View,
        _name: Option<&str>,
        _with_settled: bool,
        _count_max: usize,
    ) -> Result<Vec<Transaction>, StoreError> {
        Ok(Vec::new())
    }

    pub(crate) fn has(&self, _name: &str) -> bool {
        false
    }
}
