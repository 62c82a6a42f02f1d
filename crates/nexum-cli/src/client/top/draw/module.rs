//! Everything about the selected module: what `nexum status MODULE` shows, its recent events, and its limits.

use nexum_config::harmless::harmless;
use ratatui::style::Stylize as _;
use ratatui::text::Line;

use super::modules::latency;
use super::text::{or_unknown, rate, spark};
use crate::client::status::details::details;
use crate::client::top::model::Model;
use crate::client::top::past::Past;
use crate::protocol::limits::Usage;
use crate::report::time;

/// The last events on the screen.
const EVENTS_SHOWN: usize = 5;

/// The columns of the names of values, as in `nexum status MODULE`.
const NAME_COLUMNS: usize = 16;

/// The lines of the selected module.
pub(super) fn lines(model: &Model, columns: u16, now_ms: u64) -> Vec<Line<'static>> {
    let Some(name) = &model.selected else {
        return vec![Line::raw("no module is selected")];
    };
    let Some(module) = model.answers.modules.iter().find(|module| module.name == *name) else {
        return vec![Line::raw(format!("the daemon has no module {} now", harmless(name)))];
    };
    let mut lines: Vec<_> = details(module, now_ms).iter().flat_map(|text| of_text(text)).collect();
    let Some(past) = model.pasts.get(name) else {
        return lines;
    };
    let room = usize::from(columns).saturating_sub(NAME_COLUMNS + 10);
    let now = or_unknown(past.rates.back(), |now| rate(*now));
    lines.push(fact("events/s", &format!("{now} {}", spark(&past.rates, room))));
    lines.push(fact("latency", &or_unknown(past.took_us(), latency)));
    lines.push(fact("fuel", &or_unknown(past.fuel(), |fuel| fuel.to_string())));
    lines.extend(model.answers.limits.iter().filter_map(limit));
    lines.extend(events(past));
    lines
}

/// The lines of a text, which may have several.
fn of_text(text: &str) -> Vec<Line<'static>> {
    text.lines().map(|text| Line::raw(text.to_owned())).collect()
}

fn fact(name: &str, value: &str) -> Line<'static> {
    Line::raw(format!("{name:<NAME_COLUMNS$}{value}"))
}

/// The use of a limit that a recent handler has used.
fn limit(usage: &Usage) -> Option<Line<'static>> {
    let most = usage.most.filter(|most| *most > 0)?;
    let percent = most as f64 / usage.bound.max(1) as f64 * 100.0;
    let text = format!("{}: {most} of {} ({percent:.0} %)", harmless(&usage.limit), usage.bound);
    Some(fact("limit", &text))
}

/// The last events, newest first.
fn events(past: &Past) -> Vec<Line<'static>> {
    let mut lines = vec![Line::raw("last events, newest first").bold()];
    for event in past.events.iter().rev().take(EVENTS_SHOWN) {
        let text = event.text.as_deref().and_then(|text| text.lines().next());
        let text = text.map(|text| format!(": {}", harmless(text))).unwrap_or_default();
        let took = event
            .took_us
            .map(|took| format!(" after {}", latency(took)))
            .unwrap_or_default();
        let id = event.event.as_deref().unwrap_or("init");
        let kind = format!("{:?}", event.kind).to_lowercase();
        lines.push(Line::raw(format!(
            "  {} {} {kind}{took}{text}",
            time(event.at_ms),
            harmless(id)
        )));
    }
    lines
}
