//! The way of a node to the database: a proxy that can stop forwarding.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use anyhow::Result;
use parking_lot::{Condvar, Mutex};

/// The most bytes that a thread holds while a direction is cut. The sockets hold more.
const CHUNK_BYTES: usize = 16 << 10;

/// A proxy from a port of this machine to the server's socket. It ends with the task.
pub(crate) struct Link {
    port: u16,
    shared: Arc<Shared>,
}

/// The directions that a cut affects.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Way {
    Both,
    ToServer,
    FromServer,
}

/// The end of a cut, for the connections.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Heal {
    /// The delayed bytes arrive, as after a network has recovered.
    Deliver,
    /// The connections break, and the delayed bytes are lost.
    Reset,
}

/// Which directions are cut.
#[derive(Debug, Clone, Copy, Default)]
struct Cut {
    to_server: bool,
    from_server: bool,
    /// The number of resets so far. A connection of an earlier one is broken.
    resets: u64,
}

impl Cut {
    fn has(self, direction: Direction) -> bool {
        match direction {
            Direction::ToServer => self.to_server,
            Direction::FromServer => self.from_server,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Direction {
    ToServer,
    FromServer,
}

struct Shared {
    server: PathBuf,
    cut: Mutex<Cut>,
    changed: Condvar,
    /// The open connections by number, for a reset.
    open: Mutex<BTreeMap<u64, (TcpStream, UnixStream)>>,
}

impl Link {
    /// Starts a proxy to the socket `server`.
    pub(crate) fn start(server: &Path) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            server: server.to_owned(),
            cut: Mutex::default(),
            changed: Condvar::new(),
            open: Mutex::default(),
        });
        let accepting = shared.clone();
        thread::spawn(move || {
            for (number, client) in (0..).zip(listener.incoming().map_while(Result::ok)) {
                let shared = accepting.clone();
                thread::spawn(move || shared.connect(number, client));
            }
        });
        Ok(Self { port, shared })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Stops forwarding. The connections stay open.
    pub(crate) fn cut(&self, way: Way) {
        let mut cut = self.shared.cut.lock();
        cut.to_server = way != Way::FromServer;
        cut.from_server = way != Way::ToServer;
    }

    /// Forwards again.
    pub(crate) fn heal(&self, heal: Heal) {
        let mut cut = self.shared.cut.lock();
        if heal == Heal::Reset {
            cut.resets += 1;
            for (client, server) in self.shared.open.lock().values() {
                // The other side may have closed the connection.
                let _ = client.shutdown(Shutdown::Both);
                let _ = server.shutdown(Shutdown::Both);
            }
        }
        cut.to_server = false;
        cut.from_server = false;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    /// Connects a client with the server until one of them ends the connection.
    fn connect(self: &Arc<Self>, number: u64, client: TcpStream) {
        let resets = self.cut.lock().resets;
        // Without this, small requests wait for acknowledgements.
        let _ = client.set_nodelay(true);
        if !self.wait(Direction::ToServer, resets) {
            return;
        }
        let connected = UnixStream::connect(&self.server).and_then(|server| {
            let others = (client.try_clone()?, server.try_clone()?);
            self.open.lock().insert(number, (client, server));
            Ok(others)
        });
        // The drop of its socket tells the client that the server refuses the connection.
        let Ok((client, server)) = connected else { return };
        thread::scope(|scope| {
            scope.spawn(|| {
                self.forward(&server, &client, Direction::FromServer, resets);
                let _ = client.shutdown(Shutdown::Write);
            });
            self.forward(&client, &server, Direction::ToServer, resets);
            let _ = server.shutdown(Shutdown::Write);
        });
        self.open.lock().remove(&number);
    }

    /// Forwards one direction until its end. The end waits for the end of a cut too.
    fn forward(&self, mut from: impl Read, mut to: impl Write, direction: Direction, resets: u64) {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let read = from.read(&mut chunk).unwrap_or(0);
            if !self.wait(direction, resets) || read == 0 || to.write_all(&chunk[..read]).is_err() {
                return;
            }
        }
    }

    /// Waits until a direction is not cut. Returns false after a reset of the connection.
    fn wait(&self, direction: Direction, resets: u64) -> bool {
        let mut cut = self.cut.lock();
        while cut.has(direction) && cut.resets == resets {
            self.changed.wait(&mut cut);
        }
        cut.resets == resets
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixListener, time::Duration};

    use super::*;

    /// Long enough for a proxy on a busy machine to forward by mistake.
    const A_WHILE: Duration = Duration::from_millis(100);

    /// A server that answers each byte with itself, and a link to it.
    fn echo() -> (tempfile::TempDir, Link) {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("socket");
        let listener = UnixListener::bind(&socket).expect("a socket");
        thread::spawn(move || {
            for mut client in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || {
                    let mut byte = [0];
                    while client.read_exact(&mut byte).is_ok() && client.write_all(&byte).is_ok() {}
                });
            }
        });
        let link = Link::start(&socket).expect("a link");
        (directory, link)
    }

    fn connect(link: &Link) -> TcpStream {
        TcpStream::connect(("127.0.0.1", link.port())).expect("a connection")
    }

    fn answer(client: &mut TcpStream, patience: Option<Duration>) -> Option<u8> {
        client.set_read_timeout(patience).expect("a timeout");
        let mut byte = [0];
        client.read_exact(&mut byte).ok().map(|()| byte[0])
    }

    #[test]
    fn delivers_after_a_cut_what_was_sent_during_it() {
        for way in [Way::Both, Way::ToServer, Way::FromServer] {
            let (_directory, link) = echo();
            let mut client = connect(&link);
            client.write_all(&[1]).expect("a write");
            assert_eq!(answer(&mut client, None), Some(1));
            link.cut(way);
            client.write_all(&[2]).expect("a write");
            assert_eq!(answer(&mut client, Some(A_WHILE)), None, "{way:?}");
            link.heal(Heal::Deliver);
            assert_eq!(answer(&mut client, None), Some(2), "{way:?}");
        }
    }

    #[test]
    fn breaks_connections_at_a_reset_and_takes_new_ones() {
        let (_directory, link) = echo();
        let mut client = connect(&link);
        client.write_all(&[1]).expect("a write");
        assert_eq!(answer(&mut client, None), Some(1));
        link.cut(Way::Both);
        client.write_all(&[2]).expect("a write");
        link.heal(Heal::Reset);
        assert_eq!(answer(&mut client, None), None);
        let mut client = connect(&link);
        client.write_all(&[3]).expect("a write");
        assert_eq!(answer(&mut client, None), Some(3));
    }

    #[test]
    fn holds_a_connection_that_comes_during_a_cut() {
        let (_directory, link) = echo();
        link.cut(Way::ToServer);
        let mut client = connect(&link);
        client.write_all(&[1]).expect("a write");
        assert_eq!(answer(&mut client, Some(A_WHILE)), None);
        link.heal(Heal::Deliver);
        assert_eq!(answer(&mut client, None), Some(1));
    }
}
