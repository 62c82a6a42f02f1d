//! `nexum chains`: the chains of the running daemon, with their endpoints.

use comfy_table::Table;
use nexum_config::harmless::harmless;

use super::Client;
use super::problem::next_try;
use super::status::{WIDE_COLUMNS_MIN, now_ms};
use crate::args::Format;
use crate::exit_code::{FAILED, STOPPED};
use crate::protocol::CHAINS;
use crate::protocol::chains::{Chain, Endpoint, EndpointState};
use crate::report::Refusals;
use crate::report::print::{json_on_stdout, outln};
use crate::report::{count, span, table};

/// The columns of a narrow table of endpoints. [`endpoint_lines`] has the others.
const ENDPOINT_COLUMNS_NARROW: usize = 6;

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
        Format::Text => outln!("{}", text(&chains, None, now_ms())),
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

/// The tables of chains, endpoints and requests, and below them the sentences, and the values that a
/// narrow table has no column for. The tables have `columns`, or else the width of the terminal.
fn text(chains: &[Chain], columns: Option<u16>, now_ms: u64) -> String {
    let sized = |header: &[&str]| {
        let mut table = table(header);
        if let Some(columns) = columns {
            table.set_width(columns);
        }
        table
    };
    let is_narrow = sized(&[]).width().is_some_and(|width| width < WIDE_COLUMNS_MIN);
    let mut heads = sized(&["CHAIN", "HEAD", "HEAD AGE", "SEEN", "TROUBLE", "FAILOVERS"]);
    let header = [
        "CHAIN", "ENDPOINT", "STATE", "HEAD", "P50", "ERRORS", "REQUESTS", "P99", "PRIORITY", "BUDGET",
    ];
    let shown = if is_narrow {
        ENDPOINT_COLUMNS_NARROW
    } else {
        header.len()
    };
    let mut endpoints = sized(&header[..shown]);
    let mut requests = sized(&["CHAIN", "MODULE", "CLASS", "REQUESTS"]);
    let mut lines = Vec::new();
    for chain in chains {
        heads.add_row(head_cells(chain, now_ms));
        lines.extend(chain_lines(chain, now_ms));
        for endpoint in &chain.endpoints {
            endpoints.add_row(endpoint_cells(chain.chain_id, endpoint).into_iter().take(shown));
            lines.extend(endpoint_lines(chain.chain_id, endpoint, is_narrow, now_ms));
        }
        for one in &chain.requests_by_module {
            let id = chain.chain_id.to_string();
            requests.add_row([id, one.module.clone(), one.class.clone(), one.count.to_string()]);
        }
    }
    let tables = [&heads, &endpoints, &requests].into_iter();
    let tables = tables.filter(|table| !table.is_empty()).map(Table::to_string);
    let lines = (!lines.is_empty()).then(|| lines.join("\n"));
    tables.chain(lines).collect::<Vec<_>>().join("\n\n")
}

fn dash() -> String {
    "-".to_owned()
}

fn head_cells(chain: &Chain, now_ms: u64) -> [String; 6] {
    let ago = |at_ms: u64| span(now_ms.saturating_sub(at_ms));
    let head = chain.head.as_ref();
    [
        chain.chain_id.to_string(),
        head.map_or_else(dash, |head| head.number.to_string()),
        head.map_or_else(dash, |head| ago(head.timestamp_ms)),
        head.map_or_else(dash, |head| format!("{} ago", ago(head.seen_ms))),
        match &chain.trouble {
            Some(trouble) => format!("for {}", ago(trouble.since_ms)),
            None => "none".to_owned(),
        },
        format!(
            "{} followed, {}",
            chain.follow_failovers,
            count(chain.request_failovers, "request")
        ),
    ]
}

/// The trouble of a chain, and the endpoint over which nexum follows the chain.
fn chain_lines(chain: &Chain, now_ms: u64) -> Vec<String> {
    let ago = |at_ms: u64| span(now_ms.saturating_sub(at_ms));
    let id = chain.chain_id;
    let trouble = chain.trouble.as_ref().map(|trouble| {
        let next = trouble.next_try_ms.map(|next| next_try(next, now_ms));
        let (text, since) = (harmless(&trouble.text), ago(trouble.since_ms));
        format!("chain {id}: {text}, for {since}{}", next.unwrap_or_default())
    });
    let follows = match &chain.following {
        Some(following) => {
            let how = if following.is_pushed { "pushed" } else { "polled" };
            let (endpoint, since) = (harmless(&following.endpoint), ago(following.since_ms));
            format!("chain {id}: followed over {endpoint}, {how}, for {since}")
        }
        None => format!("chain {id}: followed over no endpoint"),
    };
    trouble.into_iter().chain([follows]).collect()
}

fn endpoint_cells(chain_id: u64, endpoint: &Endpoint) -> [String; 10] {
    let latency = |us: Option<u64>| us.map_or_else(dash, |us| format!("{}.{} ms", us / 1_000, us % 1_000 / 100));
    let errors = endpoint.error_rate.map(|rate| format!("{:.1} %", rate * 100.0));
    [
        chain_id.to_string(),
        harmless(&endpoint.endpoint).into_owned(),
        endpoint.state.words().to_owned(),
        endpoint.head.map_or_else(dash, |head| head.to_string()),
        latency(endpoint.latency_p50_us),
        errors.unwrap_or_else(dash),
        endpoint.requests.to_string(),
        latency(endpoint.latency_p99_us),
        endpoint.priority.to_string(),
        match endpoint.requests_per_second.zip(endpoint.budget) {
            Some((most, left)) => format!("{left} of {most}/s"),
            None => "no limit".to_owned(),
        },
    ]
}

/// The state of an endpoint with its reason, its last error, and the values that a narrow table has no
/// column for.
fn endpoint_lines(chain_id: u64, endpoint: &Endpoint, is_narrow: bool, now_ms: u64) -> Vec<String> {
    let ago = |at_ms: u64| span(now_ms.saturating_sub(at_ms));
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
    let mut lines = vec![format!("{chain_id} {}: {state}", harmless(&endpoint.endpoint))];
    if is_narrow {
        let [.., requests, p99, priority, budget] = endpoint_cells(chain_id, endpoint);
        lines.push(format!(
            "  requests {requests}, p99 {p99}, priority {priority}, budget {budget}"
        ));
    }
    if let Some(error) = &endpoint.last_error {
        lines.push(format!(
            "  last error {} ago: {}",
            ago(error.at_ms),
            harmless(&error.text)
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A time of the test, in milliseconds since the Unix epoch.
    const NOW_MS: u64 = 1_767_225_600_000;

    /// An endpoint that nexum has sent no request to, changed by `more`.
    fn endpoint(label: &str, state: &str, more: Value) -> Value {
        let mut endpoint = json!({
            "endpoint": label, "priority": 0, "state": state, "head": null, "reason": null, "since_ms": null, "until_ms": null,
            "latency_p50_us": null, "latency_p99_us": null, "requests": 0, "errors": 0, "error_rate": null,
            "requests_per_second": null, "budget": null, "last_error": null,
        });
        endpoint
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        endpoint
    }

    /// A chain that works and has a rested endpoint, a chain whose endpoint is down, and one without data.
    fn chains() -> Vec<Chain> {
        let used = json!({
            "since_ms": NOW_MS - 7_500_000, "latency_p50_us": 48_310, "latency_p99_us": 1_310_000, "requests": 123_456,
            "errors": 3, "error_rate": 0.0, "requests_per_second": 25, "budget": 12, "head": 21_000_253,
        });
        let rested = json!({
            "priority": 1, "since_ms": NOW_MS - 4_000, "until_ms": NOW_MS + 6_000,
            "reason": "no answer within 10 s", "latency_p50_us": 90_000, "latency_p99_us": 10_000_000, "requests": 40,
            "errors": 1, "error_rate": 0.025,
            "last_error": { "text": "no answer within 10 s", "at_ms": NOW_MS - 4_000 },
        });
        let down = "error sending request: connection refused\u{1b}[2J";
        let down = json!({
            "since_ms": NOW_MS - 64_000, "until_ms": NOW_MS + 16_000, "reason": down, "requests": 12, "errors": 9,
            "error_rate": 1.0, "last_error": { "text": down, "at_ms": NOW_MS - 14_000 },
        });
        let chains = json!([
            {
                "chain_id": 11_155_111, "trouble": null, "request_failovers": 1, "follow_failovers": 2,
                "head": {
                    "number": 21_000_253, "hash": "0x", "timestamp_ms": NOW_MS - 12_000, "seen_ms": NOW_MS - 300,
                },
                "following": {
                    "endpoint": "wss://ethereum-sepolia.nodes.example.org:443", "since_ms": NOW_MS - 7_500_000,
                    "is_pushed": true,
                },
                "endpoints": [
                    endpoint("wss://ethereum-sepolia.nodes.example.org:443", "in_use", used),
                    endpoint("https://rpc.example.com:443", "rested", rested),
                ],
                "requests_by_module": [{ "module": "keeps-up", "class": "logs", "count": 17 }],
            },
            {
                "chain_id": 31_337, "request_failovers": 0, "follow_failovers": 0, "following": null,
                "trouble": {
                    "text": "1 of 1 endpoints down: http://127.0.0.1:28547: connection refused",
                    "since_ms": NOW_MS - 64_000, "next_try_ms": NOW_MS + 2_000,
                },
                "head": {
                    "number": 7, "hash": "0x", "timestamp_ms": NOW_MS - 93_780_000, "seen_ms": NOW_MS - 64_000,
                },
                "endpoints": [endpoint("http://127.0.0.1:28547", "rested", down)],
                "requests_by_module": [],
            },
            {
                "chain_id": 100, "trouble": null, "request_failovers": 0, "follow_failovers": 0, "head": null,
                "following": null, "endpoints": [endpoint("http://127.0.0.1:8545", "untested", json!({}))],
                "requests_by_module": [],
            },
        ]);
        serde_json::from_value(chains).unwrap()
    }

    #[test]
    fn the_tables_fit_80_and_200_columns_and_both_show_every_value() {
        for columns in [80, 200] {
            let text = text(&chains(), Some(columns), NOW_MS);
            let (tables, _) = text.split_once("\n\nchain 11155111: ").unwrap();
            for line in tables.lines() {
                assert!(line.chars().count() <= usize::from(columns), "{columns}: {line}");
            }
            for value in [
                "48.3 ms",
                "1310.0 ms",
                "123456",
                "12 of 25/s",
                "2.5 %",
                "no limit",
                "2 followed, 1 request",
            ] {
                assert!(text.contains(value), "{columns}: {value}: {text}");
            }
            let lines: Vec<_> = text.lines().map(str::trim_end).collect();
            insta::assert_snapshot!(format!("chains_{columns}"), lines.join("\n"));
        }
    }

    #[test]
    fn an_unknown_value_is_no_number() {
        let chains = chains();
        let [.., without] = chains.as_slice() else { panic!() };
        assert_eq!(
            head_cells(without, NOW_MS),
            ["100", "-", "-", "-", "none", "0 followed, 0 requests"]
        );
        assert_eq!(
            endpoint_cells(100, &without.endpoints[0]),
            [
                "100",
                "http://127.0.0.1:8545",
                "untested",
                "-",
                "-",
                "-",
                "0",
                "-",
                "0",
                "no limit"
            ]
        );
        assert_eq!(chain_lines(without, NOW_MS), ["chain 100: followed over no endpoint"]);
        let line = endpoint_lines(100, &without.endpoints[0], false, NOW_MS);
        assert_eq!(line, ["100 http://127.0.0.1:8545: untested"]);
    }
}
