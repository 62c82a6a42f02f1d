//! `[identity.<module>.<account>]`: what a module may sign with an account.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use alloy_primitives::{Address, Selector, U256};
use nexum_config::document::{ConfigError, NumberRange, Section};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::amount::Amount;
use super::text::{AddressText, SelectorText, TargetText};

/// The most rules in a list, and the most entries in a list of a rule. Each request is compared with
/// all of them, and no operator reviews more.
pub const ENTRIES_MAX: usize = 100;

/// Default of `max_bytes` of messages: a sentence with a nonce.
pub const MESSAGE_BYTES: u64 = 256;

/// The longest message that a rule can allow, in bytes.
pub const MESSAGE_BYTES_MAX: u64 = 64 << 10;

/// Default of `max_gas`: ten swaps, and a thirtieth of a block.
pub const MAX_GAS: u64 = 1_000_000;

/// Default of `per_hour`: a transaction every three minutes.
pub const PER_HOUR: u64 = 20;

/// Default of `in_flight`: as many unmined transactions as an operator can still follow.
pub const IN_FLIGHT: u64 = 4;

/// The largest count of `per_hour` and `in_flight`.
pub const DAY_COUNT_MAX: u64 = 100_000;

/// The range of `max_gas`: above any block.
const GAS_RANGE: RangeInclusive<u64> = 21_000..=1_000_000_000;

/// The range of `max_fee_gwei`: above any fee that was ever paid.
const FEE_GWEI_RANGE: RangeInclusive<u64> = 1..=1_000_000;

/// The signatures that a module may get with an account. No rule, no signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The full path of the table, for refusals.
    pub place: String,
    /// The rule for messages.
    pub messages: Option<MessageRule>,
    /// The rules for typed data. One has to fit.
    pub typed_data: Vec<TypedDataRule>,
    /// The rules for transactions. One has to fit.
    pub send: Vec<SendRule>,
    /// The limits of all transactions together. Present if [`Self::send`] has a rule.
    pub limits: Option<CallLimits>,
    /// The treatment of a transaction whose event was reverted.
    pub on_revert: OnRevert,
}

/// Messages that a module may sign as `personal_sign` does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRule {
    /// The message begins with one of these. None is empty.
    pub prefixes: Vec<String>,
    /// The longest message, in bytes.
    pub bytes_max: u64,
    /// Whether a message of 32 bytes is allowed, whatever it begins with.
    pub hashes: bool,
}

/// Typed data that a module may sign. An absent key fits every value, except that dangerous primary
/// types need `chain`, `contract` and `primary_type`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypedDataRule {
    /// The chain id of the domain.
    pub chain: Option<u64>,
    /// The verifying contract of the domain.
    pub contract: Option<Address>,
    /// The name of the domain.
    pub name: Option<String>,
    /// The version of the domain.
    pub version: Option<String>,
    /// The primary type.
    pub primary_type: Option<String>,
    /// The allowed values of fields of the message. A path has dots.
    pub fields: BTreeMap<String, Vec<String>>,
}

/// Transactions that a module may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendRule {
    /// The chain id.
    pub chain: u64,
    /// The receiver.
    pub to: Target,
    /// The allowed calls.
    pub selectors: SelectorRule,
    /// The most value, in wei.
    pub value_max: U256,
    /// The most gas.
    pub gas_max: u64,
}

/// The receiver of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// This address.
    Address(Address),
    /// Every address, except those of the operator's accounts.
    Any,
    /// A new contract.
    Create,
}

/// The calls that a transaction may make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SelectorRule {
    /// No call: a transfer without data.
    Transfer,
    /// One of these functions.
    Functions(Vec<Selector>),
    /// Any data.
    Any,
}

/// The limits of all transactions of a module with an account. The capability that sends transactions counts them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallLimits {
    /// The most fee per gas, in gwei.
    pub max_fee_gwei: u64,
    /// The most fees in a day, in wei.
    pub fee_per_day: U256,
    /// The most value in a day, in wei.
    pub value_per_day: U256,
    /// The most transactions in an hour.
    pub per_hour: u64,
    /// The most unmined transactions.
    pub in_flight: u64,
}

/// The treatment of a transaction whose event was reverted.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum OnRevert {
    /// nexum keeps sending it.
    #[default]
    Keep,
    /// nexum replaces it by nothing while it is not mined.
    Cancel,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRules {
    #[serde(rename = "messages")]
    _messages: Option<IgnoredAny>,
    #[serde(rename = "typed_data")]
    _typed_data: Option<IgnoredAny>,
    #[serde(rename = "send")]
    _send: Option<IgnoredAny>,
    #[serde(rename = "limits")]
    _limits: Option<IgnoredAny>,
    #[serde(default)]
    on_revert: OnRevert,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMessages {
    #[serde(default)]
    prefixes: Vec<String>,
    max_bytes: Option<u64>,
    #[serde(default)]
    hashes: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTypedData {
    chain: Option<u64>,
    contract: Option<AddressText>,
    name: Option<String>,
    version: Option<String>,
    primary_type: Option<String>,
    #[serde(default)]
    fields: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSend {
    chain: Option<u64>,
    to: Option<TargetText>,
    #[serde(default)]
    create: bool,
    #[serde(default)]
    selectors: Vec<SelectorText>,
    max_value: Option<Amount>,
    max_gas: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLimits {
    max_fee_gwei: Option<u64>,
    fee_per_day: Option<Amount>,
    value_per_day: Option<Amount>,
    per_hour: Option<u64>,
    in_flight: Option<u64>,
}

impl Rules {
    /// Reads a table `[identity.<module>.<account>]`. Adds all errors to `errors`.
    pub(super) fn read(table: &Section, errors: &mut Vec<ConfigError>) -> Option<Self> {
        let raw = table.parse_all::<RawRules>(errors)?;
        let known = errors.len();
        let messages = section(table, "messages", errors).and_then(|table| MessageRule::read(&table, errors));
        let typed_data = list(table, "typed_data", TypedDataRule::read, errors);
        let send = list(table, "send", SendRule::read, errors);
        let limits = match (section(table, "limits", errors), send.is_empty()) {
            (Some(limits), _) => CallLimits::read(&limits, errors),
            (None, true) => None,
            (None, false) => {
                let error = table.error("limits", "missing key");
                errors.push(error.with_hint("write limits = { max_fee_gwei = 50, fee_per_day = \"0.05\" }"));
                None
            }
        };
        (errors.len() == known).then(|| Self {
            place: table.key().to_owned(),
            messages,
            typed_data,
            send,
            limits,
            on_revert: raw.on_revert,
        })
    }

    /// The words for what the rules allow, such as `messages, typed data`, for a report.
    pub fn summary(&self) -> String {
        let parts = [
            (self.messages.is_some(), "messages"),
            (!self.typed_data.is_empty(), "typed data"),
            (!self.send.is_empty(), "transactions"),
        ];
        let allowed: Vec<_> = parts
            .into_iter()
            .filter(|(is_there, _)| *is_there)
            .map(|(_, name)| name)
            .collect();
        match &*allowed {
            [] => "nothing".to_owned(),
            allowed => allowed.join(", "),
        }
    }
}

impl MessageRule {
    fn read(table: &Section, errors: &mut Vec<ConfigError>) -> Option<Self> {
        let numbers: [NumberRange; 1] = [("max_bytes", 1..=MESSAGE_BYTES_MAX)];
        let raw = table.parse_bounded::<RawMessages>(&numbers, errors)?;
        too_many(table, "prefixes", raw.prefixes.len(), errors);
        if raw.prefixes.iter().any(String::is_empty) {
            errors.push(table.error("prefixes", "an empty prefix allows every message"));
        }
        if raw.prefixes.is_empty() && !raw.hashes && !table.is_faulty("prefixes", errors) {
            let error = table.error("prefixes", "missing key");
            errors.push(error.with_hint("write how each message begins, such as prefixes = [\"my-app login: \"]"));
        }
        Some(Self {
            prefixes: raw.prefixes,
            bytes_max: raw.max_bytes.unwrap_or(MESSAGE_BYTES),
            hashes: raw.hashes,
        })
    }
}

impl TypedDataRule {
    fn read(table: &Section, errors: &mut Vec<ConfigError>) -> Option<Self> {
        let raw = table.parse_all::<RawTypedData>(errors)?;
        too_many(table, "fields", raw.fields.len(), errors);
        for (field, values) in &raw.fields {
            too_many(table, "fields", values.len(), errors);
            if values.is_empty() {
                errors.push(table.error("fields", format!("the field {field} has no allowed value")));
            }
        }
        let rule = Self {
            chain: raw.chain,
            contract: raw.contract.map(|contract| contract.0),
            name: raw.name,
            version: raw.version,
            primary_type: raw.primary_type,
            fields: raw.fields,
        };
        if table.keys().next().is_none() {
            let error = table.error("", "an empty rule allows every typed data");
            errors.push(error.with_hint("write `chain`, `contract` and `primary_type`"));
        }
        Some(rule)
    }
}

impl SendRule {
    fn read(table: &Section, errors: &mut Vec<ConfigError>) -> Option<Self> {
        let numbers: [NumberRange; 1] = [("max_gas", GAS_RANGE)];
        let raw = table.parse_bounded::<RawSend>(&numbers, errors)?;
        too_many(table, "selectors", raw.selectors.len(), errors);
        let chain = table.required("chain", raw.chain, errors);
        let to = match (raw.create, raw.to) {
            (true, None) => Some(Target::Create),
            (true, Some(_)) => {
                let error = table.error("create", "a new contract has no address yet");
                errors.push(error.with_hint("remove `to` or `create`"));
                None
            }
            (false, to) => table
                .required("to", to, errors)
                .map(|to| to.0.map_or(Target::Any, Target::Address)),
        };
        if raw.create && !raw.selectors.is_empty() {
            errors.push(table.error("selectors", "a new contract has no functions yet"));
        }
        let selectors = match raw
            .selectors
            .iter()
            .map(|selector| selector.0)
            .collect::<Option<Vec<_>>>()
        {
            _ if raw.create => SelectorRule::Any,
            None => SelectorRule::Any,
            Some(functions) if functions.is_empty() => SelectorRule::Transfer,
            Some(functions) => SelectorRule::Functions(functions),
        };
        Some(Self {
            chain: chain?,
            to: to?,
            selectors,
            value_max: raw.max_value.map_or(U256::ZERO, |value| value.0),
            gas_max: raw.max_gas.unwrap_or(MAX_GAS),
        })
    }
}

impl CallLimits {
    fn read(table: &Section, errors: &mut Vec<ConfigError>) -> Option<Self> {
        let numbers: [NumberRange; 3] = [
            ("max_fee_gwei", FEE_GWEI_RANGE),
            ("per_hour", 1..=DAY_COUNT_MAX),
            ("in_flight", 1..=DAY_COUNT_MAX),
        ];
        let raw = table.parse_bounded::<RawLimits>(&numbers, errors)?;
        let max_fee_gwei = table.required("max_fee_gwei", raw.max_fee_gwei, errors);
        let fee_per_day = table.required("fee_per_day", raw.fee_per_day, errors);
        Some(Self {
            max_fee_gwei: max_fee_gwei?,
            fee_per_day: fee_per_day?.0,
            value_per_day: raw.value_per_day.map_or(U256::ZERO, |value| value.0),
            per_hour: raw.per_hour.unwrap_or(PER_HOUR),
            in_flight: raw.in_flight.unwrap_or(IN_FLIGHT),
        })
    }
}

/// The table at `key`, if it is present. Adds an error if the value is not a table.
fn section(table: &Section, key: &str, errors: &mut Vec<ConfigError>) -> Option<Section> {
    table.section(key).map_err(|error| errors.push(error)).ok().flatten()
}

/// The rules of a list.
fn list<T>(
    table: &Section,
    key: &str,
    read: fn(&Section, &mut Vec<ConfigError>) -> Option<T>,
    errors: &mut Vec<ConfigError>,
) -> Vec<T> {
    let rules = table.array_of_tables(key, errors);
    too_many(table, key, rules.len(), errors);
    rules
        .iter()
        .take(ENTRIES_MAX)
        .filter_map(|rule| read(rule, errors))
        .collect()
}

fn too_many(table: &Section, key: &str, entries: usize, errors: &mut Vec<ConfigError>) {
    if entries > ENTRIES_MAX {
        errors.push(table.error(key, format!("expected at most {ENTRIES_MAX} entries")));
    }
}
