//! The report of a chain's endpoints.

use nexum_core::source::EndpointReport;
use tokio::time::Instant;

use super::Endpoints;

/// The endpoints that cannot be used.
#[derive(Debug)]
pub(crate) struct Down {
    pub(crate) count: usize,
    pub(crate) all: usize,
    /// The time since which no endpoint can be used. None if one can.
    pub(crate) since: Option<Instant>,
    /// The label of the endpoint that failed last, with its failure.
    pub(crate) last_error: Option<(String, String)>,
}

impl Down {
    pub(crate) fn is_whole(&self) -> bool {
        self.count == self.all
    }
}

impl Endpoints {
    /// The report of each endpoint. `followed` is the label of the followed endpoint, with the time
    /// since which it is followed. Without it, the endpoint that receives requests first is in use.
    pub(crate) fn report(&self, followed: Option<(&str, Instant)>) -> Vec<EndpointReport> {
        let first = self.best(&[]);
        let in_use_since = |label: &str| match followed {
            Some((followed, since)) => (followed == label).then_some(since),
            None if label == first.label() => first.health().works_since(),
            None => None,
        };
        let report =
            |endpoint: &std::sync::Arc<crate::rpc::endpoint::Endpoint>| endpoint.report(in_use_since(endpoint.label()));
        self.all.iter().map(report).collect()
    }

    /// The endpoints that cannot be used.
    pub(crate) fn down(&self) -> Down {
        let down: Vec<_> = self.all.iter().filter(|endpoint| endpoint.health().is_down()).collect();
        let is_whole = down.len() == self.all.len();
        let began = down.iter().filter_map(|endpoint| endpoint.health().down_since()).max();
        let failed = self.all.iter().filter_map(|endpoint| {
            let (text, at) = endpoint.usage().last_error()?;
            Some((at, endpoint.label().to_owned(), text))
        });
        Down {
            count: down.len(),
            all: self.all.len(),
            since: began.filter(|_| is_whole),
            last_error: failed.max_by_key(|(at, ..)| *at).map(|(_, label, text)| (label, text)),
        }
    }

    /// Sets the gauges of the endpoints.
    pub(crate) fn show(&self, followed: Option<&str>) {
        for endpoint in &self.all {
            endpoint.show(followed == Some(endpoint.label()));
        }
    }
}
