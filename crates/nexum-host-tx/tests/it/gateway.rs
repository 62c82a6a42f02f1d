//! The way to the node, which loses, refuses and invents as a test says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{B256, keccak256};
use async_trait::async_trait;
use nexum_config::topic::ChainId;
use nexum_core::bindings::nexum::host::types::HostError;
use nexum_core::capability::{ChainAccess, Submission, SubmitError, SubmitTo, Submitted};
use nexum_host_chain::Chains;
use parking_lot::Mutex;
use tokio::time::sleep;

/// The fate of one submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The node gets it, and its answer arrives.
    Taken,
    /// The node does not get it, and this error about the transaction arrives.
    Refused(&'static str),
    /// The node does not get it, and this error arrives after the next submission.
    RefusedAfterNext(&'static str),
    /// The node gets it, and this error about the transaction arrives.
    TakenAndRefused(&'static str),
    /// The node does not get it, and no answer arrives.
    LostBefore,
    /// The node gets it, and no answer arrives.
    LostAfter,
    /// The node does not get it, and the submission never ends.
    HangBefore,
    /// The node gets it, and the submission never ends.
    HangAfter,
}

/// A submission that the gateway has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) hash: B256,
    pub(crate) to: SubmitTo,
}

/// The chains behind a script. Clones share the script.
#[derive(Clone, Debug)]
pub(crate) struct Gateway {
    chains: Chains,
    script: Arc<Mutex<Script>>,
}

#[derive(Debug, Default)]
struct Script {
    fates: VecDeque<Fate>,
    /// The fate of all submissions after `fates`.
    always: Option<Fate>,
    /// The answers to methods.
    lies: BTreeMap<&'static str, String>,
    submission: Option<Submission>,
    seen: Vec<Seen>,
    hanging: usize,
    at_next: Option<Act>,
}

/// Something that happens at a submission, before its answer.
struct Act(Box<dyn FnOnce() + Send>);

impl fmt::Debug for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Act")
    }
}

impl Gateway {
    pub(crate) fn new(chains: Chains) -> Self {
        Self {
            chains,
            script: Arc::default(),
        }
    }

    /// The fates of the next submissions. All later ones are taken.
    pub(crate) fn fates(&self, fates: &[Fate]) {
        self.script.lock().fates.extend(fates);
    }

    /// Does this at the next submission, before its answer.
    pub(crate) fn at_next(&self, act: impl FnOnce() + Send + 'static) {
        self.script.lock().at_next = Some(Act(Box::new(act)));
    }

    /// The fate of all submissions without one of their own. `None` takes them.
    pub(crate) fn always(&self, fate: Option<Fate>) {
        self.script.lock().always = fate;
    }

    /// Answers a method with this JSON instead of the node's.
    pub(crate) fn lie(&self, method: &'static str, answer: &str) {
        self.script.lock().lies.insert(method, answer.to_owned());
    }

    /// Answers a method with the node's answer again.
    pub(crate) fn tell_the_truth(&self, method: &'static str) {
        self.script.lock().lies.remove(method);
    }

    /// Says that the chain takes transactions so.
    pub(crate) fn set_submission(&self, submission: Submission) {
        self.script.lock().submission = Some(submission);
    }

    /// All submissions, oldest first.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.script.lock().seen.clone()
    }

    /// The hashes of all transactions that were submitted.
    pub(crate) fn hashes(&self) -> BTreeSet<B256> {
        self.seen().iter().map(|seen| seen.hash).collect()
    }

    /// The submissions that have hung.
    pub(crate) fn hanging(&self) -> usize {
        self.script.lock().hanging
    }

    /// Forgets the fates that no submission had.
    pub(crate) fn forget_fates(&self) {
        self.script.lock().fates.clear();
    }
}

fn answered(error: Option<(&str, bool)>) -> Vec<Submitted> {
    let result = match error {
        None => Ok(()),
        Some((message, is_refusal)) => Err(SubmitError {
            message: message.to_owned(),
            is_refusal,
        }),
    };
    vec![Submitted {
        endpoint: "http://node.example".to_owned(),
        result,
    }]
}

#[async_trait]
impl ChainAccess for Gateway {
    fn chains(&self) -> Vec<ChainId> {
        self.chains.chains()
    }

    async fn read(&self, chain_id: ChainId, method: &str, params: &str) -> Result<String, HostError> {
        let lie = self.script.lock().lies.get(method).cloned();
        match lie {
            Some(lie) => Ok(lie),
            None => self.chains.read(chain_id, method, params).await,
        }
    }

    async fn submit(&self, chain_id: ChainId, transaction: &[u8], to: SubmitTo) -> Vec<Submitted> {
        let (fate, count) = {
            let mut script = self.script.lock();
            let hash = keccak256(transaction);
            script.seen.push(Seen { hash, to });
            if let Some(Act(act)) = script.at_next.take() {
                act();
            }
            let fate = script.fates.pop_front().or(script.always);
            (fate.unwrap_or(Fate::Taken), script.seen.len())
        };
        let passes = matches!(
            fate,
            Fate::Taken | Fate::TakenAndRefused(_) | Fate::LostAfter | Fate::HangAfter
        );
        let answer = match passes {
            true => self.chains.submit(chain_id, transaction, to).await,
            false => Vec::new(),
        };
        match fate {
            Fate::Taken => answer,
            Fate::Refused(text) | Fate::TakenAndRefused(text) => answered(Some((text, true))),
            Fate::RefusedAfterNext(text) => {
                while self.script.lock().seen.len() == count {
                    sleep(Duration::from_millis(1)).await;
                }
                answered(Some((text, true)))
            }
            Fate::LostBefore | Fate::LostAfter => answered(Some(("connection reset", false))),
            Fate::HangBefore | Fate::HangAfter => {
                self.script.lock().hanging += 1;
                pending().await
            }
        }
    }

    fn submission(&self, chain_id: ChainId) -> Submission {
        let scripted = self.script.lock().submission;
        scripted.unwrap_or_else(|| self.chains.submission(chain_id))
    }
}
