use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use nexum_host_http::{Answer, FetchError, Fetcher, HostPattern, Http, HttpConfig, Lookup, Policy, Request};
use nexum_testing::WAIT_MAX;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::server::Server;

pub(crate) fn patterns(entries: &[&str]) -> Vec<HostPattern> {
    entries.iter().map(|entry| HostPattern::parse(entry).unwrap()).collect()
}

/// An operator that allows these, also without TLS and at private addresses.
pub(crate) fn open(entries: &[&str]) -> HttpConfig {
    let entries = patterns(entries);
    let mut config = HttpConfig::default();
    config.policy = Policy {
        allow: entries.clone(),
        allow_http: entries.clone(),
        allow_private: entries,
        ..Policy::default()
    };
    config
}

/// A module whose manifest allows all that the operator allows.
pub(crate) fn fetcher(config: &HttpConfig) -> Fetcher {
    Http::new(config.clone()).fetcher("test", config.policy.allow.clone())
}

/// A module that may fetch from these servers.
pub(crate) fn fetcher_of(servers: &[&Server]) -> Fetcher {
    let entries: Vec<String> = servers.iter().map(|server| server.entry()).collect();
    let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
    fetcher(&open(&entries))
}

/// A deadline that no test reaches.
pub(crate) fn late() -> Instant {
    Instant::now() + WAIT_MAX
}

pub(crate) async fn get(fetcher: &Fetcher, url: &str) -> Result<Answer, FetchError> {
    fetcher.fetch(Request::new("GET", url).unwrap(), late()).await
}

/// A name server with the answers of a test: each name has a sequence of answers, and repeats the
/// last one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(Arc<Mutex<BTreeMap<String, Vec<Vec<IpAddr>>>>>, Arc<Mutex<Vec<String>>>);

impl Names {
    pub(crate) fn with(self, name: &str, answers: &[&[&str]]) -> Self {
        let parse = |answer: &&[&str]| answer.iter().map(|address| address.parse().unwrap()).collect();
        let answers = answers.iter().map(parse).collect();
        self.0.lock().insert(name.to_owned(), answers);
        self
    }

    /// The names that were looked up.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.1.lock().clone()
    }

    /// As [`fetcher`], with this name server.
    pub(crate) fn fetcher(&self, config: &HttpConfig) -> Fetcher {
        let http = Http::with_lookup(config.clone(), Arc::new(self.clone()));
        http.fetcher("test", config.policy.allow.clone())
    }
}

impl Lookup for Names {
    fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        self.1.lock().push(name.to_owned());
        let mut names = self.0.lock();
        let answers = names.get_mut(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(if answers.len() > 1 {
            answers.remove(0)
        } else {
            answers[0].clone()
        })
    }
}
