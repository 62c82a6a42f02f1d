//! One process of an installation.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use serde_json::Value;

use super::{Settings, link::Link};
use crate::{
    nexum::{End, Listener, Nexum},
    postgres::{self, Server},
    process,
};

/// A node of an installation. Its process can be absent.
pub(crate) struct Node<L> {
    name: String,
    nexum: PathBuf,
    directory: PathBuf,
    /// The node's connections to the database.
    pub(crate) link: Link,
    process: Option<Nexum<L>>,
}

impl<L: Listener> Node<L> {
    /// Writes the node's configuration.
    pub(super) fn new(name: &str, settings: &Settings<'_>, server: &Server) -> Result<Self> {
        let directory = settings.directory.join(name);
        fs::create_dir_all(&directory)?;
        let link = Link::start(&server.socket())?;
        let node = Self {
            name: name.to_owned(),
            nexum: settings.nexum.clone(),
            directory,
            link,
            process: None,
        };
        let state = toml_edit::Value::from(node.directory.join("state").to_string_lossy().as_ref());
        fs::write(
            node.config(),
            format!(
                "[engine]\nstate_dir = {state}\nlog_level = \"info,nexum::event=debug\"\nlog_format = \"json\"\n\n\
                 [store]\nbackend = \"postgres\"\nurl = \"{url}\"\ntls = {{ mode = \"disable\" }}\n\n\
                 [cluster]\nnode = \"{name}\"\nlease_ttl_ms = {lease}\nrebalance_after_ms = {rebalance}\n\n{body}",
                url = postgres::url(node.link.port()),
                lease = settings.lease_ttl.as_millis(),
                rebalance = settings.rebalance_after.as_millis(),
                body = settings.body,
            ),
        )?;
        Ok(node)
    }

    /// The node's configuration.
    pub(crate) fn config(&self) -> PathBuf {
        self.directory.join("engine.toml")
    }

    /// The log of all processes of the node.
    pub(crate) fn log(&self) -> PathBuf {
        self.directory.join("nexum.log")
    }

    /// A command of nexum.
    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.nexum);
        command.arg(name);
        command
    }

    /// Starts the node's process.
    pub(crate) fn start(&mut self, environment: &[(&str, &Path)]) -> Result<()> {
        let process = Nexum::start(&self.nexum, &self.config(), &self.log(), environment);
        self.process = Some(process.with_context(|| format!("cannot start {}", self.name))?);
        Ok(())
    }

    /// The running process.
    pub(crate) fn process(&mut self) -> Result<&mut Nexum<L>> {
        let name = &self.name;
        self.process.as_mut().with_context(|| format!("{name} does not run"))
    }

    /// Fails if the process has exited, or its log reports a fault.
    pub(crate) fn check(&mut self) -> Result<()> {
        let Some(process) = &mut self.process else {
            return Ok(());
        };
        process.seen().check().with_context(|| self.name.clone())?;
        if let Some(status) = process.exited()? {
            bail!("{} exited early with {status}", self.name);
        }
        Ok(())
    }

    /// The names of the modules that the process says it runs.
    pub(crate) fn running(&self) -> Result<Vec<String>> {
        let mut list = self.command("module");
        list.args(["list", "--format", "json", "--config"]).arg(self.config());
        let modules: Vec<Value> = serde_json::from_str(&process::output(&mut list)?)?;
        let running = modules.iter().filter(|module| module["stage"] == "running");
        Ok(running
            .filter_map(|module| module["name"].as_str().map(str::to_owned))
            .collect())
    }

    /// Kills the process, as a crash does, and returns its listener.
    pub(crate) fn kill(&mut self) -> Result<L> {
        match self.take()?.kill()? {
            (End::Killed, seen) => Ok(seen),
            (End::ByItself(status), _) => bail!("{} exited early with {status}", self.name),
        }
    }

    /// Stops the process, as an operator does, and returns its listener.
    pub(crate) fn stop(&mut self) -> Result<L> {
        let name = self.name.clone();
        self.take()?.stop().with_context(|| format!("cannot stop {name}"))
    }

    /// Stops all threads of the process, as a paused machine does.
    pub(crate) fn pause(&mut self) -> Result<()> {
        self.process()?.signal(Signal::STOP)
    }

    /// Lets a paused process go on.
    pub(crate) fn go_on(&mut self) -> Result<()> {
        self.process()?.signal(Signal::CONT)
    }

    fn take(&mut self) -> Result<Nexum<L>> {
        let name = &self.name;
        self.process.take().with_context(|| format!("{name} does not run"))
    }
}
