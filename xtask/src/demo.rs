//! `cargo xtask demo`: nexum and two modules on a local node with traffic.

pub(crate) mod cluster;
pub(crate) mod cow;
mod log;
mod progress;
mod traffic;

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use self::{log::Line, progress::Progress, traffic::Traffic};
use crate::{
    anvil::{self, Anvil, CHAIN_ID},
    guests, paths, process,
};

/// The modules of the demo.
const MODULES: [&str; 2] = ["block-logger", "balance-watch"];

/// The longest time without a handled block before the demo fails. A block takes one second.
const PATIENCE: Duration = Duration::from_secs(60);

/// The time that nexum may take to stop: twice the default deadline of an event, ten seconds.
const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// The interval between checks for nexum's exit while it prints nothing.
const STOP_POLL: Duration = Duration::from_millis(50);

/// The most lines that wait for printing. A full queue makes nexum wait for the terminal.
const LINES_QUEUED_MAX: usize = 1_024;

/// Runs until Ctrl-C, or until each module has handled `blocks` blocks.
pub(crate) fn run(blocks: Option<u64>) -> Result<()> {
    let (sender, receiver) = sync_channel(LINES_QUEUED_MAX);
    let interrupt = sender.clone();
    ctrlc::set_handler(move || {
        // If the queue is full or closed, the demo is printing or ending; the user can press Ctrl-C
        // again.
        let _ = interrupt.try_send(Message::Interrupted);
    })?;

    process::step("build nexum", || {
        process::run(Command::new("cargo").args(["build", "--package", "nexum-cli"]))
    })?;
    process::step("build the modules", || guests::build(&MODULES.map(String::from)))?;
    let anvil = process::step("start anvil", || anvil::start(&["--block-time", "1"]))?;
    let traffic = process::step("deploy a token", || Traffic::deploy(&anvil.http_url()))?;

    let directory = tempfile::tempdir()?;
    let config = directory.path().join("engine.toml");
    fs::write(&config, engine_toml(&anvil, &traffic, directory.path()))?;
    let _running = traffic.start();
    let mut nexum = Nexum::start(&config, &sender)?;
    drop(sender);

    let mut progress = Progress::new(&MODULES, blocks);
    follow(&receiver, &mut progress)?;
    let status = nexum.stop(&receiver)?;
    ensure!(status.success(), "nexum exited with {status}");
    ensure!(
        blocks.is_none() || progress.is_complete(),
        "interrupted; so far {progress}"
    );
    println!("{progress}");
    Ok(())
}

/// A message to the thread that prints.
#[derive(Debug)]
enum Message {
    Line(String),
    /// One of nexum's two output streams ended.
    Ended,
    Interrupted,
}

impl Message {
    fn print(&self) {
        if let Self::Line(line) = self {
            Line::parse(line).print();
        }
    }
}

/// Prints nexum's output until the goal, an interrupt or an error.
fn follow(receiver: &Receiver<Message>, progress: &mut Progress) -> Result<()> {
    let mut deadline = Instant::now() + PATIENCE;
    let mut outputs_open = 2;
    loop {
        match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(Message::Interrupted) => return Ok(()),
            Ok(Message::Ended) => {
                outputs_open -= 1;
                ensure!(outputs_open > 0, "nexum exited early");
            }
            Ok(Message::Line(line)) => {
                let line = Line::parse(&line);
                line.print();
                if progress.note(&line) {
                    deadline = Instant::now() + PATIENCE;
                }
                if progress.is_complete() {
                    return Ok(());
                }
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                bail!(
                    "no module handled a block for {} s; so far: {progress}",
                    PATIENCE.as_secs()
                )
            }
        }
    }
}

/// The configuration, as an operator would write it.
fn engine_toml(anvil: &Anvil, traffic: &Traffic, directory: &Path) -> String {
    let quote = |text: &str| toml_edit::Value::from(text).to_string();
    let path = |name: &str| {
        quote(
            &paths::built_modules()
                .join(name)
                .join(format!("{name}.wasm"))
                .to_string_lossy(),
        )
    };
    let [block_logger, balance_watch] = MODULES.map(path);
    format!(
        "[engine]\n\
         state_dir = {state}\n\
         log_level = \"info,nexum::event=debug\"\n\
         log_format = \"json\"\n\n\
         [chains.{CHAIN_ID}]\n\
         rpc_url = {url}\n\n\
         [[modules]]\n\
         path = {block_logger}\n\n\
         [[modules]]\n\
         path = {balance_watch}\n\n\
         [modules.config]\n\
         token = {token}\n\
         accounts = {accounts}\n",
        state = quote(&directory.join("data").to_string_lossy()),
        url = quote(&anvil.ws_url()),
        token = quote(traffic.token()),
        accounts = quote(&traffic.accounts().join(",")),
    )
}

/// A running nexum process. Dropping the value kills it.
struct Nexum(Child);

impl Nexum {
    fn start(config: &Path, sender: &SyncSender<Message>) -> Result<Self> {
        let mut command = Command::new(paths::root().join("target/debug/nexum"));
        command.args(["run", "--config"]).arg(config);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start `{}`", process::line(&command)))?;
        forward(child.stdout.take().context("nexum has no stdout")?, sender.clone());
        forward(child.stderr.take().context("nexum has no stderr")?, sender.clone());
        Ok(Self(child))
    }

    /// Stops nexum with SIGTERM, as an operator does, and prints its output until it exits.
    fn stop(&mut self, receiver: &Receiver<Message>) -> Result<ExitStatus> {
        // nexum may have exited already: Ctrl-C in a terminal sends it a signal too.
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let deadline = Instant::now() + STOP_PATIENCE;
        while Instant::now() < deadline {
            if let Ok(message) = receiver.recv_timeout(STOP_POLL) {
                message.print();
            } else if let Some(status) = self.0.try_wait()? {
                return Ok(status);
            }
        }
        bail!("nexum did not stop within {} s", STOP_PATIENCE.as_secs())
    }
}

impl Drop for Nexum {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends each line of one output stream, then [`Message::Ended`].
fn forward(output: impl Read + Send + 'static, sender: SyncSender<Message>) {
    thread::spawn(move || {
        let lines = BufReader::new(output).lines().map_while(Result::ok).map(Message::Line);
        // After the demo ends, the queue has no receiver.
        let _ = lines
            .chain([Message::Ended])
            .try_for_each(|message| sender.send(message));
    });
}
