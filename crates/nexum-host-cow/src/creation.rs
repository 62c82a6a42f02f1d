//! The JSON of an order, as the order book's description defines it.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use cowprotocol::{
    BuyTokenDestination, DomainSeparator, OrderData, OrderKind, OrderUid, SellTokenSource, Signature, SigningScheme,
};
use nexum_config::document::deserialize_text;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

/// The digits of a hash, after `0x`.
const HASH_DIGITS: usize = 64;

/// The fields of an order that its UID and the check of its owner need. nexum posts the JSON as it
/// is, with all other fields.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Creation {
    sell_token: Address,
    buy_token: Address,
    receiver: Option<Address>,
    #[serde(deserialize_with = "amount")]
    sell_amount: U256,
    #[serde(deserialize_with = "amount")]
    buy_amount: U256,
    valid_to: u32,
    /// A document, or the hash of one.
    app_data: String,
    app_data_hash: Option<B256>,
    #[serde(deserialize_with = "amount")]
    fee_amount: U256,
    kind: OrderKind,
    partially_fillable: bool,
    #[serde(default)]
    sell_token_balance: SellTokenSource,
    #[serde(default)]
    buy_token_balance: BuyTokenDestination,
    signing_scheme: SigningScheme,
    signature: Bytes,
    from: Option<Address>,
}

/// Why the JSON is not an order that can be posted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CreationError {
    #[error("not the JSON of an order: {0}")]
    Json(#[from] serde_json::Error),
    #[error("not the JSON of an order: a list instead of an object")]
    List,
    #[error("appData is neither a JSON object nor a hash of 0x and 64 digits")]
    AppData,
    #[error("appDataHash {named} is not the hash of appData, which is {actual}")]
    AppDataHash { named: B256, actual: B256 },
    #[error("the signature is not one of its scheme: {0}")]
    Signature(#[from] cowprotocol::SignatureError),
    #[error("from is missing: the signing scheme does not tell the owner")]
    NoOwner,
    #[error("from is the zero address, which owns no orders")]
    ZeroOwner,
    #[error("the signature is of {signer}, and from is {from}: another owner, order, chain or settlement contract")]
    AnotherOwner { from: Address, signer: Address },
}

impl Creation {
    pub(crate) fn parse(json: &str) -> Result<Self, CreationError> {
        // serde reads a list of the fields too, which the order book does not.
        if json.trim_start().starts_with('[') {
            return Err(CreationError::List);
        }
        Ok(serde_json::from_str(json)?)
    }

    /// Verifies the owner as far as possible without a chain, and computes the UID.
    pub(crate) fn uid(&self, domain: &DomainSeparator) -> Result<OrderUid, CreationError> {
        let data = self.data()?;
        let signature = Signature::from_bytes(self.signing_scheme, &self.signature)?;
        let signer = data.recover_signer(domain, &signature)?;
        let owner = match (signer.map(|recovered| recovered.signer), self.from) {
            (Some(signer), Some(from)) if signer != from => return Err(CreationError::AnotherOwner { from, signer }),
            (Some(signer), _) => signer,
            (None, Some(from)) => from,
            (None, None) => return Err(CreationError::NoOwner),
        };
        match owner {
            Address::ZERO => Err(CreationError::ZeroOwner),
            owner => Ok(data.uid(domain, owner)),
        }
    }

    /// The signed part.
    fn data(&self) -> Result<OrderData, CreationError> {
        Ok(OrderData {
            sell_token: self.sell_token,
            buy_token: self.buy_token,
            receiver: self.receiver,
            sell_amount: self.sell_amount,
            buy_amount: self.buy_amount,
            valid_to: self.valid_to,
            app_data: self.app_data()?,
            fee_amount: self.fee_amount,
            kind: self.kind,
            partially_fillable: self.partially_fillable,
            sell_token_balance: self.sell_token_balance,
            buy_token_balance: self.buy_token_balance,
        })
    }

    /// The hash of the app data. A hash in `appData` stands for its document, unless `appDataHash` is
    /// there: then the order book takes `appData` for the document.
    fn app_data(&self) -> Result<B256, CreationError> {
        let text = &self.app_data;
        if self.app_data_hash.is_none()
            && let Some(hash) = hash(text)
        {
            return Ok(hash);
        }
        let document: Result<BTreeMap<String, IgnoredAny>, _> = serde_json::from_str(text);
        document.map_err(|_| CreationError::AppData)?;
        let actual = keccak256(text);
        match self.app_data_hash {
            Some(named) if named != actual => Err(CreationError::AppDataHash { named, actual }),
            _ => Ok(actual),
        }
    }
}

fn hash(text: &str) -> Option<B256> {
    let digits = text.strip_prefix("0x").filter(|digits| digits.len() == HASH_DIGITS)?;
    digits.parse().ok()
}

/// An amount in decimal digits.
fn amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<U256, D::Error> {
    deserialize_text(deserializer, "an amount in decimal digits", |text| {
        let is_decimal = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let amount = is_decimal.then(|| U256::from_str_radix(text, 10).ok()).flatten();
        amount.ok_or("is no number of 256 bits in decimal digits")
    })
}
