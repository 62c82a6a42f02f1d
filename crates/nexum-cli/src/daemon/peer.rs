//! The process at the other end of a connection to the socket.

use tokio::net::UnixStream;

/// The process at the other end of a connection, as the system knew it when it connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The id of its user, if the system knows it.
    pub(crate) uid: Option<u32>,
    /// The process id, if the system knows it.
    pub(crate) pid: Option<i32>,
}

impl Peer {
    /// The process at the other end of this connection.
    pub(crate) fn of(stream: &UnixStream) -> Self {
        let credentials = stream.peer_cred().ok();
        Self {
            uid: credentials.map(|credentials| credentials.uid()),
            pid: credentials.and_then(|credentials| credentials.pid()),
        }
    }
}
