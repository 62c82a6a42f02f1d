//! The daemon as a node of an installation of several processes.

use std::sync::Arc;

use nexum_core::Reason;
use nexum_core::membership::{Membership, Tenure};
use nexum_store::cluster::ClusterConfig;
use tokio::sync::watch;

/// The place of the daemon in its installation. A daemon without one runs all modules.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node(Option<Place>);

#[derive(Clone, Debug)]
struct Place {
    name: Arc<str>,
    tenure: watch::Receiver<Tenure>,
}

impl Node {
    pub(crate) fn new(cluster: Option<&ClusterConfig>, membership: Option<&Arc<dyn Membership>>) -> Self {
        let place = cluster.zip(membership).map(|(cluster, membership)| Place {
            name: cluster.node.as_str().into(),
            tenure: membership.tenure(),
        });
        Self(place)
    }

    /// Waits until the daemon is a member of its installation.
    pub(crate) async fn joined(&self) {
        if let Some(Place { tenure, .. }) = &self.0 {
            let joined = tenure.clone().wait_for(|tenure| tenure.epoch.is_some()).await.is_ok();
            // Without a sender, the daemon ends.
            if !joined {
                std::future::pending().await
            }
        }
    }

    /// The node that runs a module, as far as it is known. `None` for a daemon that runs all modules.
    pub(crate) fn owner(&self, module: &str) -> Option<String> {
        let Place { name, tenure } = self.0.as_ref()?;
        let tenure = tenure.borrow();
        let is_own = tenure.owned.keys().any(|owned| owned.as_str() == module);
        if is_own {
            return Some(name.to_string());
        }
        let mut owners = tenure.owners.iter();
        let owner = owners.find(|(owned, _)| owned.as_str() == module);
        owner.map(|(_, node)| node.to_string())
    }

    /// Why the daemon is not a member of its installation, if it is not.
    pub(crate) fn absence(&self) -> Option<Reason> {
        let Place { name, tenure } = self.0.as_ref()?;
        let tenure = tenure.borrow();
        if tenure.epoch.is_some() {
            return None;
        }
        let known = tenure.lost.as_ref().or_else(|| tenure.elsewhere.values().next());
        let text = known.map_or("it has not joined yet", |reason| &reason.text);
        Some(Reason {
            text: format!("the node {name} is not a member of the installation: {text}").into(),
            since_ms: known.map_or(0, |reason| reason.since_ms),
        })
    }
}
