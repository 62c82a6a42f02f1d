//! `nexum account`.

use clap::Subcommand;
use nexum_accounts::AccountName;

use super::{Format, Why};

#[derive(Debug, Subcommand)]
pub(crate) enum Account {
    /// Show the accounts of the configuration, and the modules that may sign with them
    List {
        /// Output format
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show an account: its chains, its next nonces, and the spending of its modules
    Show {
        /// The account
        account: AccountName,
        /// Output format
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Continue with an account after another program has used its key
    Sync {
        /// The account
        account: AccountName,
        /// The only chain [default: all chains on which nexum has sent something from the account]
        #[arg(long, value_name = "ID")]
        chain: Option<u64>,
        #[command(flatten)]
        why: Why,
        /// Output format
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// List the transactions that are in no block, or in one that is not settled yet, and why
    Pending {
        /// The account [default: all accounts]
        account: Option<AccountName>,
        /// List settled and lost transactions too: the newest 1,000
        #[arg(long)]
        all: bool,
        /// Output format
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}
