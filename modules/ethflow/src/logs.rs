//! Follows the events of the contracts.

use nexum_sdk::sol_types::SolEvent;
use nexum_sdk::{Decoded, Log, Result, U256, cow};

use crate::abi::IEthFlow::{OrderInvalidation, OrderPlacement, OrderRefund};
use crate::book::{self, Book};
use crate::contracts::Contracts;
use crate::order::{Order, State, VALID_TO};

/// Changes the orders by one log. A log that no EthFlow contract writes is counted: it must not fail
/// the event, because nexum would repeat the event without success.
pub fn follow(book: &mut Book, contracts: &Contracts, least: U256, log: Log) -> Result {
    let Some(settlement) = contracts.settlement(log.chain_id, log.address) else {
        return Ok(());
    };
    let followed = match log.topics.first() {
        Some(topic) if *topic == OrderPlacement::SIGNATURE_HASH => {
            // Before the order is decoded and hashed: a flood of them would use up the fuel.
            if !book.may_change() {
                book.drop_order("the block has too many");
                return Ok(());
            }
            match Decoded::try_from_log(log) {
                Ok(placement) => match Order::of_event(&placement, settlement) {
                    Some((_, order)) if order.sell_amount < least => return Ok(()),
                    Some((digest, order)) => {
                        let id = (placement.log.chain_id, placement.log.address, digest);
                        return book.add(&id, order);
                    }
                    None => Err(placement.log),
                },
                Err(log) => Err(log),
            }
        }
        Some(topic) if *topic == OrderInvalidation::SIGNATURE_HASH => cancel(book, log)?,
        Some(topic) if *topic == OrderRefund::SIGNATURE_HASH => refund(book, log)?,
        _ => Err(log),
    };
    if let Err(log) = followed {
        book.ignore_event(&log);
    }
    Ok(())
}

/// Whether the log is one of EthFlow, else the log.
type Followed = Result<Result<(), Log>>;

fn cancel(book: &mut Book, log: Log) -> Followed {
    let Some(event) = log.decode::<OrderInvalidation>() else {
        return Ok(Err(log));
    };
    let reason = format!("OrderInvalidation in {}", log.transaction_hash);
    finish(book, log, &event.orderUid, State::Cancelled, reason)
}

fn refund(book: &mut Book, log: Log) -> Followed {
    let Some(event) = log.decode::<OrderRefund>() else {
        return Ok(Err(log));
    };
    let reason = format!("OrderRefund by {} in {}", event.refunder, log.transaction_hash);
    finish(book, log, &event.orderUid, State::Refunded, reason)
}

/// Ends the order of an event. An order that was placed before the module's first block is not an
/// error.
fn finish(book: &mut Book, log: Log, uid: &[u8], state: State, reason: String) -> Followed {
    let Some((digest, owner, VALID_TO)) = cow::split_uid(uid) else {
        return Ok(Err(log));
    };
    if owner != log.address {
        return Ok(Err(log));
    }
    let id = (log.chain_id, log.address, digest);
    if !book.may_change() || !book.may_look() {
        return Ok(Ok(()));
    }
    let Some(order) = book::get(&id)?.filter(|order| !order.state.is_final()) else {
        return Ok(Ok(()));
    };
    book.finish(&id, order, state, reason, log.block_number)?;
    Ok(Ok(()))
}
