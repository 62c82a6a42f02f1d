//! The addresses that count as public.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nexum_host_http::not_public;
use proptest::prelude::*;

#[test]
fn ranges_end_where_the_registries_say() {
    for (from, to, what) in [
        ("0.0.0.0", "0.255.255.255", "unspecified"),
        ("10.0.0.0", "10.255.255.255", "private"),
        ("100.64.0.0", "100.127.255.255", "shared by a carrier"),
        ("127.0.0.0", "127.255.255.255", "loopback"),
        ("169.254.0.0", "169.254.255.255", "link-local"),
        ("172.16.0.0", "172.31.255.255", "private"),
        ("192.0.0.0", "192.0.0.255", "reserved"),
        ("192.0.2.0", "192.0.2.255", "for documentation"),
        ("192.88.99.0", "192.88.99.255", "a relay to IPv6"),
        ("192.168.0.0", "192.168.255.255", "private"),
        ("198.18.0.0", "198.19.255.255", "for benchmarks"),
        ("198.51.100.0", "198.51.100.255", "for documentation"),
        ("203.0.113.0", "203.0.113.255", "for documentation"),
        ("224.0.0.0", "239.255.255.255", "multicast"),
        ("240.0.0.0", "255.255.255.255", "reserved"),
    ] {
        let (from, to): (Ipv4Addr, Ipv4Addr) = (from.parse().unwrap(), to.parse().unwrap());
        for inside in [from, to] {
            assert_eq!(not_public(inside.into()), Some(what), "{inside}");
        }
        let outside = [from.to_bits().checked_sub(1), to.to_bits().checked_add(1)];
        for outside in outside.into_iter().flatten().map(Ipv4Addr::from_bits) {
            // Two of the ranges are adjacent.
            if outside.to_bits() >> 28 < 14 {
                assert_eq!(not_public(outside.into()), None, "{outside}");
            }
        }
    }
}

#[test]
fn ipv6_is_refused_but_for_what_was_given_to_somebody() {
    for (address, what) in [
        ("::", Some("unspecified")),
        ("::1", Some("loopback")),
        ("::7f00:1", Some("IPv4 in IPv6")),
        ("::ffff:127.0.0.1", Some("IPv4 in IPv6")),
        ("::ffff:8.8.8.8", Some("IPv4 in IPv6")),
        ("::ffff:0:127.0.0.1", Some("IPv4 in IPv6")),
        ("64:ff9b::127.0.0.1", Some("IPv4 in IPv6 (NAT64)")),
        ("64:ff9b::8.8.8.8", Some("IPv4 in IPv6 (NAT64)")),
        ("64:ff9b:1::10.0.0.1", Some("IPv4 in IPv6 (NAT64)")),
        ("64:ff9b:1:ffff::1", Some("IPv4 in IPv6 (NAT64)")),
        ("64:ff9b:2::1", Some("reserved")),
        ("100::1", Some("reserved")),
        ("1fff:ffff::1", Some("reserved")),
        ("2001::1", Some("IPv4 in IPv6 (Teredo)")),
        ("2001:0:7f00:1::", Some("IPv4 in IPv6 (Teredo)")),
        ("2001:2::1", Some("reserved")),
        ("2001:1ff:ffff::1", Some("reserved")),
        ("2001:200::1", None),
        ("2001:db8::1", Some("for documentation")),
        ("2001:4860:4860::8888", None),
        ("2002:7f00:1::1", Some("IPv4 in IPv6 (6to4)")),
        ("2002:a00:1::1", Some("IPv4 in IPv6 (6to4)")),
        ("2003::1", None),
        ("2606:4700:4700::1111", None),
        ("3ffe::1", None),
        ("3fff::1", Some("for documentation")),
        ("3fff:fff:ffff::1", Some("for documentation")),
        ("3fff:1000::1", None),
        ("4000::1", Some("reserved")),
        ("5f00::1", Some("reserved")),
        ("fc00::1", Some("private")),
        ("fdff:ffff::1", Some("private")),
        ("fe80::1", Some("link-local")),
        ("febf::1", Some("link-local")),
        ("fec0::1", Some("reserved")),
        ("ff02::1", Some("multicast")),
    ] {
        assert_eq!(not_public(address.parse().unwrap()), what, "{address}");
    }
}

proptest! {
    /// Every address that the standard library calls special is special here.
    #[test]
    fn no_special_ipv4_address_is_public(bits: u32) {
        let address = Ipv4Addr::from_bits(bits);
        let special = address.is_private() || address.is_loopback() || address.is_link_local() || address.is_unspecified()
            || address.is_broadcast() || address.is_documentation() || address.is_multicast();
        prop_assert!(!special || not_public(address.into()).is_some());
    }

    /// No IPv6 address that contains an IPv4 address is public.
    #[test]
    fn no_embedding_of_ipv4_is_public(bits: u32, low: u32) {
        let (high, of) = (u128::from(bits), |prefix: u128, shift: u32| IpAddr::V6(Ipv6Addr::from_bits(prefix | u128::from(bits) << shift)));
        for address in [
            of(0, 0),
            of(0xffff_u128 << 32, 0),
            of(0xffff_u128 << 48, 0),
            of(0x64_ff9b_u128 << 96, 0),
            of(0x64_ff9b_0001_u128 << 80, 0),
            of(0x2002_u128 << 112 | u128::from(low), 80),
            of(0x2001_0000_u128 << 96 | u128::from(low), 64),
            IpAddr::V6(Ipv6Addr::from_bits(0x2001_0000_u128 << 96 | !high & 0xffff_ffff)),
        ] {
            prop_assert!(not_public(address).is_some(), "{address}");
        }
    }

    #[test]
    fn no_special_ipv6_address_is_public(bits: u128) {
        let address = Ipv6Addr::from_bits(bits);
        let special = address.is_loopback() || address.is_unspecified() || address.is_multicast()
            || address.is_unique_local() || address.is_unicast_link_local() || address.to_ipv4().is_some();
        prop_assert!(!special || not_public(address.into()).is_some());
        // All public addresses begin with these three bits.
        prop_assert!(bits >> 125 == 1 || not_public(address.into()).is_some());
    }
}
