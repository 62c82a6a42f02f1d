//! The known ways around the lists of hosts, by URL.

use nexum_host_http::{Destination, FetchError, Policy, Request, Rule};
use nexum_host_http::{Http, HttpConfig};
use proptest::prelude::*;
use reqwest::Url;

use crate::support::{late, patterns};

/// The verdict of a policy on a URL, in a word.
fn verdict(policy: &Policy, wanted: &[&str], url: &str) -> &'static str {
    let Ok(url) = Url::parse(url) else { return "no URL" };
    let Ok(to) = Destination::of(&url) else {
        return "unusable";
    };
    match policy.permit(&patterns(wanted), &to) {
        Ok(_) => "ok",
        Err(Rule::Manifest) => "manifest",
        Err(Rule::Operator) => "operator",
        Err(Rule::PlainHttp) => "plain",
        Err(Rule::Address(_)) => "address",
        Err(_) => "other",
    }
}

#[tokio::test]
async fn no_spelling_of_a_url_gets_around_the_lists() {
    let wanted = [
        "api.example.com",
        "*.example.org",
        "host.example.net",
        "plain.example.com",
    ];
    let policy = Policy {
        allow: patterns(&[
            "api.example.com",
            "*.example.org",
            "other.example.net",
            "plain.example.com",
        ]),
        allow_http: patterns(&["plain.example.com"]),
        allow_private: Vec::new(),
        ..Policy::default()
    };
    let config = {
        let mut config = HttpConfig::default();
        config.policy = policy.clone();
        config
    };
    let fetcher = Http::new(config).fetcher("test", patterns(&wanted));
    for (url, expected) in [
        ("https://api.example.com/", "ok"),
        ("https://API.EXAMPLE.COM:443/x?y#z", "ok"),
        ("https://a.b.example.org/", "ok"),
        ("http://plain.example.com/", "ok"),
        // Both lists must name the host.
        ("https://host.example.net/", "operator"),
        ("https://other.example.net/", "manifest"),
        // The scheme and the port matter.
        ("http://api.example.com/", "plain"),
        ("http://api.example.com:443/", "manifest"),
        ("https://api.example.com:8443/", "manifest"),
        ("https://plain.example.com:80/", "manifest"),
        ("ftp://api.example.com/", "unusable"),
        ("file:///etc/passwd", "unusable"),
        ("file://api.example.com/etc/passwd", "unusable"),
        ("gopher://api.example.com/", "unusable"),
        ("ws://api.example.com/", "unusable"),
        ("data:text/plain,x", "unusable"),
        ("unix:///run/docker.sock", "unusable"),
        ("javascript:fetch()", "unusable"),
        // The apex, and similar names.
        ("https://example.org/", "manifest"),
        ("https://evilexample.org/", "manifest"),
        ("https://.example.org/", "unusable"),
        ("https://a..example.org/", "unusable"),
        ("https://api.example.com.evil.net/", "manifest"),
        ("https://api-example.com/", "manifest"),
        ("https://api.example.comevil.net/", "manifest"),
        ("https://\u{430}pi.example.com/", "manifest"),
        // A trailing dot names the same host, but makes another text in certificates and lists.
        ("https://api.example.com./", "unusable"),
        ("https://a.example.org./", "unusable"),
        // Credentials, which are not the host.
        ("https://api.example.com@evil.net/", "unusable"),
        ("https://api.example.com:443@evil.net/", "unusable"),
        ("https://user:password@api.example.com/", "unusable"),
        ("https://@evil.net/", "manifest"),
        ("https://evil.net/@api.example.com/", "manifest"),
        ("https://evil.net?@api.example.com/", "manifest"),
        ("https://evil.net#@api.example.com/", "manifest"),
        ("https://evil.net\\@api.example.com/", "manifest"),
        ("https://api.example.com\\@evil.net/", "ok"),
        ("https:\\\\evil.net\\api.example.com", "manifest"),
        ("https:///evil.net/", "manifest"),
        ("https:evil.net", "manifest"),
        // Characters that parsers remove or decode.
        ("https://evil.net\t/api.example.com", "manifest"),
        ("https://api.example.com\n.evil.net/", "manifest"),
        ("  https://evil.net/", "manifest"),
        ("https://evil%2enet/", "manifest"),
        ("https://api.example.com%2eevil.net/", "manifest"),
        ("https://api.example.com%00.evil.net/", "no URL"),
        ("https://api.example.com%2f.evil.net/", "no URL"),
        ("https://evil.net%23.example.org/", "no URL"),
        ("https://evil。net/", "manifest"),
        ("https://api.example。com/", "ok"),
        ("https://ａｐｉ.example.com/", "ok"),
        // Not an absolute URL.
        ("//api.example.com/", "no URL"),
        ("api.example.com", "no URL"),
        ("https://", "no URL"),
        ("https://[::1", "no URL"),
        ("https://[fe80::1%25eth0]/", "no URL"),
        ("https://1.2.3.4.5/", "no URL"),
        ("https://256.0.0.1/", "no URL"),
        ("", "no URL"),
    ] {
        assert_eq!(verdict(&policy, &wanted, url), expected, "{url}");
        if expected != "ok" {
            let fetched = match Request::new("GET", url) {
                Ok(request) => fetcher.fetch(request, late()).await.unwrap_err(),
                Err(error) => error,
            };
            let kind = matches!(fetched, FetchError::Invalid { .. });
            assert_eq!(kind, ["no URL", "unusable"].contains(&expected), "{url}: {fetched}");
        }
    }
}

#[test]
fn no_spelling_of_an_address_hides_what_it_is() {
    // The lists allow these addresses, which does not make them public.
    let entries = [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:8.8.8.8]",
        "[::127.0.0.1]",
        "[64:ff9b::10.0.0.1]",
        "[64:ff9b:1::10.0.0.1]",
        "[2002:7f00:1::]",
        "[2001:0:7f00:1::]",
        "[fc00::1]",
        "[fe80::1]",
        "8.8.8.8",
        "[2001:4860:4860::8888]",
    ];
    let strict = Policy {
        allow: patterns(&entries),
        allow_http: patterns(&entries),
        allow_private: Vec::new(),
        ..Policy::default()
    };
    let open = Policy {
        allow_private: patterns(&entries),
        ..strict.clone()
    };
    for url in [
        "http://127.0.0.1/",
        "http://127.0.0.1./",
        "http://127.1/",
        "http://127.0.1/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0x7f000001/",
        "http://0X7F.0.0.1/",
        "http://0177.0.0.1/",
        "http://017700000001/",
        "http://127.0.0.01/",
        "http://%31%32%37.0.0.1/",
        "http://１２７.0.0.1/",
        "http://127。0。0。1/",
        "http://①②⑦.0.0.1/",
        "http://[::1]/",
        "http://[0:0:0:0:0:0:0:1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::FFFF:7f00:1]/",
        "http://[0:0:0:0:0:ffff:127.0.0.1]/",
        "http://[::ffff:8.8.8.8]/",
        "http://[::127.0.0.1]/",
        "http://[::]/",
        "http://0/",
        "http://0.0.0.0/",
        "http://0x0/",
        "http://169.254.169.254/latest/meta-data/",
        "http://0xA9FEA9FE/",
        "http://2852039166/",
        "http://10.0.0.1/",
        "http://012.1/",
        "http://100.64.0.1/",
        "http://255.255.255.255/",
        "http://[64:ff9b::a00:1]/",
        "http://[64:ff9b:1::10.0.0.1]/",
        "http://[2002:7f00:0001::]/",
        "http://[2001:0:7f00:1::]/",
        "http://[fc00::1]/",
        "http://[fe80::1]/",
    ] {
        assert_eq!(verdict(&strict, &entries, url), "address", "{url}");
        assert_eq!(verdict(&open, &entries, url), "ok", "{url}");
    }
    for url in [
        "http://8.8.8.8/",
        "https://134744072/",
        "https://[2001:4860:4860::8888]/",
    ] {
        assert_eq!(verdict(&strict, &entries, url), "ok", "{url}");
    }
}

#[test]
fn an_exception_is_for_its_host_and_port_alone() {
    let all = ["localhost:8080", "localhost:9090", "127.0.0.1:8080"];
    let policy = Policy {
        allow: patterns(&all),
        allow_http: patterns(&["localhost:8080"]),
        allow_private: patterns(&["localhost:8080"]),
        ..Policy::default()
    };
    for (url, expected) in [
        ("http://localhost:8080/", "ok"),
        ("http://localhost:9090/", "plain"),
        ("https://localhost:9090/", "ok"),
        ("http://127.0.0.1:8080/", "plain"),
        ("https://127.0.0.1:8080/", "address"),
    ] {
        assert_eq!(verdict(&policy, &all, url), expected, "{url}");
    }
    let private = |url: &str| {
        let to = Destination::of(&Url::parse(url).unwrap()).unwrap();
        policy.permit(&patterns(&all), &to).unwrap().may_be_private
    };
    assert!(private("http://localhost:8080/") && !private("https://localhost:9090/"));
}

proptest! {
    /// A permitted request goes to a host on the lists.
    #[test]
    fn nothing_that_parses_leaves_the_lists(before in "\\PC{0,12}", between in "[@:/\\\\?#.%\\[\\]a-z0-9]{0,6}", after in "\\PC{0,12}") {
        let policy = Policy { allow: patterns(&["a.example"]), ..Policy::default() };
        let url = format!("https://{before}{between}a.example{after}");
        if let Ok(url) = Url::parse(&url) && let Ok(to) = Destination::of(&url) && policy.permit(&policy.allow, &to).is_ok() {
            prop_assert_eq!((url.host_str(), url.port_or_known_default(), url.scheme()), (Some("a.example"), Some(443), "https"));
        }
    }
}
