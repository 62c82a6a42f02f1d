//! `nexum chains`: the chains of the running daemon, with their endpoints.

use nexum_config::harmless::harmless;

use super::Client;
use super::status::now_ms;
use crate::args::Format;
use crate::exit_code::{FAILED, STOPPED};
use crate::protocol::CHAINS;
use crate::protocol::chains::{Chain, Endpoint, EndpointState};
use crate::report::Refusals;
use crate::report::print::{json_on_stdout, outln};
use crate::report::{span, table};

/// Shows the chains.
///
/// # Errors
///
/// If no daemon answers.
pub(crate) fn chains(client: &Client<'_>, format: Format) -> Result<u8, Refusals> {
    let chains: Vec<Chain> = client.get(CHAINS)?;
    match format {
        Format::Json => json_on_stdout(&chains)?,
        Format::Text if chains.is_empty() => outln!("the configuration has no chains"),
        Format::Text => show(&chains, now_ms()).iter().for_each(|text| outln!("{text}")),
    }
    let has_trouble = chains.iter().any(|chain| {
        let is_bad = |endpoint: &Endpoint| is_bad(endpoint.state);
        chain.trouble.is_some() || chain.endpoints.iter().any(is_bad)
    });
    Ok(if has_trouble { FAILED } else { STOPPED })
}

/// Whether the operator should look at an endpoint in this state.
fn is_bad(state: EndpointState) -> bool {
    match state {
        EndpointState::Behind | EndpointState::Rested | EndpointState::Paused | EndpointState::WrongChain => true,
        EndpointState::InUse | EndpointState::Standby | EndpointState::Untested => false,
    }
}

/// The tables of chains, endpoints and requests.
fn show(chains: &[Chain], now_ms: u64) -> Vec<String> {
    let ago = |at_ms: u64| span(now_ms.saturating_sub(at_ms));
    let dash = || "-".to_owned();
    let mut heads = table(&["CHAIN", "HEAD", "HEAD AGE", "SEEN", "FOLLOWS", "FAILOVERS", "TROUBLE"]);
    let mut endpoints = table(&[
        "CHAIN",
        "ENDPOINT",
        "PRIORITY",
        "STATE",
        "P50",
        "P99",
        "ERRORS",
        "REQUESTS",
        "BUDGET",
        "LAST ERROR",
    ]);
    let mut requests = table(&["CHAIN", "MODULE", "CLASS", "REQUESTS"]);
    for chain in chains {
        let id = chain.chain_id.to_string();
        let head = chain.head.as_ref();
        let follows = chain.following.as_ref().map(|following| {
            let how = if following.is_pushed { "pushed" } else { "polled" };
            format!("{}, {how}, for {}", following.endpoint, ago(following.since_ms))
        });
        let trouble = chain.trouble.as_ref();
        heads.add_row([
            id.clone(),
            head.map_or_else(dash, |head| head.number.to_string()),
            head.map_or_else(dash, |head| ago(head.timestamp_ms)),
            head.map_or_else(dash, |head| format!("{} ago", ago(head.seen_ms))),
            follows.unwrap_or_else(dash),
            format!(
                "{} followed, {} requests",
                chain.follow_failovers, chain.request_failovers
            ),
            trouble.map_or_else(dash, |trouble| {
                format!("{}, {}", harmless(&trouble.text), ago(trouble.since_ms))
            }),
        ]);
        for endpoint in &chain.endpoints {
            endpoints.add_row(endpoint_cells(&id, endpoint, now_ms));
        }
        for one in &chain.requests_by_module {
            requests.add_row([id.clone(), one.module.clone(), one.class.clone(), one.count.to_string()]);
        }
    }
    let has_requests = chains.iter().any(|chain| !chain.requests_by_module.is_empty());
    let mut texts = vec![format!("{heads}\n"), endpoints.to_string()];
    if has_requests {
        texts.push(format!("\n{requests}"));
    }
    texts
}

fn endpoint_cells(chain: &str, endpoint: &Endpoint, now_ms: u64) -> [String; 10] {
    let ago = |at_ms: u64| span(now_ms.saturating_sub(at_ms));
    let dash = || "-".to_owned();
    let mut state = endpoint.state.words().to_owned();
    if let Some(since_ms) = endpoint.since_ms {
        state += &format!(" for {}", ago(since_ms));
    }
    if let Some(until_ms) = endpoint.until_ms {
        state += &format!(", next try in {}", span(until_ms.saturating_sub(now_ms)));
    }
    if let Some(reason) = &endpoint.reason {
        state += &format!(": {}", harmless(reason));
    }
    let latency = |us: Option<u64>| us.map_or_else(dash, |us| format!("{}.{} ms", us / 1_000, us % 1_000 / 100));
    let errors = endpoint.error_rate.map(|rate| format!("{:.1} %", rate * 100.0));
    let budget = endpoint.requests_per_second.zip(endpoint.budget);
    [
        chain.to_owned(),
        endpoint.endpoint.clone(),
        endpoint.priority.to_string(),
        state,
        latency(endpoint.latency_p50_us),
        latency(endpoint.latency_p99_us),
        errors.unwrap_or_else(dash),
        endpoint.requests.to_string(),
        budget.map_or_else(dash, |(most, left)| format!("{left} of {most}/s")),
        endpoint.last_error.as_ref().map_or_else(dash, |error| {
            format!("{} ago: {}", ago(error.at_ms), harmless(&error.text))
        }),
    ]
}
