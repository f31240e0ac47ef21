//! Makes a failing batch small: fewer transactions, accounts, instructions and bytes, as long as it still fails.

use crate::programs::Calls;
use alloy_primitives::{Address, Bytes, U256, keccak256};
use lockstep::{
    memory::MemoryState,
    state::{AccountInfo, StateRef},
    tx::Transaction,
};

/// The smallest batch found for which `fails` holds, as it must for `calls`. Every try is a run; there are a few hundred.
pub fn shrink(calls: &Calls, fails: &mut dyn FnMut(&Calls) -> bool) -> Calls {
    let mut best = alone(calls, fails);
    loop {
        let before = size(&best);
        transactions(&mut best, fails);
        accounts(&mut best, fails);
        codes(&mut best, fails);
        fields(&mut best, fails);
        if size(&best) >= before {
            return best;
        }
    }
}

/// What shrinking must make less.
fn size(calls: &Calls) -> usize {
    let codes: usize = calls
        .state
        .accounts()
        .map(|(_, info)| 1 + calls.state.code(&info.code_hash).map_or(0, |code| code.len()))
        .sum();
    let txs: usize = calls.txs.iter().map(|tx| 1 + tx.input.len() + tx.access_list.len()).sum();
    codes + txs + calls.state.slots().count() + calls.state.block_hashes().count()
}

fn attempt(best: &mut Calls, next: Calls, fails: &mut dyn FnMut(&Calls) -> bool) -> bool {
    let better = fails(&next);
    if better {
        *best = next;
    }
    better
}

/// The first transaction that fails by itself, if one does.
fn alone(calls: &Calls, fails: &mut dyn FnMut(&Calls) -> bool) -> Calls {
    for (tx, sender) in calls.txs.iter().zip(&calls.senders) {
        let one = Calls { txs: vec![tx.clone()], senders: vec![*sender], ..calls.clone() };
        if fails(&one) {
            return one;
        }
    }
    calls.clone()
}

/// Without ranges of `len` items, halves first.
fn ranges(len: usize) -> impl Iterator<Item = (usize, usize)> {
    std::iter::successors(Some(len.div_ceil(2)), |step| (*step > 1).then(|| step / 2))
        .filter(|step| *step > 0)
        .flat_map(move |step| (0..len).step_by(step).map(move |start| (start, (start + step).min(len))))
}

fn transactions(best: &mut Calls, fails: &mut dyn FnMut(&Calls) -> bool) {
    for (start, end) in ranges(best.txs.len()) {
        if end > best.txs.len() || best.txs.len() == 1 {
            continue;
        }
        let mut next = best.clone();
        next.txs.drain(start..end);
        next.senders.drain(start..end);
        attempt(best, next, fails);
    }
}

/// What becomes of an account with its code; `None`: it goes.
type Change<'a> = &'a dyn Fn(&Address, AccountInfo, Bytes) -> Option<(AccountInfo, Bytes)>;

/// The state with some accounts changed or left out.
fn rebuilt(calls: &Calls, change: Change<'_>) -> Calls {
    let mut state = MemoryState::default();
    for (address, info) in calls.state.accounts() {
        let code = calls.state.code(&info.code_hash).unwrap_or_default();
        let Some((info, code)) = change(address, *info, code) else { continue };
        state.insert_account(*address, info);
        if info.has_code() {
            state.insert_code(info.code_hash, code);
        }
        for (owner, slot, value) in calls.state.slots().filter(|(owner, ..)| *owner == address) {
            state.insert_slot(*owner, *slot, *value);
        }
    }
    for (number, hash) in calls.state.block_hashes() {
        state.insert_block_hash(number, *hash);
    }
    Calls { state, ..calls.clone() }
}

fn accounts(best: &mut Calls, fails: &mut dyn FnMut(&Calls) -> bool) {
    let mut addresses: Vec<Address> = best.state.accounts().map(|(address, _)| *address).collect();
    addresses.sort_unstable();
    for (start, end) in ranges(addresses.len()) {
        let drop = &addresses[start..end];
        if drop.iter().all(|address| best.state.account(address).is_ok_and(|info| info.is_none())) {
            continue;
        }
        let next = rebuilt(best, &|address, info, code| (!drop.contains(address)).then_some((info, code)));
        attempt(best, next, fails);
    }
    let mut bare = best.clone();
    let slots: Vec<_> = best.state.slots().map(|(address, slot, value)| (*address, *slot, *value)).collect();
    bare.state = MemoryState::default();
    for (address, info) in best.state.accounts() {
        bare.state.insert_account(*address, *info);
    }
    for (hash, code) in best.state.codes() {
        bare.state.insert_code(*hash, code.clone());
    }
    // Without block hashes; then without each slot.
    for (address, slot, value) in &slots {
        bare.state.insert_slot(*address, *slot, *value);
    }
    attempt(best, bare, fails);
    for (address, slot, _) in slots {
        let mut next = best.clone();
        next.state.insert_slot(address, slot, U256::ZERO);
        attempt(best, next, fails);
    }
}

fn with_code(calls: &Calls, address: Address, code: &[u8]) -> Calls {
    let code = Bytes::copy_from_slice(code);
    rebuilt(calls, &|at, info, old| {
        if *at != address {
            return Some((info, old));
        }
        let code_hash = if code.is_empty() { alloy_primitives::KECCAK256_EMPTY } else { keccak256(&code) };
        Some((AccountInfo { code_hash, ..info }, code.clone()))
    })
}

/// Bytes cut out where that still fails; else, since jumps lead elsewhere then, JUMPDESTs in their place.
fn codes(best: &mut Calls, fails: &mut dyn FnMut(&Calls) -> bool) {
    let mut addresses: Vec<Address> =
        best.state.accounts().filter(|(_, info)| info.has_code()).map(|(address, _)| *address).collect();
    addresses.sort_unstable();
    for address in addresses {
        let code = |calls: &Calls| {
            let info = calls.state.account(&address).ok().flatten().unwrap_or_default();
            calls.state.code(&info.code_hash).unwrap_or_default().to_vec()
        };
        for (start, end) in ranges(code(best).len()) {
            let old = code(best);
            if end > old.len() {
                continue;
            }
            let cut = [&old[..start], &old[end..]].concat();
            if attempt(best, with_code(best, address, &cut), fails) {
                continue;
            }
            let blank = [&old[..start], &vec![0x5b; end - start], &old[end..]].concat();
            if blank != old {
                attempt(best, with_code(best, address, &blank), fails);
            }
        }
    }
}

fn fields(best: &mut Calls, fails: &mut dyn FnMut(&Calls) -> bool) {
    const SIMPLER: [fn(&mut Transaction); 7] = [
        |tx| tx.input = Bytes::new(),
        |tx| tx.input = tx.input[..tx.input.len() / 2].to_vec().into(),
        |tx| tx.input = vec![0; tx.input.len()].into(),
        |tx| tx.access_list.clear(),
        |tx| tx.value = U256::ZERO,
        |tx| {
            tx.authorizations.pop();
        },
        |tx| tx.gas_limit = tx.gas_limit.next_multiple_of(100_000),
    ];
    for index in 0..best.txs.len() {
        for simpler in SIMPLER {
            let mut next = best.clone();
            simpler(&mut next.txs[index]);
            if next.txs[index] != best.txs[index] {
                attempt(best, next, fails);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::scene::{FORKS, batch};

    #[test]
    fn what_does_not_matter_goes() {
        let calls = batch(1, 4, &FORKS);
        // "Fails" where some transaction's target has a code with a CREATE2 in it.
        let target = |calls: &Calls, tx: &Transaction| {
            let info = calls.state.account(&tx.to?).ok()??;
            calls.state.code(&info.code_hash).ok()
        };
        let mut fails =
            |calls: &Calls| calls.txs.iter().any(|tx| target(calls, tx).is_some_and(|code| code.contains(&0xf1)));
        assert!(fails(&calls));
        let small = shrink(&calls, &mut fails);
        assert!(fails(&small));
        assert_eq!((small.txs.len(), small.state.accounts().count()), (1, 1));
        assert_eq!(target(&small, &small.txs[0]).map(|code| code.to_vec()), Some(vec![0xf1]));
    }
}
