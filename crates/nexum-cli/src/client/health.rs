//! `nexum health`: whether the running daemon is healthy, for a person, a container or a monitoring
//! system.

use nexum_config::harmless::harmless;

use super::Client;
use super::problem::{about, about_now};
use super::status::now_ms;
use crate::args;
use crate::args::HealthFormat;
use crate::configure::{Configuration, HealthBounds};
use crate::error_code::ErrorCode;
use crate::exit_code::{FAILED, REFUSED, STOPPED};
use crate::protocol::HEALTH;
use crate::protocol::error::ErrorBody;
use crate::protocol::event_part::whole_ms;
use crate::protocol::health::{Health, Problem};
use crate::report::Refusals;
use crate::report::print::{json_on_stdout, outln};
use crate::report::{count, span};

/// The exit codes of plugins for Nagios (Monitoring Plugins Development Guidelines, "Plugin Return
/// Codes").
const NAGIOS_OK: u8 = 0;
const NAGIOS_CRITICAL: u8 = 2;
const NAGIOS_UNKNOWN: u8 = 3;

/// Shows the problems of the daemon with this configuration.
///
/// # Errors
///
/// In the text format, if no daemon answers. The other formats have the error in their output.
pub(crate) fn health(
    args: &args::Health,
    configure: impl FnOnce() -> Result<Configuration, Refusals>,
) -> Result<u8, Refusals> {
    let invalid = |refusals| ErrorBody::new(ErrorCode::ConfigInvalid, refusals).into();
    let looked = configure().map_err(invalid).and_then(|configuration| {
        let Configuration { file, config, .. } = configuration;
        look(&Client::of(&config.state_dir).configured_by(&file), args)
    });
    match (args.format, looked) {
        (HealthFormat::Nagios, looked) => {
            let bounds = HealthBounds {
                behind: args.behind,
                head_age: args.head_age,
            };
            let (line, code) = nagios(bounds, looked);
            outln!("{line}");
            Ok(code)
        }
        (HealthFormat::Json, Err(refusals)) => {
            json_on_stdout(&ErrorBody::new(ErrorCode::InternalError, refusals))?;
            Ok(REFUSED)
        }
        (HealthFormat::Text, Err(refusals)) => Err(refusals),
        (format, Ok(health)) => {
            match format {
                HealthFormat::Json => json_on_stdout(&health)?,
                _ => lines(&health, now_ms()).iter().for_each(|line| outln!("{line}")),
            }
            Ok(if health.is_healthy { STOPPED } else { FAILED })
        }
    }
}

fn look(client: &Client<'_>, args: &args::Health) -> Result<Health, Refusals> {
    let behind = args.behind.map(|behind| format!("behind={behind}"));
    let head_age = args.head_age.map(|age| format!("head_age_ms={}", whole_ms(age)));
    let bounds: Vec<_> = behind.into_iter().chain(head_age).collect();
    client.get(&format!("{HEALTH}?{}", bounds.join("&")))
}

fn lines(health: &Health, now_ms: u64) -> Vec<String> {
    let mut lines: Vec<_> = match health.is_healthy {
        true => vec![format!("healthy: {}", harmless(&numbers(health)))],
        false => health
            .problems
            .iter()
            .map(|problem| about_now(problem, now_ms))
            .collect(),
    };
    if !health.is_healthy {
        let idle = health.idle.iter();
        lines.extend(idle.map(|idle| format!("note: {}", harmless(&about(idle)))));
    }
    lines.extend(
        health
            .notes
            .iter()
            .map(|note| format!("note: {}", harmless(&about(note)))),
    );
    lines
}

/// The number of modules and the greatest lateness, and which modules do not run.
fn numbers(health: &Health) -> String {
    let behind = health
        .blocks_behind
        .map(|behind| format!(", at most {} behind", count(behind, "block")));
    let age = health.head_age_ms.map(|age| format!(", oldest head {}", span(age)));
    let (behind, age) = (behind.unwrap_or_default(), age.unwrap_or_default());
    let idle = |idle: &Problem| format!("{} is {}", idle.module.as_deref().unwrap_or_default(), idle.reason);
    let idle: Vec<_> = health.idle.iter().map(idle).collect();
    let modules = match (health.modules_total.checked_sub(idle.len()), idle.as_slice()) {
        (Some(running), [_, ..]) => {
            let all = health.modules_total;
            format!("{running} of {all} configured modules run: {}", idle.join("; "))
        }
        _ => count(health.modules, "module"),
    };
    format!("{modules}{behind}{age}")
}

/// The line of a plugin with its performance data, and the exit code.
fn nagios(bounds: HealthBounds, looked: Result<Health, Refusals>) -> (String, u8) {
    // A vertical bar begins the performance data.
    let text = |text: &str| harmless(text).replace('|', "/");
    let health = match looked {
        Ok(health) => health,
        Err(refusals) => {
            let is_blind = [ErrorCode::ConfigInvalid, ErrorCode::SocketUnusable];
            let is_blind = is_blind.iter().any(|code| refusals.has(*code));
            let reasons: Vec<_> = refusals.errors().collect();
            let reasons = text(&reasons.join("; "));
            return match is_blind {
                true => (format!("NEXUM UNKNOWN - {reasons}"), NAGIOS_UNKNOWN),
                false => (format!("NEXUM CRITICAL - {reasons}"), NAGIOS_CRITICAL),
            };
        }
    };
    let or_empty = |number: Option<u64>| number.map_or_else(String::new, |number| number.to_string());
    let age_max = bounds.head_age.map(|age| age.as_secs());
    let age = health.head_age_ms.map(|age| format!("{}s", age / 1_000));
    let data = [
        format!("modules={}", health.modules),
        format!("problems={}", health.problems.len()),
        format!(
            "behind={};;{}",
            or_unknown(health.blocks_behind),
            or_empty(bounds.behind)
        ),
        format!("head_age={};;{}", or_unknown(age), or_empty(age_max)),
        format!("dead_letters={}", health.dead_letters),
    ];
    let data = data.join(" ");
    match health.is_healthy {
        true => {
            let notes = health.notes.iter().map(about);
            let said: Vec<_> = std::iter::once(numbers(&health)).chain(notes).collect();
            (format!("NEXUM OK - {} | {data}", text(&said.join("; "))), NAGIOS_OK)
        }
        false => {
            let problems: Vec<_> = health.problems.iter().chain(&health.notes).map(about).collect();
            let problems = text(&problems.join("; "));
            (format!("NEXUM CRITICAL - {problems} | {data}"), NAGIOS_CRITICAL)
        }
    }
}

/// The value of performance data, or the letter for an unknown one (Monitoring Plugins Development Guidelines,
/// "Performance data").
fn or_unknown<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "U".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A time of the test, in milliseconds since the Unix epoch.
    const NOW_MS: u64 = 1_767_225_600_000;

    fn health(more: serde_json::Value) -> Health {
        let mut health = json!({
            "is_healthy": true, "problems": [], "idle": [], "notes": [], "modules": 2, "modules_total": 2,
            "dead_letters": 0, "blocks_behind": 3, "head_age_ms": 2_000,
        });
        let (of_health, more) = (health.as_object_mut().unwrap(), more.as_object().unwrap());
        of_health.extend(more.clone());
        serde_json::from_value(health).unwrap()
    }

    fn nagios_of(health: Health) -> (String, u8) {
        let bounds = HealthBounds {
            behind: Some(5),
            head_age: None,
        };
        nagios(bounds, Ok(health))
    }

    #[test]
    fn a_daemon_without_a_running_module_says_so() {
        let removed = json!({ "module": "block-logger", "reason": "removed (by uid 0, at 2026-01-01T00:00:00.000Z)" });
        let health = health(json!({ "modules": 0, "modules_total": 1, "idle": [removed], "blocks_behind": null }));
        assert_eq!(
            lines(&health, NOW_MS),
            [
                "healthy: 0 of 1 configured modules run: block-logger is removed (by uid 0, at 2026-01-01T00:00:00.000Z), \
              oldest head 2 s"
            ]
        );
        let (line, code) = nagios_of(health);
        assert!(
            line.starts_with("NEXUM OK - 0 of 1 configured modules run: block-logger is removed"),
            "{line}"
        );
        assert!(
            line.ends_with("| modules=0 problems=0 behind=U;;5 head_age=2s;; dead_letters=0"),
            "{line}"
        );
        assert_eq!(code, NAGIOS_OK);
    }

    #[test]
    fn dead_letters_are_visible_and_no_problem() {
        let letters = json!({ "module": "fails", "reason": "2 dead letters: `nexum dead-letter list fails`" });
        let health = health(json!({ "notes": [letters], "dead_letters": 2 }));
        assert_eq!(
            lines(&health, NOW_MS),
            [
                "healthy: 2 modules, at most 3 blocks behind, oldest head 2 s",
                "note: module fails: 2 dead letters: `nexum dead-letter list fails`"
            ]
        );
        let (line, code) = nagios_of(health);
        assert!(
            line.contains("; module fails: 2 dead letters: ") && line.ends_with(" dead_letters=2"),
            "{line}"
        );
        assert_eq!(code, NAGIOS_OK);
    }

    #[test]
    fn a_chain_in_trouble_names_the_modules_that_wait_for_it() {
        let reason = "2 of 2 endpoints down";
        let line = |waiting: usize| {
            let names: Vec<_> = (1..=waiting).map(|number| format!("m{number}")).collect();
            let down = json!({ "chain": 1, "reason": reason, "waiting": names, "since_ms": NOW_MS - 64_000 });
            let health = health(json!({ "is_healthy": false, "problems": [down] }));
            let [line] = &lines(&health, NOW_MS)[..] else {
                panic!("one line")
            };
            let (nagios, _) = nagios_of(health);
            let text = line.strip_suffix(", for 64 s").expect("the time");
            assert!(nagios.starts_with(&format!("NEXUM CRITICAL - {text} | ")), "{nagios}");
            text.to_owned()
        };
        assert_eq!(line(0), "chain 1: 2 of 2 endpoints down");
        assert_eq!(line(1), "chain 1: 2 of 2 endpoints down; module m1 waits");
        assert_eq!(line(2), "chain 1: 2 of 2 endpoints down; modules m1, m2 wait");
        let many = line(18);
        assert!(many.ends_with(", m15, m16 and 2 more wait"), "{many}");
    }

    #[test]
    fn a_problem_has_its_time_and_the_next_try_and_an_unknown_number_is_no_number() {
        let down = json!({
            "chain": 1, "reason": "2 of 2 endpoints down", "since_ms": NOW_MS - 64_000, "next_try_ms": NOW_MS + 2_000,
        });
        let unknown = json!({ "is_healthy": false, "problems": [down], "blocks_behind": null, "head_age_ms": null });
        assert_eq!(
            lines(&health(unknown.clone()), NOW_MS),
            ["chain 1: 2 of 2 endpoints down, for 64 s; next try in 2 s"]
        );
        let (line, code) = nagios_of(health(unknown));
        assert!(line.contains(" behind=U;;5 head_age=U;; "), "{line}");
        assert_eq!(code, NAGIOS_CRITICAL);
    }
}
