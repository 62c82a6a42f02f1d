//! `nexum state`.

use std::path::PathBuf;

use clap::Subcommand;
use nexum_config::names::ModuleName;
use serde::{Deserialize, Serialize};

use super::{Format, Why};

#[derive(Debug, Subcommand)]
pub(crate) enum State {
    /// List the modules: keys, bytes, cursors
    List {
        /// Output format
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Print the value of a key
    Get {
        /// The module
        module: ModuleName,
        /// The key
        key: String,
        #[command(flatten)]
        form: Form,
    },
    /// List a module's keys and values
    Scan {
        /// The module
        module: ModuleName,
        /// Only keys with this prefix
        #[arg(long, default_value = "")]
        prefix: String,
        /// The most keys to list
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Write all state of a module as JSON lines
    Export {
        /// The module
        module: ModuleName,
        /// A new file [default: stdout]
        file: Option<PathBuf>,
    },
    /// Write the nonces, transactions and limits of all accounts as JSON lines
    ExportAccounts {
        /// A new file [default: stdout]
        file: Option<PathBuf>,
    },
    /// Read the output of `export` or `export-accounts`
    Import {
        /// The file [default: stdin]
        file: Option<PathBuf>,
        #[command(flatten)]
        why: Why,
    },
    /// Delete a module with all its state
    Purge {
        /// The module
        module: ModuleName,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        why: Why,
    },
    /// Return the space of deleted rows to the file system
    Compact,
    /// Copy everything to a new redb file
    Backup {
        /// A new file
        file: PathBuf,
        #[command(flatten)]
        why: Why,
    },
    /// Make a file of `backup` the state, and check it
    Restore {
        /// The file of `backup`
        file: PathBuf,
        /// Replace the present state, and keep it as state.redb.replaced
        #[arg(long)]
        replace: bool,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
    /// Compare counters, cursors and undo records with the data
    Verify,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, clap::Args)]
#[cfg_attr(feature = "runtime", derive(utoipa::ToSchema))]
#[group(multiple = false)]
pub(crate) struct Form {
    /// 0x and hexadecimal digits (default)
    #[arg(long)]
    pub(crate) hex: bool,
    /// Text; an error if the value is not UTF-8
    #[arg(long)]
    pub(crate) utf8: bool,
    /// Indented JSON; an error if the value is not JSON
    #[arg(long)]
    pub(crate) json: bool,
}
