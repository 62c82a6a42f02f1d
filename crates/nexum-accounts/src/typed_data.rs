//! EIP-712 typed data, decoded from JSON.

pub(crate) mod bounds;

use std::fmt;

use alloy_dyn_abi::{DynSolValue, TypedData};
use alloy_primitives::{Address, U256};
use serde::Deserialize as _;
use serde_json::Value;

use crate::preimage::Preimage;

/// The longest JSON of typed data, in bytes: thirty times an order.
pub const TYPED_DATA_BYTES_MAX: usize = 64 << 10;

/// Typed data whose parts and whose digest come from one decoding. Rules look only at these parts.
#[derive(Clone)]
pub struct TypedMessage {
    chain: Option<U256>,
    contract: Option<Address>,
    name: Option<String>,
    version: Option<String>,
    primary_type: String,
    value: DynSolValue,
    preimage: Preimage,
}

/// Why JSON is not typed data that nexum signs. The text has names of the guest's types, bounded and
/// without special characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TypedDataError {
    /// The JSON is longer than the bound.
    #[error("the typed data is longer than {TYPED_DATA_BYTES_MAX} bytes")]
    TooLong,
    /// The text is not JSON.
    #[error("the typed data is not JSON, at line {line} and column {column}")]
    NotJson {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// The JSON has another shape, or exceeds a bound.
    #[error("{0}")]
    Shape(String),
    /// The message does not fit its types.
    #[error("the message does not fit the type {0}")]
    Message(String),
}

impl TypedMessage {
    /// Decodes the JSON that `eth_signTypedData_v4` takes: an object with `types`, `primaryType`,
    /// `domain` and `message`.
    ///
    /// The domain has only known keys, and exactly those of the type `EIP712Domain` if `types` has it:
    /// programs disagree about the digest of others.
    ///
    /// # Errors
    ///
    /// [`TypedDataError`] for anything else, and above a bound.
    pub fn parse(json: &str) -> Result<Self, TypedDataError> {
        if json.len() > TYPED_DATA_BYTES_MAX {
            return Err(TypedDataError::TooLong);
        }
        // The parser refuses JSON that is deeper than 128 levels.
        let value: Value = serde_json::from_str(json).map_err(|error| TypedDataError::NotJson {
            line: error.line(),
            column: error.column(),
        })?;
        bounds::check(&value)?;
        let shape = |text: &str| TypedDataError::Shape(text.to_owned());
        let data = TypedData::deserialize(value)
            .map_err(|_| shape("the typed data has a type or a value of the domain that is not valid"))?;
        let unfit = || TypedDataError::Message(data.primary_type.clone());
        let decoded = data.coerce().map_err(|_| unfit())?;
        let hash = data.hash_struct().map_err(|_| unfit())?;
        let preimage = [&[0x19, 0x01], &data.domain.separator()[..], &hash[..]].concat();
        Ok(Self {
            chain: data.domain.chain_id,
            contract: data.domain.verifying_contract,
            name: data.domain.name.map(|name| name.into_owned()),
            version: data.domain.version.map(|version| version.into_owned()),
            primary_type: data.primary_type,
            value: decoded,
            preimage: Preimage::new(preimage),
        })
    }

    /// The chain id of the domain.
    pub fn chain(&self) -> Option<U256> {
        self.chain
    }

    /// The verifying contract of the domain.
    pub fn contract(&self) -> Option<Address> {
        self.contract
    }

    /// The name of the domain.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The version of the domain.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The primary type.
    pub fn primary_type(&self) -> &str {
        &self.primary_type
    }

    /// The bytes to sign.
    pub fn preimage(&self) -> &Preimage {
        &self.preimage
    }

    /// The value of a field of the message. A path has dots between the names of nested structs.
    pub fn field(&self, path: &str) -> Option<&DynSolValue> {
        path.split('.').try_fold(&self.value, |value, name| match value {
            DynSolValue::CustomStruct { prop_names, tuple, .. } => {
                let index = prop_names.iter().position(|found| found == name)?;
                tuple.get(index)
            }
            _ => None,
        })
    }
}

/// The domain, the primary type and the digest: a message can be confidential.
impl fmt::Debug for TypedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedMessage")
            .field("chain", &self.chain)
            .field("contract", &self.contract)
            .field("primary_type", &self.primary_type)
            .field("preimage", &self.preimage)
            .finish_non_exhaustive()
    }
}
