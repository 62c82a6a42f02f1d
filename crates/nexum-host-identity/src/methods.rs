//! The methods of `chain.request` that need an account.

use std::sync::Arc;

use alloy_primitives::hex;
use async_trait::async_trait;
use nexum_accounts::{Accounts, Grant};
use nexum_config::topic::ChainId;
use nexum_core::bindings::nexum::host::types::HostError;
use nexum_core::capability::{ChainMethods, View};
use serde_json::value::RawValue;

use crate::error::IdentityError;
use crate::sign::{sign, sign_typed_data};

const ACCOUNTS: &str = "eth_accounts";
const PERSONAL_SIGN: &str = "personal_sign";
const SIGN_TYPED_DATA: &str = "eth_signTypedData_v4";

/// Answers the methods for each module with its own accounts, whatever the chain is: typed data names its chain, and a
/// message has none.
#[derive(Debug)]
pub(crate) struct IdentityMethods {
    accounts: Arc<Accounts>,
}

impl IdentityMethods {
    pub(crate) fn new(accounts: Arc<Accounts>) -> Self {
        Self { accounts }
    }
}

#[async_trait]
impl ChainMethods for IdentityMethods {
    fn answers(&self, method: &str) -> bool {
        [ACCOUNTS, PERSONAL_SIGN, SIGN_TYPED_DATA].contains(&method)
    }

    async fn request(
        &self,
        mut view: View<'_, ()>,
        _chain_id: ChainId,
        method: &str,
        params: &str,
    ) -> wasmtime::Result<Result<String, HostError>> {
        let grants = self.accounts.of(&view.meta.name);
        let answered = match method {
            PERSONAL_SIGN => match message(params) {
                Ok((message, account)) => sign(&mut view, grants, &account, &message).await?,
                Err(error) => Err(error.to_host_error()),
            },
            SIGN_TYPED_DATA => match typed_data(params) {
                Ok((account, data)) => sign_typed_data(&mut view, grants, &account, &data).await?,
                Err(error) => Err(error.to_host_error()),
            },
            _ => return Ok(Ok(addresses(grants))),
        };
        Ok(answered.map(signature))
    }
}

/// The addresses as JSON, in lower case as nodes answer.
fn addresses(grants: &[Grant]) -> String {
    let quoted = |grant: &Grant| format!("\"{:#x}\"", grant.account().address());
    format!("[{}]", grants.iter().map(quoted).collect::<Vec<_>>().join(","))
}

/// A signature as JSON.
fn signature(bytes: Vec<u8>) -> String {
    format!("\"{}\"", hex::encode_prefixed(bytes))
}

/// The message and the account in the parameters of `personal_sign`.
fn message(params: &str) -> Result<(Vec<u8>, Vec<u8>), IdentityError> {
    let decoded = serde_json::from_str::<[String; 2]>(params)
        .ok()
        .and_then(|[message, account]| {
            let bytes = |text: &str| hex::decode(text.strip_prefix("0x")?).ok();
            Some((bytes(&message)?, bytes(&account)?))
        });
    decoded.ok_or(IdentityError::Params {
        method: PERSONAL_SIGN,
        expected: "[message, address], both as 0x and hexadecimal digits",
    })
}

/// The account and the JSON in the parameters of `eth_signTypedData_v4`. The JSON is an object, or a string with it.
fn typed_data(params: &str) -> Result<(Vec<u8>, String), IdentityError> {
    let decoded = || {
        let [account, data] = serde_json::from_str::<[&RawValue; 2]>(params).ok()?;
        let account: String = serde_json::from_str(account.get()).ok()?;
        let account = hex::decode(account.strip_prefix("0x")?).ok()?;
        let data = match data.get().starts_with('{') {
            true => data.get().to_owned(),
            false => serde_json::from_str(data.get()).ok()?,
        };
        Some((account, data))
    };
    decoded().ok_or(IdentityError::Params {
        method: SIGN_TYPED_DATA,
        expected: "[address, typed data], with the typed data as an object or as a string",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_have_one_form() {
        let (message, account) = super::message(r#"[ "0x6c6f67" , "0xAB" ]"#).expect("parameters");
        assert_eq!(
            (message.as_slice(), account.as_slice()),
            (b"log".as_slice(), [0xab].as_slice())
        );
        for (params, expected) in [
            (r#"["0xab", {"a" : [1]}]"#, r#"{"a" : [1]}"#),
            (r#"["0xab","{\"a\": 1}"]"#, r#"{"a": 1}"#),
            // A second parser refuses text that is no typed data.
            (r#"["0xab","no JSON"]"#, "no JSON"),
        ] {
            assert_eq!(
                typed_data(params).expect("parameters"),
                (vec![0xab], expected.to_owned())
            );
        }
        let deep = format!(r#"["0xab",{}]"#, "[".repeat(10_000) + &"]".repeat(10_000));
        let faulty = [
            "[]",
            r#"["0x00"]"#,
            r#"["0x00","0x00","password"]"#,
            r#"["plain text","0x00"]"#,
            r#"["0x0","0x00"]"#,
            r#"[7,"0x00"]"#,
            r#"["0x00",null]"#,
            deep.as_str(),
        ];
        for params in faulty {
            let error = super::message(params).expect_err(params).to_string();
            assert!(
                error.contains("personal_sign") && error.contains("[message, address]"),
                "{error}"
            );
        }
        for params in [
            "[]",
            r#"["0xab"]"#,
            r#"["0xab",7]"#,
            r#"["ab",{}]"#,
            r#"["0xab",{},1]"#,
            &deep,
        ] {
            let error = typed_data(params).expect_err(params).to_string();
            assert!(error.contains("eth_signTypedData_v4"), "{error}");
        }
    }
}
