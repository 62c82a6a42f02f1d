//! The module `twap` in the real daemon, on a chain with the contracts of CoW Protocol and with an
//! order book that checks each order against this chain.
//!
//! The chain's time is the order book's time, and a test moves it by mining.

mod crowds;
mod faults;
mod hostile;
mod parts;
mod tower;
