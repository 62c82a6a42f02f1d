//! A run of `nexum dev`: its processes, and its answers to what happens.

mod perform;
mod reload;

use std::time::Duration;

use nexum_config::harmless::harmless;

use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, Interval};

use self::reload::Reloaded;
use super::command::{Command, lines};
use crate::args;
use crate::author::local::builds::{Build, Built};
use crate::author::local::chains::{LocalChains, Renew, identity};
use crate::author::local::daemon::Daemon;
use crate::author::local::log::Log;
use crate::author::local::record::{Ready, Record};
use crate::author::local::reports::Reports;
use crate::author::local::rpc::Rpc;
use crate::author::local::sample::Emissions;
use crate::author::local::site::Site;
use crate::author::local::sources::{Changed, Sources};
use crate::report::print::outln;
use crate::report::{Refusal, Refusals};

/// The directory of the generated files and of the quick builds, in the project's `build`.
const DIRECTORY: &str = "build/dev";

/// The interval at which nexum looks whether an anvil of its own has ended, and whether the node of
/// a chain has another chain. An author does not notice the wait.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The line after a start and before a reload. A component in Python or JavaScript takes a minute.
const LOADS: &str = "the daemon loads the module, and compiles it first if it is new";

/// Something that happens.
pub(super) enum Event {
    /// A line of the daemon's log. `None` at its end.
    Line(Option<String>),
    Changed(Changed),
    Built(Result<Box<Built>, Refusals>),
    /// The end of a reload in the daemon.
    Reloaded(Result<Reloaded, Refusals>),
    Typed(String),
    /// The end of a task that mines blocks.
    Mined(Result<(), Refusals>),
    Look,
    /// The node of a chain has another chain under the id.
    ChainChanged,
}

/// A run of `nexum dev`.
pub(super) struct Session<'a> {
    args: &'a args::Dev,
    reports: &'a Reports,
    build: Build,
    site: Site,
    log: Log,
    sources: Sources,
    typed: mpsc::Receiver<String>,
    chains: LocalChains,
    emissions: Emissions,
    /// The tasks that mine blocks. The log has to be read meanwhile: the daemon drops lines that wait too
    /// long.
    mining: JoinSet<Result<(), Refusal>>,
    /// The tasks that watch the nodes of the chains, which tell of another chain.
    watches: JoinSet<()>,
    chain_changes: (mpsc::Sender<()>, mpsc::Receiver<()>),
    /// The build that runs.
    job: Option<JoinHandle<Result<Box<Built>, Refusals>>>,
    /// Whether something has changed since that build began.
    is_outdated: bool,
    /// When the first change since the last build happened.
    changed_at: Option<Instant>,
    /// The last build that succeeded.
    built: Option<Box<Built>>,
    daemon: Option<Running>,
}

/// The daemon, and how far it is.
struct Running {
    daemon: Daemon,
    ready: Ready,
    /// The reload that runs. The session goes on meanwhile: the daemon compiles a large component for minutes.
    reload: JoinSet<Result<Reloaded, Refusals>>,
    /// Whether the module was built again before the daemon had loaded or reloaded it.
    is_outdated: bool,
}

impl<'a> Session<'a> {
    /// Finds the project, and starts its first build.
    ///
    /// # Errors
    ///
    /// If the directory has no project, or cannot be watched or written to.
    pub(super) fn open(args: &'a args::Dev, reports: &'a Reports) -> Result<Self, Refusals> {
        let directory = std::path::absolute(args.directory.join(DIRECTORY)).map_err(|error| Refusal::of(&error))?;
        let build = Build::of(&args.directory, args.build.build_with.as_ref(), Some(directory.clone()))?;
        let site = Site::open(&args.directory, &directory)?;
        let sources = Sources::watch(&args.directory).map_err(|error| Refusal::of(&error))?;
        outln!("this run builds into {DIRECTORY}; `nexum build` makes the files to publish");
        let mut session = Self {
            args,
            reports,
            log: Log::default(),
            site,
            sources,
            typed: lines(),
            chains: LocalChains::default(),
            emissions: Emissions::default(),
            mining: JoinSet::new(),
            watches: JoinSet::new(),
            chain_changes: mpsc::channel(1),
            job: None,
            is_outdated: false,
            changed_at: None,
            built: None,
            daemon: None,
            build,
        };
        session.start_build();
        Ok(session)
    }

    /// Waits for the next event.
    pub(super) async fn next(&mut self, looks: &mut Interval) -> Event {
        let of_daemon = async {
            match &mut self.daemon {
                Some(running) => running.next().await,
                None => std::future::pending().await,
            }
        };
        let built = async {
            match &mut self.job {
                Some(job) => job.await.unwrap_or_else(|error| Err(Refusal::of(&error).into())),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            event = of_daemon => event,
            built = built => Event::Built(built),
            changed = self.sources.changed() => Event::Changed(changed),
            Some(line) = self.typed.recv() => Event::Typed(line),
            Some(mined) = self.mining.join_next() => Event::Mined(match mined {
                Ok(mined) => mined.map_err(Refusals::from),
                Err(error) => Err(Refusal::of(&error).into()),
            }),
            Some(()) = self.chain_changes.1.recv() => Event::ChainChanged,
            _ = looks.tick() => Event::Look,
        }
    }

    /// Answers an event. Returns false if the author quits. Prints errors, and waits for a change.
    pub(super) async fn handle(&mut self, event: Event) -> bool {
        let done = match event {
            Event::Typed(line) => match Command::parse(&line) {
                Ok(Some(Command::Quit)) => return false,
                Ok(Some(command)) => self.perform(command).await,
                Ok(None) => Ok(()),
                Err(text) => Err(Refusal::new(text).into()),
            },
            Event::Mined(mined) => mined,
            Event::Line(Some(line)) => self.line(&line).await,
            Event::Line(None) => self.daemon_ended().await,
            Event::Built(built) => self.built(built).await,
            Event::Reloaded(reloaded) => self.reloaded(reloaded).await,
            Event::Changed(changed) => {
                self.changed_at.get_or_insert_with(Instant::now);
                self.start_build();
                self.changed(changed).await
            }
            Event::ChainChanged => self.chains_changed().await,
            Event::Look => self.renew(Renew::Ended).await.map(drop),
        };
        if let Err(refusals) = done {
            refusals.print();
        }
        true
    }

    /// Ends the processes after the emission that runs. The daemon is first, so that it does not report
    /// the loss of its chains.
    pub(super) async fn close(mut self) {
        self.emissions.finish().await;
        if let Some(running) = self.daemon.take() {
            running.daemon.stop().await;
        }
        if let Some(job) = self.job.take() {
            // The interrupt has ended its processes. Its outcome is of no use.
            let _ = job.await;
        }
    }

    fn start_build(&mut self) {
        if self.job.is_some() {
            self.is_outdated = true;
            return;
        }
        self.is_outdated = false;
        self.job = Some(self.build.start(self.reports));
    }
}

/// The answers to the ends of builds and of the daemon.
impl Session<'_> {
    /// Loads the new version, or keeps the running one after a failure, which the compiler has explained.
    async fn built(&mut self, built: Result<Box<Built>, Refusals>) -> Result<(), Refusals> {
        self.job = None;
        if self.is_outdated {
            self.start_build();
        }
        let built = match built {
            Ok(built) => built,
            Err(refusals) => {
                refusals.print();
                outln!(
                    "{}",
                    match self.daemon {
                        Some(_) => "the build failed: the last version keeps running",
                        None => "the build failed: nexum builds again after a change, or with `r` and Enter",
                    }
                );
                return Ok(());
            }
        };
        outln!("built {} in {:.1} s", built.module.name, built.took.as_secs_f64());
        let is_same = self.built.as_ref().is_some_and(|last| last.digests == built.digests);
        self.built = Some(built);
        match &mut self.daemon {
            None => self.restart(false).await,
            Some(_) if is_same => {
                self.changed_at = None;
                outln!("the module is unchanged");
                Ok(())
            }
            Some(running) if !running.ready.is_loaded() || !running.reload.is_empty() => {
                running.is_outdated = true;
                Ok(())
            }
            // The daemon has refused the module, or waits for a chain.
            Some(running) if !running.ready.is_complete() => self.restart(false).await,
            Some(_) => self.reload().await,
        }
    }

    /// Starts the daemon again, with the chains that the project has now. `is_new` removes the state
    /// whatever chains it belongs to. While the configuration has errors, or a chain does not start,
    /// the last version keeps running.
    async fn restart(&mut self, is_new: bool) -> Result<(), Refusals> {
        let Some(built) = &self.built else { return Ok(()) };
        let configured = match self.site.chains(&built.manifest) {
            Ok(configured) => configured,
            Err(refusal) => {
                self.not_restarted(&refusal.into());
                return Ok(());
            }
        };
        let (sources, every) = (&self.args.chains, self.args.blocks_every);
        match self.chains.extend(&configured, sources, every, self.reports).await {
            Ok(chains) => chains
                .iter()
                .for_each(|chain| outln!("chain {} is at {}", chain.id, chain.rpc.place())),
            Err(refusal) => {
                if self.daemon.is_none() {
                    outln!("the chains did not start: nexum starts them again after a change, or with `r` and Enter");
                }
                return Err(refusal.into());
            }
        }
        let draft = match self.draft(&built.module).await {
            Ok(draft) => draft,
            Err(refusals) => {
                self.not_restarted(&refusals);
                return Ok(());
            }
        };
        let identities = self.chains.identities().await?;
        if let Some(running) = self.daemon.take() {
            running.daemon.stop().await;
        }
        if self.site.keep_state_of(&identities, is_new)? {
            outln!("the chains are new: the module starts without its old state");
        }
        draft.publish()?;
        let ready = Ready::of(&built.module.name, &built.manifest);
        self.watch_nodes();
        self.changed_at = None;
        self.daemon = Some(Running {
            daemon: Daemon::start(&self.site.config(), &[])?,
            ready,
            reload: JoinSet::new(),
            is_outdated: false,
        });
        outln!("{LOADS}");
        Ok(())
    }

    /// Starts the anvils that do not run, and the daemon again if a chain or its configuration is new.
    async fn changed(&mut self, changed: Changed) -> Result<(), Refusals> {
        let is_renewed = self.renew(Renew::Stopped).await?;
        match changed {
            Changed::Config if !is_renewed => self.restart(false).await,
            _ => Ok(()),
        }
    }

    /// Starts the anvils that `which` names, and with them the daemon. Returns whether there was one.
    pub(super) async fn renew(&mut self, which: Renew) -> Result<bool, Refusals> {
        let is_renewed = self.chains.renew(which, self.reports).await?;
        if is_renewed {
            self.restart(true).await?;
        }
        Ok(is_renewed)
    }

    async fn line(&mut self, line: &str) -> Result<(), Refusals> {
        let Some(record) = Record::parse(line) else {
            outln!("{}", harmless(line));
            return Ok(());
        };
        self.log.show(&record);
        let Some(running) = &mut self.daemon else {
            return Ok(());
        };
        if running.ready.note(&record) {
            outln!("the module runs; h and Enter list the commands");
        }
        match running.ready.is_loaded() && running.reload.is_empty() && running.is_outdated {
            true => self.restart(false).await,
            false => Ok(()),
        }
    }

    async fn daemon_ended(&mut self) -> Result<(), Refusals> {
        if let Some(running) = self.daemon.take() {
            let status = running.daemon.ended().await?;
            if running.is_outdated {
                outln!("the daemon ended: {status}; nexum starts it with the last build");
                return self.restart(false).await;
            }
            outln!("the daemon ended: {status}; nexum starts it again after a change, or with `r` and Enter");
        }
        Ok(())
    }

    /// The node of a chain has another chain, or an anvil of this process has started again.
    async fn chains_changed(&mut self) -> Result<(), Refusals> {
        let identities = self.chains.identities().await?;
        match self.site.is_state_of(&identities) {
            true => Ok(()),
            false => self.restart(false).await,
        }
    }

    fn watch_nodes(&mut self) {
        self.watches = JoinSet::new();
        for rpc in self.chains.local_nodes() {
            self.watches.spawn(watch(rpc, self.chain_changes.0.clone()));
        }
    }
}

/// Tells when a node has another chain than before. A node that does not answer is one that starts
/// again, or one that the daemon reports.
async fn watch(rpc: Rpc, changes: mpsc::Sender<()>) {
    let mut turns = tokio::time::interval(LOOK_EVERY);
    let mut known = None;
    loop {
        turns.tick().await;
        let Ok(found) = identity(&rpc).await else { continue };
        if known.as_ref().is_some_and(|known| *known != found) {
            // A full queue tells of a change already.
            let _ = changes.try_send(());
        }
        known = Some(found);
    }
}
