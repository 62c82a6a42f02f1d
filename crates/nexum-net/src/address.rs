//! The addresses of the public internet: a name that another party controls may resolve only to these.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// The IPv4 networks that are not public: all that IANA's registry of special-purpose addresses
/// does not call globally reachable, the whole of `192.0.0.0/24` and `192.88.99.0/24`, and
/// multicast.
const IPV4: [(Ipv4Net, &str); 15] = [
    (v4([0, 0, 0, 0], 8), "unspecified"),
    (v4([10, 0, 0, 0], 8), "private"),
    (v4([100, 64, 0, 0], 10), "shared by a carrier"),
    (v4([127, 0, 0, 0], 8), "loopback"),
    (v4([169, 254, 0, 0], 16), "link-local"),
    (v4([172, 16, 0, 0], 12), "private"),
    (v4([192, 0, 0, 0], 24), "reserved"),
    (v4([192, 0, 2, 0], 24), "for documentation"),
    (v4([192, 88, 99, 0], 24), "a relay to IPv6"),
    (v4([192, 168, 0, 0], 16), "private"),
    (v4([198, 18, 0, 0], 15), "for benchmarks"),
    (v4([198, 51, 100, 0], 24), "for documentation"),
    (v4([203, 0, 113, 0], 24), "for documentation"),
    (v4([224, 0, 0, 0], 4), "multicast"),
    // Includes 255.255.255.255, which is broadcast.
    (v4([240, 0, 0, 0], 4), "reserved"),
];

/// The part of IPv6 that is allocated for global unicast. Later allocations are refused until they
/// are added here.
const IPV6_PUBLIC: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// The networks in [`IPV6_PUBLIC`] that are not public.
const IPV6_SPECIAL: [(Ipv6Net, &str); 5] = [
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32), "IPv4 in IPv6 (Teredo)"),
    // Benchmarks, identifiers that are not addresses, and anycast of protocols.
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), "reserved"),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), "for documentation"),
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), "IPv4 in IPv6 (6to4)"),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), "for documentation"),
];

/// Names of networks outside [`IPV6_PUBLIC`]. The rest is reserved.
const IPV6_OTHER: [(Ipv6Net, &str); 8] = [
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 128), "unspecified"),
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), "loopback"),
    // Compatible, mapped (`::ffff:0:0/96`) and translated (`::ffff:0:0:0/96`).
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 64), "IPv4 in IPv6"),
    (v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96), "IPv4 in IPv6 (NAT64)"),
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), "IPv4 in IPv6 (NAT64)"),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), "private"),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), "link-local"),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), "multicast"),
];

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix)
}

/// The kind of an address that is not on the public internet. None if the address is public.
///
/// An IPv6 address that contains an IPv4 address is never public. It can lead to the IPv4 address,
/// and no public service needs such an address.
pub fn not_public(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => find(&IPV4, |net| net.contains(&address)),
        IpAddr::V6(address) if IPV6_PUBLIC.contains(&address) => find(&IPV6_SPECIAL, |net| net.contains(&address)),
        IpAddr::V6(address) => find(&IPV6_OTHER, |net| net.contains(&address)).or(Some("reserved")),
    }
}

fn find<N>(ranges: &[(N, &'static str)], contains: impl Fn(&N) -> bool) -> Option<&'static str> {
    ranges.iter().find(|(net, _)| contains(net)).map(|(_, what)| *what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_public_from_the_rest() {
        let what = |text: &str| not_public(text.parse().expect("an address"));
        for public in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "172.32.0.1",
            "2606:4700::1111",
            "2a00::1",
        ] {
            assert_eq!(what(public), None, "{public}");
        }
        for (address, range) in [
            ("0.0.0.0", "unspecified"),
            ("10.255.255.255", "private"),
            ("100.127.0.1", "shared by a carrier"),
            ("127.0.0.53", "loopback"),
            ("169.254.169.254", "link-local"),
            ("172.16.0.1", "private"),
            ("192.168.1.1", "private"),
            ("224.0.0.1", "multicast"),
            ("255.255.255.255", "reserved"),
            ("::", "unspecified"),
            ("::1", "loopback"),
            ("::ffff:1.1.1.1", "IPv4 in IPv6"),
            ("64:ff9b::101:101", "IPv4 in IPv6 (NAT64)"),
            ("2002:7f00:1::", "IPv4 in IPv6 (6to4)"),
            ("2001::1", "IPv4 in IPv6 (Teredo)"),
            ("2001:db8::1", "for documentation"),
            ("fd00::1", "private"),
            ("fe80::1", "link-local"),
            ("ff02::1", "multicast"),
            ("4000::1", "reserved"),
        ] {
            assert_eq!(what(address), Some(range), "{address}");
        }
    }
}
