//! EIP-712 typed data.

use alloy_dyn_abi::{DynSolType, DynSolValue};
use alloy_primitives::U256;
use serde_json::Value;

use super::{Allowed, Mismatch, Refusal, first_fit};
use crate::config::rules::{Rules, TypedDataRule};
use crate::typed_data::TypedMessage;

/// Primary types whose signature alone moves assets or gives control, beside those with `Permit` or
/// `Order` in their names: transfers of EIP-3009, transactions and messages of a Safe, delegations,
/// forwarded calls and operations of smart accounts.
const DANGEROUS: [&str; 9] = [
    "Delegation",
    "ForwardRequest",
    "MetaTransaction",
    "PackedUserOperation",
    "ReceiveWithAuthorization",
    "SafeMessage",
    "SafeTx",
    "TransferWithAuthorization",
    "UserOperation",
];

/// Whether only a rule with `chain`, `contract` and `primary_type` may allow a primary type.
fn is_dangerous(primary_type: &str) -> bool {
    // Hyperliquid and others put their name before a colon.
    let name = primary_type.rsplit(':').next().unwrap_or_default();
    let lower_case = name.to_ascii_lowercase();
    DANGEROUS.contains(&name) || lower_case.contains("permit") || lower_case.contains("order")
}

pub(crate) fn check(rules: &Rules, data: &TypedMessage) -> Result<Allowed, Refusal> {
    let fit = first_fit(&rules.place, "typed_data", &rules.typed_data, |rule| fits(rule, data));
    fit.map_err(|closest| {
        let kind = data.primary_type();
        let (rule, reason) = closest.unwrap_or_else(|| {
            (
                rules.place.clone(),
                format!("no rule allows typed data of the type {kind}"),
            )
        });
        Refusal::new(rule, reason, hint(data))
    })
}

/// The rule that would allow the data.
fn hint(data: &TypedMessage) -> String {
    let chain = data
        .chain()
        .map(|chain| format!("chain = {chain}, "))
        .unwrap_or_default();
    let contract = data
        .contract()
        .map(|contract| format!("contract = \"{contract}\", "))
        .unwrap_or_default();
    format!(
        "write typed_data = [{{ {chain}{contract}primary_type = \"{}\" }}]",
        data.primary_type()
    )
}

fn fits(rule: &TypedDataRule, data: &TypedMessage) -> Result<(), Mismatch> {
    let kind = data.primary_type();
    let shown = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
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
    expect(
        rule.primary_type.as_deref().is_none_or(|allowed| allowed == kind),
        &|| format!("the rule does not name the primary type {kind}"),
    )?;
    expect(
        !is_dangerous(kind) || (rule.primary_type.is_some() && rule.chain.is_some() && rule.contract.is_some()),
        &|| format!("the primary type {kind} is allowed only by a rule with chain, contract and primary_type"),
    )?;
    expect(
        rule.chain.is_none_or(|chain| data.chain() == Some(U256::from(chain))),
        &|| {
            format!(
                "the domain's chainId is {}",
                shown(data.chain().map(|chain| chain.to_string()))
            )
        },
    )?;
    expect(
        rule.contract.is_none_or(|contract| data.contract() == Some(contract)),
        &|| {
            format!(
                "the domain's verifyingContract is {}",
                shown(data.contract().map(|contract| contract.to_string()))
            )
        },
    )?;
    expect(
        rule.name.as_deref().is_none_or(|name| data.name() == Some(name)),
        &|| "the domain has another name".to_owned(),
    )?;
    expect(
        rule.version
            .as_deref()
            .is_none_or(|version| data.version() == Some(version)),
        &|| "the domain has another version".to_owned(),
    )?;
    for (path, allowed) in &rule.fields {
        let Some(value) = data.field(path) else {
            expect(false, &|| format!("the message has no field {path}"))?;
            continue;
        };
        let is_allowed = allowed.iter().any(|allowed| is_equal(value, allowed));
        expect(is_allowed, &|| {
            format!("the field {path} has a value that the rule does not name")
        })?;
    }
    Ok(())
}

/// Whether a decoded value is the one of the file. The text is read as the value's own type, so
/// neither upper case nor leading zeros make a difference.
fn is_equal(value: &DynSolValue, allowed: &str) -> bool {
    let Some(ty) = value.as_type() else { return false };
    let is_simple = matches!(
        ty,
        DynSolType::Address
            | DynSolType::Bool
            | DynSolType::Bytes
            | DynSolType::FixedBytes(_)
            | DynSolType::Int(_)
            | DynSolType::String
            | DynSolType::Uint(_)
    );
    is_simple
        && ty
            .coerce_json(&Value::String(allowed.to_owned()))
            .is_ok_and(|allowed| allowed == *value)
}
