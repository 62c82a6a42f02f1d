use std::path::Path;

use nexum_testing::Kms;

use super::{CLOUDS, HIDDEN, text};
use crate::support::{ADDRESS, account_in, errors_of};

#[test]
fn a_file_of_credentials_is_relative_to_the_configuration() {
    let keys = format!(", credentials_file = \"{HIDDEN}\"");
    for cloud in CLOUDS {
        let account = account_in(
            Path::new("/etc/nexum"),
            &text(cloud, ADDRESS, "http://127.0.0.1:1", &keys),
            &[],
        );
        assert!(
            format!("{account:?}").contains(&format!("/etc/nexum/{HIDDEN}")),
            "{account:?}"
        );
    }
}

#[test]
fn errors_of_a_key_name_the_place_and_the_remedy() {
    let (arn, name) = (Kms::ARN, Kms::NAME);
    let chinese = "arn:aws-cn:kms:cn-north-1:111122223333:alias/keeper";
    let isolated = "arn:aws-iso:kms:us-iso-east-1:111122223333:key/1";
    let signers = [
        format!("aws_kms = \"{}\"", arn.replace("111122223333", "1111")),
        "aws_kms = \"alias/keeper\"".to_owned(),
        format!("aws_kms = \"{}\"", arn.replace("eu-central-1", "evil.example/?")),
        format!("aws_kms = \"{isolated}\""),
        format!("gcp_kms = \"{}\"", name.strip_suffix("/cryptoKeyVersions/1").unwrap()),
        format!("gcp_kms = \"{}\"", name.replace("/r/", "/../")),
        format!("gcp_kms = \"{}x\"", name),
        format!("gcp_kms = \"{name}\", endpoint = \"http://user:hunter2@127.0.0.1\""),
        format!("gcp_kms = \"{name}\", endpoint = \"ftp://127.0.0.1\""),
        format!("gcp_kms = \"{name}\", timeout_ms = 0"),
        format!("gcp_kms = \"{name}\", password_file = \"p\""),
        format!("gcp_kms = \"{name}\", aws_kms = \"{arn}\""),
        format!("gcp_kms = \"{name}\", key = \"x\""),
        "endpoint = \"http://127.0.0.1\"".to_owned(),
    ];
    let mut shown = String::new();
    for signer in &signers {
        let text = format!("[accounts.a]\naddress = \"{ADDRESS}\"\nsigner = {{ {signer} }}\n");
        shown += &errors_of(&text, &[]);
    }
    assert!(!shown.contains("hunter2"), "{shown}");
    insta::assert_snapshot!(shown);

    let endpoint = |signer: String| {
        let text = format!("[accounts.a]\naddress = \"{ADDRESS}\"\nsigner = {{ {signer} }}\n");
        account_in("".as_ref(), &text, &[]).endpoint().unwrap()
    };
    let of = |key: &str| endpoint(format!("aws_kms = \"{key}\""));
    assert_eq!(of(arn), "https://kms.eu-central-1.amazonaws.com");
    assert_eq!(of(chinese), "https://kms.cn-north-1.amazonaws.com.cn");
    let private = endpoint(format!(
        "aws_kms = \"{isolated}\", endpoint = \"https://vpce-1.kms.example\""
    ));
    assert_eq!(private, "https://vpce-1.kms.example");
    assert_eq!(
        endpoint(format!("gcp_kms = \"{name}\"")),
        "https://cloudkms.googleapis.com"
    );
}
