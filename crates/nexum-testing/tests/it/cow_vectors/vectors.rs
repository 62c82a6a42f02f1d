//! The answers of the deployed contracts, read from files.

use std::path::PathBuf;

use alloy_primitives::{Address, B256, Bytes};
use nexum_testing::cow::ConditionalOrder;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The environment variable with the directory of the vectors. The default is the copy in the tree.
const VARIABLE: &str = "COW_VECTORS";

/// A poll of a conditional order, and its answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Poll {
    pub(super) name: String,
    pub(super) owner: Address,
    pub(super) params: Params,
    pub(super) id: B256,
    pub(super) proof: Vec<B256>,
    pub(super) offchain_input: Bytes,
    pub(super) block: Block,
    pub(super) success: bool,
    /// The result or the revert data, which the file can abbreviate.
    pub(super) return_data: String,
    pub(super) decoded: Option<Decoded>,
    pub(super) eip1271: Option<Eip1271>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Params {
    pub(super) handler: Address,
    pub(super) salt: B256,
    /// The file can abbreviate it.
    pub(super) static_input: String,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Block {
    pub(super) number: u64,
    pub(super) timestamp: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Decoded {
    pub(super) signature: Option<Bytes>,
    pub(super) digest: Option<B256>,
    pub(super) uid: Option<Bytes>,
}

/// The answer of the owner to its signature.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Eip1271 {
    pub(super) ok: bool,
    pub(super) data: Bytes,
}

/// A log of a contract.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Log {
    pub(super) name: String,
    pub(super) address: Address,
    pub(super) topics: Vec<B256>,
    pub(super) data: Bytes,
    pub(super) block_number: u64,
}

impl Poll {
    /// The conditional order.
    pub(super) fn order(&self) -> ConditionalOrder {
        let static_input = match self.params.static_input.parse() {
            Ok(input) => input,
            Err(_) => super::scene::abbreviated(&self.name),
        };
        ConditionalOrder {
            handler: self.params.handler,
            salt: self.params.salt,
            static_input,
        }
    }
}

/// The polls of a file. A case without an owner is another call.
pub(super) fn polls(file: &str) -> Vec<Poll> {
    let cases: Vec<serde_json::Value> = read(file);
    let polls = cases.into_iter().filter(|case| case.get("owner").is_some());
    let parse = |case| serde_json::from_value(case).unwrap_or_else(|error| panic!("{file}: {error}"));
    polls.map(parse).collect()
}

/// The content of a file.
pub(super) fn read<T: DeserializeOwned>(file: &str) -> T {
    let in_the_tree = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../modules/vectors");
    let directory = std::env::var_os(VARIABLE).map_or(in_the_tree, PathBuf::from);
    let path = directory.join(file);
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
