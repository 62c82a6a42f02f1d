//! A module, from its files to a running instance.
//!
//! [`Loader`](loader::Loader) turns a manifest and a component into a
//! [`Candidate`](candidate::Candidate), with every check that needs no compiler. It then turns the
//! candidate into a [`Module`](loader::Module) or a [`QueryModule`](query::QueryModule).
//! [`instance`] calls into the guest.

pub mod candidate;
pub mod consumption;
pub mod error;
mod exports;
pub mod instance;
pub mod load_errors;
pub mod loader;
mod loading;
mod memory;
pub mod query;
mod signature;
