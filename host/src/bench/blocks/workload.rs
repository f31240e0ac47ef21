//! A workload of `bench blocks`: an ordered block whose senders are known, and what the reference path gives for it.

use super::{
    generated::{self, ADVERSE},
    ground::Ground,
};
use crate::{
    block::{Block, BlockEnv},
    block_file::BlockFile,
    delegation::authority_of,
    error::ExecuteError,
    evm::{self, BundleState, Sequential},
    memory::MemoryState,
    outcome::TxOutcome,
    recover::{recover_one, sender_request},
    tx::Transaction,
};
use alloy_primitives::{Address, Bytes};
use std::fmt::Debug;

/// A block, decoded and recovered.
#[derive(Clone, Debug)]
pub struct Workload<'a> {
    /// Its fixed name, or the block's number.
    pub name: String,
    pub(super) env: &'a BlockEnv,
    pub(super) state: &'a MemoryState,
    pub(super) txs: Vec<Transaction>,
    pub(super) senders: Vec<Address>,
    /// By the reference path, each transaction committed before the next.
    pub(super) expected: Sequential,
}

impl<'a> Workload<'a> {
    /// The block of a file.
    ///
    /// # Errors
    /// It is no block that can be executed.
    pub fn of_file(file: &'a BlockFile) -> Result<Self, String> {
        let name = file.block.env.number.to_string();
        let (txs, senders) = recovered(&file.block).map_err(|error| format!("block {name}: {error}"))?;
        Self::new(name, &file.block.env, &file.state, txs, senders)
    }

    /// `n` transactions of the generated workload of a name, of which so many percent are hot if it is one that has such.
    ///
    /// # Errors
    /// There is none of the name.
    pub fn generated(ground: &'a Ground, name: &str, hot: usize, n: usize) -> Result<Self, String> {
        let (full_name, signed) = if ADVERSE.contains(&name) {
            (name.to_owned(), generated::adverse(ground, name, n))
        } else {
            (format!("{name}/{hot}"), generated::shared(ground, name, hot, n))
        };
        let (txs, senders) = signed.ok_or_else(|| format!("no workload {name}"))?;
        Self::new(full_name, &ground.world.env, &ground.world.state, txs, senders)
    }

    fn new(
        name: String,
        env: &'a BlockEnv,
        state: &'a MemoryState,
        txs: Vec<Transaction>,
        senders: Vec<Address>,
    ) -> Result<Self, String> {
        let expected = evm::sequential(env, &txs, &senders, state);
        let expected = expected.map_err(|(tx, error)| format!("{name}: transaction {tx}: {error}"))?;
        Ok(Self { name, env, state, txs, senders, expected })
    }

    /// Its transactions.
    pub fn len(&self) -> usize {
        self.txs.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.txs.is_empty()
    }

    /// Gas of all.
    pub fn gas(&self) -> u64 {
        self.expected.outcomes.iter().map(|outcome| outcome.gas_used).sum()
    }

    /// Whether the first so many outcomes are the right ones, and, of all of them, the bundle. With `ends_alone` it may tell only
    /// of the end of an account that is destroyed, as a journal that is kept over the block does.
    ///
    /// # Errors
    /// The first difference.
    pub(super) fn check(&self, outcomes: &[TxOutcome], bundle: &BundleState, ends_alone: bool) -> Result<(), String> {
        check_outcomes(&self.expected.outcomes, outcomes)?;
        if outcomes.len() < self.len() {
            return Ok(());
        }
        check_bundle(&self.expected.bundle, bundle, ends_alone)
    }
}

/// The transactions of a block with their senders and authorities: each decoded, and recovered by libsecp256k1.
///
/// # Errors
/// The first that is none.
pub(super) fn recovered(block: &Block) -> Result<(Vec<Transaction>, Vec<Address>), ExecuteError> {
    let each = |(tx, raw): (usize, &Bytes)| {
        let mut decoded = Transaction::decode(raw).map_err(|source| ExecuteError::Decode { tx, source })?;
        for authorization in &mut decoded.authorizations {
            authorization.authority = Some(authority_of(authorization));
        }
        let sender = recover_one(&sender_request(&decoded, block.env.fork));
        Ok((decoded, sender.map_err(|source| ExecuteError::Recover { tx, source })?))
    };
    block.transactions.iter().enumerate().map(each).collect()
}

/// All but the changes, which the bundle tells of.
fn result(outcome: &TxOutcome) -> impl PartialEq + Debug + '_ {
    let TxOutcome { status, gas_used, output, logs, contract_address, changes: _ } = outcome;
    (status, gas_used, output, logs, contract_address)
}

fn check_outcomes(expected: &[TxOutcome], actual: &[TxOutcome]) -> Result<(), String> {
    let mut both = expected.iter().map(result).zip(actual.iter().map(result));
    match both.position(|(expected, actual)| expected != actual) {
        Some(index) => {
            Err(format!("result {index} is {:?}, not {:?}", result(&actual[index]), result(&expected[index])))
        }
        None => Ok(()),
    }
}

fn check_bundle(expected: &BundleState, actual: &BundleState, ends_alone: bool) -> Result<(), String> {
    let destroys = expected.state.values().any(|account| account.was_destroyed());
    let differs = |address: &&Address| {
        let (expected, actual) = (expected.state.get(*address), actual.state.get(*address));
        expected != actual && !(ends_alone && expected.is_some_and(|account| account.was_destroyed()))
    };
    if let Some(address) = expected.state.keys().chain(actual.state.keys()).filter(differs).min() {
        let (actual, expected) = (actual.state.get(address), expected.state.get(address));
        return Err(format!("account {address} is {actual:?} in the bundle, not {expected:?}"));
    }
    if expected.contracts != actual.contracts {
        return Err("the bundle's contracts are not the right ones".into());
    }
    if !(ends_alone && destroys) && expected.reverts != actual.reverts {
        return Err("the bundle's reverts are not the right ones".into());
    }
    Ok(())
}
