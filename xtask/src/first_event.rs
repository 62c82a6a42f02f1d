//! `cargo xtask first-event`: the time that a new author needs from an empty directory to the first event
//! that their module handles.
//!
//! The author has a Rust toolchain, a compiler for guests and anvil, and an empty home directory: cargo
//! downloads and compiles every dependency.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::{
    anvil::{self, Anvil},
    cache, nexum, paths,
    process::{self, seconds},
    toolchain,
};

/// The chain of new projects.
const CHAIN_ID: u64 = 31_337;

/// The endpoint of new projects.
const ENDPOINT: &str = "ws://127.0.0.1:8545";

/// The name of the project.
const NAME: &str = "gas-watch";

/// The text of the module's log record for a block.
const RECORD: &str = "gas costs";

/// The time for the first event after the start of nexum: the debug build of nexum takes half a minute to
/// compile a component on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The nexum to measure. The default is a release build of this checkout.
    #[arg(long, value_name = "FILE")]
    nexum: Option<PathBuf>,
}

/// Runs the commands of a new author, and prints the time of each.
pub(crate) fn run(options: &Options) -> Result<()> {
    process::end_in_order()?;
    toolchain::ensure()?;
    let program = match &options.nexum {
        Some(program) => fs::canonicalize(program).with_context(|| format!("cannot open {}", program.display()))?,
        None => nexum::build(true)?.join("nexum"),
    };
    let author = Author::new(program)?;
    let anvil = anvil::start_chain(CHAIN_ID, &["--block-time", "1"])?;
    let project = author.home.path().join(NAME);

    let begin = Instant::now();
    let sdk = paths::root().join("crates/nexum-sdk");
    let mut new = author.command("new", author.home.path())?;
    new.arg(NAME).arg("--sdk-path").arg(sdk);
    let made = timed(|| process::output(&mut new))?;
    let built = timed(|| process::output(&mut author.command("build", &project)?))?;
    use_chain(&project, &anvil)?;
    let handled = timed(|| author.first_event(&project))?;
    let all = begin.elapsed();

    println!("load before and after: {}", author.loads()?);
    for (step, duration) in [
        ("nexum new", made),
        ("nexum build", built),
        ("nexum run, to the first event", handled),
        ("all", all),
    ] {
        println!("{step:<32}{:>8}", seconds(duration));
    }
    Ok(())
}

fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<Duration> {
    let begin = Instant::now();
    work()?;
    Ok(begin.elapsed())
}

/// Names anvil's endpoint in the configuration of the project: a free port instead of the usual one.
fn use_chain(project: &Path, anvil: &Anvil) -> Result<()> {
    let path = project.join("engine.toml");
    let text = fs::read_to_string(&path)?;
    ensure!(text.contains(ENDPOINT), "the template has no endpoint {ENDPOINT}");
    Ok(fs::write(&path, text.replace(ENDPOINT, &anvil.ws_url()))?)
}

/// A user with an empty home directory.
struct Author {
    home: tempfile::TempDir,
    program: PathBuf,
    load_before: String,
}

impl Author {
    fn new(program: PathBuf) -> Result<Self> {
        Ok(Self {
            home: tempfile::tempdir()?,
            program,
            load_before: load()?,
        })
    }

    /// A command of nexum in a directory, with the environment of the author.
    fn command(&self, name: &str, directory: &Path) -> Result<Command> {
        let mut command = Command::new(&self.program);
        command.arg(name).current_dir(directory).env("HOME", self.home.path());
        // The variables of the task's own cargo, and the directories of the developer.
        for (variable, _) in std::env::vars_os() {
            let name = variable.to_string_lossy();
            if name.starts_with("CARGO") || name.starts_with("XDG_") {
                command.env_remove(&variable);
            }
        }
        command.env("CARGO_HOME", self.home.path().join(".cargo"));
        // The toolchain is there already.
        command
            .env("RUSTUP_HOME", rustup_home()?)
            .env("NEXUM_CACHE_DIR", cache::cache()?.root());
        Ok(command)
    }

    /// Runs the module until it has handled an event.
    fn first_event(&self, project: &Path) -> Result<()> {
        let log = self.home.path().join("log");
        let config = project.join("engine.toml");
        let mut nexum = nexum::Nexum::<FirstEvent>::start(&self.program, &config, &log, &[("HOME", self.home.path())])?;
        let handled = nexum.wait_until(|seen| seen.0, PATIENCE)?;
        ensure!(
            handled,
            "no event within {} s: {}",
            PATIENCE.as_secs(),
            fs::read_to_string(&log)?
        );
        nexum.stop()?;
        Ok(())
    }

    fn loads(&self) -> Result<String> {
        Ok(format!("{}, {}", self.load_before, load()?))
    }
}

/// The directory of the installed toolchains.
fn rustup_home() -> Result<PathBuf> {
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".rustup"));
    let directory = std::env::var_os("RUSTUP_HOME").map(PathBuf::from).or_else(home);
    directory.context("there is no HOME")
}

/// The mean number of running tasks of the machine in the last minute.
fn load() -> Result<String> {
    let loads = fs::read_to_string("/proc/loadavg").context("the machine does not say its load")?;
    Ok(loads.split(' ').next().unwrap_or_default().to_owned())
}

/// Whether the module has handled an event.
#[derive(Default)]
struct FirstEvent(bool);

impl nexum::Listener for FirstEvent {
    fn note(&mut self, line: &str) {
        self.0 |= line.contains(RECORD);
    }

    fn check(&self) -> Result<()> {
        Ok(())
    }
}
