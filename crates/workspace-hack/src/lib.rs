//! Gives third-party crates the same features in every build of nexum, so that cargo compiles each of them once.
//!
//! The crate has no code. Cargo compiles a dependency again for each set of features, with all that depends on it: without
//! this crate, wasmtime is compiled three times to test and build nexum. Each entry of `Cargo.toml` names the features that
//! the whole workspace selects, for a crate that the binary depends on in any case. The crate adds no package to a build.
//!
//! The step `features` of `cargo xtask ci` names the entries that are missing.
