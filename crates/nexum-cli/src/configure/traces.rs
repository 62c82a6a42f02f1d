//! The variables of OpenTelemetry: where traces go.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use nexum_net::{HEADER_VALUE_BYTES_MAX, HttpHeaders, HttpHeadersError};
use percent_encoding::percent_decode_str;
use reqwest::Url;

use super::secret_url::SecretUrl;
use crate::report::Refusal;

const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// The variables for traces override those for all signals.
const HEADERS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
const TIMEOUT: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
const PROTOCOL: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const COMPRESSION: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
    "OTEL_EXPORTER_OTLP_COMPRESSION",
];
const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
const RESOURCE: &str = "OTEL_RESOURCE_ATTRIBUTES";

/// The only protocol of this build.
const HTTP_PROTOBUF: &str = "http/protobuf";

/// Default of the timeout, as OpenTelemetry defines it.
const TIMEOUT_MS: u64 = 10_000;

/// Where traces go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TracesConfig {
    /// The URL of the traces, with its path.
    pub(crate) url: SecretUrl,
    /// The headers of each request, which are secrets.
    pub(crate) headers: HttpHeaders,
    /// The longest time of one request.
    pub(crate) timeout: Duration,
    /// The name of this nexum for the collector. `None` if the operator gave none.
    pub(crate) service_name: Option<String>,
    /// Attributes of this nexum for the collector, as `key=value,key=value`.
    pub(crate) resource: String,
}

impl TracesConfig {
    /// Reads the variables of this process. `None` if none of them names an endpoint.
    ///
    /// # Errors
    ///
    /// If a variable is malformed. The message does not contain its value.
    pub(crate) fn of_process() -> Result<Option<Self>, Refusal> {
        Self::of(&|name| std::env::var_os(name))
    }

    fn of(variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Option<Self>, Refusal> {
        let variables = Variables(variable);
        let Some(url) = variables.url()? else { return Ok(None) };
        variables.only(PROTOCOL, HTTP_PROTOBUF, "nexum sends traces as `http/protobuf` only")?;
        variables.only(COMPRESSION, "none", "nexum does not compress traces")?;
        Ok(Some(Self {
            url,
            headers: variables.headers()?,
            timeout: variables.timeout()?,
            service_name: variables.get(SERVICE_NAME)?,
            resource: variables.get(RESOURCE)?.unwrap_or_default(),
        }))
    }
}

struct Variables<'a>(&'a dyn Fn(&str) -> Option<OsString>);

impl Variables<'_> {
    /// A variable. An empty one counts as absent, as OpenTelemetry requires.
    fn get(&self, name: &'static str) -> Result<Option<String>, Refusal> {
        let value = (self.0)(name).filter(|value| !value.is_empty());
        let value = value.map(OsString::into_string).transpose();
        value.map_err(|_| Refusal::new(format!("{name} is not valid UTF-8")))
    }

    /// The first of these variables that is set, with its name.
    fn first(&self, names: [&'static str; 2]) -> Result<Option<(&'static str, String)>, Refusal> {
        for name in names {
            if let Some(value) = self.get(name)? {
                return Ok(Some((name, value)));
            }
        }
        Ok(None)
    }

    /// The endpoint of traces as it is, or else the endpoint of all signals with the path of traces.
    fn url(&self) -> Result<Option<SecretUrl>, Refusal> {
        let (name, text) = match (self.get(TRACES_ENDPOINT)?, self.get(ENDPOINT)?) {
            (Some(text), _) => (TRACES_ENDPOINT, text),
            (None, Some(text)) => (ENDPOINT, text),
            (None, None) => return Ok(None),
        };
        let refused =
            |fault: &str| Refusal::new(format!("{name} {fault}")).with_hint("for example http://127.0.0.1:4318");
        let mut url = Url::parse(&text).map_err(|_| refused("is not a URL"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refused("has a scheme other than http and https"));
        }
        if name == ENDPOINT
            && let Ok(mut path) = url.path_segments_mut()
        {
            path.pop_if_empty().extend(["v1", "traces"]);
        }
        Ok(Some(SecretUrl::new(url)))
    }

    fn headers(&self) -> Result<HttpHeaders, Refusal> {
        let Some((name, text)) = self.first(HEADERS)? else {
            return Ok(HttpHeaders::default());
        };
        let mut headers = BTreeMap::new();
        for (index, header) in text.split_terminator(',').enumerate() {
            let number = index + 1;
            let refused = |fault| Refusal::new(format!("{name}: header {number} {fault}"));
            let Some((key, value)) = header.split_once('=') else {
                return Err(refused("has no `=`").with_hint("for example api-key=abc,tenant=main"));
            };
            let value = percent_decode_str(value.trim()).decode_utf8();
            let value = value.map_err(|_| refused("has a value that is not valid UTF-8"))?;
            if headers.insert(key.trim().to_owned(), value.into_owned()).is_some() {
                return Err(refused("repeats an earlier one"));
            }
        }
        HttpHeaders::new(&headers).map_err(|error| Refusal::new(format!("{name}: {}", fault(&error))))
    }

    fn timeout(&self) -> Result<Duration, Refusal> {
        let Some((name, text)) = self.first(TIMEOUT)? else {
            return Ok(Duration::from_millis(TIMEOUT_MS));
        };
        let timeout_ms = text.trim().parse().ok().filter(|ms: &u64| *ms > 0);
        let timeout_ms = timeout_ms.ok_or_else(|| Refusal::new(format!("{name} is not a number of milliseconds")))?;
        Ok(Duration::from_millis(timeout_ms))
    }

    /// Refuses another value than the only one that this build has.
    fn only(&self, names: [&'static str; 2], only: &str, hint: &str) -> Result<(), Refusal> {
        match self.first(names)? {
            Some((name, value)) if value != only => {
                Err(Refusal::new(format!("{name} is not `{only}`")).with_hint(hint))
            }
            _ => Ok(()),
        }
    }
}

/// Why headers cannot be sent. A comma in a value makes a part of it look like a name, so no text has a name.
fn fault(error: &HttpHeadersError) -> String {
    match error {
        HttpHeadersError::Name { .. } => "a name is not valid in HTTP".to_owned(),
        HttpHeadersError::Reserved { .. } => "a header is one that nexum sets itself".to_owned(),
        HttpHeadersError::Twice { .. } => "a header is there twice".to_owned(),
        HttpHeadersError::Value { .. } => {
            format!("a value has control characters, or more than {HEADER_VALUE_BYTES_MAX} bytes")
        }
        // Too many, without a name.
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<TracesConfig>, String> {
        let find = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        TracesConfig::of(&find).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn without_an_endpoint_there_are_no_traces() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]), Ok(None));
        assert_eq!(read(&[("OTEL_EXPORTER_OTLP_HEADERS", "nonsense")]), Ok(None));
    }

    #[test]
    fn only_the_endpoint_of_all_signals_gets_the_path_of_traces() {
        let path = |name, value| {
            let config = read(&[(name, value)]).unwrap().unwrap();
            config.url.url().path().to_owned()
        };
        for base in ["http://c:4318", "http://c:4318/"] {
            assert_eq!(path(ENDPOINT, base), "/v1/traces");
            assert_eq!(path(TRACES_ENDPOINT, base), "/");
        }
        assert_eq!(path(ENDPOINT, "https://c/otlp/"), "/otlp/v1/traces");
        assert_eq!(path(TRACES_ENDPOINT, "https://c/in"), "/in");
        let both = [(ENDPOINT, "http://all:1"), (TRACES_ENDPOINT, "http://traces:2")];
        let config = read(&both).unwrap().unwrap();
        assert_eq!(config.url.to_string(), "http://traces:2");
    }

    #[test]
    fn a_malformed_variable_is_named_without_its_value() {
        let endpoint = (ENDPOINT, "http://user:secret@c:4318");
        for (variables, expected) in [
            (
                vec![(ENDPOINT, "secret:4318:")],
                "OTEL_EXPORTER_OTLP_ENDPOINT has a scheme other than http and https",
            ),
            (
                vec![(TRACES_ENDPOINT, "/secret")],
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is not a URL",
            ),
            (
                vec![endpoint, (HEADERS[1], "a=1,secret")],
                "OTEL_EXPORTER_OTLP_HEADERS: header 2 has no `=`",
            ),
            (
                vec![endpoint, (HEADERS[0], "a=secret%0A")],
                "OTEL_EXPORTER_OTLP_TRACES_HEADERS: a value has control characters",
            ),
            (
                vec![endpoint, (HEADERS[1], "a=b,my secret=c")],
                "OTEL_EXPORTER_OTLP_HEADERS: a name is not valid in HTTP",
            ),
            (
                vec![endpoint, (TIMEOUT[1], "secret")],
                "OTEL_EXPORTER_OTLP_TIMEOUT is not a number of milliseconds",
            ),
            (
                vec![endpoint, (PROTOCOL[1], "grpc")],
                "OTEL_EXPORTER_OTLP_PROTOCOL is not `http/protobuf` (nexum sends traces as `http/protobuf` only)",
            ),
            (
                vec![endpoint, (COMPRESSION[1], "gzip")],
                "OTEL_EXPORTER_OTLP_COMPRESSION is not `none`",
            ),
        ] {
            let error = read(&variables).expect_err("an error");
            assert!(error.starts_with(expected), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn secrets_are_neither_shown_nor_changed() {
        let variables = [
            (ENDPOINT, "http://user:secret@c:4318"),
            (HEADERS[1], "authorization=Bearer%20secret, x-tenant = main"),
            (HEADERS[0], ""),
            (TIMEOUT[1], "250"),
        ];
        let config = read(&variables).unwrap().unwrap();
        assert_eq!(config.headers.map()["authorization"], "Bearer secret");
        assert_eq!(config.headers.map()["x-tenant"], "main");
        assert_eq!(config.timeout, Duration::from_millis(250));
        assert!(!format!("{config:?}").contains("secret"), "{config:?}");
    }
}
