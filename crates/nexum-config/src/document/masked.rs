//! A document without its secrets, for a person who helps the operator.

use std::fmt;

use super::environment::is_reference;
use super::key::join;
use super::show;
use super::tree::{Node, Table, Value};
use super::{Document, Origin};

/// The text in place of a secret.
const MASK: &str = "\"…\"";

/// The table of the headers of requests. Its values are credentials.
pub(super) const HEADERS: &str = "headers";

/// The table of a module's configuration. Only the module's author knows which of its values are
/// secrets.
pub(super) const CONFIG: &str = "config";

/// Parts of key names that mark a secret in addition to those of [`show::SECRET_NAMES`]. A command's
/// arguments and a webhook's path are often the only credential.
const SECRET_NAMES: [&str; 5] = ["command", "cookie", "hook", "private", "signature"];

/// The names among them whose value is a URL, which keeps its scheme, host and port.
const URL_NAMES: [&str; 4] = ["endpoint", "hook", "uri", "url"];

/// The shortest part of a URL or a header that counts as a secret of its own. Shorter ones are words
/// such as `v3`, `mainnet` and `Bearer`.
const PART_BYTES_MIN: usize = 8;

/// A document for other people than its author.
#[derive(Default)]
pub struct Masked {
    /// The keys with their values, a line for each, in the order of the file. There are no comments,
    /// because a comment can be a value that is switched off.
    pub text: String,
    /// The contents of variables and the masked strings, which no other text may show either. The
    /// order is that of the file.
    pub secrets: Vec<String>,
}

/// The lengths only.
impl fmt::Debug for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Masked({} bytes, {} secrets)", self.text.len(), self.secrets.len())
    }
}

impl Document {
    /// The document without its secrets.
    ///
    /// A reference to a variable stays as the operator wrote it. A URL keeps its scheme, host and
    /// port. Values below `headers` and `config` are masked, and so is a string with a key that names
    /// a secret.
    pub fn masked(&self) -> Masked {
        let (origin, table) = self.root.parts();
        let mut masked = Masked::default();
        masked.table(origin, "", None, table);
        masked
    }
}

impl Masked {
    /// Adds a table with the full path `path`, in the masked table `within` if it is in one.
    fn table(&mut self, origin: &Origin, path: &str, within: Option<&str>, table: &Table) {
        for entry in &table.entries {
            let key = join(path, &entry.key);
            self.node(origin, &key, &entry.key, within, &entry.node);
        }
    }

    /// Adds the value at the full path `key`. The last named key on the path is `name`.
    fn node(&mut self, origin: &Origin, key: &str, name: &str, within: Option<&str>, node: &Node) {
        let shown = match &node.value {
            Value::Table(table) => {
                let masked = [HEADERS, CONFIG].into_iter().find(|masked| *masked == name);
                return self.table(origin, key, within.or(masked), table);
            }
            Value::Array(nodes) => {
                for (index, node) in nodes.iter().enumerate() {
                    self.node(origin, &format!("{key}[{index}]"), name, within, node);
                }
                return;
            }
            Value::String(text) => self.string(origin, name, within, text),
            Value::Boolean(_) => origin.written(&node.span).to_owned(),
            _ if within.is_some() => MASK.to_owned(),
            _ => origin.written(&node.span).to_owned(),
        };
        self.text.push_str(&format!("{key} = {shown}\n"));
    }

    /// The text of a string. Adds its secrets.
    fn string(&mut self, origin: &Origin, name: &str, within: Option<&str>, text: &str) -> String {
        let interpolated = origin.interpolate(text).ok();
        let whole = interpolated.as_ref().map_or(text, |interpolated| &*interpolated.text);
        let is_secret = has_part(name, show::SECRET_NAMES.iter().chain(&SECRET_NAMES));
        let is_url = whole.contains("://") && (!is_secret || has_part(name, &URL_NAMES));
        match whole.split_once("://") {
            Some((_, after)) if is_url => self.url(after),
            _ if is_secret || within == Some(HEADERS) => self.secret(whole),
            _ => {}
        }
        if let Some(interpolated) = &interpolated {
            self.secrets.extend(interpolated.taken.iter().cloned());
        }
        if is_reference(text) {
            return format!("{text:?}");
        }
        match text.split_once("://") {
            Some((before, after)) if is_url && within.is_none() => url(before, after),
            None if !is_secret && within.is_none() => format!("{text:?}"),
            _ => MASK.to_owned(),
        }
    }

    /// Adds the parts of a URL after its `://` that are secrets: all but the host and the port.
    fn url(&mut self, after: &str) {
        let (authority, rest) = match after.find(['/', '?', '#']) {
            Some(end) => after.split_at(end),
            None => (after, ""),
        };
        self.secret(authority.rsplit_once('@').map_or("", |(user, _)| user));
        self.secret(rest);
    }

    /// Adds a secret, and its parts.
    fn secret(&mut self, text: &str) {
        let parts = text.split(['/', '?', '&', '=', '#', ':', ' ']);
        let long = parts.filter(|part| part.len() >= PART_BYTES_MIN && part.len() < text.len());
        self.secrets.extend(long.chain([text]).map(str::to_owned));
    }
}

/// Whether a key's name contains one of these parts.
fn has_part<'a>(name: &str, parts: impl IntoIterator<Item = &'a &'static str>) -> bool {
    let name = name.to_ascii_lowercase();
    parts.into_iter().any(|part| name.contains(part))
}

/// A URL, split at its `://`, as scheme, host and port. It leaves out a host whose end is in doubt.
fn url(before: &str, after: &str) -> String {
    let in_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let scheme = before.rsplit(|c| !in_scheme(c)).next().unwrap_or_default();
    let authority = after.split(['/', '?', '#']).next().unwrap_or_default();
    let in_authority = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':' | '[' | ']');
    if authority.is_empty() || !authority.chars().all(in_authority) || after.contains('@') {
        return format!("\"{scheme}://…\"");
    }
    let rest = if authority.len() == after.len() { "" } else { "/…" };
    format!("\"{scheme}://{authority}{rest}\"")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::document::Environment;

    fn masked(text: &str, variables: &[(&str, &str)]) -> Masked {
        let environment = Environment::from_pairs(variables.iter().copied());
        let document = Document::parse(Path::new("engine.toml"), text.as_bytes(), &environment);
        document.expect("TOML").masked()
    }

    #[test]
    fn a_line_has_a_value_without_its_secrets() {
        let text = r#"
# rpc_url = "https://old.example/oldkey"
[engine]
state_dir = "${HOME_DIR}-state"
log_level = "info"
[engine.limits]
fuel_per_event = 1_000_000
[chains.1]
rpc_url = "https://user:pass1234@a.example:8545/v3/key45678?x=word9012"
fallbacks = ["wss://b.example:443/v3/key45678", "${RPC_URL}", "ipc-path"]
headers = { authorization = "Bearer abcdef", x = 5, y = true }
[admin]
token_file = "/etc/nexum/token"
[[modules]]
path = "a.wasm"
[modules.config]
api = "literal"
level = 7
other = "${OTHER:-fallback}"
site = "https://c.example/d"
"#;
        let variables = [("HOME_DIR", "hunter2"), ("RPC_URL", "https://secret.example/key")];
        let masked = masked(text, &variables);
        insta::assert_snapshot!(masked.text, @r#"
        engine.state_dir = "${HOME_DIR}-state"
        engine.log_level = "info"
        engine.limits.fuel_per_event = 1_000_000
        chains.1.rpc_url = "https://…"
        chains.1.fallbacks[0] = "wss://b.example:443/…"
        chains.1.fallbacks[1] = "${RPC_URL}"
        chains.1.fallbacks[2] = "ipc-path"
        chains.1.headers.authorization = "…"
        chains.1.headers.x = "…"
        chains.1.headers.y = true
        admin.token_file = "…"
        modules[0].path = "a.wasm"
        modules[0].config.api = "…"
        modules[0].config.level = "…"
        modules[0].config.other = "…"
        modules[0].config.site = "…"
        "#);
        for secret in [
            "hunter2",
            "user:pass1234",
            "pass1234",
            "key45678",
            "word9012",
            "Bearer abcdef",
        ] {
            assert!(masked.secrets.iter().any(|found| found == secret), "{secret}");
        }
    }
}
