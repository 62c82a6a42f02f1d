//! A daemon whose key is in a key management service.

use alloy_primitives::b256;
use nexum_testing::accounts::ACCOUNTS;
use nexum_testing::{Kms, KmsOperation};

use super::{Module, World, assert_each_once};

/// A service with the private key of anvil's first account.
async fn service() -> Kms {
    let kms = Kms::start(b256!(
        "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
    ))
    .await;
    assert_eq!(kms.address().to_string(), ACCOUNTS[0].address);
    kms
}

/// Runs a module that sends a transaction for each of three blocks.
async fn pays_with(kms: &Kms, key: &str, credentials: &str) {
    let mut world = World::new(vec![Module::payer("last = 3\n")], &[]);
    world.dir.write("credentials", credentials);
    world.signer = Some(format!(
        "{key}, endpoint = {:?}, credentials_file = \"credentials\"",
        kms.url()
    ));
    world.anvil.mine(1).await;
    let (_child, log) = world.start();
    let paid = world.until_paid(0, 3).await;
    assert_each_once(&paid, 1..=3);
    let received = kms.received();
    let signatures = received
        .iter()
        .filter(|request| request.operation == KmsOperation::Sign);
    assert_eq!(signatures.count(), 3, "{received:?}");
    assert_eq!(kms.refusals(), Vec::<&str>::new());
    let lines = log.until(|line| line.contains("a transaction is in a block"));
    for secret in [Kms::SECRET, "PRIVATE KEY"] {
        assert!(lines.iter().all(|line| !line.contains(secret)), "{lines:#?}");
    }
}

#[cfg(feature = "identity-aws")]
#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_aws_signs_transactions() {
    let credentials = format!(
        "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        Kms::ACCESS_KEY,
        Kms::SECRET
    );
    pays_with(&service().await, &format!("aws_kms = {:?}", Kms::ARN), &credentials).await;
}

#[cfg(feature = "identity-gcp")]
#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_google_cloud_signs_transactions() {
    let kms = service().await;
    let credentials = kms.service_account_json();
    pays_with(&kms, &format!("gcp_kms = {:?}", Kms::NAME), &credentials).await;
}
