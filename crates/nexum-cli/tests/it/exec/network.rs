//! The destinations that a command may connect to.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;

use super::{printed, went};
use crate::Dir;

/// The guest's error for a denied connection.
const DENIED: &str = "access-denied";

/// A server on this machine that answers one client. The thread returns the received request.
fn server() -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    let serve = move || {
        let (mut client, _) = listener.accept().expect("a client");
        let mut heard = [0; 5];
        client.read_exact(&mut heard).expect("a word");
        client.write_all(b"welcome").expect("a client that listens");
        String::from_utf8_lossy(&heard).into_owned()
    };
    (address, std::thread::spawn(serve))
}

#[test]
fn connects_to_the_address_that_was_named() {
    let dir = Dir::new();
    for host in ["127.0.0.1", "localhost"] {
        let (address, heard) = server();
        let destination = format!("{host}:{}", address.port());
        let ran = dir.run_errand(&["--allow-net", &destination], &["connect", &address.to_string()]);
        assert_eq!(printed(&ran), "ok: \"welcome\"\n", "{}", ran.stderr);
        assert_eq!(heard.join().expect("a server"), "hello");
    }
}

#[test]
fn connects_nowhere_else() {
    let dir = Dir::new();
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    let other_port = format!("127.0.0.1:{}", address.port() ^ 1);
    let other_address = format!("127.0.0.2:{}", address.port());
    for options in [
        &[][..],
        &["--allow-net", &other_port],
        &["--allow-net", &other_address],
        &["--allow-net", "[2001:db8::1]:443", "--allow-net", &other_port],
    ] {
        let ran = dir.run_errand(options, &["connect", &address.to_string()]);
        assert!(printed(&ran).contains(DENIED), "{options:?}: {}", ran.stdout);
    }
    listener.set_nonblocking(true).expect("a mode");
    assert!(listener.accept().is_err(), "somebody has connected");
}

#[test]
fn learns_only_of_names_that_were_named() {
    let dir = Dir::new();
    let errands: [&[&str]; 4] = [
        &["resolve", "192.0.2.7"],
        &["resolve", "localhost"],
        &["resolve", "LOCALHOST."],
        &["resolve", "example.com"],
    ];
    let both = "ok: [\"127.0.0.1\", \"::1\"]";
    for (options, expected) in [
        (&["--allow-net", "localhost:1"][..], [both, both, DENIED]),
        (&["--allow-net", "127.0.0.1:1"], [DENIED; 3]),
        (&[], [DENIED; 3]),
    ] {
        let went = went(&dir, options, &errands);
        assert_eq!(went[0], "ok: [\"192.0.2.7\"]");
        for (line, expected) in went[1..].iter().zip(expected) {
            assert!(line.contains(expected), "{options:?}: {line}");
        }
    }
}

#[test]
fn neither_listens_nor_sends_datagrams() {
    let dir = Dir::new();
    let options = ["--allow-net", "localhost:53", "--allow-net", "127.0.0.1:9053"];
    let errands: [&[&str]; 4] = [
        &["listen"],
        &["udp"],
        &["bind", "127.0.0.1:9053"],
        &["bind", "0.0.0.0:9053"],
    ];
    for (line, errand) in went(&dir, &options, &errands).iter().zip(errands) {
        assert!(line.contains(DENIED), "{errand:?}: {line}");
    }
}

/// The name of this machine never counts as a public server, whatever its address is.
#[test]
fn a_name_of_this_machine_is_refused() {
    let dir = Dir::new();
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    let destination = format!("{}:80", name.trim());
    let ran = dir.run_errand(&["--allow-net", &destination], &["exit", "0"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{}", ran.stderr);
    let refused = ["which is not public", "cannot resolve"];
    assert!(refused.iter().any(|part| ran.stderr.contains(part)), "{}", ran.stderr);
}
