//! A local chain with the contracts of CoW Protocol.
//!
//! `GPv2Settlement`, its vault relayer and its allow list, Safe and Multicall3 are the deployed
//! contracts, from npm. `ComposableCoW`, its handlers and the fallback handler are Solidity of this
//! crate's directory `solidity`, behind the deployed contracts' interfaces: the test `cow_vectors`
//! compares their answers with those of the deployed contracts. Each contract has the address that
//! it has on Sepolia.
//!
//! A [`CowChain`] mines only when it is asked to, so a caller decides which transactions share a
//! block. A block is one second later than the one before it, unless the caller names its time.

pub mod abi;
pub mod addresses;
mod chain;
mod code;
mod conditional;
mod deploy;
pub mod ethflow;
mod owners;
mod settle;
mod stop_loss;
mod tower;
mod tree;

pub use alloy_primitives::{Address, U256};
pub use chain::{CowChain, Transaction};
pub use code::Contracts;
pub use conditional::{Answer, ConditionalOrder, Twap, order_of};
pub use owners::{BLOCK_GAS, creation};
pub use stop_loss::StopLoss;
pub use tower::{TOWER, tower_config};
pub use tree::Tree;
