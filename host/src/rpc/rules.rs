//! Which fork and blob parameters a block has: from the tables of public chains, from the node, or as the user says.

use super::{
    answer::INVALID_PARAMS,
    client::{Client, Request},
    error::{Cause, RpcError},
};
use crate::{
    block::BlobParams,
    block_file::{BlockFileError, Node},
    fork::Fork,
};
use alloy_eips::eip7840;
use alloy_hardforks::{EthereumHardfork, ForkCondition};
use serde_json::{Value, json};

/// What is in force in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) fork: Fork,
    pub(crate) blobs: Option<BlobParams>,
}

/// What is known of a chain's rules.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    chain_id: u64,
    named: Option<Fork>,
    /// From which timestamp on, by the node's own account (EIP-7910).
    current: Option<(u64, Rules)>,
}

impl Schedule {
    /// Asks the node where it can tell. `named` is the fork that the user says.
    pub(crate) fn ask(client: &Client, chain_id: u64, named: Option<Fork>) -> Result<Self, RpcError> {
        let mut schedule = Self { chain_id, named, current: None };
        let ask = |method| Request::new(method, json!([]), "fork");
        // A node that fails to tell what it knows would change the rules, and nobody could see it.
        let lacks = |cause: &Cause| match cause {
            Cause::Unsupported => true,
            Cause::Node { code, .. } => *code == INVALID_PARAMS,
            _ => false,
        };
        match client.call(None, ask("eth_config")) {
            Ok(config) => schedule.current = current(&Node::root(&config)).ok().flatten(),
            Err(error) if lacks(&error.cause) => {}
            Err(error) => return Err(error),
        }
        if schedule.current.is_none() && named.is_none() && table(chain_id).is_none() {
            // What development nodes have.
            let info = match client.call(None, ask("anvil_nodeInfo").or_otherwise()) {
                Ok(info) => info,
                // Without it no rules are known, which is an error.
                Err(error) if error.is_the_nodes() => Value::Null,
                Err(error) => return Err(error),
            };
            let fork = info["hardFork"].as_str().and_then(|name| name.to_uppercase().parse::<Fork>().ok());
            schedule.current = fork.map(|fork| (0, Rules { fork, blobs: BlobParams::of(fork) }));
        }
        Ok(schedule)
    }

    /// The rules of a block.
    ///
    /// # Errors
    /// Nobody knows them.
    pub(crate) fn at(&self, number: u64, timestamp: u64) -> Result<Rules, RpcError> {
        let told = self.current.filter(|(from, _)| timestamp >= *from).map(|(_, rules)| rules);
        let known = table(self.chain_id).map(|forks| from_table(&forks, number, timestamp));
        let rules = match (self.named, known, told) {
            // The node knows of blob parameters that came after the table.
            (Some(fork), _, Some(told)) if told.fork == fork => told,
            (Some(fork), _, _) => Rules { fork, blobs: BlobParams::of(fork) },
            (None, Some(known), Some(told)) if told.fork >= known.fork => told,
            (None, Some(known), _) => known,
            (None, None, Some(told)) => told,
            (None, None, None) => {
                let reason = format!("the forks of chain {} are not known here: name one with --fork", self.chain_id);
                return Err(RpcError::new(number, "fork", "eth_config", Cause::Impossible(reason)));
            }
        };
        Ok(rules)
    }
}

type Forks = Vec<(EthereumHardfork, ForkCondition)>;

/// The forks of a public chain, oldest first.
fn table(chain_id: u64) -> Option<Forks> {
    Some(match chain_id {
        1 => EthereumHardfork::mainnet().into(),
        11_155_111 => EthereumHardfork::sepolia().into(),
        17_000 => EthereumHardfork::holesky().into(),
        560_048 => EthereumHardfork::hoodi().into(),
        _ => return None,
    })
}

fn from_table(forks: &Forks, number: u64, timestamp: u64) -> Rules {
    let mut rules = Rules { fork: Fork::Frontier, blobs: None };
    for (fork, condition) in forks {
        let active = match condition {
            ForkCondition::Block(block) => number >= *block,
            ForkCondition::TTD { activation_block_number, .. } => number >= *activation_block_number,
            ForkCondition::Timestamp(time) => timestamp >= *time,
            ForkCondition::Never => false,
        };
        if !active {
            continue;
        }
        let (fork, blobs) = match fork {
            EthereumHardfork::Bpo1 => (Fork::Osaka, Some(params(&eip7840::BlobParams::bpo1()))),
            EthereumHardfork::Bpo2 => (Fork::Osaka, Some(params(&eip7840::BlobParams::bpo2()))),
            fork => {
                let fork = fork_of(*fork).unwrap_or(rules.fork);
                (fork, BlobParams::of(fork).filter(|_| fork != rules.fork).or(rules.blobs))
            }
        };
        rules = Rules { fork, blobs };
    }
    rules
}

fn params(params: &eip7840::BlobParams) -> BlobParams {
    BlobParams {
        target: params.target_blob_count,
        max: params.max_blob_count,
        update_fraction: u64::try_from(params.update_fraction).unwrap_or(u64::MAX),
    }
}

/// Our name of a fork; `None` for those that change nothing in execution, or that we do not know.
const fn fork_of(fork: EthereumHardfork) -> Option<Fork> {
    Some(match fork {
        EthereumHardfork::Frontier => Fork::Frontier,
        EthereumHardfork::Homestead => Fork::Homestead,
        EthereumHardfork::Tangerine => Fork::Tangerine,
        EthereumHardfork::SpuriousDragon => Fork::SpuriousDragon,
        EthereumHardfork::Byzantium => Fork::Byzantium,
        EthereumHardfork::Constantinople | EthereumHardfork::Petersburg => Fork::Petersburg,
        EthereumHardfork::Istanbul => Fork::Istanbul,
        EthereumHardfork::Berlin => Fork::Berlin,
        EthereumHardfork::London => Fork::London,
        EthereumHardfork::Paris => Fork::Merge,
        EthereumHardfork::Shanghai => Fork::Shanghai,
        EthereumHardfork::Cancun => Fork::Cancun,
        EthereumHardfork::Prague => Fork::Prague,
        EthereumHardfork::Osaka => Fork::Osaka,
        EthereumHardfork::Amsterdam => Fork::Amsterdam,
        _ => return None,
    })
}

/// `current` of EIP-7910's `eth_config`. It names precompiles, not forks: the newest one tells which fork it is.
fn current(config: &Node<'_>) -> Result<Option<(u64, Rules)>, BlockFileError> {
    let current = config.get("current")?;
    let precompiles = current.get("precompiles")?;
    let has = |name: &str| precompiles.optional(name).ok().flatten().is_some();
    let fork = if has("P256VERIFY") {
        Fork::Osaka
    } else if has("BLS12_G1ADD") {
        Fork::Prague
    } else if has("KZG_POINT_EVALUATION") {
        Fork::Cancun
    } else {
        return Ok(None);
    };
    let schedule = current.get("blobSchedule")?;
    let blobs = BlobParams {
        target: schedule.get("target")?.count()?,
        max: schedule.get("max")?.count()?,
        update_fraction: schedule.get("baseFeeUpdateFraction")?.count()?,
    };
    Ok(Some((current.get("activationTime")?.count()?, Rules { fork, blobs: Some(blobs) })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mainnet(number: u64, timestamp: u64) -> Rules {
        Schedule { chain_id: 1, named: None, current: None }.at(number, timestamp).unwrap()
    }

    #[test]
    fn mainnet_has_the_forks_of_its_first_blocks() {
        let firsts = [
            (1, 0, Fork::Frontier),
            (1_150_000, 0, Fork::Homestead),
            (2_463_000, 0, Fork::Tangerine),
            (2_675_000, 0, Fork::SpuriousDragon),
            (4_370_000, 0, Fork::Byzantium),
            (7_280_000, 0, Fork::Petersburg),
            (9_069_000, 0, Fork::Istanbul),
            (12_244_000, 0, Fork::Berlin),
            (12_965_000, 0, Fork::London),
            (15_537_394, 0, Fork::Merge),
            (17_034_870, 1_681_338_455, Fork::Shanghai),
            (19_426_587, 1_710_338_135, Fork::Cancun),
            (22_431_084, 1_746_612_311, Fork::Prague),
            (23_935_694, 1_764_798_551, Fork::Osaka),
        ];
        for (at, (number, timestamp, fork)) in firsts.into_iter().enumerate() {
            assert_eq!(mainnet(number, timestamp).fork, fork);
            let before = if timestamp == 0 { (number - 1, 0) } else { (number, timestamp - 1) };
            if let Some((_, _, older)) = at.checked_sub(1).map(|at| firsts[at]) {
                assert_eq!(mainnet(before.0, before.1).fork, older);
            }
        }
    }

    #[test]
    fn blob_parameters_change_without_a_fork() {
        let max = |timestamp| mainnet(24_000_000, timestamp).blobs.unwrap().max;
        assert_eq!([1_764_798_551, 1_765_290_071, 1_767_747_671].map(max), [9, 15, 21]);
        assert_eq!(mainnet(15_537_394, 0).blobs, None);
    }

    #[test]
    fn the_node_knows_later_parameters_and_the_user_has_the_last_word() {
        let told = Rules { fork: Fork::Osaka, blobs: Some(BlobParams { target: 1, max: 48, update_fraction: 5 }) };
        let schedule = Schedule { chain_id: 1, named: None, current: Some((1_800_000_000, told)) };
        assert_eq!(schedule.at(25_000_000, 1_800_000_000).unwrap(), told);
        assert_eq!(schedule.at(25_000_000, 1_799_999_999).unwrap().blobs.unwrap().max, 21);
        let named = Schedule { named: Some(Fork::Cancun), ..schedule };
        assert_eq!(named.at(25_000_000, 1_800_000_000).unwrap().fork, Fork::Cancun);
        let unknown = Schedule { chain_id: 31_337, named: None, current: None };
        assert!(unknown.at(1, 0).unwrap_err().to_string().contains("--fork"));
    }

    #[test]
    fn the_configuration_of_a_node() {
        let config: Value = json!({"current": {"activationTime": 7, "blobSchedule": {"baseFeeUpdateFraction": 3, "max": 2, "target": 1}, "precompiles": {"BLS12_G1ADD": "0x0b"}}});
        let (from, rules) = current(&Node::root(&config)).unwrap().unwrap();
        assert_eq!((from, rules.fork, rules.blobs.unwrap().max), (7, Fork::Prague, 2));
        assert!(current(&Node::root(&json!({"current": null}))).is_err());
    }
}
