//! Two daemons on one real PostgreSQL and one real chain share their modules.

use std::collections::BTreeMap;

use nexum_testing::{Anvil, Postgres, guests};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json as value};

use crate::control::{json, until};
use crate::metrics::{Exporting, documented};
use crate::running::{Log, RUNNING, spawn, terminate};
use crate::{Dir, Ran};

/// The modules, which record their events.
const MODULES: [&str; 4] = ["one", "two", "three", "four"];

pub(crate) const STATUS: [&str; 4] = ["cluster", "status", "--format", "json"];

/// A database, a chain, and a directory for each node.
struct Site {
    server: Postgres,
    schema: String,
    anvil: Anvil,
    dirs: [Dir; 2],
}

impl Site {
    /// A site with the tables of an installation.
    fn new() -> Self {
        let server = Postgres::start();
        let site = Self {
            schema: server.new_schema(),
            server,
            anvil: Anvil::start(),
            dirs: [Dir::new(), Dir::new()],
        };
        for (dir, node) in site.dirs.iter().zip(["node-a", "node-b"]) {
            dir.write("engine.toml", site.config(node));
        }
        let made = site.ran(0, &["cluster", "init"]);
        assert!(made.starts_with("created nexum_fence, nexum_group, "), "{made}");
        site
    }

    /// The tables of a database.
    fn store(&self) -> String {
        format!(
            "[store]\nbackend = \"postgres\"\nurl = {:?}\npassword_file = {:?}\nschema = {:?}\n",
            self.server.url(),
            self.server.password_file().display().to_string(),
            self.schema,
        )
    }

    fn config(&self, node: &str) -> String {
        let path = guests::component("journal").display().to_string();
        let module = |name| format!("[[modules]]\nname = {name:?}\npath = {path:?}\n");
        format!(
            "[cluster]\nnode = {node:?}\naddress = \"{node}.example:9466\"\nlease_ttl_ms = 10_000\n\
             [chains.11155111]\nrpc_url = {:?}\n{}{}",
            self.anvil.ws_url(),
            self.store(),
            MODULES.map(module).concat(),
        )
    }

    /// Starts a node, and waits until it has joined and its modules are compiled.
    fn start(&self, node: usize) -> Exporting {
        let name = ["node-a", "node-b"][node];
        let records = ["metrics can be read", "the node has joined", "modules are loaded"];
        Exporting::start_until(&self.dirs[node], &self.config(name), &records)
    }

    fn nexum(&self, node: usize, args: &[&str]) -> Ran {
        self.dirs[node].nexum(args)
    }

    /// The output of a command that succeeds.
    fn ran(&self, node: usize, args: &[&str]) -> String {
        let ran = self.nexum(node, args);
        assert_eq!(ran.code, Some(0), "{args:?}: {}{}", ran.stdout, ran.stderr);
        ran.stdout
    }

    /// Waits until the node of each module satisfies the test. The command runs on the other machine.
    async fn until_owned(&self, holds: impl Fn(&BTreeMap<String, String>) -> bool) -> BTreeMap<String, String> {
        let status = until(&self.dirs[1], &STATUS, |status| holds(&owners(status))).await;
        owners(&status)
    }

    /// Mines blocks, and waits until the journal of every module has every block of the chain since the first
    /// one of the module. `node` answers.
    async fn has_all(&self, node: usize, blocks: u64) {
        self.anvil.mine(blocks).await;
        let head = self.anvil.request("eth_blockNumber", value!([])).await;
        let head =
            u64::from_str_radix(head.as_str().expect("a number").trim_start_matches("0x"), 16).expect("a number");
        for module in MODULES {
            let entry = |index: u64| {
                let key = format!("{index:010}");
                self.nexum(node, &["state", "get", module, &key, "--utf8"])
            };
            let first = until_some(|| Some(entry(0)).filter(|ran| ran.code == Some(0)))
                .await
                .stdout;
            let number = |text: &str| -> u64 {
                let number = text.split(' ').nth(1).expect("a number");
                number.parse().expect("a number")
            };
            for (index, block) in (number(&first)..=head).enumerate() {
                let index = u64::try_from(index).expect("a number");
                let text = until_some(|| Some(entry(index)).filter(|ran| ran.code == Some(0)))
                    .await
                    .stdout;
                let at = value!([format!("0x{block:x}"), false]);
                let found = self.anvil.request("eth_getBlockByNumber", at).await;
                let hash = found["hash"].as_str().expect("a hash").trim_start_matches("0x");
                assert_eq!(text.trim_end(), format!("block {block} {hash}"), "{module}");
            }
            let beyond = entry(head + 1 - number(&first));
            assert_ne!(
                beyond.code,
                Some(0),
                "{module} has handled an event twice: {}",
                beyond.stdout
            );
        }
    }
}

/// The node of each module that has one.
pub(crate) fn owners(status: &Value) -> BTreeMap<String, String> {
    let modules = status["modules"].as_array().expect("modules").iter();
    let owner = |module: &Value| {
        let text = |key: &str| module[key].as_str().map(str::to_owned);
        Some((text("module")?, text("node")?))
    };
    modules.filter_map(owner).collect()
}

/// The number of modules of a node.
fn share(owners: &BTreeMap<String, String>, node: &str) -> usize {
    owners.values().filter(|owner| *owner == node).count()
}

/// Repeats until there is a value.
async fn until_some<T>(value: impl Fn() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + crate::metrics::WAIT_MAX;
    loop {
        if let Some(value) = value() {
            return value;
        }
        assert!(tokio::time::Instant::now() < deadline, "nothing in time");
        tokio::time::sleep(crate::metrics::PAUSE).await;
    }
}

fn kill(node: &Exporting) {
    let pid = Pid::from_raw(node.id().try_into().expect("a process id")).expect("a process id");
    kill_process(pid, Signal::KILL).expect("a signal");
}

/// The first module of a node.
fn module_of<'a>(owners: &'a BTreeMap<String, String>, node: &str) -> &'a str {
    let found = owners.iter().find(|(_, owner)| *owner == node);
    found.expect("a module of the node").0
}

#[tokio::test]
async fn modules_move_between_nodes_and_lose_nothing() {
    let site = Site::new();
    assert_eq!(
        site.ran(1, &["cluster", "init"])
            .lines()
            .next()
            .map(|line| line.starts_with("all tables exist")),
        Some(true)
    );
    let a = site.start(0);
    // The first node has all modules, and keeps them until an operator moves some.
    let is_shared = |owners: &BTreeMap<String, String>| share(owners, "node-a") == 2 && share(owners, "node-b") == 2;
    site.until_owned(|owners| share(owners, "node-a") == MODULES.len())
        .await;
    let b = site.start(1);
    for module in ["one", "two"] {
        let moved = site.ran(0, &["cluster", "move", module, "node-b"]);
        assert!(moved.starts_with(&format!("{module} moves to node-b")), "{moved}");
    }
    let owners = site.until_owned(is_shared).await;
    site.has_all(0, 3).await;

    // Each node says who runs a module, and refuses commands about a module of the other one.
    let (of_a, of_b) = (
        module_of(&owners, "node-a").to_owned(),
        module_of(&owners, "node-b").to_owned(),
    );
    for (node, other) in [(0, &of_b), (1, &of_a)] {
        until(&site.dirs[node], &["status", "--format", "json"], |modules| {
            let mut modules = modules.as_array().expect("modules").iter();
            modules.all(|module| {
                let owner = &owners[module["name"].as_str().expect("a name")];
                let is_own = *owner == ["node-a", "node-b"][node];
                module["node"] == *owner && (module["stage"] == "standby") != is_own
            })
        })
        .await;
        let text = site.ran(node, &["status"]);
        assert!(text.contains(" NODE ") && text.contains("standby"), "{text}");
        let refused = site.nexum(node, &["module", "restart", other]);
        assert_eq!(refused.code, Some(2), "{}", refused.stdout);
        let name = ["node-b", "node-a"][node];
        let reason = format!("error[module-elsewhere]: this node does not run the module: runs on the node {name}");
        assert!(refused.stderr.starts_with(&reason), "{}", refused.stderr);
        let remedy = format!("`nexum cluster move {other} NODE`");
        assert!(refused.stderr.contains(&remedy), "{}", refused.stderr);
    }
    let text = site.ran(0, &["cluster", "status"]);
    assert!(
        text.contains("node-a.example:9466") && text.contains("2 of 4"),
        "{text}"
    );

    // An operator moves a module, whose rows the new node has read before.
    let moved = site.ran(0, &["cluster", "move", &of_a, "node-b"]);
    assert_eq!(moved, format!("{of_a} moves to node-b: see `nexum cluster status`\n"));
    site.until_owned(|owners| owners.get(&of_a).is_some_and(|node| node == "node-b"))
        .await;
    site.has_all(1, 2).await;
    let history = json(&site.dirs[0], &["cluster", "history", &of_a, "--format", "json"]);
    let changes = history.as_array().expect("a list");
    assert!(changes.iter().all(|change| change["module"] == *of_a), "{history:#}");
    assert_eq!(
        (&changes[0]["to_node"], &changes[1]["from_node"]),
        (&value!("node-b"), &value!("node-a")),
        "{history:#}"
    );
    let why = changes[1]["why"].as_str().expect("a reason");
    assert!(
        why.contains("an operator has moved the module to the node node-b"),
        "{why}"
    );
    site.ran(0, &["cluster", "move", &of_a, "--anywhere"]);

    // A node is killed. The other one continues its modules.
    kill(&a);
    drop(a);
    site.until_owned(|owners| share(owners, "node-b") == MODULES.len())
        .await;
    site.has_all(1, 3).await;
    let history = site.ran(1, &["cluster", "history", "--limit", "50"]);
    assert!(history.contains("node-a is dead"), "{history}");

    // It comes back, and the other one is drained and stopped.
    let a = site.start(0);
    site.ran(0, &["cluster", "drain", "node-b"]);
    site.until_owned(|owners| share(owners, "node-a") == MODULES.len())
        .await;
    let text = site.ran(0, &["cluster", "status"]);
    assert!(text.contains("draining") && text.contains("0 of 4"), "{text}");
    site.has_all(0, 2).await;
    site.ran(1, &["cluster", "drain", "--undo"]);
    site.until_owned(is_shared).await;
    a.stop();
    site.until_owned(|owners| share(owners, "node-b") == MODULES.len())
        .await;
    site.has_all(1, 2).await;
    b.stop();
    let ended = site.nexum(0, &["cluster", "status"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert!(ended.stdout.contains("no node is live"), "{}", ended.stdout);
    for (args, expected) in [
        (
            &["cluster", "move", "five", "node-a"][..],
            "error[module-not-found]: the installation has no module five",
        ),
        (
            &["cluster", "move", "one", "node-c"],
            "error[node-not-found]: the installation has no node node-c",
        ),
        (
            &["cluster", "drain", "node-c"],
            "error[node-not-found]: the installation has no node node-c",
        ),
    ] {
        let refused = site.nexum(0, args);
        assert_eq!(refused.code, Some(2), "{args:?}");
        assert!(refused.stderr.starts_with(expected), "{}", refused.stderr);
    }
}

#[tokio::test]
async fn a_node_has_the_metrics_of_its_installation() {
    let site = Site::new();
    let a = site.start(0);
    site.until_owned(|owners| share(owners, "node-a") == MODULES.len())
        .await;
    let text = a
        .until("/metrics", |_, text| {
            // A survey that claims modules still counts them.
            let series = ["nexum_cluster_owned_groups 4\n", "nexum_cluster_unowned_groups 0\n"];
            series.iter().all(|series| text.contains(series))
        })
        .await;
    for (metric, kind) in documented()
        .iter()
        .filter(|(metric, _)| metric.starts_with("nexum_cluster_"))
    {
        assert!(text.contains(&format!("# TYPE {metric} {kind}\n")), "{metric}: {text}");
    }
    assert!(text.contains("nexum_cluster_lease_ttl_seconds 10\n"), "{text}");
    a.until("/readyz", |status, _| status == 200).await;
    a.stop();
}

#[tokio::test]
async fn a_single_process_on_the_database_runs_all_modules_and_needs_the_tables() {
    let server = Postgres::start();
    let site = Site {
        schema: server.new_schema(),
        server,
        anvil: Anvil::start(),
        dirs: [Dir::new(), Dir::new()],
    };
    let config = site.config("node-a");
    let start = config.find("[chains").expect("a table");
    let alone = &config[start..];
    site.dirs[0].write("engine.toml", alone);
    let without = site.nexum(0, &["run"]);
    assert_eq!(without.code, Some(2), "{}", without.stderr);
    assert!(without.stderr.contains("`nexum cluster init`"), "{}", without.stderr);
    let states = || {
        let found = json(&site.dirs[0], &["check", "--online", "--format", "json"]);
        let findings = found["online"].as_array().expect("findings").clone();
        let of_database = findings.into_iter().filter(|finding| finding["area"] == "database");
        of_database.map(|finding| finding["state"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(states(), ["failure"]);
    let made = json(&site.dirs[0], &["cluster", "init", "--format", "json"]);
    // The server has no standby.
    assert_eq!(states(), ["warning"]);
    assert_eq!(
        (&made["schema"], &made["existing"]),
        (&value!(site.schema), &value!([]))
    );
    assert!(
        made["created"].as_array().is_some_and(|tables| tables.len() >= 6),
        "{made:#}"
    );
    assert!(!made.to_string().contains(site.server.password()), "{made:#}");
    let running = Exporting::start(&site.dirs[0], alone);
    site.has_all(0, 2).await;
    let second = Dir::new();
    second.write("engine.toml", alone);
    let refused = second.nexum(&["run"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("is in use by nexum run"), "{}", refused.stderr);
    running.stop();

    // After a power failure, the database may start later.
    site.server.crash();
    let mut child = spawn(&site.dirs[0], &["run"]);
    let log = Log::of(&mut child);
    log.until(|line| line.contains("nexum waits for the database"));
    site.server.restart();
    log.until_all(&RUNNING);
    site.has_all(0, 1).await;
    terminate(&child);
    assert_eq!(child.wait_with_output().expect("an end").status.code(), Some(0));
}

#[test]
fn the_table_of_a_node_has_its_errors() {
    let dir = Dir::new();
    let path = guests::component("query-echo").display().to_string();
    let module = format!("[[modules]]\npath = {path:?}\n");
    let store = "[store]\nbackend = \"postgres\"\nurl = \"postgres://nexum@127.0.0.1:1/nexum\"\n";
    let errors = |cluster: &str, store: &str| {
        dir.write("engine.toml", format!("[cluster]\n{cluster}{store}{module}"));
        let checked = dir.nexum(&["check"]);
        (checked.code, checked.stderr)
    };
    let (code, text) = errors(
        "node = \"node a\"\nlease_ttl_ms = 10\nweight = 0\nwarm = \"following\"\n",
        store,
    );
    assert_eq!(code, Some(2));
    insta::assert_snapshot!(text);
    let (code, text) = errors("", "");
    assert_eq!(code, Some(2));
    insta::assert_snapshot!(text, @r#"
    error: engine.toml:1:1: cluster: only nodes with the back-end postgres share one state
      hint: set `[store] backend = "postgres"`, or remove [cluster] to run alone
    "#);
    assert_eq!(errors("", store), (Some(0), String::new()));

    // The default name is that of the machine, and nothing shows the table without it.
    let shown = dir.nexum(&["config", "show", "--effective"]).stdout;
    assert!(shown.contains("[cluster]\n# node has no value"), "{shown}");
    assert!(shown.contains("lease_ttl_ms = 5000"), "{shown}");
    assert!(shown.contains("cursor_flush_ms = 10000"), "{shown}");
    dir.write("engine.toml", &module);
    let shown = dir.nexum(&["config", "show", "--effective"]).stdout;
    assert!(!shown.contains("[cluster]"), "{shown}");
    let refused = dir.nexum(&["cluster", "status"]);
    assert_eq!(refused.code, Some(2));
    insta::assert_snapshot!(refused.stderr, @r#"
    error: the configuration names no database that nodes can share
      hint: set `[store] backend = "postgres"` and `url`, or name another file with --config
    "#);
}
