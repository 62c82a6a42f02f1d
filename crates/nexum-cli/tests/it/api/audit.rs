//! Audit records.

use std::process::Command;

use nexum_testing::Anvil;

use super::*;
use crate::control::{BLOCKS, done, start_on, until};

#[test]
fn each_command_leaves_a_record_and_a_question_leaves_none() {
    let running = Running::start("");
    let dir = &running.dir;
    let uid = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(dir.path()).expect("a directory"));
    let reloaded = dir.nexum(&["module", "reload", "echo", "--reason", "50 % größer\nforged: line"]);
    assert_eq!(reloaded.code, Some(0), "{}", reloaded.stderr);
    let stopped = dir.nexum(&["module", "stop", "echo"]);
    assert_eq!(stopped.code, Some(2), "{}", stopped.stderr);
    let loaded = dir.nexum(&["module", "load", "query-echo.wasm", "--name", "echo"]);
    assert!(loaded.stderr.contains("error[module-exists]"), "{}", loaded.stderr);
    for question in [
        &["status"][..],
        &["module", "list"],
        &["query", "echo", "--input", "hello"],
        &["query", "echo", "--input", "fail"],
        &["state", "list"],
        &["state", "export", "echo"],
        &["errors"],
    ] {
        assert!(dir.nexum(question).code < Some(2), "{question:?}");
    }
    let token = format!("DELETE /v1/modules/echo\nauthorization: Bearer {TOKEN}\nnexum-reason: no longer needed");
    assert_eq!(Answer::to(running.tcp(), &token, b"").status, 200);
    let purged = dir.nexum(&["state", "purge", "echo", "--yes", "--reason", "a new begin"]);
    assert_eq!(purged.code, Some(0), "{}", purged.stderr);
    let again = dir.nexum(&["state", "purge", "echo", "--yes"]);
    assert!(again.stderr.contains("error[state-not-found]"), "{}", again.stderr);
    let records = running.stop();
    let audit: Vec<_> = records
        .iter()
        .filter(|record| record["target"] == "nexum::audit")
        .collect();
    let whole = |command: &str, module: Option<&str>, reason: Value, outcome: &str| {
        (json!(command), json!(module), reason, json!(outcome))
    };
    let found: Vec<_> = audit
        .iter()
        .map(|record| {
            let field = |name: &str| record[name].clone();
            (field("command"), field("module"), field("reason"), field("outcome"))
        })
        .collect();
    let load = audit
        .iter()
        .find(|record| record["command"] == "module_load")
        .expect("a load");
    assert!(
        load["file"]
            .as_str()
            .is_some_and(|file| file.ends_with("/query-echo.wasm")),
        "{load}"
    );
    assert_eq!(
        found,
        [
            whole("module_reload", Some("echo"), json!("50 % größer\\nforged: line"), "ok"),
            whole("module_stop", Some("echo"), Value::Null, "module-has-no-events"),
            whole("module_load", None, Value::Null, "module-exists"),
            whole("module_remove", Some("echo"), json!("no longer needed"), "ok"),
            whole("state_purge", Some("echo"), json!("a new begin"), "ok"),
        ]
    );
    for (index, record) in audit.iter().enumerate() {
        assert_eq!(
            (&record["level"], &record["message"]),
            (&json!("INFO"), &json!("command"))
        );
        if index == 3 {
            assert_eq!(record["by"], "token");
            assert!(
                record["address"]
                    .as_str()
                    .is_some_and(|address| address.starts_with("127.0.0.1:"))
            );
            assert!(record["pid"].is_null());
        } else {
            assert_eq!(record["by"], json!(format!("uid {uid}")));
            assert!(
                record["pid"].as_u64() > Some(1) && record["address"].is_null(),
                "{record}"
            );
        }
    }
}

/// The sender, the command, its module, the reason and the outcome of a record.
fn shown(record: &Value) -> String {
    let field = |name: &str| record[name].as_str().unwrap_or("-").to_owned();
    ["by", "command", "module", "reason", "outcome"].map(field).join(" | ")
}

#[tokio::test]
async fn each_command_leaves_one_record_with_its_sender_reason_and_outcome() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    dir.guest("keeper");
    dir.write(
        "nexum.toml",
        format!("[capabilities]\nrequired = [\"store\"]\n{BLOCKS}[config]\nevery = \"fail\"\n"),
    );
    let noop = nexum_testing::guests::component("noop").display().to_string();
    let engine = format!(
        "[engine]\nlog_format = \"json\"\n[notify]\ncommand = [\"/bin/sh\", \"-c\", \"cat > message\"]\n\
         [[modules]]\npath = {noop:?}\n"
    );
    let (mut child, log) = start_on(&dir, &format!("rpc_url = {:?}\n", anvil.ws_url()), &engine, &["run"]);
    done(
        &dir,
        &["module", "load", "keeper.wasm", "--reason", "load"],
        "keeper is loaded",
    );
    anvil.mine(2).await;
    let letters = ["dead-letter", "list", "keeper", "--format", "json"];
    let two = until(&dir, &letters, |letters| letters[1].is_object()).await;
    let event = two[0]["event"].as_str().expect("an event");
    let commands = [
        (
            &["dead-letter", "retry", "keeper", event][..],
            "dead_letter_retry | keeper",
            "event-failed",
        ),
        (
            &["dead-letter", "skip", "keeper", event],
            "dead_letter_skip | keeper",
            "ok",
        ),
        (&["module", "stop", "keeper"], "module_stop | keeper", "ok"),
        (&["module", "start", "keeper"], "module_start | keeper", "ok"),
        (&["module", "restart", "keeper"], "module_restart | keeper", "ok"),
        (&["module", "reload", "keeper"], "module_reload | keeper", "ok"),
        (&["log-level", "info"], "log_level_set | -", "ok"),
        (&["log-level", "--reset"], "log_level_set | -", "ok"),
        (&["notify", "test"], "notify_test | -", "ok"),
        (&["reload"], "config_reload | -", "ok"),
        (&["module", "remove", "keeper"], "module_remove | keeper", "ok"),
    ];
    for (number, (command, _, outcome)) in commands.iter().enumerate() {
        let reason = format!("--reason=ticket {number}");
        let ran = dir.nexum(&[command, &[&*reason][..]].concat());
        assert_eq!(ran.code == Some(0), *outcome == "ok", "{command:?}: {}", ran.stderr);
    }
    let is_of_hangup = |line: &str| line.contains("nexum::audit") && line.contains("SIGHUP");
    let hang_up = || {
        let sent = Command::new("kill").args(["-HUP", &child.id().to_string()]).status();
        assert!(sent.expect("kill").success());
        log.until(is_of_hangup)
    };
    let mut lines = hang_up();
    dir.write("engine.toml", "[engine]\nstate_dir = 1\n");
    lines.extend(hang_up());
    terminate(&child);
    lines.extend(log.until(|_| false));
    assert_eq!(child.wait().expect("an end").code(), Some(0));
    let records: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .filter(|record: &Value| record["target"] == "nexum::audit")
        .collect();
    let uid = format!("uid {}", rustix::process::getuid().as_raw());
    let of_operator = commands
        .iter()
        .enumerate()
        .map(|(number, (_, command, outcome))| format!("{uid} | {command} | ticket {number} | {outcome}"));
    let loaded = format!("{uid} | module_load | keeper | load | ok");
    let of_signals = ["ok", "config-invalid"].map(|outcome| format!("SIGHUP | config_reload | - | - | {outcome}"));
    let found: Vec<_> = records.iter().map(shown).collect();
    let expected: Vec<_> = [loaded].into_iter().chain(of_operator).chain(of_signals).collect();
    assert_eq!(found, expected);
    for record in &records {
        let command = record["command"].as_str().expect("a command");
        assert_eq!(
            record["event"] == event,
            command.starts_with("dead_letter_"),
            "{record}"
        );
    }
}

#[tokio::test]
async fn a_command_whose_client_leaves_has_its_effect_and_its_record() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    dir.guest("noop");
    dir.write("nexum.toml", format!("[module]\nname = \"late\"\n{BLOCKS}"));
    let noop = nexum_testing::guests::component("noop").display().to_string();
    let engine = format!("[engine]\nlog_format = \"json\"\n[[modules]]\npath = {noop:?}\n");
    let (child, log) = start_on(&dir, &format!("rpc_url = {:?}\n", anvil.ws_url()), &engine, &["run"]);
    // An import that has not ended holds the loads, so the load waits.
    let export = crate::state::EXPORT;
    let (begin, rest) = export.split_once('\n').expect("lines");
    let connect = || UnixStream::connect(dir.path().join("data/nexum.sock")).expect("a connection");
    // The import skips empty lines. The write ends only if the import reads, because the lines are larger
    // than all buffers.
    let empty = "\n".repeat(4 << 20);
    let mut import = connect();
    let head = format!(
        "POST /v1/state/import HTTP/1.1\r\nhost: nexum\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{begin}\n{empty}",
        export.len() + empty.len()
    );
    import.write_all(head.as_bytes()).expect("half an import");
    let body = format!("{{\"path\": {:?}}}", dir.path().join("noop.wasm").display().to_string());
    let request = format!(
        "POST /v1/modules HTTP/1.1\r\nhost: nexum\r\nnexum-reason: left\r\n{JSON}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut client = connect();
    client.write_all(request.as_bytes()).expect("a request");
    let mut lines = log.until(|line| line.contains("every import counts as required") && line.contains("\"late\""));
    drop(client);
    let holder = format!("waits for state_import by uid {}", rustix::process::getuid().as_raw());
    let status = ["status", "--format", "json"];
    until(&dir, &status, |modules| modules.to_string().contains(&holder)).await;
    import.write_all(rest.as_bytes()).expect("the rest");
    lines.extend(log.until(|line| line.contains("nexum::audit") && line.contains("module_load")));
    let record: Value = serde_json::from_str(lines.last().expect("a record")).expect("JSON");
    assert_eq!(
        (&record["module"], &record["outcome"], &record["reason"]),
        (&json!("late"), &json!("ok"), &json!("left"))
    );
    let shown = dir.nexum(&["module", "list", "--format", "json"]).stdout;
    assert!(shown.contains("\"late\""), "{shown}");
    terminate(&child);
    assert_eq!(child.wait_with_output().expect("an end").status.code(), Some(0));
    // The operator's row survives too.
    assert!(dir.nexum(&["state", "list"]).stdout.contains("late"));
}
