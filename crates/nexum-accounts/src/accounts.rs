//! All accounts, and the grants of each module.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alloy_primitives::Address;
use nexum_config::names::ModuleName;

use crate::account::Account;
use crate::config::AccountsConfig;
use crate::config::rules::Rules;
use crate::name::AccountName;
use crate::policy::transaction::TransactionRequest;
use crate::policy::{self, Allowed, Refusal};
use crate::typed_data::TypedMessage;

/// The accounts of this process, and what each module may do with them.
#[derive(Debug, Default)]
pub struct Accounts {
    accounts: BTreeMap<AccountName, Arc<Account>>,
    grants: BTreeMap<ModuleName, Vec<Grant>>,
}

/// The permission of one module to use one account, within rules. Clones share the account.
#[derive(Clone, Debug)]
pub struct Grant {
    account: Arc<Account>,
    rules: Arc<Rules>,
    /// The addresses of all accounts in the file.
    own: Arc<BTreeSet<Address>>,
}

impl Accounts {
    /// Creates the accounts. Reads no file and uses no network.
    pub fn new(config: AccountsConfig) -> Self {
        let accounts: BTreeMap<_, _> = config
            .accounts
            .iter()
            .map(|(name, account)| (name.clone(), Arc::new(Account::new(name.clone(), account))))
            .collect();
        let own = Arc::new(accounts.values().map(|account| account.address()).collect());
        let grants = config.modules.into_iter().map(|(module, rules)| {
            let grant = |(account, rules): (AccountName, Rules)| {
                Some(Grant {
                    account: accounts.get(&account)?.clone(),
                    rules: Arc::new(rules),
                    own: Arc::clone(&own),
                })
            };
            (module, rules.into_iter().filter_map(grant).collect())
        });
        Self {
            grants: grants.collect(),
            accounts,
        }
    }

    /// All accounts, by name.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.accounts.values()
    }

    /// The modules with a grant, by name, each with its grants.
    pub fn modules(&self) -> impl Iterator<Item = (&ModuleName, &[Grant])> {
        self.grants.iter().map(|(module, grants)| (module, &**grants))
    }

    /// The grants of a module, by the name of the account. Empty for a module that the operator does
    /// not name.
    pub fn of(&self, module: &ModuleName) -> &[Grant] {
        self.grants.get(module).map_or(&[], Vec::as_slice)
    }
}

impl Grant {
    /// The account.
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// The rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Checks a message that the module wants to sign as `personal_sign` does.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if no rule allows it.
    pub fn check_message(&self, message: &[u8]) -> Result<Allowed, Refusal> {
        policy::message::check(&self.rules, message)
    }

    /// Checks typed data.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if no rule allows it.
    pub fn check_typed_data(&self, data: &TypedMessage) -> Result<Allowed, Refusal> {
        policy::typed_data::check(&self.rules, data)
    }

    /// Checks a transaction. The caller counts the limits of [`Rules::limits`].
    ///
    /// # Errors
    ///
    /// [`Refusal`] if no rule allows it.
    pub fn check_transaction(&self, transaction: &TransactionRequest<'_>) -> Result<Allowed, Refusal> {
        policy::transaction::check(&self.rules, &self.own, transaction)
    }
}
