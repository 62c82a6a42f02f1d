//! An entry of a list of hosts, and a URL behind it in the next line: never a panic, and what is allowed is what the entry says.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nexum_host_http::{Destination, HostPattern, Policy, not_public};
use url::{Host, Url};

fuzz_target!(|text: &str| {
    let (entry, url) = text.split_once('\n').unwrap_or((text, text));
    let Ok(entry) = HostPattern::parse(entry) else { return };
    let shown = entry.to_string();
    assert_eq!(HostPattern::parse(&shown), Ok(entry.clone()));
    let Ok(url) = Url::parse(url) else { return };
    let Ok(to) = Destination::of(&url) else { return };
    let policy = Policy {
        allow: vec![entry],
        ..Policy::default()
    };
    if policy.permit(&policy.allow, &to).is_err() {
        return;
    }
    assert_eq!((url.scheme(), url.username(), url.password()), ("https", "", None));
    let host = url.host_str().unwrap_or_default();
    let suffix = shown
        .strip_prefix('*')
        .map(|suffix| suffix.split(':').next().unwrap_or_default());
    match (url.host(), suffix) {
        (Some(Host::Domain(name)), Some(suffix)) => assert!(name.len() > suffix.len() && name.ends_with(suffix)),
        (Some(Host::Ipv4(address)), None) => assert_eq!(not_public(address.into()), None),
        (Some(Host::Ipv6(address)), None) => assert_eq!(not_public(address.into()), None),
        _ => assert!(shown.starts_with(host)),
    }
    let port = url.port_or_known_default();
    assert!(port == Some(443) || shown.ends_with(&format!(":{}", port.unwrap_or_default())));
});
