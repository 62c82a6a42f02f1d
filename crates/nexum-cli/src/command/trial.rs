//! `nexum try` and `nexum replay`: a module on past blocks, in this process and without consequences.

mod blocks;
mod difference;
mod prepare;
mod record;
mod recorded;
mod replayed;
mod report;
mod show;
mod start;
mod tally;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use nexum_core::trial::{Trial, TrialError, TrialRules};
use tokio::task::block_in_place;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Identity, Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use self::blocks::Blocks;
use self::prepare::Subject;
use self::record::{Gap, Record};
use self::recorded::Repetition;
use self::replayed::{Comparison, ReplayReport};
use self::report::{EventReport, TryReport};
use self::start::Start;
use crate::args::{Format, Inputs, Replay, Rules, StartState, TrialEffects, Try};
use crate::exit_code::{FAILED, STOPPED};
use crate::process::{self, Termination};
use crate::report::bars::Progress;
use crate::report::print::json_on_stdout;
use crate::report::{Refusal, Refusals};

/// The most blocks of a replay: a day and a half of Ethereum. Each one costs some requests.
const BLOCKS_MAX: u64 = 10_000;

/// Runs a component on a past block.
///
/// # Errors
///
/// The reason why it cannot run.
pub(crate) fn try_block(args: &Try) -> Result<u8, Refusals> {
    until_signal(tried(args))
}

/// Runs a module on past blocks, and compares the result.
///
/// # Errors
///
/// The reason why it cannot run.
pub(crate) fn replay(args: &Replay) -> Result<u8, Refusals> {
    let (first, last) = (args.blocks.start(), args.blocks.end());
    if last - first >= BLOCKS_MAX {
        let refusal = Refusal::new(format!("the blocks {first} to {last} are more than {BLOCKS_MAX}"));
        return Err(refusal.with_hint("replay a part of them").into());
    }
    until_signal(replayed(args))
}

/// Runs a command until a signal ends it.
fn until_signal(command: impl Future<Output = Result<u8, Refusals>>) -> Result<u8, Refusals> {
    hear_modules();
    process::block_on(async {
        let mut termination = Termination::new().map_err(|error| Refusal::of(&error))?;
        tokio::select! {
            done = command => done,
            code = termination.received() => Ok(code),
        }
    })?
}

/// Enables the records of modules, which a trial shows itself, from the level on that the daemon has by default: each
/// enabled record counts against a limit.
fn hear_modules() {
    let modules = Targets::new().with_target(nexum_core::logged::MODULE, LevelFilter::INFO);
    // Another subscriber would be one of an embedder.
    let _ = tracing_subscriber::registry()
        .with(Identity::new().with_filter(modules))
        .try_init();
}

async fn tried(args: &Try) -> Result<u8, Refusals> {
    let Try {
        component,
        block,
        module,
        rules,
    } = args;
    let entry = match module {
        Some(name) => prepare::entry_of(rules, name).await?,
        None => prepare::entry_alone(),
    };
    let subject = prepare::load(rules, prepare::with_component(entry, component, rules)).await?;
    let chain_id = subject.chain(rules.chain)?;
    let start = match (rules.state, module) {
        (None | Some(StartState::Empty), None) => Start::empty(),
        (wanted, _) => {
            let wanted = wanted.unwrap_or(StartState::Now);
            block_in_place(|| Start::read(&subject, wanted, chain_id, *block))?
        }
    };
    let (mut trial, source) = subject.trial(chain_id, settings(rules), &start)?;
    let blocks = Blocks::open(source).await?;
    let found = blocks.read(*block..=*block, trial.filters()).await?;
    let mut events = Vec::new();
    for block in &found {
        let tried = trial.handle(block, &BTreeMap::new()).await.map_err(refusal)?;
        events.extend(tried.iter().map(EventReport::of));
    }
    let report = TryReport::of(&trial, chain_id, *block, start.text, events);
    match rules.format {
        Format::Json => json_on_stdout(&report)?,
        Format::Text => show::tried(&report),
    }
    Ok(match report.events.iter().all(EventReport::is_ok) {
        true => STOPPED,
        false => FAILED,
    })
}

async fn replayed(args: &Replay) -> Result<u8, Refusals> {
    let Replay {
        module,
        blocks,
        with,
        inputs,
        rules,
    } = args;
    let entry = prepare::entry_of(rules, module).await?;
    let other = with
        .as_ref()
        .map(|component| prepare::with_component(entry.clone(), component, rules));
    let subject = prepare::load(rules, entry).await?;
    let chain_id = subject.chain(rules.chain)?;
    let other = match other {
        Some(entry) => Some(prepare::load(rules, entry).await?),
        None => None,
    };
    let record = match inputs {
        Some(Inputs::Reread) => Err(None),
        _ => block_in_place(|| recorded::find(&subject, chain_id, blocks))?,
    };
    let report = match (record, inputs) {
        (Ok(record), inputs) if record.gaps.is_empty() || inputs.is_some() => {
            repeated(args, subject, other, (chain_id, record)).await?
        }
        (Err(Some(reason)), Some(Inputs::Recorded)) => {
            let refusal = Refusal::new(reason).with_hint(WITHOUT_RECORD);
            return Err(refusal.into());
        }
        (record, _) => {
            let because = match record {
                Ok(record) => record.gaps.first().map(Gap::to_string),
                Err(reason) => reason,
            };
            let report = reread(args, subject, other, chain_id).await?;
            ReplayReport {
                reread_because: because,
                ..report
            }
        }
    };
    match rules.format {
        Format::Json => json_on_stdout(&report)?,
        Format::Text => show::replayed(&report),
    }
    Ok(match report.is_equal() {
        true => STOPPED,
        false => FAILED,
    })
}

/// The hint about a range without recorded inputs.
const WITHOUT_RECORD: &str =
    "set `arguments = true` in [ledger] to record later events, or read the chain again with --inputs reread";

/// Repeats the recorded events of a range.
async fn repeated(
    args: &Replay,
    subject: Subject,
    other: Option<Subject>,
    (chain_id, record): (u64, Record),
) -> Result<ReplayReport, Refusals> {
    let Replay { blocks, rules, .. } = args;
    let rules_of_trial = TrialRules {
        recorded_only: other.is_none() || args.inputs == Some(Inputs::Recorded),
        ..settings(rules)
    };
    let meta = subject.module.meta.clone();
    let with_digest = other.as_ref().map(|other| other.module.meta.digest.to_string());
    let start = match &other {
        Some(_) => {
            let wanted = rules.state.unwrap_or(StartState::Before);
            block_in_place(|| Start::read(&subject, wanted, chain_id, *blocks.start()))?
        }
        None => Start::recorded(),
    };
    let mut repetition = match other {
        Some(other) => Repetition::with_other(other.trial(chain_id, rules_of_trial, &start)?.0, &start)?,
        None => Repetition::exact(subject.trial(chain_id, rules_of_trial, &start)?.0),
    };
    repetition.run(&record).await?;
    let (tally, other_versions) = repetition.end();
    Ok(ReplayReport {
        module: meta.name.to_string(),
        digest: meta.digest.to_string(),
        with_digest,
        chain_id,
        first_block: *blocks.start(),
        last_block: *blocks.end(),
        inputs: Inputs::Recorded,
        reread_because: None,
        start: start.text,
        tally,
        gaps: record.gaps,
        other_versions,
        history: None,
    })
}

/// Reads a range from the chain again.
async fn reread(
    args: &Replay,
    subject: Subject,
    other: Option<Subject>,
    chain_id: u64,
) -> Result<ReplayReport, Refusals> {
    let Replay { blocks, rules, .. } = args;
    let wanted = rules.state.unwrap_or(StartState::Before);
    let start = block_in_place(|| Start::read(&subject, wanted, chain_id, *blocks.start()))?;
    let (trial, source) = subject.trial(chain_id, settings(rules), &start)?;
    let other = match other {
        Some(other) => {
            let again = block_in_place(|| start.again())?;
            Some(other.trial(chain_id, settings(rules), &again)?.0)
        }
        None => None,
    };
    let mut comparison = Comparison::new(trial, other, &start);
    run(&mut comparison, &Blocks::open(source).await?, blocks).await?;
    block_in_place(|| comparison.end(chain_id, blocks, &start))
}

/// Handles all blocks of a range.
async fn run(comparison: &mut Comparison, blocks: &Blocks, range: &RangeInclusive<u64>) -> Result<(), Refusals> {
    let total = range.end() - range.start() + 1;
    let progress = Progress::new(format!("replaying {}", comparison.module()), "blocks");
    let mut next = *range.start();
    while next <= *range.end() {
        let part = blocks.read(next..=*range.end(), comparison.filters()).await?;
        for block in &part {
            comparison.handle(block).await.map_err(refusal)?;
            progress.reached(block.position.number - range.start() + 1, total);
        }
        match part.last() {
            Some(last) => next = last.position.number + 1,
            None => break,
        }
    }
    Ok(())
}

fn settings(rules: &Rules) -> TrialRules {
    TrialRules {
        effects: match rules.effects {
            TrialEffects::Refuse => nexum_core::trial::TrialEffects::Refuse,
            TrialEffects::AssumeOk => nexum_core::trial::TrialEffects::AssumeOk,
        },
        pinned_only: rules.pinned_only,
        recorded_only: false,
    }
}

fn refusal(error: TrialError) -> Refusal {
    Refusal::of(&error)
}

impl Subject {
    /// The trial of the module, and the source of its blocks.
    fn trial(self, chain_id: u64, rules: TrialRules, start: &Start) -> Result<(Trial, prepare::Source), Refusals> {
        let Self {
            module,
            sources,
            moment,
            ..
        } = self;
        let source = sources.into_iter().find(|source| source.chain_id() == chain_id);
        let source = source.ok_or_else(|| {
            let refusal = Refusal::new(format!("the configuration has no chain {chain_id}"));
            refusal.with_hint(format!("add [chains.{chain_id}] with `rpc_url`"))
        })?;
        let trial = Trial::new(module, chain_id, rules, moment, start.store.clone()).map_err(refusal)?;
        Ok((trial.with_records(start.records.clone()), source))
    }
}
