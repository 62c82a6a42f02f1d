//! The files that operators and module authors write for nexum. This crate reads and validates
//! them, and runs no module.
//!
//! # Where to look
//!
//! | module | what it owns |
//! |---|---|
//! | [`engine`] | the operator's file, `engine.toml` |
//! | [`manifest`] | the module author's file, `nexum.toml` |
//! | [`document`] | TOML documents that keep the position of every key, and errors that report it |
//! | [`aliases`] | old names of keys and values, which [`document`] replaces |
//! | [`component`], [`command`] | a component file, and a command's file: digest, imports, exports and needs |
//! | [`interface`] | names and versions of WIT interfaces |
//! | [`limits`], [`restart`], [`query`] | limits on a module's resources, its retries and its concurrent queries |
//! | [`backoff`] | waits between retries, also of other crates |
//! | [`files`] | the directory of read-only files that a manifest names |
//! | [`masked_path`], [`regular_file`] | paths whose text shows no variable's content, and bounded reads of regular files |
//! | [`causes`], [`hint`], [`harmless`] | an error with its causes in one line, and its remedy; text from others, safe for a terminal |
//! | [`names`], [`topic`], [`log_filter`], [`schedule`] | module names, digests, chains, log filters and schedules |
//!
//! # Assumptions
//!
//! - Every file is hostile. The crate bounds its size, its nesting and the number of reported
//!   errors.
//!
//! # Invariants
//!
//! - This crate has no WebAssembly runtime. A build that only checks files needs no other crate of
//!   the core.
//! - No error and no `Debug` shows content that replaces a `${..}`, or more of a URL than
//!   its scheme and host.

pub mod aliases;
pub mod backoff;
pub mod causes;
pub mod command;
pub mod component;
mod content;
pub mod document;
pub mod engine;
pub mod files;
pub mod harmless;
pub mod hint;
pub mod interface;
pub mod limits;
pub mod log_filter;
pub mod manifest;
pub mod masked_path;
pub mod names;
pub mod query;
pub mod regular_file;
pub mod restart;
pub mod schedule;
pub mod topic;
