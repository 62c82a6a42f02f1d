//! Transactions of modules in a whole host, on a real node behind a gateway that fails and lies as a test says.
//!
//! `faults` names faults that other programs had in public. Other tests have two of them:
//!
//! - execution-apis #245 and nethermind #4148, a node that answers `AlreadyKnown` instead of the hash:
//!   `every_endpoint_gets_a_transaction_once_and_its_answer_is_told` of `nexum-host-chain`;
//! - OZ relayer #681, the health of an endpoint that answers `nonce too low`: the same test.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod checks;
mod faults;
mod gateway;
mod histories;
mod tender;
mod world;
