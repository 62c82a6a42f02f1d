//! `nexum cluster`: the tables of an installation in its database. The commands need no daemon.

mod show;
mod status;

use std::path::Path;

use nexum_config::document::ConfigError;
use nexum_config::names::ModuleName;
use nexum_store::cluster::{self, ClusterConfig, ClusterStatus};
use nexum_store::{PostgresConfig, PostgresError};

use self::status::Shown;
use crate::args::{Cluster, Format, MoveTarget};
use crate::compose;
use crate::configure::{self, Configuration, configure_state_dir};
use crate::error_code::ErrorCode;
use crate::exit_code::STOPPED;
use crate::process::block_on;
use crate::report::print::{errln, json_on_stdout, outln};
use crate::report::{Refusal, Refusals};

/// The database of an installation, and this machine's node.
struct Installation {
    database: PostgresConfig,
    /// `None` without a valid `[cluster]` table.
    node: Option<ClusterConfig>,
    /// The errors of the `[cluster]` table. Only some commands need it.
    errors: Vec<ConfigError>,
}

/// Carries out a command. Returns the exit code.
///
/// # Errors
///
/// The reason why the database or the command cannot be used.
pub(super) fn cluster(config: Option<&Path>, command: &Cluster) -> Result<u8, Refusals> {
    let installation = Installation::read(config)?;
    match command {
        Cluster::Init { format } => installation.init(*format),
        Cluster::Status { format } => installation.status(*format),
        Cluster::Drain { node, undo, format } => installation.drain(node.as_deref(), !undo, *format),
        Cluster::Move { module, target, format } => installation.move_module(module, target, *format),
        Cluster::History { module, limit, format } => installation.history(module.as_ref(), *limit, *format),
    }
}

impl Installation {
    /// Reads the tables `[store]` and `[cluster]`. Other values can be faulty: an operator's shell has
    /// neither the variables nor the credentials of the service.
    fn read(config: Option<&Path>) -> Result<Self, Refusals> {
        let Configuration { config, .. } = configure_state_dir(config)?;
        let store = compose::store_config(&config)?;
        let mut errors = Vec::new();
        let node = configure::cluster(&config, Some(&store), &mut errors);
        let database = store.postgres.ok_or_else(|| {
            let refusal = Refusal::new("the configuration names no database that nodes can share");
            refusal.with_hint("set `[store] backend = \"postgres\"` and `url`, or name another file with --config")
        })?;
        Ok(Self { database, node, errors })
    }

    /// Sends a request to the database.
    fn ask<T>(&self, request: impl Future<Output = Result<T, PostgresError>>) -> Result<T, Refusal> {
        let answer = block_on(request)?;
        answer.map_err(|error| Refusal::with_hint_of(&error).with_code(ErrorCode::StoreUnavailable))
    }

    fn init(&self, format: Format) -> Result<u8, Refusals> {
        let made = self.ask(nexum_store::init(&self.database))?;
        for warning in self.ask(nexum_store::examine(&self.database))? {
            errln!("warning: {}", warning.text);
        }
        match format {
            Format::Json => json_on_stdout(&made)?,
            Format::Text => show::initialised(&made),
        }
        Ok(STOPPED)
    }

    fn found(&self) -> Result<ClusterStatus, Refusal> {
        self.ask(cluster::status(&self.database))
    }

    fn status(&self, format: Format) -> Result<u8, Refusals> {
        let defaults = ClusterConfig::new("");
        let lease_ttl = self.node.as_ref().unwrap_or(&defaults).lease_ttl;
        let shown = Shown::new(self.found()?, lease_ttl);
        match format {
            Format::Json => json_on_stdout(&shown)?,
            Format::Text => shown.print(),
        }
        Ok(shown.exit_code())
    }

    fn drain(&self, node: Option<&str>, draining: bool, format: Format) -> Result<u8, Refusals> {
        let own = self.node.as_ref().map(|node| &*node.node);
        let Some(node) = node.or(own) else {
            let refusal = match self.errors.first() {
                Some(error) => Refusal::from(error),
                None => Refusal::new("the configuration has no [cluster] table with the name of this node"),
            };
            return Err(refusal.with_hint("name the node: `nexum cluster drain NODE`").into());
        };
        if !self.ask(cluster::drain(&self.database, node, draining))? {
            return Err(no_node(node).into());
        }
        let found = self.found()?;
        let found = found.nodes.into_iter().find(|found| found.node == node);
        match format {
            Format::Json => json_on_stdout(&found)?,
            Format::Text if draining => {
                outln!("{node} gives its modules to other nodes, and takes no more: see `nexum cluster status`");
                outln!("`nexum cluster drain {node} --undo` ends this");
            }
            Format::Text => outln!("{node} takes modules again"),
        }
        Ok(STOPPED)
    }

    fn move_module(&self, module: &ModuleName, target: &MoveTarget, format: Format) -> Result<u8, Refusals> {
        let name = module.as_str();
        let found = self.found()?;
        let Some(group) = found.groups.iter().find(|group| group.group == name) else {
            let refusal = Refusal::new(format!("the installation has no module {name}"));
            let refusal = refusal.with_code(ErrorCode::ModuleNotFound);
            return Err(refusal.with_hint("list the modules with `nexum cluster status`").into());
        };
        let node = target.node.as_deref();
        if let Some(node) = node.filter(|node| found.nodes.iter().all(|found| found.node != *node)) {
            return Err(no_node(node).into());
        }
        // The node or the module can only have gone meanwhile.
        if !self.ask(cluster::move_group(&self.database, name, node))? {
            return Err(no_node(node.unwrap_or_default()).into());
        }
        match format {
            Format::Json => {
                let moved = self.found()?.groups.into_iter().find(|group| group.group == name);
                json_on_stdout(&moved.map(status::ModuleRow::from))?;
            }
            Format::Text => show::moved(group, node, &found),
        }
        Ok(STOPPED)
    }

    fn history(&self, module: Option<&ModuleName>, limit: u32, format: Format) -> Result<u8, Refusals> {
        let entries = self.ask(cluster::history(&self.database, module.map(ModuleName::as_str), limit))?;
        match format {
            Format::Json => json_on_stdout(&show::changes(entries))?,
            Format::Text => show::history(&show::changes(entries)),
        }
        Ok(STOPPED)
    }
}

fn no_node(node: &str) -> Refusal {
    let refusal = Refusal::new(format!("the installation has no node {node}"));
    let refusal = refusal.with_code(ErrorCode::NodeNotFound);
    refusal.with_hint("list the nodes with `nexum cluster status`")
}
