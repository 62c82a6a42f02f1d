//! The lines of the screen.

use std::collections::HashMap;

use alloy_primitives::B256;
use anstyle::{AnsiColor, Style};
use nexum_testing::Daemon;
use nexum_testing::order_book::{OrderStatus, StoredOrder};

use crate::parts::{Parts, Totals};
use crate::refunds::Refund;
use crate::scene::{Scene, Watched};
use crate::told::{Due, Told};

/// The names of the columns.
pub(crate) const HEADER: &str = "ORDER       OWNER       KIND               POSTED  SETTLED  NEWEST     STATE              \
                                 SINCE   NEXT          WHY";

/// The characters of an id or an address.
const SHORT_CHARS: usize = 10;

/// The line of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The columns that stay while nothing happens.
    pub(crate) facts: String,
    /// The columns that count time.
    pub(crate) times: String,
    pub(crate) why: String,
    pub(crate) style: Style,
}

/// The lines of all orders.
pub(crate) fn rows(scene: &Scene, parts: &Parts, told: &HashMap<B256, Told>) -> Vec<Row> {
    let orders = scene.orders().iter();
    orders
        .map(|order| row(scene, parts, order, told.get(&order.id())))
        .collect()
}

fn row(scene: &Scene, parts: &Parts, order: &Watched, told: Option<&Told>) -> Row {
    let now = scene.now();
    let stored = parts.of(order);
    let settled = stored.iter().filter(|part| scene.settled().contains(&part.uid)).count();
    let newest = stored.last().and_then(|part| scene.book().status(&part.uid));
    let missed = parts.missed(order, now);
    let posted = match order.parts.len() {
        0 => stored.len().to_string(),
        all => format!("{} of {all}", stored.len()),
    };
    let state = match told {
        Some(told) => told.reason.replace('_', " "),
        None => "unknown".to_owned(),
    };
    let since = told.and_then(|told| since(told, stored.last().copied()));
    let since = since.map_or_else(String::new, |since| format!("{} s", now.saturating_sub(since)));
    let next = told.map_or_else(String::new, |told| next(told.due, now));
    Row {
        facts: format!(
            "{}  {}  {:<17}  {posted:<6}  {settled:<7}  {:<9}  {state:<17}",
            short(order.id()),
            short(order.owner),
            order.kind.name(),
            newest.map_or("", word),
        ),
        times: format!("{since:>6}  {next:<12}"),
        why: match missed {
            0 => told.map_or_else(String::new, |told| told.text.clone()),
            missed => format!("{missed} MISSED"),
        },
        style: match newest {
            _ if missed > 0 => bad(),
            Some(OrderStatus::Fulfilled) if told.is_some_and(|told| told.reason == "posted") => good(),
            _ => style(told),
        },
    }
}

/// The line of an order that sells ether.
pub(crate) fn of_refund(refund: &Refund) -> Row {
    let Refund {
        uid,
        owner,
        state,
        reason,
    } = refund;
    Row {
        facts: format!(
            "{}  {}  {:<17}  {:<6}  {:<7}  {:<9}  {state:<17}",
            short(uid),
            short(owner),
            "ethflow",
            "",
            "",
            ""
        ),
        times: format!("{:>6}  {:<12}", "", ""),
        why: reason.clone(),
        style: match state.as_str() {
            "refunded" | "filled" => good(),
            "stuck" => bad(),
            _ => Style::new().fg_color(Some(AnsiColor::Yellow.into())),
        },
    }
}

/// The time at which an order's state began: the post of its newest part, or the begin of the reason,
/// which a new order does not have.
fn since(told: &Told, newest: Option<&StoredOrder>) -> Option<u64> {
    match newest.filter(|_| told.reason == "posted") {
        Some(newest) => Some(newest.created_ms / 1_000),
        None => Some(told.since).filter(|since| *since > 0),
    }
}

/// The first digits, which tell the values of one screen apart.
fn short(value: impl ToString) -> String {
    value.to_string().chars().take(SHORT_CHARS).collect()
}

fn word(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::PresignaturePending => "pending",
        OrderStatus::Open => "open",
        OrderStatus::Fulfilled => "fulfilled",
        OrderStatus::Cancelled => "cancelled",
        OrderStatus::Expired => "expired",
    }
}

fn next(due: Due, now: u64) -> String {
    match due {
        Due::EveryBlock => "next block".to_owned(),
        Due::Block(block) => format!("block {block}"),
        Due::Time(time) if time > now => format!("in {} s", time - now),
        Due::Time(_) => "now".to_owned(),
        Due::Ended(_) => "ended".to_owned(),
    }
}

fn style(told: Option<&Told>) -> Style {
    let color = |color: AnsiColor| Style::new().fg_color(Some(color.into()));
    match told.map(|told| (told.reason.as_str(), told.due)) {
        None => Style::new().dimmed(),
        Some(("finished", _)) => Style::new().dimmed(),
        Some(("posted", _)) => color(AnsiColor::Cyan),
        Some(("filled", _)) => good(),
        Some(("new" | "queued" | "quote" | "try_next_block" | "try_at_block" | "try_at_epoch", _)) => {
            color(AnsiColor::Yellow)
        }
        Some((_, Due::Ended(_))) => Style::new().dimmed(),
        Some(_) => bad(),
    }
}

fn good() -> Style {
    Style::new().fg_color(Some(AnsiColor::Green.into()))
}

fn bad() -> Style {
    Style::new().fg_color(Some(AnsiColor::Red.into()))
}

/// The line about everything.
pub(crate) fn status(block: u64, scene: &Scene, totals: &Totals, daemon: &Daemon) -> String {
    let warnings = daemon.warnings();
    format!("block {block}, time {}; {totals}; {warnings} warnings", scene.now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_look_is_in_seconds_or_blocks() {
        let cases = [
            (Due::EveryBlock, "next block"),
            (Due::Block(7), "block 7"),
            (Due::Time(130), "in 30 s"),
            (Due::Time(100), "now"),
            (Due::Ended(900), "ended"),
        ];
        for (due, expected) in cases {
            assert_eq!(next(due, 100), expected);
        }
    }

    #[test]
    fn an_address_is_cut() {
        assert_eq!(short(nexum_testing::cow::addresses::TWAP), "0x6cF1e9cA");
    }
}
