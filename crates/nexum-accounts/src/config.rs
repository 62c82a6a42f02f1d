//! `[accounts.<name>]` and `[identity.<module>.<account>]` of `engine.toml`.

mod amount;
pub(crate) mod kms;
pub(crate) mod rules;
pub(crate) mod signer;
pub(crate) mod signer_url;
mod text;

use std::collections::BTreeMap;

use alloy_primitives::Address;
use nexum_config::document::{ConfigError, ConfigErrors, Section};
use nexum_config::names::ModuleName;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::name::AccountName;
use rules::Rules;
use signer::SignerConfig;
use text::AddressText;

/// The name of the section with the accounts.
pub const ACCOUNTS_SECTION: &str = "accounts";

/// The most accounts, and the most modules with rules. No operator reviews more.
pub const ACCOUNTS_MAX: usize = 1_000;

/// The validated sections.
#[derive(Clone, Debug, Default)]
pub struct AccountsConfig {
    /// The accounts, by name.
    pub accounts: BTreeMap<AccountName, AccountConfig>,
    /// The rules of each module for each account. Every account is in [`Self::accounts`].
    pub modules: BTreeMap<ModuleName, BTreeMap<AccountName, Rules>>,
}

/// One table `[accounts.<name>]`.
#[derive(Clone, Debug)]
pub struct AccountConfig {
    /// The address, which the key must have.
    pub address: Address,
    /// The holder of the key.
    pub signer: SignerConfig,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAccount {
    address: Option<AddressText>,
    /// The module `signer` reads its table.
    #[serde(rename = "signer")]
    _signer: Option<IgnoredAny>,
    /// Whether the keystore and the password may be in variables.
    #[serde(default)]
    allow_env_key: bool,
}

impl AccountsConfig {
    /// Validates both sections. Reads no key and uses no network.
    ///
    /// # Errors
    ///
    /// All errors in the sections.
    pub fn from_sections(accounts: Option<&Section>, identity: Option<&Section>) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let mut config = Self::default();
        // An account with an error exists, so that its rules have no second error.
        let mut names = Vec::new();
        for (key, table) in tables(accounts, &mut errors) {
            let Some(name) = parse_name::<AccountName>(&table, &key, &mut errors) else {
                continue;
            };
            names.push(name.clone());
            if let Some(account) = account(&table, &mut errors) {
                let twin = config
                    .accounts
                    .iter()
                    .find(|(_, other)| other.address == account.address);
                if let Some((twin, _)) = twin {
                    errors.push(table.error("address", format!("the account {twin} has this address too")));
                }
                config.accounts.insert(name, account);
            }
        }
        for (key, table) in tables(identity, &mut errors) {
            let Some(module) = parse_name::<ModuleName>(&table, &key, &mut errors) else {
                continue;
            };
            let mut granted = BTreeMap::new();
            for (key, table) in tables(Some(&table), &mut errors) {
                match names.iter().find(|name| name.as_str() == key) {
                    Some(name) => {
                        let rules = Rules::read(&table, &mut errors);
                        granted.extend(rules.map(|rules| (name.clone(), rules)));
                    }
                    None => {
                        let error = table.error("", "no such account");
                        let error = error.with_nearest(&key, names.iter().map(AccountName::as_str));
                        errors.push(error.with_hint(format!(
                            "add a table [{ACCOUNTS_SECTION}.{key}] with `address` and `signer`"
                        )));
                    }
                }
            }
            config.modules.insert(module, granted);
        }
        ConfigErrors::check(errors)?;
        Ok(config)
    }
}

/// The tables in a section, each with its key.
fn tables(section: Option<&Section>, errors: &mut Vec<ConfigError>) -> Vec<(String, Section)> {
    let mut tables = Vec::new();
    let Some(section) = section else { return tables };
    for (index, key) in section.keys().enumerate() {
        if index == ACCOUNTS_MAX {
            errors.push(section.error("", format!("expected at most {ACCOUNTS_MAX} tables")));
            break;
        }
        match section.section(key) {
            Ok(table) => tables.extend(table.map(|table| (key.to_owned(), table))),
            Err(error) => errors.push(error.with_hint(format!("write a table [{}.{key}]", section.key()))),
        }
    }
    tables
}

fn parse_name<T: std::str::FromStr<Err: std::fmt::Display>>(
    table: &Section,
    key: &str,
    errors: &mut Vec<ConfigError>,
) -> Option<T> {
    let parsed = key.parse::<T>();
    parsed
        .map_err(|error| errors.push(table.error("", error.to_string())))
        .ok()
}

fn account(table: &Section, errors: &mut Vec<ConfigError>) -> Option<AccountConfig> {
    if let Some(error) = signer::plain_key(table) {
        errors.push(error);
        return None;
    }
    let raw = table.parse_all::<RawAccount>(errors)?;
    let address = table.required("address", raw.address, errors);
    let signer = SignerConfig::read(table, raw.allow_env_key, errors);
    Some(AccountConfig {
        address: address?.0,
        signer: signer?,
    })
}
