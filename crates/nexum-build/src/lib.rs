//! Builds modules for nexum: finds the compiler, makes the component, and generates its manifest.
//!
//! [`Project::find`] recognises an author's project, and [`build()`] writes `build/NAME.wasm` and
//! `build/nexum.toml`, the files that an operator installs.
//!
//! # Where to look
//!
//! | module | what it owns |
//! |---|---|
//! | [`project`] | an author's directory: its name and its language |
//! | [`template`] | the projects that `nexum new` makes |
//! | [`mod@build`] | the steps of a build, which every language shares |
//! | `rust`, `javascript`, `python`, `c` | from the sources of one language to a component |
//! | `world` | the imports and exports of a module that is not in Rust |
//! | `test` | the command that runs the native tests of a project |
//! | `component` | the component is checked |
//! | `rename` | other names for the exports of a component |
//! | [`manifest`] | the complete manifest, from the code and the author's file |
//! | [`output`] | the files of a finished build |
//! | [`toolchain`] | the Rust compiler for guests: found, or made from Debian's packages |
//! | [`tools`] | programs in pinned versions, from the registries of npm and `PyPI` |
//! | [`anvil`] | the local Ethereum node: found, or fetched from npm, and started |
//! | [`cache`] | the directory of tools in the user's cache |
//! | [`process`], [`progress`] | child processes, and reports to the caller |
//!
//! # Assumptions
//!
//! - The author trusts the project: its build scripts run on the machine of the author, as with
//!   `cargo build`.
//!
//! # Invariants
//!
//! - The crate prints nothing: the caller gets reports through [`Progress`]. A compiler writes its
//!   own messages to stderr.
//! - Nothing is installed on the machine. A compiler of Rust is made only if the caller asks for it.
//!   The tools of the other languages go to the user's cache at their first use.
#![allow(
    clippy::disallowed_methods,
    reason = "a build uses the clock and the environment of the machine of the author"
)]

pub mod build;
pub mod project;
pub mod template;

mod component;
mod files;
pub mod manifest;
pub mod output;

mod c;
mod compiled;
mod javascript;
mod python;
mod rust;

mod rename;
mod test;
mod world;

pub mod toolchain;
pub mod tools;

pub mod anvil;

pub mod cache;
pub mod error;
pub mod process;
pub mod progress;

pub use build::{Built, build};
pub use compiled::Options;
pub use error::Error;
pub use progress::{Progress, Silent};
pub use project::{Language, Project};
pub use test::test_command;
