//! Runs that are watched, for what is learned of programs.

use super::{Executed, Replica};
use crate::{access::Access, block::BlockEnv, evm::RevmCache, state::StateRef, tx::Transaction};
use alloy_primitives::Address;

/// Looks at slots from which on a run is not looked into: nobody is to wait for that.
const MOST_NOTED: usize = 512;

/// Where what a run did begins in what its replica notes.
pub(super) struct Watched {
    slots: usize,
    mark: usize,
}

impl Replica<'_> {
    /// Begins to watch what runs next.
    pub(super) fn watch(&mut self) -> Watched {
        let context = &mut self.evm.ctx;
        context.chain.hashed = Some(Vec::new());
        Watched { slots: context.chain.slots.len(), mark: context.journaled_state.inner.transaction_id.get() }
    }

    /// What it looked at; `None` where it ran no code of an account, or too much of it to note.
    pub(super) fn watched(&mut self, since: &Watched, tx: &Transaction, executed: &Executed) -> Option<Access> {
        let hashed = self.evm.ctx.chain.hashed.take()?;
        let state = &self.evm.ctx.journaled_state.inner.state;
        let to = tx.to.filter(|_| executed.is_call && !self.evm.ctx.chain.is_full())?;
        let (outcome, noted) = (&executed.outcome, &self.evm.ctx.chain.slots[since.slots..]);
        if noted.len() > MOST_NOTED {
            return None;
        }
        let read = noted.iter().map(|slot| (*slot, false));
        let written = outcome
            .changes
            .iter()
            .flat_map(|change| change.storage.iter().map(|slot| ((change.address, slot.slot), true)));
        let seen = state.iter().filter(|(_, account)| account.transaction_id.get() >= since.mark);
        let mut accounts: Vec<_> = seen.map(|(address, _)| *address).filter(|address| *address != to).collect();
        accounts.sort_unstable();
        Some(Access {
            code_hash: state.get(&to)?.info.code_hash,
            gas: outcome.gas_used,
            took: executed.took,
            slots: read.chain(written).collect(),
            accounts,
            hashed,
        })
    }
}

/// Runs a transaction on a state, whatever nonce its sender has there: what it looks at, if it has an outcome.
pub(crate) fn watch(
    env: &BlockEnv,
    tx: &Transaction,
    sender: Address,
    state: &dyn StateRef,
    cache: &RevmCache,
) -> Option<Access> {
    let mut replica = Replica::new(env, state, cache).ok()?;
    replica.foresee(sender, tx.nonce);
    let since = replica.watch();
    let (executed, ..) = replica.run(tx, sender).ok()?;
    replica.watched(&since, tx, &executed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access::{ProgramId, Programs},
        fixture,
        state::{AccountInfo, StateKey},
        tx::TxType,
    };
    use alloy_primitives::{U256, hex, keccak256};

    #[test]
    fn what_a_call_looks_at_is_watched() {
        let (block, mut state) = fixture::block();
        let to = Address::repeat_byte(0x33);
        // Adds one to what a mapping at slot 2 has for the caller.
        let code = hex!("335f52600260205260405f208054600101905500");
        let code_hash = keccak256(code);
        state.insert_code(code_hash, code.into());
        state.insert_account(to, AccountInfo { code_hash, ..AccountInfo::default() });
        let tx = Transaction {
            to: Some(to),
            gas_limit: 200_000,
            max_fee_per_gas: U256::from(block.env.base_fee),
            input: vec![7; 36].into(),
            // Wherever its sender is.
            nonce: 5,
            ..Transaction::blank(TxType::Legacy, block.env.chain_id)
        };
        let slot_of = |sender: Address| {
            let input = [sender.into_word().0, U256::from(2).to_be_bytes()].concat();
            U256::from_be_bytes(keccak256(input).0)
        };
        let sender = fixture::sender(1);
        let access = watch(&block.env, &tx, sender, &state, &RevmCache::default()).unwrap();
        assert_eq!((access.code_hash, access.accounts.clone()), (code_hash, vec![sender]));
        assert_eq!(access.slots, [((to, slot_of(sender)), true)].into());
        assert!(access.gas > 21_000);
        let mut programs = Programs::default();
        programs.learn(access.learned(&tx, sender));
        // Somebody else's is foretold.
        let other = fixture::sender(2);
        let program = ProgramId::new(&code_hash, &tx.input);
        let mut expected = programs.expected(&[(program, &tx, other)]);
        expected.sort_by_key(|key| format!("{key:?}"));
        assert_eq!(expected, [StateKey::Account(other), StateKey::Slot(to, slot_of(other))]);
        let none = Transaction { to: Some(other), ..tx };
        assert!(watch(&block.env, &none, sender, &state, &RevmCache::default()).is_none(), "no code");
    }
}
