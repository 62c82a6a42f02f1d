//! `nexum account`.

use clap::Subcommand;

use super::Format;

#[derive(Debug, Subcommand)]
pub(crate) enum Account {
    /// Show the accounts of the configuration, and the modules that may sign with them
    List {
        /// Output format
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}
