//! Runs a module in native tests, against a host that the test scripts.
//!
//! ```
//! use nexum_sdk::testing::Harness;
//! use nexum_sdk::{Block, Result, info, module};
//!
//! #[derive(Default)]
//! struct Hello;
//!
//! #[module]
//! impl Hello {
//!     #[on_block(chain_id = 1)]
//!     fn on_block(&mut self, block: Block) -> Result {
//!         info!("hello, block {}", block.number);
//!         Ok(())
//!     }
//! }
//!
//! let mut hello = Harness::<Hello>::new(&[])?;
//! hello.block(5)?;
//! assert_eq!(hello.host.messages_logged(), ["hello, block 5"]);
//! # Ok::<_, nexum_sdk::Error>(())
//! ```

mod harness;

pub use crate::host::Host;
pub use harness::Harness;
