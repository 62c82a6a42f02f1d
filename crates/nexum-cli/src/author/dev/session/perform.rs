//! Carries out the author's commands.

use nexum_config::manifest::Subscription;

use super::Session;
use crate::author::dev::command::{Command, HELP};
use crate::author::local::chains::Renew;
use crate::author::local::daemon::ask;
use crate::author::local::sample::{Sample, samples};
use crate::report::print::outln;
use crate::report::{Refusal, Refusals};

impl Session<'_> {
    /// Carries out a command.
    pub(super) async fn perform(&mut self, command: Command) -> Result<(), Refusals> {
        let config = self.site.config();
        let name = self
            .built
            .as_ref()
            .map(|built| built.module.name.to_string())
            .unwrap_or_default();
        let shown = async |arguments: &[&str]| Ok::<_, Refusals>(ask(&config, arguments, true).await.map(drop)?);
        match command {
            Command::Mine(_) | Command::Log { .. } if self.chains.iter().next().is_none() => {
                Err(self.not_yet("no chain"))
            }
            Command::Event if self.built.is_none() => Err(self.not_yet("no module")),
            Command::State | Command::Status | Command::Retry if self.daemon.is_none() => {
                Err(self.not_yet("no daemon"))
            }
            Command::Mine(blocks) => {
                for rpc in self.chains.iter().map(|chain| chain.rpc.clone()) {
                    self.mining.spawn(async move { rpc.mine(blocks).await });
                }
                Ok(())
            }
            Command::Event => self.send_samples().await,
            Command::Log { contract, topics, data } => {
                let sample = Sample { contract, topics, data };
                let Some(chain) = self.chains.iter().next() else {
                    return Err(self.not_yet("no chain"));
                };
                let block = self.emissions.emit(&chain.rpc, vec![sample]).await?;
                outln!("sent a log in block {block}");
                Ok(())
            }
            Command::State => shown(&["state", "scan", &name]).await,
            Command::Status => shown(&["status"]).await,
            Command::Retry => shown(&["dead-letter", "retry", &name, "--all"]).await,
            Command::Reload => {
                self.start_build();
                Ok(())
            }
            // The first start of the chains failed.
            Command::New if self.chains.iter().next().is_none() => self.restart(true).await,
            Command::New => match self.renew(Renew::All).await? {
                true => Ok(()),
                false => Err(Refusal::new("no chain is nexum's own: start the node of --rpc again").into()),
            },
            Command::Help => {
                outln!("{HELP}");
                Ok(())
            }
            // The caller ends the session.
            Command::Quit => Ok(()),
        }
    }

    /// The error of a command that is too early, with the step that nexum waits for.
    fn not_yet(&self, subject: &str) -> Refusals {
        let reason = match (&self.job, &self.built) {
            (Some(_), None) => "nexum builds the module",
            (None, None) => "the last build failed",
            (_, Some(_)) if self.chains.iter().next().is_none() => "no chain has started, or the module has none",
            _ => "the daemon has ended or was refused",
        };
        let refusal = Refusal::new(format!("{subject} runs: {reason}"));
        match self.job {
            Some(_) => refusal.into(),
            None => refusal
                .with_hint("nexum retries after a change, or with `r` and Enter")
                .into(),
        }
    }

    async fn send_samples(&mut self) -> Result<(), Refusals> {
        let subscriptions = self.built.iter().flat_map(|built| &built.manifest.subscriptions);
        let mut has_logs = false;
        for subscription in subscriptions {
            let Subscription::Logs(logs) = subscription else {
                continue;
            };
            has_logs = true;
            let Some(chain) = self.chains.find(logs.topic.chain_id) else {
                continue;
            };
            let block = self.emissions.emit(&chain.rpc, samples(&logs.filter)).await?;
            outln!("sent a sample event in block {block} of chain {}", chain.id);
        }
        match has_logs {
            true => Ok(()),
            false => Err(Refusal::new("the module subscribes to no logs").into()),
        }
    }
}
