//! Where a command may connect to.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;

use super::printed;
use crate::Dir;

/// A server on this machine that answers one client, and says what it heard.
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
        assert!(printed(&ran).contains("access-denied"), "{options:?}: {}", ran.stdout);
    }
    listener.set_nonblocking(true).expect("a mode");
    assert!(listener.accept().is_err(), "somebody has connected");
}

#[test]
fn learns_only_of_names_that_were_named() {
    let dir = Dir::new();
    for (options, name, expected) in [
        (
            &["--allow-net", "localhost:1"][..],
            "localhost",
            "ok: [\"127.0.0.1\", \"::1\"]",
        ),
        (
            &["--allow-net", "localhost:1"],
            "LOCALHOST.",
            "ok: [\"127.0.0.1\", \"::1\"]",
        ),
        (&[], "192.0.2.7", "ok: [\"192.0.2.7\"]"),
        (&["--allow-net", "localhost:1"], "example.com", "access-denied"),
        (&["--allow-net", "127.0.0.1:1"], "localhost", "access-denied"),
        (&[], "localhost", "access-denied"),
    ] {
        let ran = dir.run_errand(options, &["resolve", name]);
        assert!(printed(&ran).contains(expected), "{options:?} {name}: {}", ran.stdout);
    }
}

#[test]
fn neither_listens_nor_sends_datagrams() {
    let dir = Dir::new();
    let options = ["--allow-net", "localhost:53", "--allow-net", "127.0.0.1:9053"];
    for args in [
        &["listen"][..],
        &["udp"],
        &["bind", "127.0.0.1:9053"],
        &["bind", "0.0.0.0:9053"],
    ] {
        let ran = dir.run_errand(&options, args);
        assert!(printed(&ran).contains("access-denied"), "{args:?}: {}", ran.stdout);
    }
}

/// Whatever this machine is called and resolves that to, it is no public server.
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
