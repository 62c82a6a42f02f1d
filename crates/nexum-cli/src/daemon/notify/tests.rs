use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use nexum_config::document::{Document, Environment};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::super::conditions::Condition;
use super::*;

/// The longest wait: far longer than a slow machine needs.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// A server that answers its requests with these statuses, and then with 200. 0 stands for no answer.
#[derive(Clone)]
struct Server {
    statuses: Arc<Vec<u16>>,
    requests: Arc<AtomicUsize>,
    received: mpsc::UnboundedSender<(Value, BTreeMap<String, String>)>,
}

async fn answer(State(server): State<Server>, headers: HeaderMap, body: String) -> StatusCode {
    let text = |value: &axum::http::HeaderValue| value.to_str().unwrap().to_owned();
    let headers = headers.iter().map(|(name, value)| (name.to_string(), text(value)));
    let number = server.requests.fetch_add(1, Ordering::SeqCst);
    server
        .received
        .send((serde_json::from_str(&body).unwrap(), headers.collect()))
        .unwrap();
    match server.statuses.get(number) {
        Some(0) => std::future::pending().await,
        Some(status) => StatusCode::from_u16(*status).unwrap(),
        None => StatusCode::OK,
    }
}

/// Starts a server. Returns its address and its requests.
async fn serve(
    statuses: &[u16],
    tasks: &mut JoinSet<()>,
) -> (String, mpsc::UnboundedReceiver<(Value, BTreeMap<String, String>)>) {
    let (received, requests) = mpsc::unbounded_channel();
    let server = Server {
        statuses: Arc::new(statuses.to_vec()),
        requests: Arc::default(),
        received,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let router = Router::new().route("/hooks/secret", post(answer)).with_state(server);
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, requests)
}

fn notifier(config: &str) -> Notifier {
    let text = format!("[notify]\n{config}");
    let document = Document::parse("engine.toml".as_ref(), text.as_bytes(), &Environment::closed()).unwrap();
    let section = document.root().section("notify").unwrap().unwrap();
    Notifier::start(NotifyConfig::from_section(&section).unwrap())
}

fn dead(module: &str) -> Change {
    Change {
        phase: Phase::Began,
        condition: Condition {
            kind: ConditionKind::ModuleDead,
            module: Some(module.to_owned()),
            chain: None,
            account: None,
            text: "the module is dead: it failed".to_owned(),
            since_ms: None,
            hint: "run `nexum module restart`".to_owned(),
        },
        since_ms: 7,
    }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(WAIT_MAX, future).await.expect("in time")
}

#[tokio::test]
async fn a_webhook_gets_each_message_until_it_accepts_it() {
    let mut tasks = JoinSet::new();
    let (address, mut requests) = serve(&[503], &mut tasks).await;
    let notifier = notifier(&format!(
        "webhook = \"http://{address}/hooks/secret\"\nheaders = {{ Authorization = \"Bearer key\" }}"
    ));
    notifier.send(dead("m"), Some("1:7:block".to_owned()));
    for _ in 0..2 {
        let (mut body, headers) = soon(requests.recv()).await.unwrap();
        assert_eq!(headers["authorization"], "Bearer key");
        assert_eq!(headers["content-type"], "application/json");
        let sender = body.as_object_mut().unwrap().remove("nexum").unwrap();
        assert_eq!(sender["version"], env!("CARGO_PKG_VERSION"));
        let name = std::process::Command::new("uname").arg("-n").output().unwrap();
        assert_eq!(sender["host"], String::from_utf8(name.stdout).unwrap().trim());
        let expected = json!({
            "kind": "module_dead",
            "phase": "began",
            "module": "m",
            "event": "1:7:block",
            "text": "the module is dead: it failed",
            "since_ms": 7,
            "hint": "run `nexum module restart`",
        });
        assert_eq!(body, expected);
    }
    soon(notifier.finish()).await;
    assert!(requests.try_recv().is_err());
}

#[tokio::test]
async fn a_slow_webhook_delays_no_other_receiver() {
    let mut tasks = JoinSet::new();
    let (address, mut requests) = serve(&[0], &mut tasks).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("messages");
    let notifier = notifier(&format!(
        "webhook = \"http://{address}/hooks/secret\"\ntimeout_ms = 60000\n\
         command = [\"/bin/sh\", \"-c\", \"cat >> {}\"]",
        file.display()
    ));
    notifier.send(dead("one"), None);
    notifier.send(dead("two"), None);
    soon(requests.recv()).await.unwrap();
    let lines = || fs::read_to_string(&file).unwrap_or_default();
    soon(async {
        while lines().lines().count() < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let modules: Vec<_> = lines()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["module"].clone())
        .collect();
    assert_eq!(modules, ["one", "two"]);
}

#[tokio::test]
async fn a_full_queue_drops_messages_and_never_waits() {
    let mut tasks = JoinSet::new();
    let (address, mut requests) = serve(&[0], &mut tasks).await;
    let notifier = notifier(&format!(
        "webhook = \"http://{address}/hooks/secret\"\ntimeout_ms = 60000"
    ));
    notifier.send(dead("first"), None);
    soon(requests.recv()).await.unwrap();
    for number in 0..WAITING_MAX + 10 {
        notifier.send(dead(&number.to_string()), None);
    }
    assert_eq!(notifier.0.queues.lock().queues[0].capacity(), 0);
}

#[tokio::test]
async fn a_test_returns_the_reason_of_each_failure_without_secrets() {
    let mut tasks = JoinSet::new();
    let (address, mut requests) = serve(&[404, 0, 200], &mut tasks).await;
    let script = "echo 'no route to pager' >&2; exit 3";
    let notifier = notifier(&format!(
        "webhook = \"http://{address}/hooks/secret\"\ntimeout_ms = 500\ncommand = [\"/bin/sh\", \"-c\", \"{script}\"]"
    ));
    let url = format!("http://{address}");
    let results = soon(notifier.test(9)).await;
    let errors: Vec<_> = results
        .iter()
        .map(|result| (result.receiver.as_str(), result.error.as_deref()))
        .collect();
    let refused = format!("{url} answered with the status 404");
    let failed = "/bin/sh failed with exit status: 3: no route to pager";
    assert_eq!(
        errors,
        [(url.as_str(), Some(refused.as_str())), ("/bin/sh", Some(failed))]
    );
    let (body, _) = requests.recv().await.unwrap();
    assert_eq!(
        (&body["phase"], &body["since_ms"], body.get("kind")),
        (&"test".into(), &9.into(), None)
    );
    let slow = soon(notifier.test(9)).await[0].error.clone();
    assert_eq!(slow, Some(format!("{url} did not answer within 500ms")));
    assert_eq!(soon(notifier.test(9)).await[0].error, None);
}

#[tokio::test]
async fn a_receiver_that_cannot_be_reached_shows_its_port_and_not_its_path() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let notifier = notifier(&format!("webhook = \"http://{address}/hooks/secret\""));
    let error = soon(notifier.test(9)).await[0].error.clone().unwrap();
    let expected = format!("http://{address} cannot be reached: connection refused");
    assert_eq!(error.to_lowercase(), expected);
}

#[tokio::test]
async fn a_program_that_does_not_end_is_killed_with_its_children() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let notifier = notifier(&format!(
        "timeout_ms = 1000\ncommand = [\"/bin/sh\", \"-c\", \"sleep 600 & echo $! > {}; wait\"]",
        file.display()
    ));
    let error = soon(notifier.test(9)).await[0].error.clone();
    assert_eq!(error.as_deref(), Some("/bin/sh did not end within 1s"));
    ends(&file).await;
}

/// Waits for the end of the process whose id is in this file.
async fn ends(file: &Path) {
    let child: u32 = fs::read_to_string(file).unwrap().trim().parse().unwrap();
    let is_alive = || {
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        stat.rsplit_once(')')
            .is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
    };
    soon(async {
        while is_alive() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_program_that_nexum_no_longer_waits_for_is_killed_with_its_children() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let notifier = notifier(&format!(
        "timeout_ms = 60000\ncommand = [\"/bin/sh\", \"-c\", \"sleep 600 & echo $! > {}; wait\"]",
        file.display()
    ));
    let is_written = async {
        while !fs::read_to_string(&file).is_ok_and(|text| text.ends_with('\n')) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        results = notifier.test(9) => panic!("{results:?}"),
        () = is_written => {}
    }
    ends(&file).await;
}

#[tokio::test]
async fn a_program_may_write_much_to_stderr_and_leave_a_process_that_holds_it() {
    for script in ["head -c 1000000 /dev/zero >&2", "sleep 20 & exit 0"] {
        let notifier = notifier(&format!(
            "timeout_ms = 10000\ncommand = [\"/bin/sh\", \"-c\", \"{script}\"]"
        ));
        assert_eq!(soon(notifier.test(9)).await[0].error, None, "{script}");
    }
}

#[tokio::test]
async fn only_the_chosen_kinds_are_sent() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("messages");
    let notifier = notifier(&format!(
        "kinds = [\"dead_letters\"]\ncommand = [\"/bin/sh\", \"-c\", \"cat >> {}\"]",
        file.display()
    ));
    notifier.send(dead("m"), None);
    let mut letters = dead("m");
    letters.condition.kind = ConditionKind::DeadLetters;
    notifier.send(letters, None);
    soon(notifier.finish()).await;
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("\"kind\":\"dead_letters\""), "{text}");
    // No message can be sent afterwards.
    notifier.send(dead("m"), None);
}

#[tokio::test]
async fn messages_are_bounded_by_the_hour() {
    let mut queues = Queues {
        queues: Vec::new(),
        tasks: JoinSet::new(),
        sent: VecDeque::new(),
        surplus: 0,
    };
    let start = Instant::now();
    let mut admitted = |after: Duration| (0..200).filter(|_| queues.admits(start + after)).count();
    assert_eq!(admitted(Duration::ZERO), 120);
    assert_eq!(admitted(HOUR - Duration::from_secs(1)), 0);
    assert_eq!(admitted(HOUR), 120);
}
