//! The operator's page in a browser.
//!
//! Each test starts a daemon and a script of `page/` with Node.js, which opens the page in Chromium. `cargo xtask test`
//! fetches both the browser and the packages of the scripts.

mod browser;

use std::os::unix::fs::PermissionsExt;

use nexum_testing::{Anvil, AnvilOptions, guests};

use self::browser::Script;
use crate::Dir;
use crate::control::{json, until};
use crate::running::{Log, Started, spawn, terminate};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const OTHER_TOKEN: &str = "fedcba9876543210fedcba9876543210";

/// A name that is markup, for everything in which nexum shows the text of another.
const MARKUP: &str = "<img src=x onerror=alert(1)>";

const STATUS: [&str; 3] = ["status", "--format", "json"];

/// A daemon whose page is at a fixed address.
struct Site {
    dir: Dir,
    address: String,
    child: Started,
    log: Log,
}

impl Site {
    /// Starts a daemon with these tables, on a chain at `rpc_url`.
    fn start(rpc_url: &str, tables: &str) -> Self {
        let dir = Dir::new();
        dir.write("engine.toml", config("127.0.0.1:0", rpc_url, tables));
        write_token(&dir, TOKEN);
        let (child, log, address) = run(&dir);
        // The next start has the address of this one.
        dir.write("engine.toml", config(&address, rpc_url, tables));
        Self {
            dir,
            address,
            child,
            log,
        }
    }

    /// Starts a script with the page's URL and the token.
    fn open(&self, script: &str) -> Script {
        Script::start(script, &format!("http://{}", self.address), TOKEN)
    }

    fn restart(&mut self) {
        terminate(&self.child);
        self.log.until(|_| false);
        self.child.wait().expect("an end");
        (self.child, self.log, _) = run(&self.dir);
    }
}

fn config(address: &str, rpc_url: &str, tables: &str) -> String {
    format!(
        "[engine.restart]\nattempts_max = 2\nbackoff_ms = 1\nmax_consecutive_failures = 1000\n\
         [admin]\nlisten = {address:?}\ntoken_file = \"admin.token\"\n[chains.11155111]\nrpc_url = {rpc_url:?}\n{tables}"
    )
}

fn write_token(dir: &Dir, token: &str) {
    let path = dir.write("admin.token", format!("{token}\n"));
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).expect("a private file");
}

/// Starts the daemon of a directory. Returns the address of its port too.
fn run(dir: &Dir) -> (Started, Log, String) {
    let mut child = spawn(dir, &["run"]);
    let log = Log::of(&mut child);
    let record = "accepting commands with a token";
    let lines = log.until_all(&[record, "modules are loaded"]);
    let address = crate::running::address(&lines, record);
    (child, log, address)
}

fn module(name: &str, guest: &str, more: &str) -> String {
    let path = guests::component(guest).display().to_string();
    format!("[[modules]]\nname = {name:?}\npath = {path:?}\n{more}")
}

/// A chain with a block each second.
fn chain() -> Anvil {
    Anvil::start_with(&AnvilOptions {
        extra_args: ["--block-time", "1"].map(str::to_owned).to_vec(),
        ..AnvilOptions::default()
    })
}

#[tokio::test]
async fn an_operator_sees_everything_with_mouse_keys_and_a_narrow_screen() {
    let anvil = chain();
    let refused = format!("[[modules]]\npath = \"{MARKUP}.wasm\"\n");
    let tables = [
        module("blocks", "noop", "manifest = \"blocks.toml\"\n"),
        module("panic", "panic", ""),
        module("echo", "query-echo", ""),
        module(
            "work",
            "workload",
            "[modules.config]\nrequests = \"3\"\nwrites = \"4\"\nbytes = \"10\"\n",
        ),
        refused,
    ];
    let manifest = format!(
        "[module]\ndescription = \"{MARKUP} \\u202Edaer\"\n[[subscription]]\nkind = \"block\"\nchain_id = 11155111\n"
    );
    let dir = Dir::new();
    dir.write("blocks.toml", &manifest);
    let tables = tables
        .concat()
        .replace("\"blocks.toml\"", &format!("{:?}", dir.path().join("blocks.toml")));
    let site = Site::start(&anvil.ws_url(), &tables);
    let reason = ["log-level", "info", "--reason", MARKUP];
    let ran = site.dir.nexum(&reason);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    until(&site.dir, &STATUS, |modules| {
        let letters = |module: &serde_json::Value| module["dead_letters"].as_u64() > Some(0);
        modules.as_array().is_some_and(|modules| modules.iter().any(letters))
    })
    .await;
    site.open("views.mjs").finish();
}

#[tokio::test]
async fn two_hundred_modules_with_a_hundred_events_a_second_are_shown() {
    let anvil = chain();
    let modules: String = (0..200)
        .map(|number| module(&format!("watch-{number:03}"), "noop", ""))
        .collect();
    let site = Site::start(&anvil.ws_url(), &modules);
    assert_eq!(json(&site.dir, &STATUS).as_array().map(Vec::len), Some(200));
    site.open("crowd.mjs").finish();
}

#[tokio::test]
async fn the_page_continues_after_a_restart_and_asks_for_another_token() {
    let anvil = chain();
    let mut site = Site::start(&anvil.ws_url(), &module("watch", "noop", ""));
    let mut script = site.open("restart.mjs");
    script.until("sees events");
    site.restart();
    script.say("restarted");
    script.until("sees events again");
    write_token(&site.dir, OTHER_TOKEN);
    let reloaded = site.dir.nexum(&["reload"]);
    assert_eq!(reloaded.code, Some(0), "{}", reloaded.stderr);
    script.say("another token");
    script.finish();
}

#[tokio::test]
async fn the_files_of_the_page_need_no_token_and_the_data_do() {
    let anvil = Anvil::start();
    let site = Site::start(&anvil.ws_url(), &module("watch", "noop", ""));
    let client = nexum_net::http_client().no_proxy().build().expect("a client");
    let get = async |path: &str, headers: &[(&str, &str)]| {
        let request = client.get(format!("http://{}{path}", site.address));
        let request = headers
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, *value));
        request.send().await.expect("an answer")
    };
    for path in ["/", "/page/page.js", "/page/page.css", "/page/uPlot.esm.js"] {
        let answer = get(path, &[]).await;
        assert_eq!(answer.status(), 200, "{path}");
        let header = |name: &str| {
            answer
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
        };
        let policy = header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"),
            "{policy}"
        );
        assert!(
            !policy.contains("unsafe") && policy.contains("form-action 'none'"),
            "{policy}"
        );
        for (name, value) in [
            ("cache-control", "no-cache"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(header(name), value, "{path} {name}");
        }
        let version = header("etag").to_owned();
        let again = get(path, &[("if-none-match", &version)]).await;
        assert_eq!(again.status(), 304, "{path} {version}");
        assert_eq!(get(path, &[("if-none-match", "\"old\"")]).await.status(), 200, "{path}");
    }
    for path in [
        "/v1/modules",
        "/page",
        "/page/",
        "/page/vendor/README.md",
        "/index.html",
    ] {
        assert_eq!(get(path, &[]).await.status(), 401, "{path}");
    }
    let authorization = format!("Bearer {TOKEN}");
    let answer = get(
        "/v1/modules",
        &[("authorization", &authorization), ("origin", "http://example.com")],
    )
    .await;
    assert_eq!(answer.status(), 403);
}
