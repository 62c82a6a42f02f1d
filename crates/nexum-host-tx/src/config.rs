//! `[transactions]`: how nexum gets transactions into blocks.

use std::ops::RangeInclusive;
use std::time::Duration;

use nexum_config::document::{ConfigErrors, Defaults, NumberRange, Section};
use serde::Deserialize;

/// The name of the section.
pub const TX_SECTION: &str = "transactions";

/// Default of `bump_after_blocks`: most transactions with a fair fee are in one of the next two blocks.
pub const BUMP_AFTER_BLOCKS: u64 = 3;

/// Default of `bumps_max`: eight replacements raise a fee to two and a half times.
pub const BUMPS_MAX: u64 = 8;

const BLOCKS_RANGE: RangeInclusive<u64> = 1..=10_000;
const BUMPS_RANGE: RangeInclusive<u64> = 0..=100;

/// Default of [`TxConfig::keep`]: as long as the records of effects.
const KEEP: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The settings of all accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxConfig {
    /// The blocks without the transaction after which nexum replaces it by one with higher fees.
    pub bump_after_blocks: u64,
    /// The most replacements.
    pub bumps_max: u64,
    /// How long the state keeps a transaction that is settled. The embedder sets it, so that transactions stay as long as
    /// the records of effects.
    pub keep: Duration,
    /// The pause between two looks at a chain.
    pub look_every: Duration,
}

impl Default for TxConfig {
    fn default() -> Self {
        Self {
            bump_after_blocks: BUMP_AFTER_BLOCKS,
            bumps_max: BUMPS_MAX,
            keep: KEEP,
            look_every: Duration::from_secs(1),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    bump_after_blocks: Option<u64>,
    bumps_max: Option<u64>,
}

impl TxConfig {
    /// Reads `[transactions]`.
    ///
    /// # Errors
    ///
    /// All errors in the section.
    pub fn from_section(section: &Section) -> Result<Self, ConfigErrors> {
        let numbers: [NumberRange; 2] = [("bump_after_blocks", BLOCKS_RANGE), ("bumps_max", BUMPS_RANGE)];
        let mut errors = Vec::new();
        let raw = section.parse_bounded::<Raw>(&numbers, &mut errors);
        ConfigErrors::check(errors)?;
        let default = Self::default();
        Ok(raw.map_or_else(Self::default, |raw| Self {
            bump_after_blocks: raw.bump_after_blocks.unwrap_or(default.bump_after_blocks),
            bumps_max: raw.bumps_max.unwrap_or(default.bumps_max),
            ..default
        }))
    }

    /// The default values of the keys.
    pub fn defaults() -> Vec<(&'static str, Defaults)> {
        let number = |number: u64| Some(number.to_string());
        let keys = vec![
            ("bump_after_blocks", number(BUMP_AFTER_BLOCKS)),
            ("bumps_max", number(BUMPS_MAX)),
        ];
        vec![(TX_SECTION, keys)]
    }
}
