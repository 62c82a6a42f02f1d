//! Entries of the lists of hosts.

use nexum_host_http::{Destination, HostPattern, PATTERN_BYTES_MAX, PatternError};
use proptest::prelude::*;
use reqwest::Url;

fn matches(entry: &str, url: &str) -> bool {
    let to = Destination::of(&Url::parse(url).unwrap()).unwrap();
    HostPattern::parse(entry).unwrap().matches(&to)
}

#[test]
fn an_entry_means_its_hosts_and_no_others() {
    for (entry, url, expected) in [
        ("example.com", "https://example.com/", true),
        ("EXAMPLE.com", "https://eXample.COM/", true),
        ("example.com", "https://www.example.com/", false),
        ("example.com", "https://example.com.evil.net/", false),
        ("example.com", "https://evilexample.com/", false),
        ("*.example.com", "https://www.example.com/", true),
        ("*.example.com", "https://a.b.example.com/", true),
        ("*.example.com", "https://example.com/", false),
        ("*.example.com", "https://evilexample.com/", false),
        ("*.example.com", "https://example.com.evil.net/", false),
        ("*.com", "https://example.com/", true),
        ("*.com", "https://com/", false),
        // Without a port, an entry matches the scheme's default port.
        ("example.com", "https://example.com:443/", true),
        ("example.com", "http://example.com/", true),
        ("example.com", "http://example.com:443/", false),
        ("example.com", "https://example.com:80/", false),
        ("example.com", "https://example.com:8443/", false),
        ("example.com:8443", "https://example.com:8443/", true),
        ("example.com:8443", "https://example.com/", false),
        ("example.com:443", "https://example.com/", true),
        ("*.example.com:8443", "https://a.example.com:8443/", true),
        // A name in another script equals its form in Punycode.
        ("bücher.example", "https://xn--bcher-kva.example/", true),
        ("xn--bcher-kva.example", "https://BÜCHER.example/", true),
        ("*.bücher.example", "https://www.xn--bcher-kva.example/", true),
        // Names that only look alike differ.
        ("example.com", "https://ex\u{430}mple.com/", false),
        // Addresses.
        ("192.0.2.1", "https://192.0.2.1/", true),
        ("192.0.2.1", "https://3221225985/", true),
        ("[2001:DB8::1]", "https://[2001:db8:0::1]/", true),
        ("[::1]:8080", "http://[::1]:8080/", true),
        ("127.0.0.1", "https://[::ffff:127.0.0.1]/", false),
    ] {
        assert_eq!(matches(entry, url), expected, "{entry} {url}");
    }
}

#[test]
fn what_is_no_entry_is_refused() {
    use PatternError::{Address, Host, NotAHost, Port, TooLong, Wildcard};
    let long = "a".repeat(PATTERN_BYTES_MAX + 1);
    for (text, error) in [
        ("", Host),
        (".", Host),
        ("example.com.", Host),
        (".example.com", Host),
        ("a..example.com", Host),
        ("exa mple.com", Host),
        ("[::1", Host),
        ("[::1]x", Host),
        ("[fe80::1%25eth0]", NotAHost),
        ("https://example.com", NotAHost),
        ("example.com/", NotAHost),
        ("example.com?x", NotAHost),
        ("example.com#x", NotAHost),
        ("user@example.com", NotAHost),
        ("%61.example.com", NotAHost),
        ("*", Wildcard),
        ("*.", Host),
        ("*.*.example.com", Wildcard),
        ("a.*.example.com", Wildcard),
        ("a*.example.com", Wildcard),
        ("*example.com", Wildcard),
        // A suffix of an address exists only as text.
        ("*.0.0.1", Address),
        ("*.1", Address),
        ("*.127.0.0.1", Wildcard),
        ("*.[::1]", Port),
        ("127.1", Address),
        ("0x7f.0.0.1", Address),
        ("2130706433", Address),
        ("0177.0.0.1", Address),
        ("１２７.0.0.1", Address),
        ("example.com:", Port),
        ("example.com:0", Port),
        ("example.com:+1", Port),
        ("example.com:080", Port),
        ("example.com:65536", Port),
        ("example.com:https", Port),
        ("::1", Port),
        ("example.com:1:2", Port),
        (&long, TooLong),
    ] {
        assert_eq!(HostPattern::parse(text), Err(error), "{text}");
    }
    let label = "a".repeat(63);
    let name = format!("{label}.{label}.{label}.{}", &label[..61]);
    assert!(HostPattern::parse(&format!("{name}:65535")).is_ok());
    assert_eq!(HostPattern::parse(&format!("{name}a")), Err(Host));
    assert_eq!(HostPattern::parse(&format!("{label}a.com")), Err(Host));
}

#[test]
fn an_entry_covers_what_means_no_more() {
    for (entry, other, expected) in [
        ("example.com", "example.com", true),
        ("example.com", "*.example.com", false),
        ("*.example.com", "example.com", false),
        ("*.example.com", "a.example.com", true),
        ("*.example.com", "*.a.example.com", true),
        ("*.example.com", "*.example.com", true),
        ("*.a.example.com", "*.example.com", false),
        ("*.example.com", "*.evilexample.com", false),
        ("*.example.com", "a.example.com:8443", false),
        ("*.example.com:8443", "a.example.com:8443", true),
    ] {
        let parse = |text| HostPattern::parse(text).unwrap();
        assert_eq!(parse(entry).covers(&parse(other)), expected, "{entry} {other}");
    }
}

fn label() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9_]{0,8}"
}

fn name() -> impl Strategy<Value = String> {
    proptest::collection::vec(label(), 1..5).prop_map(|labels| labels.join("."))
}

proptest! {
    #[test]
    fn any_text_is_an_entry_or_an_error_and_reads_back_as_it_is_shown(text in "\\PC{0,40}") {
        if let Ok(entry) = HostPattern::parse(&text) {
            prop_assert_eq!(HostPattern::parse(&entry.to_string()), Ok(entry));
        }
    }

    #[test]
    fn entries_read_back_as_they_are_shown(name in name(), wild: bool, port: Option<u16>) {
        let port = port.filter(|port| *port > 0).map_or_else(String::new, |port| format!(":{port}"));
        let text = format!("{}{name}{port}", if wild { "*." } else { "" });
        prop_assert_eq!(HostPattern::parse(&text).unwrap().to_string(), text);
    }

    #[test]
    fn a_suffix_means_exactly_what_has_more_labels(suffix in name(), host in name()) {
        let expected = host.ends_with(&format!(".{suffix}"));
        let url = format!("https://{host}/");
        prop_assert_eq!(matches(&format!("*.{suffix}"), &url), expected);
        let (below, entry) = (format!("https://x.{suffix}/"), format!("*.{suffix}"));
        prop_assert!(matches(&entry, &below));
    }

    /// An entry matches every destination of an entry that it covers.
    #[test]
    fn covering_is_meaning_as_much(one in name(), two in name(), host in name(), wild: (bool, bool)) {
        let entry = |wild, name: &str| HostPattern::parse(&format!("{}{name}", if wild { "*." } else { "" })).unwrap();
        let (wide, narrow) = (entry(wild.0, &one), entry(wild.1, &format!("{two}.{one}")));
        let to = Destination::of(&Url::parse(&format!("https://{host}.{two}.{one}/")).unwrap()).unwrap();
        prop_assert!(!(wide.covers(&narrow) && narrow.matches(&to)) || wide.matches(&to));
    }
}
