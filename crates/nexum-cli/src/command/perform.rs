//! Carries out a command of the command line.

use super::completions::completions;
use super::man::man;
use super::{
    bundle, check, compile, config, dead_letter, doctor, effect, errors, exec, explain, inspect, state, trial,
};
use crate::args::{Command, Reload, Running};
#[cfg(feature = "author")]
use crate::author;
use crate::client::{self, Client, chains, health, logs, query, reload, status};
use crate::configure::{Configuration, configure_state_dir};
use crate::daemon;
use crate::exit_code::STOPPED;
use crate::report::Refusals;

pub(crate) use crate::compose::version;

/// Carries out a command. Returns the exit code.
///
/// # Errors
///
/// Errors that prevent the start of the command.
pub(crate) fn perform(command: Command) -> Result<u8, Refusals> {
    match command {
        Command::Run(args) => daemon::run(&args),
        Command::Exec(args) => exec::exec(&args),
        Command::Try(args) => trial::try_block(&args),
        Command::Replay(args) => trial::replay(&args),
        #[cfg(feature = "author")]
        Command::New(args) => author::new(args),
        #[cfg(feature = "author")]
        Command::Build(args) => author::build(&args),
        #[cfg(feature = "author")]
        Command::Dev(args) => author::dev(&args),
        #[cfg(feature = "author")]
        Command::Test(args) => author::test(&args),
        Command::Check(args) => check::check(&args),
        Command::Doctor { running, format } => doctor::doctor(&running, format),
        Command::SupportBundle { file, force, running } => bundle::support_bundle(&running, file, force),
        Command::Inspect(args) => inspect::inspect(&args),
        Command::State { config, command } => state::state(config.as_deref(), &command),
        Command::Status(args) => ask(&args.running, |client| status::status(client, &args)),
        #[cfg(feature = "top")]
        Command::Top(running) => ask(&running, client::top::top),
        Command::Chains { running, format } => ask(&running, |client| chains::chains(client, format)),
        Command::Health(args) => health::health(&args, || configure_state_dir(args.running.config.as_deref())),
        Command::Explain { of, running, format } => explain::explain(&running, &of, format),
        Command::Limits {
            module,
            running,
            format,
        } => ask(&running, |client| client::limits(client, &module, format)),
        Command::Logs(args) => ask(&args.running, |client| logs::logs(client, &args)),
        Command::Events(args) => ask(&args.running, |client| logs::events(client, &args)),
        Command::LogLevel(args) => ask(&args.running, |client| {
            logs::log_level(&client.because(&args.why), &args)
        }),
        Command::Notify { running, command } => ask(&running, |client| logs::notify(client, &command)),
        Command::Module { running, command } => ask(&running, |client| client::module(client, &command)),
        Command::Query {
            module,
            question,
            running,
            format,
        } => ask(&running, |client| query::query(client, &module, &question, format)),
        Command::DeadLetter { running, command } => dead_letter::dead_letter(&running, &command),
        Command::Effect { running, command } => effect::effect(&running, &command),
        #[cfg(feature = "store-postgres")]
        Command::Cluster { config, command } => super::cluster::cluster(config.as_deref(), &command),
        #[cfg(feature = "identity")]
        Command::Account { config, command } => super::account::account(config.as_deref(), &command),
        Command::Reload(Reload {
            running,
            dry_run,
            why,
            format,
        }) => ask(&running, |client| {
            reload::reload(&client.because(&why), dry_run, format)
        }),
        Command::Config { command } => config::config(command),
        Command::Errors { code, format } => errors::errors(code.as_deref(), format),
        Command::Compile(args) => compile::compile(&args),
        #[cfg(feature = "author")]
        Command::Leash(args) => author::leash(&args),
        Command::Completions { shell } => {
            completions(shell, version());
            Ok(STOPPED)
        }
        Command::Man { directory } => man(directory.as_deref()),
    }
}

/// Sends a request to the daemon that runs with this configuration.
fn ask(running: &Running, question: impl FnOnce(&Client<'_>) -> Result<u8, Refusals>) -> Result<u8, Refusals> {
    let Configuration { file, config, .. } = configure_state_dir(running.config.as_deref())?;
    question(&Client::of(&config.state_dir).configured_by(&file))
}
