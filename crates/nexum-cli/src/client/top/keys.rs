//! The keys of the operator.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::model::{Model, Sort, View};

/// The keys, for the help.
pub(super) const KEYS: [(&str, &str); 14] = [
    ("q, Ctrl-C", "leave"),
    ("?", "show this help"),
    ("up, down, k, j", "select a module"),
    ("PgUp, PgDn, Home, End", "select a module further away"),
    ("Enter", "show everything about the selected module"),
    ("Esc", "return to the list; in the list, remove the filter"),
    ("/", "show only modules with a text in their name or state"),
    ("1", "order: the modules that need you first"),
    ("2", "order: name"),
    ("3", "order: blocks behind"),
    ("4", "order: events per second"),
    ("5", "order: latency"),
    ("6, 7", "order: memory, dead letters"),
    ("r", "reverse the order"),
];

/// The modules that a key for a page passes.
const PAGE: usize = 10;

/// The most characters of a filter: longer than a module's name.
const FILTER_CHARS_MAX: usize = 100;

/// The consequence of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Stay,
    /// The screen shows something for which the daemon has to be asked.
    Look,
    Leave,
}

/// Applies a key to the model.
pub(super) fn press(model: &mut Model, key: KeyEvent) -> Flow {
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c') if is_control => return Flow::Leave,
        code if model.view == View::Filter => edit(model, code),
        _ if is_control => {}
        KeyCode::Char('q') => return Flow::Leave,
        KeyCode::Char('?') if model.view == View::Help => model.view = View::List,
        KeyCode::Char('?') => model.view = View::Help,
        KeyCode::Esc if model.view == View::List => model.filter.clear(),
        KeyCode::Esc => model.view = View::List,
        KeyCode::Char('/') => model.view = View::Filter,
        KeyCode::Enter if model.view == View::List => {
            select(model, |at, _| at);
            model.view = View::Module;
            return Flow::Look;
        }
        KeyCode::Up | KeyCode::Char('k') => return moved(model, |at, _| at.saturating_sub(1)),
        KeyCode::Down | KeyCode::Char('j') => return moved(model, |at, _| at + 1),
        KeyCode::PageUp => return moved(model, |at, _| at.saturating_sub(PAGE)),
        KeyCode::PageDown => return moved(model, |at, _| at + PAGE),
        KeyCode::Home => return moved(model, |_, _| 0),
        KeyCode::End => return moved(model, |_, last| last),
        KeyCode::Char('r') => model.is_reversed = !model.is_reversed,
        KeyCode::Char(digit) => model.sort = order(digit).unwrap_or(model.sort),
        _ => {}
    }
    Flow::Stay
}

/// The order that a digit selects.
fn order(digit: char) -> Option<Sort> {
    Some(match digit {
        '1' => Sort::Need,
        '2' => Sort::Name,
        '3' => Sort::Behind,
        '4' => Sort::Rate,
        '5' => Sort::Latency,
        '6' => Sort::Memory,
        '7' => Sort::DeadLetters,
        _ => return None,
    })
}

fn edit(model: &mut Model, code: KeyCode) {
    match code {
        KeyCode::Enter => model.view = View::List,
        KeyCode::Esc => {
            model.filter.clear();
            model.view = View::List;
        }
        KeyCode::Backspace => drop(model.filter.pop()),
        KeyCode::Char(c) if model.filter.chars().count() < FILTER_CHARS_MAX => model.filter.push(c),
        _ => {}
    }
}

/// Selects another module. An opened module gives way to it.
fn moved(model: &mut Model, to: impl FnOnce(usize, usize) -> usize) -> Flow {
    select(model, to);
    match model.view {
        View::Module => Flow::Look,
        _ => Flow::Stay,
    }
}

/// Selects the module at the position that `to` returns for the present and the last position.
fn select(model: &mut Model, to: impl FnOnce(usize, usize) -> usize) {
    let shown = model.shown();
    let Some(last) = shown.len().checked_sub(1) else {
        return;
    };
    let name = shown[to(model.selected_in(&shown), last).min(last)].name.clone();
    model.selected = Some(name);
    // They are those of another module.
    model.answers.limits.clear();
}
