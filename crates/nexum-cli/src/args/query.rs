//! `nexum query`.

use std::path::PathBuf;

use clap::ValueEnum;

/// The question for a query module.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Input {
    /// The question as text
    #[arg(long, value_name = "TEXT")]
    pub(crate) input: Option<String>,
    /// The question as 0x and hexadecimal digits
    #[arg(long, value_name = "DIGITS")]
    pub(crate) input_hex: Option<String>,
    /// A file with the question; - is stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) input_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Answer {
    /// The bytes as they are
    #[default]
    Raw,
    /// Text with a line break; an error if the answer is not UTF-8
    Text,
    /// 0x and hexadecimal digits
    Hex,
    /// Indented JSON; an error if the answer is not JSON
    Json,
}
