//! `nexum try` and `nexum replay`: a module on past blocks.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::ValueEnum;
use nexum_config::names::ModuleName;
use serde::Serialize;

use super::Format;

#[derive(Debug, clap::Args)]
pub(crate) struct Try {
    /// The component
    #[arg(value_name = "MODULE.wasm")]
    pub(crate) component: PathBuf,
    /// The number of the block
    #[arg(long, value_name = "NUMBER")]
    pub(crate) block: u64,
    /// The module of engine.toml whose state, configuration and rules the component gets
    #[arg(long, value_name = "NAME")]
    pub(crate) module: Option<ModuleName>,
    #[command(flatten)]
    pub(crate) rules: Rules,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Replay {
    /// The module of engine.toml
    pub(crate) module: ModuleName,
    /// The numbers of the first and the last block
    #[arg(long, value_name = "FIRST..LAST", value_parser = numbers)]
    pub(crate) blocks: RangeInclusive<u64>,
    /// A component to compare with the module's own
    #[arg(long, value_name = "NEW.wasm")]
    pub(crate) with: Option<PathBuf>,
    /// The origin of blocks, logs and answers [default: recorded if the ledger has all of them]
    #[arg(long, value_enum)]
    pub(crate) inputs: Option<Inputs>,
    #[command(flatten)]
    pub(crate) rules: Rules,
}

/// The conditions of a trial.
#[derive(Debug, clap::Args)]
pub(crate) struct Rules {
    /// The manifest of the component [default: nexum.toml or module.toml beside it, or else that of
    /// the module]
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: Option<PathBuf>,
    /// The chain, if the module subscribes to more than one
    #[arg(long, value_name = "ID")]
    pub(crate) chain: Option<u64>,
    /// The state that the module starts with [default: now for `try --module`, before for
    /// `replay`]
    #[arg(long, value_enum)]
    pub(crate) state: Option<StartState>,
    /// The answer to effects, which nexum never sends
    #[arg(long, value_enum, default_value_t)]
    pub(crate) effects: Effects,
    /// Refuse the reads that nexum cannot pin to the block, such as HTTP requests
    #[arg(long)]
    pub(crate) pinned_only: bool,
    /// The configuration file [default: that of `nexum run`]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// The origin of the blocks, the logs and the answers of a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Inputs {
    /// The event ledger with `arguments = true`. nexum asks no endpoint
    Recorded,
    /// The endpoints of the chain, at each block
    Reread,
}

/// The state that a trial starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StartState {
    /// No keys
    Empty,
    /// The module's state of now
    Now,
    /// The module's state before the first block, as far as its undo records reach
    Before,
}

/// The answer to effects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Effects {
    /// `denied`
    #[default]
    Refuse,
    /// The answer of a receiver that accepts them, if nexum knows it; otherwise `denied`
    AssumeOk,
}

/// Reads `FIRST..LAST`.
fn numbers(text: &str) -> Result<RangeInclusive<u64>, String> {
    let (first, last) = text.split_once("..").ok_or("expected FIRST..LAST, such as 100..200")?;
    let number = |text: &str| {
        let parsed = text.strip_prefix('=').unwrap_or(text).parse::<u64>();
        parsed.map_err(|_| format!("`{text}` is not a block number"))
    };
    let (first, last) = (number(first)?, number(last)?);
    match first <= last {
        true => Ok(first..=last),
        false => Err(format!("the first block {first} is above the last block {last}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_a_first_and_a_last_block() {
        for (text, expected) in [
            ("1..3", Ok(1..=3)),
            ("7..7", Ok(7..=7)),
            ("1..=3", Ok(1..=3)),
            ("3..1", Err("the first block 3 is above the last block 1")),
            ("1", Err("expected FIRST..LAST, such as 100..200")),
            ("1..", Err("`` is not a block number")),
            ("0x1..2", Err("`0x1` is not a block number")),
        ] {
            assert_eq!(numbers(text), expected.map_err(str::to_owned), "{text}");
        }
    }
}
