//! The work of a node while it is a member.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nexum_config::causes::Causes;
use nexum_config::names::ModuleName;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::held::{Held, Refusal};
use super::lease::LEASE_PARTS;
use super::node::Node;
use super::plan::{Own, Plan, plan};
use super::sightings::Sightings;
use super::snapshot::Snapshot;
use crate::error::PostgresError;
use crate::postgres::grant::Incarnation;

/// The time between two looks at the other nodes.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The time between two surveys of the installation. The hints of other nodes may be lost.
const SURVEY_EVERY: Duration = Duration::from_secs(1);

/// The pause after a failed request. It is short, so that the other nodes hardly miss the lock of this one.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// The work of a node in one membership.
#[derive(Debug)]
pub(super) struct Service<'a> {
    node: &'a Node,
    incarnation: Incarnation,
    /// `None` while the connection is lost.
    held: Option<Held>,
    last_pid: i32,
    sightings: Sightings,
    stability: Stability,
    renew_at: Instant,
    look_at: Instant,
    survey_at: Instant,
    /// The last error, to report it once.
    said: String,
}

/// The end of a membership.
#[derive(Debug)]
pub(super) enum End {
    /// The process has to stop.
    Left,
    /// The membership has ended for this reason.
    Lost(String),
}

/// The time since which the same nodes share the modules.
#[derive(Debug)]
struct Stability {
    nodes: Vec<(String, i64, i32, bool)>,
    since: Instant,
}

/// A request that has not been answered as it should.
#[derive(Debug)]
enum Failure {
    Postgres(PostgresError),
    Waiting(String),
    /// The membership has ended.
    Lost(String),
}

impl From<PostgresError> for Failure {
    fn from(error: PostgresError) -> Self {
        Self::Postgres(error)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Failed(error) => Self::Postgres(error),
            Refusal::Waiting(text) => Self::Waiting(text),
        }
    }
}

impl<'a> Service<'a> {
    pub(super) fn new(node: &'a Node, held: Held, incarnation: Incarnation) -> Self {
        let now = Instant::now();
        Self {
            node,
            incarnation,
            last_pid: held.pid(),
            held: Some(held),
            sightings: Sightings::default(),
            stability: Stability {
                nodes: Vec::new(),
                since: now,
            },
            renew_at: now,
            look_at: now,
            survey_at: now,
            said: String::new(),
        }
    }

    pub(super) fn last_pid(&self) -> i32 {
        self.last_pid
    }

    /// The failure of the last request. `None` if it has succeeded.
    pub(super) fn failure(&self) -> Option<&str> {
        Some(&*self.said).filter(|said| !said.is_empty())
    }

    /// Works until the membership ends.
    pub(super) async fn run(&mut self, stop: &CancellationToken) -> End {
        loop {
            let Some(done) = stop.run_until_cancelled(self.work()).await else {
                return self.leave().await;
            };
            match done {
                Ok(()) => self.said.clear(),
                Err(Failure::Lost(why)) => return End::Lost(why),
                Err(Failure::Postgres(error)) => {
                    let has_stalled = matches!(error, PostgresError::TimedOut { .. });
                    self.held.take_if(|held| has_stalled || held.is_closed());
                    let text = Causes(&error).to_string();
                    self.failed(text).await;
                }
                Err(Failure::Waiting(text)) => self.failed(text).await,
            }
            let next = self.renew_at.min(self.look_at).min(self.survey_at);
            let heard = self.held.as_ref().map(|held| held.heard().clone());
            let heard = async {
                match heard {
                    Some(heard) => heard.notified().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = sleep_until(next) => {}
                () = self.node.requests.woken.notified() => self.survey_at = Instant::now(),
                () = heard => self.survey_at = Instant::now(),
                () = stop.cancelled() => return self.leave().await,
            }
        }
    }

    /// Reports a failure, and looks soon whether the membership goes on.
    async fn failed(&mut self, text: String) {
        if self.said != text {
            tracing::warn!(target: "nexum::cluster", node = %self.node.config.node, error = %text, "a request for the node's lease has failed");
            self.said = text;
        }
        self.renew_at = Instant::now();
        sleep(RETRY_PAUSE).await;
    }

    async fn leave(&mut self) -> End {
        let Node { lease, config, .. } = self.node;
        if let Some(held) = &self.held
            && let Err(error) = lease.leave(held, &self.incarnation).await
        {
            let error = Causes(&error);
            tracing::warn!(target: "nexum::cluster", node = %config.node, %error, "the other nodes find the end of the node by its lease");
        }
        End::Left
    }

    /// Does all work that is due.
    async fn work(&mut self) -> Result<(), Failure> {
        let node = self.node;
        if self.held.is_none() {
            let held = node.lease.hold(self.last_pid).await?;
            self.last_pid = held.pid();
            self.held = Some(held);
            self.sightings = Sightings::default();
            self.renew_at = Instant::now();
        }
        let Some(held) = &self.held else { return Ok(()) };
        let new_offers = node
            .requests
            .pending(|pending| pending.has_new_offers.then(|| pending.offers.clone()));
        if new_offers.is_some() || self.renew_at <= Instant::now() {
            let epoch = self.incarnation.epoch;
            let next = Instant::now() + node.config.lease_ttl / LEASE_PARTS;
            if !node
                .lease
                .renew(held, &node.grant, epoch, new_offers.as_deref())
                .await?
            {
                return Err(Failure::Lost("another node has declared this one dead".to_owned()));
            }
            if let Some(offers) = new_offers {
                node.requests.offered(&offers);
            }
            self.renew_at = next;
        }
        if self.look_at <= Instant::now() {
            self.look_at = Instant::now() + LOOK_EVERY;
            for (dead, why) in self.sightings.add(node.lease.look(held).await?) {
                let why = format!("the node {} is dead: {why}", dead.node);
                if node.lease.bury(held, &dead, &why).await? {
                    tracing::warn!(target: "nexum::cluster", node = %node.config.node, %why, "the modules of a node are free");
                    self.survey_at = Instant::now();
                }
            }
        }
        self.release().await?;
        if self.survey_at <= Instant::now() {
            self.survey_at = Instant::now() + SURVEY_EVERY;
            self.promote().await?;
            self.survey().await?;
        }
        Ok(())
    }

    /// Gives up the modules that the supervisor has released.
    async fn release(&mut self) -> Result<(), Failure> {
        let Node { requests, lease, .. } = self.node;
        let released = requests.pending(|pending| pending.released.clone());
        let Some(held) = self.held.as_ref().filter(|_| !released.is_empty()) else {
            return Ok(());
        };
        let groups: Vec<_> = released.keys().map(ModuleName::as_str).collect();
        let reasons: Vec<_> = released.values().map(|why| &**why).collect();
        lease.release(held, &self.incarnation, &groups, &reasons).await?;
        requests.pending(|pending| pending.released.retain(|name, _| !released.contains_key(name)));
        self.survey_at = Instant::now();
        Ok(())
    }

    /// Makes the versions that the supervisor has promoted those of the installation.
    async fn promote(&self) -> Result<(), Failure> {
        let Node { requests, lease, .. } = self.node;
        let (promoted, offers) = requests.pending(|pending| (pending.promoted.clone(), pending.offers.clone()));
        let Some(held) = self.held.as_ref().filter(|_| !promoted.is_empty()) else {
            return Ok(());
        };
        let versions: Vec<_> = promoted
            .iter()
            .filter_map(|name| Some((name, offers.get(name)?, None)))
            .collect();
        lease.set_versions(held, &versions, "an operator has chosen it").await?;
        requests.pending(|pending| pending.promoted.retain(|name| !promoted.contains(name)));
        Ok(())
    }

    /// Looks at the whole installation, and takes the next steps of the node.
    async fn survey(&mut self) -> Result<(), Failure> {
        let node = self.node;
        let Some(held) = &self.held else { return Ok(()) };
        let snapshot = node.lease.snapshot(held).await?;
        let offers = node.requests.offers();
        self.reconcile(&snapshot)?;
        let owned = node.requests.owned();
        let own = Own {
            node: &node.config.node,
            offers: &offers,
            owned: &owned,
            may_rebalance: self.stability.add(&snapshot) >= node.config.rebalance_after,
        };
        let Plan {
            unknown,
            adopted,
            claims,
            leaving,
            mut elsewhere,
            mut owners,
            unowned,
        } = plan(&snapshot, &own);
        let is_repeated = !unknown.is_empty() || !adopted.is_empty();
        if !unknown.is_empty() {
            let unknown: Vec<_> = unknown
                .iter()
                .filter_map(|name| Some((name, offers.get(name)?)))
                .collect();
            node.lease.offer(held, &unknown).await?;
        }
        if !adopted.is_empty() {
            let adopted: Vec<_> = adopted
                .iter()
                .filter_map(|(name, from)| Some((name, offers.get(name)?, Some(&**from))))
                .collect();
            let why = "no node that takes modules has the earlier version";
            node.lease.set_versions(held, &adopted, why).await?;
        }
        let claims: BTreeMap<_, _> = claims.iter().map(|name| (name.as_str(), name)).collect();
        if !claims.is_empty() && node.grant.may_act() {
            let groups: Vec<_> = claims.keys().copied().collect();
            let claimed = node
                .lease
                .claim(held, &self.incarnation, &groups, "the node has claimed it")
                .await?;
            claimed
                .iter()
                .for_each(|claimed| node.metrics.took_over(claimed.waited));
            let gained = claimed
                .iter()
                .filter_map(|claimed| Some((*claims.get(&*claimed.group)?, claimed.epoch)));
            let gained: Vec<_> = gained.collect();
            for (name, _) in &gained {
                elsewhere.remove(*name);
                owners.insert((*name).clone(), node.config.node.as_str().into());
            }
            self.gain(&gained);
        }
        node.requests.explain(leaving, elsewhere, owners);
        node.metrics.groups(node.requests.owned().len(), unowned);
        if is_repeated {
            self.survey_at = Instant::now();
        }
        Ok(())
    }

    /// Compares the groups that the node has with those that it knows of. The answer to a claim may have been lost.
    fn reconcile(&self, snapshot: &Snapshot) -> Result<(), Failure> {
        let Node { requests, config, .. } = self.node;
        let (owned, offers) = (requests.owned(), requests.offers());
        let mine = snapshot
            .groups
            .iter()
            .filter(|group| group.node.as_ref() == Some(&config.node));
        let mine: BTreeMap<&str, i64> = mine.map(|group| (&*group.grp, group.epoch)).collect();
        let number = |name: &ModuleName| mine.get(name.as_str()).map(|epoch| epoch.unsigned_abs());
        if let Some(name) = owned.keys().find(|name| number(name) != owned.get(*name).copied()) {
            return Err(Failure::Lost(format!(
                "the installation has given the module {name} to another node"
            )));
        }
        let gained: Vec<_> = offers
            .keys()
            .filter(|name| !owned.contains_key(*name))
            .filter_map(|name| Some((name, *mine.get(name.as_str())?)))
            .collect();
        self.gain(&gained);
        let unknown = mine.keys().filter_map(|name| name.parse::<ModuleName>().ok());
        let unknown: Vec<_> = unknown
            .filter(|name| !offers.contains_key(name) && !owned.contains_key(name))
            .collect();
        let why: Arc<str> = "the node does not have the module".into();
        requests.pending(|pending| {
            pending
                .released
                .extend(unknown.into_iter().map(|name| (name, why.clone())))
        });
        Ok(())
    }

    fn gain(&self, gained: &[(&ModuleName, i64)]) {
        let gained = gained
            .iter()
            .map(|(name, epoch)| ((*name).clone(), epoch.unsigned_abs()));
        self.node.requests.gain(gained);
    }
}

impl Stability {
    /// Adds a snapshot. Returns the time since which the nodes are the same.
    fn add(&mut self, snapshot: &Snapshot) -> Duration {
        let live = snapshot.nodes.iter().filter(|node| node.is_live);
        let nodes: Vec<_> = live
            .map(|node| (node.node.clone(), node.epoch, node.weight, node.draining))
            .collect();
        if self.nodes != nodes {
            self.nodes = nodes;
            self.since = Instant::now();
        }
        self.since.elapsed()
    }
}
