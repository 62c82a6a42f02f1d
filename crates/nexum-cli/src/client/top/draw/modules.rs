//! The list of modules: a table, or cards on a narrow screen. A module that does not work as usual has its reason below.

use nexum_config::harmless::harmless;
use ratatui::layout::Rect;
use ratatui::style::{Style, Stylize as _};
use ratatui::text::{Line, Span};

use super::text::{fit, or_unknown, rate, right, size, spark, wrapped};
use super::{Paint, TABLE_COLUMNS_MIN, line};
use crate::client::status::needs_operator;
use crate::client::status::overview::why;
use crate::client::top::model::{Model, Sort, behind, lag_ms};
use crate::client::top::past::Past;
use crate::protocol::modules::Module;
use crate::report::{count, span};

/// The columns of the table that do not grow: the state, and six numbers.
const STATE_COLUMNS: usize = 17;
const NUMBER_COLUMNS: [usize; 6] = [7, 9, 7, 8, 9, 5];

/// The columns of the rates of the last minutes.
const SPARK_COLUMNS: usize = 10;

/// The part of a row for the module's name grows up to this width.
const NAME_COLUMNS_MAX: usize = 40;

/// The lines of the list that fit into the area, with the selected module among them.
pub(super) fn lines(model: &Model, paint: Paint, area: Rect, now_ms: u64) -> Vec<Line<'static>> {
    let shown = model.shown();
    let is_table = area.width >= TABLE_COLUMNS_MIN;
    let fixed = 2 + STATE_COLUMNS + NUMBER_COLUMNS.iter().sum::<usize>() + SPARK_COLUMNS + 1;
    let name_columns = usize::from(area.width).saturating_sub(fixed).min(NAME_COLUMNS_MAX);
    let mut lines = vec![counts(model, shown.len())];
    if is_table {
        lines.push(header(name_columns).bold());
    }
    if shown.is_empty() {
        lines.push(Line::raw("no module has this text in its name or state"));
    }
    let room = usize::from(area.height).saturating_sub(lines.len());
    let selected = model.selected_in(&shown);
    let blocks = |at: usize| {
        let module = shown[at];
        let past = model.pasts.get(&module.name);
        let mut block = match is_table {
            true => vec![row(module, past, name_columns, paint, now_ms)],
            false => card(module, past, paint, now_ms),
        };
        let reason = why(module, now_ms);
        if reason != "-" {
            let reason = wrapped(&format!("    {reason}"), usize::from(area.width));
            block.extend(reason.into_iter().map(Line::raw));
        }
        if at == selected {
            block[0].spans[0] = Span::raw("> ");
            block[0] = block[0].clone().reversed();
        }
        block
    };
    // The list begins so that the selected module is the last one, if it is not among the first ones.
    let mut first = selected;
    let mut used = shown.get(selected).map_or(0, |_| blocks(selected).len());
    while first > 0 {
        used += blocks(first - 1).len();
        if used > room {
            break;
        }
        first -= 1;
    }
    for at in first..shown.len() {
        if lines.len() >= usize::from(area.height) {
            break;
        }
        lines.extend(blocks(at));
    }
    lines
}

/// The number of modules in each stage, and the order.
fn counts(model: &Model, shown: usize) -> Line<'static> {
    let mut stages: Vec<(&str, usize)> = Vec::new();
    for module in &model.answers.modules {
        let stage = module.stage.words();
        match stages.iter_mut().find(|(known, _)| *known == stage) {
            Some((_, number)) => *number += 1,
            None => stages.push((stage, 1)),
        }
    }
    let stages: Vec<_> = stages
        .iter()
        .map(|(stage, number)| format!("{number} {stage}"))
        .collect();
    let order = match model.sort {
        Sort::Need => "need",
        Sort::Name => "name",
        Sort::Behind => "blocks behind",
        Sort::Rate => "events/s",
        Sort::Latency => "latency",
        Sort::Memory => "memory",
        Sort::DeadLetters => "dead letters",
    };
    let reversed = if model.is_reversed { ", reversed" } else { "" };
    let stages = stages.join(", ");
    Line::raw(format!("{}: {stages}; by {order}{reversed}", count(shown, "module")))
}

fn header(name_columns: usize) -> Line<'static> {
    let mut text = format!("  {}{}", fit("MODULE", name_columns), fit("STATE", STATE_COLUMNS));
    let names = ["BEHIND", "LAG", "EV/S", "LATENCY", "MEMORY", "DEAD"];
    for (name, columns) in names.into_iter().zip(NUMBER_COLUMNS) {
        text += &right(name, columns);
    }
    Line::raw(format!("{text} EVENTS"))
}

/// The numbers of a module, in the order of the columns.
fn numbers(module: &Module, past: Option<&Past>) -> [String; 6] {
    [
        or_unknown(behind(module), |behind| behind.to_string()),
        or_unknown(lag_ms(module), span),
        or_unknown(past.and_then(|past| past.rates.back()), |now| rate(*now)),
        or_unknown(past.and_then(Past::took_us), latency),
        size(module.memory_bytes),
        or_unknown(module.events.as_ref(), |_| module.dead_letters.to_string()),
    ]
}

/// A time of a handler.
pub(super) fn latency(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} us"),
        1_000..10_000 => format!("{:.1} ms", us as f64 / 1_000.0),
        us => span(us / 1_000),
    }
}

fn row(module: &Module, past: Option<&Past>, name_columns: usize, paint: Paint, now_ms: u64) -> Line<'static> {
    let numbers = numbers(module, past).into_iter().zip(NUMBER_COLUMNS);
    let numbers: String = numbers.map(|(number, columns)| right(&number, columns)).collect();
    let rates = past.map(|past| spark(&past.rates, SPARK_COLUMNS)).unwrap_or_default();
    line(vec![
        Span::raw("  "),
        Span::raw(fit(&harmless(&module.name), name_columns.saturating_sub(1))),
        Span::raw(" "),
        Span::styled(fit(module.stage.words(), STATE_COLUMNS), style(module, paint, now_ms)),
        Span::raw(numbers),
        Span::raw(format!(" {rates}")),
    ])
}

fn card(module: &Module, past: Option<&Past>, paint: Paint, now_ms: u64) -> Vec<Line<'static>> {
    let [behind, lag, rate, latency, memory, dead] = numbers(module, past);
    let rates = past.map(|past| spark(&past.rates, SPARK_COLUMNS)).unwrap_or_default();
    let name = line(vec![
        Span::raw("  "),
        Span::raw(format!("{}  ", harmless(&module.name))),
        Span::styled(module.stage.words(), style(module, paint, now_ms)),
    ]);
    let first = format!("    behind {behind}, lag {lag}, {rate} events/s {rates}");
    let second = format!("    latency {latency}, memory {memory}, {dead} dead letters");
    vec![name, Line::raw(first), Line::raw(second)]
}

fn style(module: &Module, paint: Paint, now_ms: u64) -> Style {
    match needs_operator(module, now_ms) {
        true => paint.bad(),
        false => Style::new(),
    }
}
