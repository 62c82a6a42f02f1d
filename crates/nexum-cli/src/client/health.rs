//! `nexum health`: whether the running daemon is healthy, for a person, a container or a monitoring
//! system.

use nexum_config::harmless::harmless;

use super::Client;
use super::status::now_ms;
use crate::args;
use crate::args::HealthFormat;
use crate::configure::Configuration;
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
            let (line, code) = nagios(args, looked);
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
    let problem = |problem: &Problem| {
        let since = problem
            .since_ms
            .map(|since| format!(", {}", span(now_ms.saturating_sub(since))));
        format!("{}{}", harmless(&about(problem)), since.unwrap_or_default())
    };
    match health.is_healthy {
        true => vec![format!("healthy: {}", numbers(health))],
        false => health.problems.iter().map(problem).collect(),
    }
}

/// The problem with its subject, in one line.
fn about(problem: &Problem) -> String {
    let reason = problem.reason.lines().next().unwrap_or_default();
    match (&problem.module, problem.chain) {
        (Some(module), _) => format!("module {module}: {reason}"),
        (None, Some(chain)) => format!("chain {chain}: {reason}"),
        (None, None) => reason.to_owned(),
    }
}

fn numbers(health: &Health) -> String {
    let behind = health
        .blocks_behind
        .map(|behind| format!(", at most {} behind", count(behind, "block")));
    let age = health.head_age_ms.map(|age| format!(", oldest head {}", span(age)));
    let (behind, age) = (behind.unwrap_or_default(), age.unwrap_or_default());
    format!("{}{behind}{age}", count(health.modules, "module"))
}

/// The line of a plugin with its performance data, and the exit code.
fn nagios(args: &args::Health, looked: Result<Health, Refusals>) -> (String, u8) {
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
    let mut data = vec![
        format!("modules={}", health.modules),
        format!("problems={}", health.problems.len()),
    ];
    if let Some(behind) = health.blocks_behind {
        data.push(format!("behind={behind};;{}", or_empty(args.behind)));
    }
    if let Some(age) = health.head_age_ms {
        let most = args.head_age.map(|age| age.as_secs());
        data.push(format!("head_age={}s;;{}", age / 1_000, or_empty(most)));
    }
    let data = data.join(" ");
    match health.is_healthy {
        true => (format!("NEXUM OK - {} | {data}", numbers(&health)), NAGIOS_OK),
        false => {
            let problems: Vec<_> = health.problems.iter().map(about).collect();
            let problems = text(&problems.join("; "));
            (format!("NEXUM CRITICAL - {problems} | {data}"), NAGIOS_CRITICAL)
        }
    }
}
