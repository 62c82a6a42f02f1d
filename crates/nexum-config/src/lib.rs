//! What operators and module authors write for nexum, read and validated without running any of it.
//!
//! # Where to look
//!
//! | module | what it owns |
//! |---|---|
//! | [`engine`] | the operator's file, `engine.toml` |
//! | [`manifest`] | the module author's file, `nexum.toml` |
//! | [`document`] | TOML files that know the place of every key, and errors that name it |
//! | [`component`] | a component file: its digest, imports, exports and needs |
//! | [`limits`], [`restart`], [`query`] | bounds on what a module may use, on its failures and on its queries |
//! | [`causes`], [`harmless`] | an error with its causes in one line; text from others, safe for a terminal |
//! | [`names`], [`topic`], [`log_filter`], [`schedule`] | what the files name: modules, digests, chains, logs, times |
//!
//! # Assumptions
//!
//! - Every file is hostile: its size, its nesting and the number of its errors are bounded.
//!
//! # Invariants
//!
//! - This crate has no WebAssembly runtime: a build that only checks files needs no other crate of the core.
//! - No error and no `Debug` shows the content of an environment variable, or more of a URL than its scheme and host.

pub mod causes;
pub mod component;
pub mod document;
pub mod engine;
pub mod harmless;
pub mod limits;
pub mod log_filter;
pub mod manifest;
pub mod names;
pub mod query;
pub mod restart;
pub mod schedule;
pub mod topic;
