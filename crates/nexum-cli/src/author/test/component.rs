//! `nexum test --component`: the component in the runtime, on local chains, with a state
//! that is thrown away.

mod causes;
mod expected;
mod watch;

use nexum_build::Project;

use self::causes::Causes;
use self::watch::Watch;
use super::{native, native_tests};
use crate::args;
use crate::author::local::builds::{Build, Built};
use crate::author::local::chains::{self, LocalChains};
use crate::author::local::reports::{Reports, refusals};
use crate::author::local::sample::Emissions;
use crate::author::local::site::Site;
use crate::exit_code::{FAILED, STOPPED};
use crate::report::print::outln;
use crate::report::{Refusal, Refusals, count};

/// The variables that the native tests of a module find its daemon with: the configuration for the
/// commands of nexum, this program, and the HTTP endpoint of the first chain.
const CONFIG_VARIABLE: &str = "NEXUM_TEST_CONFIG";
const PROGRAM_VARIABLE: &str = "NEXUM_TEST_PROGRAM";
const RPC_VARIABLE: &str = "NEXUM_TEST_RPC";

/// Checks the component, and runs the native tests beside it if it handles every event. Returns the
/// exit code.
///
/// # Errors
///
/// Errors that prevent the start of the component.
pub(super) async fn test(args: &args::Test, reports: &Reports, emissions: &mut Emissions) -> Result<u8, Refusals> {
    chains::check(&args.chains).await?;
    let build = Build::of(&args.directory, args.build.build_with.as_ref(), None)?;
    let built = build.start(reports).await.map_err(|error| Refusal::of(&error))??;
    let scratch = tempfile::tempdir().map_err(|error| Refusal::of(&error))?;
    let site = Site::open(&args.directory, scratch.path())?;
    let mut chains = LocalChains::default();
    let configured = site.chains(&built.manifest)?;
    chains.extend(&configured, &args.chains, None, reports).await?;
    let (draft, original) = (site.draft(&built.module, &chains, true)?, site.original_path());
    let checked = reports.spawn(move |_| draft.checked(&original));
    checked.await.map_err(|error| Refusal::of(&error))??.publish()?;
    let mut check = Check {
        built: &built,
        chains: &chains,
        emissions,
        watch: Watch::start(&site, &built, reports)?,
    };
    let code = match check.run(args.blocks).await {
        Ok(()) => check.native_tests(args, &site, reports).await?,
        Err(refusals) => {
            refusals.print();
            FAILED
        }
    };
    check.watch.stop().await;
    Ok(code)
}

/// A component that is being checked.
struct Check<'a> {
    built: &'a Built,
    chains: &'a LocalChains,
    emissions: &'a mut Emissions,
    watch: Watch<'a>,
}

impl Check<'_> {
    /// Causes the events, and waits until the module has handled all of them.
    ///
    /// # Errors
    ///
    /// If the module fails at an event, or does not handle one.
    async fn run(&mut self, blocks: u64) -> Result<(), Refusals> {
        let (watch, built) = (&mut self.watch, self.built);
        watch.until_ready().await?;
        let mut causes = Causes {
            subscriptions: &built.manifest.subscriptions,
            chains: self.chains,
            emissions: self.emissions,
        };
        let expected = watch.during(causes.all(blocks)).await?;
        watch.until_handled(expected).await?;
        outln!(
            "{} handled {} without a failure",
            built.module.name,
            count(watch.handled(), "event")
        );
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
        self.watch.beside(native_tests(tests, reports)).await
    }
}
