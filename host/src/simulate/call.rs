//! What is asked of a simulation, and what it answers.

use super::{BlockOverrides, StateOverrides};
use crate::{
    coverage::Coverage,
    error::TxError,
    outcome::{AccountChange, Log, SlotChange, TxStatus},
    tx::{Transaction, TxType},
};
use alloy_primitives::{Address, B256, Bytes, U256};
use std::sync::Arc;

/// Addresses and storage keys, as in EIP-2930.
pub type AccessList = Vec<(Address, Vec<B256>)>;

/// A message call or a creation, as `eth_call` takes it: unsigned, at a gas price of zero, whatever nonce or code the
/// sender has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// The sender.
    pub from: Address,
    /// `None` creates a contract.
    pub to: Option<Address>,
    /// In wei; the sender must have it.
    pub value: U256,
    /// Calldata or init code.
    pub input: Bytes,
    /// Gas limit; the block's if there is none. It may exceed the block's, and Osaka's cap for transactions.
    pub gas: Option<u64>,
    /// Warm from the start (EIP-2930).
    pub access_list: AccessList,
    /// What the state holds instead; calls that share an `Arc` share the work.
    pub state: Option<Arc<StateOverrides>>,
    /// What the block says instead.
    pub block: Option<Arc<BlockOverrides>>,
}

impl Call {
    /// A call of a contract with calldata.
    pub fn new(from: Address, to: Address, input: impl Into<Bytes>) -> Self {
        Self { from, to: Some(to), input: input.into(), ..Self::default() }
    }

    /// The same with a gas limit.
    #[must_use]
    pub const fn with_gas(mut self, gas: u64) -> Self {
        self.gas = Some(gas);
        self
    }

    /// The same with a value in wei.
    #[must_use]
    pub const fn with_value(mut self, value: U256) -> Self {
        self.value = value;
        self
    }

    /// The same on other state.
    #[must_use]
    pub fn with_state(mut self, overrides: Arc<StateOverrides>) -> Self {
        self.state = Some(overrides);
        self
    }

    /// The same in another block.
    #[must_use]
    pub fn with_block(mut self, overrides: Arc<BlockOverrides>) -> Self {
        self.block = Some(overrides);
        self
    }

    /// As the transaction that a lane takes: of type 0, or 1 where it has an access list, at a gas price of zero.
    pub(crate) fn transaction(&self, nonce: u64, gas_limit: u64, chain_id: u64) -> Transaction {
        let tx_type = if self.access_list.is_empty() { TxType::Legacy } else { TxType::AccessList };
        Transaction {
            nonce,
            gas_limit,
            to: self.to,
            value: self.value,
            input: self.input.clone(),
            access_list: self.access_list.clone(),
            ..Transaction::blank(tx_type, chain_id)
        }
    }
}

/// What can be asked as a call: one, or what was to become one and is none.
pub trait IntoCall {
    /// The call.
    ///
    /// # Errors
    /// There is none; the error becomes the answer at its index.
    fn into_call(self) -> Result<Call, TxError>;
}

impl IntoCall for Call {
    fn into_call(self) -> Result<Call, TxError> {
        Ok(self)
    }
}

impl IntoCall for Result<Call, TxError> {
    fn into_call(self) -> Result<Call, TxError> {
        self
    }
}

/// Which answers beyond status, gas and output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// Logs.
    pub logs: bool,
    /// The changes of state.
    pub state_diff: bool,
    /// What the call has made warm.
    pub access_list: bool,
    /// The edges that each call took.
    pub coverage: bool,
    /// The edges that all calls took together, in the summary.
    pub merged_coverage: bool,
}

impl Wants {
    /// Whether edges are wanted of all calls together and not of each.
    pub(crate) const fn merges_alone(self) -> bool {
        self.merged_coverage && !self.coverage
    }
}

/// What a call came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallResult {
    /// Success, revert or halt.
    pub status: TxStatus,
    /// As a transaction would pay it: with the intrinsic gas, after refunds.
    pub gas_used: u64,
    /// Return or revert data.
    pub output: Bytes,
    /// The address of a creation that succeeded.
    pub contract_address: Option<Address>,
    /// In order of emission; `None` unless wanted.
    pub logs: Option<Vec<Log>>,
    /// Every touched account by address, the sender's nonce among them; `None` unless wanted.
    pub state_diff: Option<Vec<AccountChange>>,
    /// What is warm at the end and was not from the start of every call, by address and key, together with the call's own
    /// list (EIP-2929): no sender, target, beneficiary or precompile, unless slots of theirs are; of failed frames nothing.
    /// `None` unless wanted.
    pub access_list: Option<AccessList>,
    /// `None` unless wanted.
    pub coverage: Option<Box<Coverage>>,
}

impl CallResult {
    /// Bytes of what can be of any length, more or less.
    pub(crate) fn bytes(&self) -> usize {
        let logs = self.logs.iter().flatten().map(|log| log.data.len() + 32 * log.topics.len() + 64);
        let changes = self.state_diff.iter().flatten().map(|change| {
            change.code.as_ref().map_or(0, |code| code.len()) + size_of::<SlotChange>() * change.storage.len() + 256
        });
        let listed = self.access_list.iter().flatten().map(|(_, keys)| 32 * keys.len() + 64);
        let coverage = self.coverage.as_ref().map_or(0, |_| size_of::<Coverage>());
        self.output.len() + coverage + logs.chain(changes).chain(listed).sum::<usize>()
    }
}

/// Calls on the state that the calls before them left; nothing of it reaches another sequence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sequence {
    /// In order. The overrides of a call stay in force for those after it, where they do not override themselves.
    pub calls: Vec<Call>,
}

/// The answer to one call.
pub type Answer = Result<CallResult, TxError>;
