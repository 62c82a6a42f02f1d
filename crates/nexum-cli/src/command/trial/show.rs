//! The outcome of a trial as text.

use indicatif::HumanCount;
use nexum_config::harmless::{harmless, harmless_lines};

use super::difference::{Difference, Line, effect, write};
use super::replayed::{History, ReplayReport};
use super::report::{Calls, EventReport, TryReport};
use super::tally::Unanswered;
use crate::args::Inputs;
use crate::report::count;
use crate::report::print::outln;

/// Prints the outcome of `nexum try`.
pub(super) fn tried(report: &TryReport) {
    let TryReport {
        module,
        chain_id,
        block,
        start,
        events,
        ..
    } = report;
    outln!("{module} on block {block} of chain {chain_id}");
    outln!("start: {start}");
    if events.is_empty() {
        outln!("no event: the chain has no block {block}, or the module subscribes to nothing in it");
    }
    events.iter().for_each(event);
}

fn event(event: &EventReport) {
    let milliseconds = event.took_us as f64 / 1_000.0;
    let used = format!("{milliseconds:.2} ms, {} fuel", HumanCount(event.fuel));
    match &event.failure {
        None => outln!("{}: ok, {used}", event.event),
        Some(failure) => outln!("{}: failed, {used}\n  {}", event.event, harmless_lines(failure, "  ")),
    }
    lines("calls", event.calls.iter().map(calls));
    lines("not pinned to the block", event.not_pinned.iter().map(calls));
    lines("writes, which nexum drops", event.writes.iter().map(write));
    lines("effects, which nexum does not send", event.effects.iter().map(effect));
    lines("log", event.log.iter().cloned());
}

fn lines(title: &str, lines: impl Iterator<Item = String>) {
    let mut lines = lines.peekable();
    if lines.peek().is_some() {
        outln!("  {title}");
    }
    for line in lines {
        outln!("    {}", harmless_lines(&line, "    "));
    }
}

fn calls(calls: &Calls) -> String {
    let Calls { kind, what, count } = calls;
    match count {
        1 => format!("{kind} {what}"),
        count => format!("{kind} {what}, {count} times"),
    }
}

/// Prints the outcome of `nexum replay`.
pub(super) fn replayed(report: &ReplayReport) {
    let ReplayReport {
        module,
        chain_id,
        first_block,
        last_block,
        inputs,
        reread_because,
        start,
        tally,
        gaps,
        other_versions,
        ..
    } = report;
    outln!("{module} on the blocks {first_block} to {last_block} of chain {chain_id}");
    match (inputs, reread_because) {
        (Inputs::Recorded, _) => outln!("inputs: recorded"),
        (Inputs::Reread, None) => outln!("inputs: read again"),
        (Inputs::Reread, Some(because)) => outln!("inputs: read again, because the record is not whole: {because}"),
    }
    outln!("start: {start}");
    tally.differences.iter().for_each(difference);
    more(tally.differ, tally.differences.len(), "event");
    if !report.is_comparison() {
        for failed in &tally.failures {
            outln!("{}: failed: {}", failed.event, harmless_lines(&failed.failure, "  "));
        }
        more(tally.failed, tally.failures.len(), "failed event");
    }
    for gap in gaps {
        outln!("not replayed: {gap}");
    }
    for Unanswered { event, question } in &tally.questions {
        outln!("{event}: the record has no answer to {}", harmless(question));
    }
    more(tally.unanswered, tally.questions.len(), "question");
    if *other_versions > 0 {
        outln!(
            "another component or configuration of the module handled {} of them",
            count(HumanCount(*other_versions), "event")
        );
    }
    if let Some(history) = &report.history {
        self::history(history);
    }
    let counts = [
        (tally.effects, "effect not sent"),
        (tally.not_pinned, "read not pinned to its block"),
    ];
    for (number, what) in counts.into_iter().filter(|(number, _)| *number > 0) {
        let (noun, rest) = what.split_once(' ').unwrap_or((what, ""));
        outln!("{} {rest}", count(HumanCount(number), noun));
    }
    outln!("{}", summary(report));
}

fn difference(difference: &Difference) {
    outln!("{}", difference.event);
    difference.lines.iter().for_each(line);
}

fn line(line: &Line) {
    match line {
        Line::Old(line) => outln!("  - {}", harmless(line)),
        Line::New(line) => outln!("  + {}", harmless(line)),
    }
}

/// Tells how many of all are not shown.
fn more(all: u64, shown: usize, noun: &str) {
    let hidden = all.saturating_sub(shown as u64);
    if hidden > 0 {
        outln!("and {} more", count(HumanCount(hidden), noun));
    }
}

fn history(history: &History) {
    match history {
        History::No { reason } => outln!("not compared with the module's state: {reason}"),
        History::Yes { keys, differ: 0, .. } => {
            outln!(
                "the state is that of the module after the last block: {}",
                count(HumanCount(*keys), "key")
            );
        }
        History::Yes { differ, lines, .. } => {
            let differ = count(HumanCount(*differ), "key");
            outln!("the state differs from that of the module after the last block, in {differ}:");
            lines.iter().for_each(line);
        }
    }
}

/// The last line: how many events are equal, or how many are ok.
fn summary(report: &ReplayReport) -> String {
    let tally = &report.tally;
    let events = count(HumanCount(tally.events), "event");
    let (word, bad, verb) = match report.is_comparison() {
        true => ("equal", tally.differ, "differ"),
        false => ("ok", tally.failed, "failed"),
    };
    match bad {
        0 => format!("all {events} {word}"),
        bad => {
            let good = HumanCount(tally.events.saturating_sub(bad));
            format!("{good} of {events} {word}; {} {verb}", HumanCount(bad))
        }
    }
}
