//! The capability `chain`: what modules ask, from the checks of a request to the answer a guest gets.

pub(crate) mod chains;
mod host;
pub mod pin;
pub(crate) mod reads;
pub(crate) mod requests;
