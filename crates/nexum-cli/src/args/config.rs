//! `nexum config`.

use clap::{Subcommand, ValueEnum};

use super::Load;

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Show the configuration that `nexum run` would read, or that the daemon runs with: the origin of
    /// each value, and no secrets
    #[command(after_help = "\
Examples:
  nexum config show                           the values of the file
  nexum config show --effective               and the default values
  nexum config show --effective | grep level  one of them
  nexum config show --running                 the values of the running daemon

Of a URL, nexum shows the scheme, host and port. It never shows the values of
headers, the content of variables, files and credentials, or the value of a key
whose name says that it is a secret. It shows `…` in their place.

Exit codes: 0 shown, 2 the configuration has errors.")]
    Show(ShowConfig),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ShowConfig {
    #[command(flatten)]
    pub(crate) load: Load,
    /// Show all keys, those without an entry too
    #[arg(long)]
    pub(crate) effective: bool,
    /// Show the configuration of the running daemon, which its file may no longer have
    #[arg(long, conflicts_with_all = ["files", "manifest"])]
    pub(crate) running: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: ConfigFormat,
}

/// The format of a configuration.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum ConfigFormat {
    #[default]
    Toml,
    Json,
}
