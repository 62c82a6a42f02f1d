//! Pinned reads at an endpoint that does not take a block's hash as a parameter (EIP-1898).
//!
//! nexum asks such an endpoint by number, and for the hash of the block with that number before and after the read. An answer
//! counts only if both hashes are that of the pinned block.

use std::sync::atomic::{AtomicU8, Ordering};

use alloy_primitives::B256;
use nexum_core::source::Position;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::read::{ByNumber, ReadRequest};
use super::{Endpoint, Failure, RpcRequest, parse};
use crate::error::{AnswerKind, RequestError};
use crate::methods::{self, READ_METHODS};

type Attempt = Result<Box<RawValue>, Failure>;

/// The form in which an endpoint accepts the block of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Form {
    /// Unknown so far.
    Unknown,
    Hash,
    Number,
}

/// The form in which an endpoint accepts the block of each method's reads.
#[derive(Debug)]
pub(super) struct BlockForms {
    /// A [`Form`] for each method of [`READ_METHODS`].
    forms: Box<[AtomicU8]>,
}

impl Default for BlockForms {
    fn default() -> Self {
        let unknown = || AtomicU8::new(Form::Unknown as u8);
        Self {
            forms: READ_METHODS.iter().map(|_| unknown()).collect(),
        }
    }
}

impl BlockForms {
    fn is(&self, method: &str, form: Form) -> bool {
        self.get(method)
            .is_some_and(|kept| kept.load(Ordering::Relaxed) == form as u8)
    }

    /// Records the form. Returns whether it is new.
    fn set(&self, method: &str, form: Form) -> bool {
        let set = |kept: &AtomicU8| kept.swap(form as u8, Ordering::Relaxed) != form as u8;
        self.get(method).is_some_and(set)
    }

    fn get(&self, method: &str) -> Option<&AtomicU8> {
        self.forms.get(methods::place(method)?)
    }
}

impl Endpoint {
    /// Sends a module's read once: by hash, or by number if the endpoint accepts no hash. A read by
    /// number sends two more requests, each with its own timeout.
    pub(crate) async fn attempt_read(&self, read: &ReadRequest, deadline: Instant) -> Attempt {
        let Some(by_number) = &read.by_number else {
            return self.attempt(&read.request, deadline).await;
        };
        let method = &*read.request.0;
        if self.block_forms.is(method, Form::Number) {
            return Box::pin(self.attempt_by_number(by_number, deadline)).await;
        }
        let answer = self.attempt(&read.request, deadline).await;
        match &answer {
            answer if is_from_chain(answer) => {
                self.block_forms.set(method, Form::Hash);
            }
            Err(failure) if self.may_lack_hashes(read, &failure.error) => {
                let asked = Box::pin(self.attempt_by_number(by_number, deadline)).await;
                if is_from_chain(&asked) {
                    self.note_lack(method);
                    return asked;
                }
                // The number belongs to another block, so the refusal says nothing about the read.
                if matches!(&asked, Err(failure) if failure.error.is_unknown_block()) {
                    return asked;
                }
            }
            _ => {}
        }
        answer
    }

    /// Whether the read must be sent separately, because the endpoint accepts no hash for it.
    pub(crate) fn takes_by_number(&self, read: &ReadRequest) -> bool {
        read.by_number.is_some() && self.block_forms.is(&read.request.0, Form::Number)
    }

    /// Whether the read may have failed because the endpoint accepts no hash for it.
    pub(crate) fn may_lack_hashes(&self, read: &ReadRequest, error: &RequestError) -> bool {
        let is_unknown = || self.block_forms.is(&read.request.0, Form::Unknown);
        read.by_number.is_some() && error.may_refuse_form() && is_unknown()
    }

    fn note_lack(&self, method: &str) {
        if self.block_forms.set(method, Form::Number) {
            let (chain, endpoint) = (self.chain_id, &self.label);
            tracing::info!(chain, %endpoint, method, "the endpoint takes no block hash (EIP-1898): nexum asks it by number");
        }
    }

    async fn attempt_by_number(&self, by_number: &ByNumber, deadline: Instant) -> Attempt {
        self.check_hash(&by_number.block, deadline).await?;
        let answer = self.attempt(&by_number.request, deadline).await;
        if is_from_chain(&answer) {
            self.check_hash(&by_number.block, deadline).await?;
        }
        answer
    }

    /// Fails if the endpoint's block with this number has another hash.
    async fn check_hash(&self, block: &Position, deadline: Instant) -> Result<(), Failure> {
        #[derive(Deserialize)]
        struct Hashed {
            hash: B256,
        }
        let failed = |error| Failure { error, sent: true };
        let params = RawValue::from_string(format!(r#"["{:#x}",false]"#, block.number));
        let params = params.map_err(|_| failed(RequestError::Internal))?;
        let request: RpcRequest = ("eth_getBlockByNumber".into(), params);
        let answer = self.attempt(&request, deadline).await?;
        match parse::<Option<Hashed>>(&answer).map_err(failed)? {
            Some(found) if found.hash == block.hash => Ok(()),
            _ => Err(failed(RequestError::unknown_block())),
        }
    }
}

/// Whether the endpoint ran the read: it returned a result, or a contract reverted.
fn is_from_chain(answer: &Attempt) -> bool {
    match answer {
        Ok(_) => true,
        Err(failure) => matches!(
            &failure.error,
            RequestError::Answer {
                kind: AnswerKind::Revert,
                ..
            }
        ),
    }
}
