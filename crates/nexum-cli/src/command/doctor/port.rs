//! The TCP port of the API: `[admin] listen`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use nexum_config::engine::Config;

use super::daemon::Daemon;
use crate::configure::AdminConfig;
use crate::report::findings::{Area, Finding};

/// The longest wait for a connection to a port of this machine.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// Connects to the port. Sends no request: the daemon would log one without a token. None if the
/// configuration has no port, or if its table is faulty.
pub(super) fn finding(config: &Config, daemon: &Daemon) -> Option<Finding> {
    let address = AdminConfig::of(config).ok()?.listen?.address;
    let (area, subject) = (Area::Daemon, "admin.listen");
    if daemon.pid().is_none() {
        let text = format!("no daemon runs here, so nothing is known about {address}");
        return Some(area.unknown(subject, text, "start it with `nexum run`"));
    }
    if address.port() == 0 {
        let text = "the port is 0, and the system chose another one at the start";
        let remedy = "the log of the daemon has the address: `nexum logs`";
        return Some(area.unknown(subject, text, remedy));
    }
    let connected = TcpStream::connect_timeout(&reachable(address), CONNECT_TIME_MAX);
    Some(match connected {
        Ok(_) => area.ok(subject, format!("{address} accepts connections")),
        Err(error) => area
            .failure(subject, format!("{address} accepts no connection: {error}"))
            .with_remedy("restart nexum: it opens the port of [admin] only at its start"),
    })
}

/// An address at which this machine reaches a port that is open on all addresses.
pub(crate) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    (ip, listen.port()).into()
}
