//! The service of a cloud that this build lacks. The configuration refuses its keys.

use alloy_primitives::B256;
use async_trait::async_trait;

use super::KeyService;
use crate::cloud::Cloud;
use crate::config::kms::KmsConfig;
use crate::signer::SignError;

#[derive(Debug)]
struct Absent(Cloud);

pub(super) fn service(config: &KmsConfig) -> Box<dyn KeyService> {
    Box::new(Absent(config.cloud))
}

#[async_trait]
impl KeyService for Absent {
    async fn public_key(&self) -> Result<Vec<u8>, SignError> {
        Err(SignError::NotBuilt(self.0))
    }

    async fn sign(&self, _: B256) -> Result<Vec<u8>, SignError> {
        Err(SignError::NotBuilt(self.0))
    }
}
