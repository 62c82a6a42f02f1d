//! The method `eth_getLogs`.

use alloy_primitives::{Address, B256};
use serde::Deserialize;
use serde_json::Value;

use super::answer::Answer;
use super::block::Block;
use super::json::RpcLog;
use super::limit::LogsLimit;
use super::log::Log;
use super::view::View;

/// The `eth_getLogs` requests that a node wrongly answers with an empty list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LostLogs {
    /// None.
    #[default]
    Nothing,
    /// Requests by block hash.
    ByHash,
    /// Requests over a range of at least this many blocks.
    Ranges(u64),
    /// All requests.
    All,
}

/// The faults of a node's `eth_getLogs`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LogsFaults {
    pub(super) lost: LostLogs,
    pub(super) limit: Option<LogsLimit>,
    pub(super) refuses_beyond_head: bool,
    pub(super) indexed_in_transactions: bool,
    pub(super) answers_unknown: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    block_hash: Option<B256>,
    from_block: Option<Value>,
    to_block: Option<Value>,
    address: Option<OneOrMany<Address>>,
    topics: Option<Vec<Option<OneOrMany<B256>>>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T: PartialEq> OneOrMany<T> {
    /// An empty list matches everything, as in geth.
    fn matches(&self, value: &T) -> bool {
        match self {
            Self::One(one) => one == value,
            Self::Many(many) => many.is_empty() || many.contains(value),
        }
    }
}

impl Filter {
    fn matches(&self, log: &Log) -> bool {
        let topics = self.topics.as_deref().unwrap_or_default();
        topics.len() <= log.topics.len()
            && self
                .address
                .as_ref()
                .is_none_or(|address| address.matches(&log.address))
            && topics
                .iter()
                .zip(&log.topics)
                .all(|(wanted, topic)| wanted.as_ref().is_none_or(|wanted| wanted.matches(topic)))
    }
}

pub(super) fn logs(view: View<'_>, faults: LogsFaults, params: &[Value]) -> Answer {
    let filter = match params.first().map(Filter::deserialize) {
        Some(Ok(filter)) => filter,
        _ => return Answer::error(-32_602, "invalid filter"),
    };
    let found = match filter.block_hash {
        Some(hash) => by_hash(view, faults, &filter, &hash),
        None => by_range(view, faults, &filter),
    };
    match found {
        Ok(mut logs) => {
            if faults.indexed_in_transactions {
                logs.iter_mut().for_each(RpcLog::index_in_transaction);
            }
            Answer::Json(serde_json::to_string(&logs).expect("only strings"))
        }
        Err(refusal) => refusal,
    }
}

type Found<'a> = Result<Vec<RpcLog<'a>>, Answer>;

fn by_hash<'a>(view: View<'a>, faults: LogsFaults, filter: &Filter, hash: &B256) -> Found<'a> {
    if filter.from_block.is_some() || filter.to_block.is_some() {
        let message = "cannot specify both BlockHash and FromBlock/ToBlock, choose one or the other";
        return Err(Answer::error(-32_602, message));
    }
    let Some(block) = view.by_hash(hash) else {
        return match faults.answers_unknown {
            true => Ok(Vec::new()),
            false => Err(Answer::error(-32_000, "unknown block")),
        };
    };
    let lost = matches!(faults.lost, LostLogs::ByHash | LostLogs::All);
    Ok(if lost {
        Vec::new()
    } else {
        matching(filter, block).collect()
    })
}

fn by_range<'a>(view: View<'a>, faults: LogsFaults, filter: &Filter) -> Found<'a> {
    let number = |id: &Option<Value>| {
        let latest = Ok(view.head().number);
        id.as_ref().map_or(latest, |id| view.number(id))
    };
    let (from, to) = (number(&filter.from_block)?, number(&filter.to_block)?);
    if from > to {
        return Err(Answer::error(-32_602, "invalid block range params"));
    }
    if faults.refuses_beyond_head && to > view.head().number {
        return Err(Answer::error(-32_602, "block range extends beyond current head block"));
    }
    faults.limit.map_or(Ok(()), |limit| limit.check_range(from, to))?;
    let range = (to - from).saturating_add(1);
    match faults.lost {
        LostLogs::All => return Ok(Vec::new()),
        LostLogs::Ranges(lost) if range >= lost => return Ok(Vec::new()),
        _ => {}
    }
    let mut found = Vec::new();
    for block in view.range(from, to) {
        found.extend(matching(filter, block));
        faults
            .limit
            .map_or(Ok(()), |limit| limit.check_results(found.len(), from, block.number))?;
    }
    Ok(found)
}

fn matching<'a>(filter: &Filter, block: &'a Block) -> impl Iterator<Item = RpcLog<'a>> {
    let matching = block.logs().iter().filter(|log| filter.matches(log));
    matching.map(|log| log.in_block(block))
}
