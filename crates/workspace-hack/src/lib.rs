//! Gives third-party crates one set of features in every build of nexum, so that cargo compiles each of them once.
//!
//! The crate has no code. Cargo compiles a dependency again for each set of features, with all that depends on it: without
//! this crate, cargo compiles wasmtime three times to test and build nexum. Each entry of `Cargo.toml` is a crate that the
//! binary depends on in any case, with the features that the whole workspace selects. The crate adds no package to a build.
//!
//! The step `features` of `cargo xtask ci` names the entries that are missing.
