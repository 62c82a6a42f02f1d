//! The capability `identity`, and the accounts for the operator.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nexum_accounts::{Account, Accounts, AccountsConfig, Grant};
use nexum_config::document::{ConfigError, ConfigErrors};
use nexum_config::engine::Config;
use nexum_config::names::ModuleName;
use nexum_core::store::{StoreError, View};
use nexum_host_identity::Identity;

use super::{Composition, Fact, tx};
use crate::contract::{ACCOUNTS_SECTION, IDENTITY};
use crate::protocol::accounts::{self, AccountModule, Transaction};

/// The accounts of the configuration.
#[derive(Clone, Default)]
pub(crate) struct Known(Arc<Accounts>);

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
    composition.accounts = Known(Arc::clone(&accounts));
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
pub(crate) fn accounts(config: &Config) -> Result<Known, ConfigErrors> {
    read(config).map(|accounts| Known(Arc::new(accounts)))
}

impl Known {
    /// The accounts.
    #[cfg(feature = "tx")]
    pub(super) fn get(&self) -> &Arc<Accounts> {
        &self.0
    }

    /// The accounts, without what the state has of them.
    pub(crate) fn list(&self) -> Vec<accounts::Account> {
        self.0.all().map(|account| self.entry(account)).collect()
    }

    fn entry(&self, account: &Account) -> accounts::Account {
        let uses = self.0.modules().flat_map(|(module, grants)| {
            let of_this = grants.iter().filter(|grant| grant.account().name() == account.name());
            of_this.map(move |grant| AccountModule {
                module: module.to_string(),
                may_sign: grant.rules().summary(),
                limits: None,
            })
        });
        accounts::Account {
            name: account.name().to_string(),
            address: account.address().to_string(),
            signer: account.signer().to_string(),
            modules: uses.collect(),
            chains: Vec::new(),
        }
    }

    /// The accounts, or the one with this name, at this time in milliseconds since the Unix epoch.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub(crate) fn report(
        &self,
        view: &dyn View,
        name: Option<&str>,
        now_ms: u64,
    ) -> Result<Vec<accounts::Account>, StoreError> {
        let mut found = Vec::new();
        for account in self.named(name) {
            let mut entry = self.entry(account);
            tx::complete(&mut entry, &self.0, account, view, now_ms)?;
            found.push(entry);
        }
        Ok(found)
    }

    /// Transactions of all accounts, or of the one with this name, oldest first: at most this many, with or without the
    /// settled ones.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub(crate) fn transactions(
        &self,
        view: &dyn View,
        name: Option<&str>,
        with_settled: bool,
        count_max: usize,
    ) -> Result<Vec<Transaction>, StoreError> {
        let mut found = Vec::new();
        for account in self.named(name) {
            found.extend(tx::transactions(account, view, with_settled, count_max)?);
        }
        found.sort_by_key(|one| one.since_ms);
        let surplus = found.len().saturating_sub(count_max);
        match with_settled {
            true => drop(found.drain(..surplus)),
            false => found.truncate(count_max),
        }
        Ok(found)
    }

    /// Whether the configuration has an account of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.named(Some(name)).next().is_some()
    }

    fn named<'a>(&'a self, name: Option<&'a str>) -> impl Iterator<Item = &'a Arc<Account>> {
        let is_it = move |account: &&Arc<Account>| name.is_none_or(|name| account.name().as_str() == name);
        self.0.all().filter(is_it)
    }
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
