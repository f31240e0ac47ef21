//! revm beside a device: a transaction of a block run on a prefix that may be another one at its turn, with all that it read there.

use super::{EvmContext, Source, account_info, build, outcome_of, tx_env};
use crate::{
    block::BlockEnv,
    outcome::{AccountChange, AccountChangeKind, TxOutcome},
    state::{AccountInfo, StateError, StateRef},
    tx::Transaction,
};
use alloy_primitives::{Address, B256, U256};
use revm::{
    Database, ExecuteEvm, MainnetEvm,
    bytecode::Bytecode,
    context_interface::result::{EVMError, ExecResultAndState, HaltReason},
    handler::{FrameResult, Handler, post_execution},
    state::AccountInfo as RevmAccountInfo,
};
use std::{collections::BTreeMap, marker::PhantomData};

/// Every value that a transaction got from the state. Codes are missing: an account's hash names the bytes.
#[derive(Debug, Default)]
struct Reads {
    accounts: Vec<(Address, Option<AccountInfo>)>,
    slots: Vec<(Address, U256, U256)>,
    hashes: BTreeMap<u64, B256>,
    /// Whether the beneficiary was read only to be paid; then it is not among the accounts.
    pays: bool,
}

impl Reads {
    fn hold(&self, prefix: &dyn StateRef) -> Result<bool, StateError> {
        for (address, info) in &self.accounts {
            if prefix.account(address)? != *info {
                return Ok(false);
            }
        }
        for (address, slot, value) in &self.slots {
            if prefix.storage(address, slot)? != *value {
                return Ok(false);
            }
        }
        for (number, hash) in &self.hashes {
            if prefix.block_hash(*number)? != *hash {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A state that remembers what revm asked it for. revm's journal asks for no account and no slot twice.
struct Recorder<'a> {
    source: Source<&'a dyn StateRef>,
    reads: Reads,
    /// All is done but for the beneficiary's payment.
    ran: bool,
}

impl Database for Recorder<'_> {
    type Error = StateError;

    fn basic(&mut self, address: Address) -> Result<Option<RevmAccountInfo>, StateError> {
        let info = self.source.basic(address)?;
        if self.ran {
            self.reads.pays = true;
        } else {
            self.reads.accounts.push((address, info.as_ref().map(account_info)));
        }
        Ok(info)
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, StateError> {
        self.source.code_by_hash(code_hash)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, StateError> {
        let value = self.source.storage(address, slot)?;
        self.reads.slots.push((address, slot, value));
        Ok(value)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, StateError> {
        let hash = self.source.block_hash(number)?;
        self.reads.hashes.insert(number, hash);
        Ok(hash)
    }
}

/// Mainnet's rules, which tell the recorder when only the beneficiary is left to be paid.
struct Marking<'a>(PhantomData<Recorder<'a>>);

impl<'a> Handler for Marking<'a> {
    type Evm = MainnetEvm<EvmContext<Recorder<'a>>>;
    type Error = EVMError<StateError>;
    type HaltReason = HaltReason;

    fn reward_beneficiary(&self, evm: &mut Self::Evm, result: &mut FrameResult) -> Result<(), Self::Error> {
        evm.ctx.journaled_state.database.ran = true;
        Ok(post_execution::reward_beneficiary(&mut evm.ctx, result.gas())?)
    }
}

/// What revm made of a transaction, and all that it depends on besides the transaction and its block.
#[derive(Debug)]
pub(crate) struct Beside {
    outcome: TxOutcome,
    reads: Reads,
}

impl Beside {
    /// What it made.
    pub(crate) fn outcome(&self) -> &TxOutcome {
        &self.outcome
    }

    /// Runs a transaction on `prefix`; `None` where it has no outcome there, which says nothing of its turn.
    pub(crate) fn run(env: &BlockEnv, tx: &Transaction, sender: Address, prefix: &dyn StateRef) -> Option<Self> {
        let recorder = Recorder { source: Source::new(prefix), reads: Reads::default(), ran: false };
        let mut evm = build(env, recorder).ok()?;
        evm.ctx.tx = tx_env(tx, sender).ok()?;
        let result = Marking(PhantomData).run(&mut evm).ok()?;
        let outcome = outcome_of(ExecResultAndState::new(result, evm.finalize()));
        Some(Self { outcome, reads: evm.ctx.journaled_state.database.reads })
    }

    /// Whether the outcome stands on another prefix: whatever it read is the same there.
    ///
    /// # Errors
    /// The state could not be read.
    pub(crate) fn holds(&self, prefix: &dyn StateRef) -> Result<bool, StateError> {
        self.reads.hold(prefix)
    }

    /// The outcome on another prefix, if it stands there. A payment to a beneficiary that nothing else looked at is one on
    /// top of what the prefix says.
    ///
    /// # Errors
    /// The state could not be read.
    pub(crate) fn on(mut self, env: &BlockEnv, prefix: &dyn StateRef) -> Result<Option<TxOutcome>, StateError> {
        if !self.holds(prefix)? {
            return Ok(None);
        }
        if self.reads.pays {
            let now = prefix.account(&env.beneficiary)?;
            let paid = self.outcome.changes.iter_mut().find(|change| change.address == env.beneficiary);
            let Some(()) = paid.and_then(|change| pay_again(change, now)) else { return Ok(None) };
        }
        Ok(Some(self.outcome))
    }
}

/// Makes of a payment the same one to an account as it is `now`. `None` near 2^256, where revm keeps a payment that the balance
/// cannot hold: a payment is below 2^128.
fn pay_again(change: &mut AccountChange, now: Option<AccountInfo>) -> Option<()> {
    let (then, held) = (change.before.unwrap_or_default(), now.unwrap_or_default());
    if change.kind != AccountChangeKind::Touched || then.balance.bit_len().max(held.balance.bit_len()) > 255 {
        return None;
    }
    let balance = held.balance + (change.after.balance - then.balance);
    (change.before, change.after) = (now, AccountInfo { balance, ..held });
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fixture, memory::MemoryState, recover};

    fn read() -> (Reads, MemoryState) {
        let (address, slot) = (Address::repeat_byte(1), U256::from(3));
        let info = AccountInfo { balance: U256::from(5), nonce: 1, ..AccountInfo::default() };
        let mut state = MemoryState::default();
        state.insert_account(address, info);
        state.insert_slot(address, slot, U256::from(7));
        state.insert_block_hash(9, B256::repeat_byte(9));
        let reads = Reads {
            accounts: vec![(address, Some(info)), (Address::repeat_byte(2), None)],
            slots: vec![(address, slot, U256::from(7))],
            hashes: [(9, B256::repeat_byte(9))].into(),
            pays: false,
        };
        (reads, state)
    }

    #[test]
    fn each_value_that_was_read_counts() {
        type Edit = fn(&mut MemoryState, AccountInfo);
        let edits: [Edit; 6] = [
            |state, info| state.insert_account(Address::repeat_byte(1), AccountInfo { balance: U256::from(6), ..info }),
            |state, info| state.insert_account(Address::repeat_byte(1), AccountInfo { nonce: 2, ..info }),
            |state, info| {
                state.insert_account(Address::repeat_byte(1), AccountInfo { code_hash: B256::ZERO, ..info });
            },
            // That it exists is a value too.
            |state, _| state.insert_account(Address::repeat_byte(2), AccountInfo::default()),
            |state, _| state.insert_slot(Address::repeat_byte(1), U256::from(3), U256::from(8)),
            |state, _| state.insert_block_hash(9, B256::repeat_byte(8)),
        ];
        let (reads, state) = read();
        assert_eq!(reads.hold(&state), Ok(true));
        for (index, edit) in edits.into_iter().enumerate() {
            let (reads, mut state) = read();
            edit(&mut state, reads.accounts[0].1.unwrap());
            assert_eq!(reads.hold(&state), Ok(false), "edit {index}");
        }
    }

    #[test]
    fn a_payment_is_made_again_to_whoever_is_there() {
        let info = |balance, nonce| Some(AccountInfo { balance, nonce, ..AccountInfo::default() });
        let payment = |before: Option<AccountInfo>| AccountChange {
            address: Address::ZERO,
            kind: AccountChangeKind::Touched,
            before,
            after: AccountInfo { balance: before.unwrap().balance + U256::from(9), ..before.unwrap() },
            code: None,
            storage: Vec::new(),
        };
        let mut change = payment(info(U256::from(100), 1));
        assert_eq!(pay_again(&mut change, info(U256::from(50), 4)), Some(()));
        assert_eq!((change.before, Some(change.after)), (info(U256::from(50), 4), info(U256::from(59), 4)));
        let mut change = payment(info(U256::from(100), 1));
        assert_eq!(pay_again(&mut change, None), Some(()));
        assert_eq!((change.before, Some(change.after)), (None, info(U256::from(9), 0)));
        let high = U256::ONE << 255;
        assert_eq!(pay_again(&mut payment(info(U256::ONE, 1)), info(high, 1)), None);
        assert_eq!(pay_again(&mut payment(info(high, 1)), info(U256::ONE, 1)), None);
    }

    #[test]
    fn a_beneficiary_that_is_only_paid_is_not_read() {
        let (block, state) = fixture::block();
        let tx = Transaction::decode(&block.transactions[0]).unwrap();
        let sender = recover::recover_one(&recover::sender_request(&tx, block.env.fork)).unwrap();
        let reads = |env: &BlockEnv| Beside::run(env, &tx, sender, &state).unwrap().reads;
        let paid = reads(&block.env);
        assert!(paid.pays && paid.accounts.iter().all(|(address, _)| *address != block.env.beneficiary));
        let looked_at = reads(&BlockEnv { beneficiary: sender, ..block.env });
        assert!(!looked_at.pays && looked_at.accounts.iter().any(|(address, _)| *address == sender));
    }
}
