//! Pinned reads: `latest` means the block of the current event.
//!
//! With `[module.chain] pin = "event"` in its manifest, a module sees one state in all reads of a
//! handler: the state at the event's block, whatever the endpoint's head is. A read names the block
//! by its hash, so that an endpoint on another fork reports an unknown block. A read names the
//! block by its number only if the method or the endpoint takes no hash. All other parameters stay
//! unchanged, byte by byte.
//!
//! The methods, and the positions of their block parameters, are from the specification of the
//! execution API (<https://github.com/ethereum/execution-apis>). The object that names a block by
//! its hash is from EIP-1898.

mod json;

use nexum_config::document::{ConfigErrors, Section};
use nexum_config::topic::ChainId;
use nexum_core::capability::View;
use nexum_core::source::Position;
use serde::Deserialize;
use serde_json::value::RawValue;

use self::json::{Array, Object};
use crate::methods;

/// The meaning of `latest` in a module's reads: `[module.chain] pin` of its manifest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pin {
    /// The endpoint's latest block.
    #[default]
    Off,
    /// The block of the current event.
    Event,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Raw {
    pin: Pin,
}

impl Pin {
    /// Reads a module's `[module.chain]`.
    ///
    /// # Errors
    ///
    /// All errors in the table.
    pub fn from_section(section: &Section) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let raw = section.parse_all::<Raw>(&mut errors);
        ConfigErrors::check(errors)?;
        Ok(raw.unwrap_or_default().pin)
    }

    /// The block to which the current handler's reads of this chain are pinned. None in `init`, in
    /// events without a block, and for chains other than the event's. A trial pins each of its reads.
    pub(crate) fn block<S>(self, view: &View<'_, S>, chain_id: ChainId) -> Option<Position> {
        if let Some(block) = view.trial_block(chain_id) {
            return Some(block);
        }
        let event = view.scope.handler().event();
        let event = event.filter(|event| event.topic.chain_id() == Some(chain_id))?;
        (self == Self::Event).then_some(event.position)
    }
}

/// The parameter in which a method names its block.
enum Names {
    /// A tag, a number or an EIP-1898 object, in the parameter with this index. The parameter is
    /// optional if it is the last.
    Block(usize),
    /// A tag or a number, in the first parameter. The other method takes a hash there.
    Number(&'static str),
    /// Only a tag or a number, in the parameter with this index.
    NumberOnly(usize),
    /// Members of the filter.
    Filter,
    /// No parameter names it: the result is the block's number.
    Itself,
}

/// How each method names its block. Methods without an entry name no block, or name it only by
/// hash.
fn names(method: &str) -> Option<Names> {
    Some(match method {
        "eth_call"
        | "eth_createAccessList"
        | "eth_estimateGas"
        | "eth_getBalance"
        | "eth_getCode"
        | "eth_getTransactionCount"
        | "eth_simulateV1" => Names::Block(1),
        "eth_getProof" | "eth_getStorageAt" => Names::Block(2),
        "eth_getBlockReceipts" => Names::Block(0),
        "eth_getBlockByNumber" => Names::Number("eth_getBlockByHash"),
        "eth_getBlockTransactionCountByNumber" => Names::Number("eth_getBlockTransactionCountByHash"),
        "eth_getHeaderByNumber" => Names::Number("eth_getHeaderByHash"),
        "eth_getTransactionByBlockNumberAndIndex" => Names::Number("eth_getTransactionByBlockHashAndIndex"),
        "eth_getUncleByBlockNumberAndIndex" => Names::Number("eth_getUncleByBlockHashAndIndex"),
        "eth_getUncleCountByBlockNumber" => Names::Number("eth_getUncleCountByBlockHash"),
        "eth_feeHistory" => Names::NumberOnly(1),
        "eth_getLogs" => Names::Filter,
        "eth_blockNumber" => Names::Itself,
        _ => return None,
    })
}

/// A request, pinned to a block.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pinned {
    /// The request is sent unchanged.
    Untouched,
    /// The event contains the answer.
    Answer(String),
    /// The request names the block by its hash. Its answer never changes.
    ByHash {
        /// The method, which may differ from the requested one.
        method: &'static str,
        /// The parameters.
        params: String,
        /// The parameters with the block's number, for an endpoint that takes no hash. None if
        /// every endpoint takes a hash.
        by_number: Option<String>,
    },
    /// The request names the block by its number.
    ByNumber {
        /// The parameters.
        params: String,
    },
}

/// Pins a request to `block`. `params` is the text of a JSON array with any content.
pub fn pin(method: &str, params: &RawValue, block: &Position) -> Pinned {
    let rewrite = || {
        let params = Array::parse(params.get())?;
        match names(method)? {
            Names::Block(index) => {
                let by_number = params.with_latest(index, &number(block));
                let params = params.with_latest(index, &format!(r#"{{"blockHash":{}}}"#, hash(block)))?;
                by_hash(method, params, by_number)
            }
            Names::Number(by) => by_hash(by, params.with_latest(0, &hash(block))?, None),
            Names::NumberOnly(index) => Some(Pinned::ByNumber {
                params: params.with_latest(index, &number(block))?,
            }),
            Names::Filter => pin_filter(&params, block),
            Names::Itself => Some(Pinned::Answer(number(block))),
        }
    };
    rewrite().unwrap_or(Pinned::Untouched)
}

/// Pins a filter. A filter of one block becomes a filter by hash. In a range, only an end that is
/// `latest` changes.
fn pin_filter(params: &Array<'_>, block: &Position) -> Option<Pinned> {
    let filter = Object::parse(params.get(0)?)?;
    if filter.has("blockHash") {
        return None;
    }
    let (from, to) = (filter.is_latest("fromBlock"), filter.is_latest("toBlock"));
    let mut members = filter.without_latest(&["fromBlock", "toBlock"]);
    let name = match (from, to) {
        (true, true) => {
            let with = |range: String| {
                let members: Vec<_> = members.iter().cloned().chain([range]).collect();
                params.with(0, &format!("{{{}}}", members.join(",")))
            };
            let number = number(block);
            let by_number = with(format!(r#""fromBlock":{number},"toBlock":{number}"#));
            return by_hash(
                "eth_getLogs",
                with(format!(r#""blockHash":{}"#, hash(block)))?,
                by_number,
            );
        }
        (true, false) => "fromBlock",
        (false, true) => "toBlock",
        (false, false) => return None,
    };
    members.push(format!(r#""{name}":{}"#, number(block)));
    let params = params.with(0, &format!("{{{}}}", members.join(",")))?;
    Some(Pinned::ByNumber { params })
}

fn by_hash(method: &str, params: String, by_number: Option<String>) -> Option<Pinned> {
    // Only reads are pinned.
    let method = methods::read(method)?;
    Some(Pinned::ByHash {
        method,
        params,
        by_number,
    })
}

/// Whether an endpoint's head decides the answer to a request, also if the request is pinned to `block`: a method without
/// a block, such as the gas price, a moving tag, a later block, or a transaction, which can be in a later block.
pub fn is_of_today(method: &str, params: &str, block: &Position) -> bool {
    let raw = serde_json::from_str::<&RawValue>(params);
    // Invalid parameters are never sent.
    let is_pinned = raw.map_or(true, |raw| pin(method, raw, block) != Pinned::Untouched);
    let has_block = is_pinned || names(method).is_some() || FIXED_METHODS.contains(&method);
    has_moving_tag(params) || !has_block || names_later(method, params, block)
}

/// Whether the parameter for the block has a number above that of `block`.
fn names_later(method: &str, params: &str, block: &Position) -> bool {
    let index = match names(method) {
        Some(Names::Block(index) | Names::NumberOnly(index)) => index,
        Some(Names::Number(_)) => 0,
        _ => return false,
    };
    let number = || {
        let text: String = serde_json::from_str(Array::parse(params)?.get(index)?).ok()?;
        u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
    };
    number().is_some_and(|number| number > block.number)
}

/// Whether a parameter is a tag of a block that moves. An address or data is never equal to one.
fn has_moving_tag(params: &str) -> bool {
    ["\"pending\"", "\"safe\"", "\"finalized\""]
        .iter()
        .any(|tag| params.contains(tag))
}

/// The methods without a block whose answers do not change.
const FIXED_METHODS: &[&str] = &[
    "eth_chainId",
    "eth_getBlockByHash",
    "eth_getBlockTransactionCountByHash",
    "eth_getHeaderByHash",
    "eth_getTransactionByBlockHashAndIndex",
    "eth_getUncleByBlockHashAndIndex",
    "eth_getUncleCountByBlockHash",
    "net_version",
    "web3_sha3",
];

/// Whether a null result of this method by hash means that the endpoint does not know the block. It
/// does not for methods that return parts of a block, such as a transaction at an index.
pub(crate) fn null_is_unknown(method: &str) -> bool {
    matches!(
        method,
        "eth_getBlockByHash" | "eth_getBlockReceipts" | "eth_getBlockTransactionCountByHash" | "eth_getHeaderByHash"
    )
}

fn hash(block: &Position) -> String {
    let digits = block.hash.iter().map(|byte| format!("{byte:02x}"));
    digits.fold("\"0x".to_owned(), |text, byte| text + &byte) + "\""
}

fn number(block: &Position) -> String {
    format!("\"{:#x}\"", block.number)
}
