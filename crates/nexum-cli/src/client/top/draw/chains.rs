//! The chains: a line for each chain with its trouble, and one for each endpoint.

use nexum_config::harmless::harmless;
use ratatui::style::Style;
use ratatui::text::Line;

use super::Paint;
use super::text::{or_unknown, wrapped};
use crate::client::problem::next_try;
use crate::protocol::chains::{Chain, Endpoint, EndpointState};
use crate::report::span;

/// The lines of all chains.
pub(super) fn lines(chains: &[Chain], paint: Paint, columns: usize, now_ms: u64) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let mut add = |text: &str, style: Style| {
        let wrapped = wrapped(text, columns).into_iter();
        lines.extend(wrapped.map(|text| Line::styled(text, style)));
    };
    for chain in chains {
        let style = match chain.trouble {
            Some(_) => paint.bad(),
            None => Style::new(),
        };
        add(&of_chain(chain, now_ms), style);
        for endpoint in &chain.endpoints {
            add(&of_endpoint(endpoint, now_ms), style_of(endpoint.state, paint));
        }
    }
    lines
}

fn of_chain(chain: &Chain, now_ms: u64) -> String {
    let head = or_unknown(chain.head.as_ref(), |head| {
        let age = span(now_ms.saturating_sub(head.timestamp_ms));
        format!("{}, {age} old", head.number)
    });
    let trouble = chain.trouble.as_ref().map(|trouble| {
        let text = trouble.text.lines().next().unwrap_or_default();
        let age = span(now_ms.saturating_sub(trouble.since_ms));
        let next = trouble.next_try_ms.map(|next| next_try(next, now_ms));
        format!("; trouble for {age}: {}{}", harmless(text), next.unwrap_or_default())
    });
    format!("chain {}: head {head}{}", chain.chain_id, trouble.unwrap_or_default())
}

fn of_endpoint(endpoint: &Endpoint, now_ms: u64) -> String {
    let since = endpoint
        .since_ms
        .map(|since_ms| format!(" for {}", span(now_ms.saturating_sub(since_ms))));
    let reason = endpoint.reason.as_deref().and_then(|reason| reason.lines().next());
    let reason = reason.map(|reason| format!(": {}", harmless(reason)));
    let next = endpoint.until_ms.map(|until_ms| next_try(until_ms, now_ms));
    let rest: String = [since, reason, next].into_iter().flatten().collect();
    format!("    {} {}{rest}", harmless(&endpoint.endpoint), endpoint.state.words())
}

fn style_of(state: EndpointState, paint: Paint) -> Style {
    match state {
        EndpointState::InUse => paint.good(),
        EndpointState::Standby | EndpointState::Untested => Style::new(),
        EndpointState::Behind | EndpointState::Rested | EndpointState::Paused | EndpointState::WrongChain => {
            paint.mild()
        }
    }
}
