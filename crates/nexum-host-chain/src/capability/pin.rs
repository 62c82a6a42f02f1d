//! Pinned reads: `latest` means the block of the event in hand.
//!
//! A module whose manifest has `[module.chain] pin = "event"` sees one state in all reads of a handler: the state at the block
//! of the event, whatever the endpoint's head is by then. The block is named by its hash, so that an endpoint on another
//! fork says that it does not know it; by its number only where nothing else is taken, by the method or by the endpoint. What is not `latest` stays as it is,
//! and so does every byte of the parameters beside the block.
//!
//! The methods and the places of their block parameters are those of the execution API's specification
//! (<https://github.com/ethereum/execution-apis>), and the object that names a block by its hash is EIP-1898's.

mod json;

use nexum_config::document::{ConfigErrors, Section};
use nexum_config::topic::ChainId;
use nexum_core::capability::View;
use nexum_core::source::Position;
use serde::Deserialize;
use serde_json::value::RawValue;

use self::json::{Array, Object};
use crate::methods;

/// What `latest` means in a module's reads: `[module.chain] pin` of its manifest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pin {
    /// What it means to the endpoint.
    #[default]
    Off,
    /// The block of the event in hand.
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
    /// Everything that is wrong with it.
    pub fn from_section(section: &Section) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let raw = section.parse_all::<Raw>(&mut errors);
        ConfigErrors::check(errors)?;
        Ok(raw.unwrap_or_default().pin)
    }

    /// The block that reads of this chain are pinned to in the handler that is running: none in `init`, in events that are
    /// about no block, and for other chains than the event's.
    pub(crate) fn block<S>(self, view: &View<'_, S>, chain_id: ChainId) -> Option<Position> {
        let event = view.scope.handler().event();
        let event = event.filter(|event| event.topic.chain_id() == Some(chain_id))?;
        (self == Self::Event).then_some(event.position)
    }
}

/// How a method names its block.
enum Names {
    /// By tag, number or EIP-1898 object, in the parameter with this index; if it is the last one it may be missing.
    Block(usize),
    /// By tag or number in its first parameter; the other method takes a hash there.
    Number(&'static str),
    /// By tag or number, in the parameter with this index, and nothing else will do.
    NumberOnly(usize),
    /// By the members of the filter.
    Filter,
    /// It is the number.
    Itself,
}

/// How each method names its block; those that are not here name none, or only by hash.
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

/// What becomes of a request of a handler that is pinned to a block.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pinned {
    /// It goes out as it is.
    Untouched,
    /// The event has the answer.
    Answer(String),
    /// It goes out with the block's hash. The answer is the same for ever.
    ByHash {
        /// The method, which may be another one.
        method: &'static str,
        /// The parameters.
        params: String,
        /// The parameters with the block's number, for an endpoint that takes no hash there. None where every endpoint does.
        by_number: Option<String>,
    },
    /// It goes out with the block's number.
    ByNumber {
        /// The parameters.
        params: String,
    },
}

/// Pins a request to `block`. `params` is the text of a JSON array; what it holds may be anything.
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

/// A filter of one block becomes one by hash. Of a range, only the end that is `latest` changes.
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
    // What is pinned is a read.
    let method = methods::read(method)?;
    Some(Pinned::ByHash {
        method,
        params,
        by_number,
    })
}

/// Whether null in answer to this method, asked by hash, says that the block is not known: it is not when what is asked for is
/// in a known block, as a transaction at an index.
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
