//! The types that the code of `sol!` with `#[sol(rpc)]` uses, over [`Chain`]. They stand in for the
//! crate `alloy-contract`.
//!
//! ```
//! # async fn example() -> nexum_sdk::Result {
//! use nexum_sdk::{Chain, address, sol};
//!
//! sol! {
//!     #[sol(rpc)]
//!     interface IERC20 {
//!         function balanceOf(address owner) external view returns (uint256);
//!     }
//! }
//!
//! let token = IERC20::new(address!("A0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"), Chain::new(1));
//! let balance = token.balanceOf(address!("0000000000000000000000000000000000000001")).call().await?;
//! # Ok(())
//! # }
//! ```

use std::marker::PhantomData;

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolCall, SolEvent};

use crate::chain::{BlockId, CallRequest, Chain, Filter};
use crate::{Decoded, Error, ErrorKind, Result as SdkResult};

/// The result of a call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The names that the generated code uses.
pub mod private {
    pub use super::{Ethereum, Network, Provider};
}

/// A kind of network.
pub trait Network: 'static {}

/// Ethereum, and networks with its transactions.
#[derive(Clone, Copy, Debug)]
pub enum Ethereum {}

impl Network for Ethereum {}

/// A source of answers: a [`Chain`], or a reference to one.
pub trait Provider<N: Network = Ethereum> {
    /// The chain to ask.
    fn chain(&self) -> Chain;
}

impl Provider for Chain {
    fn chain(&self) -> Chain {
        *self
    }
}

impl<P: Provider<N>, N: Network> Provider<N> for &P {
    fn chain(&self) -> Chain {
        P::chain(self)
    }
}

/// A call of a function, to be sent with [`call`](Self::call).
#[must_use]
#[derive(Clone, Debug)]
pub struct SolCallBuilder<P, C, N = Ethereum> {
    chain: Chain,
    request: CallRequest,
    types: PhantomData<(P, C, N)>,
}

impl<P: Provider<N>, C: SolCall, N: Network> SolCallBuilder<P, C, N> {
    /// A call of a contract.
    pub fn new_sol(provider: P, address: &Address, call: &C) -> Self {
        Self {
            chain: provider.chain(),
            request: CallRequest {
                to: *address,
                data: call.abi_encode().into(),
                ..CallRequest::default()
            },
            types: PhantomData,
        }
    }

    /// Sets the block whose state the call reads.
    pub fn block(mut self, block: impl Into<BlockId>) -> Self {
        self.chain = self.chain.at(block);
        self
    }

    /// Sets the caller.
    pub fn from(mut self, from: Address) -> Self {
        self.request.from = Some(from);
        self
    }

    /// Sets the ether that the call carries, in wei.
    pub fn value(mut self, wei: U256) -> Self {
        self.request.value = Some(wei);
        self
    }

    /// Sets the limit of gas.
    pub fn gas(mut self, gas: u64) -> Self {
        self.request.gas = Some(gas);
        self
    }

    /// The encoded function and arguments.
    pub fn calldata(&self) -> &Bytes {
        &self.request.data
    }

    /// Sends the call, and decodes what the function returns.
    ///
    /// # Errors
    ///
    /// The host's error. After a revert, [`Error::decode_revert`] gives the contract's error.
    pub fn call(&self) -> impl Future<Output = SdkResult<C::Return>> + use<P, C, N> {
        self.chain.call_decoded::<C>(&self.request)
    }

    /// The gas that the call takes.
    ///
    /// # Errors
    ///
    /// The host's error.
    pub fn estimate_gas(&self) -> impl Future<Output = SdkResult<u64>> + use<P, C, N> {
        self.chain.estimate_gas(&self.request)
    }
}

/// A search for an event of a contract, to be sent with [`query`](Self::query).
#[must_use]
#[derive(Clone, Debug)]
pub struct Event<P, E, N = Ethereum> {
    chain: Chain,
    filter: Filter,
    types: PhantomData<(P, E, N)>,
}

impl<P: Provider<N>, E: SolEvent, N: Network> Event<P, E, N> {
    /// The event `E` of a contract, in the chain's block.
    pub fn new_sol(provider: P, address: &Address) -> Self {
        Self {
            chain: provider.chain(),
            filter: Filter::new().address(*address).event::<E>(),
            types: PhantomData,
        }
    }

    /// Limits the search to the blocks between these two, with both of them.
    pub fn blocks(mut self, from: impl Into<BlockId>, to: impl Into<BlockId>) -> Self {
        self.filter = self.filter.blocks(from, to);
        self
    }

    /// Accepts this value of the topic with this position, from 1 to 3, or from 0 for an anonymous
    /// event.
    pub fn topic(mut self, position: usize, value: impl Into<B256>) -> Self {
        self.filter = self.filter.topic(position, value);
        self
    }

    /// Finds the events. Logs that only look like the event are left out.
    ///
    /// # Errors
    ///
    /// The host's error.
    pub async fn query(&self) -> SdkResult<Vec<Decoded<E>>> {
        let logs = self.chain.logs(&self.filter).await?;
        Ok(logs.into_iter().flat_map(Decoded::try_from_log).collect())
    }
}

/// The deployment of a contract, which a module cannot do. The code for an ABI file with bytecode
/// names this type.
#[derive(Clone, Debug)]
pub struct RawCallBuilder<P, N = Ethereum> {
    /// The source of answers.
    pub provider: P,
    types: PhantomData<N>,
}

impl<P: Provider<N>, N: Network> RawCallBuilder<P, N> {
    /// A deployment of this code.
    pub fn new_raw_deploy(provider: P, code: Bytes) -> Self {
        drop(code);
        Self {
            provider,
            types: PhantomData,
        }
    }

    /// Fails.
    ///
    /// # Errors
    ///
    /// Always [`ErrorKind::Unsupported`].
    pub async fn deploy(&self) -> SdkResult<Address> {
        Err(Error::new(ErrorKind::Unsupported, "a module cannot deploy a contract"))
    }
}
