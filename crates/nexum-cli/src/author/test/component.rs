//! `nexum test --component`: the component in the runtime, on local chains, with a state
//! that is thrown away.

use std::collections::BTreeSet;
use std::time::Duration;

use nexum_build::Project;
use nexum_config::harmless::harmless;
use nexum_config::manifest::{CatchUp, CronSubscription, Subscription};
use nexum_config::topic::{ChainTopic, Finality};
use nexum_core::clock::{Clock as _, SystemClock};
use tokio::time::timeout;

use super::{native, native_tests};
use crate::args;
use crate::author::local::builds::{Build, Built};
use crate::author::local::chains::LocalChains;
use crate::author::local::daemon::Daemon;
use crate::author::local::log::Log;
use crate::author::local::record::{Kind, Ready, Record};
use crate::author::local::reports::{Reports, refusals};
use crate::author::local::sample::{Emissions, samples};
use crate::author::local::site::Site;
use crate::exit_code::{FAILED, STOPPED};
use crate::report::print::outln;
use crate::report::{Refusal, Refusals};

/// The variables that the native tests of a module find its daemon with: the configuration for the
/// commands of nexum, this program, and the HTTP endpoint of the first chain.
const CONFIG_VARIABLE: &str = "NEXUM_TEST_CONFIG";
const PROGRAM_VARIABLE: &str = "NEXUM_TEST_PROGRAM";
const RPC_VARIABLE: &str = "NEXUM_TEST_RPC";

/// The longest wait for a record of the daemon: a component of 18 MB takes about a minute to compile.
const SILENCE_MAX: Duration = Duration::from_secs(120);

/// A tick that is due later is not waited for.
const TICK_WAIT_MAX: Duration = Duration::from_secs(10);

/// The blocks that anvil needs on top of a block until it calls the block finalized: two of its
/// epochs.
const FINAL_BLOCKS: u64 = 64;

/// Checks the component, and runs the native tests beside it if it handles every event. Returns the
/// exit code.
///
/// # Errors
///
/// Errors that prevent the start of the component.
pub(super) async fn test(args: &args::Test, reports: &Reports, emissions: &mut Emissions) -> Result<u8, Refusals> {
    let build = Build::of(&args.directory, args.build.build_with.as_ref(), None)?;
    let built = build.start(reports).await.map_err(|error| Refusal::of(&error))??;
    let scratch = tempfile::tempdir().map_err(|error| Refusal::of(&error))?;
    let site = Site::open(&args.directory, scratch.path())?;
    let mut chains = LocalChains::default();
    let configured = site.chains(&built.manifest)?;
    chains.extend(&configured, &args.chains, None, reports).await?;
    site.write(&built.module, &chains, true)?;
    let daemon = Daemon::start(&site.config(), &["--strict"])?;
    let mut check = Check {
        built: &built,
        chains: &chains,
        emissions,
        daemon,
        log: Log::default(),
        ready: Ready::of(&built.manifest),
        handled: BTreeSet::new(),
    };
    let code = match check.run(args.blocks).await {
        Ok(()) => check.native_tests(args, &site, reports).await?,
        Err(refusal) => {
            Refusals::from(refusal).print();
            FAILED
        }
    };
    check.daemon.stop().await;
    Ok(code)
}

/// A component that is being checked.
struct Check<'a> {
    built: &'a Built,
    chains: &'a LocalChains,
    emissions: &'a mut Emissions,
    daemon: Daemon,
    log: Log,
    ready: Ready,
    /// The ids of the handled events, without the finality.
    handled: BTreeSet<String>,
}

impl Check<'_> {
    /// Causes the events, and waits until the module has handled all of them.
    ///
    /// # Errors
    ///
    /// If the module fails at an event, or does not get one.
    async fn run(&mut self, blocks: u64) -> Result<(), Refusal> {
        let subscriptions = &self.built.manifest.subscriptions;
        let chains: BTreeSet<_> = subscriptions.iter().filter_map(Subscription::chain_id).collect();
        self.until(|check| check.ready.is_complete()).await?;
        let mut expected = Vec::new();
        for chain in chains {
            expected.extend(self.mine(chain, blocks).await?);
        }
        for subscription in subscriptions {
            match subscription {
                Subscription::Logs(logs) => {
                    let Some(chain) = self.chains.find(logs.topic.chain_id) else {
                        continue;
                    };
                    let block = self.emissions.emit(&chain.rpc, samples(&logs.filter)).await?;
                    if is_reached(logs.from_block, block, subscription) {
                        expected.push(id(logs.topic, block, "logs"));
                    }
                    self.finish(logs.topic).await?;
                }
                Subscription::Cron(cron) => expected.extend(tick(cron)),
                _ => {}
            }
        }
        self.until(|check| expected.iter().all(|event| check.handled.contains(event)))
            .await?;
        outln!(
            "{} handled {} events without a failure",
            self.built.module.name,
            self.handled.len()
        );
        Ok(())
    }

    /// Mines blocks of a chain. Returns the events that the module gets for them.
    async fn mine(&self, chain_id: u64, blocks: u64) -> Result<Vec<String>, Refusal> {
        let Some(chain) = self.chains.find(chain_id) else {
            return Ok(Vec::new());
        };
        let head = chain.rpc.block_number().await?;
        chain.rpc.mine(blocks).await?;
        let mut expected = Vec::new();
        for subscription in &self.built.manifest.subscriptions {
            let Subscription::Block(block) = subscription else {
                continue;
            };
            if block.topic.chain_id != chain_id || !is_reached(block.from_block, head + 1, subscription) {
                continue;
            }
            self.finish(block.topic).await?;
            let first = match block.catch_up {
                CatchUp::All => head + 1,
                CatchUp::Latest => head + blocks,
            };
            expected.extend((first..=head + blocks).map(|number| id(block.topic, number, "block")));
        }
        Ok(expected)
    }

    /// Mines the blocks after which the last one has the finality of a subscription.
    async fn finish(&self, topic: ChainTopic) -> Result<(), Refusal> {
        let more = match topic.finality {
            Finality::Latest => return Ok(()),
            Finality::Confirmations(count) => count.get(),
            Finality::Safe | Finality::Finalized => FINAL_BLOCKS,
        };
        match self.chains.find(topic.chain_id) {
            Some(chain) => chain.rpc.mine(more).await,
            None => Ok(()),
        }
    }

    /// Shows the daemon's records until a condition holds.
    async fn until(&mut self, holds: impl Fn(&Self) -> bool) -> Result<(), Refusal> {
        while !holds(self) {
            let Ok(line) = timeout(SILENCE_MAX, self.daemon.line()).await else {
                let seconds = SILENCE_MAX.as_secs();
                return Err(Refusal::new(format!(
                    "the module got no expected event for {seconds} s"
                )));
            };
            let Some(line) = line else {
                return Err(Refusal::new("the daemon refused the module, for the reason above"));
            };
            self.note(&line)?;
        }
        Ok(())
    }

    /// Shows a line of the daemon, and remembers what it says.
    fn note(&mut self, line: &str) -> Result<(), Refusal> {
        let Some(record) = Record::parse(line) else {
            outln!("{}", harmless(line));
            return Ok(());
        };
        self.log.show(&record);
        self.ready.note(&record);
        match (record.kind(), &record.event) {
            (Kind::Handled, Some(event)) => drop(self.handled.insert(without_finality(event))),
            (Kind::Failed, _) => return Err(Refusal::new(record.to_string())),
            _ => {}
        }
        Ok(())
    }

    /// Runs the native tests while the component runs, with the variables that lead to it. Shows the
    /// component's records meanwhile.
    async fn native_tests(&mut self, args: &args::Test, site: &Site, reports: &Reports) -> Result<u8, Refusals> {
        let project = match Project::find(&args.directory) {
            Ok(project) => project,
            // A project that a command builds can be in a language that nexum does not know.
            Err(error) if args.build.build_with.is_some() => {
                outln!("no native tests ran: {error}");
                return Ok(STOPPED);
            }
            Err(error) => return Err(refusals(error)),
        };
        let Some(mut tests) = native(project, &args.args, reports).await? else {
            return Ok(STOPPED);
        };
        let program = std::env::current_exe().map_err(|error| Refusal::of(&error))?;
        tests.env(CONFIG_VARIABLE, site.config()).env(PROGRAM_VARIABLE, program);
        if let Some(chain) = self.chains.iter().next() {
            tests.env(RPC_VARIABLE, chain.rpc.url());
        }
        let ran = native_tests(tests, reports);
        tokio::pin!(ran);
        loop {
            tokio::select! {
                code = &mut ran => return code,
                line = self.daemon.line() => match line {
                    // A test may cause a failure on purpose, and looks for it itself.
                    Some(line) => drop(self.note(&line)),
                    None => return ran.await,
                },
            }
        }
    }
}

/// The tick of a schedule that is due soon. Says so if none is.
fn tick(cron: &CronSubscription) -> Option<String> {
    let now = SystemClock::new().now_ms();
    let next = cron.schedule.next_after(now)?;
    let wait = Duration::from_millis(next.saturating_sub(now));
    if wait > TICK_WAIT_MAX {
        outln!(
            "not tested: the next tick at {} is due in {} s",
            cron.schedule,
            wait.as_secs()
        );
        return None;
    }
    Some(format!("{:016x}:{next}:tick", cron.schedule.id().0))
}

/// Whether a subscription has begun at a block. Says so if not.
fn is_reached(from_block: Option<u64>, number: u64, subscription: &Subscription) -> bool {
    let is_reached = from_block.is_none_or(|from| from <= number);
    if !is_reached {
        outln!("not tested: {subscription} begins above block {number} of the local chain");
    }
    is_reached
}

fn id(topic: ChainTopic, number: u64, kind: &str) -> String {
    format!("{}:{number}:{kind}", topic.chain_id)
}

/// An event id without the finality of its topic: `1:7:block` for `1@12:7:block`.
fn without_finality(id: &str) -> String {
    match id.split_once(':') {
        Some((topic, rest)) => format!("{}:{rest}", topic.split('@').next().unwrap_or(topic)),
        None => id.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_any_finality_is_that_of_its_block() {
        for (id, expected) in [
            ("1:7:block", "1:7:block"),
            ("1@12:7:logs", "1:7:logs"),
            ("1@finalized:7:logs", "1:7:logs"),
            ("00ff:1:tick", "00ff:1:tick"),
        ] {
            assert_eq!(without_finality(id), expected);
        }
    }
}
