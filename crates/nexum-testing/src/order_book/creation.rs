//! The body of a new order.

use alloy_primitives::{Address, B256, Bytes};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::reply::Reply;
use super::{OrderTerms, Scheme, eip712};

/// The length of a signature by a key.
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
    #[serde(default)]
    pub(super) full_balance_check: bool,
}

impl Creation {
    /// Parses a body. Refuses in plain text JSON of another form and signatures of a wrong length.
    pub(super) fn parse(body: &str) -> Result<Self, Reply> {
        let refuse = |reason: String| Reply::text(422, &format!("the body is not an order: {reason}"));
        let creation: Self = serde_json::from_str(body).map_err(|error| refuse(error.to_string()))?;
        let length = creation.signature.len();
        let fits = match creation.signing_scheme {
            Scheme::Eip712 | Scheme::EthSign => length == SIGNATURE_BYTES,
            Scheme::Eip1271 => true,
            // Older clients send the owner instead of a signature.
            Scheme::Presign => length == 0 || length == Address::len_bytes(),
        };
        if fits {
            Ok(creation)
        } else {
            Err(refuse(format!(
                "a signature by {:?} cannot have {length} bytes",
                creation.signing_scheme
            )))
        }
    }

    /// The order's owner, as far as it is known without a chain.
    pub(super) fn owner(&self, chain_id: u64) -> Result<Address, Reply> {
        let scheme = self.signing_scheme;
        if let Scheme::Eip1271 | Scheme::Presign = scheme {
            return self
                .from
                .ok_or_else(|| Reply::error(400, "MissingFrom", "from is missing; this signing scheme requires it"));
        }
        let digest = eip712::order_digest(&self.terms, chain_id);
        let signer = eip712::signer(scheme, digest, &self.signature)
            .ok_or_else(|| Reply::error(400, "InvalidSignature", "the signature is invalid"))?;
        match self.from {
            Some(from) if from != signer => {
                let description = format!("the signer is {signer}, but from is {from}");
                Err(Reply::error(400, "WrongOwner", &description))
            }
            _ => Ok(signer),
        }
    }

    /// The app data, if it is a document and not a hash.
    pub(super) fn document(&self) -> Option<&str> {
        let app_data = self.terms.app_data.as_str();
        super::terms::as_hash(app_data).is_none().then_some(app_data)
    }
}

/// The only signer that an app-data document names, if any.
pub(super) fn named_signer(document: &str) -> Option<Address> {
    let document: Value = serde_json::from_str(document).ok()?;
    document["metadata"]["signer"].as_str()?.parse().ok()
}
