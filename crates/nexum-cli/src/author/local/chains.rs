//! The chains of a project: an anvil for each, or a node that runs already.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, TcpListener};
use std::num::NonZeroU64;
use std::path::PathBuf;

use nexum_build::anvil::{self, Anvil, Starting};
use serde_json::json;

use super::configured_chain::ConfiguredChain;
use super::leash::leashed;
use super::reports::Reports;
use super::rpc::Rpc;
use crate::args::ChainSources;
use crate::report::Refusal;
use crate::report::print::outln;

/// A chain of the project.
#[derive(Debug)]
pub(in crate::author) struct LocalChain {
    pub(in crate::author) id: u64,
    pub(in crate::author) rpc: Rpc,
    /// The endpoint for the daemon.
    pub(in crate::author) url: String,
    /// `None` for a node that `--rpc` names.
    node: Option<LocalNode>,
}

/// The anvils to start again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::author) enum Renew {
    /// Each anvil that has ended since the last call.
    Ended,
    /// Each anvil that does not run: it has ended, or its last start failed.
    Stopped,
    All,
}

/// The hint of a start that failed.
const RETRIED: &str = "nexum starts anvil again after the next change of a source, or with `n` and Enter";

/// An anvil of nexum's own.
#[derive(Debug)]
struct LocalNode {
    program: PathBuf,
    options: anvil::Options,
    /// `None` after a start that failed.
    anvil: Option<Anvil>,
}

/// Checks the nodes of the command line and the program in [`anvil::VARIABLE`]: a change of the project
/// cannot mend them.
///
/// # Errors
///
/// If a node does not answer, or the program does not exist.
pub(in crate::author) async fn check(sources: &ChainSources) -> Result<(), Refusal> {
    for (option, urls) in [("--rpc", &sources.rpc), ("--fork", &sources.fork)] {
        for url in urls {
            let id = async { Rpc::new(url)?.chain_id().await };
            id.await.map_err(|refusal| refusal.about(option))?;
        }
    }
    anvil::check_named().map_err(|error| Refusal::with_hint_of(&error))
}

/// The identity of each chain, by the chain's id.
pub(in crate::author) type Identities = BTreeMap<u64, String>;

/// The chains of a project.
#[derive(Debug, Default)]
pub(in crate::author) struct LocalChains(Vec<LocalChain>);

impl LocalChains {
    /// Adds the chains that are missing: the nodes that `sources` names, and an anvil for each other
    /// chain. Waits until all of them listen. Returns the new ones. Call it on the main thread.
    ///
    /// # Errors
    ///
    /// If a node does not answer, or is of a chain that the project does not have, or if anvil cannot
    /// be fetched or started.
    pub(in crate::author) async fn extend(
        &mut self,
        configured: &[ConfiguredChain],
        sources: &ChainSources,
        block_time_s: Option<NonZeroU64>,
        reports: &Reports,
    ) -> Result<&[LocalChain], Refusal> {
        let before = self.0.len();
        let is_missing = |chain: &&ConfiguredChain| self.find(chain.id).is_none();
        let missing: Vec<_> = configured.iter().filter(is_missing).copied().collect();
        if missing.is_empty() {
            return Ok(&[]);
        }
        let existing = ids(&sources.rpc, configured).await?;
        let forked = ids(&sources.fork, configured).await?;
        let of = |urls: &[(u64, String)], id: u64| urls.iter().find(|(of, _)| *of == id).map(|(_, url)| url.clone());
        for ConfiguredChain { id, port } in missing {
            let chain = match of(&existing, id) {
                Some(url) => LocalChain {
                    id,
                    rpc: Rpc::new(&url)?,
                    url,
                    node: None,
                },
                None => {
                    let options = anvil::Options {
                        port: port.filter(|port| is_free(*port)),
                        chain_id: Some(id),
                        fork_url: of(&forked, id),
                        block_time_s,
                        more: Vec::new(),
                    };
                    let mut node = LocalNode {
                        program: reports.blocking(anvil::find).await?,
                        options,
                        anvil: None,
                    };
                    let (rpc, url) = node.start(reports).await?;
                    LocalChain {
                        id,
                        rpc,
                        url,
                        node: Some(node),
                    }
                }
            };
            self.0.push(chain);
        }
        Ok(&self.0[before..])
    }

    pub(in crate::author) fn iter(&self) -> impl Iterator<Item = &LocalChain> {
        self.0.iter()
    }

    pub(in crate::author) fn find(&self, id: u64) -> Option<&LocalChain> {
        self.0.iter().find(|chain| chain.id == id)
    }

    /// The [`identity`] of each chain.
    ///
    /// # Errors
    ///
    /// If a node does not answer.
    pub(in crate::author) async fn identities(&self) -> Result<Identities, Refusal> {
        let mut all = Identities::new();
        for chain in &self.0 {
            all.insert(chain.id, identity(&chain.rpc).await?);
        }
        Ok(all)
    }

    /// The nodes that can be replaced under their URLs while this process runs.
    pub(in crate::author) fn local_nodes(&self) -> Vec<Rpc> {
        let nodes = self.0.iter().map(|chain| &chain.rpc);
        nodes.filter(|rpc| rpc.is_local()).cloned().collect()
    }

    /// Starts the anvils that `which` names again. Returns whether there was one. Call it on the main
    /// thread.
    ///
    /// # Errors
    ///
    /// If an anvil does not start. [`Renew::Stopped`] names this one from now on.
    pub(in crate::author) async fn renew(&mut self, which: Renew, reports: &Reports) -> Result<bool, Refusal> {
        let mut is_new = false;
        for LocalChain { id, node, .. } in &mut self.0 {
            let Some(node) = node else { continue };
            let ended = node.anvil.as_mut().and_then(Anvil::ended);
            if let Some(status) = ended {
                outln!("anvil of chain {id} ended: {status}");
            }
            let is_named = match which {
                Renew::Ended => ended.is_some(),
                Renew::Stopped => ended.is_some() || node.anvil.is_none(),
                Renew::All => true,
            };
            if is_named {
                let started = node.start(reports).await;
                started.map_err(|refusal| refusal.with_hint(RETRIED))?;
                is_new = true;
            }
        }
        Ok(is_new)
    }
}

impl LocalNode {
    /// Starts anvil, in place of the one that runs or has ended. Returns its endpoints: for requests,
    /// and for the daemon. Later starts use the port of the first one, which other programs know.
    async fn start(&mut self, reports: &Reports) -> Result<(Rpc, String), Refusal> {
        self.anvil = None;
        let starting = Starting::spawn(leashed(&self.options.command(&self.program)));
        let starting = starting.map_err(|error| Refusal::with_hint_of(&error))?;
        let anvil = reports.blocking(|progress| starting.wait(progress)).await?;
        self.options.port = Some(anvil.port());
        let rpc = Rpc::new(&anvil.http_url())?;
        let url = anvil.ws_url();
        self.anvil = Some(anvil);
        // The log takes as long as a small request, and has no reader.
        rpc.request("anvil_setLoggingEnabled", json!([false])).await?;
        Ok((rpc, url))
    }
}

/// The chain ids of the nodes at these URLs.
async fn ids(urls: &[String], configured: &[ConfiguredChain]) -> Result<Vec<(u64, String)>, Refusal> {
    let known: BTreeSet<_> = configured.iter().map(|chain| chain.id).collect();
    let mut found = Vec::new();
    for url in urls {
        let rpc = Rpc::new(url)?;
        let id = rpc.chain_id().await?;
        if !known.contains(&id) {
            let list = crate::report::list(&known);
            let refusal = Refusal::new(format!(
                "the node at {} is of chain {id}, and the project has {list}",
                rpc.place()
            ));
            return Err(refusal.with_hint(format!("subscribe to chain {id}, or add [chains.{id}] to engine.toml")));
        }
        found.push((id, url.clone()));
    }
    Ok(found)
}

/// A text that changes when another chain takes the place of the node's chain, under its id. It has
/// no line breaks: the hash of the genesis block, and for a fork also anvil's own name of its instance: each fork
/// has the genesis of the original.
pub(in crate::author) async fn identity(rpc: &Rpc) -> Result<String, Refusal> {
    let genesis = rpc.request("eth_getBlockByNumber", json!(["0x0", false])).await?;
    let genesis = genesis["hash"].as_str().unwrap_or_default().to_owned();
    // Nodes other than anvil do not have the method.
    let metadata = rpc.request("anvil_metadata", json!([])).await.unwrap_or_default();
    match (metadata["forkedNetwork"].is_object(), metadata["instanceId"].as_str()) {
        (true, Some(instance)) => Ok(format!("{genesis} {instance}")),
        _ => Ok(genesis),
    }
}

/// Whether nothing listens on a port of the loopback interface.
fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
