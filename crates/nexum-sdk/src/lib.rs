//! Write modules for nexum.
//!
//! A module is a type with the attribute [`macro@module`] on its `impl`. Its handlers get typed
//! events, read chains, and keep state. This module adds up the balances of some accounts at each
//! block, and counts large transfers:
//!
//! ```
//! use nexum_sdk::testing::Harness;
//! use nexum_sdk::{Address, Block, Decoded, Result, U256, address, info, module, sol, store, try_join_all};
//!
//! sol! {
//!     event Transfer(address indexed from, address indexed to, uint256 value);
//!
//!     #[sol(rpc)]
//!     interface IERC20 {
//!         function balanceOf(address owner) external view returns (uint256);
//!     }
//! }
//!
//! /// The `[config]` of the manifest.
//! #[derive(serde::Deserialize)]
//! struct Settings {
//!     token: Address,
//!     owners: Vec<Address>,
//!     #[serde(default)]
//!     least: U256,
//! }
//!
//! const LARGE: store::Counter = store::Counter::new("large");
//!
//! struct Watch {
//!     settings: Settings,
//! }
//!
//! #[module]
//! impl Watch {
//!     fn init(settings: Settings) -> Result<Self> {
//!         Ok(Self { settings })
//!     }
//!
//!     #[on_block(chain_id = 11155111)]
//!     async fn add_up(&mut self, block: Block) -> Result {
//!         let token = IERC20::new(self.settings.token, block.chain());
//!         // Calls that are awaited together are one request to the node.
//!         let calls = self.settings.owners.iter().map(|owner| token.balanceOf(*owner).call());
//!         let total: U256 = try_join_all(calls).await?.into_iter().sum();
//!         info!(block = block.number, "total {total}");
//!         Ok(())
//!     }
//!
//!     #[on_event(Transfer, chain_id = 11155111)]
//!     fn count(&mut self, transfer: Decoded<Transfer>) -> Result {
//!         if transfer.event.value >= self.settings.least {
//!             LARGE.add(1)?;
//!         }
//!         Ok(())
//!     }
//! }
//!
//! // A test of the module, without a node and without a component.
//! let token = address!("c02aaa39b223fe8d0a0e5c4f27ead9083c756cc2");
//! let owners = format!("{}, {}", Address::with_last_byte(1), Address::with_last_byte(2));
//! let mut watch = Harness::<Watch>::new(&[("token", &token.to_string()), ("owners", &owners)])?;
//! watch.host.on_call(token, |_: IERC20::balanceOfCall| U256::from(7));
//! watch.block(5)?;
//! assert_eq!(watch.host.messages_logged(), ["total 14 block=5"]);
//! assert_eq!(watch.host.batches, [2]);
//! # Ok::<_, nexum_sdk::Error>(())
//! ```
//!
//! The module's crate has the type `cdylib`, and `serde` if it has settings. It needs no other
//! dependency, and no bindings of its own.
//!
//! # Invariants
//!
//! - A component imports only the interfaces of the functions that it calls.
//! - The signature of an event in the manifest is the signature of its type: both are one constant.
//! - The crate depends on no other crate of nexum except its macros.

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
#[allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::all,
    clippy::doc_markdown,
    rust_2018_idioms,
    reason = "generated"
)]
pub mod bindings;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod guest;

/// The module of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub mod accounts;
#[cfg(feature = "alloy")]
pub mod alloy;
pub mod chain;
pub mod clock;
pub mod config;
pub mod contract;
pub mod cow;
mod digits;
mod error;
mod event;
mod executor;
mod host;
pub mod http;
mod join;
pub mod log;
pub mod manifest;
pub mod messaging;
mod module;
mod multicall3;
pub mod random;
pub mod store;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod types;

pub use alloy_primitives::{Address, B256, Bytes, U256, address, b256, hex, keccak256};
pub use alloy_sol_types as sol_types;
pub use futures_util::{join, try_join};
pub use nexum_sdk_macros::module;

pub use chain::{BlockId, Chain};
pub use error::{Error, ErrorKind, Result};
pub use event::{Block, Decoded, Event, Log, Message, Tick};
pub use executor::block_on;
pub use join::{join_all, try_join_all};
pub use log::Level;
pub use module::{Json, Module, QueryInput, QueryOutput};

/// Solidity types, functions, events and interfaces as Rust types: the macro of `alloy-sol-types`.
///
/// With `#[sol(rpc)]`, an interface gets the type of its contract, whose functions can be called on
/// a [`Chain`].
///
/// With the feature `abi`, an interface can come from an ABI file, or from the JSON that a compiler
/// writes: `sol!(#[sol(rpc)] IERC20, "abi/IERC20.json")`. The path is relative to the directory of
/// the module's `Cargo.toml`. A change of the file builds the module again.
#[macro_export]
macro_rules! sol {
    ($($solidity:tt)*) => {
        $crate::sol_types::sol! {
            #![sol(alloy_sol_types = $crate::sol_types, alloy_contract = $crate::contract)]
            $($solidity)*
        }
    };
}
