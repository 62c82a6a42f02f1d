//! The end of a transaction that no place has taken.

use nexum_core::capability::{EffectJournal, EffectOutcome, Sending, Submitted};

use super::{Job, Made};
use crate::rows::{NextNonce, Purpose, Row as _, Transaction, key};

impl Job<'_> {
    /// Ends a transaction that every place has refused. Its nonce is free again, or an empty transaction takes it if a
    /// later one exists. Returns false if a place may have it meanwhile.
    pub(super) async fn give_back(
        &self,
        journal: &EffectJournal,
        sending: Sending,
        made: &Made,
        reason: &str,
    ) -> wasmtime::Result<bool> {
        let lane = self.lane();
        let held = self.shared.lock(lane.account).await;
        let key = key::transaction(lane, made.nonce);
        // The tender may have had more luck.
        if self.rows.get(&key).await? != Some(made.transaction.encode()) {
            journal.settle(sending, EffectOutcome::Done(made.answer()));
            return Ok(false);
        }
        let mut rows = self.rows.changes();
        let mut spending = self.spending().await?;
        let next = self.rows.get(&key::nonce(lane)).await?;
        let next = next.map(|row| NextNonce::decode(&row)).transpose()?;
        match next.filter(|row| row.next == made.nonce + 1) {
            Some(row) => {
                let freed = NextNonce {
                    next: made.nonce,
                    ..row
                };
                rows.put(&key, None);
                rows.put(&key::hash(made.transaction.newest().hash), None);
                rows.put(&key::nonce(lane), Some(freed.encode()));
                spending.remove(lane.chain, made.nonce);
                rows.put(&key::spending(lane.account, self.module), Some(spending.encode()));
            }
            None => {
                let cancelled = Transaction {
                    purpose: Purpose::Cancel,
                    waits: Some(format!(
                        "the chain has refused it ({reason}), so an empty one takes its nonce"
                    )),
                    ..made.transaction.clone()
                };
                rows.put(&key, Some(cancelled.encode()));
            }
        }
        // From here on, only the store knows whether the transaction is durable.
        *self.made.lock() = None;
        journal.refuse(sending, rows).await?;
        drop(held);
        self.shared.sent.notify_one();
        Ok(true)
    }
}

/// Why no place has taken the transaction, if all have said so and none can have it.
pub(super) fn refusal(answers: &[Submitted]) -> Option<String> {
    let mut reason = None;
    for answer in answers {
        let error = answer.result.as_ref().err()?;
        let text = error.message.to_ascii_lowercase();
        // The account may have been used elsewhere, which the tender finds out.
        let is_open = ["nonce", "underpriced", "already"]
            .iter()
            .any(|word| text.contains(word));
        if !error.is_refusal || is_open {
            return None;
        }
        reason.get_or_insert_with(|| error.message.clone());
    }
    reason
}
