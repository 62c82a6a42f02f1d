//! A build that sends no transactions, and so has no state of accounts.

use crate::protocol::accounts::Synced;
use crate::protocol::health::Problem;
use crate::report::Refusal;

pub(super) use super::absent::{DEFAULTS, DESCRIBE_METRICS, FEATURES, SECTIONS, add};

#[cfg(feature = "identity")]
pub(super) use accounts::{complete, transactions};

/// The transactions of a running daemon: none.
#[derive(Clone, Default)]
pub(crate) struct InUse {}

#[expect(
    clippy::unused_self,
    clippy::unused_async,
    reason = "another build sends transactions"
)]
impl InUse {
    pub(crate) fn halted(&self) -> Vec<Problem> {
        Vec::new()
    }

    pub(crate) fn late(&self, _now_ms: u64) -> Vec<Problem> {
        Vec::new()
    }

    pub(crate) async fn sync(&self, name: &str, _chain: Option<u64>) -> Result<Synced, Refusal> {
        Ok(Synced {
            account: name.to_owned(),
            chains: Vec::new(),
        })
    }
}

#[cfg(feature = "identity")]
mod accounts {
    use nexum_accounts::{Account, Accounts};
    use nexum_core::store::{StoreError, View};

    use crate::protocol::accounts::{self, Transaction};

    #[expect(clippy::unnecessary_wraps, reason = "another build reads the state")]
    pub(crate) fn complete(
        _entry: &mut accounts::Account,
        _accounts: &Accounts,
        _account: &Account,
        _view: &dyn View,
        _now_ms: u64,
    ) -> Result<(), StoreError> {
        Ok(())
    }

    #[expect(clippy::unnecessary_wraps, reason = "another build reads the state")]
    pub(crate) fn transactions(
        _account: &Account,
        _view: &dyn View,
        _with_settled: bool,
        _count_max: usize,
    ) -> Result<Vec<Transaction>, StoreError> {
        Ok(Vec::new())
    }
}
