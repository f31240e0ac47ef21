//! A chain of its own, said by when its forks begin: for test chains and block files, which name their fork.

use crate::fork::Fork;
use alloy_eips::eip6110::MAINNET_DEPOSIT_CONTRACT_ADDRESS;
use alloy_evm::eth::spec::EthExecutorSpec;
use alloy_hardforks::{EthereumHardfork, EthereumHardforks, ForkCondition};
use alloy_primitives::Address;

/// Forks from the merge on, by the timestamp at which each begins; everything before has been since genesis. Mainnet's deposit
/// contract.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForkSchedule(Vec<(u64, Fork)>);

impl ForkSchedule {
    /// A schedule: a fork begins with the first entry that is it or a later one. One that no entry reaches never begins.
    pub fn new(entries: impl IntoIterator<Item = (u64, Fork)>) -> Self {
        Self(entries.into_iter().collect())
    }
}

/// Ours for what alloy calls a fork; `None` for those that only change blob parameters or the difficulty bomb.
const fn fork_of(fork: EthereumHardfork) -> Option<Fork> {
    match fork {
        EthereumHardfork::Shanghai => Some(Fork::Shanghai),
        EthereumHardfork::Cancun => Some(Fork::Cancun),
        EthereumHardfork::Prague => Some(Fork::Prague),
        EthereumHardfork::Osaka => Some(Fork::Osaka),
        EthereumHardfork::Amsterdam => Some(Fork::Amsterdam),
        _ => None,
    }
}

impl EthereumHardforks for ForkSchedule {
    fn ethereum_fork_activation(&self, fork: EthereumHardfork) -> ForkCondition {
        match fork_of(fork) {
            Some(fork) => {
                let begins = self.0.iter().filter(|(_, entry)| *entry >= fork).map(|(timestamp, _)| *timestamp).min();
                begins.map_or(ForkCondition::Never, ForkCondition::Timestamp)
            }
            None if fork <= EthereumHardfork::Paris && fork != EthereumHardfork::Dao => ForkCondition::Block(0),
            None => ForkCondition::Never,
        }
    }
}

impl EthExecutorSpec for ForkSchedule {
    fn deposit_contract_address(&self) -> Option<Address> {
        Some(MAINNET_DEPOSIT_CONTRACT_ADDRESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forks_begin_when_the_schedule_says() {
        let schedule = ForkSchedule::new([(0, Fork::Prague), (100, Fork::Osaka)]);
        assert!(schedule.is_paris_active_at_block(0) && schedule.is_prague_active_at_timestamp(0));
        assert!(!schedule.is_osaka_active_at_timestamp(99) && schedule.is_osaka_active_at_timestamp(100));
        assert!(!schedule.is_amsterdam_active_at_timestamp(u64::MAX));
        assert_eq!(schedule.ethereum_fork_activation(EthereumHardfork::Dao), ForkCondition::Never);
        assert_eq!(schedule.ethereum_fork_activation(EthereumHardfork::Bpo1), ForkCondition::Never);
    }
}
