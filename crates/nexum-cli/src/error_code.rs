//! The codes of the daemon's errors: stable words for programs, with a meaning for people.
//!
//! The daemon gives each error one code, `nexum errors` prints them, and `docs/errors.md` lists
//! them. A code keeps its meaning for ever: add a code instead of changing one.

mod explained;

pub(crate) use explained::{Explained, explained};

/// Makes the enum, and the table that describes each of its codes.
macro_rules! error_codes {
    ($($code:ident: $word:literal, $status:literal, $meaning:literal, $cause:literal, $remedy:literal;)+) => {
        /// The code of an error.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum ErrorCode {
            $(#[doc = $meaning] $code,)+
        }

        impl ErrorCode {
            /// All codes, sorted by word within each subject.
            pub(crate) const ALL: &[Self] = &[$(Self::$code),+];

            /// The meaning of the code, and the next step.
            pub(crate) const fn about(self) -> About {
                match self {
                    $(Self::$code => About {
                        word: $word,
                        status: $status,
                        meaning: $meaning,
                        cause: $cause,
                        remedy: $remedy,
                    },)+
                }
            }
        }
    };
}

/// The description of a code. Each text but the word is a sentence.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About {
    /// The code as the API writes it: lower case, with hyphens.
    pub(crate) word: &'static str,
    /// The HTTP status of a response with the code.
    pub(crate) status: u16,
    pub(crate) meaning: &'static str,
    /// The usual cause.
    pub(crate) cause: &'static str,
    /// The next step of the operator. It ends with a command.
    pub(crate) remedy: &'static str,
}

impl ErrorCode {
    /// Whether the module received the call that failed with this code.
    #[cfg(feature = "runtime")]
    pub(crate) const fn is_of_a_begun_call(self) -> bool {
        matches!(
            self,
            Self::AnswerTooLarge
                | Self::DeadlineExceeded
                | Self::InvalidResult
                | Self::LimitExceeded
                | Self::ModuleReturnedError
                | Self::ModuleStartFailed
                | Self::ModuleTrapped
                | Self::QueryFailed
        )
    }

    /// The code as the API writes it.
    pub(crate) const fn word(self) -> &'static str {
        self.about().word
    }

    /// The code with this word.
    pub(crate) fn of(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.word() == word)
    }
}

impl About {
    /// The command at the end of the remedy.
    #[cfg(feature = "runtime")]
    pub(crate) fn command(&self) -> &'static str {
        let quoted = self.remedy.trim_end_matches('`');
        quoted.rsplit_once('`').map_or(quoted, |(_, command)| command)
    }
}

error_codes! {
    // Requests.
    BodyTimeout: "body-timeout", 408,
        "The body of the request did not arrive in time.",
        "The client, or the connection to it, is too slow.",
        "Send the request again, on the daemon's machine with `nexum status`";
    BodyTooLarge: "body-too-large", 413,
        "The body of the request is larger than this path accepts.",
        "The client sends something else than the documented message.",
        "Send a smaller body; list the size limits of a module with `nexum limits MODULE`";
    BrowserRefused: "browser-refused", 403,
        "The request comes from a page in a browser, or names a host that is no address of nexum.",
        "A page tries to reach nexum, or a proxy forwards requests with a host name.",
        "Send the request with another client, to an IP address, or use `nexum status`";
    InternalError: "internal-error", 500,
        "nexum has a fault.",
        "A task of the daemon ended without an answer.",
        "Report the fault with the daemon's log and the output of `nexum --version`";
    InvalidRequest: "invalid-request", 400,
        "The path, the query or the body of the request does not have the documented form.",
        "The client has another version than the daemon, or a value has another type.",
        "Compare the request with /v1/openapi.json, or use the command for it: `nexum help`";
    LocalOnly: "local-only", 403,
        "The daemon accepts this command only on its Unix socket.",
        "The command names a file on the daemon's machine, and the request came over TCP.",
        "Run the command on the daemon's machine as its user, for example `nexum module load FILE`";
    MethodNotAllowed: "method-not-allowed", 405,
        "The path exists, and does not accept this method.",
        "The client has another version than the daemon.",
        "Use a method that the header Allow names, or the command for it: `nexum help`";
    PathNotFound: "path-not-found", 404,
        "The API has no such path.",
        "The client has another version than the daemon.",
        "Find the path in /v1/openapi.json, or use the command for it: `nexum help`";
    NotifyUnconfigured: "notify-unconfigured", 409,
        "The configuration names no receiver of notifications.",
        "`engine.toml` has no table [notify].",
        "Add a webhook or a command to [notify], restart the daemon, and repeat `nexum notify test`";
    TooManyReaders: "too-many-readers", 429,
        "Too many clients follow logs or events.",
        "Clients that read nothing keep their connections open.",
        "End some of the clients, or list what the daemon has: `nexum logs`";
    Unauthorized: "unauthorized", 401,
        "The request has no valid token.",
        "The header Authorization is missing, or its token is not the one of [admin] token_file.",
        "Send `Authorization: Bearer TOKEN`, or use the socket on the daemon's machine: `nexum status`";
    UnsupportedMediaType: "unsupported-media-type", 415,
        "The body of the request has a media type that this path does not accept.",
        "The header Content-Type is missing or wrong.",
        "Send JSON with `Content-Type: application/json`, or use the command for it: `nexum help`";

    // The installation.
    NodeNotFound: "node-not-found", 404,
        "The installation has no node of this name.",
        "The name is misspelt, or the node has never joined.",
        "List the nodes with `nexum cluster status`";

    // The configuration.
    ConfigInvalid: "config-invalid", 422,
        "The configuration has errors. Nothing was changed.",
        "A key, a value or the file of a module is wrong.",
        "Correct the errors, and find all of them with `nexum check`";
    RestartRequired: "restart-required", 409,
        "The configuration has other values for keys that only a restart changes. Nothing was changed.",
        "The keys belong to ports, the state, or parts that nexum makes at its start.",
        "Restart nexum, or restore the running values, which are shown by `nexum config show --running`";

    SocketUnusable: "socket-unusable", 403,
        "The socket of the daemon cannot be opened. Only the command line gives this code.",
        "Another user runs the command than the daemon.",
        "Run the command as the user that runs the daemon (`sudo -u nexum`). The socket and its rights are shown by `nexum doctor`";

    // Accounts.
    AccountElsewhere: "account-elsewhere", 409,
        "This node does not run the modules that send from the account.",
        "Another node of the installation runs them, or none does yet.",
        "Give the command on the node that runs the modules, which is shown by `nexum cluster status`";
    AccountNotFound: "account-not-found", 404,
        "The configuration has no account of this name.",
        "The name is misspelt, or the daemon runs with another configuration.",
        "List the accounts with `nexum account list`";
    AccountUnused: "account-unused", 409,
        "nexum has sent nothing from the account on this chain, so that there is nothing to sync.",
        "The chain id is misspelt.",
        "See the chains of the account with `nexum account show ACCOUNT`";
    ChainUnavailable: "chain-unavailable", 503,
        "The chain does not answer. Nothing was changed there.",
        "Its endpoints are down, or the configuration does not have the chain any more.",
        "Retry when an endpoint of the chain answers: `nexum chains`";

    // Modules.
    ChainUnknown: "chain-unknown", 409,
        "The module needs a chain that the configuration does not have.",
        "The table [chains.ID] of the chain is missing in engine.toml.",
        "Add the table [chains.ID] to engine.toml, check it, and restart the daemon: `nexum check`";
    DaemonNotRunning: "daemon-not-running", 503,
        "No daemon answers on the socket of the state directory. Only the command line gives this code.",
        "The daemon does not run, or the command reads another configuration than the daemon.",
        "Start the daemon with `nexum run`, or name its configuration: `nexum status --config FILE`";
    DaemonStopping: "daemon-stopping", 503,
        "The daemon stops, or has not started its modules yet.",
        "An operator or the service manager stops or starts the daemon.",
        "Retry the command when the daemon runs: `nexum status`";
    DeadLetterNotFound: "dead-letter-not-found", 404,
        "The module has no dead letter of this event.",
        "The event was retried or skipped already, or its id is misspelt.",
        "List the module's dead letters with `nexum dead-letter list MODULE`";
    EffectNotFound: "effect-not-found", 404,
        "The module has no record of this effect.",
        "The event id or the number is misspelt, or nexum has removed the record because it is old.",
        "List the module's effects with `nexum effect list MODULE`";
    EventFailed: "event-failed", 409,
        "The event of the dead letter failed again, and stays a dead letter.",
        "The cause of the earlier failures continues.",
        "Read the attempts and their log records with `nexum dead-letter show MODULE EVENT`";
    InitFailed: "init-failed", 409,
        "`init` of the module's new component did not return ok. The old component continues.",
        "The module refuses its configuration, or a capability that it asks fails.",
        "Read the reason in the error and in the log, correct the module, and repeat `nexum module reload MODULE`";
    ModuleDead: "module-dead", 409,
        "The module is dead.",
        "The module failed too often in a row.",
        "Find the reason with `nexum status`, and resume the module with `nexum module restart MODULE`";
    ModuleDisabled: "module-disabled", 409,
        "The configuration disables the module.",
        "Its [[modules]] table has `enabled = false`.",
        "Set `enabled = true` in engine.toml, check it, and restart the daemon: `nexum check`";
    ModuleElsewhere: "module-elsewhere", 409,
        "This node does not run the module.",
        "Another node of the installation runs the module, or none does yet.",
        "Give the command on the node that runs the module, or move the module here with `nexum cluster move MODULE NODE`";
    ModuleExists: "module-exists", 409,
        "A module of this name runs already.",
        "The module was loaded before, or two components have one name.",
        "Replace it with `nexum module reload MODULE`, or load the new one under another name with `nexum module load FILE --name NAME`";
    ModuleHasNoEvents: "module-has-no-events", 409,
        "The module answers queries and handles no events, so that it has no runner.",
        "The command is for modules with subscriptions.",
        "See the subscriptions of each module with `nexum module list`";
    ModuleLoading: "module-loading", 503,
        "nexum is loading the module.",
        "Its component is being compiled, or its first `init` has not returned.",
        "Retry when another stage than `loading` is shown by `nexum status`";
    ModuleNotFound: "module-not-found", 404,
        "No module of this name is loaded.",
        "The name is misspelt, or the module was removed or refused.",
        "List the modules with `nexum module list`";
    ModuleNotRunning: "module-not-running", 409,
        "The module does not handle events now.",
        "The module is dead or stopped, or waits for a chain or for the state store.",
        "See its stage and the reason with `nexum status`, then use `nexum module start MODULE` or `nexum module restart MODULE`";
    ModuleRefused: "module-refused", 422,
        "nexum refuses the files of the module.",
        "The component or the manifest has an error, or requests more than the operator permits.",
        "Correct the files, and check them with `nexum check FILE`";
    ModuleRemoved: "module-removed", 409,
        "The module was removed before the command took effect.",
        "Another command removed the module, or the daemon stops.",
        "List the modules with `nexum module list`";
    ModuleRenamed: "module-renamed", 409,
        "The module's files now have another name.",
        "The manifest was changed, or the file belongs to another module.",
        "Each name has its own state: remove the old module with `nexum module remove MODULE`, then use `nexum module load FILE`";
    ModuleUnwanted: "module-unwanted", 409,
        "An operator removed the module, and nexum does not load it until it is loaded again.",
        "`nexum module remove` survives a restart.",
        "Find its file with `nexum module list`, and load it with `nexum module load FILE`";

    // State.
    KeyNotFound: "key-not-found", 404,
        "The module's state has no such key.",
        "The key is misspelt, or the module has not written it.",
        "List the module's keys with `nexum state scan MODULE`";
    ModuleLoaded: "module-loaded", 409,
        "The command changes the state of a module that is loaded.",
        "A loaded module would write into the state meanwhile.",
        "Remove the module first: `nexum module remove MODULE`";
    StateInUse: "state-in-use", 409,
        "The store cannot be compacted while the daemon uses it.",
        "Compaction needs the store for itself.",
        "Stop the daemon, then run `nexum state compact`";
    LedgerUnavailable: "ledger-unavailable", 503,
        "The event ledger cannot be read.",
        "The configuration switches it off, or its folder in the state directory fails.",
        "Look at `[ledger]` in the configuration, and at the disk: `nexum health`";
    StateNotFound: "state-not-found", 404,
        "The store has no state of a module of this name.",
        "The name is misspelt, or the module has never run.",
        "List the modules with state: `nexum state list`";
    StateTaskFailed: "state-task-failed", 409,
        "The task on the state failed, for the reason in the error.",
        "The input is no export, a value does not have the requested format, or a file cannot be written.",
        "Correct the reason in the error, and look at the state with `nexum state verify`";
    StoreUnavailable: "store-unavailable", 503,
        "The state store cannot be read or written.",
        "The disk is full or fails.",
        "Free space on the disk of the state directory; the modules then continue by themselves: `nexum status`";

    // Queries and calls of functions.
    AnswerTooLarge: "answer-too-large", 500,
        "The module's answer is larger than nexum forwards.",
        "The module returns more than a client may get at once.",
        "Ask for less, or see the module's functions with `nexum query MODULE --list`";
    CallerUnknown: "caller-unknown", 500,
        "The system does not say who calls the function.",
        "The connection has no address and no user.",
        "Call the function with `nexum query MODULE FUNCTION`";
    DeadlineExceeded: "deadline-exceeded", 504,
        "The module did not answer within its deadline.",
        "The call takes long, or an endpoint that the module asks is slow.",
        "See the deadline `event_deadline_ms` and its use with `nexum limits MODULE`";
    FunctionChanged: "function-changed", 409,
        "A reload changed the function before the call began.",
        "The module was reloaded.",
        "Call again, with the types that are printed by `nexum query MODULE --list`";
    FunctionNotFound: "function-not-found", 404,
        "The module has no function of this name.",
        "The name is misspelt, or the module has no functions.",
        "List the functions with `nexum query MODULE --list`";
    FunctionReadOnly: "function-read-only", 403,
        "The function may change the module's state, and this client may only read it.",
        "The query port has no authentication, and `[query] writeable` is not set.",
        "Call the function on the daemon's machine with `nexum query MODULE FUNCTION`";
    InvalidArguments: "invalid-arguments", 400,
        "The arguments do not fit the parameters of the function.",
        "An argument is missing, or has another type.",
        "Compare the arguments with the types that are printed by `nexum query MODULE --list`";
    InvalidResult: "invalid-result", 500,
        "The function's result does not have the type that the module lists.",
        "The module has a fault.",
        "Report the fault to the module's author, with the type that is printed by `nexum query MODULE --list`";
    LimitExceeded: "limit-exceeded", 500,
        "The module exceeded a limit during the call.",
        "The call needs more than the operator permits.",
        "See the limits and their use with `nexum limits MODULE`";
    ModuleReturnedError: "module-returned-error", 422,
        "The module returned an error of its own, which `host_error` has.",
        "The module refuses the question, or a capability that it asks fails.",
        "Correct the question; see the functions with `nexum query MODULE --list`";
    ModuleStartFailed: "module-start-failed", 500,
        "No instance of the module starts.",
        "`init` fails or exceeds a limit. The log has the reason.",
        "Correct the module, and replace it with `nexum module reload MODULE`";
    ModuleSuspended: "module-suspended", 503,
        "nexum refuses the calls of the module for now, because it failed too often.",
        "The module trapped or exceeded a limit in too many calls in a row.",
        "See the reason and the end of the suspension with `nexum status`";
    ModuleTrapped: "module-trapped", 500,
        "The module trapped.",
        "The module has a fault. The log has the trap, with the number of the request.",
        "Report the trap to the module's author; see the module with `nexum status`";
    NoEvaluate: "no-evaluate", 404,
        "The module has functions, and does not answer questions in bytes.",
        "The request names no function.",
        "Name a function of `nexum query MODULE --list`";
    QueryFailed: "query-failed", 503,
        "nexum cannot serve the call.",
        "The state store or the system failed. The log has the reason, with the number of the request.",
        "Read the log, and see the module with `nexum status`";
    QueryNotBegun: "query-not-begun", 503,
        "The call did not begin in time.",
        "Other calls or events keep the module busy.",
        "Retry after the time in the header Retry-After; see the waiting calls with `nexum status`";
    QueryOverloaded: "query-overloaded", 429,
        "Too many calls wait for the module.",
        "Clients ask faster than the module answers.",
        "Retry after the time in the header Retry-After; see the waiting calls with `nexum status`";
    QueryUnsupported: "query-unsupported", 404,
        "The module handles events and answers no queries.",
        "The component exports neither `evaluate` nor `invoke`.",
        "See what each module does with `nexum module list`";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_a_word_of_its_own_and_a_remedy_that_ends_with_a_command() {
        for (index, code) in ErrorCode::ALL.iter().enumerate() {
            let About {
                word,
                status,
                meaning,
                cause,
                remedy,
            } = code.about();
            assert_eq!(ErrorCode::of(word), Some(*code));
            assert!(
                ErrorCode::ALL[..index].iter().all(|other| other.word() != word),
                "{word}"
            );
            assert!(
                word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'),
                "{word}"
            );
            assert!((400..600).contains(&status), "{word}");
            assert!(meaning.ends_with('.') && cause.ends_with('.'), "{word}");
            let command = remedy.strip_suffix('`').and_then(|rest| rest.rsplit_once('`'));
            assert!(
                command.is_some_and(|(_, command)| command.starts_with("nexum ")),
                "{word}: {remedy}"
            );
            assert!(!remedy.contains('\n'), "{word}");
        }
        assert_eq!(ErrorCode::of("no-such-code"), None);
    }
}
