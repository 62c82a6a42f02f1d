//! The questions that an instance of a pool answers.

use tokio::time::Instant;

use super::QueryError;
use crate::bindings::functions::nexum::functions::context::Caller;
use crate::event::{Handler, RequestId};
use crate::module::call::HandlerContext;
use crate::module::functions::{Function, ResultError, any_result};
use crate::module::instance::{FunctionCall, Instance, NoEffects};

/// See [`QueryPool::INPUT_BYTES_MAX`](super::QueryPool::INPUT_BYTES_MAX).
pub(super) const INPUT_BYTES_MAX: usize = 1 << 20;

/// See [`QueryPool::OUTPUT_BYTES_MAX`](super::QueryPool::OUTPUT_BYTES_MAX).
pub(super) const OUTPUT_BYTES_MAX: usize = 4 << 20;

/// A question to an instance.
pub(super) enum Question<'a> {
    /// Bytes for `evaluate`.
    Bytes(&'a [u8]),
    /// A read-only function, or the module's default function.
    Function {
        function: Option<&'a Function>,
        args: &'a str,
        caller: &'a Caller,
    },
}

impl Question<'_> {
    /// The handler that answers the question.
    pub(super) fn handler(&self, request: RequestId) -> Handler {
        match self {
            Self::Bytes(_) => Handler::Evaluate(request),
            Self::Function { .. } => Handler::Invoke(request),
        }
    }

    /// Puts the question to an instance, and checks the answer.
    pub(super) async fn put_to(
        &self,
        instance: &mut Instance,
        request: RequestId,
        now: Instant,
    ) -> Result<Vec<u8>, QueryError> {
        let failed = |failure| QueryError::of(request, failure);
        match *self {
            Self::Bytes(input) => {
                let answer = instance.evaluate(request, now, input).await.map_err(failed)?;
                match answer.len() <= OUTPUT_BYTES_MAX {
                    true => Ok(answer),
                    false => Err(QueryError::OutputTooLarge {
                        request,
                        bytes: answer.len() as u64,
                        bound: OUTPUT_BYTES_MAX as u64,
                    }),
                }
            }
            Self::Function { function, args, caller } => {
                let call = FunctionCall {
                    request,
                    name: function.map(|function| function.name.as_str()),
                    args,
                    caller,
                };
                let invoked = instance
                    .invoke(call, now, HandlerContext::default(), &mut NoEffects)
                    .await;
                let (result, _) = invoked.map_err(failed)?;
                let checked = function.map_or_else(|| any_result(&result), |function| function.result(&result));
                Ok(checked.map_err(|error| of_result(request, error))?.into_bytes())
            }
        }
    }
}

/// The error of a result that nexum does not pass on.
pub(super) fn of_result(request: RequestId, error: ResultError) -> QueryError {
    match error {
        ResultError::TooLarge { bytes } => QueryError::OutputTooLarge {
            request,
            bytes: bytes as u64,
            bound: crate::module::functions::RESULT_BYTES_MAX as u64,
        },
        ResultError::Mismatch(mismatch) => QueryError::Result { request, mismatch },
    }
}

/// Checks the size of a question.
pub(super) fn check_size(input: &[u8]) -> Result<(), QueryError> {
    match input.len() <= INPUT_BYTES_MAX {
        true => Ok(()),
        false => Err(QueryError::InputTooLarge {
            bytes: input.len() as u64,
            bound: INPUT_BYTES_MAX as u64,
        }),
    }
}
