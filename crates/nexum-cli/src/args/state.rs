//! `nexum state`.

use std::path::PathBuf;

use clap::Subcommand;
use nexum_config::names::ModuleName;
use serde::{Deserialize, Serialize};

use super::Format;

#[derive(Debug, Subcommand)]
pub(crate) enum State {
    /// List modules: keys, bytes, cursors
    List {
        /// How to print them
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
        /// Only keys that begin with this
        #[arg(long, default_value = "")]
        prefix: String,
        /// How many at most
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Write all of a module as lines of JSON
    Export {
        /// The module
        module: ModuleName,
        /// A file that is not there yet [default: stdout]
        file: Option<PathBuf>,
    },
    /// Take in what `export` wrote
    Import {
        /// The file [default: stdin]
        file: Option<PathBuf>,
    },
    /// Remove a module and all that it kept
    Purge {
        /// The module
        module: ModuleName,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Give back the room that removed rows took
    Compact,
    /// Copy everything to a new redb file
    Backup {
        /// A file that is not there yet
        file: PathBuf,
    },
    /// Hold counters, cursors and undo records against the data
    Verify,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, clap::Args)]
#[group(multiple = false)]
pub(crate) struct Form {
    /// As 0x and hexadecimal digits: the default
    #[arg(long)]
    pub(crate) hex: bool,
    /// As text; refused where it is none
    #[arg(long)]
    pub(crate) utf8: bool,
    /// As JSON, laid out; refused where it is none
    #[arg(long)]
    pub(crate) json: bool,
}
