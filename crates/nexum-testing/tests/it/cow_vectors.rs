//! The contracts of this crate answer as the deployed contracts do.

mod logs;
mod polls;
mod scene;
mod vectors;
