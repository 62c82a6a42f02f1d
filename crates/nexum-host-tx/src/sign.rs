//! One version of a transaction: its bytes, its signature and its hash.

use alloy_consensus::{SignableTransaction, TxEip1559, TxLegacy};
use alloy_primitives::{B256, Bytes, TxKind, U256};
use nexum_accounts::{Account, Preimage, SignError};

use crate::fees::Fees;
use crate::rows::{Lane, Purpose, Transaction};

/// The gas of a transaction without data.
const TRANSFER_GAS: u64 = 21_000;

/// A signed version.
#[derive(Debug)]
pub(crate) struct Signed {
    pub(crate) hash: B256,
    pub(crate) bytes: Bytes,
}

/// Signs a version of a transaction.
pub(crate) async fn sign(
    account: &Account,
    (lane, nonce): (Lane, u64),
    transaction: &Transaction,
    purpose: Purpose,
    fees: Fees,
) -> Result<Signed, SignError> {
    let (to, value, input, gas_limit) = match purpose {
        Purpose::Request => {
            let to = transaction.to.map_or(TxKind::Create, TxKind::Call);
            (to, transaction.value, transaction.data.clone(), transaction.gas)
        }
        Purpose::Cancel => (TxKind::Call(lane.account), U256::ZERO, Bytes::new(), TRANSFER_GAS),
    };
    match transaction.is_legacy {
        true => {
            let unsigned = TxLegacy {
                chain_id: Some(lane.chain),
                nonce,
                gas_price: fees.max_fee,
                gas_limit,
                to,
                value,
                input,
            };
            let signature = account.sign(&Preimage::new(unsigned.encoded_for_signing())).await?;
            let signed = unsigned.into_signed(signature);
            let mut bytes = Vec::new();
            signed.rlp_encode(&mut bytes);
            Ok(Signed {
                hash: *signed.hash(),
                bytes: bytes.into(),
            })
        }
        false => {
            let unsigned = TxEip1559 {
                chain_id: lane.chain,
                nonce,
                gas_limit,
                max_fee_per_gas: fees.max_fee,
                max_priority_fee_per_gas: fees.tip,
                to,
                value,
                access_list: Default::default(),
                input,
            };
            let signature = account.sign(&Preimage::new(unsigned.encoded_for_signing())).await?;
            let signed = unsigned.into_signed(signature);
            let mut bytes = Vec::new();
            signed.eip2718_encode(&mut bytes);
            Ok(Signed {
                hash: *signed.hash(),
                bytes: bytes.into(),
            })
        }
    }
}
