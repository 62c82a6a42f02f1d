//! A TCP proxy that a test closes and opens.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::listener::Port;

/// A port of its own that leads to a server on another port. While it is closed, it refuses
/// connections, as the port of a server that has stopped. It closes when it is dropped.
#[derive(Debug)]
pub struct Gate {
    port: Port,
    server: SocketAddr,
    tasks: JoinSet<()>,
}

impl Gate {
    /// Opens a gate to the server on this loopback port.
    ///
    /// # Panics
    ///
    /// If no loopback port is free, or outside a tokio runtime.
    pub fn to(port: u16) -> Self {
        let mut gate = Self {
            port: Port::reserve().expect("a free loopback port"),
            server: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            tasks: JoinSet::new(),
        };
        gate.open();
        gate
    }

    /// The gate's port.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Accepts connections again.
    ///
    /// # Panics
    ///
    /// If another process has taken the port.
    pub fn open(&mut self) {
        let listener = self.port.listen().expect("the gate's port");
        self.tasks.spawn(accept(listener, self.server));
    }

    /// Breaks all connections, and refuses others.
    pub async fn close(&mut self) {
        self.tasks.shutdown().await;
    }
}

async fn accept(listener: TcpListener, server: SocketAddr) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                connections.spawn(forward(stream, server));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn forward(mut client: TcpStream, server: SocketAddr) {
    // Each side sees the failure of the other as the end of the connection.
    if let Ok(mut server) = TcpStream::connect(server).await {
        let _ = client.set_nodelay(true);
        let _ = server.set_nodelay(true);
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    }
}
