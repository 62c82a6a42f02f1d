//! An installation of several nexum processes on one PostgreSQL server, for the tasks.
//!
//! Each process reaches the database through a link of its own, which a task can break.

pub(crate) mod journals;
mod link;
mod node;

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};

pub(crate) use self::{
    link::{Heal, Way},
    node::Node,
};
use crate::{
    nexum::Listener,
    postgres::{Server, Stop},
    process::{self, pause},
};

/// The schema of nexum's tables: the default of `[store]`.
pub(crate) const SCHEMA: &str = "nexum";

/// The interval between looks at the database.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A server and the processes of an installation. Dropping it ends them.
pub(crate) struct Cluster<L> {
    pub(crate) nodes: Vec<Node<L>>,
    /// The configuration of the operator's commands. No process runs with it, and no fault affects its link.
    operator: Node<L>,
    pub(crate) server: Server,
}

/// The settings of an installation.
pub(crate) struct Settings<'a> {
    /// The program.
    pub(crate) nexum: PathBuf,
    /// The directory for configurations, state and logs. It must exist.
    pub(crate) directory: &'a Path,
    /// The names of the nodes.
    pub(crate) nodes: &'a [&'a str],
    pub(crate) lease_ttl: Duration,
    pub(crate) rebalance_after: Duration,
    /// The chains and the modules of the configuration.
    pub(crate) body: &'a str,
}

/// A change of a group in the history.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    pub(crate) group: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) epoch: u64,
    /// In seconds since the Unix epoch, by the database's clock, which is that of this machine.
    pub(crate) at: f64,
}

impl<L: Listener> Cluster<L> {
    /// Starts a server, and prepares the database and the nodes. Starts no node.
    pub(crate) fn new(settings: &Settings<'_>) -> Result<Self> {
        let server = Server::start()?;
        let node = |name: &str| Node::new(name, settings, &server);
        let cluster = Self {
            nodes: settings.nodes.iter().map(|name| node(name)).collect::<Result<_>>()?,
            operator: node("operator")?,
            server,
        };
        cluster.command(&["init"])?;
        Ok(cluster)
    }

    /// Fails if a process has exited, or its log reports a fault.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.nodes.iter_mut().try_for_each(Node::check)
    }

    /// Runs `nexum cluster` with these arguments, and returns what it prints.
    pub(crate) fn command(&self, arguments: &[&str]) -> Result<String> {
        let mut command = self.operator.command("cluster");
        process::output(command.args(arguments).arg("--config").arg(self.operator.config()))
    }

    /// The report of `nexum cluster status`. It can be about a problem.
    pub(crate) fn status(&self) -> Result<String> {
        let mut command = self.operator.command("cluster");
        command.arg("status").arg("--config").arg(self.operator.config());
        let output = command.output()?;
        ensure!(!output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The keys and values of these modules at one moment, as the example `kept` prints them.
    pub(crate) fn kept(&self, program: &Path, modules: &[String]) -> Result<String> {
        let rows = format!("SELECT encode(key, 'hex'), encode(value, 'hex') FROM {SCHEMA}.nexum_rows");
        let rows = self.server.text(&rows)?;
        let mut kept = Command::new(program);
        kept.args(["rows", "-"]).args(modules);
        let mut child = kept.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut input = child.stdin.take().context("`kept` has no input")?;
        input.write_all(rows.as_bytes())?;
        drop(input);
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "`kept` cannot read the rows of the database");
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The names of the groups that a node owns.
    pub(crate) fn owned_by(&self, node: &str) -> Result<Vec<String>> {
        let owned = format!("SELECT grp FROM {SCHEMA}.nexum_group WHERE node = '{node}' ORDER BY grp");
        Ok(self.server.query(&owned)?.into_iter().flatten().collect())
    }

    /// Waits until nodes whose lease has not ended own so many groups. Returns false after `patience`.
    pub(crate) fn wait_until_owned(&mut self, groups: usize, patience: Duration) -> Result<bool> {
        let steps = patience.as_millis() / LOOK_EVERY.as_millis();
        for _ in 0..steps {
            self.check()?;
            if self.count_owned()? == groups {
                return Ok(true);
            }
            pause(LOOK_EVERY)?;
        }
        Ok(false)
    }

    /// The number of groups that a node owns whose lease has not ended.
    pub(crate) fn count_owned(&self) -> Result<usize> {
        let owned = format!(
            "SELECT count(*) FROM {SCHEMA}.nexum_group JOIN {SCHEMA}.nexum_node USING (node) \
             WHERE expires > clock_timestamp()"
        );
        self.count(&owned)
    }

    fn count(&self, sql: &str) -> Result<usize> {
        let rows = self.server.query(sql)?;
        let count = rows.first().and_then(|row| row.first());
        Ok(count.context("the database has no answer")?.parse()?)
    }

    /// The number of nodes with a lease that can run so many modules.
    pub(crate) fn count_ready(&self, modules: usize) -> Result<usize> {
        let ready = format!(
            "SELECT count(*) FROM {SCHEMA}.nexum_node WHERE expires > clock_timestamp() \
             AND (SELECT count(*) FROM jsonb_object_keys(loaded)) = {modules}"
        );
        self.count(&ready)
    }

    /// All changes of groups, in their order.
    pub(crate) fn history(&self) -> Result<Vec<Change>> {
        let changes = format!(
            "SELECT grp, from_node, to_node, epoch, extract(epoch FROM at) FROM {SCHEMA}.nexum_history \
             WHERE from_node IS DISTINCT FROM to_node ORDER BY at, ctid"
        );
        self.server.query(&changes)?.iter().map(|row| change(row)).collect()
    }

    /// Stops the server and starts it again after a time.
    pub(crate) fn restart_server(&self, stop: Stop, down: Duration) -> Result<()> {
        self.server.stop(stop)?;
        pause(down)?;
        self.server.restart()
    }
}

fn change(row: &[String]) -> Result<Change> {
    let [group, from, to, epoch, at] = row else {
        anyhow::bail!("cannot parse a row of the history: {row:?}");
    };
    ensure!(!group.is_empty(), "a row of the history has no group");
    Ok(Change {
        group: group.clone(),
        from: from.clone(),
        to: to.clone(),
        epoch: epoch.parse()?,
        at: at.parse()?,
    })
}
