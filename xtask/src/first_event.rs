//! `cargo xtask first-event`: the time that a new author needs from an empty directory to the first event
//! that their module handles, and then from a saved change to the reloaded module.
//!
//! The author has a Rust toolchain, a compiler for guests and anvil, and an empty home directory: cargo
//! downloads and compiles every dependency. They type three commands: `nexum new`, `cd` and `nexum dev`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::{
    anvil, cache,
    nexum::{self, Nexum},
    paths,
    process::{self, seconds},
    toolchain,
};

/// The name of the project.
const NAME: &str = "gas-watch";

/// The text of the module's log record for a block. A change replaces it.
const RECORD: &str = "gas costs";

/// The line of `nexum dev` after a reload.
const RELOADED: &str = "reloaded ";

/// The number of changes. The first one compiles more than the others: cargo then has incremental
/// results.
const CHANGES: usize = 6;

/// The time for one step: a cold build of the dependencies takes minutes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(900);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The nexum to measure. The default is a release build of this checkout.
    #[arg(long, value_name = "FILE")]
    nexum: Option<PathBuf>,
}

/// The times of a new author.
pub(crate) struct Times {
    /// The machine's load before the first command, and after the first event.
    loads: [String; 2],
    /// `nexum new`.
    made: Duration,
    /// All commands, to the first event.
    pub(crate) first_event: Duration,
    /// Each change, from its save to the reload.
    pub(crate) reloads: Vec<Duration>,
}

/// Measures and prints the times of a new author.
pub(crate) fn run(options: &Options) -> Result<()> {
    process::end_in_order()?;
    let times = measure(options.nexum.as_deref())?;
    let Times {
        loads: [before, after],
        made,
        first_event,
        reloads,
    } = &times;
    println!("load before and after the first event: {before}, {after}");
    println!("{:<32}{:>8}", "nexum new", seconds(*made));
    println!(
        "{:<32}{:>8}",
        "nexum dev, to the first event",
        seconds(*first_event - *made)
    );
    println!("{:<32}{:>8}", "all", seconds(*first_event));
    println!("from a saved change to the reloaded module:");
    for reload in reloads {
        println!("{:<32}{:>8}", "", seconds(*reload));
    }
    Ok(())
}

/// Runs the commands of a new author with this nexum, by default a release build of this checkout.
pub(crate) fn measure(program: Option<&Path>) -> Result<Times> {
    toolchain::ensure()?;
    let program = match program {
        Some(program) => fs::canonicalize(program).with_context(|| format!("cannot open {}", program.display()))?,
        None => nexum::build(true)?.join("nexum"),
    };
    let author = Author::new(program)?;
    let project = author.home.path().join(NAME);

    let load_before = load()?;
    let begin = Instant::now();
    let mut new = author.command("new", author.home.path())?;
    new.arg(NAME)
        .arg("--sdk-path")
        .arg(paths::root().join("crates/nexum-sdk"));
    process::output(&mut new)?;
    let made = begin.elapsed();
    let mut develop = author.develop(&project)?;
    author.wait(&mut develop, |seen| seen.lines_with(RECORD) > 0)?;
    let first_event = begin.elapsed();
    let loads = [load_before, load()?];

    let reloads = (0..CHANGES)
        .map(|number| author.change(&project, &mut develop, number))
        .collect::<Result<_>>()?;
    develop.stop()?;
    Ok(Times {
        loads,
        made,
        first_event,
        reloads,
    })
}

/// A user with an empty home directory.
struct Author {
    home: tempfile::TempDir,
    program: PathBuf,
}

impl Author {
    fn new(program: PathBuf) -> Result<Self> {
        Ok(Self {
            home: tempfile::tempdir()?,
            program,
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
            .env("NEXUM_CACHE_DIR", cache::cache()?.root())
            .env(anvil::VARIABLE, anvil::ensure()?);
        Ok(command)
    }

    /// Starts `nexum dev` with a block in each second.
    fn develop(&self, project: &Path) -> Result<Nexum<Lines>> {
        let mut dev = self.command("dev", project)?;
        dev.args(["--blocks-every", "1"]);
        Nexum::of(&mut dev, &self.log())
    }

    /// Saves a change, and waits until the changed module handles a block. Returns the time from the
    /// change to the reload.
    fn change(&self, project: &Path, develop: &mut Nexum<Lines>, number: usize) -> Result<Duration> {
        let path = project.join("src/lib.rs");
        let (before, after) = (record(number), record(number + 1));
        let text = fs::read_to_string(&path)?;
        ensure!(text.contains(&before), "the template has no text {before:?}");
        let reloads = develop.seen().lines_with(RELOADED);
        let begin = Instant::now();
        fs::write(&path, text.replace(&before, &after))?;
        self.wait(develop, |seen| seen.lines_with(RELOADED) > reloads)?;
        let reloaded = begin.elapsed();
        self.wait(develop, |seen| seen.lines_with(&after) > 0)?;
        Ok(reloaded)
    }

    fn wait(&self, develop: &mut Nexum<Lines>, says: impl Fn(&Lines) -> bool) -> Result<()> {
        let has_said = develop.wait_until(says, PATIENCE)?;
        ensure!(
            has_said,
            "`nexum dev` ended, or took longer than {} s: {}",
            PATIENCE.as_secs(),
            fs::read_to_string(self.log())?
        );
        Ok(())
    }

    fn log(&self) -> PathBuf {
        self.home.path().join("log")
    }
}

/// The text of the module's log record after this many changes.
fn record(changes: usize) -> String {
    match changes {
        0 => RECORD.to_owned(),
        changes => format!("gas is at ({changes})"),
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

/// The lines that `nexum dev` printed.
#[derive(Default)]
struct Lines(Vec<String>);

impl Lines {
    fn lines_with(&self, text: &str) -> usize {
        self.0.iter().filter(|line| line.contains(text)).count()
    }
}

impl nexum::Listener for Lines {
    fn note(&mut self, line: &str) {
        self.0.push(line.to_owned());
    }

    fn check(&self) -> Result<()> {
        Ok(())
    }
}
