//! The installation under its faults.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::Result;

use super::{
    super::{clock, seen::Seen},
    faults::{Fault, LEASE, Plan},
    figures::{Figures, Loss},
    modules,
};
use crate::{
    cluster::{Change, Cluster, SCHEMA},
    process::pause,
};

/// The names of the nodes.
pub(super) const NODES: [&str; 3] = ["node-a", "node-b", "node-c"];

/// The most nodes that are under a fault at the same time: one goes on.
const AFFECTED_MAX: usize = 2;

/// The time after the faults in which a late writer would show itself: longer than a lease.
pub(super) const LATE: Duration = Duration::from_secs(3);

/// The installation, its faults, and their counts.
pub(super) struct Scene {
    pub(super) cluster: Cluster<Seen>,
    pub(super) figures: Figures,
    clock: PathBuf,
    ongoing: Vec<Ongoing>,
    losses: Vec<Loss>,
}

/// A fault that has not ended.
struct Ongoing {
    plan: Plan,
    until: Instant,
}

impl Scene {
    /// An installation without processes. `clock` is the library with the backward clock.
    pub(super) fn new(cluster: Cluster<Seen>, clock: &Path, seed: u64) -> Self {
        Self {
            cluster,
            figures: Figures {
                seed,
                ..Figures::default()
            },
            clock: clock.to_owned(),
            ongoing: Vec::new(),
            losses: Vec::new(),
        }
    }

    /// Stops all nodes, as an operator does.
    pub(super) fn stop_all(&mut self) -> Result<()> {
        for node in &mut self.cluster.nodes {
            self.figures.add(&node.stop()?);
        }
        Ok(())
    }

    /// Ends all faults.
    pub(super) fn finish_all(&mut self) -> Result<()> {
        while let Some(ongoing) = self.ongoing.pop() {
            self.finish(ongoing.plan)?;
        }
        Ok(())
    }

    /// Adds the takeovers after the faults so far to the figures.
    pub(super) fn note_takeovers(&mut self, changes: &[Change]) {
        for loss in self.losses.drain(..) {
            self.figures.note(loss.fault, loss.taken_over(changes));
        }
    }

    /// Waits, and ends the faults whose time is over.
    pub(super) fn wait(&mut self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        loop {
            let now = Instant::now();
            while let Some(index) = self.ongoing.iter().position(|ongoing| ongoing.until <= now) {
                let over = self.ongoing.swap_remove(index);
                self.finish(over.plan)?;
            }
            self.cluster.check()?;
            let next = self.ongoing.iter().map(|ongoing| ongoing.until).min();
            let until = next.map_or(end, |next| next.min(end));
            if Instant::now() >= end {
                return Ok(());
            }
            pause(until.saturating_duration_since(Instant::now()))?;
        }
    }

    /// Begins a fault, unless it would affect the last good node.
    pub(super) fn begin(&mut self, mut plan: Plan) -> Result<()> {
        let is_of_node = !matches!(plan.fault, Fault::Database(_) | Fault::Connections(_));
        if is_of_node && !self.find_node(&mut plan.node) {
            return Ok(());
        }
        let name = NODES[plan.node];
        let mut groups = Vec::new();
        if is_of_node {
            groups = self.cluster.owned_by(name)?;
        }
        let at = now();
        match plan.fault {
            Fault::Kill => {
                let seen = self.cluster.nodes[plan.node].kill()?;
                self.figures.add(&seen);
            }
            Fault::Stop => {
                let seen = self.cluster.nodes[plan.node].stop()?;
                self.figures.add(&seen);
            }
            Fault::Pause => self.cluster.nodes[plan.node].pause()?,
            Fault::Cut { way, .. } => self.cluster.nodes[plan.node].link.cut(way),
            Fault::Drain => drop(self.cluster.command(&["drain", name])?),
            Fault::Move => groups = self.move_one(plan)?,
            Fault::Database(stop) => {
                self.cluster.restart_server(stop, plan.lasts)?;
                let seconds = self.first_commit(now())?;
                self.figures.note(plan.fault.name(), seconds);
            }
            Fault::Connections(count) => self.end_connections(count)?,
        }
        if is_of_node {
            self.losses.push(Loss {
                fault: plan.fault.name(),
                at,
                until: at + (plan.lasts + 2 * LEASE + LATE).as_secs_f64(),
                groups,
            });
            if plan.fault != Fault::Move {
                let until = Instant::now() + plan.lasts;
                self.ongoing.push(Ongoing { plan, until });
            }
        }
        Ok(())
    }

    /// Replaces a node that is under a fault by the next one that is not. Returns false if this one has to go on.
    fn find_node(&self, node: &mut usize) -> bool {
        let is_affected = |node: usize| self.ongoing.iter().any(|ongoing| ongoing.plan.node == node);
        while self.ongoing.len() < AFFECTED_MAX {
            if !is_affected(*node) {
                return true;
            }
            *node = (*node + 1) % NODES.len();
        }
        false
    }

    /// Ends a fault.
    fn finish(&mut self, plan: Plan) -> Result<()> {
        match plan.fault {
            Fault::Kill | Fault::Stop => self.start(plan.node, plan.clock_back),
            Fault::Pause => self.cluster.nodes[plan.node].go_on(),
            Fault::Cut { heal, .. } => {
                self.cluster.nodes[plan.node].link.heal(heal);
                Ok(())
            }
            Fault::Drain => self.cluster.command(&["drain", NODES[plan.node], "--undo"]).map(drop),
            Fault::Move | Fault::Database(_) | Fault::Connections(_) => Ok(()),
        }
    }

    pub(super) fn start(&mut self, node: usize, clock_back: bool) -> Result<()> {
        self.figures.starts += 1;
        let preload = (clock::PRELOAD, self.clock.as_path());
        let environment = if clock_back { &[preload][..] } else { &[] };
        self.cluster.nodes[node].start(environment)
    }

    /// Moves a module of another node to the node of the plan.
    fn move_one(&self, plan: Plan) -> Result<Vec<String>> {
        let all = modules::all();
        let (group, _) = &all[plan.choice % all.len()];
        self.cluster.command(&["move", group, NODES[plan.node]])?;
        Ok(vec![group.clone()])
    }

    /// The seconds from a time to the next commit; none if there was none for a while.
    fn first_commit(&self, from: f64) -> Result<Option<f64>> {
        let first =
            format!("SELECT extract(epoch FROM min(at)) FROM {SCHEMA}.torture_commit WHERE at > to_timestamp({from})");
        let deadline = Instant::now() + LATE;
        while Instant::now() < deadline {
            let rows = self.cluster.server.query(&first)?;
            if let Some(at) = rows.first().and_then(|row| row.first()).filter(|at| !at.is_empty()) {
                return Ok(Some(at.parse::<f64>()? - from));
            }
            pause(Duration::from_millis(50))?;
        }
        Ok(None)
    }

    /// Ends connections of the nodes, chosen by the server.
    fn end_connections(&mut self, count: usize) -> Result<()> {
        let from = now();
        let end = format!(
            "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity \
             WHERE application_name LIKE 'nexum run%' ORDER BY random() LIMIT {count}) AS chosen"
        );
        self.cluster.server.query(&end)?;
        let seconds = self.first_commit(from)?;
        self.figures.note(Fault::Connections(count).name(), seconds);
        Ok(())
    }
}

/// The clock of this machine, and of the database.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs_f64()
}
