//! Where the credentials of a cloud come from.

use std::process::Command;

use nexum_accounts::{Cloud, SignError};
use nexum_testing::Kms;
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use super::{CLOUDS, HIDDEN, account, aws_file, failure, sign, start, text};
use crate::support::{ADDRESS, account_in};

/// The variable with the cloud and the URL of the server, of a test in another process.
const SERVER: &str = "NEXUM_TEST_KMS";

#[tokio::test]
async fn credentials_are_read_again_after_a_refusal() {
    let kms = start().await;
    let (account, directory) = account(Cloud::Aws, &kms);
    sign(&account).await.unwrap();
    kms.set_access_key("AKIDNEW", "another secret");
    let error = failure(&account).await;
    assert!(
        matches!(&error, SignError::Refused { status: 400, code } if code == "UnrecognizedClientException"),
        "{error}"
    );
    let path = directory.path().join(HIDDEN);
    std::fs::write(&path, aws_file("AKIDNEW", "a wrong secret")).unwrap();
    let error = failure(&account).await;
    assert!(
        matches!(&error, SignError::Refused { code, .. } if code == "InvalidSignatureException"),
        "{error}"
    );
    std::fs::write(&path, aws_file("AKIDNEW", "another secret")).unwrap();
    sign(&account).await.unwrap();
}

#[tokio::test]
async fn without_usable_credentials_nothing_is_sent() {
    for cloud in CLOUDS {
        let kms = start().await;
        let (account, directory) = account(cloud, &kms);
        let path = directory.path().join(HIDDEN);
        let good = std::fs::read_to_string(&path).unwrap();
        let large = format!("{good}{}", " ".repeat(64 << 10));
        for content in ["", "{}", "[other]\naws_access_key_id = x\n", "\u{0}", &large] {
            std::fs::write(&path, content).unwrap();
            let error = failure(&account).await;
            assert!(matches!(error, SignError::Credentials(of) if of == cloud), "{error}");
            assert_eq!(
                error.to_string(),
                format!("there are no usable credentials for {cloud}")
            );
        }
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(failure(&account).await, SignError::Credentials(_)));
        assert!(kms.received().is_empty() && kms.refusals().is_empty());
        // The operator mends the file.
        std::fs::write(&path, good).unwrap();
        sign(&account).await.unwrap();
    }
}

#[tokio::test]
async fn credentials_come_from_the_environment_and_from_the_metadata_server() {
    // A process has one environment for all of its threads, so each case has a process.
    if let Some(server) = std::env::var_os(SERVER) {
        let server = server.into_string().unwrap();
        let (cloud, url) = server.split_once(' ').unwrap();
        let cloud = CLOUDS.into_iter().find(|known| format!("{known:?}") == cloud).unwrap();
        let account = account_in("".as_ref(), &text(cloud, ADDRESS, url, ""), &[]);
        return sign(&account).await.unwrap();
    }
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let profiles = format!(
        "{}[other]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        aws_file("AKIDWRONG", "wrong"),
        Kms::ACCESS_KEY,
        Kms::SECRET
    );
    std::fs::write(path("profiles"), profiles).unwrap();
    std::fs::create_dir(path(".aws")).unwrap();
    let kms = start().await;
    std::fs::write(path("account.json"), kms.service_account_json()).unwrap();
    std::fs::create_dir_all(path("home/.config/gcloud")).unwrap();
    std::fs::copy(
        path("account.json"),
        path("home/.config/gcloud/application_default_credentials.json"),
    )
    .unwrap();
    std::fs::create_dir_all(path("home/.aws")).unwrap();
    std::fs::write(path("home/.aws/credentials"), aws_file(Kms::ACCESS_KEY, Kms::SECRET)).unwrap();
    let (home, empty) = (path("home"), path("empty"));
    type Case<'a> = (Cloud, Vec<(&'a str, String)>, &'a str);
    let cases: [Case<'_>; 8] = [
        (
            Cloud::Aws,
            vec![
                ("AWS_ACCESS_KEY_ID", Kms::ACCESS_KEY.to_owned()),
                ("AWS_SECRET_ACCESS_KEY", Kms::SECRET.to_owned()),
            ],
            Kms::ACCESS_KEY,
        ),
        (Cloud::Aws, vec![("HOME", home.clone())], Kms::ACCESS_KEY),
        (
            Cloud::Aws,
            vec![
                ("AWS_SHARED_CREDENTIALS_FILE", path("profiles")),
                ("AWS_PROFILE", "other".to_owned()),
            ],
            Kms::ACCESS_KEY,
        ),
        (
            Cloud::Aws,
            vec![("AWS_EC2_METADATA_SERVICE_ENDPOINT", kms.url())],
            Kms::INSTANCE_KEY,
        ),
        (
            Cloud::Aws,
            vec![(
                "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                format!("{}/latest/container", kms.url()),
            )],
            Kms::INSTANCE_KEY,
        ),
        (
            Cloud::Gcp,
            vec![("GOOGLE_APPLICATION_CREDENTIALS", path("account.json"))],
            Kms::SERVICE_ACCOUNT,
        ),
        (Cloud::Gcp, vec![("HOME", home)], Kms::SERVICE_ACCOUNT),
        (Cloud::Gcp, vec![("GCE_METADATA_HOST", kms.host())], "instance"),
    ];
    for (cloud, variables, caller) in cases {
        let before = kms.received().len();
        let server = format!("{cloud:?} {}", kms.url());
        run(&server, &empty, variables.clone()).await;
        let received = kms.received();
        assert_eq!(received.len(), before + 2, "{variables:?}");
        assert!(
            received[before..].iter().all(|request| request.caller == caller),
            "{variables:?} {received:?}"
        );
    }
    assert!(kms.refusals().is_empty());
}

/// Runs the test above in another process, with these variables alone.
async fn run(server: &str, home: &str, variables: Vec<(&str, String)>) {
    let name = "kms::credentials::credentials_come_from_the_environment_and_from_the_metadata_server";
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", name, "--nocapture"])
        .env_clear()
        .env("HOME", home)
        .envs(variables)
        .env(SERVER, server);
    let output = spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && shown.contains("1 passed"),
        "{shown}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
