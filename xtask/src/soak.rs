//! `cargo xtask soak`: runs thirty modules in one nexum process on a fast chain. Ten of them
//! misbehave, in every way of the fixtures.
//!
//! The good modules run alone first, then beside the bad ones, while an operator reloads good
//! modules and restarts dead ones. Afterwards, the soak checks that:
//!
//! - every good module has handled every block exactly once,
//! - the latency of the good modules is not much higher beside the bad ones,
//! - the memory of the process has not grown.

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
    anvil, guests,
    nexum::{self, Listener as _, Nexum},
    paths,
    process::{self, pause},
    rpc::Rpc,
};

/// The default duration. It is long enough to show growth of the process.
const MINUTES: f64 = 2.0;

/// The interval between blocks. It is shorter than the block time of every supported chain.
const BLOCK_EVERY: Duration = Duration::from_millis(200);

/// The part of the duration in which the good modules run alone.
const ALONE: f64 = 0.25;

/// The interval between the operator's actions.
const STEER_EVERY: Duration = Duration::from_secs(5);

/// The time that the good modules may take to catch up after the last block: many times what they
/// need.
const PATIENCE: Duration = Duration::from_secs(60);

/// The options of the task.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The duration in minutes.
    #[arg(long, value_name = "N", default_value_t = MINUTES)]
    pub(crate) minutes: f64,
    /// Run the release build, and check the latency too.
    #[arg(long)]
    pub(crate) release: bool,
}

/// Runs the soak. Fails if a good module misses an event or handles one twice, if the process
/// grows, or if the latency of the good modules in a release build more than doubles beside the bad
/// ones.
pub(crate) fn run(options: &Options) -> Result<()> {
    process::end_in_order()?;
    let programs = process::step("build nexum", || nexum::build(options.release))?;
    process::step("build the modules", || guests::build(&modules::guests()))?;
    let site = Site::new(programs)?;
    // `sync` first, so that commits do not wait for the build's files.
    process::run(&mut Command::new("sync"))?;
    let time = Duration::from_secs_f64(options.minutes * 60.0);
    let alone = process::step("good modules alone", || site.soak(time.mul_f64(ALONE), false))?;
    let together = process::step("all modules", || site.soak(time.mul_f64(1.0 - ALONE), true))?;
    println!("\n{}", figures::table(&alone, &together));
    let judge = || {
        // The latency of a debug build does not predict the latency of a release build.
        if options.release {
            figures::judge_latency(&alone, &together)?;
        }
        figures::judge_memory(&together)
    };
    judge().with_context(|| format!("the log is in {}", site.directory.display()))?;
    site.remove()
}

/// The directory of a run, with its inputs and outputs.
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

    /// Runs the good modules, optionally with the bad ones, on a new chain. Compares their state
    /// with the chain.
    fn soak(&self, time: Duration, with_bad: bool) -> Result<Figures> {
        let anvil = anvil::start(&["--no-mining"])?;
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
        // Blocks arrive while the operator acts.
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
                ensure!(seen.failures_of(name) > 0, "{name} did not fail");
            }
        }
        figures.compared = self.compare(&rpc, &directory, last)?;
        Ok(figures)
    }

    /// Fails unless the journal of each good module matches the chain. Returns the number of
    /// entries.
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
                "{name} has {} entries, of which the first {} match; the chain has {} blocks",
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

/// Mines blocks, and samples the memory after each, without the log records that nexum keeps. Returns the time of each block in microseconds,
/// from block 1 on.
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
        let metrics = nexum.seen().metrics.clone().context("nexum has no metrics")?;
        // The records that nexum keeps for `nexum logs` are bounded, and fill their bound in hours.
        memory_kib.push(memory_of(nexum.id())?.saturating_sub(records_kib(&metrics)?));
        let seen = nexum.seen();
        seen.check()?;
        bar.set_position(begin.elapsed().as_secs());
        bar.set_message(seen.brief());
    }
    bar.finish_and_clear();
    Ok(mined)
}

/// Parses a journal entry from a line of the `kept` example.
fn entry(line: &str, module: &str) -> Option<String> {
    let fields: Vec<_> = line.split(' ').collect();
    let [name, key, value] = fields[..] else { return None };
    let key = text(key)?;
    (name == module && key != "entries").then(|| text(value)).flatten()
}

/// Decodes a text in hexadecimal digits.
fn text(digits: &str) -> Option<String> {
    let byte = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
    String::from_utf8(bytes?).ok()
}

/// Operates nexum through its commands.
struct Operator {
    program: PathBuf,
    config: PathBuf,
}

impl Operator {
    /// Acts at intervals until `is_over`. Returns the number of actions.
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

    /// Reloads one good module and restarts all dead modules. Returns the number of actions.
    fn steer(&self, turn: usize) -> Result<u64> {
        let good = modules::good();
        self.ask(&["module", "reload", &good[turn % good.len()]])?;
        // `nexum status` fails while a module needs its operator.
        let modules: Vec<Value> = serde_json::from_str(&self.ask(&["module", "list", "--format", "json"])?)?;
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

/// The wall clock, which also dates nexum's log records.
fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// The resident memory of a process, in KiB.
fn memory_of(id: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line
        .and_then(|line| line.split_whitespace().next())
        .context("no memory size in the process status")?;
    Ok(number.parse()?)
}

/// The size of the log records that nexum keeps, in KiB.
fn records_kib(address: &str) -> Result<u64> {
    let mut response = ureq::get(format!("http://{address}/metrics")).call()?;
    let text = response.body_mut().read_to_string()?;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix("nexum_log_records_bytes "));
    let bytes: f64 = value.context("nexum has no metric for its log records")?.parse()?;
    Ok(bytes as u64 / 1_024)
}

fn bar(time: Duration) -> ProgressBar {
    let bar = ProgressBar::new(time.as_secs());
    // The template is a constant. If it were invalid, the default style would replace it.
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
