//! `nexum dead-letter`.

use clap::Subcommand;
use nexum_config::names::ModuleName;

use super::{Format, Why};

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLetter {
    /// List a module's dead letters, oldest block first
    List {
        /// The module
        module: ModuleName,
        /// Output format
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show one dead letter, with its attempts and the module's log records in each
    Show {
        /// The module
        module: ModuleName,
        /// The event id, as `list` prints it
        event: String,
        /// Output format
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Retry dead letters, one after the other. A successful retry removes the dead letter
    #[command(override_usage = "\
nexum dead-letter retry [OPTIONS] <MODULE> <EVENT>...
       nexum dead-letter retry [OPTIONS] <MODULE> --all")]
    Retry {
        /// The module
        module: ModuleName,
        #[command(flatten)]
        events: Letters,
        #[command(flatten)]
        why: Why,
    },
    /// Drop dead letters: the module never handles these events
    #[command(override_usage = "\
nexum dead-letter skip [OPTIONS] <MODULE> <EVENT>...
       nexum dead-letter skip [OPTIONS] <MODULE> --all")]
    Skip {
        /// The module
        module: ModuleName,
        #[command(flatten)]
        events: Letters,
        #[command(flatten)]
        why: Why,
    },
}

/// Selects dead letters.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Letters {
    /// The event ids, as `list` prints them
    #[arg(value_name = "EVENT")]
    pub(crate) events: Vec<String>,
    /// All dead letters of the module
    #[arg(long)]
    pub(crate) all: bool,
}
