//! `nexum query`.

use std::path::PathBuf;

use clap::ValueEnum;

/// The question for a module.
#[derive(Debug, clap::Args)]
pub(crate) struct Question {
    /// The function to call; without it, the question is for `evaluate` or
    /// the module's default function
    #[arg(
        conflicts_with_all = ["input", "input_hex", "input_file"],
        required_unless_present_any = ["input", "input_hex", "input_file", "args", "args_file", "list"]
    )]
    pub(crate) function: Option<String>,
    #[command(flatten)]
    pub(crate) input: Input,
    #[command(flatten)]
    pub(crate) args: Arguments,
    /// List the functions of the module
    #[arg(long, conflicts_with_all = ["function", "input", "input_hex", "input_file", "args", "args_file"])]
    pub(crate) list: bool,
}

/// The question for `evaluate`.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
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

/// The arguments of a function.
#[derive(Debug, clap::Args)]
#[group(multiple = false, conflicts_with = "Input")]
pub(crate) struct Arguments {
    /// The arguments: a JSON object by name, or an array by position
    #[arg(long, value_name = "JSON")]
    pub(crate) args: Option<String>,
    /// A file with the arguments; - is stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) args_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Answer {
    /// The bytes as they are
    Raw,
    /// Text with a line break; an error if the answer is not UTF-8
    Text,
    /// 0x and hexadecimal digits
    Hex,
    /// Indented JSON; an error if the answer is not JSON
    Json,
}
