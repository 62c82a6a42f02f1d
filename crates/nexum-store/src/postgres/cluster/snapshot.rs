//! The tables of an installation at one moment.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The installation at one moment of the database.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Snapshot {
    pub(super) nodes: Vec<Node>,
    pub(super) groups: Vec<Group>,
    pub(super) modules: Vec<Module>,
    /// The time of the snapshot, in milliseconds since the Unix epoch.
    pub(super) now_ms: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Node {
    pub(super) node: String,
    pub(super) epoch: i64,
    /// Whether the lease has not ended by the clock of the database.
    pub(super) is_live: bool,
    pub(super) expires_in_ms: Option<i64>,
    pub(super) address: Option<String>,
    pub(super) version: Option<String>,
    pub(super) weight: i32,
    pub(super) draining: bool,
    /// The version of each module that the node can run.
    pub(super) loaded: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Group {
    pub(super) grp: String,
    pub(super) node: Option<String>,
    pub(super) epoch: i64,
    pub(super) since_ms: u64,
    pub(super) wanted: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Module {
    pub(super) name: String,
    pub(super) grp: String,
    pub(super) version: String,
    pub(super) chains: Vec<i64>,
    /// The names of what only one node may use at a time.
    pub(super) together: Vec<String>,
}

impl Node {
    /// Whether the node takes modules.
    pub(super) fn is_taking(&self) -> bool {
        self.is_live && !self.draining
    }
}

impl Snapshot {
    /// Reads all tables at one moment: one statement has one snapshot. Returns a text in JSON. A group without modules is
    /// forgotten.
    pub(super) const QUERY: &str = "
        SELECT json_build_object(
            'now_ms', (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
            'nodes', (SELECT coalesce(json_agg(json_build_object(
                'node', node, 'epoch', epoch, 'is_live', expires > clock_timestamp(), 'expires_in_ms',
                CASE WHEN isfinite(expires) THEN (extract(epoch FROM expires - clock_timestamp()) * 1000)::bigint END,
                'address', address, 'version', version, 'weight', weight, 'draining', draining, 'loaded', loaded
            ) ORDER BY node), '[]') FROM nexum_node WHERE epoch > 0),
            'groups', (SELECT coalesce(json_agg(json_build_object(
                'grp', grp, 'node', node, 'epoch', epoch, 'since_ms', (extract(epoch FROM since) * 1000)::bigint,
                'wanted', wanted
            ) ORDER BY grp), '[]') FROM nexum_group g WHERE EXISTS (SELECT FROM nexum_module m WHERE m.grp = g.grp)),
            'modules', (SELECT coalesce(json_agg(json_build_object(
                'name', name, 'grp', grp, 'version', version, 'chains', chains, 'together', together
            ) ORDER BY name), '[]') FROM nexum_module)
        )::text";

    pub(super) fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.node == name)
    }
}
