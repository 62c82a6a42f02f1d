//! A module from its files to a running instance.
//!
//! [`Loader`](loader::Loader) makes a [`Candidate`](candidate::Candidate) of a manifest and a component, with every check that needs
//! no compiler, and then a [`Module`](loader::Module) or a [`QueryModule`](query::QueryModule). [`instance`] calls into the guest.

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
