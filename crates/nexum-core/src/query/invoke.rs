//! Calls of a module's functions.

use std::time::Duration;

use tokio::time::Instant;

use super::question::{Question, check_size, of_result};
use super::{QueryError, QueryPool};
use crate::bindings::functions::nexum::functions::context::Caller;
use crate::event::{Handler, RequestId};
use crate::module::functions::{Function, any_arguments};
use crate::runner::{Call, CallError, ModuleStatus};

/// A call of a function.
#[derive(Clone, Debug)]
pub struct Invocation<'a> {
    /// The function's name. `None` for the module's default function.
    pub function: Option<&'a str>,
    /// The arguments: a JSON object with their names, or an array in their order. No bytes stand for
    /// no arguments.
    pub args: &'a [u8],
    /// The program that asks. The function can read it.
    pub caller: Caller,
    /// Whether this caller may call functions that change the module's state.
    pub may_write: bool,
}

impl QueryPool {
    /// Calls a function of the module, and returns its result as JSON.
    ///
    /// An instance of the pool carries out a read-only function, as it answers a query. The module's
    /// runner carries out a writeable one between two events, in one transaction. If the caller
    /// drops the future, a writeable function that has begun still ends.
    ///
    /// # Errors
    ///
    /// Returns the reason why there is no result. The changes of a writeable function are then
    /// rolled back, unless the store failed.
    pub async fn invoke(
        &self,
        invocation: &Invocation<'_>,
        runner: Option<&ModuleStatus>,
    ) -> Result<String, QueryError> {
        let (function, args) = match self.prepare(invocation) {
            Ok(prepared) => prepared,
            Err(error) => {
                self.note_refusal(&error);
                return Err(error);
            }
        };
        if let Some(function) = function.filter(|function| function.is_writeable) {
            return self.invoke_writeable(function, args, invocation, runner).await;
        }
        let question = Question::Function {
            function,
            args: &args,
            caller: &invocation.caller,
        };
        let result = self.ask(&question).await?;
        // The result came from a string.
        Ok(String::from_utf8_lossy(&result).into_owned())
    }

    /// Finds the function of a call, and reads its arguments.
    fn prepare<'a>(&'a self, invocation: &Invocation<'_>) -> Result<(Option<&'a Function>, String), QueryError> {
        check_size(invocation.args)?;
        let functions = &self.module().functions;
        if !self.module().has_functions() {
            return Err(QueryError::NoFunctions);
        }
        let Some(name) = invocation.function else {
            return Ok((None, any_arguments(invocation.args).map_err(QueryError::Arguments)?));
        };
        let function = functions
            .get(name)
            .ok_or_else(|| QueryError::NoFunction { name: name.to_owned() })?;
        if function.is_writeable && !invocation.may_write {
            return Err(QueryError::ReadOnly {
                function: name.to_owned(),
            });
        }
        let args = function.arguments(invocation.args).map_err(QueryError::Arguments)?;
        Ok((Some(function), args))
    }

    async fn invoke_writeable(
        &self,
        function: &Function,
        args: String,
        invocation: &Invocation<'_>,
        runner: Option<&ModuleStatus>,
    ) -> Result<String, QueryError> {
        let asked = Instant::now();
        let request = self.next_request();
        let call = Call {
            request,
            function: function.clone(),
            args,
            caller: invocation.caller.clone(),
        };
        let permitted = self.permit().inspect_err(|error| self.note_refusal(error));
        let (pass, mut trial) = permitted?;
        let result = self.run(call, asked, runner).await;
        trial.pass = None;
        self.ended(pass, result.as_ref().err());
        match &result {
            Ok(_) => self.note_answer(asked.elapsed()),
            Err(error) if error.has_begun() => self.note_failure(Handler::Invoke(request), error),
            Err(error) => self.note_refusal(error),
        }
        result
    }

    async fn run(&self, call: Call, asked: Instant, runner: Option<&ModuleStatus>) -> Result<String, QueryError> {
        let runner = runner.ok_or(QueryError::Gone)?;
        let request = call.request;
        let wait_ms_max = self.module().bounds.wait_ms_max;
        let begin_by = asked + Duration::from_millis(wait_ms_max);
        let of_call = |error| of_call(request, wait_ms_max, error);
        let turn = match runner.try_turn() {
            Some(turn) => turn,
            None => {
                let _wait = self.may_wait()?;
                runner.turn(begin_by).await.map_err(of_call)?
            }
        };
        runner.invoke(turn, call, begin_by).await.map_err(of_call)
    }
}

fn of_call(request: RequestId, wait_ms_max: u64, error: CallError) -> QueryError {
    match error {
        CallError::TimedOut(stage) => QueryError::NotBegun { wait_ms_max, stage },
        CallError::NotRunning(stage, reason) => QueryError::NotRunning { stage, reason },
        CallError::Changed => QueryError::Reloaded,
        CallError::Start(failure) => QueryError::Start { failure },
        CallError::Failed(failure) => QueryError::of(request, failure),
        CallError::Result(error) => of_result(request, error),
        CallError::Store(reason) => QueryError::Failed { request, reason },
        CallError::Gone => QueryError::Gone,
    }
}
