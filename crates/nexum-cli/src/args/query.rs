//! `nexum query`.

use std::path::PathBuf;

use clap::ValueEnum;

/// What a module is asked.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Input {
    /// Text
    #[arg(long, value_name = "TEXT")]
    pub(crate) input: Option<String>,
    /// Bytes, as 0x and hexadecimal digits
    #[arg(long, value_name = "DIGITS")]
    pub(crate) input_hex: Option<String>,
    /// What is in a file; - is stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) input_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Answer {
    /// The bytes as they are
    #[default]
    Raw,
    /// As text and a line's end; refused where it is none
    Text,
    /// As 0x and hexadecimal digits
    Hex,
    /// As JSON, laid out; refused where it is none
    Json,
}
