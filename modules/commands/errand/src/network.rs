//! Sockets through the WASI interfaces, because some C libraries for this target lack sockets.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use wasip2::sockets::{
    instance_network::instance_network,
    ip_name_lookup::resolve_addresses,
    network::{ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress},
    tcp::TcpSocket,
    tcp_create_socket::create_tcp_socket,
    udp_create_socket::create_udp_socket,
};

/// Connects, sends a word, and returns the response.
pub(crate) fn exchange(address: &str) -> Result<String, ErrorCode> {
    let address: SocketAddr = address.parse().expect("an address");
    let socket = create_tcp_socket(family(&address))?;
    socket.start_connect(&instance_network(), of(address))?;
    socket.subscribe().block();
    let (input, output) = socket.finish_connect()?;
    output
        .blocking_write_and_flush(b"hello")
        .expect("a connection that is open");
    let answer = input.blocking_read(64).expect("an answer");
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

pub(crate) fn resolve(name: &str) -> Result<Vec<String>, ErrorCode> {
    let stream = resolve_addresses(&instance_network(), name)?;
    let mut addresses = Vec::new();
    stream.subscribe().block();
    while let Some(address) = stream.resolve_next_address()? {
        addresses.push(match address {
            IpAddress::Ipv4((a, b, c, d)) => Ipv4Addr::new(a, b, c, d).to_string(),
            IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => Ipv6Addr::new(a, b, c, d, e, f, g, h).to_string(),
        });
    }
    Ok(addresses)
}

pub(crate) fn bind(address: &str) -> Result<(), ErrorCode> {
    bound(address.parse().expect("an address")).map(drop)
}

fn bound(address: SocketAddr) -> Result<TcpSocket, ErrorCode> {
    let socket = create_tcp_socket(family(&address))?;
    socket.start_bind(&instance_network(), of(address))?;
    socket.subscribe().block();
    socket.finish_bind()?;
    Ok(socket)
}

/// Listens on any port. The choice of a port is a separate permission.
pub(crate) fn listen() -> Result<(), ErrorCode> {
    let socket = bound(([0, 0, 0, 0], 0).into())?;
    socket.start_listen()?;
    socket.subscribe().block();
    socket.finish_listen()
}

pub(crate) fn udp() -> Result<(), ErrorCode> {
    let socket = create_udp_socket(IpAddressFamily::Ipv4)?;
    socket.start_bind(&instance_network(), of(([0, 0, 0, 0], 0).into()))?;
    socket.subscribe().block();
    socket.finish_bind()
}

fn family(address: &SocketAddr) -> IpAddressFamily {
    match address {
        SocketAddr::V4(_) => IpAddressFamily::Ipv4,
        SocketAddr::V6(_) => IpAddressFamily::Ipv6,
    }
}

fn of(address: SocketAddr) -> IpSocketAddress {
    match address {
        SocketAddr::V4(address) => {
            let [a, b, c, d] = address.ip().octets();
            IpSocketAddress::Ipv4(Ipv4SocketAddress {
                port: address.port(),
                address: (a, b, c, d),
            })
        }
        SocketAddr::V6(address) => {
            let [a, b, c, d, e, f, g, h] = address.ip().segments();
            IpSocketAddress::Ipv6(Ipv6SocketAddress {
                port: address.port(),
                flow_info: address.flowinfo(),
                address: (a, b, c, d, e, f, g, h),
                scope_id: address.scope_id(),
            })
        }
    }
}
