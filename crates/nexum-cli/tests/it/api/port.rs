//! The TCP port.

use std::io::ErrorKind;

use nexum_testing::WAIT_MAX;

use super::*;

/// The answer to a request on the port, with this header.
fn ask(running: &Running, request: &str, header: &str, body: &[u8]) -> Answer {
    let request = match header.is_empty() {
        true => request.to_owned(),
        false => format!("{request}\n{header}"),
    };
    Answer::to(running.tcp(), &request, body)
}

#[test]
fn nothing_is_answered_without_the_token() {
    // The log of every level must not have the token.
    let running = Running::start("log_level = \"trace\"\n");
    let wrong = format!("authorization: Bearer {}", TOKEN.replace('0', "1"));
    let basic = format!("authorization: Basic {TOKEN}");
    let large = vec![b'a'; TEN_MEGABYTES];
    for header in ["", "authorization: Bearer", &wrong, &basic] {
        for (request, body) in [
            ("GET /v1/modules", &b""[..]),
            ("GET /v1/openapi.json", b""),
            ("GET /nothing", b""),
            ("PUT /v1/modules", b""),
            ("POST /v1/modules/echo/reload", b""),
            ("DELETE /v1/modules/echo", b""),
            ("POST /v1/query/echo", &large),
            ("POST /v1/state/import", &large),
        ] {
            let answer = ask(&running, request, header, body);
            assert_eq!(
                (answer.status, answer.code()),
                (401, json!("unauthorized")),
                "{request} {header}"
            );
            assert!(answer.head.contains("www-authenticate: bearer"), "{}", answer.head);
        }
    }
    let right = format!("authorization: Bearer {TOKEN}");
    let page = format!("{right}\norigin: http://example.com");
    let answer = ask(&running, "GET /v1/modules", &page, b"");
    assert_eq!((answer.status, answer.code()), (403, json!("browser-refused")));
    assert_eq!(ask(&running, "GET /v1/modules", &right, b"").json()[0]["name"], "echo");
    assert_eq!(ask(&running, "POST /v1/query/echo", &right, b"hello").body, b"hello");
    assert_eq!(ask(&running, "GET /nothing", &right, b"").code(), "path-not-found");
    let json = format!("{right}\n{JSON}");
    for (request, body) in [
        ("POST /v1/modules", "{\"path\": \"/a.wasm\"}"),
        ("POST /v1/state", "{\"backup\": {\"file\": \"/a.redb\"}}"),
    ] {
        let answer = ask(&running, request, &json, body.as_bytes());
        assert_eq!((answer.status, answer.code()), (403, json!("local-only")), "{request}");
    }
    let records = running.stop();
    assert!(!json!(records).to_string().contains(TOKEN));
    let refusals = records
        .iter()
        .filter(|record| record["message"] == "a request has no valid token");
    let refusals: Vec<_> = refusals.collect();
    // The requests are seconds apart, and the log has one record a minute.
    assert_eq!(refusals.len(), 1, "{refusals:#?}");
    assert_eq!(refusals[0]["level"], "WARN");
    let address = refusals[0]["address"].as_str().expect("an address");
    assert!(address.starts_with("127.0.0.1:"), "{address}");
}

#[test]
fn a_port_without_a_private_token_is_refused() {
    let dir = Dir::new();
    dir.guest("query-echo");
    dir.write(
        "nexum.toml",
        "[module]\nname = \"echo\"\n[capabilities]\nrequired = [\"store\"]\n",
    );
    let secret = dir.write("secret", TOKEN);
    let public = dir.write("public", TOKEN);
    let short = dir.write("short", "secret");
    for (path, mode) in [(&secret, 0o600), (&public, 0o644), (&short, 0o600)] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("a mode");
    }
    let mut report = String::new();
    for admin in [
        "listen = \"127.0.0.1:0\"",
        "listen = \"0.0.0.0:0\"\ntoken_file = \"secret\"",
        "listen = \"here\"\ntoken_file = \"secret\"",
        "listen = \"127.0.0.1:0\"\ntoken_file = \"public\"",
        "listen = \"127.0.0.1:0\"\ntoken_file = \"short\"",
        "listen = \"127.0.0.1:0\"\ntoken_file = \"missing\"",
        "listen = \"127.0.0.1:0\"\ntoken_file = \"/dev/zero\"",
        "token = \"secret\"",
    ] {
        dir.write(
            "engine.toml",
            format!("[admin]\n{admin}\n[[modules]]\npath = \"query-echo.wasm\"\n"),
        );
        let checked = dir.nexum(&["check"]);
        assert_eq!(checked.code, Some(2), "{admin}");
        let ran = dir.nexum(&["run"]);
        assert_eq!((ran.code, &ran.stderr), (Some(2), &checked.stderr), "{admin}");
        report += &format!("{admin}\n{}\n", checked.stderr);
    }
    insta::assert_snapshot!(report);
    let admin = "[admin]\nlisten = \"0.0.0.0:0\"\ntoken_file = \"secret\"\nallow_remote = true\n";
    dir.write(
        "engine.toml",
        format!("{admin}[[modules]]\npath = \"query-echo.wasm\"\n"),
    );
    let checked = dir.nexum(&["check"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
}

#[test]
fn a_reload_replaces_the_token_of_the_open_port() {
    let running = Running::start("");
    let mut reader = running.tcp();
    reader.set_read_timeout(Some(WAIT_MAX)).expect("a timeout");
    let request = format!("GET /v1/logs?follow=true HTTP/1.1\r\nhost: nexum\r\nauthorization: Bearer {TOKEN}\r\n\r\n");
    reader.write_all(request.as_bytes()).expect("a request");
    // The stream has begun.
    let mut status = [0; 12];
    reader.read_exact(&mut status).expect("an answer");
    assert_eq!(&status, b"HTTP/1.1 200");
    let new = TOKEN.replace('0', "1");
    // The file keeps its mode.
    running.dir.write("admin.token", format!("{new}\n"));
    let reloaded = running.dir.nexum(&["reload", "--reason", "a new token"]);
    assert_eq!(reloaded.code, Some(0), "{}", reloaded.stderr);
    for (token, status) in [(TOKEN, 401), (new.as_str(), 200)] {
        let header = format!("authorization: Bearer {token}");
        assert_eq!(ask(&running, "GET /v1/modules", &header, b"").status, status, "{token}");
    }
    // The stream of the old token ends, and without the event of a daemon that stops.
    let mut rest = Vec::new();
    let end = reader.read_to_end(&mut rest).map_err(|error| error.kind());
    assert_ne!(end, Err(ErrorKind::WouldBlock));
    assert!(!String::from_utf8_lossy(&rest).contains("event: end"));
    let records = running.stop();
    let audit: Vec<_> = records
        .iter()
        .filter(|record| record["command"] == "config_reload")
        .collect();
    assert_eq!(audit.len(), 1, "{audit:#?}");
    assert_eq!(
        (&audit[0]["reason"], &audit[0]["outcome"]),
        (&json!("a new token"), &json!("ok"))
    );
    let by = audit[0]["by"].as_str().expect("a sender");
    assert!(by.starts_with("uid "), "{by}");
}
