//! What the core promises, shown on real guests.

mod contract;
mod events;
mod fixtures;
mod loading;
mod support;
