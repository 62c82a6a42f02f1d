//! Which nodes are dead.

use std::collections::HashMap;

use super::lease::Sighting;

/// The results of the last looks at the other nodes, over one connection.
#[derive(Debug, Default)]
pub(super) struct Sightings {
    nodes: HashMap<String, Seen>,
}

#[derive(Debug)]
struct Seen {
    epoch: i64,
    /// Whether a look has shown the node's lock. A restart of the database ends all locks, also that of this
    /// connection.
    had_lock: bool,
    /// The end of the lease at the last look, if the lock was gone.
    gone_at: Option<i64>,
}

impl Sightings {
    /// Adds a look at all nodes. Returns the dead ones, with the reasons.
    ///
    /// A node is dead when its lease has ended. It is also dead when its lock is gone twice in a row while it does not
    /// renew its lease.
    pub(super) fn add(&mut self, looked: Vec<Sighting>) -> Vec<(Sighting, &'static str)> {
        let mut dead = Vec::new();
        let mut nodes = HashMap::new();
        for sighting in looked {
            let last = self
                .nodes
                .remove(&sighting.node)
                .filter(|last| last.epoch == sighting.epoch);
            let had_lock = sighting.has_lock || last.as_ref().is_some_and(|last| last.had_lock);
            let gone_at = (had_lock && !sighting.has_lock).then_some(sighting.expires_us);
            let was_gone_at = last.and_then(|last| last.gone_at);
            let seen = Seen {
                epoch: sighting.epoch,
                had_lock,
                gone_at,
            };
            nodes.insert(sighting.node.clone(), seen);
            if sighting.is_expired {
                dead.push((sighting, "it has not renewed its lease"));
            } else if gone_at.is_some() && gone_at == was_gone_at {
                dead.push((sighting, "its connection to the database has ended"));
            }
        }
        self.nodes = nodes;
        dead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(sightings: &mut Sightings, epoch: i64, expires_us: i64, has_lock: bool) -> usize {
        let sighting = Sighting {
            node: "other".to_owned(),
            epoch,
            expires_us,
            is_expired: false,
            has_lock,
        };
        sightings.add(vec![sighting]).len()
    }

    #[test]
    fn a_lock_that_is_gone_twice_shows_a_dead_node() {
        let mut sightings = Sightings::default();
        assert_eq!(look(&mut sightings, 1, 10, true), 0);
        assert_eq!(look(&mut sightings, 1, 10, false), 0);
        assert_eq!(look(&mut sightings, 1, 10, false), 1);
    }

    #[test]
    fn a_node_that_renews_or_connects_again_lives() {
        let mut sightings = Sightings::default();
        for expires_us in 0..5 {
            assert_eq!(look(&mut sightings, 1, expires_us, expires_us == 0), 0);
        }
        assert_eq!(look(&mut sightings, 1, 4, true), 0);
        assert_eq!(look(&mut sightings, 1, 4, false), 0);
        assert_eq!(look(&mut sightings, 1, 4, true), 0);
        assert_eq!(look(&mut sightings, 1, 4, false), 0);
        // Another process of the node has joined.
        assert_eq!(look(&mut sightings, 2, 4, false), 0);
        assert_eq!(look(&mut sightings, 2, 4, false), 0);
    }

    #[test]
    fn a_node_without_a_lock_lives_as_long_as_its_lease() {
        let mut sightings = Sightings::default();
        for _ in 0..3 {
            assert_eq!(look(&mut sightings, 1, 10, false), 0);
        }
        let expired = Sighting {
            node: "other".to_owned(),
            epoch: 1,
            expires_us: 10,
            is_expired: true,
            has_lock: false,
        };
        assert_eq!(sightings.add(vec![expired]).len(), 1);
    }
}
