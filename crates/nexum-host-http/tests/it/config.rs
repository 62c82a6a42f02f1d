//! `[http]` of `engine.toml`, and `[capabilities.http]` of a manifest.

use std::path::Path;

use nexum_config::document::{Document, Environment, Section};
use nexum_config::engine::Config;
use nexum_config::hint::Hint;
use nexum_core::capability::Capability;
use nexum_host_http::{ENTRIES_MAX, Http, HttpConfig};

use crate::support::patterns;

fn text_of(errors: nexum_config::document::ConfigErrors) -> String {
    let lines = errors
        .into_iter()
        .map(|error| format!("{error} | {}", error.hint().unwrap_or_default()));
    lines.collect::<Vec<_>>().join("\n")
}

fn read(text: &str) -> Result<HttpConfig, String> {
    let config = Config::parse(Path::new("engine.toml"), text.as_bytes(), &Environment::closed()).unwrap();
    HttpConfig::from_section(&config.sections["http"]).map_err(text_of)
}

fn settings(text: &str) -> Section {
    let document = Document::parse(Path::new("nexum.toml"), text.as_bytes(), &Environment::closed()).unwrap();
    document.root().clone()
}

#[test]
fn everything_has_a_default_and_nothing_is_allowed() {
    let config = read("[http]\n").unwrap();
    assert_eq!(config.policy, HttpConfig::default().policy);
    assert!(config.policy.allow.is_empty());
    assert_eq!(
        (
            config.connect_timeout_ms,
            config.first_byte_timeout_ms,
            config.timeout_ms,
            config.response_bytes_max
        ),
        (3_000, 5_000, 8_000, 1 << 20)
    );
}

#[test]
fn keys_are_read() {
    let text = "[http]\nallow = [\"API.example.com\", \"*.example.org\", \"localhost:8080\"]\n\
                allow_http = [\"localhost:8080\"]\nallow_private = [\"localhost:8080\"]\n\
                connect_timeout_ms = 1\nfirst_byte_timeout_ms = 2\ntimeout_ms = 3\nresponse_bytes_max = 4\n";
    let config = read(text).unwrap();
    assert_eq!(
        config.policy.allow,
        patterns(&["api.example.com", "*.example.org", "localhost:8080"])
    );
    assert_eq!(config.policy.allow_http, patterns(&["localhost:8080"]));
    assert_eq!(config.policy.allow_private, patterns(&["localhost:8080"]));
    assert_eq!(
        (
            config.connect_timeout_ms,
            config.first_byte_timeout_ms,
            config.timeout_ms,
            config.response_bytes_max
        ),
        (1, 2, 3, 4)
    );
}

#[test]
fn errors_name_the_place_and_what_may_help() {
    let many = format!("[http]\nallow = [{}]\n", "\"a.example\", ".repeat(ENTRIES_MAX + 1));
    for (text, expected) in [
        (
            "[http]\nallowed = []\n",
            "http.allowed: unknown key, the nearest known one is allow",
        ),
        ("[http]\nallow = \"a.example\"\n", "http.allow: "),
        ("[http]\nallow = [1]\n", "http.allow[0]: "),
        (
            "[http]\nallow = [\"a.example\", \"*\"]\n",
            "http.allow[1]: has a `*` in another place than the first label",
        ),
        (
            "[http]\nallow = [\"*\"]\n",
            "write \"*.example.com\" for all names below example.com",
        ),
        (
            "[http]\nallow = [\"https://a.example/secret\"]\n",
            "has more than a host and a port",
        ),
        ("[http]\nallow = [\"127.1\"]\n", "write the address as \"127.0.0.1\""),
        (
            "[http]\nallow = [\"a.example:0\"]\n",
            "has a port that is not a number from 1 to 65535",
        ),
        (
            "[http]\nallow_http = [\"a.example\"]\n",
            "http.allow_http: `a.example` is not in `allow`",
        ),
        (
            "[http]\nallow = [\"*.a.example\"]\nallow_private = [\"b.a.example\", \"a.example\"]\n",
            "http.allow_private: `a.example` is not in `allow`",
        ),
        (
            "[http]\ntimeout_ms = 0\n",
            "http.timeout_ms: expected a whole number from 1 to 3600000, found 0",
        ),
        (
            "[http]\nresponse_bytes_max = 67108865\n",
            "expected a whole number from 1 to 67108864",
        ),
        ("[http]\nconnect_timeout_ms = -1\n", "http.connect_timeout_ms: expected"),
        (&many, "http.allow: expected at most 1000 hosts"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
        assert!(!error.contains("secret"), "{text}: {error}");
    }
}

#[test]
fn a_manifest_is_read_and_warned_of_what_it_wants_in_vain() {
    let mut config = HttpConfig::default();
    config.policy.allow = patterns(&["*.example.com", "a.example"]);
    let http = Http::new(config);
    let wanted =
        settings("allow = [\"x.example.com\", \"a.example\", \"*.example\", \"example.com\", \"a.example:8443\"]\n");
    http.check(&wanted).unwrap();
    let warnings = http.warnings(&wanted).join("\n");
    for denied in ["`*.example`", "`example.com`", "`a.example:8443`"] {
        assert!(warnings.contains(denied), "{denied}: {warnings}");
    }
    assert_eq!(warnings.lines().count(), 3, "{warnings}");
    for (text, expected) in [
        (
            "allow = [\"https://a.example/\"]\n",
            "allow[0]: has more than a host and a port",
        ),
        ("allow_private = [\"localhost\"]\n", "allow_private: unknown key"),
        ("allow_http = [\"localhost\"]\n", "allow_http: unknown key"),
    ] {
        let error = text_of(http.check(&settings(text)).unwrap_err());
        assert!(error.contains(expected), "{text}: {error}");
    }
}
