//! `[metrics]`: the port for Prometheus, and for probes of health and readiness.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use metrics::{Unit, describe_gauge, gauge};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;

use super::health::HealthCheck;
use super::listen::{self, Bounds};
use super::records;
use crate::compose;
use crate::configure::{HealthBounds, MetricsConfig};
use crate::report::Refusal;

/// Gauge, always 1: the running build. Labels: `version`; `features`, separated by commas.
const BUILD_INFO: &str = "nexum_build_info";

/// The upper bounds of the buckets of every histogram of seconds. They range from 100 microseconds,
/// the time of a handler that only computes, over the milliseconds of commits and requests, to 10
/// seconds, an event's default deadline, and a minute, the time of an event that waits for others.
/// Each bound is two to two and a half times the previous one, close enough for quantiles.
const SECONDS_BUCKETS: [f64; 18] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

/// The bounds of every histogram of blocks: each block where reorgs are common, then up to the
/// default depth of reorgs.
const BLOCKS_BUCKETS: [f64; 9] = [1.0, 2.0, 3.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];

/// The interval at which histograms are summed up, even without a scrape: until then, each value
/// takes memory.
const UPKEEP: Duration = Duration::from_secs(5);

/// The most concurrent connections: some Prometheus servers and an orchestrator's probes.
const CONNECTIONS_MAX: usize = 32;

/// The longest life of a connection: a Prometheus server reconnects, which costs little once an
/// hour.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(3_600);

/// The format of the text that Prometheus expects.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Installs the recorder, if metrics are to be exported. Call it before any metric is created: a
/// metric belongs to the recorder that exists at its creation.
///
/// # Errors
///
/// If a recorder is installed already.
pub(crate) fn install(config: &MetricsConfig) -> Result<Option<PrometheusHandle>, Refusal> {
    if config.listen.is_none() {
        return Ok(None);
    }
    let build = || -> Result<PrometheusHandle, BuildError> {
        PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS_BUCKETS)?
            .set_buckets_for_metric(Matcher::Suffix("_blocks".to_owned()), &BLOCKS_BUCKETS)?
            .install_recorder()
    };
    let handle = build().map_err(|error| Refusal::of(&error))?;
    nexum_core::metrics::describe();
    compose::describe_metrics();
    describe_gauge!(BUILD_INFO, Unit::Count, "the running build: always 1");
    describe_gauge!(
        records::BYTES,
        Unit::Bytes,
        "the size of the log records that nexum keeps for `nexum logs`"
    );
    gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION"), "features" => compose::features().join(",")).set(1.0);
    Ok(Some(handle))
}

#[derive(Clone)]
struct Exported {
    handle: PrometheusHandle,
    health: HealthCheck,
    /// The bounds of the readiness probe.
    ready: HealthBounds,
}

/// The port for metrics, if the operator configured one.
pub(crate) struct Exporter(Option<Port>);

/// The port, before it serves.
struct Port {
    listener: TcpListener,
    handle: PrometheusHandle,
    hosts: Hosts,
    ready: HealthBounds,
}

impl Exporter {
    /// Opens the port. `handle` is the result of [`install`].
    ///
    /// # Errors
    ///
    /// If the address is not an address of this machine, or is in use.
    pub(crate) async fn open(config: &MetricsConfig, handle: Option<PrometheusHandle>) -> Result<Self, Refusal> {
        let Some((address, handle)) = config.listen.zip(handle) else {
            return Ok(Self(None));
        };
        let listener = listen::bind("metrics.listen", address).await?;
        Ok(Self(Some(Port {
            listener,
            handle,
            hosts: Hosts(config.allowed_hosts.as_slice().into()),
            ready: config.ready,
        })))
    }

    /// Answers requests until it is dropped.
    pub(crate) async fn serve(self, health: HealthCheck) -> Infallible {
        match self.0 {
            Some(port) => serve(port, health).await,
            None => std::future::pending().await,
        }
    }
}

async fn serve(port: Port, health: HealthCheck) -> Infallible {
    let Port {
        listener,
        handle,
        hosts,
        ready,
    } = port;
    match listener.local_addr() {
        Ok(address) => tracing::info!(%address, "metrics can be read"),
        Err(error) => tracing::warn!(%error, "metrics can be read, at an address that is not known"),
    }
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .layer(from_fn_with_state(hosts, refuse_browsers))
        .with_state(Exported {
            handle: handle.clone(),
            health,
            ready,
        });
    let serving = listen::serve(listener, router, Bounds::new(CONNECTIONS_MAX, CONNECTION_TIME_MAX));
    let upkeep = async {
        let mut every = tokio::time::interval(UPKEEP);
        loop {
            every.tick().await;
            handle.run_upkeep();
        }
    };
    tokio::select! {
        never = serving => never,
        never = upkeep => never,
    }
}

/// The host names with which clients may address the port, in addition to IP addresses and
/// `localhost`.
#[derive(Clone)]
struct Hosts(Arc<[String]>);

impl Hosts {
    /// Whether a `Host` header (RFC 9110, section 7.2) contains an address, or a name that the
    /// operator allows.
    fn allow(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else {
            return false;
        };
        let name = authority.host().to_ascii_lowercase();
        let is_address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        is_address || name == "localhost" || self.0.contains(&name)
    }
}

/// Refuses requests of pages in a browser. A page reaches every address that this machine reaches.
/// A page whose host name resolves to this machine ("DNS rebinding") could also read the answer.
async fn refuse_browsers(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    if request.headers().contains_key(header::ORIGIN) {
        return (StatusCode::FORBIDDEN, "a page in a browser cannot read this port\n").into_response();
    }
    let host = request.headers().get(header::HOST).map(HeaderValue::to_str);
    match host {
        // A client that sends no `Host` header is not a browser.
        None => next.run(request).await,
        Some(Ok(host)) if hosts.allow(host) => next.run(request).await,
        Some(_) => {
            let hint = "this host name is not known: add it to `allowed_hosts` of [metrics], or use an IP address\n";
            (StatusCode::FORBIDDEN, hint).into_response()
        }
    }
}

async fn metrics(State(exported): State<Exported>) -> impl IntoResponse {
    exported.health.refresh();
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], exported.handle.render())
}

/// Answers while the runtime works.
async fn healthz() -> &'static str {
    "ok\n"
}

async fn readyz(State(exported): State<Exported>) -> impl IntoResponse {
    let found = exported.health.problems(exported.ready);
    let status = match found.is_empty() {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(found))
}
