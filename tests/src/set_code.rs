//! SetCode transactions (EIP-7702): every rule by which a tuple counts or not, and calls that see what it did.

use crate::{
    calls::{Args, CALL, DELEGATECALL, KINDS, deploy, word},
    programs::{Calls, Code},
    sign::Wallet,
};
use alloy_primitives::{Address, Bytes, U256, keccak256};
use lockstep::{
    fork::Fork,
    state::AccountInfo,
    tx::{Authorization, Transaction, TxType},
};

/// What the cases share.
struct Cast {
    /// Never seen.
    fresh: Wallet,
    /// Nonce 5, a balance.
    known: Wallet,
    /// Nonce 1, delegates to `storer`.
    delegated: Wallet,
    /// Has code of its own.
    contract: Wallet,
    storer: Address,
    looker: Address,
}

/// Transactions of the type in every shape; none before Prague.
pub fn set_code(fork: Fork) -> Calls {
    let mut calls = Calls::new(fork);
    if fork < Fork::Prague {
        return calls;
    }
    let addresses = ["stores", "looks"].map(|name| Address::from_word(keccak256(name)));
    let [storer, looker] = addresses;
    deploy(&mut calls, "stores", Code::default().push(U256::from(7)).keep(0).op(0x47).keep(1).op(0x33).keep(2), 0);
    let looks =
        Code::default().op(0x30).op(0x3b).push(U256::ZERO).op(0x52).op(0x30).op(0x3f).push(U256::from(32)).op(0x52);
    deploy(&mut calls, "looks", looks.op(0x38).push(U256::from(64)).op(0x52).end(0xf3, 0, 96), 0);
    for (index, list) in lists(&cast(&mut calls, 0, storer, looker)).into_iter().enumerate() {
        for (shape, target) in targets(list.len()).enumerate() {
            // Nobody meets an authority that another transaction has changed.
            let cast = cast(&mut calls, 1000 * index + shape + 1, storer, looker);
            let list = lists(&cast).swap_remove(index);
            let code = target(&cast);
            transaction(&mut calls, &cast, code, list);
        }
    }
    senders(&mut calls, storer, looker);
    chains(&mut calls, storer, looker);
    calls
}

pub(crate) fn insert(calls: &mut Calls, address: Address, nonce: u64, balance: u64, code: Vec<u8>) {
    let info = AccountInfo { balance: U256::from(balance), nonce, code_hash: keccak256(&code) };
    calls.state.insert_account(address, info);
    if !code.is_empty() {
        calls.state.insert_code(info.code_hash, code.into());
    }
}

pub(crate) fn designator(address: Address) -> Vec<u8> {
    [[0xef, 0x01, 0x00].as_slice(), address.as_slice()].concat()
}

fn cast(calls: &mut Calls, number: usize, storer: Address, looker: Address) -> Cast {
    let wallet = |name: &str| Wallet::new(&format!("{name} {number}"));
    let (fresh, known) = (wallet("fresh"), wallet("known"));
    let (delegated, contract) = (wallet("delegated"), wallet("contract"));
    insert(calls, known.address(), 5, 77, vec![]);
    insert(calls, delegated.address(), 1, 0, designator(storer));
    insert(calls, contract.address(), 0, 0, vec![0x00]);
    Cast { fresh, known, delegated, contract, storer, looker }
}

/// Lists of tuples, one a rule.
fn lists(cast: &Cast) -> Vec<Vec<Authorization>> {
    let Cast { fresh, known, delegated, contract, storer, looker } = cast;
    let good = fresh.authorize(1, *looker, 0);
    let zero = Address::ZERO;
    let spoilt = |spoil: fn(&mut Authorization)| {
        let mut tuple = good.clone();
        spoil(&mut tuple);
        vec![tuple]
    };
    vec![
        vec![good.clone()],
        vec![fresh.authorize(0, *looker, 0)],
        vec![fresh.authorize(2, *looker, 0)],
        vec![fresh.authorize(1, *looker, 1)],
        vec![fresh.authorize(1, *looker, u64::MAX)],
        vec![known.authorize(1, *looker, 5)],
        vec![known.authorize(1, *looker, 4)],
        vec![known.authorize(1, zero, 5)],
        vec![delegated.authorize(1, *looker, 1)],
        vec![delegated.authorize(1, *storer, 1)],
        vec![delegated.authorize(1, zero, 1)],
        vec![delegated.authorize(1, *looker, 0)],
        vec![contract.authorize(1, *looker, 0)],
        vec![fresh.authorize(1, fresh.address(), 0)],
        vec![fresh.authorize(1, Address::with_last_byte(2), 0), known.authorize(1, Address::repeat_byte(0x77), 5)],
        // One authority several times: on top of each other, from the start again, set and cleared.
        vec![good.clone(), fresh.authorize(1, *storer, 1)],
        vec![good.clone(), good.clone(), good.clone()],
        vec![good.clone(), fresh.authorize(1, zero, 1), fresh.authorize(1, *storer, 2)],
        vec![good.clone(), fresh.authorize(1, zero, 1)],
        vec![delegated.authorize(1, zero, 1), delegated.authorize(1, *storer, 2)],
        vec![fresh.authorize(1, *looker, 3), good.clone()],
        // A delegate that delegates.
        vec![good.clone(), known.authorize(1, fresh.address(), 5), delegated.authorize(1, known.address(), 1)],
        spoilt(|tuple| tuple.raw_parity = 2),
        spoilt(|tuple| tuple.raw_parity ^= 1),
        spoilt(|tuple| tuple.signature.s = lockstep::recover::ORDER - tuple.signature.s),
        spoilt(|tuple| tuple.signature.r = U256::ZERO),
    ]
}

type Target = Box<dyn Fn(&Cast) -> To>;

/// Where a transaction goes.
enum To {
    /// A contract of this code.
    Code(Code),
    /// An account that is there, with some value.
    Account(Address, u64),
}

/// What the transactions of a list do. `tuples` spares long lists the rarer ones.
fn targets(tuples: usize) -> impl Iterator<Item = Target> {
    let mut all: Vec<Target> = vec![
        Box::new(|cast| To::Code(look(cast))),
        Box::new(|cast| To::Code(call(cast, &[CALL, DELEGATECALL]).end(0xf3, 0, 9))),
        Box::new(|cast| To::Code(call(cast, &[CALL]).end(0xfd, 0, 9))),
        Box::new(|cast| To::Account(cast.fresh.address(), 3)),
    ];
    if tuples < 3 {
        let rest: [Target; 5] = [
            Box::new(|cast| To::Code(call(cast, &KINDS).op(0xfe))),
            Box::new(|cast| To::Account(cast.delegated.address(), 0)),
            Box::new(|cast| To::Account(cast.known.address(), 1)),
            Box::new(|cast| To::Account(cast.contract.address(), 0)),
            Box::new(|_| To::Account(Address::repeat_byte(0x99), 0)),
        ];
        all.extend(rest);
    }
    all.into_iter()
}

fn authorities(cast: &Cast) -> [Address; 4] {
    [&cast.fresh, &cast.known, &cast.delegated, &cast.contract].map(Wallet::address)
}

/// Warmth, code and hash of every authority.
fn look(cast: &Cast) -> Code {
    authorities(cast).iter().zip(0_u64..).fold(Code::default(), |code, (address, index)| {
        let (who, slot) = (word(*address), 10 * index);
        let code = code.op(0x5a).push(who).op(0x31).keep(slot).op(0x5a).op(0x90).op(0x03).keep(slot + 1);
        let code = code.push(who).op(0x3b).keep(slot + 2).push(who).op(0x3f).keep(slot + 3);
        let code = code.push(U256::from(30)).push(U256::ZERO).push(U256::ZERO).push(who).op(0x3c);
        code.push(U256::ZERO).op(0x51).keep(slot + 4)
    })
}

fn call(cast: &Cast, kinds: &[u8]) -> Code {
    authorities(cast).iter().zip(0_u64..).fold(Code::default().fill(), |code, (address, index)| {
        kinds.iter().zip(0_u64..).fold(code, |code, (kind, place)| {
            let gas = Some(U256::from(150_000));
            code.call(&Args { gas, ..Args::new(*kind, word(*address)) }).observe(40 * index + 10 * place)
        })
    })
}

fn transaction(calls: &mut Calls, cast: &Cast, to: To, list: Vec<Authorization>) -> usize {
    let (code, to) = match to {
        To::Code(code) => (code, None),
        To::Account(address, value) => (Code::default(), Some((address, value))),
    };
    let tx = calls.call(code.0, vec![], 3_000_000);
    if let Some((address, value)) = to {
        (tx.to, tx.value) = (Some(address), U256::from(value));
    }
    tx.tx_type = TxType::SetCode;
    tx.max_priority_fee_per_gas = Some(U256::from(2));
    // Warm by both ways.
    tx.access_list = vec![(cast.known.address(), vec![]), (cast.storer, vec![])];
    tx.authorizations = list;
    calls.txs.len() - 1
}

/// The sender among the authorities, whose nonce is raised already; the beneficiary, too.
fn senders(calls: &mut Calls, storer: Address, looker: Address) {
    let beneficiary = Wallet::new("beneficiary");
    calls.env.beneficiary = beneficiary.address();
    for (number, nonces) in [vec![0], vec![1], vec![1, 2], vec![2], vec![0, 1, 3]].into_iter().enumerate() {
        for clears in [false, true] {
            let cast = cast(calls, 1_000_000 + 2 * number + usize::from(clears), storer, looker);
            let to = if clears { Address::ZERO } else { looker };
            let list = nonces.iter().map(|nonce| cast.fresh.authorize(1, to, *nonce)).collect();
            insert(calls, cast.fresh.address(), 0, u64::MAX, vec![]);
            let at = transaction(calls, &cast, To::Code(look(&cast)), list);
            calls.senders[at] = cast.fresh.address();
        }
    }
    let cast = cast(calls, 1_100_000, storer, looker);
    transaction(calls, &cast, To::Code(look(&cast)), vec![beneficiary.authorize(1, looker, 0)]);
    transaction(calls, &cast, To::Account(beneficiary.address(), 1), vec![beneficiary.authorize(1, storer, 1)]);
}

/// Transactions that see what those before them have delegated: speculation on the state before the block is stale.
fn chains(calls: &mut Calls, storer: Address, looker: Address) {
    let cast = cast(calls, 2_000_000, storer, looker);
    let owner = &cast.fresh;
    let plain = |calls: &mut Calls, to: To| {
        let at = transaction(calls, &cast, to, vec![]);
        let tx = &mut calls.txs[at];
        *tx = Transaction { tx_type: TxType::DynamicFee, authorizations: vec![], ..tx.clone() };
    };
    insert(calls, owner.address(), 0, u64::MAX, vec![]);
    let steps = [(looker, 0), (storer, 1), (Address::ZERO, 2), (owner.address(), 3), (looker, 3), (looker, 4)];
    for (delegate, nonce) in steps {
        plain(calls, To::Account(owner.address(), 1));
        transaction(calls, &cast, To::Account(owner.address(), 2), vec![owner.authorize(1, delegate, nonce)]);
        plain(calls, To::Code(call(&cast, &[CALL])));
        plain(calls, To::Account(owner.address(), 0));
    }
    // The owner sends one of its own and delegates by it.
    let at = transaction(calls, &cast, To::Account(owner.address(), 0), vec![owner.authorize(1, storer, 6)]);
    (calls.senders[at], calls.txs[at].nonce) = (owner.address(), 5);
    let at = transaction(calls, &cast, To::Code(look(&cast)), vec![owner.authorize(0, looker, 8)]);
    (calls.senders[at], calls.txs[at].nonce) = (owner.address(), 7);
    let bytes = Bytes::from(designator(looker));
    calls.state.insert_code(keccak256(&bytes), bytes);
}
