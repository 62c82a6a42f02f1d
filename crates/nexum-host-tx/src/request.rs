//! The parameters of `eth_sendTransaction`.

use alloy_primitives::{Address, Bytes, U64, U256};
use nexum_config::topic::ChainId;
use serde::{Deserialize, Serialize};

use crate::error::SendError;

/// The most bytes of a transaction's data: nodes refuse more (the pool's limit of geth is 128 KiB).
pub const DATA_BYTES_MAX: usize = 120 << 10;

/// A transaction that a module asks for. Everything that it leaves out is nexum's choice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct SendRequest {
    pub(crate) chain: ChainId,
    pub(crate) from: Address,
    /// `None` creates a contract.
    pub(crate) to: Option<Address>,
    pub(crate) value: U256,
    pub(crate) data: Bytes,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) gas: Option<u64>,
    /// The most wei per gas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_fee: Option<u128>,
    /// The most wei per gas for the proposer of the block.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_tip: Option<u128>,
}

/// The object of JSON-RPC. Its keys are those of the execution APIs.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawTransaction {
    from: Address,
    to: Option<Address>,
    value: Option<U256>,
    data: Option<Bytes>,
    input: Option<Bytes>,
    gas: Option<U64>,
    max_fee_per_gas: Option<U256>,
    max_priority_fee_per_gas: Option<U256>,
    chain_id: Option<U64>,
    nonce: Option<U64>,
    gas_price: Option<U256>,
    #[serde(rename = "type")]
    kind: Option<U64>,
}

impl SendRequest {
    /// Reads the parameters.
    ///
    /// # Errors
    ///
    /// [`SendError::Invalid`].
    pub(crate) fn parse(chain: ChainId, params: &str) -> Result<Self, SendError> {
        let invalid = |text: String| SendError::Invalid(text);
        let [raw] = serde_json::from_str::<[RawTransaction; 1]>(params)
            .map_err(|error| invalid(format!("the parameters are no transaction: {error}")))?;
        if raw.nonce.is_some() {
            return Err(invalid("nexum chooses the nonce: leave `nonce` out".to_owned()));
        }
        if raw.gas_price.is_some() {
            let text = "nexum chooses the price of gas: leave `gasPrice` out, or write `maxFeePerGas`";
            return Err(invalid(text.to_owned()));
        }
        if raw.kind.is_some_and(|kind| !matches!(kind.to::<u64>(), 0 | 2)) {
            return Err(invalid(
                "nexum sends transactions of type 0 and 2 alone: leave `type` out".to_owned(),
            ));
        }
        if let Some(other) = raw.chain_id.filter(|other| other.to::<u64>() != chain) {
            return Err(invalid(format!(
                "`chainId` is {other}, and the request is to chain {chain}"
            )));
        }
        let data = match (raw.data, raw.input) {
            (Some(data), Some(input)) if data != input => {
                return Err(invalid("`data` and `input` differ: write one of them".to_owned()));
            }
            (data, input) => input.or(data).unwrap_or_default(),
        };
        if data.len() > DATA_BYTES_MAX {
            let bytes = data.len();
            return Err(invalid(format!(
                "the data has {bytes} bytes, and nodes take at most {DATA_BYTES_MAX}"
            )));
        }
        let price = |name: &str, price: Option<U256>| match price.map(u128::try_from) {
            None => Ok(None),
            Some(Ok(price)) => Ok(Some(price)),
            Some(Err(_)) => Err(invalid(format!("`{name}` is larger than any fee"))),
        };
        Ok(Self {
            chain,
            from: raw.from,
            to: raw.to,
            value: raw.value.unwrap_or_default(),
            data,
            gas: raw.gas.map(|gas| gas.to()),
            max_fee: price("maxFeePerGas", raw.max_fee_per_gas)?,
            max_tip: price("maxPriorityFeePerGas", raw.max_priority_fee_per_gas)?,
        })
    }

    /// The bytes that identify the request among those of an event.
    pub(crate) fn identity(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The object for `eth_estimateGas`.
    pub(crate) fn call(&self) -> serde_json::Value {
        let mut call = serde_json::json!({ "from": self.from, "value": self.value, "input": self.data });
        if let (Some(to), Some(object)) = (self.to, call.as_object_mut()) {
            object.insert("to".to_owned(), serde_json::json!(to));
        }
        call
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: &str = r#""from":"0x2c7536E3605D9C16a7a3D7b1898e529396a65c23""#;

    fn parse(rest: &str) -> Result<SendRequest, String> {
        SendRequest::parse(1, &format!("[{{{FROM}{rest}}}]")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_request_has_what_it_names_and_nothing_else() {
        let request = parse(
            r#","to":"0x00000000000000000000000000000000000000aa","value":"0x10","data":"0x0102","gas":"0x5208","maxFeePerGas":"0x3b9aca00","chainId":"0x1"}"#
                .trim_end_matches('}'),
        )
        .expect("a request");
        assert_eq!(request.to, Some(Address::with_last_byte(0xaa)));
        assert_eq!(request.value, U256::from(16));
        assert_eq!(*request.data, [1, 2][..]);
        assert_eq!(request.gas, Some(21_000));
        assert_eq!((request.max_fee, request.max_tip), (Some(1_000_000_000), None));
        let empty = parse("").expect("a contract without code");
        assert_eq!((empty.to, empty.value, empty.gas), (None, U256::ZERO, None));
        assert_ne!(request.identity(), empty.identity());
    }

    #[test]
    fn a_request_that_nexum_cannot_follow_is_invalid() {
        for (rest, reason) in [
            (r#","nonce":"0x1""#, "nexum chooses the nonce"),
            (r#","gasPrice":"0x1""#, "nexum chooses the price"),
            (r#","type":"0x3""#, "type 0 and 2"),
            (r#","type":"0x4""#, "type 0 and 2"),
            (r#","chainId":"0x2""#, "the request is to chain 1"),
            (r#","data":"0x01","input":"0x02""#, "differ"),
            (r#","authorizationList":[]"#, "unknown field"),
            (r#","blobVersionedHashes":[]"#, "unknown field"),
            (r#","value":"-1""#, "no transaction"),
            (r#","gas":"0xffffffffffffffffff""#, "no transaction"),
            (
                r#","maxFeePerGas":"0x100000000000000000000000000000000""#,
                "larger than any fee",
            ),
        ] {
            let error = parse(rest).expect_err(rest);
            assert!(error.contains(reason), "{rest}: {error}");
        }
        let long = format!(",\"data\":\"0x{}\"", "00".repeat(DATA_BYTES_MAX + 1));
        assert!(parse(&long).expect_err("long").contains("nodes take at most"));
        for params in ["", "{}", "[]", "[1]", "[{}]", "[{},{}]"] {
            assert!(SendRequest::parse(1, params).is_err(), "{params}");
        }
    }
}
