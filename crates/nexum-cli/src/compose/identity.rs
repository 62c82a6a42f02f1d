//! The capability `identity`, and the accounts for a command that shows them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nexum_accounts::{Account, Accounts, AccountsConfig, Grant};
use nexum_config::document::{ConfigError, ConfigErrors};
use nexum_config::engine::Config;
use nexum_config::names::ModuleName;
use nexum_host_identity::Identity;
use serde::Serialize;

use super::{Composition, Fact};
use crate::contract::{ACCOUNTS_SECTION, IDENTITY};

/// An account of the configuration. It has no path and no URL.
#[derive(Serialize)]
pub(crate) struct AccountEntry {
    pub(crate) name: String,
    pub(crate) address: String,
    /// The kind of the signer.
    pub(crate) signer: String,
    pub(crate) modules: Vec<AccountUse>,
}

/// A module that may use an account.
#[derive(Serialize)]
pub(crate) struct AccountUse {
    pub(crate) module: String,
    /// The kinds of values that the rules allow, such as `messages, typed data`.
    pub(crate) may_sign: String,
}

pub(super) const FEATURES: &[&str] = &["identity"];
pub(super) const DEFAULTS: super::DefaultTables = Vec::new;
pub(super) const SECTIONS: &[&str] = &[ACCOUNTS_SECTION, IDENTITY];
pub(super) const SILENCED_LOG_TARGETS: &[&str] = nexum_host_identity::SILENCED_LOG_TARGETS;
pub(super) const DESCRIBE_METRICS: fn() = nexum_host_identity::metrics::describe;

pub(super) fn add(config: &Config, composition: &mut Composition, errors: &mut Vec<ConfigError>) {
    let accounts = read(config).unwrap_or_else(|found| {
        errors.extend(found);
        Accounts::default()
    });
    composition.facts.extend(facts(&accounts));
    let together = together(&accounts);
    let host = std::mem::take(&mut composition.host);
    composition.host = host.together(together);
    let accounts = Arc::new(accounts);
    #[cfg(feature = "tx")]
    {
        composition.accounts = Arc::clone(&accounts);
    }
    let identity = Identity::new(accounts);
    composition.methods.push(identity.chain_methods());
    composition.add(identity);
}

fn read(config: &Config) -> Result<Accounts, ConfigErrors> {
    let section = |name| config.sections.get(name);
    let read = AccountsConfig::from_sections(section(ACCOUNTS_SECTION), section(IDENTITY));
    read.map(Accounts::new)
}

/// Reads the accounts alone, for a command that shows them.
///
/// # Errors
///
/// All errors in their sections.
pub(crate) fn accounts(config: &Config) -> Result<Vec<AccountEntry>, ConfigErrors> {
    let accounts = read(config)?;
    let entry = |account: &Arc<Account>| {
        let uses = accounts.modules().flat_map(|(module, grants)| {
            let of_this = grants.iter().filter(|grant| grant.account().name() == account.name());
            of_this.map(move |grant| AccountUse {
                module: module.to_string(),
                may_sign: grant.rules().summary(),
            })
        });
        AccountEntry {
            name: account.name().to_string(),
            address: account.address().to_string(),
            signer: account.signer().to_string(),
            modules: uses.collect(),
        }
    };
    Ok(accounts.all().map(entry).collect())
}

/// The accounts that each module may send transactions with. One process counts the transactions of an account.
fn together(accounts: &Accounts) -> BTreeMap<ModuleName, BTreeSet<String>> {
    let of_module = |(module, grants): (&ModuleName, &[Grant])| {
        let sending = grants.iter().filter(|grant| !grant.rules().send.is_empty());
        // Another node may have another name for the account.
        let names = sending.map(|grant| format!("account {}", grant.account().address()));
        (module.clone(), names.collect())
    };
    accounts.modules().map(of_module).collect()
}

/// A sentence for each grant.
fn facts(accounts: &Accounts) -> impl Iterator<Item = Fact> {
    let grants = accounts
        .modules()
        .flat_map(|(module, grants)| grants.iter().map(move |grant| (module, grant)));
    grants.map(|(module, grant)| {
        let (account, allowed) = (grant.account(), grant.rules().summary());
        let (name, address) = (account.name(), account.address());
        Fact {
            capability: IDENTITY,
            module: Some(module.to_string()),
            text: format!("{module} may sign with {name} ({address}): {allowed}"),
        }
    })
}
