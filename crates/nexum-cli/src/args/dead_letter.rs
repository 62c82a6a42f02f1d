//! `nexum dead-letter`.

use clap::Subcommand;
use nexum_config::names::ModuleName;

use super::Format;

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLetter {
    /// List them, oldest block first
    List {
        /// The module
        module: ModuleName,
        /// How to print them
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show one, with its attempts and what the module logged in them
    Show {
        /// The module
        module: ModuleName,
        /// The event, as `list` names it
        event: String,
    },
    /// Have the module try them again, one after the other. What goes well is no dead letter any more
    Retry {
        /// The module
        module: ModuleName,
        #[command(flatten)]
        events: Letters,
    },
    /// Forget them: the module will never handle these events
    Skip {
        /// The module
        module: ModuleName,
        #[command(flatten)]
        events: Letters,
    },
}

/// Which dead letters are meant.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Letters {
    /// The events, as `list` names them
    #[arg(value_name = "EVENT")]
    pub(crate) events: Vec<String>,
    /// All of them
    #[arg(long)]
    pub(crate) all: bool,
}
