//! ERC-20 transfers: the most frequent call there is, as uniform a batch as can be.

use crate::{
    contracts::{Arg, Contract, ContractError, mapping_slot, word},
    programs::{self, Calls},
};
use alloy_primitives::{Address, U256, keccak256};
use lockstep::{
    fork::Fork,
    memory::MemoryState,
    state::AccountInfo,
    tx::{Transaction, TxType},
};

/// `count` transfers of one token, each between two accounts of its own.
///
/// # Errors
/// The contract is not what is expected here.
pub fn transfers(count: u64) -> Result<Calls, ContractError> {
    let token = Contract::load("Token")?;
    let balances = token.slot("balanceOf")?;
    let to = Address::from_word(keccak256(b"token"));
    let mut calls =
        Calls { env: programs::env(Fork::Cancun), state: MemoryState::default(), txs: Vec::new(), senders: Vec::new() };
    let code_hash = keccak256(&token.runtime_code);
    calls.state.insert_code(code_hash, token.runtime_code.clone());
    calls.state.insert_account(to, AccountInfo { nonce: 1, code_hash, ..AccountInfo::default() });
    for index in 0..count {
        let account = |role: &[u8]| Address::from_word(keccak256([role, &index.to_be_bytes()].concat()));
        let (sender, receiver) = (account(b"sender"), account(b"receiver"));
        let rich = AccountInfo { balance: U256::from(u128::MAX), ..AccountInfo::default() };
        calls.state.insert_account(sender, rich);
        for (owner, balance) in [(sender, 1_000_000), (receiver, index + 1)] {
            calls.state.insert_slot(to, mapping_slot(word(owner), balances), U256::from(balance));
        }
        calls.senders.push(sender);
        calls.txs.push(Transaction {
            hash: keccak256(index.to_be_bytes()),
            gas_limit: 60_000,
            max_fee_per_gas: U256::from(10),
            to: Some(to),
            input: token.call("transfer(address,uint256)", &[Arg::Word(word(receiver)), Arg::Word(U256::from(77))])?,
            ..Transaction::blank(TxType::Legacy, 1)
        });
    }
    Ok(calls)
}
