//! `nexum account`: the accounts of the configuration. The command needs no daemon, and opens no key.

use std::path::Path;

use crate::args::{Account, Format};
use crate::compose::{self, AccountEntry};
use crate::configure::{Configuration, configure_state_dir};
use crate::exit_code::STOPPED;
use crate::report::print::{json_on_stdout, outln};
use crate::report::{Refusals, table};

/// Carries out a command. Returns the exit code.
///
/// # Errors
///
/// The errors of the tables `[accounts]` and `[identity]`.
pub(super) fn account(config: Option<&Path>, command: &Account) -> Result<u8, Refusals> {
    let Account::List { format } = command;
    // Other values can be faulty: an operator's shell has neither the variables nor the credentials
    // of the service.
    let Configuration { config, .. } = configure_state_dir(config)?;
    let accounts = compose::accounts(&config)?;
    match format {
        Format::Json => json_on_stdout(&accounts)?,
        Format::Text if accounts.is_empty() => outln!("the configuration has no accounts"),
        Format::Text => outln!("{}", text(&accounts)),
    }
    Ok(STOPPED)
}

/// A row for each account and module.
fn text(accounts: &[AccountEntry]) -> String {
    let mut rows = table(&["ACCOUNT", "ADDRESS", "SIGNER", "MODULE", "MAY SIGN"]);
    for account in accounts {
        let mut add = |module: &str, allowed: &str| {
            rows.add_row([&account.name, &account.address, &account.signer, module, allowed]);
        };
        if account.modules.is_empty() {
            add("-", "-");
        }
        for module in &account.modules {
            add(&module.module, &module.may_sign);
        }
    }
    rows.to_string()
}
