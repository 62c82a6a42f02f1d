//! The capability `chain`: modules' requests, from their checks to the guest's answer.

mod access;
pub(crate) mod chain;
pub(crate) mod chains;
mod effects;
mod host;
pub mod pin;
pub(crate) mod reads;
pub(crate) mod replace;
pub(crate) mod requests;
