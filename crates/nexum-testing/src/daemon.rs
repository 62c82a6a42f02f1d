//! A nexum process beside a test, with its operator's view: log records, metrics and answers to queries.

use std::collections::VecDeque;
use std::fmt;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::WAIT_MAX;

/// The most log records that a [`Daemon`] keeps: hours of two modules on a chain with a block each
/// second.
const RECORDS_MAX: usize = 100_000;

/// The settings of a [`Daemon`] that its own methods need.
const SETTINGS: &str = "[engine]\nlog_level = \"info,nexum::event=debug\"\nlog_format = \"json\"\n\
                        [metrics]\nlisten = \"127.0.0.1:0\"\n[query]\nlisten = \"127.0.0.1:0\"\n";

/// The log records with the addresses of the metrics and of the queries.
const METRICS: &str = "metrics can be read";
const QUERIES: &str = "accepting queries";

/// The log record of a handled event.
const HANDLED: &str = "event handled";

/// A running `nexum run`. Dropping the value kills it.
pub struct Daemon {
    child: Child,
    directory: PathBuf,
    seen: Arc<Seen>,
    client: reqwest::Client,
    metrics: String,
    queries: String,
}

/// A log record, and when it arrived.
#[derive(Clone, Debug)]
pub struct LogRecord {
    /// The time of its arrival.
    pub at: Instant,
    /// Its fields.
    pub fields: Value,
}

impl LogRecord {
    /// Whether the module has handled an event: a block, a group of logs, or a tick.
    pub fn is_handled(&self, module: &str, kind: &str, block: u64) -> bool {
        let event = self.fields["event"].as_str().unwrap_or_default();
        self.fields["message"] == HANDLED
            && self.fields["module"] == module
            && self.fields["block"] == block
            && event.ends_with(&format!(":{kind}"))
    }

    /// The duration of the handler; zero for a record of something else.
    pub fn took(&self) -> Duration {
        Duration::from_micros(self.fields["took_us"].as_u64().unwrap_or_default())
    }

    /// Whether the record is a warning or an error.
    pub fn is_warning(&self) -> bool {
        self.fields["level"] == "WARN" || self.fields["level"] == "ERROR"
    }
}

/// The log so far.
#[derive(Debug, Default)]
struct Seen {
    records: Mutex<VecDeque<LogRecord>>,
    warnings: AtomicU64,
    has_ended: AtomicBool,
    changed: watch::Sender<()>,
}

impl Seen {
    /// Reads a line. One that is no record, such as an error of the start, has only a message.
    fn read(&self, line: String) {
        let fields = serde_json::from_str(&line).unwrap_or_else(|_| json!({ "message": line }));
        let record = LogRecord {
            at: Instant::now(),
            fields,
        };
        if record.is_warning() {
            self.warnings.fetch_add(1, Ordering::Relaxed);
        }
        let mut records = self.records.lock();
        if records.len() == RECORDS_MAX {
            records.pop_front();
        }
        records.push_back(record);
    }
}

impl Daemon {
    /// Starts this program with a directory for its configuration and its state, and waits until it
    /// answers requests. `config` has the chains and the modules; it must not have the tables
    /// `engine`, `metrics` and `query`.
    ///
    /// # Panics
    ///
    /// If the process does not start within [`WAIT_MAX`].
    pub async fn start(program: &Path, directory: &Path, config: &str) -> Self {
        let file = directory.join("engine.toml");
        fs::write(&file, format!("{SETTINGS}{config}")).expect("a configuration");
        let mut command = Command::new(program);
        command
            .args(["run", "--config"])
            .arg(&file)
            .env_remove("NEXUM_LOG")
            .env_remove("RUST_LOG")
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // An interrupt of the terminal reaches only the caller, which stops the process.
            .process_group(0);
        let spawned = command.spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("cannot run {}: {error}", program.display()));
        let seen = Arc::<Seen>::default();
        follow(child.stderr.take().expect("stderr is piped"), Arc::clone(&seen));
        let client = nexum_net::http_client().no_proxy().timeout(WAIT_MAX).build();
        let mut daemon = Self {
            child,
            directory: directory.to_owned(),
            seen,
            client: client.expect("a client"),
            metrics: String::new(),
            queries: String::new(),
        };
        daemon.metrics = daemon.address(METRICS).await;
        daemon.queries = daemon.address(QUERIES).await;
        daemon
    }

    async fn address(&self, message: &str) -> String {
        let record = self.until(|record| record.fields["message"] == message).await;
        record.fields["address"].as_str().expect("an address").to_owned()
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The directory of the configuration and of the state.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The log records so far.
    pub fn records(&self) -> Vec<LogRecord> {
        self.seen.records.lock().iter().cloned().collect()
    }

    /// The number of warnings and errors so far.
    pub fn warnings(&self) -> u64 {
        self.seen.warnings.load(Ordering::Relaxed)
    }

    /// Waits for a log record, and returns it. The record can be an earlier one.
    ///
    /// # Panics
    ///
    /// After [`WAIT_MAX`], or when the process ends without the record.
    pub async fn until(&self, found: impl Fn(&LogRecord) -> bool) -> LogRecord {
        let mut changes = self.seen.changed.subscribe();
        let newest_first = || {
            self.seen
                .records
                .lock()
                .iter()
                .rev()
                .find(|record| found(record))
                .cloned()
        };
        let search = async {
            loop {
                changes.borrow_and_update();
                // Read before the search, so that the search sees the last record.
                let has_ended = self.seen.has_ended.load(Ordering::Acquire);
                if let Some(record) = newest_first() {
                    return Some(record);
                }
                if has_ended || changes.changed().await.is_err() {
                    return None;
                }
            }
        };
        match tokio::time::timeout(WAIT_MAX, search).await {
            Ok(Some(record)) => record,
            _ => panic!("the expected record is not in the log: {:#?}", self.records()),
        }
    }

    /// Waits until the module has handled the event of this block, and returns the log record.
    ///
    /// # Panics
    ///
    /// As [`until`](Self::until).
    pub async fn until_handled(&self, module: &str, block: u64) -> LogRecord {
        self.until(|record| record.is_handled(module, "block", block)).await
    }

    /// The metrics; `None` while the process does not answer.
    pub async fn metrics(&self) -> Option<Exported> {
        let request = self.client.get(format!("http://{}/metrics", self.metrics));
        Some(Exported(request.send().await.ok()?.text().await.ok()?))
    }

    /// The module's JSON answer to a query; `None` while nexum cannot ask the module.
    pub async fn ask(&self, module: &str, question: &Value) -> Option<Value> {
        let request = self.client.post(format!("http://{}/v1/query/{module}", self.queries));
        let response = request.body(question.to_string()).send().await.ok()?;
        if !response.status().is_success() {
            return None;
        }
        serde_json::from_slice(&response.bytes().await.ok()?).ok()
    }

    /// Stops the process with SIGTERM, as an operator does. Returns whether it ended without an error.
    ///
    /// # Panics
    ///
    /// If the process cannot be stopped.
    pub fn stop(mut self) -> bool {
        if self.child.try_wait().is_ok_and(|exit| exit.is_none()) {
            // The standard library can send only SIGKILL.
            let sent = Command::new("kill")
                .args(["-TERM", &self.child.id().to_string()])
                .status();
            assert!(sent.is_ok_and(|status| status.success()), "cannot stop nexum");
        }
        self.child.wait().is_ok_and(|status| status.success())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // The process may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl fmt::Debug for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Daemon").field("id", &self.id()).finish_non_exhaustive()
    }
}

/// Reads the log until the process ends.
fn follow(log: ChildStderr, seen: Arc<Seen>) {
    thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            seen.read(line);
            seen.changed.send_replace(());
        }
        seen.has_ended.store(true, Ordering::Release);
        seen.changed.send_replace(());
    });
}

/// Metrics in the text format of Prometheus.
#[derive(Clone, Debug)]
pub struct Exported(String);

impl Exported {
    /// The sum of all samples with this name and all of these labels, each as `key="value"`.
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let samples = self.0.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (found, rest) = series.split_once('{').unwrap_or((series, ""));
            let matches = found == name && labels.iter().all(|label| rest.contains(label));
            matches.then(|| value.parse::<f64>().ok()).flatten()
        });
        samples.sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_the_samples_of_one_name() {
        let text = "# TYPE a counter\na{x=\"1\",y=\"2\"} 3\na{x=\"2\",y=\"2\"} 4\na_total 5\nb 6.5\n";
        let metrics = Exported(text.to_owned());
        assert_eq!(metrics.sum("a", &[]), 7.0);
        assert_eq!(metrics.sum("a", &["x=\"2\"", "y=\"2\""]), 4.0);
        assert_eq!(metrics.sum("b", &[]), 6.5);
        assert_eq!(metrics.sum("c", &[]), 0.0);
    }

    #[test]
    fn a_record_names_its_event() {
        let record = LogRecord {
            at: Instant::now(),
            fields: json!({
                "level": "DEBUG", "message": "event handled", "module": "m", "block": 12,
                "event": "31337:12:block", "took_us": 421
            }),
        };
        assert!(record.is_handled("m", "block", 12) && !record.is_warning());
        assert!(!record.is_handled("m", "logs", 12) && !record.is_handled("m", "block", 13));
        assert_eq!(record.took(), Duration::from_micros(421));
    }
}
