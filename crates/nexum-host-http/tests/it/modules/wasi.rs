//! `wasi:http`, where it differs from `nexum:host/http`.

use std::io::ErrorKind;
use std::sync::Arc;

use nexum_config::engine::ModuleConfig;
use nexum_config::limits::{Limit, Limits};
use nexum_core::store::MemoryStore;
use nexum_core::supervisor::{RunSettings, Supervisor};
use nexum_core::{Caller, Invocation};
use nexum_host_http::{
    FetchError, Phase, REQUEST_BODY_BYTES_MAX, SILENCED_LOG_TARGETS, TlsFault, WASI_REQUESTS_MAX, metrics as names,
};
use nexum_testing::{Counts, WAIT_MAX, guests};
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::host::{Fetching, Host, WASI, load_all, loader};
use super::{host, limited};
use crate::server::{Reply, Server, answer, redirect};
use crate::support::open;

/// An hour, so that no request ends by itself.
const LATE_MS: u64 = 3_600_000;

/// A host whose module may fetch from the server, and whose requests never time out.
async fn patient(server: &Server, config: &[(&str, &str)]) -> Host {
    let mut http = open(&[&server.entry()]);
    (http.timeout_ms, http.first_byte_timeout_ms) = (LATE_MS, LATE_MS);
    let limits = Limits::default().with(Limit::Deadline, LATE_MS);
    let module = Fetching::new(WASI, &[&server.entry()], config);
    Host::start(http, module, limits.with(Limit::HttpFetches, 100)).await
}

/// A server that never answers `/slow`. It answers the first of the other requests when it has heard
/// `/slow`, and each further one for a permit.
async fn slow() -> (Server, Arc<Semaphore>) {
    let (heard, permits) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let first = Arc::new(Semaphore::new(1));
    let further = permits.clone();
    let server = Server::start(move |request| {
        let Reply::Bytes(meanwhile) = answer(200, &[], "meanwhile") else {
            unreachable!()
        };
        if request.path == "/slow" {
            heard.add_permits(1);
            return Reply::Hang(Vec::new());
        }
        match first.try_acquire() {
            Ok(permit) => {
                permit.forget();
                Reply::When(heard.clone(), meanwhile)
            }
            Err(_) => Reply::When(further.clone(), meanwhile),
        }
    })
    .await;
    (server, permits)
}

#[tokio::test]
async fn a_dropped_response_cancels_its_request() {
    let counts = Counts::default();
    let _guard = metrics::set_default_local_recorder(&counts);
    let (server, permits) = slow().await;
    let (url, meanwhile) = (server.url("/slow"), server.url("/meanwhile"));
    let host = patient(&server, &[("url", &url), ("act", "drop"), ("meanwhile", &meanwhile)]).await;
    // The module waits for the second response after the drop, so the event has not ended.
    let given_up = async {
        server.given_up().await;
        permits.add_permits(1);
    };
    let (said, ()) = tokio::join!(host.said_of_next(), given_up);
    assert_eq!(said, ["ok 200  meanwhile", "ok 200  meanwhile"]);
    assert_eq!(counts.sum(names::REQUESTS, &["outcome=cancelled"]), 1);
    assert_eq!(counts.sum(names::REQUESTS, &["outcome=2xx"]), 2);
}

#[tokio::test]
async fn the_end_of_the_event_cancels_its_requests() {
    for (act, later) in [("keep", None), ("leave", Some("ErrorCode::ConnectionTerminated"))] {
        let (server, permits) = slow().await;
        let (url, meanwhile) = (server.url("/slow"), server.url("/meanwhile"));
        let host = patient(&server, &[("url", &url), ("act", act), ("meanwhile", &meanwhile)]).await;
        assert_eq!(host.said_of_next().await, ["ok 200  meanwhile"], "{act}");
        server.given_up().await;
        permits.add_permits(1);
        let said: Vec<_> = later.into_iter().chain(["ok 200  meanwhile"]).collect();
        assert_eq!(host.said_of_next().await, said, "{act}");
    }
}

#[tokio::test]
async fn an_instance_has_a_bound_on_its_requests() {
    let limit = "ErrorCode::ConnectionLimitReached";
    let server = Server::start(|heard| match heard.path.as_str() {
        "/slow" => Reply::Hang(Vec::new()),
        _ => answer(200, &[], "never read"),
    })
    .await;
    let count = (WASI_REQUESTS_MAX + 2).to_string();
    // Requests end with the event.
    let url = server.url("/slow");
    let host = patient(&server, &[("url", &url), ("act", "keep"), ("count", &count)]).await;
    for _ in 0..2 {
        assert_eq!(host.said_of_next().await, [limit, limit]);
    }
    // Responses stay until the guest reads or drops them.
    let url = server.url("/");
    let host = patient(&server, &[("url", &url), ("act", "unread"), ("count", &count)]).await;
    let mut said = vec!["not read"; WASI_REQUESTS_MAX];
    said.extend([limit, limit]);
    assert_eq!(host.said_of_next().await, said);
    assert_eq!(host.said_of_next().await, vec![limit; WASI_REQUESTS_MAX + 2]);
}

#[tokio::test]
async fn resources_are_bounded_and_calls_draw_on_the_fuel() {
    let server = Server::start(|_| answer(200, &[], "")).await;
    let url = server.url("/");
    for (act, reason) in [
        ("hoard", "resource table has no free keys"),
        ("grow", "total size of fields exceeds limit"),
        (
            "address",
            "the headers and bodies of wasi:http take more than 8388608 bytes",
        ),
        (
            "fill",
            "the headers and bodies of wasi:http take more than 8388608 bytes",
        ),
    ] {
        let host = host(WASI, &server, &[("url", &url), ("act", act)]).await;
        host.said_of_next().await;
        let trap = host.records.find("the guest trapped").expect("the record of the trap");
        assert!(trap.message.contains(reason), "{trap:?}");
    }
    // Dropped ones do not count.
    let churning = host(WASI, &server, &[("url", &url), ("act", "churn")]).await;
    assert_eq!(churning.said_of_next().await, ["churned"]);
    let limits = Limits::default().with(Limit::Fuel, 100_000_000);
    let host = limited(WASI, &server, &[("url", &url), ("act", "call")], limits).await;
    host.said_of_next().await;
    let trip = host
        .records
        .find("a limit was exceeded")
        .expect("the record of the limit");
    assert_eq!(trip.fields["limit"], "fuel_per_event");
    // A guest that used up its fuel alone would have used exactly that.
    assert!(trip.fields["used"].parse::<u64>().unwrap() > 100_000_000, "{trip:?}");
}

#[tokio::test]
async fn a_body_is_collected_before_it_is_sent() {
    let server = Server::start(|heard| answer(200, &[], format!("{}", heard.body.len()))).await;
    let (url, most) = (server.url("/"), REQUEST_BODY_BYTES_MAX);
    let too_much = format!("ErrorCode::HttpRequestBodySize(Some({most}))");
    for (config, said) in [
        (format!("fill = {most}"), format!("ok 200  {most}")),
        (format!("fill = {}", most + 1), too_much),
        ("fill = 65536, write = first".to_owned(), "ok 200  65536".to_owned()),
        ("fill = 5, announce = 5".to_owned(), "ok 200  5".to_owned()),
        ("fill = 5, announce = 6".to_owned(), body_size(5)),
        ("fill = 6, announce = 5".to_owned(), body_size(6)),
        ("announce = 5".to_owned(), body_size(0)),
        (
            "fill = 5, trailer = x".to_owned(),
            "ErrorCode::HttpRequestTrailerSectionSize(Some(0))".to_owned(),
        ),
    ] {
        let before = server.heard().len();
        let pairs = config.split(", ").filter_map(|pair| pair.split_once(" = "));
        let pairs: Vec<_> = pairs.chain([("url", url.as_str()), ("method", "POST")]).collect();
        let host = host(WASI, &server, &pairs).await;
        assert_eq!(host.said_of_next().await, [said.as_str()], "{config}");
        let heard = server.heard().split_off(before);
        assert_eq!(heard.len(), usize::from(said.starts_with("ok")), "{config}");
        for heard in heard {
            let lengths = heard.headers.iter().filter(|(name, _)| name == "content-length");
            assert_eq!(lengths.count(), 1, "{config}");
        }
    }
}

fn body_size(bytes: u64) -> String {
    format!("ErrorCode::HttpRequestBodySize(Some({bytes}))")
}

#[tokio::test]
async fn waits_have_bounds() {
    let server = Server::start(|heard| match heard.path.as_str() {
        "/half" => Reply::Hang(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_vec()),
        _ => Reply::Hang(Vec::new()),
    })
    .await;
    for (path, config, said) in [
        ("/", ("first_byte_ms", "50"), "ErrorCode::HttpResponseTimeout"),
        ("/half", ("between_bytes_ms", "50"), "ErrorCode::ConnectionReadTimeout"),
    ] {
        let host = patient(&server, &[("url", &server.url(path)), config]).await;
        assert_eq!(host.said_of_next().await, [said], "{path}");
    }
    // A guest that never finishes its body waits until shortly before the end of the event.
    let before = server.heard().len();
    let limits = Limits::default().with(Limit::Deadline, 500);
    let url = server.url("/");
    let config = [
        ("url", url.as_str()),
        ("method", "POST"),
        ("body", "x"),
        ("act", "unfinished"),
    ];
    let host = limited(WASI, &server, &config, limits).await;
    assert_eq!(host.said_of_next().await, ["ErrorCode::HttpResponseTimeout"]);
    assert_eq!(server.heard().len(), before);
}

#[tokio::test]
async fn responses_come_as_they_are_within_the_bounds() {
    let long = "x".repeat(70_000);
    let server = Server::start(move |heard| match heard.path.as_str() {
        "/large" => answer(200, &[], [b'x'; 1_001]),
        "/headers" => answer(200, &[("x-long", &long)], ""),
        "/garbage" => Reply::Last(b"garbage\r\n\r\n".to_vec()),
        "/to" => redirect(307, "/via"),
        _ => answer(
            200,
            &[("via", "a proxy"), ("keep-alive", "timeout=9")],
            heard.body.clone(),
        ),
    })
    .await;
    for (path, show, said) in [
        ("/via", "via", "ok 200 a proxy x"),
        ("/via", "keep-alive", "ok 200 timeout=9 x"),
        ("/via", "content-length", "ok 200 1 x"),
        ("/to", "via", "ok 200 a proxy x"),
        ("/large", "via", "ErrorCode::HttpResponseBodySize(Some(1000))"),
        (
            "/headers",
            "via",
            "ErrorCode::HttpResponseHeaderSectionSize(Some(65536))",
        ),
        ("/garbage", "via", "ErrorCode::ConnectionTerminated"),
    ] {
        let mut config = open(&[&server.entry()]);
        config.response_bytes_max = 1_000;
        let url = server.url(path);
        let pairs = [("url", url.as_str()), ("show", show), ("method", "POST"), ("body", "x")];
        let module = Fetching::new(WASI, &[&server.entry()], &pairs);
        let host = Host::start(config, module, Limits::default()).await;
        assert_eq!(host.said_of_next().await, [said], "{path} {show}");
    }
}

#[tokio::test]
async fn a_private_address_is_refused() {
    let server = Server::start(|_| answer(200, &[], "")).await;
    let mut config = open(&[&server.entry()]);
    config.policy.allow_private = Vec::new();
    let module = Fetching::new(WASI, &[&server.entry()], &[("url", &server.url("/"))]);
    let host = Host::start(config, module, Limits::default()).await;
    assert_eq!(host.said_of_next().await, ["ErrorCode::DestinationIpProhibited"]);
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn no_record_shows_more_than_a_host() {
    const SECRET: &str = "a-secret";
    let server = Server::start(|_| answer(200, &[("x-a", SECRET)], SECRET)).await;
    let url = server.url(&format!("/{SECRET}?{SECRET}"));
    let header = format!("x-key: {SECRET}");
    let config = [
        ("url", url.as_str()),
        ("method", "POST"),
        ("headers", &header),
        ("body", SECRET),
    ];
    let host = host(WASI, &server, &config).await;
    assert_eq!(host.said_of_next().await, ["ok 200  a-secret"]);
    let records = host.records.all();
    let is_silenced = |target: &str| SILENCED_LOG_TARGETS.iter().any(|silenced| target.starts_with(silenced));
    // Without the list, the records of the library would show the URL.
    let shown = |target: &str| {
        let of_target = records.iter().filter(|record| record.target.starts_with(target));
        of_target
            .filter(|record| format!("{record:?}").contains(SECRET))
            .count()
    };
    assert!(shown("wasmtime_wasi_http") > 0);
    for record in &records {
        let is_checked = !is_silenced(&record.target) && record.target != "nexum::module";
        assert!(!is_checked || !format!("{record:?}").contains(SECRET), "{record:?}");
    }
    assert!(host.records.find("fetched").is_some());
}

#[test]
fn failures_of_the_network_have_codes_of_their_own() {
    let timeout = |phase| FetchError::Timeout { phase, timeout_ms: 1 };
    let unreachable = |cause| FetchError::Unreachable { cause };
    for (error, code) in [
        (FetchError::Unresolved, "DnsError"),
        (unreachable(None), "DestinationUnavailable"),
        (
            unreachable(Some(ErrorKind::ConnectionRefused)),
            "ErrorCode::ConnectionRefused",
        ),
        (FetchError::Tls(TlsFault::Name), "TlsCertificateError"),
        (FetchError::Tls(TlsFault::Protocol), "TlsProtocolError"),
        (timeout(Phase::Connect), "ConnectionTimeout"),
        (timeout(Phase::Total), "HttpResponseTimeout"),
        (FetchError::BadRedirect, "HttpProtocolError"),
        (FetchError::Internal, "InternalError(None)"),
    ] {
        let shown = format!("{:?}", error.to_error_code());
        assert!(shown.contains(code), "{error}: {shown}");
    }
}

#[tokio::test]
async fn an_older_release_of_the_interface_is_served_too() {
    let server = Server::start(|_| answer(200, &[], "yes")).await;
    let mut module = Fetching::new(WASI, &[&server.entry()], &[("url", &server.url("/"))]);
    module.import_release("0.2.10");
    let host = Host::start(open(&[&server.entry()]), module, Limits::default()).await;
    assert_eq!(host.said_of_next().await, ["ok 200  yes"]);
}

#[test]
fn the_imports_need_the_capability() {
    let module = Fetching::with_capabilities(WASI, "required = [\"store\"]\n", &[]);
    let inspected = loader(open(&[]), Limits::default()).inspect(&module.config);
    let said = inspected.expect_err("a refusal").to_string();
    for interface in ["outgoing-handler", "types"] {
        let refusal = format!(
            "the import wasi:http/{interface}@0.2.12 needs the capability `http`, which the manifest does not request"
        );
        assert!(said.contains(&refusal), "{said}");
    }
    assert!(said.contains("write `optional = [\"http\"]`"), "{said}");
}

/// A pool and a sandbox link `wasi:http` and serve none of it. A runner serves it.
#[tokio::test]
async fn a_writeable_function_may_fetch_and_a_query_may_not() {
    let server = Server::start(|_| answer(203, &[], "")).await;
    let directory = TempDir::new().expect("a directory");
    let manifest = directory.path().join("nexum.toml");
    let allow = [server.entry()];
    let text = format!("[capabilities]\nrequired = [\"http\"]\n[capabilities.http]\nallow = {allow:?}\n");
    std::fs::write(&manifest, text).expect("a manifest");
    let mut config = ModuleConfig::new(guests::component("wasi-functions"));
    config.manifest = Some(manifest.into());
    let loader = loader(open(&[&server.entry()]), Limits::default());
    let mut supervisor = Supervisor::new(RunSettings::new(Arc::new(MemoryStore::new())));
    supervisor.add(load_all(&loader, &config).await);
    let (handle, stop) = (supervisor.handle(), CancellationToken::new());
    let mut task = JoinSet::new();
    let token = stop.clone();
    task.spawn(async move { drop(supervisor.run(token).await.expect("a start")) });
    let name = "wasi-functions".parse().expect("a name");
    let module = async {
        loop {
            match handle.get(&name) {
                Ok(module) if module.queries.is_some() => return module,
                _ => tokio::task::yield_now().await,
            }
        }
    };
    let module = tokio::time::timeout(WAIT_MAX, module).await.expect("a pool");
    let args = format!("[{:?}]", server.url("/"));
    let call = async |function| {
        let invocation = Invocation {
            function: Some(function),
            args: args.as_bytes(),
            caller: Caller::Host,
            may_write: true,
        };
        module.invoke(&invocation).await
    };
    assert_eq!(call("fetch").await.as_deref(), Ok("203"));
    let pool = module.queries.as_ref().expect("a pool");
    let denied = "outgoing-handler.handle failed: outgoing-handler may not be called by a query";
    for error in [
        call("status").await.expect_err("no status"),
        pool.call(server.url("/").as_bytes()).await.expect_err("no status"),
    ] {
        assert_eq!(error.kind(), "trapped");
        assert!(error.to_string().contains(denied), "{error}");
    }
    assert_eq!(call("fetch").await.as_deref(), Ok("203"));
    stop.cancel();
    task.join_all().await;
}
