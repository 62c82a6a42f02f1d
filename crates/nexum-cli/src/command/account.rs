//! `nexum account`: the accounts of the configuration, and their transactions. No command opens a key.
//!
//! `list` needs no daemon and no state. `show` and `pending` ask the running daemon. Without one, they read the state
//! themselves. `sync` needs the daemon.

use std::path::Path;

use nexum_accounts::AccountName;
use nexum_core::clock::{Clock as _, SystemClock};

use super::state::{has_state, open_here};
use crate::args::{Account, Format};
use crate::client::{self, Client};
use crate::compose;
use crate::configure::{Configuration, configure_state_dir};
use crate::exit_code::STOPPED;
use crate::protocol::accounts::{self, TRANSACTIONS_PER_ANSWER_MAX};
use crate::report::print::{json_on_stdout, outln};
use crate::report::{Refusal, Refusals, table};
use crate::state::accounts::no_account;

/// Carries out a command. Returns the exit code.
///
/// # Errors
///
/// The errors of the tables `[accounts]` and `[identity]`, and the reason of a failure.
pub(super) fn account(config: Option<&Path>, command: &Account) -> Result<u8, Refusals> {
    // Other values can be faulty: an operator's shell has neither the variables nor the credentials
    // of the service.
    let Configuration { file, config, .. } = configure_state_dir(config)?;
    if let Account::List { format } = command {
        return list(&compose::accounts(&config)?.list(), *format);
    }
    let client = Client::of(&config.state_dir).configured_by(&file);
    let (name, purpose) = match command {
        Account::Show { account, .. } => (Some(account), "nexum account show"),
        Account::Pending { account, .. } => (account.as_ref(), "nexum account pending"),
        Account::List { .. } | Account::Sync { .. } => return client::accounts::account(&client, command),
    };
    if client.is_answered() {
        return client::accounts::account(&client, command);
    }
    let known = compose::accounts(&config)?;
    let name = name.map(AccountName::as_str);
    if let Some(name) = name.filter(|name| !known.has(name)) {
        return Err(no_account(name).into());
    }
    let store = has_state(&config)?.then(|| open_here(&config, purpose)).transpose()?;
    let failed = |error| Refusal::of(&error);
    let view = store.as_ref().map(|store| store.view()).transpose().map_err(failed)?;
    match command {
        Account::Show { format, .. } => {
            let now_ms = SystemClock::new().now_ms();
            let found = match &view {
                Some(view) => known.report(&**view, name, now_ms).map_err(failed)?,
                None => known.list(),
            };
            let found = found.iter().find(|one| Some(&*one.name) == name);
            found.map_or(Ok(STOPPED), |found| client::accounts::show(found, *format))
        }
        Account::Pending { all, format, .. } => {
            let found = match &view {
                Some(view) => known.transactions(&**view, name, *all, TRANSACTIONS_PER_ANSWER_MAX),
                None => Ok(Vec::new()),
            };
            client::accounts::pending(&found.map_err(failed)?, *format)
        }
        Account::List { .. } | Account::Sync { .. } => Ok(STOPPED),
    }
}

fn list(accounts: &[accounts::Account], format: Format) -> Result<u8, Refusals> {
    match format {
        Format::Json => json_on_stdout(accounts)?,
        Format::Text if accounts.is_empty() => outln!("the configuration has no accounts"),
        Format::Text => outln!("{}", text(accounts)),
    }
    Ok(STOPPED)
}

/// A row for each account and module.
fn text(accounts: &[accounts::Account]) -> String {
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
