//! A module, from its files to a running instance.
//!
//! [`Loader`] turns a manifest and a component into a [`Candidate`], with every check that needs no
//! compiler. It then turns the candidate into a [`Loaded`] module with its parts. `instance` calls
//! into the guest.

pub(crate) mod call;
pub(crate) mod candidate;
pub(crate) mod consumption;
pub(crate) mod error;
pub(crate) mod exports;
pub(crate) mod failure;
pub(crate) mod functions;
pub(crate) mod instance;
pub(crate) mod load_errors;
pub(crate) mod loaded;
pub(crate) mod loader;
mod memory;
mod part;
pub(crate) mod query;
mod sandbox;
mod trigger;

pub use candidate::Candidate;
pub use consumption::{Consumption, LimitUse, is_measured};
pub use failure::Failure;
pub use functions::{
    Function, Functions, FunctionsError, Mismatch, Parameter, RESULT_BYTES_MAX, ResultError, ValueType,
};
pub use loaded::Loaded;
pub use loader::{Loader, LoaderSettings, Module};
pub use part::Part;
pub use query::QueryModule;
pub use sandbox::functions_of;
