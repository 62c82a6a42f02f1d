//! Many clients, slow clients, and clients of another user.

use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::thread;

use super::*;

/// The user `nobody`, which owns no process of nexum.
const OTHER_UID: u32 = 65_534;

#[test]
fn a_hundred_clients_are_answered_at_once() {
    let running = Running::start("");
    let (socket, port) = (running.dir.path().join("data/nexum.sock"), running.port.clone());
    let to_socket = |request: &str, body: &[u8]| {
        let stream = UnixStream::connect(&socket).expect("a connection");
        Answer::to(stream, request, body)
    };
    let token = format!("authorization: Bearer {TOKEN}");
    thread::scope(|scope| {
        let clients: Vec<_> = (0..100)
            .map(|client| {
                let (to_socket, port, token) = (&to_socket, &port, &token);
                scope.spawn(move || match client % 4 {
                    0 => to_socket("GET /v1/modules", b""),
                    1 => to_socket("POST /v1/query/echo", b"hello"),
                    2 => to_socket("GET /v1/openapi.json", b""),
                    _ => {
                        let stream = TcpStream::connect(port).expect("a connection");
                        Answer::to(stream, &format!("GET /v1/modules/echo\n{token}"), b"")
                    }
                })
            })
            .collect();
        for client in clients {
            let answer = client.join().expect("a client");
            assert_eq!(answer.status, 200, "{answer}");
        }
    });
    running.stop();
}

#[test]
fn slow_clients_keep_no_other_out() {
    let running = Running::start("");
    // More than the connections of the socket and of the port together.
    let heads = [
        "",
        "GET /v1/mod",
        "POST /v1/modules/echo/reload HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n{",
    ];
    let mut sockets = Vec::new();
    let mut ports = Vec::new();
    for head in heads {
        for _ in 0..30 {
            let mut socket = running.socket();
            socket.write_all(head.as_bytes()).expect("half a request");
            sockets.push(socket);
        }
        for _ in 0..70 {
            let mut port = running.tcp();
            // The connection may have been replaced already.
            let _ = port.write_all(head.as_bytes());
            ports.push(port);
        }
    }
    // Clients that read nothing of their answers.
    for _ in 0..30 {
        let mut socket = running.socket();
        let request = "GET /v1/openapi.json HTTP/1.1\r\nhost: nexum\r\n\r\n".repeat(4);
        socket.write_all(request.as_bytes()).expect("requests");
        sockets.push(socket);
    }
    assert_eq!(running.ask("GET /v1/modules", b"").status, 200);
    assert_eq!(running.ask("POST /v1/query/echo", b"hello").body, b"hello");
    let authorized = format!("GET /v1/modules\nauthorization: Bearer {TOKEN}");
    assert_eq!(Answer::to(running.tcp(), &authorized, b"").status, 200);
    running.stop();
}

#[test]
fn another_user_cannot_use_the_socket() {
    let running = Running::start("");
    let socket = running.dir.path().join("data/nexum.sock");
    let mode = std::fs::metadata(&socket).expect("the socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let directory = std::fs::metadata(running.dir.path().join("data")).expect("the state directory");
    assert_eq!(directory.permissions().mode() & 0o777, 0o700);
    // Only root can become another user; CI runs the tests as root in a container too.
    if std::os::unix::fs::MetadataExt::uid(&directory) != 0 {
        running.stop();
        return;
    }
    // Only the mode of the socket is left.
    let program = running.dir.path().join("nexum");
    let linked = std::fs::hard_link(env!("CARGO_BIN_EXE_nexum"), &program);
    linked
        .or_else(|_| std::fs::copy(env!("CARGO_BIN_EXE_nexum"), &program).map(drop))
        .expect("the program");
    for directory in [running.dir.path(), &running.dir.path().join("data")] {
        std::fs::set_permissions(directory, PermissionsExt::from_mode(0o755)).expect("a mode");
    }
    let mut command = Command::new(program);
    command.current_dir(running.dir.path()).uid(OTHER_UID).gid(OTHER_UID);
    let output = command.arg("status").output().expect("a client");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(
        error.contains("nexum.sock") && error.contains("Permission denied"),
        "{error}"
    );
    assert!(
        error.contains("run this command as the user that runs nexum"),
        "{error}"
    );
    running.stop();
}

#[test]
fn a_fifth_list_of_records_waits_until_another_is_read() {
    let running = Running::start("");
    // Records that are together far larger than the buffers of a socket.
    let mut filling = running.socket();
    let reason = "r".repeat(450);
    for _ in 0..1_500 {
        let request = format!(
            "PUT /v1/log-level HTTP/1.1\r\nhost: nexum\r\nnexum-reason: {reason}\r\n{JSON}\r\ncontent-length: 2\r\n\r\n{{}}"
        );
        filling.write_all(request.as_bytes()).expect("a request");
        let mut answer = [0; 4_096];
        assert!(filling.read(&mut answer).expect("an answer") > 0);
    }
    let list = || {
        let mut stream = running.socket();
        let request = "GET /v1/logs?limit=10000 HTTP/1.1\r\nhost: nexum\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("a request");
        stream
    };
    let mut slow: Vec<_> = (0..4).map(|_| list()).collect();
    for stream in &mut slow {
        stream.read_exact(&mut [0]).expect("the begin of an answer");
    }
    let mut fifth = list();
    assert_eq!(running.ask("GET /v1/modules", b"").status, 200);
    fifth.set_nonblocking(true).expect("a mode");
    let early = fifth.read(&mut [0]).map_err(|error| error.kind());
    assert_eq!(early, Err(std::io::ErrorKind::WouldBlock));
    drop(slow.pop());
    fifth.set_nonblocking(false).expect("a mode");
    let mut answer = String::new();
    fifth.read_to_string(&mut answer).expect("an answer");
    assert!(
        answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with(']'),
        "{}",
        answer.len()
    );
    drop(slow);
    running.stop();
}
