//! The examples and notes at the end of the help of each command. A line has at most 80 columns.

pub(super) const RUN: &str = "\
Examples:
  nexum run                            run the modules of ./engine.toml
  nexum run --config /etc/nexum.toml   run the modules of another file
  nexum run my_module.wasm             run this module, with ./engine.toml
  nexum run my_module.wasm my.toml     with this manifest
  nexum run --watch my_module.wasm     and reload it after each build

If nexum refuses a module, the other modules still run, unless you give
`--strict`.

`nexum status` shows the running modules, and `nexum module` changes them.

Without --config, every command reads the file that NEXUM_CONFIG names, or else
./engine.toml, or else /etc/nexum/engine.toml. NEXUM_LOG overrides the level of
the log.

Exit codes: 0 stopped, 1 failed while running, 2 refused to start.";

pub(super) const CHECK: &str = "\
Examples:
  nexum check                         check ./engine.toml and its modules
  nexum check --format json my.wasm   check one module, and print JSON
  nexum check tool.wasm               check a command for `nexum exec`
  nexum check --online                and look at the database, the endpoints
                                      and the clock

Each error is a line on stderr. One check finds all of them. nexum calls no
function of a module except `list-functions`, in a sandbox.

Exit codes: 0 no errors, 1 `--online` found a failure, 2 `nexum run` or
`nexum exec` would refuse something.";

#[cfg(feature = "runtime")]
pub(super) const DOCTOR: &str = "\
Examples:
  nexum doctor                                   look at ./engine.toml
  nexum doctor --config /etc/nexum/engine.toml   look at another file
  nexum doctor --format json                     print JSON

Each finding is ok, warning, failure or unknown, and has a remedy if there is
one. Run the command as the user that runs nexum, with a daemon or without.
nexum calls no module and leaves no file.

Exit codes: 0 no failures, 1 a failure, 2 the configuration cannot be read.";

#[cfg(feature = "runtime")]
pub(super) const TRY: &str = "\
Examples:
  nexum try new.wasm --block 21000000
                              with an empty state
  nexum try new.wasm --block 21000000 --module watch
                              with the state and the rules of the module watch
  nexum try new.wasm --block 21000000 --effects assume-ok
                              go on after each effect

nexum pins reads of the chain to the block, sends no effect, signs nothing, and
drops all writes. docs/replay.md says which reads are those of today.

Exit codes: 0 the events are handled, 1 an event failed, 2 refused to start.";

#[cfg(feature = "runtime")]
pub(super) const REPLAY: &str = "\
Examples:
  nexum replay watch --blocks 21000000..21000999
                              compare with the state that the module has
  nexum replay watch --blocks 21000000..21000999 --with new.wasm
                              compare the writes and effects of two versions

Both versions start with one state, and get one answer to each read that both
make. The range includes the last block.

Exit codes: 0 equal, 1 something differs or failed, 2 refused to start.";

#[cfg(feature = "runtime")]
pub(super) const SUPPORT_BUNDLE: &str = "\
Examples:
  nexum support-bundle                 write nexum-support-TIME.tar.gz
  nexum support-bundle report.tar.gz   write another file

nexum masks the contents of variables, URLs beyond scheme, host and port, HTTP
headers, and the values of [modules.config]. Read the files before you send
them.

Exit codes: 0 written, 2 refused.";

#[cfg(feature = "author")]
pub(super) const NEW: &str = "\
Examples:
  nexum new gas-watch                       a module in Rust that handles blocks
  nexum new my-token --template event       handles an event of contracts
  nexum new vault --abi out/Vault.json      with the ABI of a contract
  nexum new watch --lang python             in another language

The project has a test and an engine.toml for a local chain. nexum never
overwrites a file.

Exit codes: 0 created, 2 refused.";

#[cfg(feature = "author")]
pub(super) const BUILD: &str = "\
Examples:
  nexum build                    build the module in this directory
  nexum build modules/watch      build another one
  nexum build --make-toolchain   and make a Rust compiler first, on Debian

The files Cargo.toml, package.json, requirements.txt or src/module.c decide the
language. nexum writes build/NAME.wasm and build/nexum.toml: nexum.toml with
the subscriptions and capabilities of the code, and the component's digest.

NEXUM_GUEST_RUSTC names the Rust compiler. Without it, nexum uses the active one
if it has the target wasm32-unknown-unknown, or else one that --make-toolchain
has made.

Exit codes: 0 built, 1 a compiler failed, 2 refused, 130 interrupted.";

#[cfg(all(feature = "author", feature = "runtime"))]
pub(super) const DEV: &str = "\
Examples:
  nexum dev                       the project in this directory
  nexum dev --blocks-every 2      with a block every two seconds
  nexum dev --fork https://...    on a fork of another chain
  nexum dev --rpc ws://...:8545   on a node that runs already

nexum builds the module after each change of a source file, and replaces the
running one. It shows the module's log and its events. After a failed build,
the last version keeps running.

Commands, each as a line on stdin, such as `m` and Enter:
  m, mine [BLOCKS]   mine a block, or this many
  e, event           send a sample event for each log subscription
  log ADDRESS TOPICS [DATA]
                     send a log: 0x.., topics with commas between them, 0x..
  s, state           show the module's keys and values
  i, status          show stage, handled and failed events
  d, retry           retry all dead letters
  r, reload          build and reload, without a change
  n, new             start new local chains, with a new state
  h, help            show this list
  q, quit            end

Exit codes: 0 ended, 2 refused to start.";

#[cfg(all(feature = "author", feature = "runtime"))]
pub(super) const TEST: &str = "\
Examples:
  nexum test                  the native tests
  nexum test -- --nocapture   with arguments for the test programs
  nexum test --component      and the component, in the runtime

With `--component`, nexum builds the component, starts anvil, and causes blocks,
a sample event for each log subscription, and ticks that are due within ten
seconds. The component fails the test if a handler fails. The native tests
run afterwards, while the component runs. They find it with these variables:
  NEXUM_TEST_CONFIG    the configuration for `nexum status` and the others
  NEXUM_TEST_PROGRAM   the path of nexum
  NEXUM_TEST_RPC       the HTTP endpoint of the first chain

Exit codes: 0 passed, 1 failed, 2 refused to start.";

pub(super) const EXEC: &str = "\
Examples:
  nexum exec tool.wasm -- --verbose input.txt         with two arguments
  nexum exec --dir ./data::/data:ro package           with a directory to read
  nexum exec --allow-net node.example:443 tool.wasm   with one destination

nexum prints READY and notifies systemd, and then starts the command.

Exit codes: the command's own; 2 refused to start, 3 trapped or exceeded a
limit, 130 and 143 ended by SIGINT and SIGTERM.";

pub(super) const INSPECT: &str = "\
Examples:
  nexum inspect target/my_module.wasm
  nexum inspect tool.wasm               a command for `nexum exec`";

pub(super) const STATE: &str = "\
Examples:
  nexum state list                           all modules, with size and cursors
  nexum state get my-module balance --utf8   one value
  nexum state export my-module copy.jsonl    all state, for `nexum state import`
  nexum state export-accounts accounts.jsonl nonces, transactions and limits

While a daemon runs, it carries out these commands. Before some, you do a step:
  compact, restore   stop the daemon
  purge, import      remove the module from the daemon

Exit codes: 0 done, 1 failed or found faults, 2 refused.";

pub(super) const STATUS: &str = "\
Examples:
  nexum status                 all modules
  nexum status my-module       everything about one module
  nexum status --watch         again every two seconds

AT is the last block that the module has handled, HEAD the newest block of the
chain, BEHIND the blocks in between, and LAG the difference of their times.
FAIL/H is the number of failed calls in the last hour, and DEAD the number of
dead letters. `-` is unknown. NODE is the node of an installation that runs the
module: `nexum cluster status`.

Exit codes: 0 all well, 1 something needs you, 2 refused.";

pub(super) const CHAINS: &str = "\
HEAD is the newest block that nexum has read, HEAD AGE the time since the
block's timestamp, and SEEN when nexum read it. FAILOVERS counts the changes of
the endpoint over which nexum follows the chain, and the requests that went to
another endpoint. P50 and P99 are latencies, ERRORS is the share of failed
requests in the last minutes, and BUDGET the requests that nexum can send now.
`-` is unknown.

A terminal narrower than 120 columns has some values below the tables.

Exit codes: 0 all well, 1 a chain or an endpoint has trouble, 2 refused.";

pub(super) const EXPLAIN: &str = "\
Examples:
  nexum explain my-module                what it did with its last event
  nexum explain my-module@19000000       what it did at a block, or why nothing
  nexum explain 1:19000000:block         what all modules did with an event

The command asks the running daemon. Without one, it reads the event ledger in
the state directory, and cannot say why something did not happen.

Exit codes: 0 the event was handled, 1 it was not, 2 refused.";

pub(super) const HEALTH: &str = "\
Examples:
  nexum health                              everything that should run runs
  nexum health --behind 50 --head-age 60s   and nothing is late
  nexum health --format nagios              for a monitoring system

Exit codes: 0 healthy, 1 a problem, 2 refused or no daemon. With --format
nagios: 0 OK, 2 CRITICAL or no daemon, 3 UNKNOWN: the configuration or the
socket cannot be read.";

pub(super) const LOGS: &str = "\
Examples:
  nexum logs                          the last records of all modules
  nexum logs my-module -f             the records about a module, as they arrive
  nexum logs --level warn --since 2h  warnings and errors of the last two hours
  nexum logs my-module --event 1:17:block --level debug

The daemon keeps the last records of each module in memory, at least those of
the level INFO about its own work, and those that its log level shows.
`nexum log-level` changes the level. With `-f`, the command waits while the
daemon restarts. A line that begins with `--` says what is lost.

Exit codes: 0 done, 2 refused.";

pub(super) const EVENTS: &str = "\
Examples:
  nexum events                 the last failures, stages, outages and commands
  nexum events my-module -f    each event that a module handles

Exit codes: 0 done, 2 refused.";

pub(super) const LOG_LEVEL: &str = "\
Examples:
  nexum log-level                           show the level, and its origin
  nexum log-level debug                     set it until the daemon restarts
  nexum log-level info,nexum::module=debug  with the details of modules
  nexum log-level --reset                   return to the configured level

Exit codes: 0 done, 2 refused.";

pub(super) const NOTIFY: &str = "\
Example:
  nexum notify test   send a message to the webhook and the command of [notify]

Exit codes: 0 the message arrived, 1 it did not arrive, 2 refused.";

pub(super) const MODULE: &str = "\
Examples:
  nexum module load target/my_module.wasm   add a module
  nexum module reload my-module             replace it after a new build
  nexum module restart my-module            resume a dead module

Exit codes: 0 done, 2 refused.";

pub(super) const QUERY: &str = "\
Examples:
  nexum query my-module --list                         list the functions
  nexum query my-module price --args '{\"token\": \"A\"}'  call one
  nexum query my-module price --args '[\"A\"]'           by position
  nexum query my-module --input 'how much?'            send text
  nexum query my-module --input-hex 0x00ff             send bytes
  nexum query my-module --input-file - --format json   send stdin

Exit codes: 0 answered, 1 the module did not answer, 2 nexum did not ask the
module.";

pub(super) const DEAD_LETTER: &str = "\
Examples:
  nexum dead-letter list my-module              list the module's dead letters
  nexum dead-letter show my-module 1:17:block   show one: chain 1, block 17
  nexum dead-letter retry my-module --all       retry all of them

Exit codes: 0 done, 1 failed for some events, 2 refused.";

pub(super) const EFFECT: &str = "\
Examples:
  nexum effect list --unknown                 effects of which nexum does not
                                              know whether they happened
  nexum effect show my-module 1:17:block 1    the first effect of block 17
  nexum effect resolve my-module 1:17:block 1 --as done
                                              the receiver has the request

After `resolve`, retry the event if it is a dead letter: `nexum dead-letter
retry`. With `--as not-sent`, nexum sends the request again.

A terminal narrower than 120 columns has no receivers and no times in the list.

Exit codes: 0 done, 2 refused.";

pub(super) const RELOAD: &str = "\
Examples:
  nexum reload --dry-run   show what would change
  nexum reload             change it

nexum reads the configuration again, and checks everything as `nexum check`
does. Then it changes the modules, their configuration, limits, endpoints and
the level of the log, or nothing. A key that needs a restart refuses the whole
reload. Modules whose files have changed are reloaded too. Modules that you
loaded, stopped or removed with `nexum module` stay so.

SIGHUP does this too, and the log has the outcome.

Exit codes: 0 done, 2 refused: nothing was changed.";

pub(super) const ERRORS: &str = "\
Examples:
  nexum errors                    list all codes
  nexum errors module-not-found   meaning, usual cause, and what to do";

pub(super) const COMPLETIONS: &str = "\
Examples:
  source <(nexum completions bash)                      in ~/.bashrc
  source <(nexum completions zsh)                       in ~/.zshrc
  nexum completions fish | source                       in config.fish
  nexum completions bash > /etc/bash_completion.d/nexum

The script runs nexum for the names of modules: those of the running daemon, or
else those of the configuration.";

pub(super) const MAN: &str = "\
Examples:
  nexum man | man -l -                  show the page of nexum
  nexum man /usr/local/share/man/man1   write a page for each command

Exit codes: 0 written, 2 refused.";

#[cfg(feature = "identity")]
pub(super) const ACCOUNT: &str = "\
Examples:
  nexum account list                 the accounts, and what modules may sign
  nexum account show treasury        next nonces, and the use of the limits
  nexum account pending              transactions in no settled block, and why
  nexum account sync treasury --reason 'moved funds'

`sync` ends a halt: nexum stops sending from an account when another program
uses its key. Look at the account first. The next nonce never becomes lower.

No command opens a key. Only `sync` needs the running daemon.

Exit codes: 0 done, 1 `show` found a halted account, 2 refused.";

#[cfg(feature = "top")]
pub(super) const TOP: &str = "\
Examples:
  nexum top                            the daemon of ./engine.toml
  nexum top --config /etc/nexum.toml   the daemon of another file

The screen says what needs you, with the command to copy. The key ? lists the
keys, and q leaves. NO_COLOR turns the colours off. Without a terminal, use
`nexum status`.

Exit codes: 0 you left or the command got SIGTERM, 2 no daemon answered, or
this is no terminal.";

#[cfg(feature = "store-postgres")]
pub(super) const CLUSTER: &str = "\
Examples:
  nexum cluster init               create the tables, and replace the functions
  nexum cluster status             the nodes, and the node of each module
  nexum cluster drain node-a       give its modules to other nodes
  nexum cluster move keeper node-b run a module on this node
  nexum cluster history keeper     when and why the module moved

The commands read and change the database of [store], and need no daemon.

Exit codes: 0 done, 1 `status` found a problem, 2 refused.";
