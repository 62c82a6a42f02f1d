//! Transactions.

use std::collections::BTreeSet;

use alloy_primitives::utils::format_ether;
use alloy_primitives::{Address, Selector, U256};

use super::{Allowed, Mismatch, Refusal, first_fit};
use crate::config::rules::{Rules, SelectorRule, SendRule, Target};

/// A transaction that a module wants to send, as nexum is about to sign it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionRequest<'a> {
    /// The chain id.
    pub chain: u64,
    /// The receiver. `None` creates a contract.
    pub to: Option<Address>,
    /// The value, in wei.
    pub value: U256,
    /// The data of the call.
    pub data: &'a [u8],
    /// The limit of gas.
    pub gas: u64,
    /// The kind of the envelope.
    pub kind: TransactionKind,
}

/// The kind of a transaction's envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransactionKind {
    /// Type 0, 1 or 2: a call, a transfer or a new contract.
    Plain,
    /// Type 3: with blobs, whose fee no rule bounds.
    Blob,
    /// Type 4: with authorisations that give an account's control to code.
    SetCode,
}

pub(crate) fn check(
    rules: &Rules,
    own: &BTreeSet<Address>,
    transaction: &TransactionRequest<'_>,
) -> Result<Allowed, Refusal> {
    let envelope = match transaction.kind {
        TransactionKind::Plain => None,
        TransactionKind::Blob => Some("nexum signs no transactions with blobs (type 3)"),
        TransactionKind::SetCode => Some("nexum signs no authorisations for code (type 4, EIP-7702)"),
    };
    if let Some(reason) = envelope {
        return Err(Refusal::new(&rules.place, reason, "send a transaction of type 2"));
    }
    let fit = first_fit(&rules.place, "send", &rules.send, |rule| fits(rule, own, transaction));
    fit.map_err(|closest| {
        let none = || (rules.place.clone(), "no rule allows transactions".to_owned());
        let (rule, reason) = closest.unwrap_or_else(none);
        Refusal::new(rule, reason, hint(transaction))
    })
}

/// The rule that would allow the transaction.
fn hint(transaction: &TransactionRequest<'_>) -> String {
    let TransactionRequest { chain, gas, .. } = transaction;
    let to = match transaction.to {
        Some(to) => format!("to = \"{to}\""),
        None => "create = true".to_owned(),
    };
    let selectors = match (transaction.to, selector(transaction.data)) {
        (Some(_), Some(selector)) => format!(", selectors = [\"{selector}\"]"),
        _ => String::new(),
    };
    let value = match transaction.value.is_zero() {
        true => String::new(),
        false => format!(", max_value = \"{}\"", format_ether(transaction.value)),
    };
    format!("write send = [{{ chain = {chain}, {to}{selectors}{value}, max_gas = {gas} }}]")
}

fn fits(rule: &SendRule, own: &BTreeSet<Address>, transaction: &TransactionRequest<'_>) -> Result<(), Mismatch> {
    let TransactionRequest { chain, value, gas, .. } = *transaction;
    let mut fitting = 0;
    let mut expect = |is_fitting: bool, reason: &dyn Fn() -> String| {
        if is_fitting {
            fitting += 1;
            return Ok(());
        }
        Err(Mismatch {
            fitting,
            reason: reason(),
        })
    };
    expect(chain == rule.chain, &|| {
        format!("the rule is for chain {}, not {chain}", rule.chain)
    })?;
    match (rule.to, transaction.to) {
        (Target::Create, None) => {}
        (_, None) => expect(false, &|| "the transaction creates a contract".to_owned())?,
        (Target::Create, Some(_)) => expect(false, &|| "the rule is for new contracts".to_owned())?,
        (Target::Any, Some(to)) => expect(!own.contains(&to), &|| format!("{to} is an account of this nexum"))?,
        (Target::Address(allowed), Some(to)) => {
            expect(to == allowed, &|| format!("the rule does not name the receiver {to}"))?
        }
    }
    match (&rule.selectors, selector(transaction.data)) {
        (SelectorRule::Any, _) => {}
        (SelectorRule::Transfer, _) => {
            expect(transaction.data.is_empty(), &|| {
                "the rule allows transfers without data alone".to_owned()
            })?;
        }
        (SelectorRule::Functions(functions), Some(selector)) => {
            expect(functions.contains(&selector), &|| {
                format!("the rule does not name the selector {selector}")
            })?;
        }
        (SelectorRule::Functions(_), None) => {
            expect(false, &|| "the data has no selector".to_owned())?;
        }
    }
    expect(value <= rule.value_max, &|| {
        format!(
            "the value is {} ether, and max_value is {}",
            format_ether(value),
            format_ether(rule.value_max)
        )
    })?;
    expect(gas <= rule.gas_max, &|| {
        format!("the gas is {gas}, and max_gas is {}", rule.gas_max)
    })
}

/// The first four bytes of a call.
fn selector(data: &[u8]) -> Option<Selector> {
    data.first_chunk::<4>().map(|bytes| Selector::from(*bytes))
}
