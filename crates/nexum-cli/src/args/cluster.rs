//! `nexum cluster`.

use clap::Subcommand;
use nexum_config::names::ModuleName;

use super::Format;

#[derive(Debug, Subcommand)]
pub(crate) enum Cluster {
    /// Create the tables of nexum as far as they are missing, and replace the functions. The user needs
    /// the rights to create them
    Init {
        /// Output format
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show the nodes, and the node of each module
    #[command(after_help = "\
LEASE is the time until the lease of a node ends, and MODULES the number of
modules that it runs, of those that it can run. SINCE is the time since the last
change of the node, WANTED the node that you chose with `nexum cluster move`.

Exit codes: 0 all well, 1 a problem, 2 refused. A problem is a module that no
node runs for over two lease times, a lease without a renewal for half of its
time, and an installation without a live node.")]
    Status {
        /// Output format
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Let a node give its modules to other nodes, and take no more. This outlasts a restart
    Drain {
        /// The node [default: that of the configuration]
        node: Option<String>,
        /// Let the node take modules again
        #[arg(long)]
        undo: bool,
        /// Output format
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Move a module to a node, where it stays while the node can run it
    Move {
        /// The module
        module: ModuleName,
        #[command(flatten)]
        target: MoveTarget,
        /// Output format
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show the last changes of modules and nodes, newest first
    History {
        /// Only the changes of this module
        module: Option<ModuleName>,
        /// The most changes to show
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        /// Output format
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

/// The place of a moved module.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct MoveTarget {
    /// The node
    pub(crate) node: Option<String>,
    /// Let the nodes choose again
    #[arg(long)]
    pub(crate) anywhere: bool,
}
