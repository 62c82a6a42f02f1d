//! The refusals about accounts, for the daemon and for a command without one.

use crate::error_code::ErrorCode;
use crate::report::Refusal;

/// The refusal for an account that the configuration does not have.
pub(crate) fn no_account(name: &str) -> Refusal {
    let refusal = Refusal::new(format!("the configuration has no account {name}"));
    let refusal = refusal.with_code(ErrorCode::AccountNotFound);
    refusal.with_hint("list the accounts with `nexum account list`")
}
