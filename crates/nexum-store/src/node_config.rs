//! The keys of `[cluster]`: this process as a node of an installation.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use nexum_config::document::{ConfigErrors, Defaults, NumberRange, Section};
use nexum_core::membership::Membership;
use nexum_core::store::StateStore;
use serde::Deserialize;

/// The range of `lease_ttl_ms`. Below a second, a pause of a busy machine ends the lease. Above a
/// minute, the modules of a node that was cut off wait too long.
pub const LEASE_TTL_MS_RANGE: RangeInclusive<u64> = 1_000..=60_000;

/// The range of `weight`. The placement draws a number for each unit.
pub const WEIGHT_RANGE: RangeInclusive<u64> = 1..=100;

/// The range of `rebalance_after_ms`. After a day, an operator has looked.
pub const REBALANCE_AFTER_MS_RANGE: RangeInclusive<u64> = 0..=86_400_000;

/// The most bytes of a node's name or address. A name in PostgreSQL's table of locks is no longer.
pub const NODE_BYTES_MAX: usize = 63;

/// Default of `lease_ttl_ms`.
const LEASE_TTL: Duration = Duration::from_secs(5);

/// Default of `rebalance_after_ms`: longer than a restart of a node.
const REBALANCE_AFTER: Duration = Duration::from_secs(60);

/// The validated `[cluster]` table: this process as a node of an installation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterConfig {
    /// The name of the node. Default: that of the machine. Of two processes with one name, the second waits for the end of the first.
    pub node: String,
    /// The address at which an operator finds the node's API. Other nodes show it in their reports.
    pub address: Option<String>,
    /// The node's part of the modules, relative to the weights of other nodes. Default 1.
    pub weight: u32,
    /// How long the node owns its modules without a confirmation of the database. Default five seconds.
    pub lease_ttl: Duration,
    /// Whether the node holds a lock in the database, which shows its crash in less than a second. A
    /// connection pool in transaction mode does not allow this. Default true.
    pub session_lock: bool,
    /// How long the nodes must stay the same before a module moves to a node with fewer modules. Default
    /// one minute.
    pub rebalance_after: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    node: Option<String>,
    address: Option<String>,
    weight: Option<u64>,
    lease_ttl_ms: Option<u64>,
    session_lock: Option<bool>,
    rebalance_after_ms: Option<u64>,
}

impl ClusterConfig {
    /// The range of each number, by its key.
    const RANGES: [NumberRange; 3] = [
        ("weight", WEIGHT_RANGE),
        ("lease_ttl_ms", LEASE_TTL_MS_RANGE),
        ("rebalance_after_ms", REBALANCE_AFTER_MS_RANGE),
    ];

    /// The settings of a node, with the defaults of the others.
    pub fn new(node: impl Into<String>) -> Self {
        Self {
            node: node.into(),
            address: None,
            weight: 1,
            lease_ttl: LEASE_TTL,
            session_lock: true,
            rebalance_after: REBALANCE_AFTER,
        }
    }

    /// The keys with their default values.
    pub fn defaults() -> Defaults {
        let Self {
            node: _,
            address: _,
            weight,
            lease_ttl,
            session_lock,
            rebalance_after,
        } = Self::new("");
        vec![
            ("node", None),
            ("address", None),
            ("weight", Some(weight.to_string())),
            ("lease_ttl_ms", Some(lease_ttl.as_millis().to_string())),
            ("session_lock", Some(session_lock.to_string())),
            ("rebalance_after_ms", Some(rebalance_after.as_millis().to_string())),
        ]
    }

    /// Validates the `[cluster]` table. `machine` is the name of the machine.
    ///
    /// # Errors
    ///
    /// All errors in the table.
    pub fn from_section(section: &Section, machine: &str) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let mut config = Self::new(machine);
        if let Some(raw) = section.parse_bounded::<Raw>(&Self::RANGES, &mut errors) {
            let is_default = raw.node.is_none();
            config.node = raw.node.unwrap_or(config.node);
            if !is_text(&config.node) || config.node == SINGLE {
                let message = format!("a node's name has 1 to {NODE_BYTES_MAX} printable bytes, and is not {SINGLE}");
                let error = section.error("node", message);
                errors.push(match is_default {
                    true => error.with_hint(format!("the machine's name is {machine:?}: set `node`")),
                    false => error,
                });
            }
            if let Some(address) = raw.address {
                if !is_text(&address) {
                    let message = format!("an address has 1 to {NODE_BYTES_MAX} printable bytes");
                    errors.push(section.error("address", message));
                }
                config.address = Some(address);
            }
            let bounded = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
            config.weight = raw.weight.map_or(config.weight, bounded);
            config.lease_ttl = raw.lease_ttl_ms.map_or(config.lease_ttl, Duration::from_millis);
            config.session_lock = raw.session_lock.unwrap_or(config.session_lock);
            config.rebalance_after = raw
                .rebalance_after_ms
                .map_or(config.rebalance_after, Duration::from_millis);
        }
        ConfigErrors::check(errors)?;
        Ok(config)
    }
}

/// The state, and the membership of this process in its installation.
pub type StoreOfNode = (Arc<dyn StateStore>, Arc<dyn Membership>);

/// The name that a process without `[cluster]` has in the database.
pub(crate) const SINGLE: &str = "single";

/// Whether a text is fit for logs and tables.
fn is_text(text: &str) -> bool {
    (1..=NODE_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
