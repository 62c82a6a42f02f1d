//! Audit records.

use super::*;

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
    let whole = |command: &str, module: &str, reason: Value, outcome: &str| {
        (json!(command), json!(module), reason, json!(outcome))
    };
    let found: Vec<_> = audit
        .iter()
        .map(|record| {
            let field = |name: &str| record[name].clone();
            (field("command"), field("module"), field("reason"), field("outcome"))
        })
        .collect();
    let file = running_file(&audit);
    assert_eq!(
        found,
        [
            whole("module_reload", "echo", json!("50 % größer\\nforged: line"), "ok"),
            whole("module_stop", "echo", Value::Null, "module-has-no-events"),
            whole("module_load", &file, Value::Null, "module-exists"),
            whole("module_remove", "echo", json!("no longer needed"), "ok"),
            whole("state_purge", "echo", json!("a new begin"), "ok"),
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
            assert!(record["uid"].is_null() && record["pid"].is_null());
        } else {
            assert_eq!(
                (&record["by"], &record["uid"]),
                (&json!(format!("uid {uid}")), &json!(uid))
            );
            assert!(
                record["pid"].as_u64() > Some(1) && record["address"].is_null(),
                "{record}"
            );
        }
    }
}

/// The file in the record of a refused load: the directory's name is random.
fn running_file(audit: &[&Value]) -> String {
    let load = audit.iter().find(|record| record["command"] == "module_load");
    let file = load.expect("a load")["module"].as_str().expect("a file");
    assert!(file.ends_with("/query-echo.wasm"), "{file}");
    file.to_owned()
}
