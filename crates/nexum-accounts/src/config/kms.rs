//! The keys `aws_kms` and `gcp_kms` of `signer`.

use std::path::PathBuf;

use nexum_config::document::{ConfigError, Section};
use nexum_config::masked_path::MaskedPath;

use super::signer_url::SignerUrl;
use crate::cloud::Cloud;

/// The longest name of a key, in bytes.
const KEY_BYTES_MAX: usize = 1_024;

/// The domains of AWS's partitions. Another partition needs `endpoint`.
const AWS_DOMAINS: [(&str, &str); 3] = [
    ("aws", "amazonaws.com"),
    ("aws-us-gov", "amazonaws.com"),
    ("aws-cn", "amazonaws.com.cn"),
];

/// The URL of Google's service.
const GCP_URL: &str = "https://cloudkms.googleapis.com";

/// The parts of a name in Google Cloud, each of which a value follows.
const GCP_PARTS: [&str; 5] = ["projects", "locations", "keyRings", "cryptoKeys", "cryptoKeyVersions"];

/// A key in the key management service of a cloud that this build has.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(any(feature = "aws", feature = "gcp")),
    allow(dead_code, reason = "a build without clouds has no value of this type")
)]
pub struct KmsConfig {
    pub(crate) cloud: Cloud,
    /// The name of the key.
    pub(crate) key: String,
    pub(crate) url: SignerUrl,
    /// The only file with credentials that nexum reads. `None` to look for credentials where the
    /// cloud's own programs do.
    pub(crate) credentials_file: Option<MaskedPath>,
    /// The time limit of one request, in milliseconds.
    pub(crate) timeout_ms: u64,
}

/// The options of a key.
pub(super) struct KmsOptions {
    pub(super) endpoint: Option<SignerUrl>,
    pub(super) credentials_file: Option<PathBuf>,
    pub(super) timeout_ms: u64,
}

/// The URL of the service of a key with a valid name, if it is known.
type KnownUrl = Option<String>;

impl KmsConfig {
    /// Validates the name of a key and its options. Adds all errors to `errors`.
    pub(super) fn read(
        table: &Section,
        cloud: Cloud,
        key: &str,
        options: KmsOptions,
        errors: &mut Vec<ConfigError>,
    ) -> Option<Self> {
        let known = errors.len();
        errors.extend((!cloud.is_built()).then(|| not_built(table, cloud)));
        let known_url = match cloud {
            Cloud::Aws => aws(key),
            Cloud::Gcp => gcp(key),
        };
        if known_url.is_none() {
            errors.push(table.error(cloud.key(), expected(cloud)));
        }
        if options.endpoint.as_ref().is_some_and(SignerUrl::has_user) {
            errors.push(table.error("endpoint", "expected a URL without a user and a password"));
        }
        let known_url = known_url?;
        let default = || SignerUrl::parse(known_url.as_deref()?).ok();
        let url = options.endpoint.or_else(default);
        if url.is_none() {
            let error = table.error("", "nexum does not know the endpoint of this partition of AWS");
            errors.push(error.with_hint("write `endpoint`, the URL of the service in the key's region"));
        }
        let config = Self {
            cloud,
            key: key.to_owned(),
            url: url?,
            credentials_file: options
                .credentials_file
                .map(|path| table.path("credentials_file", &path)),
            timeout_ms: options.timeout_ms,
        };
        (errors.len() == known).then_some(config)
    }
}

/// The error of a key in a cloud that the build lacks.
fn not_built(table: &Section, cloud: Cloud) -> ConfigError {
    let error = table.error(cloud.key(), format!("this build lacks the signer `{}`", cloud.key()));
    error.with_hint(format!("build nexum with `--features {}`", cloud.feature()))
}

fn expected(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::Aws => "expected the ARN of a key or an alias, such as arn:aws:kms:eu-central-1:111122223333:key/ID",
        Cloud::Gcp => "expected a version of a key: projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/1",
    }
}

/// The parts of `arn:PARTITION:kms:REGION:ACCOUNT:RESOURCE`.
fn aws(arn: &str) -> Option<KnownUrl> {
    let parts: Vec<_> = arn.splitn(6, ':').collect();
    let ["arn", partition, "kms", region, account, resource] = *parts else {
        return None;
    };
    let (kind, id) = resource.split_once('/')?;
    let is_valid = arn.len() <= KEY_BYTES_MAX
        && is_word(partition, b"-")
        && is_word(region, b"-")
        && account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && matches!(kind, "key" | "alias")
        && is_word(id, b"-_/");
    let domain = AWS_DOMAINS.iter().find(|(known, _)| *known == partition);
    is_valid.then(|| domain.map(|(_, domain)| format!("https://kms.{region}.{domain}")))
}

/// The parts of `projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/N`.
fn gcp(name: &str) -> Option<KnownUrl> {
    let parts: Vec<_> = name.split('/').collect();
    let (pairs, []) = parts.as_chunks::<2>() else {
        return None;
    };
    // The id of an older project begins with a domain.
    let is_valid = name.len() <= KEY_BYTES_MAX
        && pairs.iter().map(|[part, _]| *part).eq(GCP_PARTS)
        && pairs
            .iter()
            .all(|[_, value]| is_word(value, b"-_.:") && !value.starts_with('.'));
    let [.., [_, version]] = pairs else { return None };
    let is_number = version.bytes().all(|byte| byte.is_ascii_digit());
    (is_valid && is_number).then(|| Some(GCP_URL.to_owned()))
}

/// Whether the text has letters, digits and these characters alone, and at least one.
fn is_word(text: &str, others: &[u8]) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte))
}

#[cfg(test)]
mod tests {
    use nexum_config::document::{Document, Environment};
    use nexum_config::hint::Hint as _;

    use super::*;

    #[test]
    fn a_build_without_the_cloud_names_the_feature() {
        let text = b"signer = {}\n";
        let document = Document::parse(
            "engine.toml".as_ref(),
            text,
            &Environment::from_pairs::<String, String>([]),
        )
        .expect("TOML");
        let table = document.root().section("signer").expect("a table").expect("a table");
        for (cloud, feature) in [(Cloud::Aws, "identity-aws"), (Cloud::Gcp, "identity-gcp")] {
            let error = not_built(&table, cloud);
            let expected = format!("this build lacks the signer `{}`", cloud.key());
            assert!(error.to_string().contains(&expected), "{error}");
            assert_eq!(error.hint(), Some(format!("build nexum with `--features {feature}`")));
        }
    }
}
