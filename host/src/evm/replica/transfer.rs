//! Plain transfers, without an interpreter.

use super::{
    Executed, Replica,
    changed::{Changed, changed},
    notes::{Need, ReplicaContext},
};
use crate::{
    outcome::{TxOutcome, TxStatus},
    state::StateError,
    tx::{Transaction, TxType},
};
use alloy_primitives::{Address, Bytes, KECCAK256_EMPTY, U256};
use revm::{
    Journal,
    context_interface::{Cfg, journaled_state::account::JournaledAccountTr},
    handler::PrecompileProvider,
    primitives::hardfork::SpecId,
    state::AccountInfo as RevmAccountInfo,
};
use std::time::Duration;

/// What a transaction pays for gas; `None` where it may not stand here.
fn price(tx: &Transaction, chain_id: u64, spec: SpecId, base_fee: u64) -> Option<u128> {
    let most = u128::try_from(tx.max_fee_per_gas).ok()?;
    let tip = match tx.max_priority_fee_per_gas {
        Some(tip) => u128::try_from(tip).ok()?,
        None => most,
    };
    let since = match tx.tx_type {
        TxType::Legacy => SpecId::FRONTIER,
        TxType::AccessList => SpecId::BERLIN,
        _ => SpecId::LONDON,
    };
    let chain = tx.chain_id.map_or(tx.tx_type == TxType::Legacy, |id| id == chain_id);
    let base_fee = u128::from(base_fee);
    let stands = chain && spec.is_enabled_in(since) && tip <= most && most >= base_fee;
    let price = if tx.tx_type == TxType::DynamicFee { most.min(base_fee.saturating_add(tip)) } else { most };
    stands.then_some(price)
}

impl Replica<'_> {
    /// What a transfer between accounts without code comes to, without an interpreter; `None` where it is none, or anything may be
    /// wrong with it.
    pub(super) fn transfer(
        &mut self,
        tx: &Transaction,
        sender: Address,
    ) -> Result<Option<(Executed, Vec<Address>)>, StateError> {
        let (cfg, block) = (&self.evm.ctx.cfg, &self.evm.ctx.block);
        let spec = cfg.spec;
        let Some((to, price)) = tx.to.zip(price(tx, cfg.chain_id, spec, block.basefee)) else { return Ok(None) };
        let fits = tx.gas_limit <= block.gas_limit.min(cfg.tx_gas_limit_cap()) && tx.access_list.is_empty();
        let plain = matches!(tx.tx_type, TxType::Legacy | TxType::AccessList | TxType::DynamicFee);
        if !fits || !plain || PrecompileProvider::<ReplicaContext<'_>>::contains(&self.evm.precompiles, &to) {
            return Ok(None);
        }
        let initial = cfg.gas_params().initial_tx_gas(&tx.input, false, 0, 0, 0, None);
        let floor = if spec.is_enabled_in(SpecId::PRAGUE) { initial.floor_gas } else { 0 };
        let gas_used = initial.initial_regular_gas.max(floor);
        let most = tx.max_fee_per_gas.checked_mul(U256::from(tx.gas_limit)).and_then(|gas| gas.checked_add(tx.value));
        // revm multiplies in 128 bits, and calls more invalid.
        let fits = u128::try_from(tx.max_fee_per_gas).is_ok_and(|fee| fee.checked_mul(tx.gas_limit.into()).is_some());
        let Some(most) = most.filter(|_| fits && gas_used <= tx.gas_limit) else { return Ok(None) };
        let beneficiary_price =
            if spec.is_enabled_in(SpecId::LONDON) { price.saturating_sub(block.basefee.into()) } else { price };
        let Journal { database, inner, .. } = &mut self.evm.ctx.journaled_state;
        // Both are warm in any case, so that they may stay loaded for revm, which looks at the target only once the sender may pay.
        let RevmAccountInfo { balance, nonce, code_hash, .. } = inner.load_account(database, sender)?.data.info;
        if code_hash != KECCAK256_EMPTY || nonce != tx.nonce || nonce == u64::MAX || balance < most {
            return Ok(None);
        }
        let target = &inner.load_account(database, to)?.data.info;
        if target.code_hash != KECCAK256_EMPTY || target.balance.checked_add(tx.value).is_none() {
            return Ok(None);
        }
        let mut from = inner.load_account_mut(database, sender)?.data;
        from.set_balance(balance - U256::from(price) * U256::from(gas_used));
        from.bump_nonce();
        // There is enough, and room for it.
        inner.transfer_loaded(sender, to, tx.value);
        let Changed { changes, flipped, .. } = changed(&mut inner.state, &inner.journal);
        self.done.append(&mut inner.journal);
        inner.commit_tx();
        let notes = &mut self.evm.ctx.chain;
        notes.needs.push((sender, Need::Spare(balance - most)));
        let outcome = TxOutcome {
            status: TxStatus::Success,
            gas_used,
            output: Bytes::new(),
            logs: Vec::new(),
            contract_address: None,
            changes,
        };
        let reward = U256::from(beneficiary_price * u128::from(gas_used));
        Ok(Some((Executed { outcome, reward, is_call: false, took: Duration::ZERO, noted: (0, 0) }, flipped)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        error::TxError,
        evm::{Revm, RevmCache},
        fixture,
        state::AccountInfo,
    };

    #[test]
    fn what_revm_cannot_multiply_is_invalid() {
        let (block, mut state) = fixture::block();
        let sender = fixture::sender(1);
        let rich = AccountInfo { balance: U256::from(1) << 200, nonce: 0, code_hash: KECCAK256_EMPTY };
        state.insert_account(sender, rich);
        let mut tx = Transaction::decode(&block.transactions[0]).unwrap();
        let codes = RevmCache::default();
        for (shift, stands) in [(110, true), (112, false)] {
            (tx.max_fee_per_gas, tx.gas_limit) = (U256::from(1) << shift, 1 << 17);
            let of_revm = Revm::new(&block.env, &state).unwrap().transact(&tx, sender);
            let mut replica = Replica::new(&block.env, &state, &codes).unwrap();
            let ours = replica.run_in_turn(&tx, sender).map(|executed| executed.outcome);
            assert_eq!(ours, of_revm);
            assert_eq!(matches!(ours, Err(TxError::Invalid(_))), !stands);
        }
    }
}
