//! Gathers the parts of a bundle. A part that fails has the reason in place of its content.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use nexum_config::component::ComponentFile;
use nexum_config::document::{Document, Environment};
use nexum_config::engine::ModuleConfig;
use nexum_config::masked_path::MaskedPath;
use serde::Serialize;
use serde_json::{Value, json};

use super::archive::PART_BYTES_MAX;
use super::secrets::Secrets;
use super::{Part, reason};
use crate::client::Client;
use crate::command::doctor::{self, Installation};
use crate::command::state;
use crate::compose;
use crate::configure::ConfigFile;
use crate::process;
use crate::protocol::{CHAINS, EVENTS, HEALTH, LOG_LEVEL, LOGS, MODULES};
use crate::report::{Refusal, Refusals, findings};

/// The longest wait for the metrics of the daemon on this machine.
const METRICS_TIME_MAX: Duration = Duration::from_secs(10);

/// The most bytes of metrics: ten thousand series of each of a hundred metrics are less.
const METRICS_BYTES_MAX: usize = 64 << 20;

/// The most files that the list of a directory names.
const FILES_MAX: usize = 10_000;

/// The answers of the daemon: the name of the part, its path in the daemon's interface, and a line
/// about it.
const ANSWERS: [(&str, &str, &str); 4] = [
    ("modules.json", MODULES, "the status of the modules"),
    ("chains.json", CHAINS, "the chains and their endpoints"),
    ("health.json", HEALTH, "the problems of modules and chains"),
    ("log-level.json", LOG_LEVEL, "the level of the log"),
];

/// The last records of the daemon, as [`ANSWERS`] has them, with the parameters of the request. The
/// interface gives at most ten thousand.
const RECORDS: [(&str, &str, &str, &str); 2] = [
    (
        "log.jsonl",
        LOGS,
        "level=trace&limit=10000",
        "the last log records, a line for each",
    ),
    (
        "events.jsonl",
        EVENTS,
        "limit=10000",
        "the last events of modules and chains, a line for each",
    ),
];

/// The parts, and the secrets that no part may contain.
pub(super) struct Collected {
    pub(super) parts: Vec<Part>,
    pub(super) secrets: Secrets,
}

/// Gathers all parts.
///
/// # Errors
///
/// If the system starts no threads.
pub(super) fn collect(installation: &Installation) -> Result<Collected, Refusals> {
    let Installation {
        file, config, metrics, ..
    } = installation;
    let report = doctor::examine(installation)?;
    let (configuration, secrets) = configuration(file);
    let mut parts = vec![
        part("configuration.txt", "the configuration without secrets", configuration),
        part("build.json", "the build, the system and its limits", json(&build())),
        part("doctor.json", "the findings of `nexum doctor`", json(&report)),
        part(
            "doctor.txt",
            "the findings as a table",
            Ok(findings::text(&report.findings).into_bytes()),
        ),
        part(
            "files.json",
            "files with their sizes, and digests of components",
            json(&files(installation)),
        ),
        part(
            "state-verify.txt",
            "the outcome of `nexum state verify`",
            verified(installation),
        ),
    ];
    let client = Client::of(&config.state_dir).configured_by(file);
    for (name, path, about) in ANSWERS {
        let answer = client.get::<Value>(path).map_err(|refusals| reason(&refusals));
        parts.push(part(name, about, answer.and_then(|answer| json(&answer))));
    }
    for (name, path, parameters, about) in RECORDS {
        let path = format!("{path}?{parameters}");
        let records = client.get::<Vec<Value>>(&path).map_err(|refusals| reason(&refusals));
        parts.push(part(name, about, records.map(|records| lines(&records))));
    }
    let metrics = process::block_on(scraped(metrics.listen)).map_err(|refusal| refusal.error);
    parts.push(part(
        "metrics.txt",
        "the metrics of the daemon",
        metrics.and_then(|metrics| metrics),
    ));
    Ok(Collected { parts, secrets })
}

fn part(name: &'static str, about: &'static str, content: Result<Vec<u8>, String>) -> Part {
    Part { name, about, content }
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, String> {
    serde_json::to_vec_pretty(value).map_err(|error| error.to_string())
}

/// A line of JSON for each record, as many of the last ones as a part has room for.
fn lines(records: &[Value]) -> Vec<u8> {
    let mut last = Vec::new();
    let mut room = PART_BYTES_MAX;
    for record in records.iter().rev() {
        let line = format!("{record}\n");
        let Some(rest) = room.checked_sub(line.len()) else {
            break;
        };
        room = rest;
        last.push(line);
    }
    last.reverse();
    last.concat().into_bytes()
}

/// The configuration without secrets, and its secrets.
fn configuration(file: &ConfigFile) -> (Result<Vec<u8>, String>, Secrets) {
    if let Some(notice) = file.absence() {
        return (Err(notice), Secrets::new([]));
    }
    match Document::load(file.path(), &Environment::process()) {
        Ok(document) => {
            let masked = document.masked();
            (Ok(masked.text.into_bytes()), Secrets::new(masked.secrets))
        }
        Err(errors) => (Err(reason(&errors.into())), Secrets::new([])),
    }
}

/// The build, the operating system, and the limits of this process.
fn build() -> Value {
    let system = |path: &str| fs::read_to_string(path).map(|text| text.trim_end().to_owned()).ok();
    let limits = system("/proc/self/limits");
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "features": compose::features(),
        "architecture": std::env::consts::ARCH,
        "kernel": system("/proc/sys/kernel/osrelease"),
        "system": system("/etc/os-release").map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()),
        "limits": limits.map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()),
    })
}

/// The files of the modules and of the state directory.
fn files(installation: &Installation) -> Value {
    let config = &installation.config;
    json!({
        "modules": config.modules.iter().map(module).collect::<Vec<_>>(),
        "state_directory": directory(&config.state_dir),
    })
}

fn module(module: &ModuleConfig) -> Value {
    let size = |path: &MaskedPath| fs::metadata(&**path).map(|found| found.len()).ok();
    let digest = ComponentFile::read(&module.path).map(|file| file.digest.to_string());
    json!({
        "path": module.path.display().to_string(),
        "bytes": size(&module.path),
        "digest": digest.as_ref().ok(),
        "error": digest.err().map(|error| Refusal::of(&error).error),
        "manifest": module.manifest.as_ref().map(|path| path.display().to_string()),
        "manifest_bytes": module.manifest.as_ref().and_then(size),
    })
}

/// The files in a directory and in its directories, two levels deep: the state, and the compiled
/// components.
fn directory(path: &Path) -> Value {
    let mut files = Vec::new();
    list(path, Path::new(""), &mut files);
    files.sort_by_key(|file| file["name"].as_str().map(str::to_owned));
    json!(files)
}

fn list(root: &Path, below: &Path, files: &mut Vec<Value>) {
    let entries = fs::read_dir(root.join(below)).into_iter().flatten().flatten();
    for entry in entries {
        let name = below.join(entry.file_name());
        let Ok(found) = entry.metadata() else { continue };
        if found.is_dir() && below.as_os_str().is_empty() {
            list(root, &name, files);
        } else if files.len() < FILES_MAX {
            files.push(json!({ "name": name.display().to_string(), "bytes": found.len() }));
        }
    }
}

fn verified(installation: &Installation) -> Result<Vec<u8>, String> {
    let mut outcome = Vec::new();
    state::verify(&installation.config, &installation.file, &mut outcome).map_err(|refusals| reason(&refusals))?;
    Ok(outcome)
}

/// The metrics at the address of the configuration.
async fn scraped(listen: Option<SocketAddr>) -> Result<Vec<u8>, String> {
    let address = match listen {
        None => return Err("[metrics] listen is not set".to_owned()),
        Some(address) if address.port() == 0 => return Err("the port of [metrics] listen is 0".to_owned()),
        Some(address) => doctor::reachable(address),
    };
    let failed = |error: reqwest::Error| Refusal::of(&error.without_url()).error;
    let client = nexum_net::http_client().no_proxy().timeout(METRICS_TIME_MAX).build();
    let request = client.map_err(failed)?.get(format!("http://{address}/metrics"));
    let mut response = request
        .send()
        .await
        .and_then(reqwest::Response::error_for_status)
        .map_err(failed)?;
    let mut text = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        text.extend_from_slice(&chunk);
        if text.len() > METRICS_BYTES_MAX {
            return Err(format!("there are more than {METRICS_BYTES_MAX} bytes of metrics"));
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_records_stay() {
        let records = [json!("a".repeat(PART_BYTES_MAX)), json!(1), json!({"b": 2})];
        assert_eq!(lines(&records), b"1\n{\"b\":2}\n");
    }
}
