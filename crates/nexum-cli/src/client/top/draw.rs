//! Draws the model. Every text of a module or a server passes `harmless` before it becomes a cell.

mod chains;
mod module;
mod modules;
mod text;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use nexum_config::harmless::harmless;

use super::keys::KEYS;
use super::model::{Model, View};
use super::needs::needs;
use crate::report::{count, span, time};

/// The least columns of a table. A narrower screen has a card for each module.
const TABLE_COLUMNS_MIN: u16 = 80;

/// The most things that need the operator on the screen at once. A line counts the others.
const NEEDS_MAX: usize = 5;

/// Draws the screen.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, now_ms: u64) {
    let paint = Paint(model.has_colours);
    let area = frame.area();
    let summary = summary(model, paint, usize::from(area.width), now_ms);
    let summary_rows = rows(summary.len()).min(area.height / 2);
    let mut chains = match model.view {
        View::List | View::Filter => chains::lines(&model.answers.chains, paint, usize::from(area.width), now_ms),
        View::Module | View::Help => Vec::new(),
    };
    let chain_rows = rows(chains.len()).min(area.height / 3);
    if let (true, Some(last)) = (
        chains.len() > usize::from(chain_rows),
        usize::from(chain_rows).checked_sub(1),
    ) {
        let more = chains.len() - last;
        chains[last] = Line::raw(format!("and {} of chains: `nexum chains`", count(more, "more line")));
    }
    let parts = [
        Constraint::Length(summary_rows),
        Constraint::Length(chain_rows),
        Constraint::Min(0),
        Constraint::Length(1),
    ];
    let [top, middle, body, bottom] = Layout::vertical(parts).areas(area);
    frame.render_widget(Paragraph::new(summary), top);
    frame.render_widget(Paragraph::new(chains), middle);
    draw_body(frame, body, model, paint, now_ms);
    frame.render_widget(Paragraph::new(footer(model)), bottom);
}

fn draw_body(frame: &mut Frame<'_>, area: Rect, model: &Model, paint: Paint, now_ms: u64) {
    match model.view {
        View::List | View::Filter => {
            let lines = modules::lines(model, paint, area, now_ms);
            frame.render_widget(Paragraph::new(lines), area);
        }
        View::Module => {
            let lines = module::lines(model, area.width, now_ms);
            frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), area);
        }
        View::Help => {
            let lines = KEYS.map(|(keys, meaning)| Line::raw(format!("{keys:<24}{meaning}")));
            frame.render_widget(Paragraph::new(lines.to_vec()).wrap(Wrap { trim: false }), area);
        }
    }
}

/// Whether all is well, or everything that needs the operator, and whether the daemon answers.
fn summary(model: &Model, paint: Paint, columns: usize, now_ms: u64) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let mut add = |text: &str, style: Style| {
        let wrapped = text::wrapped(text, columns).into_iter();
        lines.extend(wrapped.map(|text| Line::styled(text, style)));
    };
    if let Some(outage) = model.outage.as_ref().filter(|outage| outage.is_news(now_ms)) {
        let line = match outage.until_ms {
            None => format!(
                "The daemon has not answered for {}: {}. Everything below is from {}. nexum top connects again.",
                span(now_ms.saturating_sub(outage.since_ms)),
                harmless(&outage.why),
                time(model.at_ms)
            ),
            Some(until_ms) => format!(
                "Connected again since {}, after {} without an answer of the daemon.",
                time(until_ms),
                span(until_ms.saturating_sub(outage.since_ms))
            ),
        };
        let style = match outage.until_ms {
            None => paint.bad(),
            Some(_) => paint.mild(),
        };
        add(&line, style);
        if outage.until_ms.is_none() {
            return lines;
        }
    }
    let needs = needs(model, now_ms);
    let title = match (needs.len(), model.calm_since_ms()) {
        (0, None) => "All is well.".to_owned(),
        (0, Some(since_ms)) => {
            let passed = span(now_ms.saturating_sub(since_ms));
            format!("All is well since {} ({passed}).", time(since_ms))
        }
        (1, _) => "1 thing needs you:".to_owned(),
        (several, _) => format!("{several} things need you:"),
    };
    let style = if needs.is_empty() { paint.good() } else { paint.bad() };
    add(&title, style.bold());
    for need in needs.iter().take(NEEDS_MAX) {
        add(&format!("  {}", need.text), Style::new());
        if let Some(command) = &need.command {
            add(&format!("    $ {command}"), Style::new());
        }
    }
    if let Some(more) = needs.len().checked_sub(NEEDS_MAX).filter(|more| *more > 0) {
        add(&format!("  and {more} more: `nexum health` lists them"), Style::new());
    }
    lines
}

/// The line of the keys, or the filter while the operator types it.
fn footer(model: &Model) -> Line<'static> {
    match model.view {
        View::Filter => Line::raw(format!("/{}_  Enter: keep  Esc: remove", harmless(&model.filter))),
        View::Module => Line::raw("Esc: list  up, down: other module  ?: help  q: leave"),
        View::Help => Line::raw("Esc: list  q: leave"),
        View::List if !model.filter.is_empty() => {
            let shown = count(model.shown().len(), "module");
            Line::raw(format!(
                "filter: {} ({shown})  Esc: remove  q: leave",
                harmless(&model.filter)
            ))
        }
        View::List => Line::raw("?: help  /: filter  1-7: order  Enter: module  q: leave"),
    }
}

/// A number of rows.
fn rows(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

/// The colours, which only support the text. Without colours, styles are plain.
#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn good(self) -> Style {
        self.coloured(Color::Green)
    }

    fn mild(self) -> Style {
        self.coloured(Color::Yellow)
    }

    fn bad(self) -> Style {
        self.coloured(Color::Red)
    }

    fn coloured(self, colour: Color) -> Style {
        match self.0 {
            true => Style::new().fg(colour),
            false => Style::new(),
        }
    }
}

/// Parts of a line.
fn line(parts: Vec<Span<'static>>) -> Line<'static> {
    Line::from(parts)
}
