//! No argument of a module leads out of the base URL of an order book.

use proptest::prelude::*;

use super::*;

fn is_refused(path: &str) -> bool {
    RelativePath::parse(path).is_err()
}

#[test]
fn what_modules_need_is_let_through() {
    for path in [
        "",
        "/",
        "/api/v1/version",
        "api/v1/version",
        "api/v1/orders/0xAB01/status",
        "/api/v2/trades?owner=0xab&offset=0&limit=10",
        "/api/v1/quote?x=a%20b&y=../..//z:@",
        "a-b_c~d.e/f/",
    ] {
        assert!(!is_refused(path), "{path:?}");
    }
}

#[test]
fn what_leads_elsewhere_is_refused() {
    for path in [
        "http://evil.example/",
        "https:evil.example",
        "//evil.example/api",
        "///evil.example/api",
        "/\\evil.example",
        "\\\\evil.example",
        "/@evil.example",
        "user:pass@evil.example",
        "..",
        "../",
        "/..",
        "api/../../x",
        "api/./v1",
        ".",
        "...",
        "api//v1",
        "%2e%2e/x",
        "%2E%2e/x",
        ".%2e/x",
        "%252e%252e/x",
        "api%2f..%2f..",
        "api%5c..%5c",
        "%2f%2fevil.example",
        "api;a=b/..;/x",
        "api/v1\t/x",
        "api/v1\r\nHost: evil.example",
        "api/v1?x=\r\nX: y",
        "api/v1?x=%0d%0aX",
        "api/v1?x=%00",
        "api/v1?x=%7f",
        "api/v1 HTTP/1.1",
        "api/v1#fragment",
        "api/v1?x#fragment",
        "api/v1/\u{ff0e}\u{ff0e}/x",
        "api/v1/ä",
        "api/v1/\u{0}",
        "api/v1?x=ä",
    ] {
        assert!(is_refused(path), "{path:?}");
    }
    assert!(is_refused(&"a".repeat(PATH_BYTES_MAX + 1)));
}

/// Texts of characters and sequences that escapes use, mixed with any others.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "/",
            "//",
            "\\",
            ".",
            "..",
            "...",
            "%2e",
            "%2E",
            "%2f",
            "%5c",
            "%25",
            "%00",
            "%0a",
            ":",
            "@",
            "?",
            "#",
            ";",
            "&",
            "=",
            " ",
            "\t",
            "\r\n",
            "\u{0}",
            "http:",
            "https://",
            "evil.example",
            "api",
            "v1",
            "orders",
            "0xab",
            "\u{2024}",
            "\u{ff0f}",
            "[::1]",
            "127.0.0.1",
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// A text with all percent-encoding decoded repeatedly, and with `/` for every separator.
fn as_the_laxest_server_reads_it(path: &str) -> String {
    let mut text = path.to_owned();
    while let Some(start) = text.find('%') {
        let decoded = text
            .get(start + 1..start + 3)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let replacement = decoded.map_or('?', char::from).to_string();
        let end = (start + 3).min(text.len());
        let end = (end..=text.len())
            .find(|end| text.is_char_boundary(*end))
            .unwrap_or(text.len());
        text.replace_range(start..end, &replacement);
    }
    text.replace('\\', "/")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn no_path_leaves_the_base(path in hostile()) {
        let Ok(parsed) = RelativePath::parse(&path) else { return Ok(()) };
        for base in ["https://api.cow.fi/mainnet/", "http://user:password@127.0.0.1:8080", "https://h/a/b%20c"] {
            let base = BaseUrl::parse(base).unwrap();
            let url = parsed.below(&base).unwrap();
            let below = url.as_str().strip_prefix(base.url().as_str());
            let below = below.unwrap_or_else(|| panic!("{path:?} led to {url}"));
            let below = below.split('?').next().unwrap();
            let read = as_the_laxest_server_reads_it(below);
            prop_assert_eq!(&read, below);
            prop_assert!(!read.starts_with('/') && !read.contains("//"), "{}", read);
            prop_assert!(!read.split('/').any(|part| part == "." || part == ".."), "{}", read);
            prop_assert!(!read.chars().any(|c| c.is_control() || c.is_whitespace() || c == ':'), "{}", read);
            prop_assert!(url.fragment().is_none());
            prop_assert!(url.query().is_none_or(|query| query.is_ascii() && !query.contains(char::is_control)));
        }
    }
}
