//! `cargo xtask soak`: thirty modules in one real nexum on a fast chain, ten of which misbehave in every way that the fixtures can.
//!
//! First the good ones run alone, then all of them. Meanwhile an operator reloads good modules and restarts dead ones. In the end
//! every good module must have been told of every block exactly once, its latency must not be much worse for the company, and
//! the process must not have grown.

mod figures;
mod modules;
mod seen;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, anyhow, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use self::{figures::Figures, modules::BAD, seen::Seen};
use crate::{
    anvil::Anvil,
    guests,
    nexum::{self, Listener as _, Nexum},
    paths,
    process::{self, pause},
    rpc::Rpc,
};

/// How long it runs unless the caller says otherwise: long enough to see whether the process grows.
const MINUTES: f64 = 2.0;

/// How often a block is mined: five a second, more than any chain that nexum is meant for.
const BLOCK_EVERY: Duration = Duration::from_millis(200);

/// How much of the time the good ones are alone.
const ALONE: f64 = 0.25;

/// How often the operator does something: reloads a good module, and restarts what is dead.
const STEER_EVERY: Duration = Duration::from_secs(5);

/// How long the good modules may take to catch up with a chain that stands still: many times what they need.
const PATIENCE: Duration = Duration::from_secs(60);

/// What to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// For how long.
    #[arg(long, value_name = "N", default_value_t = MINUTES)]
    pub(crate) minutes: f64,
    /// Run the release build, and judge the latency, too.
    #[arg(long)]
    pub(crate) release: bool,
}

/// Runs for the time that is asked for. Fails when a good module missed something or got something twice, when the process has grown,
/// or when the latency of good modules in a release build is more than twice what it was alone.
pub(crate) fn run(options: &Options) -> Result<()> {
    process::end_in_order()?;
    let programs = process::step("build nexum", || nexum::build(options.release))?;
    process::step("build the modules", || guests::build(&modules::guests()))?;
    let site = Site::new(programs)?;
    // Or what was just built is written meanwhile, and commits wait for it.
    process::run(&mut Command::new("sync"))?;
    let time = Duration::from_secs_f64(options.minutes * 60.0);
    let alone = process::step("the good ones alone", || site.soak(time.mul_f64(ALONE), false))?;
    let together = process::step("all of them", || site.soak(time.mul_f64(1.0 - ALONE), true))?;
    println!("\n{}", figures::table(&alone, &together));
    let judge = || {
        // What a build without optimisation takes, and on a machine that does other things, says nothing of the release.
        if options.release {
            figures::judge_latency(&alone, &together)?;
        }
        figures::judge_memory(&together)
    };
    judge().with_context(|| format!("the log is in {}", site.directory.display()))?;
    site.remove()
}

/// A directory with all that a run needs, and what it leaves.
struct Site {
    directory: PathBuf,
    programs: PathBuf,
}

impl Site {
    fn new(programs: PathBuf) -> Result<Self> {
        let directory = paths::root().join("target/soak");
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        fs::create_dir_all(&directory)?;
        Ok(Self { directory, programs })
    }

    fn remove(self) -> Result<()> {
        Ok(fs::remove_dir_all(self.directory)?)
    }

    /// Runs the good modules, with the bad ones or without, on a chain of their own, and holds what they keep against it.
    fn soak(&self, time: Duration, with_bad: bool) -> Result<Figures> {
        let anvil = Anvil::start(&["--no-mining"])?;
        let rpc = Rpc::new(&anvil.http_url());
        let directory = self.directory.join(if with_bad { "together" } else { "alone" });
        let config = modules::write(&directory, &anvil.ws_url(), with_bad)?;
        let log = directory.join("nexum.log");
        let mut nexum = Nexum::<Seen>::start(&self.programs.join("nexum"), &config, &log, &[])?;
        let follows = nexum.wait_until(|seen| seen.follows, PATIENCE)?;
        ensure!(follows, "nexum does not follow the chain");
        let operator = Operator {
            program: self.programs.join("nexum"),
            config,
        };
        let mut figures = Figures::default();
        let is_over = AtomicBool::new(false);
        // The chain does not wait for the operator.
        let mined = thread::scope(|scope| {
            let steering = scope.spawn(|| operator.steer_until(&is_over));
            let mined = mine(&rpc, time, &nexum, &mut figures.memory_kib);
            is_over.store(true, Ordering::Relaxed);
            figures.steered = steering.join().map_err(|_| anyhow!("the operator panicked"))??;
            mined
        })?;
        let last = mined.len() as u64;
        let caught_up = nexum.wait_until(|seen| seen.have_all_handled(last), PATIENCE)?;
        ensure!(
            caught_up,
            "not every good module has handled block {last}: {:?}",
            nexum.seen().behind(last)
        );
        let seen = nexum.stop()?;
        figures.take(&seen, &mined);
        if with_bad {
            for (name, _) in BAD {
                ensure!(seen.failures_of(name) > 0, "{name} does not misbehave");
            }
        }
        figures.compared = self.compare(&rpc, &directory, last)?;
        Ok(figures)
    }

    /// Fails unless each good module's journal is the chain. Returns how many entries there are.
    fn compare(&self, rpc: &Rpc, directory: &Path, last: u64) -> Result<usize> {
        const AT_ONCE: usize = 256;
        let numbers: Vec<u64> = (1..=last).collect();
        let mut expected = Vec::new();
        for numbers in numbers.chunks(AT_ONCE) {
            let params: Vec<Value> = numbers
                .iter()
                .map(|number| json!([format!("{number:#x}"), false]))
                .collect();
            for (number, block) in numbers.iter().zip(rpc.batch("eth_getBlockByNumber", &params)?) {
                let hash = block["hash"].as_str().context("a block without a hash")?;
                expected.push(format!("block {number} {}", hash.trim_start_matches("0x")));
            }
        }
        let names = modules::good();
        let mut read = Command::new(self.programs.join("examples/kept"));
        read.arg("redb").arg(directory.join("state")).args(&names);
        let text = process::output(&mut read)?;
        for name in &names {
            let entries: Vec<String> = text.lines().filter_map(|line| entry(line, name)).collect();
            ensure!(
                entries == expected,
                "{name} has {} entries, of which the first {} are right, and there are {} blocks",
                entries.len(),
                entries
                    .iter()
                    .zip(&expected)
                    .take_while(|(entry, expected)| entry == expected)
                    .count(),
                expected.len()
            );
        }
        Ok(names.len() * expected.len())
    }
}

/// Mines, and looks at the memory after each block. Returns when each was mined, from block 1 on, in microseconds.
fn mine(rpc: &Rpc, time: Duration, nexum: &Nexum<Seen>, memory_kib: &mut Vec<u64>) -> Result<Vec<u64>> {
    let bar = bar(time);
    let begin = Instant::now();
    let mut mined = Vec::new();
    let mut next = begin;
    while begin.elapsed() < time {
        pause(next.saturating_duration_since(Instant::now()))?;
        next += BLOCK_EVERY;
        mined.push(now_us());
        rpc.request("evm_mine", json!([]))?;
        memory_kib.push(memory_of(nexum.id())?);
        let seen = nexum.seen();
        seen.check()?;
        bar.set_position(begin.elapsed().as_secs());
        bar.set_message(seen.brief());
    }
    bar.finish_and_clear();
    Ok(mined)
}

/// A journal's entry in a line of `kept`.
fn entry(line: &str, module: &str) -> Option<String> {
    let fields: Vec<_> = line.split(' ').collect();
    let [name, key, value] = fields[..] else { return None };
    let key = text(key)?;
    (name == module && key != "entries").then(|| text(value)).flatten()
}

/// What these hexadecimal digits spell.
fn text(digits: &str) -> Option<String> {
    let byte = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
    String::from_utf8(bytes?).ok()
}

/// Whoever steers a nexum by its commands.
struct Operator {
    program: PathBuf,
    config: PathBuf,
}

impl Operator {
    /// Steers now and then until it is over. Returns how much that was.
    fn steer_until(&self, is_over: &AtomicBool) -> Result<u64> {
        let mut steered = 0;
        for turn in 0.. {
            let next = Instant::now() + STEER_EVERY;
            while Instant::now() < next && !is_over.load(Ordering::Relaxed) {
                pause(BLOCK_EVERY)?;
            }
            if is_over.load(Ordering::Relaxed) {
                break;
            }
            steered += self.steer(turn)?;
        }
        Ok(steered)
    }

    /// Reloads one of the good modules, and restarts what is dead. Returns how much that was.
    fn steer(&self, turn: usize) -> Result<u64> {
        let good = modules::good();
        self.ask(&["module", "reload", &good[turn % good.len()]])?;
        let modules: Vec<Value> = serde_json::from_str(&self.ask(&["status", "--format", "json"])?)?;
        let mut done = 1;
        for module in modules.iter().filter(|module| module["stage"] == "dead") {
            let name = module["name"].as_str().context("a module without a name")?;
            self.ask(&["module", "restart", name])?;
            done += 1;
        }
        Ok(done)
    }

    fn ask(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.program);
        process::output(command.args(arguments).arg("--config").arg(&self.config))
    }
}

/// The clock that nexum's log is written by.
fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// What a process has in memory, in KiB.
fn memory_of(id: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line
        .and_then(|line| line.split_whitespace().next())
        .context("a process without memory")?;
    Ok(number.parse()?)
}

fn bar(time: Duration) -> ProgressBar {
    let bar = ProgressBar::new(time.as_secs());
    // The template is a constant; were it wrong, there would be another bar.
    let style = ProgressStyle::with_template("{bar:30} {percent:>3}% {msg}, {eta} left");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_journal_keeps() {
        let line = "good-01 30303030303030303030 626c6f636b2031206162";
        assert_eq!(entry(line, "good-01").as_deref(), Some("block 1 ab"));
        assert_eq!(entry(line, "good-02"), None);
        assert_eq!(entry("good-01 656e7472696573 0100000000000000", "good-01"), None);
    }
}
