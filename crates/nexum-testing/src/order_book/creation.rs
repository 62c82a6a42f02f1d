//! An order as it is posted.

use alloy_primitives::{Address, B256, Bytes};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::reply::Reply;
use super::{OrderTerms, Scheme, eip712};

/// The length of a signature made by a key.
const SIGNATURE_BYTES: usize = 65;

/// The body of `POST /api/v1/orders`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Creation {
    #[serde(flatten)]
    pub(super) terms: OrderTerms,
    pub(super) signing_scheme: Scheme,
    pub(super) signature: Bytes,
    #[serde(default)]
    pub(super) from: Option<Address>,
    #[serde(default)]
    pub(super) app_data_hash: Option<B256>,
}

impl Creation {
    /// Reads a body. What is no such JSON, a signature of a wrong length included, is refused in plain text.
    pub(super) fn parse(body: &str) -> Result<Self, Reply> {
        let refuse = |reason: String| Reply::text(422, &format!("the body is no order: {reason}"));
        let creation: Self = serde_json::from_str(body).map_err(|error| refuse(error.to_string()))?;
        let length = creation.signature.len();
        let fits = match creation.signing_scheme {
            Scheme::Eip712 | Scheme::EthSign => length == SIGNATURE_BYTES,
            Scheme::Eip1271 => true,
            // Older clients give the owner in its place.
            Scheme::Presign => length == 0 || length == Address::len_bytes(),
        };
        if fits {
            Ok(creation)
        } else {
            Err(refuse(format!(
                "{length} bytes are no signature by {:?}",
                creation.signing_scheme
            )))
        }
    }

    /// Whose order it is, as far as that can be said without a chain.
    pub(super) fn owner(&self, chain_id: u64) -> Result<Address, Reply> {
        let scheme = self.signing_scheme;
        if let Scheme::Eip1271 | Scheme::Presign = scheme {
            return self.from.ok_or_else(|| {
                Reply::error(
                    400,
                    "MissingFrom",
                    "this scheme does not tell the owner, so from has to",
                )
            });
        }
        let digest = eip712::order_digest(&self.terms, chain_id);
        let signer = eip712::signer(scheme, digest, &self.signature)
            .ok_or_else(|| Reply::error(400, "InvalidSignature", "nobody can have made this signature"))?;
        match self.from {
            Some(from) if from != signer => {
                let description = format!("signed by {signer}, and from is {from}");
                Err(Reply::error(400, "WrongOwner", &description))
            }
            _ => Ok(signer),
        }
    }

    /// The app data, where it is a document and not the hash of one.
    pub(super) fn document(&self) -> Option<&str> {
        let app_data = self.terms.app_data.as_str();
        super::terms::as_hash(app_data).is_none().then_some(app_data)
    }

    /// The owner that the app data names as the only one, if it does.
    pub(super) fn named_signer(&self) -> Option<Address> {
        let document: Value = serde_json::from_str(self.document()?).ok()?;
        document["metadata"]["signer"].as_str()?.parse().ok()
    }
}
