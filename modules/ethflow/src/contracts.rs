//! The EthFlow contracts that the module follows.

use nexum_sdk::cow::SETTLEMENT;
use nexum_sdk::{Address, address};

/// The settlement contract of staging.
pub const STAGING_SETTLEMENT: Address = address!("f553d092b50bdcbddeD1A99aF2cA29FBE5E2CB13");

/// The chains with EthFlow contracts.
pub const CHAINS: [u64; 11] = [1, 10, 56, 100, 137, 8_453, 9_745, 42_161, 43_114, 59_144, 11_155_111];

/// An EthFlow contract.
pub struct Deployment {
    /// The contract.
    pub address: Address,
    /// The contract that settles its orders.
    pub settlement: Address,
    /// The chains that have it.
    pub chains: &'static [u64],
}

/// The contracts of CoW Protocol: production, staging, staging until March 2026, and earlier ones of
/// production. Earlier ones still hold the ether of orders without a refund.
pub const DEPLOYMENTS: [Deployment; 7] = [
    Deployment {
        address: address!("bA3cB449bD2B4ADddBc894D8697F5170800EAdeC"),
        settlement: SETTLEMENT,
        chains: &CHAINS,
    },
    Deployment {
        address: address!("b37aDD6AC288BD3825a901Cba6ec65A89f31B8CC"),
        settlement: STAGING_SETTLEMENT,
        chains: &CHAINS,
    },
    Deployment {
        address: address!("04501b9b1D52e67f6862d157E00D13419D2D6E95"),
        settlement: SETTLEMENT,
        chains: &CHAINS,
    },
    Deployment {
        address: address!("40A50cf069e992AA4536211B23F286eF88752187"),
        settlement: SETTLEMENT,
        chains: &[1, 100],
    },
    Deployment {
        address: address!("0b7795E18767259CC253a2dF471db34c72B49516"),
        settlement: SETTLEMENT,
        chains: &[11_155_111],
    },
    Deployment {
        address: address!("6DFE75B5ddce1ADE279D4fa6BD6AeF3cBb6f49dB"),
        settlement: SETTLEMENT,
        chains: &[42_161],
    },
    Deployment {
        address: address!("3C3eA1829891BC9bEC3d06A81d5d169e52a415e3"),
        settlement: SETTLEMENT,
        chains: &[8_453],
    },
];

/// The contracts of CoW Protocol, and those of the operator.
#[derive(Debug)]
pub struct Contracts {
    /// The operator's, on each chain.
    pub own: Vec<Address>,
    /// The contract that settles the orders of the operator's.
    pub settlement: Address,
}

impl Contracts {
    /// The settlement contract of an EthFlow contract. `None` for a contract that the module does
    /// not follow on this chain.
    pub fn settlement(&self, chain_id: u64, contract: Address) -> Option<Address> {
        if self.own.contains(&contract) {
            return Some(self.settlement);
        }
        let mut deployments = DEPLOYMENTS.iter();
        let found = deployments.find(|found| found.address == contract && found.chains.contains(&chain_id));
        found.map(|found| found.settlement)
    }
}
