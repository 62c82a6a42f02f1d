use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;
use serde_json::{Value, json};

use super::draw::draw;
use super::keys::{Flow, press};
use super::model::{Answers, Model, View};
use crate::client::stream::Followed;
use crate::report::Refusal;

/// A time of the test, in milliseconds since the Unix epoch.
const NOW_MS: u64 = 1_767_225_600_000;

fn module(name: &str, more: Value) -> Value {
    let mut module = json!({
        "name": name, "version": "0.1.0", "description": null, "path": format!("{name}.wasm"), "digest": "",
        "capabilities": ["chain"], "subscriptions": [], "wanted": "running", "from": "command line", "stage": "running",
        "reason": "handles events", "reason_since_ms": NOW_MS - 180_000, "handled": 40, "failed": 0, "dead_letters": 0,
        "memory_bytes": 1_300_000, "catching_up": [],
        "events": {
            "chains": [{ "chain": "1", "at": 7, "head": 9, "behind": 2, "lag_ms": 24_000 }], "schedules": [],
            "next_try_ms": null, "handling": null, "last_success": null, "last_failures": [],
            "failures_in_last_hour": 0, "matches": [], "limits_over_half": [], "time_use": [], "time_mostly": null,
        },
    });
    module
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    module
}

fn answers(modules: Vec<Value>, problems: Value) -> Answers {
    let chains = json!([{
        "chain_id": 1, "trouble": null, "requests_by_module": [], "request_failovers": 0, "follow_failovers": 0,
        "head": { "number": 9, "hash": "0x", "timestamp_ms": NOW_MS - 4_000, "seen_ms": NOW_MS - 3_000 },
        "following": { "endpoint": "https://one.example", "since_ms": NOW_MS - 600_000, "is_pushed": false },
        "endpoints": [
            endpoint("https://one.example", json!({ "state": "in_use", "since_ms": NOW_MS - 600_000 })),
            endpoint("https://two.example", json!({
                "state": "rested", "since_ms": NOW_MS - 60_000, "until_ms": NOW_MS + 5_000, "reason": "connection refused",
            })),
        ],
    }]);
    let health = json!({
        "is_healthy": problems == json!([]), "problems": problems, "modules": modules.len(), "blocks_behind": 2,
        "head_age_ms": 4_000,
    });
    Answers {
        modules: serde_json::from_value(modules.into()).unwrap(),
        chains: serde_json::from_value(chains).unwrap(),
        health: serde_json::from_value(health).unwrap(),
        limits: serde_json::from_value(json!([{ "limit": "fuel", "bound": 1_000, "last": 10, "most": 700 }])).unwrap(),
    }
}

fn endpoint(name: &str, more: Value) -> Value {
    let mut endpoint = json!({
        "endpoint": name, "priority": 0, "head": 9, "reason": null, "until_ms": null, "latency_p50_us": null,
        "latency_p99_us": null, "requests": 0, "errors": 0, "error_rate": null, "requests_per_second": null,
        "budget": null, "last_error": null,
    });
    endpoint
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    endpoint
}

fn well() -> Answers {
    answers(
        vec![module("noop", json!({})), module("watch", json!({ "handled": 90 }))],
        json!([]),
    )
}

/// Answers with a dead module, and with dead letters.
fn bad() -> Answers {
    let dead =
        json!({ "stage": "dead", "reason": "5 failures in a row: out of fuel", "reason_since_ms": NOW_MS - 64_000 });
    let letters = json!({ "dead_letters": 3 });
    let problem =
        json!({ "module": "tower", "reason": "dead: 5 failures in a row: out of fuel", "since_ms": NOW_MS - 64_000 });
    answers(
        vec![
            module("noop", json!({})),
            module("tower", dead),
            module("watch", letters),
        ],
        json!([problem]),
    )
}

fn model(answers: Answers) -> Model {
    Model::new(answers, false, NOW_MS)
}

/// The screen, as a terminal of this size shows it.
fn screen(model: &Model, columns: u16, rows: u16) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| draw(frame, model, NOW_MS)).unwrap();
    terminal
}

fn text(model: &Model, columns: u16, rows: u16) -> String {
    screen(model, columns, rows).backend().to_string()
}

fn key(model: &mut Model, code: KeyCode) -> Flow {
    press(model, KeyEvent::new(code, KeyModifiers::NONE))
}

fn handled(module: &str, took_us: u64) -> Followed<crate::protocol::events::EventRecord> {
    let event = json!({
        "seq": 1, "at_ms": NOW_MS, "kind": "handled", "module": module, "event": "1:9:block", "took_us": took_us, "fuel": 12,
    });
    Followed::Record(serde_json::from_value(event).unwrap())
}

#[test]
fn all_is_well() {
    let mut model = model(well());
    for (look, handled) in [(1, 44), (2, 52)] {
        let mut next = well();
        next.modules[0].handled = handled;
        model.take(Ok(next), NOW_MS + look * 2_000);
    }
    model.happened(handled("noop", 1_400));
    insta::assert_snapshot!("well_100", text(&model, 100, 14));
    insta::assert_snapshot!("well_60", text(&model, 60, 18));
}

#[test]
fn a_reason_and_a_command_for_everything_that_needs_the_operator() {
    let model = model(bad());
    insta::assert_snapshot!("bad_100", text(&model, 100, 20));
    insta::assert_snapshot!("bad_60", text(&model, 60, 26));
}

#[test]
fn a_module_has_its_details() {
    let mut model = model(bad());
    assert_eq!(key(&mut model, KeyCode::Enter), Flow::Look);
    assert_eq!(model.opened().as_deref(), Some("tower"));
    model.answers.limits = bad().limits;
    insta::assert_snapshot!("module_100", text(&model, 100, 34));
    key(&mut model, KeyCode::Esc);
    assert_eq!(model.view, View::List);
    key(&mut model, KeyCode::Char('?'));
    insta::assert_snapshot!("help_100", text(&model, 100, 24));
}

#[test]
fn hostile_text_stays_in_its_place() {
    let hostile = "a\u{1b}[2J\u{7}\u{9b}1m\u{202e}b\tc\r\n日本語\u{200f}";
    let more = json!({ "stage": "backoff", "reason": hostile, "dead_letters": 1 });
    let problem = json!({ "module": hostile, "reason": hostile });
    let model = model(answers(vec![module(hostile, more)], json!([problem])));
    for (columns, rows) in [(100, 16), (60, 20)] {
        let shown = text(&model, columns, rows);
        let is_hostile = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{200f}' | '\u{202e}');
        assert!(!shown.contains(is_hostile), "{shown}");
    }
    insta::assert_snapshot!("hostile_100", text(&model, 100, 16));
    insta::assert_snapshot!("hostile_60", text(&model, 60, 20));
}

#[test]
fn of_200_modules_the_selected_one_is_visible() {
    let crowd = (0..200).map(|number| module(&format!("module-{number:03}"), json!({ "handled": number })));
    let mut model = model(answers(crowd.collect(), json!([])));
    insta::assert_snapshot!("crowd_100", text(&model, 100, 14));
    key(&mut model, KeyCode::End);
    assert!(text(&model, 100, 14).contains("module-199"));
    assert!(text(&model, 60, 14).contains("module-199"));
    for code in ['/', '1', '5'].map(KeyCode::Char) {
        key(&mut model, code);
    }
    key(&mut model, KeyCode::Enter);
    let names: Vec<_> = model.shown().iter().map(|module| module.name.clone()).collect();
    let expected: Vec<_> = (0..200).map(|number| format!("module-{number:03}")).collect();
    let expected: Vec<_> = expected.into_iter().filter(|name| name.contains("15")).collect();
    assert_eq!(names, expected);
    for code in [KeyCode::Char('2'), KeyCode::Char('r')] {
        key(&mut model, code);
    }
    assert_eq!(model.shown()[0].name, *expected.last().unwrap());
}

#[test]
fn a_daemon_that_is_lost_and_returns() {
    let mut model = model(well());
    let lost = || Err(Refusal::new("no nexum runs in state: connection refused").into());
    model.take(lost(), NOW_MS - 5_000);
    model.take(lost(), NOW_MS - 3_000);
    insta::assert_snapshot!("lost_100", text(&model, 100, 14));
    insta::assert_snapshot!("lost_60", text(&model, 60, 18));
    model.take(Ok(well()), NOW_MS - 1_000);
    model.take(Ok(well()), NOW_MS);
    let shown = text(&model, 100, 14);
    let again = "Connected again since 2025-12-31T23:59:59.000Z, after 4 s without an answer of the daemon.";
    assert!(shown.contains(again) && shown.contains("All is well"), "{shown}");
}

#[test]
fn a_restart_between_two_looks_shows() {
    let mut model = model(well());
    let restarted = || {
        let gap = json!({ "lost": null, "why": "restarted" });
        Followed::Gap(serde_json::from_value(gap).unwrap())
    };
    assert!(model.happened(restarted()));
    let lost = "The daemon has not answered for 0 ms: the daemon restarted, and its earlier records are gone.";
    assert!(text(&model, 120, 14).contains(lost));
    model.take(Ok(well()), NOW_MS + 500);
    model.happened(restarted());
    assert!(text(&model, 120, 14).contains("after 500 ms without an answer"));
}

#[test]
fn colours_need_the_operators_leave() {
    for has_colours in [false, true] {
        let model = Model::new(bad(), has_colours, NOW_MS);
        let shown = screen(&model, 100, 20);
        let cells = shown.backend().buffer().content();
        assert_eq!(cells.iter().any(|cell| cell.fg != Color::Reset), has_colours);
    }
}

#[test]
fn every_size_of_a_terminal_works() {
    let mut model = model(bad());
    for view in [View::List, View::Filter, View::Module, View::Help] {
        model.view = view;
        for (columns, rows) in [(1, 1), (2, 3), (79, 2), (80, 1), (400, 100)] {
            text(&model, columns, rows);
        }
    }
}

#[test]
fn two_keys_leave() {
    let mut model = model(well());
    assert_eq!(key(&mut model, KeyCode::Char('q')), Flow::Leave);
    model.view = View::Filter;
    assert_eq!(key(&mut model, KeyCode::Char('q')), Flow::Stay);
    assert_eq!(model.filter, "q");
    let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(press(&mut model, interrupt), Flow::Leave);
}
