//! `nexum effect`.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use nexum_config::names::ModuleName;
use serde::{Deserialize, Serialize};

use super::{Format, Why};

#[derive(Debug, Subcommand)]
pub(crate) enum Effect {
    /// List the effects of all modules or of one, oldest first
    List {
        /// The module [default: all modules]
        module: Option<ModuleName>,
        #[command(flatten)]
        only: Only,
        /// Output format
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show one effect, with its request and the answer
    Show {
        /// The module
        module: ModuleName,
        /// The event id, as `list` prints it
        event: String,
        /// The number of the effect, as `list` prints it
        number: u32,
        /// Output format
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Say what happened: nexum then knows the outcome of an effect
    Resolve {
        /// The module
        module: ModuleName,
        /// The event id, as `list` prints it
        event: String,
        /// The number of the effect, as `list` prints it
        number: u32,
        /// Whether the receiver has acted on the request
        #[arg(long = "as", value_enum, value_name = "OUTCOME")]
        outcome: Outcome,
        /// The receiver's answer, which the module gets at the next attempt [default: an empty answer]
        #[arg(long, value_name = "FILE")]
        answer: Option<PathBuf>,
        #[command(flatten)]
        why: Why,
    },
}

/// Selects effects by their state.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
pub(crate) struct Only {
    /// Only effects in doubt: nexum does not know whether they happened, and does not send them again
    #[arg(long)]
    pub(crate) unknown: bool,
    /// Only stranded effects: the module's state does not know them any more
    #[arg(long)]
    pub(crate) stranded: bool,
}

/// The receiver's treatment of the request of an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[cfg_attr(feature = "runtime", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "runtime", schema(as = EffectOutcome))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// The receiver accepted the request
    Done,
    /// The receiver has not acted on the request: nexum sends it again
    NotSent,
}
