//! The names that test files have for forks, the rules behind them, and when they change.

use super::{Malformed, json::Node};
use crate::{block::BlobParams, fork::Fork};
use std::collections::BTreeMap;

/// The rules of a fork by the name in test files. `BPO1` to `BPO5` are Osaka with other blob parameters (EIP-7892); `Constantinople`, which
/// mainnet never had, is none of ours.
pub(super) fn fork_of(name: &str) -> Option<Fork> {
    Some(match name {
        "Frontier" => Fork::Frontier,
        "Homestead" => Fork::Homestead,
        "EIP150" => Fork::Tangerine,
        "EIP158" => Fork::SpuriousDragon,
        "Byzantium" => Fork::Byzantium,
        "ConstantinopleFix" => Fork::Petersburg,
        "Istanbul" | "MuirGlacier" => Fork::Istanbul,
        "Berlin" => Fork::Berlin,
        "London" | "ArrowGlacier" | "GrayGlacier" => Fork::London,
        "Paris" | "Merge" => Fork::Merge,
        "Shanghai" => Fork::Shanghai,
        "Cancun" => Fork::Cancun,
        "Prague" => Fork::Prague,
        "Osaka" | "BPO1" | "BPO2" | "BPO3" | "BPO4" | "BPO5" => Fork::Osaka,
        "Amsterdam" => Fork::Amsterdam,
        _ => return None,
    })
}

/// Whether the device is asked to run transactions of `fork`.
pub(super) fn is_on_device(fork: Fork) -> bool {
    (Fork::Berlin..=Fork::Osaka).contains(&fork)
}

/// The blob parameters of each fork that the file names: `config.blobSchedule` (EIP-7840).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct BlobSchedule(BTreeMap<String, BlobParams>);

impl BlobSchedule {
    /// Reads the schedule of a case's `config`, if it has one.
    pub(super) fn read(case: &Node<'_>) -> Result<Self, Malformed> {
        let mut schedule = BTreeMap::new();
        let config = case.optional("config")?;
        if let Some(entries) = config.map(|config| config.optional("blobSchedule")).transpose()?.flatten() {
            for (fork, entry) in entries.members()? {
                let target = entry.get("target")?.u64()?;
                let max = entry.get("max")?.u64()?;
                let update_fraction = entry.get("baseFeeUpdateFraction")?.u64()?;
                schedule.insert(fork.into(), BlobParams { target, max, update_fraction });
            }
        }
        Ok(Self(schedule))
    }

    /// The parameters at a fork, mainnet's where the file has none; `None` before Cancun.
    pub(super) fn params(&self, name: &str, fork: Fork) -> Option<BlobParams> {
        self.0.get(name).copied().filter(|_| fork >= Fork::Cancun).or_else(|| BlobParams::of(fork))
    }
}

/// EIP-155 chain id of a case's `config`; mainnet's where the file has none.
pub(super) fn chain_id(case: &Node<'_>) -> Result<u64, Malformed> {
    let Some(config) = case.optional("config")? else { return Ok(1) };
    config.optional("chainid")?.map_or(Ok(1), |id| id.u64())
}

/// The rules in force at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) fork: Fork,
    pub(super) blobs: Option<BlobParams>,
}

/// The rules of a chain: one fork's, or one's and from a time on another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    before: Rules,
    after: Option<(u64, Rules)>,
}

impl Network {
    /// The network of a name such as `Prague` or `CancunToPragueAtTime15k`; `None` where a fork is not ours.
    pub(super) fn of(name: &str, schedule: &BlobSchedule) -> Option<Self> {
        let rules = |name: &str| {
            let fork = fork_of(name)?;
            Some(Rules { fork, blobs: schedule.params(name, fork) })
        };
        let Some((forks, time)) = name.split_once("AtTime") else {
            return Some(Self { before: rules(name)?, after: None });
        };
        let (before, after) = forks.split_once("To")?;
        let time: u64 = match time.strip_suffix('k') {
            Some(thousands) => thousands.parse::<u64>().ok()?.checked_mul(1000)?,
            None => time.parse().ok()?,
        };
        Some(Self { before: rules(before)?, after: Some((time, rules(after)?)) })
    }

    /// The rules of a block with this timestamp.
    pub(super) const fn at(&self, timestamp: u64) -> &Rules {
        match &self.after {
            Some((time, rules)) if timestamp >= *time => rules,
            _ => &self.before,
        }
    }

    /// Every set of rules that it may come to.
    pub(super) fn rules(&self) -> impl Iterator<Item = &Rules> {
        std::iter::once(&self.before).chain(self.after.as_ref().map(|(_, rules)| rules))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transitions() {
        let schedule = BlobSchedule::default();
        let network = Network::of("ShanghaiToCancunAtTime15k", &schedule).unwrap();
        assert_eq!(network.at(14_999), &Rules { fork: Fork::Shanghai, blobs: None });
        assert_eq!(network.at(15_000), &Rules { fork: Fork::Cancun, blobs: BlobParams::of(Fork::Cancun) });
        assert_eq!(network.rules().count(), 2);
        assert_eq!(Network::of("Prague", &schedule).unwrap().at(u64::MAX).fork, Fork::Prague);
        for unknown in
            ["", "Constantinople", "prague", "ParisToAtTime15k", "ParisToShanghaiAtTimek", "BerlinToLondonAt5"]
        {
            assert_eq!(Network::of(unknown, &schedule), None, "{unknown}");
        }
    }
}
