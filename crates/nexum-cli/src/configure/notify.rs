//! `[notify]` of `engine.toml`: who gets messages about conditions that need the operator.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use nexum_config::document::{ConfigErrors, Defaults, Section, deserialize_text, toml_string};
use nexum_net::HttpHeaders;
use reqwest::Url;
use serde::{Deserialize, Deserializer};

use super::secret_url::SecretUrl;
use crate::protocol::conditions::ConditionKind;

/// The longest time for the delivery of a message, in milliseconds, and its range. The default is
/// enough for a chat service at a busy time.
const TIMEOUT_MS: u64 = 10_000;
const TIMEOUT_MS_RANGE: RangeInclusive<u64> = 100..=60_000;

/// The most words of a command: a program with options. A longer one belongs into a script.
const COMMAND_WORDS_MAX: usize = 64;

/// The receivers of messages. Default: none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotifyConfig {
    pub(crate) webhook: Option<Webhook>,
    /// A program with its arguments, which reads the message on stdin.
    pub(crate) command: Option<Vec<String>>,
    /// The longest time for one attempt at a delivery.
    pub(crate) timeout: Duration,
    /// The kinds of conditions to report.
    pub(crate) kinds: Vec<ConditionKind>,
}

/// A server that gets messages by POST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Webhook {
    pub(crate) url: SecretUrl,
    /// Headers, which are secrets.
    pub(crate) headers: HttpHeaders,
    /// Whether the request takes the proxy of the environment.
    pub(crate) use_proxy: bool,
}

/// The URL of a webhook.
#[derive(Debug)]
struct WebhookUrl(SecretUrl);

impl Default for NotifyConfig {
    fn default() -> Self {
        Self {
            webhook: None,
            command: None,
            timeout: Duration::from_millis(TIMEOUT_MS),
            kinds: ConditionKind::ALL.into(),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Raw {
    webhook: Option<WebhookUrl>,
    headers: BTreeMap<String, String>,
    use_proxy: bool,
    command: Option<Vec<String>>,
    timeout_ms: Option<u64>,
    kinds: Option<Vec<ConditionKind>>,
}

impl NotifyConfig {
    /// The keys with their default values.
    #[cfg(feature = "runtime")]
    pub(crate) fn defaults() -> Defaults {
        let kinds: Vec<_> = ConditionKind::ALL.iter().map(|kind| toml_string(kind.word())).collect();
        vec![
            ("webhook", None),
            ("use_proxy", Some("false".to_owned())),
            ("command", None),
            ("timeout_ms", Some(TIMEOUT_MS.to_string())),
            ("kinds", Some(format!("[{}]", kinds.join(", ")))),
        ]
    }

    /// Reads the section `[notify]`.
    ///
    /// # Errors
    ///
    /// All errors in the section.
    pub(crate) fn from_section(section: &Section) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let raw: Raw = section.parse_all(&mut errors).unwrap_or_default();
        let headers = HttpHeaders::read(section, &raw.headers, &mut errors);
        let is_faulty = |key: &str, errors: &[_]| section.is_faulty(key, errors);
        if raw.webhook.is_none() && !is_faulty("webhook", &errors) {
            if raw.command.is_none() && !is_faulty("command", &errors) {
                let error = section.location("").error("there is neither a webhook nor a command");
                errors.push(error.with_hint("set webhook or command, or remove the table"));
            }
            if !headers.is_empty() {
                let error = section.error("headers", "there is no webhook to send them to");
                errors.push(error.with_hint("set webhook, or remove the headers"));
            }
        }
        if let Some(words) = &raw.command {
            let fault = match words.first() {
                None => Some("expected a program".to_owned()),
                Some(program) if !Path::new(program).is_absolute() => {
                    Some("expected the absolute path of a program".to_owned())
                }
                Some(_) if words.len() > COMMAND_WORDS_MAX => {
                    Some(format!("expected {COMMAND_WORDS_MAX} words at most"))
                }
                Some(_) if words.iter().any(|word| word.contains('\0')) => {
                    Some("expected words without NUL".to_owned())
                }
                Some(_) => None,
            };
            let hint = "for example [\"/usr/local/bin/notify-operator\", \"--urgent\"]";
            errors.extend(fault.map(|fault| section.error("command", fault).with_hint(hint)));
        }
        let timeout_ms = raw.timeout_ms.unwrap_or(TIMEOUT_MS);
        if !TIMEOUT_MS_RANGE.contains(&timeout_ms) {
            let (from, to) = TIMEOUT_MS_RANGE.into_inner();
            errors.push(section.error("timeout_ms", format!("expected a number from {from} to {to}")));
        }
        ConfigErrors::check(errors)?;
        let use_proxy = raw.use_proxy;
        Ok(Self {
            webhook: raw.webhook.map(|WebhookUrl(url)| Webhook {
                url,
                headers,
                use_proxy,
            }),
            command: raw.command,
            timeout: Duration::from_millis(timeout_ms),
            kinds: raw.kinds.unwrap_or_else(|| ConditionKind::ALL.into()),
        })
    }
}

impl WebhookUrl {
    /// Parses an `https` URL, or an `http` URL of this machine.
    ///
    /// # Errors
    ///
    /// If the text is neither. The message does not contain the text.
    fn parse(text: &str) -> Result<Self, &'static str> {
        let url = Url::parse(text).map_err(|_| "is not a URL")?;
        match url.scheme() {
            "https" => Ok(Self(SecretUrl::new(url))),
            "http" if is_here(&url) => Ok(Self(SecretUrl::new(url))),
            "http" => Err("would send messages unencrypted to another machine\nhint: use https"),
            _ => Err("has a scheme other than https"),
        }
    }
}

/// Whether a URL names this machine.
fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

impl<'de> Deserialize<'de> for WebhookUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "a URL", Self::parse)
    }
}

#[cfg(test)]
mod tests {
    use nexum_config::document::{Document, Environment};

    use super::*;

    fn parse(text: &str) -> Result<NotifyConfig, String> {
        let text = format!("[notify]\n{text}");
        let document = Document::parse(Path::new("engine.toml"), text.as_bytes(), &Environment::closed()).unwrap();
        let section = document.root().section("notify").unwrap().unwrap();
        NotifyConfig::from_section(&section).map_err(|errors| {
            let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
            texts.join("; ")
        })
    }

    #[test]
    fn a_webhook_shows_neither_its_path_nor_its_headers() {
        let text = "webhook = \"https://user:key@hooks.example.org/services/key\"\n\
                    headers = { Authorization = \"Bearer key\" }";
        let config = parse(text).unwrap();
        let shown = format!("{config:?}");
        assert!(!shown.contains("key"), "{shown}");
        let webhook = config.webhook.unwrap();
        assert_eq!(webhook.url.to_string(), "https://hooks.example.org:443");
        assert_eq!(webhook.url.url().path(), "/services/key");
        assert_eq!(
            (config.kinds, config.timeout),
            (ConditionKind::ALL.to_vec(), Duration::from_secs(10))
        );
    }

    #[test]
    fn a_command_has_the_path_of_its_program() {
        let config =
            parse("command = [\"/bin/notify\", \"--now\"]\nkinds = [\"module_dead\"]\ntimeout_ms = 100").unwrap();
        assert_eq!(config.command, Some(vec!["/bin/notify".to_owned(), "--now".to_owned()]));
        assert_eq!(config.kinds, [ConditionKind::ModuleDead]);
        assert_eq!(config.timeout, Duration::from_millis(100));
    }

    #[test]
    fn an_error_names_the_key_and_no_secret() {
        for (text, expected) in [
            ("", "notify: there is neither a webhook nor a command"),
            (
                "webhook = \"http://example.org/key\"",
                "webhook: would send messages unencrypted to another machine",
            ),
            (
                "webhook = \"ftp://example.org/key\"",
                "webhook: has a scheme other than https",
            ),
            ("webhook = \"hooks\"", "webhook: is not a URL"),
            (
                "command = [\"notify\"]",
                "command: expected the absolute path of a program",
            ),
            ("command = []", "command: expected a program"),
            (
                "command = [\"/bin/true\"]\ntimeout_ms = 0",
                "timeout_ms: expected a number from 100 to 60000",
            ),
            (
                "command = [\"/bin/true\"]\nheaders = { a = \"key\" }",
                "headers: there is no webhook",
            ),
            ("command = [\"/bin/true\"]\nkinds = [\"dead\"]", "kinds"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains("key"), "{error}");
        }
        for here in ["http://127.0.0.1:9/x", "http://localhost/x", "http://[::1]:80/x"] {
            assert!(parse(&format!("webhook = {here:?}")).is_ok(), "{here}");
        }
    }
}
